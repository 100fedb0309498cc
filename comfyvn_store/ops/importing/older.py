"""Sidecars of the older ComfyVN Studio: `NAME.asset.json` beside a file, or `_meta/<folders>/<name>.json` below the assets'
folder, where the last suffix is dropped or kept.

They have no `schema`. Type and path stand at the top; licence, tags and notes in `meta`, together with what the Studio made
itself; the provenance is a row of its database. Of the hash nothing can be held against a file: the Studio took it before
it wrote its marker into the picture. What is not said stays unknown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from comfyvn_store.asset import record
from comfyvn_store.base import canonical, files, names
from comfyvn_store.ops.importing import walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "comfyvn"
HAS_TYPES = True
# What the Studio put into `meta` that is no note of a person's.
_MADE = frozenset(("preview", "thumbnails", "license", "licence", "tags", "user_id", "source"))
_UNKNOWN = frozenset(("", "unspecified", "unknown"))
_LOOKED_AT = 200


def looks(place: str) -> bool:
    """A folder with a `_meta` folder in it, or with sidecars beside its files."""
    if not os.path.isdir(place):
        return False
    if os.path.isdir(os.path.join(place, names.META_FOLDER)):
        return True
    for number, seen in enumerate(walking.walk(place)):
        if names.is_sidecar(seen.inside):
            return True
        if number >= _LOOKED_AT:
            break
    return False


def read(place: str) -> Iterator[Item | Left]:
    """Gives all files but sidecars, each with what its sidecar says."""
    for seen in walking.walk(place, enter=lambda inside: inside != names.META_FOLDER):
        shown = walking.shown(place, seen.inside)
        if names.is_sidecar(seen.inside):
            if not os.path.lexists(seen.place.removesuffix(names.SIDECAR_SUFFIX)):
                yield Left(shown, "a sidecar without its file")
            continue
        if seen.refusal:
            yield Left(shown, seen.refusal)
            continue
        said, problem = _sidecar(place, seen)
        if problem:
            yield Left(shown, problem)
            continue
        yield item(seen.place, shown, seen.inside, said)


def _sidecar(top: str, seen: walking.Seen) -> tuple[Mapping[str, Any], str | None]:
    """Gives what the sidecar of a file says, or nothing; and why it cannot be read where it is there."""
    stem = os.path.splitext(seen.inside)[0]
    mirrors = (os.path.join(top, names.META_FOLDER, f"{each}.json") for each in (seen.inside, stem))
    for found in (names.sidecar_path(seen.place), *mirrors):
        try:
            value = canonical.parse(files.read_small(found, canonical.LONGEST_JSON))
        except FileNotFoundError:
            continue
        except (OSError, canonical.NotCanonical) as error:
            return {}, f"its sidecar '{names.printable(os.path.basename(found))}' cannot be read ({error})"
        if isinstance(value, dict) and _speaks_of(value, seen.inside):
            return value, None
    return {}, None


def _speaks_of(value: Mapping[str, Any], inside: str) -> bool:
    """Whether a sidecar is about this file: two files of a folder may share a mirror's name."""
    path = value.get("path")
    return not isinstance(path, str) or os.path.basename(path.replace("\\", "/")) == os.path.basename(inside)


def item(place: str, shown: str, inside: str, said: Mapping[str, Any]) -> Item:
    """Makes an item of a file and its sidecar."""
    meta = _object(said, "meta")
    type_, name = _place(said, inside)
    return Item(
        os.path.abspath(place),
        shown,
        name,
        type=type_,
        tags=_tags(said.get("tags") or meta.get("tags")),
        license=_text(said.get("license")) or _text(meta.get("license")) or _text(meta.get("licence")),
        meta={key: value for key, value in meta.items() if key not in _MADE},
        origin=_origin(said, meta),
    )


def _place(said: Mapping[str, Any], inside: str) -> tuple[str | None, str]:
    """The type is the sidecar's, else the first folder; the place below it is where the file lies."""
    head, slash, rest = inside.partition("/")
    type_ = _text(said.get("type"))
    if slash and (type_ is None or type_ == head):
        return head, rest
    return type_, inside


def _origin(said: Mapping[str, Any], meta: Mapping[str, Any]) -> record.Origin:
    told = _object(said, "provenance")
    source = _text(told.get("source")) or _text(meta.get("source"))
    inputs = _object(told, "inputs")
    workflow = _text(told.get("workflow_hash"))
    return record.Origin(
        default_source=record.IMPORT,
        source=None if source is None or source.lower() in _UNKNOWN else source,
        workflow_hash=workflow,
        # The Studio's own two say which file the record was of.
        inputs={key: value for key, value in inputs.items() if key not in ("asset_uid", "asset_hash")},
        user=_text(told.get("user_id")) or _text(told.get("user")) or _text(meta.get("user_id")),
    )


def _object(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = said.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _tags(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else []
    return tuple(dict.fromkeys(each.strip() for each in found if isinstance(each, str) and each.strip()))
