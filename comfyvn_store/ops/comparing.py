"""`diff`: what differs between two versions, two pictures, or two commits, in the words that artists use."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.asset import differences
from comfyvn_store.asset.differences import Difference
from comfyvn_store.asset.record import facts_in
from comfyvn_store.asset.sidecar import BrokenSidecar, Record, Sidecar, from_dict
from comfyvn_store.base import digest, files, names
from comfyvn_store.errors import (
    AmbiguousAsset,
    ComfyvnError,
    UnknownAsset,
    UnknownFile,
    UnknownRevision,
    UsageError,
    from_os_error,
)
from comfyvn_store.ops import changes, naming, status
from comfyvn_store.ops.changes import Change
from comfyvn_store.ops.session import Session
from comfyvn_store.store.objects import open_file
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.history import FileChange
from comfyvn_store.vcs.repository import Repository

Opener = Callable[[], BinaryIO]


class Pixels(NamedTuple):
    """How two pictures compare; `reason` says why they could not be compared, and the numbers are None then. `box` is left,
    top, width and height, in pixels; `clearly` counts what differs by more than 16 of 255."""

    pixels: int | None
    differing: int | None
    clearly: int | None
    box: tuple[int, int, int, int] | None
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        share = self.differing / self.pixels if self.differing is not None and self.pixels else None
        return {**self._asdict(), "box": list(self.box) if self.box else None, "share": share}


class Compared(NamedTuple):
    """Two sides of one asset, or two pictures. `label` and `old_label` are what they go by."""

    kind: str
    label: str
    old_label: str | None
    differences: list[Difference]
    pixels: Pixels | None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        return {
            "change": self.kind,
            "path": self.label,
            "old_path": self.old_label,
            "differences": [each.as_dict() for each in self.differences],
            "pixels": self.pixels.as_dict() if self.pixels else None,
        }


class _Side(NamedTuple):
    """What a person named: what is known of it, and where its bytes are. `is_loose` says that it is no asset, so that nobody
    gave it tags or a licence."""

    label: str
    card: Sidecar
    open: Opener
    is_loose: bool


def pair(session: Session, one: str, other: str) -> Compared:
    """Compares two of what people name: an asset by path (as it lies there, also edited), uid or `REV:PATH`, or any file.

    Raises UnknownFile, UnknownAsset, UnknownRevision, AmbiguousAsset.
    """
    before, after = side(session, one), side(session, other)
    card = before.card
    if before.is_loose or after.is_loose:  # what only assets have is no difference to a file that is none
        from dataclasses import replace

        card = replace(card, tags=after.card.tags, license=after.card.license, meta=after.card.meta)
    found = [each for each in differences.between(card, after.card) if each.field != "path"]
    pixels = _pixels(before.open, after.open) if before.card.hash != after.card.hash else None
    return Compared("M", after.label, before.label, found, pixels)


def edited(session: Session, name: str) -> Compared:
    """Compares an asset as it lies there with HEAD's version. Raises UnknownAsset, UnknownRevision, AmbiguousAsset."""
    inside = naming.resolve(session, name)
    return pair(
        session, f"HEAD:{session.repository.full(inside)}", session.repository.absolute(session.repository.full(inside))
    )


def revisions(session: Session, old: str | None, new: str | None, paths: Sequence[str] = ()) -> Iterator[Compared]:
    """Gives what differs between two commits, in path order; `new` None is what is here now, `old` None is HEAD.

    Raises UnknownRevision, UnknownAsset for a path that is outside.
    """
    repository = session.repository
    base = _commit(repository, old or "HEAD") if old or blobs.resolve(repository.git, "HEAD") else None
    tree = base or staging.empty_tree(repository.git)
    if new is not None:
        raw = staging.tree_changes(repository.git, tree, _commit(repository, new), repository.root)
    else:
        raw = staging.staged_changes(repository.git, tree, repository.root)
    wanted = [_below(repository, path) for path in paths]
    found = changes.of(
        repository, [FileChange(c.path, (c.old_mode,), c.new_mode, (c.old_oid,), c.new_oid) for c in raw]
    )
    pending = set(status.edited_files(session)) if new is None else set()
    for change in found:
        full = repository.full(change.path)
        if full not in pending and _is_wanted(change, repository, wanted):
            yield _of_change(repository, change)
    for full in sorted(pending):
        if not wanted or any(full == path or full.startswith(f"{path}/") for path in wanted):
            yield _of_edit(session, base, full)


def objects(repository: Repository, one: str, other: str) -> Pixels | None:
    """Compares the pixels of two objects; None where one is no picture, so that there is nothing to say."""
    return _pixels(lambda: _object(repository, one), lambda: _object(repository, other))


def side(session: Session, name: str) -> _Side:
    """Finds what a person named. Raises UnknownFile, UnknownAsset, UnknownRevision, AmbiguousAsset."""
    repository = session.repository
    place = _file(name)
    inside = naming.to_inside(repository, name) if naming.is_text(name) else None
    asset = _present(session, name)
    if place is not None and (asset is None or inside is not None):
        with open_file(place) as stream:
            hash_ = digest.sha256(stream)
            if asset is None or asset.card.hash != hash_:
                return _file_side(stream, place, hash_, name, asset)
    if asset is not None:
        return asset
    if os.path.lexists(name) and ":" not in name:
        raise UnknownFile(f"'{names.printable(name)}' is no file that can be read, and no asset")
    version = naming.version(session, name)
    return _version_side(repository, version, name)


def _present(session: Session, name: str) -> _Side | None:
    try:
        version = naming.version(session, name)
    except AmbiguousAsset:
        if _file(name) is None:
            raise
        return None
    except (UnknownAsset, UnknownRevision):
        return None
    return _version_side(session.repository, version, name)


def _version_side(repository: Repository, version: naming.Version, name: str) -> _Side:
    try:
        card = from_dict(version.record)
    except BrokenSidecar:  # no sidecar yet
        card = Sidecar(version.hash, version.inside, None, {}, Record(""))
    return _Side(name, card, lambda: _object(repository, version.hash), False)


def _file_side(stream: BinaryIO, place: str, hash_: str, name: str, asset: _Side | None) -> _Side:
    """Gives the side of bytes that are no object here; of an edited asset with the tags and licence that it has."""
    facts = facts_in(stream, hash_)
    extra = {"embedded": dict(facts.embedded)} if facts.embedded else {}
    record = Record("", facts.source, facts.workflow_hash, facts.inputs, facts.source_hash, extra=extra)
    card = Sidecar(hash_, os.path.basename(name), facts.size, facts.media, record)
    if asset is not None:
        known = asset.card
        card = Sidecar(hash_, known.path, facts.size, facts.media, record, known.tags, known.license, known.meta)
    return _Side(name, card, lambda: open_file(place), asset is None)


def _file(name: str) -> str | None:
    """Gives the file behind a name, through links, if it is an ordinary one that can be read."""
    info = files.lstat(os.path.realpath(name)) if name else None
    return (
        os.path.realpath(name) if info is not None and stat.S_ISREG(info.st_mode) and os.access(name, os.R_OK) else None
    )


def _of_change(repository: Repository, change: Change) -> Compared:
    label = repository.full(change.path)
    old_label = repository.full(change.old_path) if change.old_path is not None else None
    before, after = change.before, change.after
    if before is None or after is None:
        return Compared(change.kind, label, old_label, [], None)
    pixels = objects(repository, before.hash, after.hash) if before.hash != after.hash else None
    found = [each for each in differences.between(before, after) if each.field != "path"]
    return Compared(change.kind, label, old_label, found, pixels)


def _of_edit(session: Session, base: str | None, full: str) -> Compared:
    """Compares a file that was edited and not staged with what the older commit has there."""
    repository = session.repository
    now = side(session, repository.absolute(full))
    old = None
    if base is not None:
        try:
            old = _version_side(repository, naming.version(session, f"{base}:{full}"), full)
        except (UnknownAsset, UnknownRevision):
            old = None
    if old is None:
        return Compared("A", full, None, [], None)
    found = [each for each in differences.between(old.card, now.card) if each.field != "path"]
    return Compared("M", full, None, found, _pixels(old.open, now.open))


def _pixels(one: Opener, other: Opener) -> Pixels | None:
    from comfyvn_store.base import media

    try:
        with one() as first, other() as second:
            if not all(media.describe(stream).mime.startswith("image/") for stream in (first, second)):
                return None
            from comfyvn_store.previews import PreviewError, comparing

            try:
                return Pixels(*comparing.compare(first, second), None)
            except PreviewError as reason:
                return Pixels(None, None, None, None, str(reason))
    except ComfyvnError as error:
        return Pixels(None, None, None, None, error.message)
    except OSError as error:
        return Pixels(None, None, None, None, from_os_error(error, "read a picture").message)


def _object(repository: Repository, hash_: str) -> BinaryIO:
    repository.store.vouch(hash_)
    return repository.store.open(hash_)


def _commit(repository: Repository, revision: str) -> str:
    commit = blobs.resolve(repository.git, revision)
    if commit is None:
        raise UnknownRevision(
            f"git knows no revision '{names.printable(revision)}'", hint="`git log --oneline` lists commits"
        )
    return commit


def _below(repository: Repository, path: str) -> str:
    found = naming.to_top(repository, path) if naming.is_text(path) else None
    if found is None:
        raise UsageError(f"'{names.printable(path)}' lies outside of the work tree")
    return found


def _is_wanted(change: Change, repository: Repository, wanted: Sequence[str]) -> bool:
    if not wanted or "." in wanted:
        return True
    full = [repository.full(path) for path in (change.path, change.old_path) if path is not None]
    return any(path == each or path.startswith(f"{each}/") for path in full for each in wanted)
