"""A folder as a remote: a disk, a network share, or the store of another repository on this machine.

Its layout is the store's own (docs/formats/store.md), so a store can be a remote as it is. A folder of ours holds `format`;
one that lost it is taken for an unmounted disk, and nothing is written there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from comfyvn_store.base import copying, durable
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import (
    ComfyvnError,
    MachineError,
    ObjectCorrupt,
    ObjectMissing,
    Refused,
    RemoteDenied,
    RemoteUnreachable,
    from_os_error,
)
from comfyvn_store.remotes.remote import BLOCK, Item, Remote, Source
from comfyvn_store.store.objects import Store

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Folder(Remote):
    """Objects in the folder `root`, with modes as `sharing` says.

    `is_store` says that it is the store of a repository, which needs no `format` of ours: `init` there writes that.
    """

    verifies = True
    jobs = 4

    def __init__(
        self,
        name: str,
        root: str,
        *,
        sharing: Sharing = PRIVATE,
        is_writable: bool = True,
        is_store: bool = False,
    ) -> None:
        self.name = name
        self.place = root
        self.is_writable = is_writable
        self._is_store = is_store
        self._store = Store(root, sharing)
        # The folders of objects that got new names since `finish`.
        self._written: set[str] = set()

    @property
    def root(self) -> str:
        """The folder, for who looks whether two remotes are one."""
        return self._store.root

    def create(self) -> None:
        """Makes the folder a remote: what is there stays. Raises RemoteUnreachable if the folder above it is not there."""
        if self._is_store:
            return
        above = os.path.dirname(self._store.root)
        if not os.path.isdir(above):
            raise RemoteUnreachable(
                f"there is no folder '{above}' to make remote '{self.name}' in", hint="is the disk plugged in?"
            )
        with self._explained():
            self._store.create()

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Gives those that are there, with their sizes."""
        self._require()
        found: dict[str, int | None] = {}
        with self._explained():
            for item in items:
                info = self._store.stat(item.hash)
                if info is not None and self._is_sound(item.hash, info):
                    found[item.hash] = info.st_size
        return found

    def _is_sound(self, hash_: str, info: os.stat_result) -> bool:
        """Whether nobody wrote to an object; one whose mode or time is another than ours is read, and noted if it is right."""
        if not self._store.is_touched(info):
            return True
        if not self._store.is_sound(hash_):
            return False
        if self.is_writable:
            self._store.settle(hash_)
            self._store.sync([hash_])  # its owner may not have come to that yet
        return True

    def is_file_of(self, item: Item, info: os.stat_result) -> bool:
        """Tells whether an object here is that very file: another name or path of it, and no second copy."""
        here = self._store.stat(item.hash)
        return here is not None and os.path.samestat(here, info)

    def shares_file_with(self, other: Folder, item: Item) -> bool:
        """Tells whether an object here and in another folder are one file, so that one failure takes both."""
        info = other._store.stat(item.hash)
        return info is not None and self.is_file_of(item, info)

    def shows(self, name: str) -> bool:
        """Tells whether there is a file of that name, relative to the folder."""
        return os.path.lexists(os.path.join(self._store.root, name))

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Gives the bytes."""
        self._require()
        with self._explained():
            stream = self._open(item.hash)
        with stream:
            with self._explained():
                stream.seek(start)
            while True:
                with self._explained():
                    block = stream.read(BLOCK)
                if not block:
                    return
                yield block

    def share_with(self, item: Item, target: int) -> bool:
        """Lets the target share the object's blocks, where both are on one file system that can do that."""
        with self._explained(), self._open(item.hash) as stream:
            return copying.share_blocks(stream.fileno(), target)

    def put(self, item: Item, source: Source) -> bool:
        """Copies the bytes, hashing them on their way. Raises ObjectCorrupt if they are not what they should be."""
        self._require_writable()
        with self._explained():
            info = self._store.stat(item.hash)
            if info is not None and info.st_size == source.size and self._is_sound(item.hash, info):
                return False
            with source.open() as stream, self._store.temp() as target:
                digest = hashlib.sha256()
                while block := _read(stream, source.path):
                    digest.update(block)
                    target.write(block)
                if digest.hexdigest() != item.hash:
                    raise ObjectCorrupt(
                        f"object {item.hash[:16]} is damaged here; it was not sent",
                        hint="`comfyvn-store status` names the file, `comfyvn-store recover` mends it",
                    )
                os.fsync(target.stream.fileno())
                self._store.sharing.adjust(target.path)
                target.keep(item.hash, is_durable=True)
        self._written.add(item.hash[:2])
        return True

    def list(self) -> Iterator[Item]:
        """Gives all objects, in order."""
        self._require()
        if not os.path.isdir(os.path.join(self._store.root, "objects")):
            return
        with self._explained():
            for hash_ in self._store.hashes():
                info = self._store.stat(hash_)
                if info is not None:
                    yield Item(hash_, info.st_size)

    def delete(self, hash_: str) -> None:
        """Removes the object's file."""
        self._require_writable()
        with self._explained(), contextlib.suppress(FileNotFoundError):
            os.unlink(self._store.path(hash_))

    def finish(self) -> None:
        """Makes the names of what was sent durable, and removes what senders that ended badly left."""
        with self._explained():
            objects = os.path.join(self._store.root, "objects")
            written, self._written = self._written, set()
            for folder in [*(os.path.join(objects, fan) for fan in sorted(written)), *([objects] if written else [])]:
                durable.sync_folder(folder)
            self._store.sweep()

    def test(self) -> None:
        """Looks whether the folder is there, and whether it may be written to if it should."""
        self._require()
        place = self._store.root if os.path.isdir(self._store.root) else os.path.dirname(self._store.root)
        if self.is_writable and not os.access(place, os.W_OK | os.X_OK):
            raise RemoteDenied(f"'{self.place}' (remote '{self.name}') may not be written to", hint="check who owns it")

    def _open(self, hash_: str) -> BinaryIO:
        try:
            return self._store.open(hash_)
        except ObjectMissing:
            raise ObjectMissing(f"remote '{self.name}' does not hold object {hash_[:16]}") from None

    def _require(self) -> None:
        """Raises RemoteUnreachable where the folder is not there, NewerStore for one of a later version."""
        root = self._store.root
        if not os.path.isdir(root if not self._is_store else os.path.dirname(root)):
            raise RemoteUnreachable(
                f"'{self.place}' (remote '{self.name}') is not there", hint="is the disk plugged in, the share mounted?"
            )
        if not self._store.exists and not self._is_store:
            raise RemoteUnreachable(
                f"'{self.place}' (remote '{self.name}') holds no store",
                hint="is the disk plugged in? If it is a new one: comfyvn-store remote add",
            )
        self._store.check_format()

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise Refused(
                f"remote '{self.name}' is only read here: it came with the repository",
                hint=f"if you trust it: comfyvn-store remote trust {self.name}",
            )
        self._require()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Tells failures of this folder from those of our own disk."""
        try:
            yield
        except ComfyvnError:
            raise
        except OSError as error:
            if error.errno in _FULL:
                raise MachineError(
                    f"the disk of remote '{self.name}' is full ('{self.place}')",
                    hint="make room there and run the command again",
                ) from error
            if error.errno in _DENIED:
                raise RemoteDenied(from_os_error(error, f"use remote '{self.name}':").message) from error
            raise RemoteUnreachable(
                f"remote '{self.name}' failed: {(error.strerror or str(error)).lower()} ('{self.place}')",
                hint="is the disk still plugged in?",
                is_passing=error.errno in (errno.ESTALE, errno.EINTR, errno.EAGAIN, errno.ETIMEDOUT),
            ) from error


def _read(stream: BinaryIO, path: str) -> bytes:
    """Reads a block of our own object; a failure is our disk's, not the remote's."""
    try:
        return stream.read(BLOCK)
    except OSError as error:
        raise from_os_error(error, f"read '{path}'") from error
