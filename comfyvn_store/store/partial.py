"""Part files: the bytes of an object as a transfer brings them, kept when it ends early and taken up by the next.

`tmp/part-<hash>` belongs to whoever holds its lock, so of two transfers of one object the second waits or goes elsewhere.
Nothing gets an object's name before all of its bytes were hashed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Sequence

from comfyvn_store.base import durable, files
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

    def name(self) -> None:
        """Gives the bytes, which are durable (see `keep`), their name. Raises OSError."""
        assert self.is_right()
        if self._store.has_good(self.hash, self.size) and self._store.refresh(self.hash):
            os.unlink(self.path)
        else:
            self._store.name(self.path, self.hash, is_durable=True)

    def reject(self) -> str:
        """Moves the bytes to quarantine and gives the path there; the same bytes need not lie there twice."""
        for place in self._store.quarantined(self.hash):
            if self._is_same_as(place):
                os.unlink(self.path)
                return place
        return self._store.put_aside(self.path, self.hash)

    def _is_same_as(self, place: str) -> bool:
        try:
            if os.stat(place).st_size != self.size:
                return False
            with open(place, "rb") as stream:
                return hashlib.file_digest(stream, "sha256").digest() == self._digest.digest()
        except OSError:
            return False

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets others have the object; what has come stays for them."""
        if self._descriptor < 0:
            return
        if not self.size:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(self.path), os.fstat(self._descriptor)):
                    os.unlink(self.path)
        os.close(self._descriptor)
        self._descriptor = -1

    def _read_again(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while block := os.read(self._descriptor, BLOCK):
            self._digest.update(block)
            self.size += len(block)


def keep(parts: Sequence[Part]) -> None:
    """Makes the bytes of parts durable, all at once, gives them their names and closes them, whatever happens.

    The caller has seen that each `is_right`. Raises OSError; those without a name then are taken up by the next transfer.
    """
    try:
        durable.sync_files([part.path for part in parts])
        for part in parts:
            part.name()
    finally:
        for part in parts:
            part.close()


def _make_way(path: str) -> None:
    """Removes what stands in a part file's place and is no ordinary file; opening it might never return."""
    info = files.lstat(path)
    if info is not None and not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
        os.unlink(path)


def _open(store: Store, hash_: str) -> tuple[int, str]:
    """Opens and locks the part file of an object; gives its descriptor and path."""
    folder = os.path.join(store.root, "tmp")
    store.make_folders(folder)
    path = store.part_path(hash_)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)
    while True:
        try:
            _make_way(path)
            descriptor = os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
            # Another user's, in a store that several share, or no file at all: nothing of it can be taken up.
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
