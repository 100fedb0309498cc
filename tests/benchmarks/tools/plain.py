"""Plain git, which every other tool is built on: what is the same for all of them, and where they may differ."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.desk import Desk
from tests.benchmarks.measuring import NOTHING, Spent, Starter
from tests.benchmarks.pictures import disk_use


class Plain:
    """A repository in which art is kept as plain git keeps it. What gives `Spent` is measured, the rest is not."""

    name = "git"
    program = "git"
    environment: ClassVar[dict[str, str]] = {}
    kept = (".git",)  # folders of the work tree's top in which git and the tool keep what they have

    def __init__(self, folder: Path, starter: Starter) -> None:
        self.desk = Desk(folder, starter, self.environment)
        self.path = folder / "repo"

    @classmethod
    def found(cls) -> str | None:
        """Gives the program, or None if it is not installed."""
        return shutil.which(cls.program)

    def version(self) -> str:
        """Gives what the program calls itself."""
        return self.desk.ask("git", "--version").removeprefix("git version ")

    # -- a repository

    def create(self) -> None:
        """Makes the repository, sets the tool up as its users do, and commits a text."""
        self.path.mkdir(parents=True)
        self.git("init", "-q")
        self.set_up(self.path)
        (self.path / "readme.txt").write_text("bench\n")
        self.git("add", "-A")
        self.git("commit", "-qm", "base")

    def set_up(self, path: Path) -> None:
        """Ties a repository to the tool."""

    def remove(self) -> None:
        """Removes all that was made."""
        for folder, _, _ in os.walk(self.desk.folder):
            os.chmod(folder, 0o755)
        shutil.rmtree(self.desk.folder)

    def git(self, *words: str, cwd: Path | None = None) -> Spent:
        """Runs git in the repository."""
        return self.desk.run("git", *words, cwd=cwd or self.path)

    def all_of(self, *commands: tuple[str, ...], cwd: Path | None = None) -> Spent:
        """Runs commands one after the other; gives what they took together."""
        spent = NOTHING
        for words in commands:
            spent = spent.plus(self.desk.run(*words, cwd=cwd or self.path))
        return spent

    # -- every day

    def commit_art(self, message: str) -> Spent:
        """Adds and commits all art that is new or changed."""
        return self.all_of(("git", "add", "-A"), ("git", "commit", "-qm", message))

    def commit_text(self, message: str) -> Spent:
        """Commits a text that changed."""
        return self.git("commit", "-qam", message)

    def status(self) -> Spent:
        """Asks what is new or changed."""
        return self.git("status", "--short")

    def branch(self, name: str, start: str) -> None:
        """Makes a branch and switches to it."""
        self.git("branch", name, start)
        self.switch(name)

    def switch(self, branch: str) -> Spent:
        """Switches, with the art that belongs to the other branch."""
        return self.git("switch", "-q", branch)

    def switch_text(self, branch: str) -> Spent:
        """Switches to a branch that has the same art."""
        return self.git("switch", "-q", branch)

    # -- other places

    def share(self, folder: Path) -> None:
        """Makes an empty remote in a folder, and tells the repository."""
        self.git("init", "-q", "--bare", str(folder))
        self.git("remote", "add", "hub", str(folder))

    def push(self) -> Spent:
        """Sends the bytes of all art to that remote."""
        return self.git("push", "-q", "hub", "main")

    def receiver(self, path: Path) -> None:
        """Makes a repository that lacks only what `pull` fetches."""
        self.git("init", "-q", str(path))
        self.git("remote", "add", "hub", self.desk.ask("git", "remote", "get-url", "hub", cwd=self.path), cwd=path)

    def pull(self, path: Path) -> Spent:
        """Fetches all bytes from the remote into such a repository, and into its work tree."""
        return self.git("pull", "-q", "hub", "main", cwd=path)

    def clone(self, path: Path) -> Spent:
        """Clones, on the same disk, until all art can be opened."""
        return self.git("clone", "-q", str(self.path), str(path), cwd=self.desk.folder)

    # -- space

    def disk(self) -> dict[str, int]:
        """Gives the bytes of disk taken by git's object database, by what else is kept, and by the work tree."""
        objects = disk_use(self.path / ".git" / "objects")
        kept = sum(disk_use(self.path / name) for name in self.kept) - objects
        return {"objects": objects, "kept": kept, "tree": disk_use(self.path) - objects - kept}
