"""Objects put right: what is wrong goes to quarantine, what has another name gets its own, what is missing comes back from
copies on this machine and from remotes. No byte is deleted, and none under an object's name changes without being kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence

from comfyvn_store.asset import ingest, record
from comfyvn_store.base import durable, files, names
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.ops import copies, remotes
from comfyvn_store.ops.copies import Wanted
from comfyvn_store.ops.fsck import placement
from comfyvn_store.ops.fsck.finding import (
    CORRUPT,
    FOREIGN,
    MISPLACED,
    MISSING,
    MODE,
    TIME,
    TRUNCATED,
    WRITTEN,
    Finding,
    Repaired,
)
from comfyvn_store.ops.fsck.scope import Needed
from comfyvn_store.remotes import transfer
from comfyvn_store.remotes.remote import Item
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs.repository import Repository

# Looking for a copy walks the work trees and git's objects: of many, remotes are asked before.
_MANY = 100


def restore(
    repository: Repository, findings: Sequence[Finding], needed: Mapping[str, Needed], tell: Progress
) -> Iterator[Repaired]:
    """Does all of that and says each thing done. Raises OSError, MachineError (our own disk)."""
    store = repository.store
    lacking: list[str] = []
    for finding in findings:
        if not finding.is_repairable or finding.hash is None:
            continue
        if finding.kind in (CORRUPT, TRUNCATED, WRITTEN):
            yield from _put_aside(store, finding)
            lacking.append(finding.hash)
        elif finding.kind in (MISPLACED, FOREIGN):
            yield from _place(store, finding)
        elif finding.kind in (MODE, TIME) and placement.digest_of(store.path(finding.hash)) == finding.hash:
            store.settle(finding.hash)
            yield Repaired(finding.kind, "has its mode and time back", finding.paths, finding.hash)
        elif finding.kind == MISSING:
            lacking.append(finding.hash)
    lacking = [hash_ for hash_ in dict.fromkeys(lacking) if not store.has(hash_)]
    if len(lacking) > _MANY:
        yield from _fetch(repository, lacking, needed, tell)
        lacking = [hash_ for hash_ in lacking if not store.has(hash_)]
    yield from _copy(repository, lacking, needed, tell)
    yield from _fetch(repository, [hash_ for hash_ in lacking if not store.has(hash_)], needed, tell)


def _put_aside(store: Store, finding: Finding) -> Iterator[Repaired]:
    """Moves a damaged object to quarantine, if it is still damaged; what was written into it is an object before."""
    assert finding.hash is not None
    place = store.path(finding.hash)
    info = files.lstat(place)
    if info is None or placement.digest_of(place) == finding.hash:
        return
    if finding.kind == WRITTEN:
        with open(place, "rb") as stream:
            kept = ingest.ingest(store, ingest.file_blocks(stream), mark=False).hash
        store.sync([kept])
        yield Repaired(finding.kind, f"what was written is kept as the object {kept}", finding.paths, finding.hash)
    aside = store.quarantine(finding.hash)
    yield Repaired(finding.kind, f"is in quarantine: {names.printable(aside)}", finding.paths, finding.hash)


def _place(store: Store, finding: Finding) -> Iterator[Repaired]:
    """Gives a misplaced object its name; what is in the way of one, and a second copy of one, goes to quarantine."""
    assert finding.hash is not None
    (path,) = finding.paths
    if finding.kind == MISPLACED and placement.digest_of(path) == finding.hash and not store.has(finding.hash):
        store.make_folders(os.path.dirname(store.path(finding.hash)))
        store.name(path, finding.hash)
        store.sync([finding.hash])
        durable.sync_folder(os.path.dirname(path))
        yield Repaired(finding.kind, "has its right name", finding.paths, finding.hash)
    elif os.path.lexists(path):
        aside = store.put_aside(path, finding.hash)
        yield Repaired(finding.kind, f"is in quarantine: {names.printable(aside)}", finding.paths, finding.hash)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))  # a folder of another spelling, empty by now


def _copy(
    repository: Repository, lacking: Sequence[str], needed: Mapping[str, Needed], tell: Progress
) -> Iterator[Repaired]:
    for number, hash_ in enumerate(lacking):
        tell("looking for copies", number, len(lacking))
        place = copies.bring_back(repository, _wanted(hash_, needed.get(hash_)))
        if place is not None:
            yield Repaired(MISSING, f"is back, from {names.printable(place)}", _paths(needed, hash_), hash_)


def _wanted(hash_: str, need: Needed | None) -> Wanted:
    said = need.said[0] if need is not None and need.said else None
    if need is None or said is None:
        return Wanted(hash_)
    inferred = (record.MANUAL, record.GIT, "import")
    stated = ingest.Stated(None if said.source in inferred else said.source, said.workflow_hash)
    return Wanted(hash_, need.size, said.source_hash, stated)


def _fetch(
    repository: Repository, lacking: Sequence[str], needed: Mapping[str, Needed], tell: Progress
) -> Iterator[Repaired]:
    """Asks the remotes for all of them at once; one that cannot be reached is said, and what remains is a finding."""
    if not lacking:
        return
    items = [Item(hash_, needed[hash_].size if hash_ in needed else None) for hash_ in lacking]
    opened = remotes.for_reading(repository)
    try:
        done = transfer.fetch(repository.store, opened, items, jobs=repository.settings.jobs)
    finally:
        for remote in opened:
            remote.close()
    for hash_ in done.moved:
        message = f"is back, from remote '{done.sources.get(hash_, '')}'"
        yield Repaired(MISSING, message, _paths(needed, hash_), hash_)
    tell("fetching objects", len(done.moved), len(items))
    for name, error in done.down.items():
        yield Repaired("remote", _not_reached(name, error))


def _not_reached(name: str, error: ComfyvnError) -> str:
    return error.message if name in error.message else f"remote '{name}' was of no use: {error.message}"


def _paths(needed: Mapping[str, Needed], hash_: str) -> Sequence[str]:
    return needed[hash_].paths if hash_ in needed else ()
