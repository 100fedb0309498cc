"""Photoshop's documents: the image resources that hold XMP and EXIF."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

LONGEST_BLOB = 16 * 1024 * 1024
_MOST_RESOURCES = 4096
_EXIF, _XMP = 1058, 1060


class Psd(NamedTuple):
    """What the resources hold."""

    exif: bytes | None = None
    xmp: bytes | None = None


def read(stream: BinaryIO) -> Psd:
    """Reads a seekable file. Raises only what the stream itself raises."""
    at = 26
    at += 4 + _number(stream, at, 4)  # the colour table
    end = at + 4 + _number(stream, at, 4)
    at += 4
    found: dict[int, bytes] = {}
    for _ in range(_MOST_RESOURCES):
        stream.seek(at)
        head = stream.read(7) or b""
        if len(head) < 7 or head[:4] != b"8BIM":
            break
        number, name = int.from_bytes(head[4:6], "big"), head[6]
        start = at + 6 + ((name + 2) & ~1)  # a name of an odd length over all is padded
        size = _number(stream, start, 4)
        if start + 4 + size > end:
            break
        if number in (_EXIF, _XMP) and 0 < size <= LONGEST_BLOB:
            stream.seek(start + 4)
            found.setdefault(number, stream.read(size) or b"")
        at = start + 4 + size + (size & 1)
    return Psd(found.get(_EXIF), found.get(_XMP))


def _number(stream: BinaryIO, at: int, width: int) -> int:
    stream.seek(at)
    return int.from_bytes(stream.read(width) or b"", "big")
