"""JPEG at the level of segments (ISO/IEC 10918-1, annex B), and what stands in APP1 and APP11."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers.reading import BLOCK, LONGEST, Texts, read_at

SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APP0, APP1, APP2, APP11, APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE
EXIF = b"Exif\0"  # and one byte more
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
LONGEST_SEGMENT = 0xFFFF + 2

_MOST_SEGMENTS = 1 << 16
_MOST_SCANS = 1 << 12
_MOST_BETWEEN = 1 << 16  # segments between all scans
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # these have no length
# Amid a scan's data an FF is followed by 00, or opens a restart marker, or is a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Segment(NamedTuple):
    """A segment: the second byte of its marker, where its FF stands, and its length with marker and length field."""

    kind: int
    offset: int
    length: int

    @property
    def data_at(self) -> int:
        """Where what follows the length field begins."""
        return self.offset + 4

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.offset + self.length


def is_jpeg(stream: BinaryIO) -> bool:
    """Tells whether a stream begins as a JPEG does."""
    return read_at(stream, 0, 3) == b"\xff\xd8\xff"


def segments(stream: BinaryIO, at: int = 2) -> Iterator[Segment]:
    """Gives the segments from a position up to the header of the next scan, which comes last if there is one.

    A walk that ends in another way found no marker, a length that is none, EOI (given, too), or the file's end.
    """
    for _ in range(_MOST_SEGMENTS):
        head = read_at(stream, at, 4)
        if len(head) < 2 or head[0] != 0xFF:
            return
        kind = head[1]
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        if kind in _ALONE or kind in (SOI, EOI):
            yield Segment(kind, at, 2)
            if kind == EOI:
                return
            at += 2
            continue
        length = int.from_bytes(head[2:4], "big")
        if kind == 0 or len(head) < 4 or length < 2:
            return
        yield Segment(kind, at, length + 2)
        if kind == SOS:
            return
        at += length + 2


def end_of_picture(stream: BinaryIO) -> int | None:
    """Gives where the picture's EOI ends, all scans followed; None if there is none. Reads the whole picture."""
    at, left = 2, _MOST_BETWEEN
    for _ in range(_MOST_SCANS):
        last = None
        for last in segments(stream, at):
            left -= 1
            if last.kind == SOI or left < 0:
                return None
        if last is None or last.kind not in (SOS, EOI):
            return None
        if last.kind == EOI:
            return last.end
        found = _next_marker(stream, last.end)
        if found is None:
            return None
        at = found
    return None


def _next_marker(stream: BinaryIO, at: int) -> int | None:
    """Gives where the first marker behind a scan's data stands."""
    stream.seek(at)
    kept = b""
    while block := stream.read(BLOCK):
        data = kept + block
        found = _MARKER.search(data)
        if found:
            return at - len(kept) + found.start()
        at += len(block)
        kept = data[-1:] if data[-1:] == b"\xff" else b""
    return None


def payload(stream: BinaryIO, segment: Segment) -> bytes:
    """Gives a segment's data."""
    return read_at(stream, segment.data_at, segment.length - 4)


def begins(stream: BinaryIO, segment: Segment, start: bytes) -> bool:
    """Tells whether a segment's data begins with these bytes."""
    return segment.length - 4 >= len(start) and read_at(stream, segment.data_at, len(start)) == start


def exif(stream: BinaryIO) -> bytes | None:
    """Gives the TIFF structure of the first EXIF segment (several that follow each other continue it)."""
    parts: list[bytes] = []
    kept = 0
    for segment in segments(stream):
        if segment.kind == APP1 and begins(stream, segment, EXIF):
            data = payload(stream, segment)[len(EXIF) + 1 :]
            # One that begins like a TIFF structure of its own is another one, written by a careless program.
            if not parts or (data[:4] not in (b"II*\0", b"MM\0*") and kept < LONGEST):
                parts.append(data)
                kept += len(data)
        elif parts:
            break
    return b"".join(parts) if parts else None


def xmp(stream: BinaryIO) -> bytes | None:
    """Gives the XMP packet of the first segment that holds one."""
    for segment in segments(stream):
        if segment.kind == APP1 and begins(stream, segment, XMP):
            return payload(stream, segment)[len(XMP) :]
    return None


def extended_xmp(stream: BinaryIO, guid: bytes | None = None) -> bytes | None:
    """Gives the extended XMP (XMP part 3, section 1.1.3.1), whole or not at all; `guid` as `xmpNote:HasExtendedXMP` says,
    None for the first there is."""
    parts: dict[int, bytes] = {}
    whole, kept = 0, 0
    for segment in segments(stream):
        if segment.kind != APP1 or not begins(stream, segment, EXTENDED_XMP):
            continue
        data = payload(stream, segment)[len(EXTENDED_XMP) :]
        guid = guid or data[:32]
        if len(data) <= 40 or data[:32] != guid:
            continue
        length, at = int.from_bytes(data[32:36], "big"), int.from_bytes(data[36:40], "big")
        whole = whole or length
        kept += len(data) - 40
        if length != whole or kept > LONGEST:
            return None
        parts.setdefault(at, data[40:])
    found = b"".join(parts[at] for at in sorted(parts))
    edges = 0
    for at in sorted(parts):
        if at != edges:
            return None
        edges += len(parts[at])
    return found if parts and edges == whole else None


def jumbf(stream: BinaryIO) -> list[bytes]:
    """Gives the JUMBF boxes in APP11 (ISO/IEC 19566-5, annex D), each put together; C2PA's superbox is one of them."""
    boxes: dict[bytes, list[tuple[int, bytes]]] = {}
    kept = 0
    for segment in segments(stream):
        if segment.kind != APP11 or not begins(stream, segment, b"JP"):
            continue
        data = payload(stream, segment)
        head = 16 if data[8:12] == b"\0\0\0\1" else 8
        number, sequence = data[2:4], int.from_bytes(data[4:8], "big")
        kept += len(data)
        if len(data) < 8 + head or kept > LONGEST:
            break
        boxes.setdefault(number, []).append((sequence, data[8:]))
    found = []
    for parts in boxes.values():
        parts.sort(key=lambda part: part[0])
        head = 16 if parts[0][1][:4] == b"\0\0\0\1" else 8
        found.append(parts[0][1] + b"".join(part[head:] for _, part in parts[1:]))  # each repeats the box's header
    return found


def has_c2pa(stream: BinaryIO) -> bool:
    """Tells whether a C2PA manifest stands in APP11."""
    return any(
        segment.kind == APP11 and begins(stream, segment, b"JP") and b"c2pa" in payload(stream, segment)
        for segment in segments(stream)
    )


def texts(stream: BinaryIO) -> Texts:
    """Gives the first comment segment as `comment`."""
    found = Texts()
    for segment in segments(stream):
        if segment.kind == COM:
            data = payload(stream, segment).rstrip(b"\0")
            try:
                found.note("comment", data.decode("utf-8"))
            except UnicodeDecodeError:
                found.note("comment", data.decode("latin-1"))
            break
    return found
