"""Merging two versions of a sidecar by field, so that colleagues who tag and colleagues who repaint do not collide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from comfyvn_store.asset.sidecar import Sidecar


class Merged(NamedTuple):
    """The result, and the fields in which both sides changed the same thing differently (ours stands there)."""

    sidecar: Sidecar
    conflicts: tuple[str, ...]


def merge(base: Sidecar | None, ours: Sidecar, theirs: Sidecar) -> Merged:
    """Merges `theirs` into `ours`; `base` is their common ancestor, None if both are new.

    Tags are sets: what either side added is there, what either removed is not. Licence, meta and unknown keys go field
    by field. Provenance goes with the bytes; if both sides changed the bytes, ours stand and "bytes" is a conflict.
    """
    conflicts: list[str] = []
    bytes_from = _bytes_side(base, ours, theirs, conflicts)
    license_ = _pick("license", base.license if base else None, ours.license, theirs.license, conflicts)
    result = replace(
        bytes_from,
        path=ours.path,
        tags=_tags(base, ours, theirs),
        license=license_,
        meta=_fields("meta", base.meta if base else {}, ours.meta, theirs.meta, conflicts),
        extra=_fields("", base.extra if base else {}, ours.extra, theirs.extra, conflicts),
    )
    return Merged(result, tuple(conflicts))


def _bytes_side(base: Sidecar | None, ours: Sidecar, theirs: Sidecar, conflicts: list[str]) -> Sidecar:
    if ours.hash == theirs.hash:
        # The same file added on both sides: the older record, so that every clone chooses alike.
        return min(ours, theirs, key=lambda side: side.provenance.id)
    if base is not None and base.hash == ours.hash:
        return theirs
    if base is not None and base.hash == theirs.hash:
        return ours
    conflicts.append("bytes")
    return ours


def _tags(base: Sidecar | None, ours: Sidecar, theirs: Sidecar) -> tuple[str, ...]:
    if ours.tags == theirs.tags:
        return ours.tags
    known = base.tags if base else ()
    if ours.tags == known:
        return theirs.tags
    if theirs.tags == known:
        return ours.tags
    before, mine, other = set(known), set(ours.tags), set(theirs.tags)
    removed = (before - mine) | (before - other)
    return tuple(sorted((mine | other) - removed))


def _fields(
    name: str,
    base: Mapping[str, Any],
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    conflicts: list[str],
) -> dict[str, Any]:
    result = {}
    for key in sorted({*ours, *theirs}):
        label = f"{name}.{key}" if name else key
        value = _pick(label, base.get(key, _ABSENT), ours.get(key, _ABSENT), theirs.get(key, _ABSENT), conflicts)
        if value is not _ABSENT:
            result[key] = value
    return result


_ABSENT = object()


def _pick(label: str, base: Any, ours: Any, theirs: Any, conflicts: list[str]) -> Any:
    """Gives the side that changed a value; ours, with a conflict noted, if both did."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    conflicts.append(label)
    return ours
