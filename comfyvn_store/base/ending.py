"""Whether a file was cut off, told by its own structure: formats that say how long they are, or how they end.

A format that says neither is unknown, and so is a file whose structure is wrong in another way than by ending too early.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from comfyvn_store.base import media, png
from comfyvn_store.base.pixels import read_at

_MOST_STEPS = 1 << 16  # blocks, segments or boxes walked before giving up
_BLOCK = 1 << 20
_LONGEST_ZIP_END = 22 + 0xFFFF


def is_cut(stream: BinaryIO) -> bool | None:
    """Tells whether a seekable stream ends before what it holds does; None where that cannot be told.

    The stream is left at an arbitrary position. Raises only what the stream itself raises.
    """
    end = stream.seek(0, 2)
    if not end:
        return True
    reader = _READERS.get(media.sniff(read_at(stream, 0, media.HEAD_SIZE)))
    try:
        return reader(stream, end) if reader else None
    except (struct.error, IndexError):  # it ends amid a header
        return True


def _png(stream: BinaryIO, _end: int) -> bool | None:
    stream.seek(0)
    scanner = png.PngScanner()
    scanner.scan(stream)
    if scanner.broken:
        return None
    return scanner.iend is None


def _riff(stream: BinaryIO, end: int) -> bool | None:
    """RIFF says its length; programs that stream sound write 0 or all ones there."""
    kind, length = struct.unpack("<4sI", read_at(stream, 0, 8))
    if kind != b"RIFF" or length in (0, 0xFFFFFFFF):
        return None
    return bool(end < 8 + length)


def _jpeg(stream: BinaryIO, end: int) -> bool | None:
    """Behind the first scan's header `FF D9` is the end of the picture: amid its data an FF is followed by 00."""
    at = 2
    for _ in range(_MOST_STEPS):
        sign, kind, length = struct.unpack(">BBH", read_at(stream, at, 4))
        if sign != 0xFF:
            return None
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2 + length
        if kind == 0xDA:
            return not _has(stream, at, b"\xff\xd9")
        if at >= end:
            return True
    return None


def _has(stream: BinaryIO, at: int, wanted: bytes) -> bool:
    stream.seek(at)
    last = b""
    while block := stream.read(_BLOCK):
        if wanted in last + block:
            return True
        last = block[-len(wanted) + 1 :]
    return False


def _gif(stream: BinaryIO, _end: int) -> bool | None:
    flags = read_at(stream, 10, 1)[0]
    at = 13 + _colours(flags)
    for _ in range(_MOST_STEPS):
        kind = read_at(stream, at, 1)[0]
        if kind == 0x3B:
            return False
        if kind == 0x21:
            at = _behind_blocks(stream, at + 2)
        elif kind == 0x2C:
            at = _behind_blocks(stream, at + 11 + _colours(read_at(stream, at + 9, 1)[0]))
        else:
            return None
    return None


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_blocks(stream: BinaryIO, at: int) -> int:
    while length := read_at(stream, at, 1)[0]:
        at += 1 + length
    return at + 1


def _boxes(stream: BinaryIO, end: int) -> bool | None:
    """ISO base media: boxes one behind the other, each with its length; 0 means up to the end."""
    at = 0
    for _ in range(_MOST_STEPS):
        if at >= end:
            return at > end
        if end - at < 8:  # no box: something behind the last one
            return None
        length, _kind = struct.unpack(">I4s", read_at(stream, at, 8))
        if length == 1:
            (length,) = struct.unpack(">Q", read_at(stream, at + 8, 8))
        if length < 8:
            return None
        at += length
    return None


def _zip(stream: BinaryIO, end: int) -> bool | None:
    """The directory of a ZIP file (also Krita's and OpenRaster's) stands at its end."""
    tail = read_at(stream, max(end - _LONGEST_ZIP_END, 0), _LONGEST_ZIP_END)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        return True
    (comment,) = struct.unpack_from("<H", tail, at + 20)
    return bool(len(tail) - at - 22 < comment)


_READERS: dict[str, Callable[[BinaryIO, int], bool | None]] = {
    "image/png": _png,
    "image/webp": _riff,
    "audio/wav": _riff,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/avif": _boxes,
    "image/heic": _boxes,
    "audio/mp4": _boxes,
    "video/mp4": _boxes,
    "video/quicktime": _boxes,
    "application/zip": _zip,
}
