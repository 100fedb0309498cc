"""Objects on their way from one store of this machine to another. Nothing is removed before it is whole and durable there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

from comfyvn_store.base import copying, digest, durable, files
from comfyvn_store.base.sharing import is_own
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing
from comfyvn_store.store import trash
from comfyvn_store.store.objects import Store, open_file


class Taken(NamedTuple):
    """The objects that a store has now, how many bytes they are, and the hashes of those that were damaged."""

    hashes: tuple[str, ...] = ()
    size: int = 0
    damaged: tuple[str, ...] = ()


def holds_objects(store: Store) -> bool:
    """Tells whether there is any object in a store."""
    try:
        return next(store.hashes(), None) is not None
    except FileNotFoundError:
        return False


def take_over(source: Store, target: Store) -> Taken:
    """Gives all objects of one store to another, durably, by a second name where the file system can do that.

    The source keeps what it has until `clear`; only what is damaged goes to its quarantine. Raises OSError.
    """
    taken: list[str] = []
    damaged: list[str] = []
    size = 0
    for hash_ in source.hashes() if os.path.isdir(os.path.join(source.root, "objects")) else ():
        info = source.stat(hash_)
        if info is None:
            continue
        try:
            if source.is_touched(info):
                source.verify(hash_)
            _place(source, target, hash_, info)
        except ObjectMissing:
            continue  # somebody else moved it
        except ObjectCorrupt:
            source.quarantine(hash_)
            damaged.append(hash_)
            continue
        taken.append(hash_)
        size += info.st_size
    _sync(target, taken)
    return Taken(tuple(taken), size, tuple(damaged))


def clear(source: Store, target: Store, hashes: Iterable[str]) -> None:
    """Removes what was taken over from the store where it was, and folders that are empty then.

    The caller holds the source's lock. An object that the target has not got, or with another size, stays, and so does one
    whose folder is the target's by another path (a symlink, a bind mount): it has only one name.
    """
    for hash_ in hashes:
        old, new = source.stat(hash_), target.stat(hash_)
        if old is None or new is None or old.st_size != new.st_size:
            continue
        if not os.path.samefile(os.path.dirname(source.path(hash_)), os.path.dirname(target.path(hash_))):
            with contextlib.suppress(OSError):  # another user's folder: it stays, a second copy
                os.unlink(source.path(hash_))
    top = os.path.join(source.root, "objects")
    for folder in [*(os.path.join(top, name) for name in _listed(top)), top]:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def bring(source: Store, target: Store, hashes: Iterable[str]) -> Taken:
    """Copies some objects, durably. Never by a second name: a program that wrote through one would damage both.

    What the source has only in its trash, or whole only there, comes out of there; what it has not got is left out. Raises
    OSError.
    """
    taken: list[str] = []
    damaged: list[str] = []
    size = 0
    in_trash: dict[str, list[str]] = {}
    for item in trash.listed(source):
        in_trash.setdefault(item.hash, []).append(item.path)
    for hash_ in hashes:
        places = [source.path(hash_), *in_trash.get(hash_, ())]
        try:
            found = _bring_one(target, hash_, places)
        except ObjectCorrupt:
            damaged.append(hash_)
            continue
        if found is not None:
            taken.append(hash_)
            size += found
    _sync(target, taken)
    return Taken(tuple(taken), size, tuple(damaged))


def _bring_one(target: Store, hash_: str, places: Iterable[str]) -> int | None:
    """Copies an object from the first file that is whole; gives its size, None where there is no file. Raises ObjectCorrupt,
    OSError."""
    wrong = None
    for place in places:
        info = files.lstat(place)
        if info is None or not stat.S_ISREG(info.st_mode):
            continue
        try:
            if not target.has_good(hash_, info.st_size):
                with open_file(place) as stream:
                    _copy(stream, target, hash_)
            return info.st_size
        except FileNotFoundError:
            continue  # somebody else moved it
        except ObjectCorrupt as error:
            wrong = error
    if wrong is not None:
        raise wrong
    return None


def _place(source: Store, target: Store, hash_: str, info: os.stat_result) -> None:
    there = target.stat(hash_)
    if there is not None and os.path.samestat(there, info):
        return
    if target.has_good(hash_, info.st_size) and target.refresh(hash_):
        return
    folder = os.path.dirname(target.path(hash_))
    target.make_folders(folder)
    # The mode of another user's file cannot be set, and Linux mostly does not let it have a second name of ours. A second
    # name keeps the group, too, which must be the store's where only the group may read.
    is_for_all = bool(target.sharing.object_mode(info.st_mode) & 0o004)
    if is_own(info) and (is_for_all or os.stat(folder).st_gid == info.st_gid):
        try:
            os.link(source.path(hash_), target.path(hash_), follow_symlinks=False)
        except OSError:
            pass
        else:
            target.settle(hash_)
            return
    with source.open(hash_) as stream:
        _copy(stream, target, hash_)


def _copy(stream: BinaryIO, target: Store, hash_: str) -> None:
    """Copies an object and reads what was written. Raises ObjectCorrupt, OSError."""
    with target.temp() as incoming:
        copying.copy(stream.fileno(), incoming.stream.fileno())
        os.fsync(incoming.stream.fileno())
        incoming.stream.seek(0)
        if digest.sha256(incoming.stream) != hash_:
            raise ObjectCorrupt(f"object {hash_[:16]} is damaged: its bytes have another hash")
        incoming.keep(hash_, is_durable=True)


def _sync(store: Store, hashes: list[str]) -> None:
    store.sync(hashes)
    durable.sync_folder(os.path.join(store.root, "objects"))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
