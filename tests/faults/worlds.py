"""The folder in which a verb is tried, and what a verb is: what it runs, what of it is ours, how it is completed."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import oracle
from tests.gitrepo import GitRepo, run

TOOL = ("-P", "-m", "comfyvn_store")
STORE = "repo/.git/comfyvn"


@dataclass(frozen=True)
class Verb:
    """A verb and what it needs.

    `mine` are the bytes that the user has, which are in the work tree, in a store of `stores` or in another folder of
    `others`, and in git only if it `has_raw`. `role` is a shell pattern for the arguments of the traced process, "" where
    that is `program` with the command itself. It ends well with one of `good`, and may say with one of `codes` that the
    machine failed. It is completed by `again` (the command itself), which ends with one of `repeats`, and by a commit
    where it `commits`. `holds` is what must hold after any fault besides, and `ends` what must once it was completed.
    """

    name: str
    make: Callable[[Path], None]
    command: tuple[str, ...]
    mine: tuple[bytes, ...]
    role: str = ""
    again: tuple[tuple[str, ...], ...] = ()
    stores: tuple[str, ...] = (STORE,)
    others: tuple[str, ...] = ()
    has_raw: bool = False
    commits: bool = True
    program: tuple[str, ...] = TOOL
    good: tuple[int, ...] = (0,)
    codes: tuple[int, ...] = (16,)
    repeats: tuple[int, ...] = (0,)
    holds: Callable[["World"], None] | None = None
    ends: Callable[["World"], None] | None = None

    def words(self) -> list[str]:
        """The command as the tracer runs it."""
        return ["git", *self.command] if self.role else [*self.program, *self.command]


class World:
    """The folder in which one verb is tried again and again, each time from the same state.

    All worlds that are made in `folder` are one place, so that they can have states in common.
    """

    def __init__(self, folder: Path, verb: Verb) -> None:
        self.verb = verb
        self.folder = folder / "world"
        self.pristine = folder / "pristine" / verb.name
        self.repo = GitRepo(self.folder / "repo")
        self.stores = [self.folder / name for name in verb.stores]
        self.others = [self.folder / name for name in verb.others]

    def make(self) -> None:
        """Makes the state before the verb."""
        remove(self.folder)
        self.verb.make(self.folder)

    def keep(self) -> None:
        """Remembers the state as it is now."""
        copy(self.folder, self.pristine)

    def reset(self) -> None:
        """Goes back to it."""
        remove(self.folder)
        copy(self.pristine, self.folder)

    def complete(self, python: str) -> None:
        """Runs the verb again, without faults, and commits what it left to commit."""
        verb, repo = self.verb, self.repo
        if (repo.path / ".git/index.lock").exists():
            time.sleep(1.1)  # only then is it taken for abandoned, by a command of ours
            repo.tool("status", check=False)
        if verb.role:
            for words in verb.again or (verb.command,):
                repo.git(*words, check=words[0] != "commit")
        else:
            done = run([python, *verb.words()], cwd=repo.path, check=False)
            assert done.code in verb.repeats, (done.code, done.out, done.err)
        if verb.commits:
            repo.git("add", "assets")
            repo.git("commit", "-qm", "completed", check=False)

    def end(self) -> None:
        """Looks whether all is as it should be once the verb was completed."""
        if self.verb.ends is not None:
            self.verb.ends(self)
        oracle.check_all(self.repo)


def copy(source: Path, target: Path) -> None:
    """Copies a world with the times of all that is in it."""
    shutil.copytree(source, target, symlinks=True)
    for folder, names, files in os.walk(source):
        for name in (*names, *files):
            place = Path(folder, name)
            info = place.lstat()
            copied = target / place.relative_to(source)
            os.utime(copied, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def remove(folder: Path) -> None:
    """Removes a world, whatever modes its files have."""
    shutil.rmtree(folder, ignore_errors=True)
