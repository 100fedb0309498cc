"""The marker as a Vorbis comment: the last of the list that Vorbis, Opus and FLAC carry."""

from __future__ import annotations

from typing import NamedTuple

from comfyvn_store.base import png
from comfyvn_store.base.containers import vorbis
from comfyvn_store.base.containers.vorbis import Comments

VENDOR = b"comfyvn-store"
_NAME = png.MARKER_KEYWORD.upper()


class Change(NamedTuple):
    """A range of the data that holds a list, and the bytes that are to stand there."""

    start: int
    end: int
    data: bytes


def payloads(found: Comments) -> list[bytes | None]:
    """Gives the payloads of the markers in a list."""
    return [found.entries[index].partition(b"=")[2] for index in _places(found)]


def _places(found: Comments) -> list[int]:
    return [index for index, entry in enumerate(found.entries) if entry.partition(b"=")[0].upper() == _NAME]


def without(found: Comments) -> list[Change]:
    """Gives what to change so that no marker is left."""
    places = _places(found)
    if not places:
        return []
    return [
        _count(found, len(found.entries) - len(places)),
        *(Change(found.ends[index], found.ends[index + 1], b"") for index in places),
    ]


def insert(found: Comments, payload: bytes) -> list[Change]:
    """Gives what to change so that the list ends with the marker."""
    return [_count(found, len(found.entries) + 1), Change(found.end, found.end, _entry(payload))]


def own(payload: bytes) -> bytes:
    """Gives a list that holds the marker alone."""
    return len(VENDOR).to_bytes(4, "little") + VENDOR + (1).to_bytes(4, "little") + _entry(payload)


def _entry(payload: bytes) -> bytes:
    return vorbis.entry(_NAME.decode("ascii"), payload.decode("utf-8", "replace"))


def _count(found: Comments, number: int) -> Change:
    return Change(found.count_at, found.count_at + 4, number.to_bytes(4, "little"))


def applied(data: bytes, changes: list[Change]) -> bytes:
    """Gives the data with changes made, which are in its order."""
    parts, at = [], 0
    for change in changes:
        parts += [data[at : change.start], change.data]
        at = change.end
    return b"".join([*parts, data[at:]])
