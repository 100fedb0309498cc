"""DVC: `dvc init`, and `dvc add` of the whole folder, which its documentation recommends where there are many files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.measuring import Spent, Starter
from tests.benchmarks.tools.plain import Plain

_PROGRAM = Path(sys.prefix, "servers", "dvc", "bin", "dvc")


class Dvc(Plain):
    """A repository in which DVC keeps the folder of art; git keeps one small file that stands for it."""

    name = "dvc"
    program = str(_PROGRAM)
    environment: ClassVar[dict[str, str]] = {"DVC_NO_ANALYTICS": "1"}
    kept = (".git", ".dvc")

    def __init__(self, folder: Path, starter: Starter) -> None:
        super().__init__(folder, starter)
        self.desk.env["DVC_SITE_CACHE_DIR"] = str(folder / "home" / "site")
        self.desk.env["PATH"] = f"{_PROGRAM.parent}:{self.desk.env['PATH']}"
        # Otherwise it asks the network, in the background, whether there is a newer one.
        settings = folder / "home" / ".config" / "dvc" / "config"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("[core]\n    check_update = false\n    analytics = false\n")

    def version(self) -> str:
        """Gives what the program calls itself."""
        return self.desk.ask("dvc", "--version")

    def set_up(self, path: Path) -> None:
        """Makes it a repository of DVC."""
        self.desk.run("dvc", "init", "-q", cwd=path)

    def commit_art(self, message: str) -> Spent:
        """Adds the folder, and commits what stands for it."""
        return self.all_of(("dvc", "add", "-q", "assets"), ("git", "add", "-A"), ("git", "commit", "-qm", message))

    def status(self) -> Spent:
        """Asks git and DVC: git ignores the art here."""
        return self.all_of(("git", "status", "--short"), ("dvc", "status"))

    def switch(self, branch: str) -> Spent:
        """Switches and checks the art out."""
        return self.all_of(("git", "switch", "-q", branch), ("dvc", "checkout", "-q"))

    def share(self, folder: Path) -> None:
        """Makes a remote in a folder, noted where a clone finds it."""
        self.desk.run("dvc", "remote", "add", "-q", "-d", "hub", str(folder), cwd=self.path)
        self.git("commit", "-qam", "remote")

    def push(self) -> Spent:
        """Sends all bytes to the remote."""
        return self.desk.run("dvc", "push", "-q", cwd=self.path)

    def receiver(self, path: Path) -> None:
        """Clones, without bytes."""
        self.git("clone", "-q", str(self.path), str(path))

    def pull(self, path: Path) -> Spent:
        """Fetches all bytes from the remote and checks them out."""
        return self.desk.run("dvc", "pull", "-q", cwd=path)

    def clone(self, path: Path) -> Spent:
        """Clones and fetches from the remote, which is on the same disk."""
        spent = self.git("clone", "-q", str(self.path), str(path), cwd=self.desk.folder)
        return spent.plus(self.pull(path))
