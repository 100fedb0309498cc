"""Sidecars out of git, read and taken apart, and compared with what lies in the work tree: alone, or in a process of its own.

Such a process is started for very many of them. It takes batches from its parent and ends with it.
"""

from __future__ import annotations

import gc
import marshal
import os
import re
import stat
import sys
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.asset.sidecar import BrokenSidecar
from comfyvn_store.base import canonical, links, names
from comfyvn_store.index import columns
from comfyvn_store.vcs import blobs, history

UNREADABLE = "it is empty, or too long"


class Order(NamedTuple):
    """A sidecar's blob, and of an asset in git's index that has it: path (relative to the assets root), link's blob, and
    the name of its mirror; None where that is not to be looked at."""

    oid: str
    path: str | None = None
    link_oid: str | None = None
    mirror: str | None = None


class Fact(NamedTuple):
    """What is told of a sidecar's blob at once; `reason` says why it is none.

    `is_own`: the link of the asset leads to these bytes. `commit` is the one in the file on disk ("null" for none), where
    file, mirror and view are what this blob makes of them, else None.
    """

    id: str | None
    hash: str | None
    is_own: bool
    commit: str | None
    reason: str | None


class Place(NamedTuple):
    """Where the work tree is, and how it is to be compared; without a `clock` (git's index, in seconds) it is not."""

    git_dir: str
    top: str
    root: str
    object_format: str
    clock: int | None


# The end of a sidecar as git keeps it, whose provenance has no keys but ours: behind the parent the commit stands on disk.
_END = re.compile(rb'\n    "parent": (?:null|"[^"\\\n]*")\n  }\n}\n\Z')
_COMMIT = re.compile(rb',\n    "commit": (?:(null)|"([0-9a-f]{40,64})")\n  }\n}\n\Z')
_TAIL = b"\n  }\n}\n"


def take(data: bytes | None, order: Order, place: Place) -> tuple[Fact, columns.Columns | None]:
    """Takes a sidecar's text apart."""
    if not data or len(data) > canonical.LONGEST_JSON:
        return Fact(None, None, False, None, UNREADABLE), None
    try:
        found = columns.of(data)
    except BrokenSidecar as error:
        return Fact(None, None, False, None, str(error)), None
    hash_ = found[columns.HASH]
    is_own, commit = False, None
    if order.path is not None:
        text = links.link_text(f"{place.root}/{order.path}", hash_)
        is_own = blobs.blob_id(text.encode(), place.object_format) == order.link_oid
        if is_own and order.mirror is not None and place.clock is not None and found[columns.PATH] == order.path:
            commit = _commit_on_disk(data, order, place, text)
    return Fact(found[columns.ID], hash_, is_own, commit, None), found


def _commit_on_disk(data: bytes, order: Order, place: Place, text: str) -> str | None:
    """Gives the commit that the sidecar on disk names, if nothing but that may be left to be brought up to date."""
    if not _END.search(data, max(0, len(data) - 300)) or b'"commit"' in data:
        return None
    view = f"{place.top}/{place.root}/{order.path}"
    mirror = f"{place.top}/{place.root}/{names.META_FOLDER}/{os.path.dirname(order.path or '')}/{order.mirror}"
    try:
        if os.readlink(view) != text:
            return None
        said = _read(names.sidecar_path(view), place.clock)
        if said is None or not _holds(mirror, said):
            return None
    except OSError:
        return None
    found = _COMMIT.search(said, max(0, len(said) - 120))
    if found is None or said[: found.start()] + _TAIL != data:
        return None
    return (found[1] or found[2]).decode("ascii")


_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _holds(path: str, data: bytes) -> bool:
    """Tells whether a file holds these bytes."""
    descriptor = os.open(path, _FLAGS)
    try:
        return os.read(descriptor, len(data) + 1) == data
    finally:
        os.close(descriptor)


def _read(path: str, clock: int | None) -> bytes | None:
    """Reads an ordinary file; None for one that is no older than `clock`."""
    descriptor = os.open(path, _FLAGS)
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or (clock is not None and int(info.st_mtime) >= clock):
            return None
        return os.read(descriptor, min(info.st_size, canonical.LONGEST_JSON))
    finally:
        os.close(descriptor)


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Works until the parent closes the pipe: batches of orders come in, facts and columns of each go out."""
    gc.disable()  # what is read holds no circles, and goes as soon as it is written
    place = Place(*_receive(source))
    try:
        reader = history.QuickReader(place.git_dir)
    except Exception:  # pygit2 may be missing or refuse the repository: the parent asks git, then
        return
    while (batch := _receive(source)) is not None:
        facts: list[Any] = []
        said: list[Any] = []
        for words in batch:
            order = Order(*words)
            try:
                data = reader.read(order.oid, canonical.LONGEST_JSON)
            except KeyError:
                facts.append(None)
                said.append(None)
                continue
            fact, found = take(data, order, place)
            facts.append(tuple(fact))
            said.append(found)
        first, second = marshal.dumps(facts), marshal.dumps(said)
        target.write(len(first).to_bytes(8, "big") + len(second).to_bytes(8, "big") + first + second)
        target.flush()


def _receive(source: BinaryIO) -> Any:
    size = source.read(8)
    return marshal.loads(source.read(int.from_bytes(size, "big"))) if len(size) == 8 else None


def run() -> None:
    """The entry of the process, whose standard output nothing else may write to."""
    with open(os.dup(1), "wb") as target:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, target)
