"""WAV: an `id3 ` chunk at the end, or a frame in the tag of the one that is there. RF64 and BW64, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Piece, Unmarkable, tags
from comfyvn_store.base.containers import id3, riff
from comfyvn_store.base.containers.id3 import Tag
from comfyvn_store.base.containers.reading import size_of
from comfyvn_store.base.containers.riff import Chunk

# What RIFF can say of a file's length, less what a tag of ours is longer than its payload.
_LONGEST = 0xFFFFFF00


class _Layout(NamedTuple):
    kind: bytes
    size: int
    chunk: Chunk | None
    tag: Tag | None


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    layout = _read(stream)
    chunk, tag = layout.chunk, layout.tag
    spots = tags.find(stream, tag) if tag else []

    def without() -> list[Piece]:
        if chunk is None or tag is None:
            return [(0, layout.size)]
        if tags.is_own(tag, spots) and chunk.size == tag.end - tag.offset:
            return _resized(layout, [(chunk.end, layout.size)])
        return _with_tag(layout, list(tags.without(stream, tag, spots)))

    def texts() -> Mapping[str, str]:
        return id3.texts(stream, tag.offset) if tag else {}

    return Found([spot.payload for spot in spots], without, texts)


def mark(stream: BinaryIO, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of the file with a marker; None if there is no room for one."""
    layout = _read(stream)
    if layout.kind == b"RIFF" and layout.size + len(payload) > _LONGEST:
        return None
    if layout.chunk is None:
        data = tags.own(payload)
        chunk = b"id3 " + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) & 1)
        return _resized(layout, [chunk])
    pieces = tags.insert(layout.tag, payload) if layout.tag else None
    return _with_tag(layout, pieces) if pieces else None


def _read(stream: BinaryIO) -> _Layout:
    found, size = riff.read(stream), size_of(stream)
    chunks = list(riff.chunks(stream))
    if found is None or not chunks or found.end is None or found.end > size or found.end < chunks[-1].end:
        raise Unmarkable(marking.CUT)
    if found.end < size or chunks[-1].end < size:
        raise Unmarkable(marking.TRAILING)
    kinds = [chunk.kind for chunk in chunks]
    if b"C2PA" in kinds:
        raise Unmarkable(marking.SIGNED)
    is_long = found.kind != b"RIFF"
    if b"fmt " not in kinds or b"data" not in kinds or (is_long and (kinds[0] != b"ds64" or _says_short(stream))):
        raise Unmarkable(marking.CUT)
    held = [chunk for chunk in chunks if chunk.kind in (b"id3 ", b"ID3 ")]
    if not held:
        return _Layout(found.kind, size, None, None)
    tag = id3.tag_at(stream, held[0].data_at)
    if len(held) > 1 or tag is None or tag.end > held[0].data_at + held[0].size:
        raise Unmarkable("its `id3 ` chunk holds no single tag")
    return _Layout(found.kind, size, held[0], tag)


def _says_short(stream: BinaryIO) -> bool:
    """Whether an RF64 has its length in the first eight bytes nevertheless."""
    stream.seek(4)
    return stream.read(4) != b"\xff\xff\xff\xff"


def _with_tag(layout: _Layout, pieces: list[Piece]) -> list[Piece]:
    """Gives the file's pieces with another tag in its chunk; what stands behind the tag there stays."""
    chunk, tag = layout.chunk, layout.tag
    assert chunk is not None and tag is not None
    pieces = [*pieces, (tag.end, chunk.data_at + chunk.size)]
    size = _length(pieces)
    padding = b"\0" * (size & 1)
    name: Piece = (chunk.offset, chunk.offset + 4)
    return _resized(layout, [name, size.to_bytes(4, "little"), *pieces, padding, (chunk.end, layout.size)])


def _resized(layout: _Layout, rest: list[Piece]) -> list[Piece]:
    """Gives the file up to the tag's chunk, or all of it if there is none, then `rest`, with its length made right."""
    end = layout.chunk.offset if layout.chunk else layout.size
    length = end + _length(rest) - 8
    if layout.kind == b"RIFF":
        return [(0, 4), length.to_bytes(4, "little"), (8, end), *rest]
    return [(0, 20), length.to_bytes(8, "little"), (28, end), *rest]


def _length(pieces: list[Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
