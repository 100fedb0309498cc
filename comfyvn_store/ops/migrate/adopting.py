"""Bytes that another program keeps become objects, without a second copy of them on the disk.

A file is hashed, and then gets a second name in the store (`link(2)`) and loses its write permission. That is safe where
nobody writes into it in place: Git LFS, git-annex and DVC put a new file under a new name instead, delete whole files, and
copy into the work tree. Deleting their name leaves ours. Where a file has names that we do not know (somebody linked it
into a work tree), or its owner may write into it (`annex.thin`), or it is another user's, its blocks are shared where the
disk can do that, else copied. A program that nevertheless writes through such a name leaves a time or a mode behind, as
with any object, and is noticed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from comfyvn_store.asset import ingest
from comfyvn_store.base import copying, digest, files, names
from comfyvn_store.base.sharing import is_own
from comfyvn_store.errors import Refused
from comfyvn_store.ops.migrate.claims import Kind, Version
from comfyvn_store.store import adoption
from comfyvn_store.vcs.repository import Repository

LINKED, COPIED, THERE, DAMAGED = "linked", "copied", "there", "damaged"


class Taken(NamedTuple):
    """An object and how its bytes came into the store; `place` is the file that they were found in."""

    hash: str
    size: int
    how: str
    place: str | None = None


class _Sums(NamedTuple):
    hash: str
    size: int
    is_right: bool


class Intake:
    """Takes the bytes of one kind into the store. `damaged` are files whose bytes are not those that their name says."""

    def __init__(self, repository: Repository, kind: Kind) -> None:
        self._repository = repository
        self._kind = kind
        self.damaged: list[str] = []

    def would(self, version: Version, spare: Sequence[str]) -> str | None:
        """Tells, without reading any file, how `take` would come by the bytes; None where they seem not to be here."""
        is_there = version.hash is not None and self._repository.store.has(version.hash)
        for place in self._kind.places(version):
            if _is_file(place):
                if not self._kind.writes_in_place and self._can_link(place, spare, version):
                    return LINKED
                return THERE if is_there else COPIED
        if is_there:
            return THERE
        for place in spare:
            if _is_file(place) and version.size in (None, os.path.getsize(place)):
                return LINKED if not self._repository.copies_views and self._can_link(place, spare, version) else COPIED
        return COPIED if self._kind.fetch is None else None

    def _can_link(self, place: str, spare: Sequence[str], version: Version) -> bool:
        info = os.lstat(place)
        is_near = info.st_dev == os.stat(self._repository.store.root).st_dev and is_own(info)
        return is_near and self._has_known_names(place, spare, version.hash or "0" * 64)

    def take(self, version: Version, spare: Sequence[str]) -> Taken | None:
        """Takes bytes in, from where the program keeps them, else from one of the `spare` files, which are views of the work
        tree that will be replaced; None where they are not to be had. Not durable before the store was synced.

        Raises OSError, Refused (a file changed while it was read).
        """
        store = self._repository.store
        info = store.stat(version.hash) if version.hash is not None else None
        is_there = version.hash is not None and info is not None and store.has_good(version.hash, info.st_size)
        for place in self._kind.places(version):
            taken = self._from_file(version, place, spare, may_link=not self._kind.writes_in_place)
            if taken is not None:
                return taken
        if is_there and version.hash is not None and info is not None and store.refresh(version.hash):
            return Taken(version.hash, info.st_size, THERE)
        # A file of the work tree stays one where views are copies, and people write into it.
        may_link = not self._repository.copies_views
        for place in spare:
            taken = self._from_file(version, place, spare, may_link=may_link, is_view=True)
            if taken is not None:
                return taken
        return self._from_blocks(version)

    def is_object(self, place: str, hash_: str) -> bool:
        """Tells whether a file and the object of that hash are there, both with the bytes that the hash says."""
        return _is_file(place) and self._sums(Version(hash_, hash_), place).is_right and self.is_spare(place, hash_)

    def is_spare(self, place: str, hash_: str) -> bool:
        """Tells whether a file with the bytes of an object can go: the object is that very file, or was just read."""
        store = self._repository.store
        info = store.stat(hash_)
        return info is not None and (_is_same(place, info) or store.is_sound(hash_))

    def _from_file(
        self, version: Version, place: str, spare: Sequence[str], *, may_link: bool, is_view: bool = False
    ) -> Taken | None:
        info = files.look(place)
        if info is None or not stat.S_ISREG(info.st_mode):
            return None
        seen = files.print_of(info)
        sums = self._sums(version, place)
        if not sums.is_right or not sums.size:
            if not is_view:
                self.damaged.append(place)
            return None
        if files.print_of(os.lstat(place)) != seen:
            raise Refused(f"'{names.printable(place)}' changed while it was read", hint="run the command again")
        store = self._repository.store
        may_link = may_link and self._has_known_names(place, spare, sums.hash)
        if store.has_good(sums.hash, sums.size) and store.refresh(sums.hash):
            # Stored before, perhaps by our filter while the other program still kept them: one copy is enough.
            is_apart = not _is_same(store.path(sums.hash), os.lstat(place))
            is_linked = may_link and is_apart and not is_view and adoption.replace(store, place, sums.hash, seen)
            return Taken(sums.hash, sums.size, LINKED if is_linked else THERE, place)
        if may_link and adoption.adopt(store, place, sums.hash, seen):
            return Taken(sums.hash, sums.size, LINKED, place)
        with open(place, "rb") as stream, store.temp() as incoming:
            copying.copy(stream.fileno(), incoming.stream.fileno())
            incoming.stream.seek(0)
            if digest.sha256(incoming.stream) != sums.hash:
                raise Refused(f"'{names.printable(place)}' changed while it was copied", hint="run the command again")
            incoming.keep(sums.hash)
        return Taken(sums.hash, sums.size, COPIED, place)

    def _has_known_names(self, place: str, spare: Sequence[str], hash_: str) -> bool:
        """Whether all names of a file are ones that nobody will write through: its own, the object's, and views that are
        about to be replaced."""
        info = os.lstat(place)
        others = [path for path in spare if path != place] if not self._repository.copies_views else []
        found = [path for path in (*others, self._repository.store.path(hash_)) if _is_same(path, info)]
        return info.st_nlink == 1 + len(set(found))

    def _from_blocks(self, version: Version) -> Taken | None:
        blocks = self._kind.blocks(version)
        if blocks is None:
            return None
        done = ingest.ingest(self._repository.store, blocks, mark=False)
        info = self._repository.store.stat(done.hash)
        return Taken(done.hash, info.st_size if info else 0, COPIED)

    def _sums(self, version: Version, place: str) -> _Sums:
        """Reads a file once and compares it with all that its name says."""
        whole, size = hashlib.sha256(), os.path.getsize(place)
        other = None
        if version.digest is not None:
            is_blob = version.digest[0] == "blob"
            algorithm = self._repository.object_format if is_blob else version.digest[0]
            start = b"blob %d\0" % size if is_blob else b""
            other = hashlib.new(algorithm, start, usedforsecurity=False)
        with open(place, "rb") as stream:
            for block in ingest.file_blocks(stream):
                whole.update(block)
                if other is not None:
                    other.update(block)
        is_right = version.hash in (None, whole.hexdigest())
        if other is not None and version.digest is not None:
            is_right = is_right and other.hexdigest() == version.digest[1]
        if other is None and version.hash is None:
            is_right = version.size in (None, size)
        return _Sums(whole.hexdigest(), size, is_right)


def _is_file(place: str) -> bool:
    info = files.lstat(place)
    return info is not None and stat.S_ISREG(info.st_mode)


def _is_same(place: str, info: os.stat_result) -> bool:
    other = files.lstat(place)
    return other is not None and os.path.samestat(other, info)
