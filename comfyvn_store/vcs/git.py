"""Runs the git program: one place for its environment, its failures and its byte-wise input and output."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from comfyvn_store.base import running
from comfyvn_store.errors import GitFailed, MachineError, RemoteUnreachable

if TYPE_CHECKING:
    import subprocess
    from typing import BinaryIO

# For plumbing that only compares or records: our own filters need not start for it (65 ms against 4 for 1,000 files).
WITHOUT_FILTERS = (
    "-c",
    "filter.comfyvn.process=",
    "-c",
    "filter.comfyvn.required=false",
    "-c",
    "filter.comfyvn-sidecar.process=",
)
# Those that git itself sets for its children and that would lead a git of another repository astray.
_LOCAL = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_QUARANTINE_PATH",
)

# Where no index is.
_NO_INDEX = "/nonexistent/comfyvn-store/index"
# What git says when it cannot fetch an object (promisor-remote.c); LC_ALL=C keeps it so.
_NOT_PROMISED = b" from promisor remote"
# They change what a pathspec means (`git --literal-pathspecs`, as some editors run it, hands them to hooks); ours say
# themselves what they mean.
_PATHSPECS = ("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS")


def scrubbed_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Gives an environment without anything that ties git to one repository."""
    source = os.environ if environment is None else environment
    return {key: value for key, value in source.items() if key not in _LOCAL}


class Git:
    """The git program, run in one folder with one environment."""

    def __init__(self, folder: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        # The remotes that hold what a partial clone left out.
        self.promisors: tuple[str, ...] = ()
        self.environment = dict(os.environ if environment is None else environment)
        # Messages are matched nowhere, but people report them; a language server of git's own choosing helps nobody.
        self.environment["LC_ALL"] = "C"
        self.environment["GIT_OPTIONAL_LOCKS"] = "0"
        for name in _PATHSPECS:
            self.environment.pop(name, None)
        # Processes that answer one question after another, where this process ends before anything could be in their way.
        self._answering: dict[tuple[str, ...], running.Answering] | None = None

    def keep_answering(self) -> None:
        """Lets `ask` keep its processes, until this process ends: for hooks, which are short and ask often."""
        self._answering = {}

    @property
    def is_answering(self) -> bool:
        """Whether processes are kept."""
        return self._answering is not None

    def ask(self, words: tuple[str, ...], questions: Sequence[str]) -> BinaryIO | None:
        """Puts questions, a line each, to a process that is kept, and gives where its answers can be read, all of which the
        caller does; None where none is kept, or it ended."""
        if self._answering is None:
            return None
        try:
            if words not in self._answering:
                self._answering[words] = running.Answering(["git", "-C", self.folder, *words], self.environment)
            return self._answering[words].ask("".join(f"{question}\n" for question in questions).encode())
        except OSError:
            return None

    def without_index(self) -> Git:
        """Gives a git that finds its index empty: what compares trees reads all of it for nothing, 20 ms of 160,000 entries."""
        other = Git(self.folder, self.environment | {"GIT_INDEX_FILE": _NO_INDEX})
        other.promisors = self.promisors
        return other

    def run(self, *arguments: str, data: bytes | None = None, check: bool = True) -> bytes:
        """Runs git and gives what it printed. Raises GitFailed for a non-zero status if `check`."""
        return self.outcome(*arguments, data=data, check=check).stdout

    def text(self, *arguments: str, check: bool = True) -> str:
        """Runs git and gives its output as text without the newline at the end."""
        return os.fsdecode(self.run(*arguments, check=check)).removesuffix("\n")

    def succeeds(self, *arguments: str, data: bytes | None = None) -> bool:
        """Runs git and tells whether it ended with 0."""
        return self.outcome(*arguments, data=data, check=False).returncode == 0

    def outcome(self, *arguments: str, data: bytes | None = None, check: bool = True) -> running.Done:
        """Runs git and gives all of it: status, output, messages. Raises RemoteUnreachable."""
        return self.begin(*arguments, data=data).outcome(check=check)

    def begin(self, *arguments: str, data: bytes | None = None) -> Begun:
        """Starts git, whose `outcome` is asked for later: several of them run side by side."""
        # Of a folder that is gone the system speaks, not git. Programs that stand in git's place look at its first word.
        place = () if _is_here(self.folder) else ("-C", self.folder)
        try:
            return Begun(arguments, running.Running(["git", *place, *arguments], self.environment, data))
        except FileNotFoundError:
            raise MachineError("git is not installed, or not on the PATH", hint="install git") from None

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts git with pipes for its input and output; its messages go where ours go."""
        import subprocess

        return subprocess.Popen(
            ["git", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )


class Begun:
    """A git that was started. Its `outcome` is asked for once."""

    def __init__(self, arguments: Sequence[str], process: running.Running) -> None:
        self._arguments = arguments
        self._process = process

    def outcome(self, *, check: bool = True) -> running.Done:
        """Waits for its end and gives all of it. Raises GitFailed for a non-zero status if `check`, RemoteUnreachable."""
        done = self._process.end()
        if done.returncode != 0 and _NOT_PROMISED in done.stderr:
            raise RemoteUnreachable(
                "this is a partial clone, and its remote does not give an object that is not here yet",
                hint="connect to the remote and run the command again; nothing was changed",
            )
        if check and done.returncode != 0:
            raise GitFailed(f"git {_verb(self._arguments)}", done.returncode, os.fsdecode(done.stderr))
        return done


def _is_here(folder: str) -> bool:
    """Tells whether a folder is the current one. Raises OSError if it is none."""
    info = os.stat(folder)
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    try:
        return os.path.samestat(info, os.stat("."))
    except OSError:  # where we are we may not look
        return False


def _verb(arguments: Sequence[str]) -> str:
    """Gives the git command's name out of its arguments."""
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-c", "-C"):
            next(rest, None)
        elif not argument.startswith("-"):
            return argument
    return ""
