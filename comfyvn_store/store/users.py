"""Which repositories use a store: the file `users` in a store that several share, one git common folder a line.

Whoever removes objects asks here first, and holds the store's lock while it removes. A line that names a folder which is
gone is dropped when the file is written next; a repository that comes back notes itself with its next command.
"""

from __future__ import annotations

import os
import re

from comfyvn_store.base import files
from comfyvn_store.store.lock import locked
from comfyvn_store.store.objects import Store

NAME = "users"
_PATIENCE = 10.0


def users(store: Store) -> list[str]:
    """Gives the git common folders of the repositories that noted themselves, in order; they may be gone by now.

    Raises OSError where that cannot be read: who removes objects must not take it for "nobody".
    """
    try:
        with open(os.path.join(store.root, NAME), "rb") as stream:
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return []
    return sorted({os.fsdecode(_unescaped(line)) for line in lines if line})


def register(store: Store, common_dir: str, *, patience: float = _PATIENCE) -> None:
    """Notes that a repository uses the store. Raises LockTimeout after `patience` seconds, OSError."""
    _write(store, patience, added=common_dir)


def unregister(store: Store, common_dir: str, *, patience: float = _PATIENCE) -> None:
    """Notes that a repository does not use the store any more. Raises LockTimeout after `patience` seconds, OSError."""
    _write(store, patience, removed=common_dir)


def is_gone(common_dir: str) -> bool:
    """Tells whether a repository is not there any more; one that we may not look at is."""
    try:
        os.stat(common_dir)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _write(store: Store, patience: float, *, added: str | None = None, removed: str | None = None) -> None:
    with locked(store.lock_path, patience, store.sharing):
        before = users(store)
        after = {user for user in before if user != removed and not is_gone(user)}
        after |= {added} if added is not None else set()
        if sorted(after) != before:
            text = b"".join(_escaped(os.fsencode(user)) + b"\n" for user in sorted(after))
            files.write_atomic(os.path.join(store.root, NAME), text, durable=True, sharing=store.sharing)


def _escaped(path: bytes) -> bytes:
    return path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def _unescaped(line: bytes) -> bytes:
    return re.sub(rb"\\(.)", lambda found: b"\n" if found[1] == b"n" else found[1], line)
