"""A real git repository for a test, with git and comfyvn-store as they are run by hand.

Nothing here sets the environment: `tests/conftest.py` makes it hermetic, and what runs here inherits it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Result(subprocess.CompletedProcess[bytes]):
    """What a finished program said."""

    @property
    def code(self) -> int:
        return self.returncode

    @property
    def out(self) -> str:
        """Standard output as text without its last newlines; bytes that are not UTF-8 become surrogates."""
        return _text(self.stdout)

    @property
    def err(self) -> str:
        return _text(self.stderr)

    def json(self) -> Any:
        return json.loads(self.stdout)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    input: bytes | str | None = None,
    check: bool = True,
    env: Mapping[str, str | None] | None = None,
) -> Result:
    """Runs a program to its end, without a terminal.

    `env` is laid over the environment; a name with the value None is taken out of it. With `check`, an exit
    code other than 0 fails the test and shows everything that the program said.
    """
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(
        command,
        cwd=cwd,
        input=os.fsencode(input) if isinstance(input, str) else input or b"",
        capture_output=True,
        env={name: value for name, value in environment.items() if value is not None},
    )
    result = Result(done.args, done.returncode, done.stdout, done.stderr)
    if check and result.code != 0:
        said = f"stdout: {result.out}\nstderr: {result.err}"
        raise AssertionError(f"{list(command)} exited {result.code}\n{said}")
    return result


class GitRepo:
    """A work tree. Paths are given as git gives them: relative to its top, with slashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *options: str) -> "GitRepo":
        path.mkdir(parents=True, exist_ok=True)
        repo = cls(path)
        repo.git("init", "--quiet", *options)
        return repo

    def git(
        self,
        *args: str,
        input: bytes | str | None = None,
        check: bool = True,
        env: Mapping[str, str | None] | None = None,
        cwd: str = ".",
    ) -> Result:
        return run(["git", *args], cwd=self.path / cwd, input=input, check=check, env=env)

    def tool(
        self,
        *args: str,
        input: bytes | str | None = None,
        check: bool = True,
        env: Mapping[str, str | None] | None = None,
        cwd: str = ".",
    ) -> Result:
        """Runs comfyvn-store with the Python that runs the tests; -P: no file here shadows a module."""
        command = [sys.executable, "-P", "-m", "comfyvn_store", *args]
        return run(command, cwd=self.path / cwd, input=input, check=check, env=env)

    def write(self, path: str, data: bytes | str) -> Path:
        """Writes a new file under this name, as most programs save: it replaces a view, not its object."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(os.fsencode(data) if isinstance(data, str) else data)
        return target

    def read(self, path: str) -> bytes:
        """The bytes that a program sees at this path, so through a view those of the object."""
        return (self.path / path).read_bytes()

    def commit(self, message: str, *args: str) -> str:
        """Commits what is staged and returns the commit's hash."""
        self.git("commit", "--quiet", "-m", message, *args)
        return self.head()

    def status(self) -> list[str]:
        """What `git status` finds, one entry each in its short form (`R  old -> new`); [] if all is clean."""
        fields = iter(_fields(self.git("status", "--porcelain=v1", "-z", "--untracked-files=all")))
        return [f"{each[:3]}{next(fields)} -> {each[3:]}" if "R" in each[:2] else each for each in fields]

    def head(self) -> str:
        return self.git("rev-parse", "--verify", "HEAD").out

    def link(self, path: str) -> str:
        """The text of the symlink at this path."""
        return os.readlink(self.path / path)

    def object_path(self, hash: str) -> Path:
        """Where the store keeps the object with this hash, whether or not it is there."""
        common = self.git("rev-parse", "--path-format=absolute", "--git-common-dir").out
        return Path(common, "comfyvn", "objects", hash[:2], hash[2:])

    def sidecar(self, path: str) -> dict[str, Any]:
        """The sidecar on disk of the view at this path."""
        loaded: dict[str, Any] = json.loads(self.read(f"{path}.asset.json"))
        return loaded

    def staged(self, path: str) -> tuple[str, str] | None:
        """Mode and object id of this path in git's index; None if it is not there."""
        for entry in _fields(self.git("--literal-pathspecs", "ls-files", "--stage", "-z", "--", path)):
            about, _, name = entry.partition("\t")
            if name == path:
                mode, oid, stage = about.split(" ")
                assert stage == "0", f"{path} is unmerged"
                return mode, oid
        return None

    def blob(self, rev_path: str) -> bytes:
        """The bytes of a blob, unfiltered: `HEAD:assets/a.png`, or `:assets/a.png` for the index."""
        return self.git("cat-file", "blob", rev_path).stdout


def _fields(result: Result) -> list[str]:
    """What a git command with -z listed."""
    return result.out.split("\0")[:-1]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").rstrip("\n")
