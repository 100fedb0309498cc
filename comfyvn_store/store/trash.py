"""The trash: objects that collection took from their names, kept for a while as `trash/<hash>-<uuid7>`.

The id in a name says when the object came there, by the clock of then. Going there and coming back are one rename or link
each, so that a process that is killed leaves an object in one place or in both, and never in none. Only `empty` deletes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.base import digest, durable, files
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ObjectCorrupt
from comfyvn_store.store.objects import Store, open_file

FOLDER = "trash"
# So many objects at a time are made durable.
_AT_ONCE = 1000
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


class Restored(NamedTuple):
    """The hashes of objects that came back from the trash, and of those of which each copy in it is damaged."""

    back: list[str]
    damaged: list[str]


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
    if _restore(store, [item]):
        raise ObjectCorrupt(f"object {item.hash[:16]} is damaged in the trash: '{item.path}' has other bytes")


def restore_each(store: Store, items: Iterable[Trashed], tell: Callable[[int], None]) -> Restored:
    """Restores many objects as `restore` does; of one that is there several times the first copy that is good.

    `tell` hears how many are dealt with. Raises OSError.
    """
    copies: dict[str, list[Trashed]] = {}
    for item in items:
        copies.setdefault(item.hash, []).append(item)
    back: list[str] = []
    damaged: list[str] = []
    due = list(copies)
    while due:
        wrong: set[str] = set()
        for start in range(0, len(due), _AT_ONCE):
            batch = due[start : start + _AT_ONCE]
            wrong |= {item.hash for item in _restore(store, [copies[hash_].pop(0) for hash_ in batch])}
            back += [hash_ for hash_ in batch if hash_ not in wrong]
            tell(len(back))
        damaged += [hash_ for hash_ in due if hash_ in wrong and not copies[hash_]]
        due = [hash_ for hash_ in due if hash_ in wrong and copies[hash_]]
    return Restored(back, damaged)


def _restore(store: Store, items: Sequence[Trashed]) -> list[Trashed]:
    """Gives good ones their names and takes them out of the trash once that is durable; gives those that are damaged, or
    cannot be read."""
    damaged, back = [], []
    for item in items:
        if not _is_right(item):
            damaged.append(item)
            continue
        _name(store, item)
        store.settle(item.hash)
        back.append(item)
    store.sync([item.hash for item in back])
    for item in back:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(item.path)
    return damaged


def _is_right(item: Trashed) -> bool:
    try:
        with open_file(item.path) as stream:
            return digest.sha256(stream) == item.hash
    except OSError:
        return False


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
    """Gives a file in the trash its object's name, and takes it out of the trash."""
    _name(store, item)
    durable.sync_folder(os.path.dirname(store.path(item.hash)))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(item.path)


def _name(store: Store, item: Trashed) -> None:
    """Gives a file in the trash its object's name as well; a good object that was written meanwhile stays, what else has the
    name is put aside. The file is to leave the trash only once the name stands for its bytes."""
    target = store.path(item.hash)
    store.make_folders(os.path.dirname(target))
    while True:
        try:
            _link(item.path, target)
            return
        except FileExistsError:
            if store.has_good(item.hash, item.size):  # a wrong file has made way then; a folder or a link has not
                return
            with contextlib.suppress(FileNotFoundError):
                if not store.has(item.hash):
                    store.put_aside(target, item.hash)


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
