"""The trash: objects that collection took from their names, kept for a while as `trash/<hash>-<uuid7>`.

The id in a name says when the object came there, by the clock of then. Going there and coming back are one rename or link
each, so that a process that is killed leaves an object in one place or in both, and never in none. Only `empty` deletes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from typing import NamedTuple

from comfyvn_store.base import durable, files
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ObjectCorrupt
from comfyvn_store.store.objects import BLOCK, Store, open_file

FOLDER = "trash"
# How the names of files begin that are about to be deleted.
_GOING = "going-"
_NAME = re.compile(r"([0-9a-f]{64})-([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


class Trashed(NamedTuple):
    """An object in the trash: its file, when it came there (seconds since 1970) and how many bytes it has.

    `at` is the later of what the id says and of the file's last change of name: a clock may have been behind at one of them.
    """

    hash: str
    path: str
    at: float
    size: int


def listed(store: Store) -> list[Trashed]:
    """Gives what is in the trash, oldest first. Files that are not named like ours are left out. Raises OSError."""
    folder = os.path.join(store.root, FOLDER)
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        parts = _NAME.match(name)
        info = files.lstat(os.path.join(folder, name)) if parts else None
        if parts is not None and info is not None and stat.S_ISREG(info.st_mode):
            at = max(_moment(parts), info.st_ctime)
            found.append(Trashed(parts[1], os.path.join(folder, name), at, info.st_size))
    return sorted(found, key=lambda each: (each.at, each.path))


def is_old(at: float, grace: float, now: float) -> bool:
    """Tells whether a moment lies further back than `grace` seconds. One that is still to come, by a clock that jumped,
    does not."""
    return at + grace < now


def put(store: Store, hash_: str, used: float) -> Trashed | None:
    """Moves an object to the trash if it was last added at `used` (`Store.used_at`); None where it was used since, or has
    gone.

    Whoever adds an object dates it and then looks whether it is still there (`Store.refresh`). So an object that was dated
    before it was moved is seen to be so here, and goes back; one that was moved before is written anew by whoever adds it.
    """
    now = store.stat(hash_)
    if now is None or store.used_at(hash_, now) != used:
        return None
    parts = _NAME.match(f"{hash_}-{uuid7()}")
    assert parts is not None
    place = os.path.join(store.root, FOLDER, parts[0])
    try:
        _rename(store, store.path(hash_), place)
    except FileNotFoundError:
        return None
    info = os.lstat(place)
    moved = Trashed(hash_, place, max(_moment(parts), info.st_ctime), info.st_size)
    if store.used_at(hash_, info) != used:
        _put_back(store, moved)
        return None
    return moved


def restore(store: Store, item: Trashed) -> None:
    """Gives an object out of the trash its name again, durably, dated as used now; where the store has a good one, that
    stays, and what else has the name goes to quarantine.

    The bytes are hashed first. Raises ObjectCorrupt (nothing is changed then), OSError.
    """
    digest = hashlib.sha256()
    with open_file(item.path) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != item.hash:
        raise ObjectCorrupt(f"object {item.hash[:16]} is damaged in the trash: '{item.path}' has other bytes")
    _put_back(store, item)
    store.settle(item.hash)
    store.sync([item.hash])


def set_aside(store: Store, item: Trashed) -> Trashed | None:
    """Takes an object out of what is `listed`, for it is to be deleted; whoever sees it there before is not too late. None
    where it has gone."""
    place = os.path.join(store.root, FOLDER, _GOING + os.path.basename(item.path))
    try:
        os.rename(item.path, place)
    except FileNotFoundError:
        return None
    return item._replace(path=place)


def take_in(store: Store) -> None:
    """Lists again what was set aside and not deleted, by this process or by one that was killed. The caller holds the
    store's lock."""
    folder = os.path.join(store.root, FOLDER)
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.startswith(_GOING) and _NAME.match(name[len(_GOING) :]):
            os.rename(os.path.join(folder, name), os.path.join(folder, name[len(_GOING) :]))


def empty(store: Store, items: Iterable[Trashed]) -> list[Trashed]:
    """Deletes objects from the trash for good; gives those that were deleted. The caller holds the store's lock."""
    gone = []
    for item in items:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(item.path)
            gone.append(item)
    return gone


def _moment(parts: re.Match[str]) -> float:
    """Gives the time in a UUIDv7 (RFC 9562, section 5.7)."""
    return int(parts[2] + parts[3], 16) / 1000


def _rename(store: Store, source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        if files.lstat(source) is None:
            raise
        store.make_folders(os.path.dirname(target))
        os.rename(source, target)


def _put_back(store: Store, item: Trashed) -> None:
    """Gives a file in the trash its object's name; a good object that was written meanwhile stays, what else has the name
    is put aside. The file leaves the trash only once the name stands for its bytes."""
    target = store.path(item.hash)
    store.make_folders(os.path.dirname(target))
    while True:
        try:
            _link(item.path, target)
            break
        except FileExistsError:
            if store.has_good(item.hash, item.size):  # a wrong file has made way then; a folder or a link has not
                break
            with contextlib.suppress(FileNotFoundError):
                if not store.has(item.hash):
                    store.put_aside(target, item.hash)
    durable.sync_folder(os.path.dirname(target))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(item.path)


def _link(source: str, target: str) -> None:
    """Gives a file a second name, or where there are no hard links another one. Raises FileExistsError, OSError."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        if files.lstat(target) is not None:
            raise FileExistsError(errno.EEXIST, "has that name", target) from None
        os.rename(source, target)
