"""Times what people ask of a large repository: `python -m tests.benchmarks.asking --count 100000`.

The repository is made by `git fast-import`: real links, sidecars and commits, a hundred assets each, with models, LoRAs,
seeds, prompts, input pictures, later versions and deleted ones; the bytes behind the links are not there. Each question is
one run of the command, from its start to its end. Prints a Markdown table. No test depends on a time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from comfyvn_store.asset import sidecar
from comfyvn_store.base import links
from comfyvn_store.base.uuid7 import uuid7

BIN = Path(sys.executable).parent
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


def environment(home: Path) -> dict[str, str]:
    """Gives an environment that knows nothing of the person who measures."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "COMFYVN_"))}
    return keep | {
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "COMFYVN_PREVIEWS": "off",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        **{f"GIT_{who}_NAME": "bench" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "bench@example.invalid" for who in ("AUTHOR", "COMMITTER")},
    }


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


def stream(count: int, parent: str) -> Iterator[bytes]:
    """Gives the input of `git fast-import`: commits of a hundred assets, one in ten of them later changed or deleted."""
    rng = random.Random(7)
    begun = time.time() - 200 * 86400
    known: list[tuple[str, str]] = []
    commits = count // 100
    for commit in range(commits):
        when = begun + commit * 200 * 86400 / commits
        author = TEAM[commit % len(TEAM)]
        yield (
            f"commit refs/heads/main\nauthor {author} {int(when)} +0000\ncommitter {author} {int(when)} +0000\n"
            f"data 8\nart {commit:04}\n"
        ).encode()
        if commit == 0:
            yield f"from {parent}\n".encode()
        for place in range(100):
            number = commit * 100 + place
            before = None
            path = f"{TYPES[number % 5]}/set{number // 2000:03}/{rng.choice(WORDS)}_{number:06}.png"
            if number % 10 == 9:
                path, before = known[rng.randrange(len(known))]
            elif number % 10 == 8 and known:
                gone, _ = known[rng.randrange(len(known))]
                yield b"D assets/%b\nD assets/%b.asset.json\n" % (gone.encode(), gone.encode())
            elif number % 5 == 0 and number < 10_000:
                path = f"sketches/sketch_{number // 5:05}.png"
            hash_ = hashlib.sha256(b"object %d" % number).hexdigest()
            known.append((path, hash_))
            link = links.link_text(f"assets/{path}", hash_).encode()
            text = sidecar.encode(card(number, path, rng, hash_, before, when + place))
            for mode, name, data in (("120000", path, link), ("100644", f"{path}.asset.json", text)):
                yield f"M {mode} inline assets/{name}\ndata {len(data)}\n".encode() + data + b"\n"


def make(folder: Path, count: int) -> None:
    """Makes the repository."""
    env = environment(folder.parent)
    folder.mkdir(parents=True)

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.decode().strip()

    run("git", "init", "-q", "-b", "main")
    run("comfyvn-store", "init")
    (folder / "readme.txt").write_text("bench\n")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "base")
    base = run("git", "rev-parse", "HEAD")
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, env=env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for part in stream(count, base):
            process.stdin.write(part)
        process.stdin.close()
    run("git", "reset", "-q", "--hard")


QUESTIONS: dict[str, tuple[str, ...]] = {
    "nothing but Python": (),
    "list --limit 20": ("list", "--limit", "20"),
    "a word": ("search", "lighthouse"),
    "a word that all have": ("search", "1girl"),
    "one letter": ("search", "s"),
    "three words": ("search", "rain", "window", "cat"),
    "a phrase": ("search", '"old clock"'),
    "type:": ("search", "type:cg"),
    "tag:": ("search", "tag:fox"),
    "license:": ("search", "license:CC0-1.0"),
    "model:": ("search", "model:animaginexlv3_v30"),
    "lora:": ("search", "lora:add_detail"),
    "lora: with a glob": ("search", "lora:vn_style_1*"),
    "seed:": ("search", "seed:1234567"),
    "sampler:": ("search", "sampler:euler"),
    "author:": ("search", "author:artist3"),
    "commit:": ("search", "commit:HEAD~5"),
    "commit: of a range": ("search", "commit:HEAD~500..HEAD"),
    "since:": ("search", 'since:"2 weeks ago"'),
    "size>": ("search", "size>3M"),
    "width>=": ("search", "width>=1024"),
    "path: with a glob": ("search", "path:*/cat_*"),
    "-tag: alone": ("search", "-tag:fox"),
    "all of it at once": ("search", "rain", "type:cg", "model:sdxl_03", "-tag:fox", "size>1M", "since:2020-01-01"),
    "OR": ("search", "(tag:fox OR lora:add_detail) -license:*"),
    "--history": ("search", "--history", "lighthouse", "model:sdxl_03"),
    "lineage": ("lineage", "assets/sketches/sketch_00008.png"),
    "impact, a LoRA": ("impact", "add_detail", "--limit", "20"),
    "impact, a model": ("impact", "sdxl_03", "--limit", "20"),
    "disclose": ("disclose", "--format", "csv"),
}


def cpu() -> float:
    """Gives the seconds that the processes started here have kept processors busy."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    """Makes the repository unless it is there, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="versions of assets")
    parser.add_argument("--folder", type=Path, required=True, help="where the repository is, or is to be made")
    parser.add_argument("--runs", type=int, default=9, help="runs of each question")
    parser.add_argument("--only", default="", help="only questions with this in their name")
    options = parser.parse_args()
    if not options.folder.exists():
        make(options.folder, options.count)
    env = environment(options.folder.parent)
    print(f"| question, of {options.runs} runs | median, ms | fastest | processor |\n|---|--:|--:|--:|")
    for name, words in QUESTIONS.items():
        if options.only not in name:
            continue
        command = [sys.executable, "-P", "-m", "comfyvn_store", *words] if words else [sys.executable, "-c", "pass"]
        spent, busy = [], []
        for run in range((1 if name == "disclose" else options.runs) + 1):
            begun, worked = time.perf_counter(), cpu()
            subprocess.run(command, cwd=options.folder, env=env, stdout=subprocess.DEVNULL, check=True)
            if run:
                spent.append((time.perf_counter() - begun) * 1000)
                busy.append((cpu() - worked) * 1000)
        print(
            f"| {name} | {statistics.median(spent):.0f} | {min(spent):.0f} | {statistics.median(busy):.0f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
