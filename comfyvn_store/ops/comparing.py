"""`diff`: what differs between two versions, two pictures, or two commits, in the words that artists use."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.asset import differences
from comfyvn_store.asset.differences import Difference
from comfyvn_store.asset.record import Facts, facts_in, read_facts
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


class Comparer:
    """Compares within one repository; `with_pixels`: decodes pictures, too."""

    def __init__(self, session: Session, *, with_pixels: bool = True) -> None:
        self._session = session
        self._repository = session.repository
        self._with_pixels = with_pixels

    def is_revision(self, word: str) -> bool:
        """Tells whether a word is a commit, and no file or asset."""
        if os.path.lexists(word) or not naming.is_text(word) or _present(self._session, word) is not None:
            return False
        return ":" not in word and blobs.resolve(self._repository.git, word) is not None

    def is_range(self, word: str) -> bool:
        """Tells whether a word is `A..B`, with a commit on either side, or none for HEAD."""
        old, dots, new = word.partition("..")
        if not dots or os.path.lexists(word) or not naming.is_text(word):
            return False
        return all(blobs.resolve(self._repository.git, side or "HEAD") is not None for side in (old, new))

    def pair(self, one: str, other: str) -> Compared:
        """Compares two of what people name: an asset by path (as it lies there, also edited), uid or `REV:PATH`, or any file.

        Raises UnknownFile, UnknownAsset, UnknownRevision, AmbiguousAsset.
        """
        before, after = side(self._session, one), side(self._session, other)
        card = before.card
        if before.is_loose or after.is_loose:  # what only assets have is no difference to a file that is none
            card = card._replace(tags=after.card.tags, license=after.card.license, meta=after.card.meta)
        return Compared("M", after.label, before.label, *self._between(before._replace(card=card), after))

    def uncommitted(self, name: str) -> Iterator[Compared]:
        """Compares an asset as it is here with HEAD's version. Raises UnknownAsset, AmbiguousAsset."""
        full = self._repository.full(naming.resolve(self._session, name))
        return self.revisions(None, None, [self._repository.absolute(full)])

    def revisions(self, old: str | None, new: str | None, paths: Sequence[str] = ()) -> Iterator[Compared]:
        """Gives what differs between two commits, in path order; `new` None is what is here now, `old` None is HEAD.

        Raises UnknownRevision, UsageError for a path that lies outside.
        """
        git, root = self._repository.git, self._repository.root
        base = blobs.resolve(git, "HEAD") if old is None else naming.commit(self._repository, old)
        tree = base or staging.empty_tree(git)
        if new is not None:
            raw = staging.tree_changes(git, tree, naming.commit(self._repository, new), root)
        else:
            raw = staging.staged_changes(git, tree, root)
        wanted = [_below(self._repository, path) for path in paths]
        found = changes.of(
            self._repository, [FileChange(c.path, (c.old_mode,), c.new_mode, (c.old_oid,), c.new_oid) for c in raw]
        )
        edited = status.edited_files(self._session) if new is None else []
        for change in found:
            full = self._repository.full(change.path)
            if full not in edited and _is_wanted([full, *self._old_path(change)], wanted):
                yield self._of_change(change if new is not None else self._of_the_index(base, change))
        for full in edited:
            if _is_wanted([full], wanted):
                yield self._of_edit(base, full)

    def _old_path(self, change: Change) -> list[str]:
        return [self._repository.full(change.old_path)] if change.old_path is not None else []

    def _of_the_index(self, base: str | None, change: Change) -> Change:
        """Adds what git's index does not say of new bytes before the commit makes their sidecar: what the bytes themselves say,
        and the words that people gave the version before."""
        if change.after is None or change.after.provenance.id:
            return change
        before, after = change.before, change.after
        if before is not None and not before.provenance.id and base is not None:  # its sidecar is no change
            before = self._at(base, self._repository.full(change.old_path or change.path)) or before
        try:
            facts = read_facts(self._repository.store, after.hash)
        except ComfyvnError:
            return change._replace(before=before)
        known = before or after
        record = _record_of(facts)
        after = Sidecar(after.hash, after.path, facts.size, facts.media, record, known.tags, known.license, known.meta)
        return change._replace(before=before, after=after)

    def _at(self, commit: str, full: str) -> Sidecar | None:
        try:
            version = naming.version(self._session, f"{commit}:{full}")
        except (UnknownAsset, UnknownRevision):
            return None
        return _version_side(self._repository, version, full).card

    def _of_change(self, change: Change) -> Compared:
        label = self._repository.full(change.path)
        old_label = next(iter(self._old_path(change)), None)
        if change.before is None or change.after is None:
            return Compared(change.kind, label, old_label, [], None)
        before, after = (_object_side(self._repository, label, card) for card in (change.before, change.after))
        return Compared(change.kind, label, old_label, *self._between(before, after))

    def _of_edit(self, base: str | None, full: str) -> Compared:
        """Compares a file that was edited and not staged with what the older commit has there."""
        now = side(self._session, self._repository.absolute(full))
        old = self._at(base, full) if base is not None else None
        if old is None:
            return Compared(changes.ADDED, full, None, [], None)
        return Compared(changes.CHANGED, full, None, *self._between(_object_side(self._repository, full, old), now))

    def _between(self, before: _Side, after: _Side) -> tuple[list[Difference], Pixels | None]:
        found = [each for each in differences.between(before.card, after.card) if each.field != "path"]
        differ = self._with_pixels and before.card.hash != after.card.hash
        return found, _pixels(before.open, after.open) if differ else None


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
    if os.path.lexists(name):
        raise UnknownFile(f"'{names.printable(name)}' is no file that can be read, and no asset")
    if ":" not in name and any(sign in name for sign in "/."):
        raise UnknownFile(f"there is no file '{names.printable(name)}', and no asset of that name")
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


def _object_side(repository: Repository, label: str, card: Sidecar) -> _Side:
    return _Side(label, card, lambda: _object(repository, card.hash), False)


def _version_side(repository: Repository, version: naming.Version, name: str) -> _Side:
    try:
        card = from_dict(version.record)
    except BrokenSidecar:  # no sidecar yet
        card = Sidecar(version.hash, version.inside, None, {}, Record(""))
    return _object_side(repository, name, card)


def _file_side(stream: BinaryIO, place: str, hash_: str, name: str, asset: _Side | None) -> _Side:
    """Gives the side of bytes that are no object here; of an edited asset with the tags and licence that it has."""
    facts = facts_in(stream, hash_)
    record = _record_of(facts)
    card = Sidecar(hash_, os.path.basename(name), facts.size, facts.media, record)
    if asset is not None:
        known = asset.card
        card = Sidecar(hash_, known.path, facts.size, facts.media, record, known.tags, known.license, known.meta)
    return _Side(name, card, lambda: open_file(place), asset is None)


def _record_of(facts: Facts) -> Record:
    """Gives the record of bytes that no sidecar speaks of yet."""
    extra = {"embedded": dict(facts.embedded)} if facts.embedded else {}
    return Record("", facts.source, facts.workflow_hash, facts.inputs, facts.source_hash, extra=extra)


def _file(name: str) -> str | None:
    """Gives the file behind a name, through links, if it is an ordinary one that can be read."""
    info = files.lstat(os.path.realpath(name)) if name else None
    return (
        os.path.realpath(name) if info is not None and stat.S_ISREG(info.st_mode) and os.access(name, os.R_OK) else None
    )


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


def _below(repository: Repository, path: str) -> str:
    found = naming.to_top(repository, path) if naming.is_text(path) else None
    if found is None:
        raise UsageError(f"'{names.printable(path)}' lies outside of the work tree")
    return found


def _is_wanted(paths: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted or "." in wanted:
        return True
    return any(path == each or path.startswith(f"{each}/") for path in paths for each in wanted)
