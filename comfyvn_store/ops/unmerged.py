"""Assets in conflict, read out of git's index: link and sidecar of each side brought together.

git knows paths only. It puts the sides of one asset at one path, or apart: where both renamed it, where one has it as an
ordinary file (`hero.png~side`), or where it saw the rename of the sidecar and not of the link.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, names
from comfyvn_store.vcs import blobs, operation, staging
from comfyvn_store.vcs.operation import Operation
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

BASE, OURS, THEIRS = 1, 2, 3


@dataclass(frozen=True)
class Version:
    """One side's version: where that side has it, its bytes (None if they are no link), what is said of it.

    `link` and `card_entry` are what git has; None where it has none for this side or has settled it.
    """

    path: str
    hash: str | None
    link: Entry | None
    card: Sidecar | None
    card_entry: Entry | None


class Conflict(NamedTuple):
    """An asset in conflict. `path` is where git left it, `places` are all paths that belong to it (without the sidecars).

    `settled` is the hash of a link that is not in conflict itself.
    """

    path: str
    places: tuple[str, ...]
    base: Version | None
    ours: Version | None
    theirs: Version | None
    settled: str | None

    @property
    def name(self) -> str:
        """The path that people see: the file that is named like a sidecar where it is none."""
        known = [version for version in (self.ours, self.theirs, self.base) if version]
        return self.path if any(version.hash or version.link for version in known) else names.sidecar_path(self.path)

    @property
    def is_foreign(self) -> bool:
        """Whether a side has no art there, but a link of the user's own."""
        sides = [version for version in (self.ours, self.theirs) if version and version.link]
        return any(side.hash is None and side.link and side.link.mode == staging.LINK for side in sides)

    @property
    def is_rename(self) -> bool:
        """Whether both sides moved the asset, each to another place."""
        return self.ours is not None and self.theirs is not None and self.ours.path != self.theirs.path

    @property
    def has_two(self) -> bool:
        """Whether each side has bytes of its own, neither of them those that the asset had before."""
        if self.ours is None or self.theirs is None or self.ours.hash == self.theirs.hash:
            return False
        return self.base is None or self.base.hash not in (self.ours.hash, self.theirs.hash)


@dataclass
class _Place:
    """What git's index has at an asset's path, by stage."""

    path: str
    links: dict[int, Entry] = field(default_factory=dict)
    cards: dict[int, Entry] = field(default_factory=dict)

    def side(self, stage: int) -> bool:
        """Whether that stage has anything here."""
        return stage in self.links or stage in self.cards

    @property
    def is_link_open(self) -> bool:
        return any(self.links.keys() - {0})


def find(repository: Repository) -> tuple[Operation, list[Conflict]]:
    """Gives what is under way, and the assets in conflict by path."""
    places = _places(repository)
    theirs = next(((p.path, p.links[THEIRS].oid) for p in places.values() if THEIRS in p.links), None)
    theirs = theirs or next(
        ((names.sidecar_path(p.path), p.cards[THEIRS].oid) for p in places.values() if THEIRS in p.cards), None
    )
    under_way = operation.look(repository, *((theirs[0].partition("~Stashed changes")[0], theirs[1]) if theirs else ()))
    return under_way, _Reading(repository, under_way, places).conflicts()


def _places(repository: Repository) -> dict[str, _Place]:
    unmerged = staging.unmerged(repository.git, repository.root)
    paths = {path.removesuffix(names.SIDECAR_SUFFIX) for path in unmerged}
    drivers = staging.filter_drivers(repository.git, sorted({*paths, *unmerged}))
    ours = {
        path
        for path in paths
        if (drivers.get(path) == "comfyvn" and repository.is_asset_path(path))
        or drivers.get(names.sidecar_path(path)) == "comfyvn-sidecar"
    }
    places = {path: _Place(path) for path in sorted(ours, key=names.os_bytes)}
    wanted = [name for path in places for name in (path, names.sidecar_path(path))]
    for entry in staging.entries(repository.git, wanted) if wanted else []:
        if entry.path in places and not names.is_sidecar(entry.path):
            places[entry.path].links[entry.stage] = entry
        elif names.is_sidecar(entry.path) and entry.path.removesuffix(names.SIDECAR_SUFFIX) in places:
            places[entry.path.removesuffix(names.SIDECAR_SUFFIX)].cards[entry.stage] = entry
    return places


class _Reading:
    """Brings together what belongs together."""

    def __init__(self, repository: Repository, under_way: Operation, places: dict[str, _Place]) -> None:
        self._repository = repository
        self._places = places
        self._trees = {
            OURS: self._tree(under_way.ours.commit),
            THEIRS: self._tree(under_way.theirs.commit),
        }
        entries = [e for p in places.values() for e in (*p.links.values(), *p.cards.values())]
        entries += [entry for tree in self._trees.values() for entry in tree.values()]
        git = repository.git
        self._hashes = blobs.read_links(git, (e.oid for e in entries))
        texts = blobs.read_small_blobs(
            git, (e.oid for p in places.values() for e in p.cards.values()), canonical.LONGEST_JSON
        )
        self._cards = {oid: sidecar.decode_if_whole(text) for oid, text in texts.items()}

    def _tree(self, commit: str | None) -> Mapping[str, Entry]:
        return staging.tree_entries(self._repository.git, commit, sorted(self._places)) if commit else {}

    def conflicts(self) -> list[Conflict]:
        found: list[Conflict] = []
        left = dict(self._places)
        for conflict in (*self._renamed(), *self._apart()):
            if all(path in left for path in conflict.places):
                found.append(conflict)
                for path in conflict.places:
                    del left[path]
        found += [self._conflict(place, [place]) for place in left.values()]
        return sorted(found, key=lambda conflict: names.os_bytes(conflict.path))

    def _renamed(self) -> Iterable[Conflict]:
        """Both sides moved it: an ancestor that is nowhere any more, and one place for each side."""
        for old in self._places.values():
            if {*old.links, *old.cards} - {BASE}:
                continue
            key = self._identity(old, BASE)
            found: dict[int, _Place] = {}
            for stage, other in ((OURS, THEIRS), (THEIRS, OURS)):
                for place in self._places.values():
                    if place.side(stage) and not place.side(other) and self._identity(place, stage) == key:
                        found.setdefault(stage, place)
            if len(found) == 2:
                mine, yours = found[OURS], found[THEIRS]
                yield Conflict(
                    old.path,
                    (old.path, mine.path, yours.path),
                    self._version(old, BASE),
                    self._version(mine, OURS),
                    self._version(yours, THEIRS),
                    None,
                )

    def _identity(self, place: _Place, stage: int) -> str | None:
        """Gives what stays the same when an asset moves: its record, else its bytes."""
        card = self._card(place.cards.get(stage))
        if card is not None:
            return card.provenance.id
        return self._hash(place.links.get(stage))

    def _apart(self) -> Iterable[Conflict]:
        """One side lies under another name than the rest: moved aside by git, or left behind by a rename half seen."""
        for place in self._places.values():
            mates = [other for other in self._places.values() if other is not place and self._belongs(other, place)]
            if mates:
                yield self._conflict(place, [place, *mates])

    def _belongs(self, part: _Place, place: _Place) -> bool:
        sides = {OURS, THEIRS} & part.links.keys()
        if len(sides) != 1 or part.cards:
            return False
        side = next(iter(sides))
        if part.path.startswith(place.path + "~") and place.is_link_open:
            return side not in place.links
        if os.path.isdir(self._repository.absolute(part.path.rpartition("~")[0] or part.path)):
            return False  # git moved it aside for a folder of its name
        card = self._card(place.cards.get(side))
        return card is not None and side not in place.links and card.hash == self._hash(part.links[side])

    def _conflict(self, place: _Place, parts: list[_Place]) -> Conflict:
        whole = _Place(place.path, dict(place.links), dict(place.cards))
        for part in parts[1:]:
            if part.path.startswith(place.path + "~"):
                whole.links |= {stage: entry for stage, entry in part.links.items() if stage not in whole.links}
        settled = None if whole.is_link_open else self._hash(whole.links.get(0))
        base, ours, theirs = (self._version(whole, stage) for stage in (BASE, OURS, THEIRS))
        return Conflict(place.path, tuple(part.path for part in parts), base, ours, theirs, settled)

    def _version(self, place: _Place, stage: int) -> Version | None:
        open_card = any(place.cards.keys() - {0})
        link, entry = place.links.get(stage), place.cards.get(stage)
        if (link if place.is_link_open else entry) is None:
            return None
        card = self._card(entry)
        if place.is_link_open:
            hash_ = self._hash(link)
        else:
            in_tree = self._trees.get(stage, {}).get(place.path)
            hash_ = self._hash(in_tree) or (card.hash if card else None) or self._hash(place.links.get(0))
        if not open_card:
            settled = self._card(place.cards.get(0))
            card = settled if settled is not None and settled.hash == hash_ else None
        return Version(place.path, hash_, link, card, entry)

    def _card(self, entry: Entry | None) -> Sidecar | None:
        return self._cards.get(entry.oid) if entry else None

    def _hash(self, entry: Entry | None) -> str | None:
        return self._hashes.get(entry.oid) if entry else None


def shown(repository: Repository, path: str) -> str:
    """Gives a top-relative path as people type it from where they stand."""
    return os.path.relpath(repository.absolute(path), os.path.realpath(os.getcwd()))
