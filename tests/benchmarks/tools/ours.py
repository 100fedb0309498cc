"""comfyvn-store: `comfyvn-store init`, and then git as always; sidecars and provenance are part of what is measured."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.desk import BIN
from tests.benchmarks.measuring import Spent
from tests.benchmarks.tools.plain import Plain


class Ours(Plain):
    """A repository in which art is in the store."""

    name = "comfyvn-store"
    program = f"{BIN}/comfyvn-store"

    def version(self) -> str:
        """Gives what the program calls itself."""
        return self.desk.ask("comfyvn-store", "--version").split()[-1]

    def set_up(self, path: Path) -> None:
        """Sets filter and hooks up."""
        self.desk.run("comfyvn-store", "init", cwd=path)

    def share(self, folder: Path) -> None:
        """Names a folder as a remote."""
        self.desk.run("comfyvn-store", "remote", "add", "--local", "hub", str(folder), cwd=self.path)

    def push(self) -> Spent:
        """Sends all objects to the remote."""
        return self.desk.run("comfyvn-store", "push", "--remote", "hub", cwd=self.path)

    def receiver(self, path: Path) -> None:
        """Clones, without objects."""
        self.git("clone", "-q", str(self.path), str(path))
        self.set_up(path)
        hub = str(self.desk.folder / "hub")
        self.desk.run("comfyvn-store", "remote", "add", "--local", "hub", hub, cwd=path)

    def pull(self, path: Path) -> Spent:
        """Fetches all objects from the remote."""
        return self.desk.run("comfyvn-store", "pull", "--remote", "hub", cwd=path)

    def clone(self, path: Path) -> Spent:
        """Clones, sets up, and fetches all objects from where it was cloned."""
        return self.desk.run("comfyvn-store", "clone", str(self.path), str(path))
