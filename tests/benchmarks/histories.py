"""Large repositories, made by `git fast-import`: real links, sidecars and commits, with models, LoRAs, seeds, prompts, input
pictures, later versions and deleted ones.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.base import links
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.vcs.repository import open_repository
from tests.benchmarks.desk import environment
from tests.benchmarks.measuring import WorkFailed

_TEXT = """
girl hair auburn green eyes smile school uniform rooftop sunset rain window classroom night city street neon lantern
festival kimono forest shrine river bridge winter snow coat scarf letter piano violin cat fox mask sword armor crown
library candle book old clock tower harbor boat lighthouse storm cloud field summer dress straw hat bicycle train
"""
WORDS = _TEXT.split()
TYPES = ("characters", "backgrounds", "cg", "items", "ui")
MODELS = (*(f"models/sdxl_{n:02}.safetensors" for n in range(12)), "animagineXLV3_v30.safetensors")
LORAS = (*(f"vn_style_{n:03}.safetensors" for n in range(300)), "add_detail.safetensors")
LICENSES = (None, "CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "proprietary")
TEAM = tuple(f"Artist {n} <artist{n}@example.invalid>" for n in range(8))
_SPAN = 200 * 86400  # seconds from the first commit to the last


class Version(NamedTuple):
    """One version of an asset: where it is, its object, and how many bytes that has."""

    path: str
    hash: str
    size: int


def card(number: int, path: str, rng: random.Random, hash_: str, parent: str | None, when: float) -> sidecar.Sidecar:
    """Gives the sidecar of a picture that ComfyUI might have made."""
    prompt = ", ".join(" ".join(rng.choices(WORDS, k=2)) for _ in range(12))
    loras = [{"name": name, "strength": round(rng.random(), 2)} for name in rng.sample(LORAS, rng.randrange(3))]
    inputs = {
        "seed": rng.getrandbits(64),
        "model": rng.choice(MODELS),
        "loras": loras,
        "sampler": rng.choice(("euler", "dpmpp_2m", "dpmpp_sde", "euler_ancestral")),
        "scheduler": rng.choice(("karras", "normal")),
        "steps": 28,
        "cfg": 6.5,
        "denoise": 1.0,
        "positive": f"1girl, {prompt}",
        "negative": "lowres, bad anatomy, bad hands",
        "images": [f"sketch_{rng.randrange(2000):05}.png"] if number % 5 == 0 else [],
    }
    graph = hashlib.sha256(b"%d" % (number // 8)).hexdigest()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    record = sidecar.Record(uuid7(int(when * 1000), rng.randbytes(10)), "comfyui", graph, inputs, hash_, stamp, parent)
    tags = tuple(rng.sample(WORDS, rng.randrange(4)))
    media = {"mime": "image/png", "width": rng.choice((512, 832, 1024)), "height": rng.choice((512, 1216, 1536))}
    return sidecar.Sidecar(
        hash_, path, rng.randrange(20_000, 4_000_000), media, record, tags, rng.choice(LICENSES), {"take": number % 7}
    )


class History:
    """What `git fast-import` is told: commits after each of which the same number of assets more are there.

    One version in ten is a new one of an asset that was there before, and for one in ten another asset is deleted.
    """

    def __init__(self, assets: int, commits: int) -> None:
        self.assets, self.commits = assets, commits
        self.versions: list[Version] = []
        self.there: dict[str, str] = {}  # the newest object of each asset
        self._rng = random.Random(7)
        self._begun = time.time() - _SPAN
        self._number = 0

    def stream(self, base: str) -> Iterator[bytes]:
        """Gives the whole history, on top of a commit."""
        for commit in range(self.commits):
            when = self._begun + commit * _SPAN / self.commits
            yield self._commit_line(commit, when)
            if commit == 0:
                yield f"from {base}\n".encode()
            while len(self.there) < self.assets * (commit + 1) // self.commits:
                yield from self._next(when)

    def _commit_line(self, commit: int, when: float) -> bytes:
        author, message = TEAM[commit % len(TEAM)], f"art {commit:04}"
        return (
            f"commit refs/heads/main\nauthor {author} {int(when)} +0000\ncommitter {author} {int(when)} +0000\n"
            f"data {len(message)}\n{message}\n"
        ).encode()

    def _next(self, when: float) -> Iterator[bytes]:
        number, rng, before = self._number, self._rng, None
        self._number += 1
        path = f"{TYPES[number % 5]}/set{number // 2000:03}/{rng.choice(WORDS)}_{number:06}.png"
        if number % 10 == 9:
            path = rng.choice(self.versions).path
            before = self.there.get(path)
        elif number % 10 == 8:
            gone = rng.choice(self.versions).path
            if self.there.pop(gone, None) is not None:
                yield b"D assets/%b\nD assets/%b.asset.json\n" % (gone.encode(), gone.encode())
        elif number % 5 == 0 and number < 10_000:
            path = f"sketches/sketch_{number // 5:05}.png"
        yield self.put(number, path, before, when + number % 100)

    def put(self, number: int, path: str, before: str | None, when: float) -> bytes:
        """Gives the lines that put a version in its place."""
        hash_ = hashlib.sha256(b"object %d" % number).hexdigest()
        made = card(number, path, self._rng, hash_, before, when)
        self.versions.append(Version(path, hash_, made.bytes))
        self.there[path] = hash_
        link = links.link_text(f"assets/{path}", hash_).encode()
        lines = b""
        for mode, name, data in (("120000", path, link), ("100644", f"{path}.asset.json", sidecar.encode(made))):
            lines += f"M {mode} inline assets/{name}\ndata {len(data)}\n".encode() + data + b"\n"
        return lines

    def one_more(self) -> Iterator[bytes]:
        """Gives one commit more, with a new version of an asset."""
        path, before = next(iter(self.there.items()))
        when = time.time()
        yield self._commit_line(self.commits, when) + b"from refs/heads/main^0\n"
        self.commits += 1
        self._number += 1
        yield self.put(self._number, path, before, when)


def feed(folder: Path, env: dict[str, str], lines: Iterator[bytes]) -> None:
    """Has git import a stream."""
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, env=env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for part in lines:
            process.stdin.write(part)
        process.stdin.close()
    if process.returncode:
        raise WorkFailed(f"git fast-import ended with {process.returncode} in {folder}")


def follow(folder: Path, env: dict[str, str]) -> None:
    """Brings git's index and the work tree to what was imported."""
    _run(folder, env, "git", "reset", "-q", "--hard")


def add_one(folder: Path, env: dict[str, str], history: History) -> None:
    """Commits a new version of an asset, as if it had come from elsewhere: no hook runs."""
    feed(folder, env, history.one_more())
    place_objects(folder, env, history.versions[-1:])
    follow(folder, env)


def make(folder: Path, assets: int, commits: int, *, objects: bool = False) -> History:
    """Makes a repository with so many assets; with `objects`, files as large as the sidecars say stand in the store.

    They are holes with nothing in them: what looks finds all as it should be, what hashes does not.
    """
    env = environment(folder.parent / "home")
    folder.mkdir(parents=True)
    _run(folder, env, "git", "init", "-q", "-b", "main")
    _run(folder, env, "comfyvn-store", "init")
    (folder / "readme.txt").write_text("bench\n")
    _run(folder, env, "git", "add", "-A")
    _run(folder, env, "git", "commit", "-qm", "base")
    history = History(assets, commits)
    feed(folder, env, history.stream(_run(folder, env, "git", "rev-parse", "HEAD")))
    if objects:
        place_objects(folder, env, history.versions)
    follow(folder, env)
    return history


def place_objects(folder: Path, env: dict[str, str], versions: list[Version]) -> None:
    """Puts a file for each version where its object belongs, with the mode and the whole second that objects have."""
    store = open_repository(str(folder), environment=env).store
    for version in versions:
        path = store.path(version.hash)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.truncate(version.size)
        os.chmod(path, 0o444)
        os.utime(path, (1_700_000_000, 1_700_000_000))


def _run(folder: Path, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(words, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip()
