"""FLAC: a comment in the block that is there, or such a block of our own behind STREAMINFO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Piece, Unmarkable, comments
from comfyvn_store.base.containers import flac, vorbis
from comfyvn_store.base.containers.flac import Block
from comfyvn_store.base.containers.reading import read_at, size_of
from comfyvn_store.base.containers.vorbis import Comments


class _Layout(NamedTuple):
    size: int
    blocks: list[Block]
    block: Block | None
    comments: Comments | None


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    layout = _read(stream)
    if not flac.ends_with_a_frame(stream, layout.blocks[0], layout.blocks[-1].end):
        raise Unmarkable("it is cut off, or data of an unknown kind follows its end")
    block, found = layout.block, layout.comments
    payloads = comments.payloads(found) if found else []

    def without() -> list[Piece]:
        if block is None or found is None or not payloads:
            return [(0, layout.size)]
        if found.vendor == comments.VENDOR and len(payloads) == len(found.entries) and found.end == block.size:
            before = layout.blocks[layout.blocks.index(block) - 1]
            kept: list[Piece] = [
                (0, before.offset),
                _head(before, is_last=block.is_last),
                (before.data_at, block.offset),
            ]
            return [*kept, (block.end, layout.size)]
        return _changed(layout, block, comments.without(found))

    def texts() -> Mapping[str, str]:
        return vorbis.texts(found) if found else {}

    return Found(payloads, without, texts)


def mark(stream: BinaryIO, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of the file with a marker; None if its block is full."""
    layout = _read(stream)
    if layout.block is None or layout.comments is None:
        first, data = layout.blocks[0], comments.own(payload)
        head = flac.head(flac.VORBIS_COMMENT, len(data), is_last=first.is_last)
        kept: list[Piece] = [(0, first.offset), _head(first, is_last=False), (first.data_at, first.end)]
        return [*kept, head + data, (first.end, layout.size)]
    changes = comments.insert(layout.comments, payload)
    if layout.block.size + len(payload) + 64 > flac.LONGEST_BLOCK:
        return None
    return _changed(layout, layout.block, changes)


def _read(stream: BinaryIO) -> _Layout:
    blocks = list(flac.blocks(stream))
    if not blocks or not blocks[-1].is_last or blocks[0].kind != flac.STREAMINFO or blocks[0].size != 34:
        raise Unmarkable(marking.CUT)
    held = [block for block in blocks if block.kind == flac.VORBIS_COMMENT]
    if not held:
        return _Layout(size_of(stream), blocks, None, None)
    found = vorbis.parse(read_at(stream, held[0].data_at, held[0].size))
    if len(held) > 1 or found is None:
        raise Unmarkable("its comments do not parse")
    return _Layout(size_of(stream), blocks, held[0], found)


def _head(block: Block, *, is_last: bool) -> bytes:
    return flac.head(block.kind, block.size, is_last=is_last)


def _changed(layout: _Layout, block: Block, changes: list[comments.Change]) -> list[Piece]:
    """Gives the file's pieces with changes in the block of comments."""
    size = block.size + sum(len(change.data) - (change.end - change.start) for change in changes)
    pieces: list[Piece] = [(0, block.offset), _head(block._replace(size=size), is_last=block.is_last)]
    at = block.data_at
    for change in changes:
        pieces += [(at, block.data_at + change.start), change.data]
        at = block.data_at + change.end
    return [*pieces, (at, layout.size)]
