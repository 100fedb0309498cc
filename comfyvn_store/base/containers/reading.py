"""Reading a seekable stream at positions, and how much of one file is kept."""

from __future__ import annotations

from typing import BinaryIO

# Real ComfyUI graphs reach 1 MB; what is longer is not kept (the file itself always is).
LONGEST = 16 * 1024 * 1024
LONGEST_ALL = 32 * 1024 * 1024
BLOCK = 1 << 18
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


class Texts(dict[str, str]):
    """Keyword → text: the first of each keyword, `LONGEST_ALL` characters in all."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = 0

    def note(self, keyword: str, text: str) -> None:
        """Keeps a text unless its keyword has one, or too much is kept already."""
        if keyword not in self and self._kept + len(text) <= LONGEST_ALL:
            self[keyword] = text
            self._kept += len(text)
