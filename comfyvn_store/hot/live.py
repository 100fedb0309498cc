"""The live commit: pre-commit leaves git's process id, post-commit takes it away; in between nobody else repairs."""

from __future__ import annotations

import contextlib
import os
import time

from comfyvn_store.base import files
from comfyvn_store.base.processes import is_alive
from comfyvn_store.vcs.repository import Repository

NAME = "commit.pid"
# Nobody writes a commit message for a day: by then the id may be another program's.
_LONGEST = 24 * 3600.0


def begin(repository: Repository) -> None:
    """Notes that a commit is under way; its git is our parent (the shim gives its place to us) or, where a hook manager
    called us, one above."""
    with contextlib.suppress(OSError):
        place = os.path.join(repository.own_dir, NAME)
        process = _git_above(os.getppid())
        text = f"{process}\n{_began(process) or ''}\n"
        files.write_atomic(place, text.encode(), sharing=repository.settings.sharing)


def end(repository: Repository) -> None:
    """Notes that the commit is made."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(repository.own_dir, NAME))


def is_going_on(repository: Repository) -> bool:
    """Tells whether the git that began a commit still lives."""
    try:
        with open(os.path.join(repository.own_dir, NAME), encoding="ascii") as stream:
            process, began = int(stream.readline()), stream.readline().strip()
            if time.time() - os.fstat(stream.fileno()).st_mtime > _LONGEST:
                return False
    except (OSError, ValueError):
        return False
    # A git that was killed leaves its note, and its id is another program's one day.
    return is_alive(process) and began in ("", _began(process))


def _began(process: int) -> str | None:
    """Gives what tells a process from a later one with its id: when it began, in ticks since boot (Linux).

    None for one that has ended and whose parent never asked (a zombie), as in containers whose first process does not.
    """
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            words = stream.read().rpartition(b")")[2].split()
        return None if words[0] in (b"Z", b"X") else words[19].decode("ascii")
    except (OSError, IndexError):
        return None


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
