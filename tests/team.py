"""A team around one bare repository: clones, each with the tool, whose bytes travel as people let them."""

import hashlib
import os
from pathlib import Path

from tests import media
from tests.gitrepo import GitRepo, run

ALICE, CLUB, SONG = "assets/characters/alice.png", "assets/bg/club.png", "assets/music/song.wav"


class Team:
    """`hub` is the bare repository; `clone` makes another clone, plain git and `init`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = folder / "hub.git"
        run(["git", "init", "--quiet", "--bare", str(self.hub)], cwd=folder)

    def clone(self, name: str, url: str | None = None) -> GitRepo:
        run(["git", "clone", "--quiet", url or str(self.hub), name], cwd=self.folder)
        repo = GitRepo(self.folder / name)
        repo.tool("init")
        return repo

    def hidden(self) -> str:
        """The hub's address as another machine's, which is no folder to us: the bytes need a way of their own.

        The program in ssh's place runs what it is told here.
        """
        shell = self.folder / "ssh"
        shell.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
        shell.chmod(0o755)
        run(["git", "config", "--global", "core.sshCommand", str(shell)], cwd=self.folder)
        run(["git", "config", "--global", "ssh.variant", "simple"], cwd=self.folder)
        return f"ssh://elsewhere{self.hub}"

    def begin(self, name: str = "mika", url: str | None = None) -> GitRepo:
        """The first clone, with three assets committed and not pushed."""
        repo = self.clone(name, url)
        repo.write(ALICE, media.comfy_png(1))
        repo.write(CLUB, media.png(seed=2))
        repo.write(SONG, media.wav())
        repo.git("add", "-A")
        repo.commit("art")
        return repo


def hashes(repo: GitRepo) -> dict[str, str]:
    """The hash of each asset."""
    return {each["view"]: each["hash"] for each in repo.tool("list", "--json").json()}


def present(repo: GitRepo) -> set[str]:
    """The assets whose bytes are here, seen through their views."""
    found = set()
    for path, hash_ in hashes(repo).items():
        place = repo.path / path
        if place.exists():
            assert hashlib.sha256(place.read_bytes()).hexdigest() == hash_, path
            found.add(path)
    return found


def objects_below(folder: Path) -> set[str]:
    """The hashes of the objects in a store or a folder remote; each is whole, and read-only."""
    found = set()
    for place in (folder / "objects").glob("??/*"):
        assert hashlib.sha256(place.read_bytes()).hexdigest() == place.parent.name + place.name
        assert not place.stat().st_mode & 0o222
        found.add(place.parent.name + place.name)
    return found


def leftovers(repo: GitRepo) -> list[str]:
    """What lies in the store's folder for files on their way."""
    return sorted(os.listdir(repo.path / ".git/comfyvn/tmp"))
