"""Advisory locks on files (flock), waited for with a bound. A lock ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import LockTimeout

try:
    import fcntl
except ImportError:  # Windows has no flock; msvcrt locks one byte instead.
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def locked(path: str, timeout: float, sharing: Sharing = PRIVATE) -> Iterator[None]:
    """Holds the lock file at `path`; `timeout` in seconds, 0 tries once. Whom `sharing` admits can hold it, too.

    Raises LockTimeout if another process holds it for longer, OSError if the file cannot be opened.
    """
    descriptor = _open(path)
    sharing.adjust(path)
    try:
        deadline = time.monotonic() + timeout
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise LockTimeout(
                    f"another comfyvn-store process is at work here ('{os.path.basename(path)}' is locked)",
                    hint="wait for it to end and run the command again",
                )
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    # A lock may lie in a folder of somebody else's, who could put a link there, or a pipe.
    flags = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"))
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        if not os.path.exists(path):
            raise
        return os.open(path, os.O_RDONLY | flags)  # another user's: reading is enough for flock


def try_lock(descriptor: int) -> bool:
    """Locks an open file against every other process until it is closed; gives False if one has locked it."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return True
    except OSError:
        return False
