"""Reading a seekable stream at positions, and how much of one file is kept."""

from __future__ import annotations

import zlib
from typing import BinaryIO

LONGEST = 16 * 1024 * 1024  # bytes read at once
# Real ComfyUI graphs reach 1 MB; what is longer is not kept (the file itself always is). A single character may make
# four bytes of every one in memory.
LONGEST_TEXT = 8 * 1024 * 1024
LONGEST_ALL = 12 * 1024 * 1024
MOST_TEXTS = 1024
LONGEST_KEYWORD = 1024
BLOCK = 1 << 18
_PIECE = 1 << 18
_FARTHEST = 1 << 62  # positions beyond are lies


def size_of(stream: BinaryIO) -> int:
    """Gives the stream's length."""
    return stream.seek(0, 2)


def read_at(stream: BinaryIO, at: int, count: int) -> bytes:
    """Reads `count` bytes from a position, `LONGEST` at most; fewer, or none, where the stream ends."""
    if not 0 <= at < _FARTHEST or count <= 0:
        return b""
    stream.seek(at)
    count = min(count, LONGEST)
    data = stream.read(count) or b""
    while len(data) < count and (more := stream.read(count - len(data))):  # a raw file may give less
        data += more
    return data


def inflated(data: bytes, limit: int) -> tuple[bytes | None, int]:
    """Gives what zlib data inflates to, None if that is broken or longer than `limit`, and how many bytes were made of it,
    which costs time all the same."""
    inflater = zlib.decompressobj()
    parts: list[bytes] = []
    made = 0
    try:
        while made <= limit and not inflater.eof:
            part = inflater.decompress(data, min(_PIECE, limit + 1 - made))
            if not part and not inflater.unconsumed_tail:
                return None, made
            parts.append(part)
            made += len(part)
            data = inflater.unconsumed_tail
    except zlib.error:
        return None, made
    return (b"".join(parts) if made <= limit else None), made


class Texts(dict[str, str]):
    """Keyword → text: the first of each keyword, `MOST_TEXTS` and `LONGEST_ALL` characters in all."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = 0

    def note(self, keyword: str, text: str) -> None:
        """Keeps a text unless its keyword has one, or too much is kept already."""
        if keyword in self or len(keyword) > LONGEST_KEYWORD or len(self) >= MOST_TEXTS:
            return
        if len(text) <= LONGEST_TEXT and self._kept + len(text) <= LONGEST_ALL:
            self[keyword] = text
            self._kept += len(text)
