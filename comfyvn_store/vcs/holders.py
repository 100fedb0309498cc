"""Who holds git's index: `index.lock` names nobody, so the processes that are at work here are looked at (Linux)."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from comfyvn_store.errors import LockTimeout
from comfyvn_store.vcs.git import Git

# Words of a command line that are shown.
_WORDS = 4


class Holder(NamedTuple):
    """A git that works in this work tree, or has the lock open."""

    process: int
    command: str


def timeout(git: Git) -> LockTimeout:
    """Gives the error for an index that another process did not let go of in time: who that is, and what to do."""
    place = git.text("rev-parse", "--path-format=absolute", "--git-path", "index.lock", check=False)
    holder = find(place, git.folder)
    if holder is not None:
        who = f"'{holder.command}' (process {holder.process})"
        return LockTimeout(f"{who} holds git's index ('index.lock' exists)", hint="wait for it to end and try again")
    age = _age(place)
    since = f", {age} old" if age else ""
    return LockTimeout(
        f"git's index is held ('index.lock' exists{since})",
        hint=f"no git that works here can be seen; if none does, one crashed: remove '{place}'",
    )


def find(place: str, top: str) -> Holder | None:
    """Gives the process that has the lock at `place` open, else a git whose folder is in the work tree `top`."""
    candidate = None
    for process in _processes():
        try:
            opened = {os.readlink(f"/proc/{process}/fd/{name}") for name in os.listdir(f"/proc/{process}/fd")}
            folder = os.readlink(f"/proc/{process}/cwd")
            with open(f"/proc/{process}/cmdline", "rb") as stream:
                words = [os.fsdecode(word) for word in stream.read().split(b"\0") if word]
        except OSError:
            continue
        if not words or process == os.getpid():
            continue
        holder = Holder(process, " ".join([os.path.basename(words[0]), *words[1:_WORDS]]))
        if os.path.realpath(place) in opened:
            return holder
        # git closes the lock while its hooks run.
        if os.path.basename(words[0]) == "git" and (folder + os.sep).startswith(os.path.realpath(top) + os.sep):
            candidate = candidate or holder
    return candidate


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _age(place: str) -> str:
    try:
        seconds = time.time() - os.lstat(place).st_mtime
    except OSError:
        return ""
    if seconds < 120:
        return f"{max(0, int(seconds))} seconds"
    return f"{int(seconds // 60)} minutes" if seconds < 7200 else f"{int(seconds // 3600)} hours"
