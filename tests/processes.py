"""Several processes on one repository: started, held back at a lock until all are there, and let go together."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.gitrepo import GitRepo, Result


def start(repo: GitRepo, *words: str, program: Sequence[str] = (sys.executable, "-P", "-m", "comfyvn_store")) -> Any:
    return subprocess.Popen([*program, *words], cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: Any) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out.decode(), err.decode()


def until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for a minute")


def has_open(process: Any, place: Path) -> bool:
    folder = f"/proc/{process.pid}/fd"
    try:
        return any(os.readlink(f"{folder}/{name}") == str(place) for name in os.listdir(folder))
    except OSError:
        return False


@contextmanager
def held(repo: GitRepo) -> Iterator[Path]:
    """Holds the lock of the work tree's views and sidecars, as a process of ours does."""
    place = (repo.path / ".git/comfyvn/repair.lock").resolve()
    with place.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield place


def together(repo: GitRepo, commands: Sequence[Sequence[str]]) -> list[tuple[int, str, str]]:
    """Runs commands that all wait at the same lock before any of them goes on."""
    with held(repo) as lock:
        processes = [start(repo, *words) for words in commands]
        until(lambda: all(has_open(process, lock) for process in processes))
    return [end(process) for process in processes]


def insistently(repo: GitRepo, *words: str) -> Result:
    """Runs git as people do where two work at once: again, if another process had a lock."""
    for _ in range(200):
        done = repo.git(*words, check=False)
        if done.code == 0:
            return done
        assert "index.lock" in done.err or "cannot lock ref" in done.err or "holds git's index" in done.err, done.err
    raise AssertionError(f"{words} never got a lock: {done.err}")
