"""A server with locks of its own, such as a Git LFS server's: what is asked of it, and telling it of ours.

The locks of `vcs/locks.py` are the ones that count. A server is told so that tools which ask only it warn, too; whatever
goes wrong there is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.vcs.lockrecord import Lock


class ServerLock(NamedTuple):
    """A lock as a server tells it, which nobody has checked. `locked_at` is text."""

    id: str
    path: str
    owner: str
    locked_at: str
    branch: str | None = None


class NoLocks(ComfyvnError):
    """The server keeps no locks, which is nothing to tell people of."""

    slug = "no-locking"


class LockServer(Protocol):
    """Paths are relative to the work tree's top, branches are short names (None: all). Everything raises ComfyvnError,
    NoLocks where the server has none."""

    def create(self, path: str, branch: str | None) -> ServerLock:
        """Makes a lock."""

    def list(self) -> Iterable[ServerLock]:
        """Gives all locks."""

    def unlock(self, id_: str, *, force: bool) -> None:
        """Takes a lock away; `force` that of somebody else."""


def create(server: LockServer, locks: Iterable[Lock]) -> list[str]:
    """Tells the server of new locks; gives what it had against that."""
    notes: list[str] = []
    for lock in locks:
        _try(partial(server.create, lock.path, lock.branch), notes)
    return notes


def remove(server: LockServer, paths: Sequence[str], *, force: bool) -> list[str]:
    """Takes the server's locks of some paths away; gives what it had against that."""
    notes: list[str] = []
    if paths:
        for found in listed(server, notes):
            if found.path in paths:
                _try(partial(server.unlock, found.id, force=force), notes)
    return notes


def listed(server: LockServer, notes: list[str]) -> list[ServerLock]:
    """Gives the server's locks; what it had against that is added to `notes`."""
    found: list[ServerLock] = []
    _try(lambda: found.extend(server.list()), notes)
    return found


def _try(step: Callable[[], object], notes: list[str]) -> None:
    try:
        step()
    except NoLocks:
        return
    except ComfyvnError as error:
        note = f"the lock server: {error.message}"
        if note not in notes:
            notes.append(note)
