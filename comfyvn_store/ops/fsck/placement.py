"""What lies under `objects/`: which of it has the name of an object, and what the rest is."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from typing import NamedTuple

from comfyvn_store.base import links
from comfyvn_store.base.digest import sha256
from comfyvn_store.ops.fsck.finding import FOREIGN, MISPLACED, REPAIR, Finding
from comfyvn_store.ops.wiring import quoted
from comfyvn_store.store.objects import Store, open_file


class Placed(NamedTuple):
    """Something under `objects/`; `hash` is the object whose name it has, None for another name."""

    path: str
    hash: str | None
    info: os.stat_result

    @property
    def is_object(self) -> bool:
        """Whether it is a file under an object's name."""
        return self.hash is not None and stat.S_ISREG(self.info.st_mode)


def walk(store: Store) -> Iterator[Placed]:
    """Gives all of it, in order, one folder in memory at a time; follows no link."""
    top = os.path.join(store.root, "objects")
    for fan, info in _listed(top):
        place = os.path.join(top, fan)
        if not stat.S_ISDIR(info.st_mode):
            yield Placed(place, None, info)
            continue
        for name, inner in _listed(place):
            yield Placed(os.path.join(place, name), fan + name if _is_fan(fan + name, fan) else None, inner)


def count(store: Store) -> int:
    """Gives about how many objects there are, without looking at each."""
    found = 0
    for fan, info in _listed(os.path.join(store.root, "objects")):
        if stat.S_ISDIR(info.st_mode):
            with contextlib.suppress(OSError):
                found += len(os.listdir(os.path.join(store.root, "objects", fan)))
    return found


def _is_fan(text: str, fan: str) -> bool:
    return len(fan) == 2 and links.is_hash(text)


def _listed(folder: str) -> list[tuple[str, os.stat_result]]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue
    except OSError:
        return []
    return sorted(found)


def judge(store: Store, placed: Placed, needed: Collection[str]) -> Finding:
    """Says what something is that is no object under its own name. Reads it, if it is an ordinary file."""
    name = os.path.relpath(placed.path, store.root)
    if not stat.S_ISREG(placed.info.st_mode):
        what = _kind(placed.info.st_mode)
        if placed.hash is not None:
            message = f"{what} has the name of an object"
            return Finding(FOREIGN, message, REPAIR, [placed.path], placed.hash, True)
        return Finding(
            FOREIGN, f"{what} lies among the objects", f"look at it, then: rm -r {quoted(placed.path)}", [placed.path]
        )
    digest = digest_of(placed.path)
    if digest is not None and (digest in needed or store.has(digest) or _spelt(store, placed.path) == digest):
        return Finding(
            MISPLACED, f"'{name}' is an object under another name than its own", REPAIR, [placed.path], digest, True
        )
    remedy = f"look at it, then: rm {quoted(placed.path)}"
    return Finding(FOREIGN, "a file that is no object lies among the objects", remedy, [placed.path])


def digest_of(path: str) -> str | None:
    """Gives the hash of an ordinary file's bytes, None if it cannot be read."""
    try:
        with open_file(path) as stream:
            return sha256(stream)
    except OSError:
        return None


def _spelt(store: Store, path: str) -> str:
    """Gives the hash that a name would be, were it written as it should: in lower case, below its own folder."""
    inside = os.path.relpath(path, os.path.join(store.root, "objects"))
    last = os.path.basename(inside).lower()
    return last if links.is_hash(last) else inside.replace(os.sep, "").lower()


def _kind(mode: int) -> str:
    for test, word in ((stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a symlink"), (stat.S_ISFIFO, "a pipe")):
        if test(mode):
            return word
    return "a device or socket"
