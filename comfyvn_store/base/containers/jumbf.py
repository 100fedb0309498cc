"""JUMBF (ISO/IEC 19566-5): boxes with labels in one another, as C2PA's manifest stores have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_MOST_BOXES = 2000
_DEEPEST = 12


class Box(NamedTuple):
    """A labelled box: what it holds that has no label, by type, and the labelled boxes in it."""

    label: str
    contents: tuple[tuple[bytes, bytes], ...]
    inner: tuple[Box, ...]

    def find(self, *prefixes: str) -> Box | None:
        """Gives the first inner box whose label begins in one of these ways."""
        return next((box for box in self.inner if box.label.startswith(prefixes)), None)

    def content(self, kind: bytes) -> bytes | None:
        """Gives the first content of a type."""
        return next((data for each, data in self.contents if each == kind), None)


def read(data: bytes) -> Box | None:
    """Gives the first labelled box; None if there is none. Never raises."""
    room = [_MOST_BOXES]
    for kind, body in _boxes(memoryview(data), room):
        if kind == b"jumb":
            return _labelled(body, 0, room)
    return None


def _boxes(data: memoryview, room: list[int]) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(data) and room[0] > 0:
        room[0] -= 1
        size, kind, start = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8]), at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        elif size == 0:
            size = len(data) - at
        if size < start - at or at + size > len(data):
            return
        yield kind, data[start : at + size]
        at += size


def _labelled(body: memoryview, depth: int, room: list[int]) -> Box:
    label, contents, inner = "", [], []
    for kind, data in _boxes(body, room):
        if kind == b"jumd":
            # A type of sixteen bytes, flags, and a label if the second flag is set.
            if len(data) > 17 and data[16] & 2:
                label = bytes(data[17:2017]).partition(b"\0")[0].decode("utf-8", "replace")[:500]
        elif kind == b"jumb":
            if depth < _DEEPEST:
                inner.append(_labelled(data, depth + 1, room))
        else:
            contents.append((kind, bytes(data)))
    return Box(label, tuple(contents), tuple(inner))
