"""EBML (RFC 8794) as Matroska and WebM use it (RFC 9559): the movie's facts and its tags.

Clusters are seeked over. Every walk and every read is bounded, and elements of unknown size end a walk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import isfinite
from typing import BinaryIO, NamedTuple

LONGEST_TEXT = 8 * 1024 * 1024

_MOST_ELEMENTS = 50_000
_MOST_TEXTS = 512
_HIGHEST = (1 << 31) - 1
_SEGMENT, _INFO, _TRACKS, _TAGS = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1254C367
_SCALE, _DURATION, _TITLE, _WRITER, _MUXER = 0x2AD7B1, 0x4489, 0x7BA9, 0x5741, 0x4D80
_TRACK, _VIDEO, _AUDIO, _WIDTH, _HEIGHT, _RATE, _CHANNELS = 0xAE, 0xE0, 0xE1, 0xB0, 0xBA, 0xB5, 0x9F
_TAG, _TARGETS, _TRACK_UID, _SIMPLE, _NAME, _STRING = 0x7373, 0x63C0, 0x63C5, 0x67C8, 0x45A3, 0x4487


class Movie(NamedTuple):
    """What a file says; None is unknown. `texts` are names and values in the order of the file."""

    width: int | None = None
    height: int | None = None
    channels: int | None = None
    sample_rate: int | None = None
    duration: float | None = None
    texts: tuple[tuple[str, str], ...] = ()


class _Element(NamedTuple):
    kind: int
    at: int
    end: int


def read(stream: BinaryIO) -> Movie:
    """Reads a seekable file. Raises only what the stream itself raises."""
    return _Reader(stream).read()


class _Reader:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)
        self._elements = 0
        self._room = LONGEST_TEXT + LONGEST_TEXT // 2
        self._facts: dict[str, int] = {}
        self._duration: float | None = None
        self._texts: list[tuple[str, str]] = []

    def read(self) -> Movie:
        for top in self._walk(0, self._size, is_top=True):
            if top.kind == _SEGMENT:
                for element in self._walk(top.at, top.end, is_top=True):
                    if element.kind == _INFO:
                        self._info(element)
                    elif element.kind == _TRACKS:
                        self._tracks(element)
                    elif element.kind == _TAGS:
                        self._tags(element)
                break
        facts = {key: value for key, value in self._facts.items() if 0 < value <= _HIGHEST}
        return Movie(**facts, duration=self._duration, texts=tuple(self._texts))

    def _walk(self, at: int, end: int, *, is_top: bool = False) -> Iterator[_Element]:
        """Gives the elements of a range. One whose size is unknown, or beyond the end, is cut there at the top only."""
        while at < end and self._elements < _MOST_ELEMENTS:
            self._elements += 1
            head = self._bytes(at, 12)
            width = _width(head)
            if not 0 < width <= 4 or len(head) <= width:
                return
            kind = int.from_bytes(head[:width], "big")
            wide = _width(head[width:])
            if not wide or len(head) < width + wide:
                return
            start = at + width + wide
            size = int.from_bytes(head[width : width + wide], "big") & ((1 << 7 * wide) - 1)
            stop = start + size
            if size == (1 << 7 * wide) - 1 or stop > end:
                if not (is_top and kind == _SEGMENT):
                    return
                stop = end
            yield _Element(kind, start, stop)
            at = stop

    def _bytes(self, at: int, size: int) -> bytes:
        if at >= self._size or size <= 0:
            return b""
        self._stream.seek(at)
        return self._stream.read(min(size, self._size - at)) or b""

    def _info(self, info: _Element) -> None:
        scale, length = 1_000_000, None
        for element in self._walk(info.at, info.end):
            if element.kind == _SCALE:
                scale = self._number(element) or scale
            elif element.kind == _DURATION:
                length = self._float(element)
            elif element.kind in (_TITLE, _WRITER, _MUXER):
                name = {_TITLE: "title", _WRITER: "software", _MUXER: "encoder"}[element.kind]
                self._keep(name, self._text(element))
        if length is not None and isfinite(length) and 0 < length * scale < 1e9 * _HIGHEST:
            self._duration = round(length * scale / 1e9, 6) or None

    def _tracks(self, tracks: _Element) -> None:
        for track in self._walk(tracks.at, tracks.end):
            if track.kind == _TRACK:
                for element in self._walk(track.at, track.end):
                    if element.kind == _VIDEO and "width" not in self._facts:
                        self._settings(element, {_WIDTH: "width", _HEIGHT: "height"})
                    elif element.kind == _AUDIO and "sample_rate" not in self._facts:
                        self._facts["channels"] = 1  # what the format says where nothing is said
                        self._settings(element, {_CHANNELS: "channels", _RATE: "sample_rate"})

    def _settings(self, parent: _Element, names: dict[int, str]) -> None:
        for element in self._walk(parent.at, parent.end):
            if element.kind in names:
                value = self._float(element) if element.kind == _RATE else self._number(element)
                if value is not None and isfinite(value) and 0 < value <= _HIGHEST:
                    self._facts[names[element.kind]] = int(value)

    def _tags(self, tags: _Element) -> None:
        for tag in self._walk(tags.at, tags.end):
            if tag.kind != _TAG or self._is_of_a_track(tag):
                continue
            for simple in self._walk(tag.at, tag.end):
                if simple.kind == _SIMPLE:
                    parts = {part.kind: part for part in self._walk(simple.at, simple.end)}
                    if _NAME in parts and _STRING in parts and len(self._texts) < _MOST_TEXTS:
                        self._keep(self._text(parts[_NAME]), self._text(parts[_STRING]))

    def _is_of_a_track(self, tag: _Element) -> bool:
        for element in self._walk(tag.at, tag.end):
            if element.kind == _TARGETS:
                inside = self._walk(element.at, element.end)
                return any(part.kind == _TRACK_UID and self._number(part) for part in inside)
        return False

    def _keep(self, name: str, text: str) -> None:
        if name and text and len(self._texts) < _MOST_TEXTS:
            self._texts.append((name, text))

    def _number(self, element: _Element) -> int | None:
        size = element.end - element.at
        return int.from_bytes(self._bytes(element.at, size), "big") if 0 < size <= 8 else None

    def _float(self, element: _Element) -> float | None:
        data = self._bytes(element.at, min(element.end - element.at, 9))
        if len(data) not in (4, 8):
            return None
        return float(struct.unpack(">f" if len(data) == 4 else ">d", data)[0])

    def _text(self, element: _Element) -> str:
        size = element.end - element.at
        if not 0 < size <= min(LONGEST_TEXT, self._room):
            return ""
        self._room -= size
        return self._bytes(element.at, size).decode("utf-8", "replace").rstrip("\0")


def _width(head: bytes) -> int:
    """How many bytes a number has, by the zeros before its first one; 0 for none."""
    return 9 - head[0].bit_length() if head and head[0] else 0
