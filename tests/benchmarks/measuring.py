"""What a command takes: time, processor and memory, of it and of all that it starts.

A small process of its own starts the commands: on Linux a process begins with the memory of the one that started it, so one
that has imported much would be measured instead.
"""

from __future__ import annotations

import marshal
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# Reads (words, folder, environment, files for what is said), answers (seconds, processor, KiB, status).
_STARTER = """
import marshal, os, sys, time
asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
while True:
    try:
        program, words, folder, env, out, err = marshal.load(asked)
    except EOFError:
        break
    os.chdir(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, out, flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, err, flags, 0o600),
    ]
    begun = time.perf_counter()
    child = os.posix_spawn(program, words, env, file_actions=actions)
    _, status, used = os.wait4(child, 0)
    spent = time.perf_counter() - begun
    code = os.waitstatus_to_exitcode(status)
    os.chdir("/")
    marshal.dump((spent, used.ru_utime + used.ru_stime, used.ru_maxrss, code), answers)
    answers.flush()
"""


class Spent(NamedTuple):
    """Seconds on the clock, seconds of processors, and the most memory that one process held, in bytes."""

    seconds: float
    processor: float
    memory: int

    def plus(self, other: Spent) -> Spent:
        """Gives what both took, one after the other."""
        return Spent(self.seconds + other.seconds, self.processor + other.processor, max(self.memory, other.memory))


NOTHING = Spent(0.0, 0.0, 0)


class WorkFailed(Exception):
    """Work that was to be measured did not work, or gave something else than it should."""


class Starter:
    """Starts commands one after the other and measures them."""

    def __init__(self) -> None:
        self._said = Path(tempfile.mkdtemp(prefix="comfyvn-bench-said-"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, words: Sequence[str], folder: Path, env: Mapping[str, str], *, okay: Iterable[int] = (0,)) -> Spent:
        """Runs a command to its end. Raises WorkFailed with what it said."""
        program = shutil.which(words[0], path=env["PATH"])
        if program is None:
            raise WorkFailed(f"'{words[0]}' is not installed")
        out, err = self._said / "out", self._said / "err"
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None and answers is not None
        marshal.dump((program, list(words), str(folder), dict(env), str(out), str(err)), asked)
        asked.flush()
        seconds, processor, kibibytes, code = marshal.load(answers)
        if code not in okay:
            said = (err.read_bytes() + out.read_bytes()).decode(errors="replace")
            raise WorkFailed(f"{' '.join(words)} exited {code} in {folder}: {said[-2000:]}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Spent(seconds, processor, kibibytes * unit)

    def said(self) -> str:
        """Gives what the last command wrote to its standard output."""
        return (self._said / "out").read_text(encoding="utf-8", errors="replace")

    def complained(self) -> str:
        """Gives what the last command wrote to its standard error."""
        return (self._said / "err").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """Ends the process that starts the others."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        shutil.rmtree(self._said, ignore_errors=True)


def median(spent: Sequence[Spent]) -> Spent:
    """Gives the median of times, and the most memory of all."""
    return Spent(
        statistics.median(each.seconds for each in spent),
        statistics.median(each.processor for each in spent),
        max(each.memory for each in spent),
    )
