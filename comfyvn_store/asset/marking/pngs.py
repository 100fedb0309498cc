"""PNG: a chunk of its own before IEND. `asset.ingest` puts it in while the bytes pass by; here is what undoes that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Piece, Unmarkable
from comfyvn_store.base import png
from comfyvn_store.base.containers.reading import size_of


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    scanner = png.PngScanner()
    stream.seek(0)
    scanner.scan(stream)
    size = size_of(stream)
    if not scanner.is_whole:
        raise Unmarkable(marking.CUT)
    if scanner.has_c2pa:
        raise Unmarkable(marking.SIGNED)

    def without() -> Iterator[Piece]:
        at = 0
        for chunk in scanner.markers:
            yield at, chunk.offset
            at = chunk.offset + chunk.length
        yield at, size

    return Found(list(scanner.marker_payloads), without, lambda: scanner.texts)


def mark(stream: BinaryIO, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of the file with a marker."""
    scanner = png.PngScanner()
    stream.seek(0)
    scanner.scan(stream)
    if scanner.iend is None:
        return None
    return [(0, scanner.iend), png.international_text(png.MARKER_KEYWORD, payload), (scanner.iend, size_of(stream))]
