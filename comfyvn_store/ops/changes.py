"""What git's raw differences say of assets: each with what its sidecar said before and says after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from comfyvn_store.asset.known import parse_all
from comfyvn_store.asset.sidecar import Record, Sidecar
from comfyvn_store.base import canonical, names
from comfyvn_store.vcs import blobs, history
from comfyvn_store.vcs.history import FileChange
from comfyvn_store.vcs.repository import Repository

ADDED, CHANGED, REMOVED, MOVED = "A", "M", "D", "R"


class Change(NamedTuple):
    """One asset on two sides. `path` is relative to the assets root, `old_path` only of one that moved; a side on which it is
    not there is None. Of a side whose sidecar git does not have only the hash is known."""

    kind: str
    path: str
    old_path: str | None
    before: Sidecar | None
    after: Sidecar | None


def of(repository: Repository, found: Sequence[FileChange]) -> list[Change]:
    """Gives the assets among raw changes, by path; of a merge against its first parent."""
    views = {change.path: change for change in found if repository.is_asset_path(change.path)}
    cards = {change.path: change for change in found if names.is_sidecar(change.path)}
    sides = _Sides(repository, views.values(), cards.values())
    changes = []
    paths = {*views, *(path.removesuffix(names.SIDECAR_SUFFIX) for path in cards)}
    for path in sorted(paths):
        inside = repository.inside(path)
        if inside is None or not names.is_utf8(inside):
            continue
        view, card = views.get(path), cards.get(names.sidecar_path(path))
        before, after = sides.before(inside, view, card), sides.after(inside, view, card)
        if before is not None or after is not None:
            kind = ADDED if before is None else REMOVED if after is None else CHANGED
            changes.append(Change(kind, inside, None, before, after))
    return list(_with_moves(changes))


def _with_moves(changes: list[Change]) -> Iterator[Change]:
    """Joins what went at one path and came at another with the same record, or else the same bytes."""
    by_record: dict[str, Change] = {}
    by_hash: dict[str, Change] = {}
    for change in changes:
        if change.kind == REMOVED and change.before is not None:
            by_record.setdefault(change.before.provenance.id, change)
            by_hash.setdefault(change.before.hash, change)
    origins: dict[str, Change] = {}
    taken: set[str] = set()
    for change in changes:
        if change.kind == ADDED and change.after is not None:
            id_ = change.after.provenance.id
            origin = (by_record.get(id_) if id_ else None) or by_hash.get(change.after.hash)
            if origin is not None and origin.path not in taken:
                taken.add(origin.path)
                origins[change.path] = origin
    for change in changes:
        if change.path in origins:
            origin = origins[change.path]
            yield Change(MOVED, change.path, origin.path, origin.before, change.after)
        elif not (change.kind == REMOVED and change.path in taken):
            yield change


class _Sides:
    """Reads the links and sidecars of many changes at once."""

    def __init__(self, repository: Repository, views: Iterable[FileChange], cards: Iterable[FileChange]) -> None:
        git = repository.git
        self._hashes = blobs.read_links(git, _oids(views))
        self._cards = parse_all(blobs.read_small_blobs(git, _oids(cards), canonical.LONGEST_JSON))

    def before(self, inside: str, view: FileChange | None, card: FileChange | None) -> Sidecar | None:
        """Gives an asset's first side."""
        return self._side(inside, view, card, _old(view), _old(card))

    def after(self, inside: str, view: FileChange | None, card: FileChange | None) -> Sidecar | None:
        """Gives an asset's second side."""
        return self._side(inside, view, card, _new(view), _new(card))

    def _side(
        self, inside: str, view: FileChange | None, card: FileChange | None, link: str | None, said: str | None
    ) -> Sidecar | None:
        found = self._cards.get(said) if said else None
        if view is None:  # only the sidecar changed: the bytes are those that it speaks of
            return found.moved(inside) if found else None
        hash_ = self._hashes.get(link) if link else None
        if hash_ is None:
            return None
        if found is not None and found.hash == hash_:
            return found.moved(inside)
        return Sidecar(hash_, inside, None, {}, Record(""))


def _oids(changes: Iterable[FileChange]) -> list[str]:
    found = (oid for change in changes for oid in (*change.old_oids[:1], change.new_oid))
    return [oid for oid in dict.fromkeys(found) if oid.strip("0")]


def _old(change: FileChange | None) -> str | None:
    return change.old_oids[0] if change is not None and history.is_present(change.old_modes[0]) else None


def _new(change: FileChange | None) -> str | None:
    return change.new_oid if change is not None and history.is_present(change.new_mode) else None
