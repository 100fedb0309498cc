"""The live commit: pre-commit leaves git's process id, post-commit takes it away; in between nobody else repairs."""

from __future__ import annotations

import contextlib
import os
import time

from comfyvn_store.base import files
from comfyvn_store.vcs.repository import Repository

NAME = "commit.pid"
# Nobody writes a commit message for a day: by then the id may be another program's.
_LONGEST = 24 * 3600.0


def begin(repository: Repository) -> None:
    """Notes that a commit is under way; its git is our parent (the shim gives its place to us) or, where a hook manager
    called us, one above."""
    with contextlib.suppress(OSError):
        place = os.path.join(repository.own_dir, NAME)
        files.write_atomic(place, f"{_git_above(os.getppid())}\n".encode(), sharing=repository.settings.sharing)


def end(repository: Repository) -> None:
    """Notes that the commit is made."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(repository.own_dir, NAME))


def is_going_on(repository: Repository) -> bool:
    """Tells whether the git that began a commit still lives."""
    try:
        with open(os.path.join(repository.own_dir, NAME), encoding="ascii") as stream:
            process = int(stream.read())
            if time.time() - os.fstat(stream.fileno()).st_mtime > _LONGEST:
                return False
    except (OSError, ValueError):
        return False
    return _is_alive(process)


def _git_above(parent: int) -> int:
    """Gives the nearest process called git, from `parent` upwards; `parent` where there is none to be seen (no /proc)."""
    process = parent
    for _ in range(16):
        try:
            with open(f"/proc/{process}/stat", "rb") as stream:
                before, _, after = stream.read().rpartition(b")")
        except OSError:
            return parent
        if before.partition(b"(")[2] == b"git":
            return process
        process = int(after.split()[1])
    return parent


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
