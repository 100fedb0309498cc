"""WebP: a property in the `XMP ` chunk that is there, or such a chunk of our own at the end; a simple file becomes an
extended one for it, and a simple one again when the marker goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Piece, Unmarkable, xmp
from comfyvn_store.base.containers import riff
from comfyvn_store.base.containers.reading import read_at, size_of
from comfyvn_store.base.containers.riff import Chunk

_XMP, _ALPHA = 0x04, 0x10  # in VP8X's flags


class _Layout(NamedTuple):
    size: int
    chunks: list[Chunk]
    packet: bytes | None

    @property
    def xmp(self) -> Chunk | None:
        return next((chunk for chunk in self.chunks if chunk.kind == b"XMP "), None)


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    layout = _read(stream)
    spots = xmp.find(layout.packet or b"")

    def without() -> list[Piece]:
        chunk = layout.xmp
        assert chunk is not None and layout.packet is not None
        toolkit = xmp.own_toolkit(layout.packet)
        if toolkit is None:
            return _with_packet(layout, chunk, xmp.without(layout.packet, spots))
        first = layout.chunks[0]
        if toolkit == xmp.TOOLKIT_SIMPLE:
            kept: list[Piece] = [(first.end, chunk.offset), (chunk.end, layout.size)]
        else:
            kept = [(12, 20), _flags(stream, clear=_XMP), (21, chunk.offset), (chunk.end, layout.size)]
        return _with_head(kept)

    def texts() -> Mapping[str, str]:
        return {}

    everything: list[Piece] = [(0, layout.size)]
    return Found([spot.payload for spot in spots], without if spots else lambda: everything, texts)


def mark(stream: BinaryIO, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of the file with a marker; None if its packet cannot take one."""
    layout = _read(stream)
    first, chunk = layout.chunks[0], layout.xmp
    if chunk is not None:
        packet = xmp.insert(layout.packet or b"", payload)
        return _with_packet(layout, chunk, packet) if packet else None
    if first.kind == b"VP8X":
        kept: list[Piece] = [(12, 20), _flags(stream, add=_XMP), (21, layout.size), _chunk(b"XMP ", xmp.own(payload))]
        return _with_head(kept)
    extended = _extended(stream, first)
    if extended is None:
        return None
    packet = xmp.own(payload, xmp.TOOLKIT_SIMPLE)
    return _with_head([extended, (12, layout.size), _chunk(b"XMP ", packet)])


def _read(stream: BinaryIO) -> _Layout:
    found, size = riff.read(stream), size_of(stream)
    chunks = list(riff.chunks(stream))
    if found is None or found.kind != b"RIFF" or not chunks:
        raise Unmarkable(marking.CUT)
    if found.end is None or found.end > size or found.end < chunks[-1].end:
        raise Unmarkable(marking.CUT)
    if found.end < size or chunks[-1].end < size:
        raise Unmarkable(marking.TRAILING)
    kinds = [chunk.kind for chunk in chunks]
    if b"C2PA" in kinds:
        raise Unmarkable(marking.SIGNED)
    is_simple = kinds in ([b"VP8 "], [b"VP8L"])
    is_extended = kinds[0] == b"VP8X" and chunks[0].size == 10 and kinds.count(b"VP8X") == 1
    if not (is_simple or is_extended) or kinds.count(b"XMP ") > 1:
        raise Unmarkable("its chunks are not in an order that is known")
    layout = _Layout(size, chunks, None)
    if layout.xmp is None:
        return layout
    if layout.xmp.size > xmp.LONGEST:
        raise Unmarkable("its XMP is too long")
    packet = read_at(stream, layout.xmp.data_at, layout.xmp.size)
    if xmp.is_signed(packet):
        raise Unmarkable(marking.SIGNED)
    return layout._replace(packet=packet)


def _with_packet(layout: _Layout, chunk: Chunk, packet: bytes) -> list[Piece]:
    return _with_head([(12, chunk.offset), _chunk(b"XMP ", packet), (chunk.end, layout.size)])


def _with_head(kept: list[Piece]) -> list[Piece]:
    size = 4 + sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in kept)
    return [b"RIFF" + size.to_bytes(4, "little") + b"WEBP", *kept]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) & 1)


def _flags(stream: BinaryIO, add: int = 0, clear: int = 0) -> bytes:
    return bytes([(read_at(stream, 20, 1)[0] | add) & ~clear])


def _extended(stream: BinaryIO, first: Chunk) -> bytes | None:
    """Gives the VP8X chunk of a simple file: the picture's size, and whether it has an alpha channel."""
    head = read_at(stream, first.data_at, 10)
    if len(head) < 10:
        return None
    if first.kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
        is_sound = head[0] == 0x2F
    else:
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        is_sound = head[3:6] == b"\x9d\x01\x2a" and width > 0 and height > 0
        width, height, alpha = width - 1, height - 1, 0
    if not is_sound:
        return None
    flags = _XMP | (_ALPHA if alpha else 0)
    return _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little"))
