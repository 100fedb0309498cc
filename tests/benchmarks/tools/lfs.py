"""Git LFS: `git lfs install`, `git lfs track`, and then git as always. Its remotes are git remotes in folders."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.measuring import Spent
from tests.benchmarks.tools.plain import Plain


class Lfs(Plain):
    """A repository in which Git LFS keeps the PNGs."""

    name = "git-lfs"
    program = "git-lfs"

    def version(self) -> str:
        """Gives what the program calls itself."""
        return self.desk.ask("git", "lfs", "version").split()[0].removeprefix("git-lfs/")

    def set_up(self, path: Path) -> None:
        """Installs the filter for this user and the hooks here."""
        self.git("lfs", "install", cwd=path)
        self.git("lfs", "track", "*.png", cwd=path)

    def push(self) -> Spent:
        """Sends the objects."""
        return self.git("lfs", "push", "hub", "main")

    def receiver(self, path: Path) -> None:
        """Clones the remote, which has the pointers by now, without objects."""
        self.git("push", "-q", "--no-verify", "hub", "main")
        hub = self.desk.ask("git", "remote", "get-url", "hub", cwd=self.path)
        self.desk.run("git", "clone", "-q", "-b", "main", hub, str(path), env={"GIT_LFS_SKIP_SMUDGE": "1"})

    def pull(self, path: Path) -> Spent:
        """Fetches the objects and checks them out."""
        return self.git("lfs", "pull", cwd=path)
