"""A repository that `fsck` looks at, what it said, and proof that looking changed nothing."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests import media
from tests.gitrepo import GitRepo, Result

HERO, CLUB, BELL = "assets/characters/hero.png", "assets/bg/club.png", "assets/sfx/bell.wav"


def make_art(repo: GitRepo) -> None:
    """Three assets; of the hero there is a version before."""
    repo.write(HERO, media.comfy_png(1))
    repo.write(CLUB, media.png(seed=2))
    repo.write(BELL, media.wav())
    repo.git("add", "-A")
    repo.commit("first")
    repo.write(HERO, media.comfy_png(7))
    repo.git("add", "-A")
    repo.commit("second")
    repo.tool("list")


def hash_of(repo: GitRepo, path: str, rev: str = "") -> str:
    """The hash that a link in git names."""
    text = repo.blob(f"{rev}:{path}").decode()
    folder, name = text.split("/")[-2:]
    return folder + name


def object_of(repo: GitRepo, path: str, rev: str = "") -> Path:
    return repo.object_path(hash_of(repo, path, rev))


def overwrite(place: Path, data: bytes, *, like_rot: bool = True) -> None:
    """Puts other bytes under an object's name: as a rotten disk does, which leaves mode and times, or as a program does."""
    info = place.stat()
    place.chmod(0o644)
    place.write_bytes(data)
    if like_rot:
        place.chmod(stat.S_IMODE(info.st_mode))
        os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns))
    else:
        os.utime(place, ns=(info.st_mtime_ns + 5, info.st_mtime_ns + 5))


def flipped(data: bytes) -> bytes:
    """The same bytes but for one bit in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def snapshot(folder: Path) -> dict[str, Any]:
    """Everything below a folder: kind, mode, mtime, content."""
    found: dict[str, Any] = {}
    for here, folders, names in os.walk(folder):
        for name in (".", *folders, *names):
            place = os.path.join(here, name)
            info = os.lstat(place)
            content: object = None
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(place)
            elif stat.S_ISREG(info.st_mode):
                content = Path(place).read_bytes()
            found[place] = (info.st_mode, info.st_mtime_ns, content)
    return found


class Said:
    """What a run of `fsck` said."""

    def __init__(self, result: Result) -> None:
        assert result.code in (0, 1), (result.out, result.err)
        self.value = result.json()
        self.code = result.code
        assert (self.code == 1) == bool(self.value["findings"]), result.out

    @property
    def kinds(self) -> list[str]:
        return sorted(each["kind"] for each in self.value["findings"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.value["findings"] if each["kind"] == kind]

    @property
    def repaired(self) -> list[str]:
        return sorted(each["kind"] for each in self.value["repaired"])


def look(repo: GitRepo, *words: str) -> Said:
    """Runs `fsck` and sees to it that it wrote nothing."""
    before = snapshot(repo.path)
    found = Said(repo.tool("fsck", "--json", *words, check=False))
    after = snapshot(repo.path)
    assert _changes(before, after) == []
    return found


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    places: Iterable[str] = sorted(before.keys() | after.keys())
    return [place for place in places if before.get(place) != after.get(place)]


def mend(repo: GitRepo, *words: str) -> Said:
    return Said(repo.tool("fsck", "--json", "--repair", *words, check=False))
