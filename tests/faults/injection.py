"""strace around our own processes, wherever they start: counting their calls that change files, and injecting faults.

Only our process is traced, with its threads: children that execute another program are let go (`-b execve`). strace counts
calls for each thread by itself, and so do we.
"""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gitrepo import Result, run

CREATING = ("openat", "open", "creat")
WRITING = ("write", "pwrite64", "copy_file_range", "sendfile", "ftruncate")
NAMING = ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat")
REMOVING = ("unlink", "unlinkat", "rmdir")
SYNCING = ("fsync", "fdatasync", "syncfs")
MARKING = ("chmod", "fchmod", "fchmodat", "utimensat")
LOCKING = ("flock", "fcntl")
CHANGING = (*CREATING, *WRITING, *NAMING, *REMOVING, *SYNCING, *MARKING, *LOCKING)
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_LOCK_WORDS = ("F_SETLK", "F_OFD_SETLK", "LOCK_")


class Point(NamedTuple):
    """The N-th call of one kind in some thread of our process."""

    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call}:{self.number}"


class Fault(NamedTuple):
    """What happens at a point: the process is killed there, or the call gives an error."""

    point: Point
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}@{self.point}"

    @property
    def is_kill(self) -> bool:
        return self.kind == "KILL"

    def option(self) -> str:
        what = "signal=KILL" if self.is_kill else f"error={self.kind}"
        return f"inject={self.point.call}:{what}:when={self.point.number}"


@functools.cache
def reason_against() -> str | None:
    """Why nothing can be injected here, or None."""
    program = shutil.which("strace")
    if not sys.platform.startswith("linux") or program is None:
        return "strace is not installed"
    words = [
        program,
        "-f",
        "-b",
        "execve",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=EIO",
    ]
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"strace does not work here: {done.stderr.strip()[:200]}"


def required() -> None:
    """Skips the test where nothing can be injected."""
    reason = reason_against()
    if reason:
        pytest.skip(reason)


class Tracer:
    """Runs a command while our process in it, the one whose arguments hold `role`, is traced.

    With an empty role the command is ours itself; else git starts ours, through a program in Python's place.
    """

    def __init__(self, folder: Path, world: Path, role: str) -> None:
        self._world, self._role = world, role
        self.log = folder / "strace.log"
        self._wrapper = folder / "python"
        self._options = folder / "options"
        options, python = shlex.quote(str(self._options)), shlex.quote(sys.executable)
        self._wrapper.write_text(
            f'#!/bin/sh\ntest ! -e {options} || case "$*" in {role or "*"}) '
            f'exec {shlex.quote(shutil.which("strace") or "")} $(cat {options}) {python} "$@" ;; esac\n'
            f'exec {python} "$@"\n'
        )
        self._wrapper.chmod(0o755)

    def install(self, repo: Path) -> None:
        """Lets git start our processes through the wrapper."""
        for key in ("comfyvn.python", "filter.comfyvn.process", "filter.comfyvn-sidecar.process"):
            old = run(["git", "config", key], cwd=repo).out
            run(["git", "config", key, old.replace(sys.executable, str(self._wrapper))], cwd=repo)

    def points(self, command: list[str], cwd: Path, good: Collection[int] = (0,)) -> list[Point]:
        """Every call of a good run that changes something in the world."""
        done = self._run(command, cwd, f"-y -e trace={','.join(CHANGING)}")
        assert done.code in good, (done.code, done.out, done.err)
        return sorted(set(self._read()))

    def inject(self, command: list[str], cwd: Path, fault: Fault) -> Result:
        return self._run(command, cwd, f"-y -e trace={fault.point.call} -e {fault.option()}")

    def has_landed(self) -> bool:
        """Whether a call that failed was one that changes something in the world: not every run makes the same calls."""
        failed = (
            _LINE.match(line) for line in self.log.read_text(errors="replace").splitlines() if "(INJECTED)" in line
        )
        return any(found is not None and self._changes(found[2], found[3]) for found in failed)

    def _run(self, command: list[str], cwd: Path, options: str) -> Result:
        self.log.unlink(missing_ok=True)
        self._options.write_text(f"-f -b execve -qq -s 0 -A -o {self.log} {options}")
        words = command if self._role else [str(self._wrapper), *command]
        try:
            return run(words, cwd=cwd, check=False, env={"PYTHONDONTWRITEBYTECODE": "1"})
        finally:
            self._options.unlink()

    def _read(self) -> Iterator[Point]:
        counts: dict[tuple[str, str], int] = {}
        for line in self.log.read_text(errors="replace").splitlines():
            found = _LINE.match(line)
            if not found:
                continue
            thread, call, rest = found.groups()
            counts[thread, call] = counts.get((thread, call), 0) + 1
            if self._changes(call, rest):
                yield Point(call, counts[thread, call])

    def _changes(self, call: str, rest: str) -> bool:
        if call in CREATING and "O_CREAT" not in rest:
            return False
        if call in LOCKING and not any(word in rest for word in _LOCK_WORDS):
            return False
        if call in (*WRITING, *SYNCING, *LOCKING, "fchmod"):
            return f"<{self._world}/" in rest or f"<{self._world}>" in rest
        return True
