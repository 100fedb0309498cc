"""Part files: the bytes of an object as a transfer brings them, kept when it ends early and taken up by the next.

`tmp/part-<hash>` belongs to whoever holds its lock, so of two transfers of one object the second waits or goes elsewhere.
Nothing gets an object's name before all of its bytes were hashed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat

from comfyvn_store.errors import LockTimeout
from comfyvn_store.store.lock import try_lock
from comfyvn_store.store.objects import BLOCK, PART_PREFIX, Store


class PartBusy(LockTimeout):
    """Another process is bringing this object just now."""


class Part:
    """One object on its way in. Raises PartBusy on making if another process has it, OSError.

    On leaving the `with` block without `keep` or `reject` the bytes stay for the next transfer.
    """

    def __init__(self, store: Store, hash_: str) -> None:
        self._store = store
        self.hash = hash_
        self._descriptor, self.path = _open(store, hash_)
        self._digest = hashlib.sha256()
        self.size = 0
        try:
            self._read_again()
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def descriptor(self) -> int:
        """The open file, for whoever fills it as a whole (see `reread`)."""
        return self._descriptor

    def write(self, data: bytes | memoryview) -> None:
        """Writes behind what is there. Raises OSError (disk full)."""
        self._digest.update(data)
        view = memoryview(data)
        while view:
            count = os.write(self._descriptor, view)
            self.size += count
            view = view[count:]

    def restart(self) -> None:
        """Forgets what is there."""
        os.ftruncate(self._descriptor, 0)
        self.reread()

    def reread(self) -> None:
        """Hashes the file anew, after it was filled from outside."""
        self._digest = hashlib.sha256()
        self.size = 0
        self._read_again()

    def is_right(self) -> bool:
        """Tells whether the bytes that are there give the object's hash."""
        return self._digest.hexdigest() == self.hash

    def keep(self) -> None:
        """Makes the bytes durable and gives them their name. The caller has seen `is_right`. Raises OSError."""
        assert self.is_right()
        os.fsync(self._descriptor)
        if self._store.has_good(self.hash, self.size) and self._store.refresh(self.hash):
            os.unlink(self.path)
        else:
            self._store.name(self.path, self.hash)

    def reject(self) -> str:
        """Moves the bytes to quarantine and gives the path there."""
        return self._store.put_aside(self.path, self.hash)

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.size:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(self.path), os.fstat(self._descriptor)):
                    os.unlink(self.path)
        os.close(self._descriptor)

    def _read_again(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while block := os.read(self._descriptor, BLOCK):
            self._digest.update(block)
            self.size += len(block)


def _open(store: Store, hash_: str) -> tuple[int, str]:
    """Opens and locks the part file of an object; gives its descriptor and path."""
    folder = os.path.join(store.root, "tmp")
    store.make_folders(folder)
    path = store.part_path(hash_)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
        except PermissionError:
            # Another user's, in a store that several share: nothing of it can be taken up.
            path = os.path.join(folder, f"{PART_PREFIX}{hash_}-{os.getpid()}-{os.urandom(4).hex()}")
            descriptor = os.open(path, flags | os.O_EXCL, 0o666)
        if not try_lock(descriptor):
            os.close(descriptor)
            raise PartBusy(f"another process is fetching object {hash_[:16]}", hint="wait for it to end")
        # Between opening and locking the last holder may have given the file its name, or removed it.
        here = os.fstat(descriptor)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.lstat(path), here) and stat.S_ISREG(here.st_mode):
                store.sharing.adjust(path)
                return descriptor, path
        os.close(descriptor)
