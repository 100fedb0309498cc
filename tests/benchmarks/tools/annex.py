"""git-annex: `git annex init`, `git annex add`, `git commit`, with what it does unasked. Files become links."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.measuring import Spent
from tests.benchmarks.tools.plain import Plain


class Annex(Plain):
    """A repository in which git-annex keeps the art."""

    name = "git-annex"
    program = "git-annex"

    def version(self) -> str:
        """Gives what the program calls itself."""
        return self.desk.ask("git", "annex", "version", "--raw")

    def set_up(self, path: Path) -> None:
        """Makes it a repository of git-annex."""
        self.git("annex", "init", "-q", "bench", cwd=path)

    def commit_art(self, message: str) -> Spent:
        """Adds and commits all art that is new or changed."""
        return self.all_of(("git", "annex", "add", "-q", "assets"), ("git", "commit", "-qm", message))

    def share(self, folder: Path) -> None:
        """Makes a special remote in a folder."""
        folder.mkdir()
        self.git("annex", "initremote", "-q", "hub", "type=directory", f"directory={folder}", "encryption=none")

    def push(self) -> Spent:
        """Copies all content to the remote."""
        return self.git("annex", "copy", "-q", "--to", "hub", "assets")

    def receiver(self, path: Path) -> None:
        """Clones, without content."""
        self.git("clone", "-q", str(self.path), str(path))
        self.set_up(path)
        self.git("annex", "enableremote", "-q", "hub", f"directory={self.desk.folder / 'hub'}", cwd=path)

    def pull(self, path: Path) -> Spent:
        """Gets all content from the remote."""
        return self.git("annex", "get", "-q", "--from", "hub", "assets", cwd=path)

    def clone(self, path: Path) -> Spent:
        """Clones and gets all content from where it was cloned."""
        spent = self.git("clone", "-q", str(self.path), str(path), cwd=self.desk.folder)
        return spent.plus(
            self.all_of(("git", "annex", "init", "-q", "bench"), ("git", "annex", "get", "-q", "assets"), cwd=path)
        )
