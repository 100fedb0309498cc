"""Where a file of an import goes, and whether it does: what stands at its place, by bytes, and what is done about a clash."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marking, readers, record
from comfyvn_store.base import files, links, media, names
from comfyvn_store.ops.importing.items import Item
from comfyvn_store.ops.importing.scratch import Scratch
from comfyvn_store.vcs.repository import Repository

SKIP, RENAME, REPLACE = "skip", "rename", "replace"
_BLOCK = 1 << 20
_MOST_NAMES = 10_000
TAKE, KNOWN, CLASH = "take", "known", "clash"


class Hashes(NamedTuple):
    """The hash of a file, and that of its bytes without a marker, which is the same where it has none."""

    whole: str
    bare: str


class Decision(NamedTuple):
    """What is done with a file: taken (in place of other bytes: `replaces`), known already, or left because of a clash."""

    what: str
    inside: str
    replaces: bool = False
    reason: str | None = None


def hashes_of(place: str) -> Hashes:
    """Reads a file. Raises OSError."""
    with open(place, "rb") as stream:
        return _hashes(stream)


def _hashes(stream: BinaryIO) -> Hashes:
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    whole = digest.hexdigest()
    found = marking.look(stream)
    if found is None or not found.payloads:
        return Hashes(whole, whole)
    return Hashes(whole, marking.digest(stream, found.without()).hexdigest())


def decide(repository: Repository, scratch: Scratch, inside: str, hashes: Hashes, policy: str) -> Decision:
    """Decides about a file that would go to a place below the assets root. Raises OSError."""
    standing = _stands(repository, scratch, inside, hashes)
    if standing is None:
        return Decision(TAKE, inside)
    is_same, reason = standing
    if is_same:
        return Decision(KNOWN, inside)
    if policy == REPLACE and scratch.file_at(inside) is None:
        return Decision(TAKE, inside, replaces=True)
    if policy == RENAME:
        return _renamed(repository, scratch, inside, hashes) or Decision(CLASH, inside, reason=reason)
    return Decision(CLASH, inside, reason=reason)


def _renamed(repository: Repository, scratch: Scratch, inside: str, hashes: Hashes) -> Decision | None:
    """Finds the first name `NAME-2`, `NAME-3` … that is free, or has these very bytes from an earlier run."""
    stem, ending = os.path.splitext(inside)
    for number in range(2, _MOST_NAMES):
        wanted = f"{stem}-{number}{ending}"
        if names.refusal(wanted):
            return None
        standing = _stands(repository, scratch, wanted, hashes)
        if standing is None:
            return Decision(TAKE, wanted)
        if standing[0]:
            return Decision(KNOWN, wanted)
    return None


def _stands(repository: Repository, scratch: Scratch, inside: str, hashes: Hashes) -> tuple[bool, str] | None:
    """Tells whether the same bytes stand at a place, or others (and which); None if nothing does, or what is to be finished:
    bytes that an import which was cut short put there, and did not stage."""
    other = scratch.file_at(inside)
    if other is not None:
        return bool(other[1] & set(hashes)), f"'{other[0]}' of this import has that name"
    asset = scratch.asset_at(inside)
    if asset is not None:
        return bool(asset & set(hashes)), "an asset with other bytes has that name"
    place = repository.absolute(repository.full(inside))
    info = files.lstat(place)
    if info is None:
        return None
    if stat.S_ISREG(info.st_mode) or (stat.S_ISLNK(info.st_mode) and links.parse_link(files.read_link(place) or "")):
        try:
            found = hashes_of(place)
        except OSError:  # a view whose bytes are not here
            return False, "an asset whose bytes are not here has that name"
        return None if set(found) & set(hashes) else (False, "a file with other bytes has that name")
    return False, "a folder, or a link of yours, has that name"


def origin_of(item: Item) -> record.Origin:
    """Gives the origin of a file: what is said beside it counts only where its own metadata name no generator.

    Raises OSError.
    """
    if item.hint is None:
        return item.origin
    with open(item.source, "rb") as stream:
        found = readers.read_stream(stream, media.describe(stream).mime)
    if found is not None and found.source is not None:
        return item.origin
    return item.hint() or item.origin
