"""The marker as a frame in an ID3v2 tag, for MP3 and WAV: the first frame of a tag that is there, or a tag of our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Piece, Unmarkable
from comfyvn_store.base import png
from comfyvn_store.base.containers import id3
from comfyvn_store.base.containers.id3 import Tag

_KEYWORD = png.MARKER_KEYWORD
_UNKNOWN_OFFSET = b"\xff\xff\xff\xff"


class Spot(NamedTuple):
    """Where a marker's frame stands, and its payload."""

    start: int
    end: int
    payload: bytes | None


def own(payload: bytes, more: bytes = b"") -> bytes:
    """Gives a tag that holds the marker, and further frames, of version 2.3, which everything reads."""
    data = _frame(3, payload) + more
    return id3.head_of(Tag(3, 0, 0, 0), len(data)) + data


def is_own(tag: Tag, spots: list[Spot]) -> bool:
    """Tells whether a tag is one that we made: of our kind, and full of markers to its end."""
    is_full = bool(spots) and sum(spot.end - spot.start for spot in spots) == tag.size
    return is_full and tag.version == 3 and tag.flags == 0


def find(stream: BinaryIO, tag: Tag) -> list[Spot]:
    """Finds the markers in a tag. Raises Unmarkable for a tag that takes none."""
    if tag.flags & id3.EXTENDED or tag.has_footer or (tag.version == 4 and tag.flags & 0x0F):
        raise Unmarkable("its ID3 tag has an extended header or a footer")
    spots = []
    for index, each in enumerate(id3.frames(stream, tag, _is_read)):
        if each.kind == "ASPI" or (each.kind == "CHAP" and _counts_bytes(each.data)):
            raise Unmarkable("its ID3 tag counts on where its parts are")
        if each.kind in ("GEOB", "GEO") and (each.data is None or b"c2pa" in each.data[:256].lower()):
            raise Unmarkable(marking.SIGNED)
        entry = id3.entry_of(each)
        if entry is None or entry.kind != "TXXX" or entry.description != _KEYWORD.decode():
            continue
        start = tag.data_at if index == 0 else each.offset  # no byte of ours is one that unsynchronisation parts
        if start is None:
            raise Unmarkable("its ID3 tag is unsynchronised, and somebody moved the marker in it")
        spots.append(Spot(start, start + each.length, entry.text.encode("utf-8", "replace")))
    return spots


def without(stream: BinaryIO, tag: Tag, spots: list[Spot]) -> Iterator[Piece]:
    """Gives the pieces of a tag without these spots."""
    yield tag.offset, tag.offset + 6
    yield id3.synchsafe(tag.size - sum(spot.end - spot.start for spot in spots))
    at = tag.data_at
    for spot in spots:
        yield at, spot.start
        at = spot.end
    yield at, tag.end


def insert(tag: Tag, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of a tag with the marker in it; None if it is full."""
    made = _frame(tag.version, payload)
    if tag.size + len(made) > id3.LONGEST_SIZE:
        return None
    size = id3.synchsafe(tag.size + len(made))
    return [(tag.offset, tag.offset + 6), size + made, (tag.data_at, tag.end)]


def _is_read(kind: str) -> bool:
    return kind in ("TXXX", "TXX", "CHAP", "GEOB", "GEO")


def frame(version: int, kind: bytes, data: bytes) -> bytes:
    """Gives a frame; its name is as long as the version has it."""
    if version == 2:
        return kind + len(data).to_bytes(3, "big") + data
    return kind + (id3.synchsafe(len(data)) if version == 4 else len(data).to_bytes(4, "big")) + b"\0\0" + data


def _frame(version: int, payload: bytes) -> bytes:
    """Gives the marker's frame: text that its user named, in plain ASCII."""
    return frame(version, b"TXX" if version == 2 else b"TXXX", b"\0" + _KEYWORD + b"\0" + payload)


def _counts_bytes(data: bytes | None) -> bool:
    """Whether a chapter says where in the file it is, rather than when."""
    rest = (data or b"").partition(b"\0")[2]
    return rest[8:12] != _UNKNOWN_OFFSET or rest[12:16] != _UNKNOWN_OFFSET
