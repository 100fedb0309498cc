"""Which repositories use a store: the file `users` in a store that several share, one git common folder a line.

Whoever removes objects asks here first, and holds the store's lock while it removes. A line goes only when its repository
leaves or somebody says so: one whose folder is not there may be on a disk that is not mounted, and its git names objects
all the same. The line UNKNOWN stands for repositories that nobody can name, because the list was lost.
"""

from __future__ import annotations

import os
import re

from comfyvn_store.base import files
from comfyvn_store.store import moving
from comfyvn_store.store.lock import locked
from comfyvn_store.store.objects import Store

NAME = "users"
UNKNOWN = "?"
_PATIENCE = 10.0
_LONGEST = 16 << 20


def users(store: Store) -> list[str]:
    """Gives the git common folders of the repositories that noted themselves, in order; they may be gone by now.

    Raises OSError where that cannot be read: who removes objects must not take it for "nobody".
    """
    try:
        lines = files.read_small(os.path.join(store.root, NAME), _LONGEST).split(b"\n")
    except FileNotFoundError:
        return []
    return sorted({os.fsdecode(_unescaped(line)) for line in lines if line})


def register(store: Store, common_dir: str, *, patience: float = _PATIENCE) -> None:
    """Notes that a repository uses the store; where the store has objects and no user, that others may.

    Raises LockTimeout after `patience` seconds, OSError.
    """
    _write(store, patience, added=common_dir)


def unregister(store: Store, common_dir: str, *, patience: float = _PATIENCE) -> None:
    """Notes that a repository does not use the store any more. Raises LockTimeout after `patience` seconds, OSError."""
    _write(store, patience, removed=common_dir)


def forget(store: Store, gone: str, common_dir: str, *, patience: float = _PATIENCE) -> None:
    """Takes out the line of a repository that is gone for good, and notes `common_dir`, whose user says so.

    Raises LockTimeout after `patience` seconds, OSError.
    """
    _write(store, patience, added=common_dir, removed=gone)


def is_gone(common_dir: str) -> bool:
    """Tells whether a repository is not where it was; one that we may not look at is."""
    if not os.path.isabs(common_dir):
        return True
    try:
        os.stat(common_dir)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no path can be like that
        return True
    except OSError:
        return False
    return False


def _write(store: Store, patience: float, *, added: str | None = None, removed: str | None = None) -> None:
    with locked(store.lock_path, patience, store.sharing):
        before = users(store)
        after = {*before, *([added] if added is not None else [])}
        if not before and moving.holds_objects(store):
            after.add(UNKNOWN)
        after.discard(removed or "")
        if sorted(after) != before:
            text = b"".join(_escaped(os.fsencode(user)) + b"\n" for user in sorted(after))
            files.write_atomic(os.path.join(store.root, NAME), text, durable=True, sharing=store.sharing)


def _escaped(path: bytes) -> bytes:
    return path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def _unescaped(line: bytes) -> bytes:
    return re.sub(rb"\\(.)", lambda found: b"\n" if found[1] == b"n" else found[1], line)
