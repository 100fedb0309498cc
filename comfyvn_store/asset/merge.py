"""Merging two versions of a sidecar by field, so that colleagues who tag and colleagues who repaint do not collide.

The result does not depend on who merges: with the sides swapped it is the same, and three colleagues who exchange what
they said, in whatever order, end up with the same text (as long as nothing is a true conflict).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import Record, Sidecar
from comfyvn_store.base import canonical

BYTES = "bytes"
# Which value a field in conflict gets; "base" is for a common ancestor that git makes of several.
Favour = Literal["ours", "theirs", "base"]
# What no side can have: stands for the bytes of an ancestor whose own ancestors share none.
_NOBODYS = "0" * 64


class Absent:
    """The value of a key that a side does not have."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = Absent()


class Clash(NamedTuple):
    """A field in which both sides changed the same thing differently; of bytes the values are hashes.

    `field` is the key's path with dots ("license", "meta.scene.mood"); a value is ABSENT where a side has no such key.
    """

    field: str
    base: Any
    ours: Any
    theirs: Any


class Merged(NamedTuple):
    """The result, and the fields in conflict, which have the favoured side's value."""

    sidecar: Sidecar
    clashes: tuple[Clash, ...]

    @property
    def conflicts(self) -> tuple[str, ...]:
        """The names of the fields in conflict."""
        return tuple(clash.field for clash in self.clashes)


def merge(base: Sidecar | None, ours: Sidecar, theirs: Sidecar, favour: Favour = "ours") -> Merged:
    """Merges `theirs` into `ours`; `base` is their common ancestor, None if both are new.

    Tags are sets: what either side added is there, what either removed is not. Licence, meta (at every depth) and
    unknown keys go field by field. Provenance goes with the bytes; bytes that both sides changed are a conflict.
    """
    merging = _Merging(favour)
    result = merging.bytes_side(base, ours, theirs)._replace(
        path=_path(base, ours, theirs),
        tags=_tags(base.tags if base else (), ours.tags, theirs.tags),
        license=merging.pick("license", base.license if base else None, ours.license, theirs.license),
        meta=merging.fields("meta", base.meta if base else {}, ours.meta, theirs.meta),
        extra=merging.fields("", base.extra if base else {}, ours.extra, theirs.extra),
    )
    return Merged(result, tuple(merging.clashes))


class _Merging:
    """One merge under way: notes the fields in conflict."""

    def __init__(self, favour: Favour) -> None:
        self._favour = favour
        self.clashes: list[Clash] = []

    def bytes_side(self, base: Sidecar | None, ours: Sidecar, theirs: Sidecar) -> Sidecar:
        """Gives the side whose bytes, media and record stand."""
        if ours.hash == theirs.hash:
            return _one_record(base, ours, theirs)
        if base is not None and base.hash == ours.hash:
            return theirs
        if base is not None and base.hash == theirs.hash:
            return ours
        self.clashes.append(Clash(BYTES, base.hash if base else ABSENT, ours.hash, theirs.hash))
        if self._favour == "base":
            return base or ours._replace(hash=_NOBODYS, bytes=None, media={}, provenance=Record(_NOBODYS))
        return theirs if self._favour == "theirs" else ours

    def fields(
        self, name: str, base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merges two objects by key."""
        result = {}
        for key in sorted({*base, *ours, *theirs}):
            label = f"{name}.{key}" if name else key
            value = self._value(label, base.get(key, ABSENT), ours.get(key, ABSENT), theirs.get(key, ABSENT))
            if value is not ABSENT:
                result[key] = value
        return result

    def _value(self, label: str, base: Any, ours: Any, theirs: Any) -> Any:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self.fields(label, base if isinstance(base, dict) else {}, ours, theirs)
        return self.pick(label, base, ours, theirs)

    def pick(self, label: str, base: Any, ours: Any, theirs: Any) -> Any:
        """Gives the side that changed a value; if both did, the favoured one, with the conflict noted."""
        if is_same(ours, theirs) or is_same(theirs, base):
            return ours
        if is_same(ours, base):
            return theirs
        self.clashes.append(Clash(label, base, ours, theirs))
        return {"ours": ours, "theirs": theirs, "base": base}[self._favour]


def is_same(one: Any, other: Any) -> bool:
    """Tells whether two values are the same as JSON: true, 1 and 1.0 are three values."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical.dump_compact(one) == canonical.dump_compact(other)


def _one_record(base: Sidecar | None, ours: Sidecar, theirs: Sidecar) -> Sidecar:
    """Chooses among two records of the same bytes as every clone would: the one that is new, of two new the older."""
    if base is not None and base.hash == ours.hash:
        if _origin(base) == _origin(ours):
            return theirs
        if _origin(base) == _origin(theirs):
            return ours
    return min(ours, theirs, key=lambda side: (side.provenance.id, _origin(side)))


def _origin(card: Sidecar) -> bytes:
    return canonical.dump_compact([card.bytes, dict(card.media), sidecar.record_dict(card.provenance)])


def _path(base: Sidecar | None, ours: Sidecar, theirs: Sidecar) -> str:
    if base is not None and base.path in (ours.path, theirs.path):
        return theirs.path if base.path == ours.path else ours.path
    return min(ours.path, theirs.path)


def _tags(base: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    if ours in (theirs, base):
        return theirs
    if theirs == base:
        return ours
    before, mine, other = set(base), set(ours), set(theirs)
    if before == mine == other:
        return min(ours, theirs)  # both only put them into another order
    removed = (before - mine) | (before - other)
    return tuple(sorted((mine | other) - removed))
