"""GIF (version 89a): comments, XMP, C2PA, and how long an animation takes. Pictures are passed over block by block."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

LONGEST_BLOB = 4 * 1024 * 1024

_MOST_BYTES = 32 * 1024 * 1024  # followed before giving up: blocks are short, and every one has to be looked at
_MOST_BLOCKS = 1 << 18  # of up to 255 bytes each
_MOST_COMMENTS = 16
_LONGEST_COMMENTS = 12 * 1024 * 1024  # of all of them
_XMP = b"XMP DataXMP"


class Gif(NamedTuple):
    """What a file says. `seconds` is None for a single picture, and where the end was not reached."""

    comments: tuple[str, ...] = ()
    xmp: bytes | None = None
    c2pa: bytes | None = None
    seconds: float | None = None


def read(stream: BinaryIO) -> Gif:
    """Reads a seekable file. Raises only what the stream itself raises."""
    stream.seek(0)
    reader = _Reader(stream)
    try:
        reader.read()
    except _Ended:
        return Gif(tuple(reader.comments), reader.xmp, reader.c2pa)
    seconds = reader.hundredths / 100 if reader.pictures > 1 and reader.hundredths else None
    return Gif(tuple(reader.comments), reader.xmp, reader.c2pa, seconds)


class _Ended(Exception):
    """The file ends early, or too much of it was followed."""


class _Reader:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0
        self._passed = 0
        self._blocks_left = _MOST_BLOCKS
        self._room = _LONGEST_COMMENTS
        self.comments: list[str] = []
        self.xmp: bytes | None = None
        self.c2pa: bytes | None = None
        self.hundredths = 0
        self.pictures = 0

    def read(self) -> None:
        head = self._take(13)
        self._take(_table(head[10]))
        while True:
            kind = self._take(1)
            if kind == b"\x2c":
                self.pictures += 1
                self._take(_table(self._take(9)[8]) + 1)
                self._blocks(0)
            elif kind == b"\x21":
                self._extension(self._take(1)[0])
            elif kind == b";":
                return
            else:
                raise _Ended

    def _extension(self, label: int) -> None:
        if label == 0xF9:
            control = self._blocks(16)
            self.hundredths += int.from_bytes(control[1:3], "little") if len(control) >= 4 else 0
        elif label == 0xFE:
            text = self._blocks(min(LONGEST_BLOB, self._room))
            self._room = max(self._room - len(text), 0)
            if text and len(self.comments) < _MOST_COMMENTS:
                self.comments.append(text.decode("utf-8", "replace"))
        elif label == 0xFF:
            name = self._take(self._take(1)[0])
            if name == _XMP:
                # The packet stands there as it is, and a trailer of 258 bytes makes blocks of it.
                packet = self._raw()
                self.xmp = self.xmp or packet
            elif name[:8] == b"C2PA_GIF":
                self.c2pa = self._blocks(LONGEST_BLOB)
            else:
                self._blocks(0)
        else:
            self._blocks(0)

    def _blocks(self, keep: int) -> bytes:
        parts = []
        while size := self._size():
            data = self._take(size)
            if keep > 0:
                parts.append(data)
                keep -= size
        return b"".join(parts)

    def _raw(self) -> bytes:
        parts = []
        kept = 0
        while size := self._size():
            data = self._take(size)
            kept += size + 1
            if kept <= LONGEST_BLOB:
                parts.append(bytes([size]) + data)
        packet = b"".join(parts)
        end = packet.rfind(b"?>")  # before the trailer
        return packet[: end + 2] if end >= 0 else packet

    def _size(self) -> int:
        """The length of the next block; 0 is the end of them."""
        self._blocks_left -= 1
        if self._blocks_left < 0:
            raise _Ended
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._buffer[self._at : self._at + count]
        self._at += len(taken)
        while len(taken) < count:
            if self._passed > _MOST_BYTES:
                raise _Ended
            self._buffer = self._stream.read(1 << 16) or b""
            if not self._buffer:
                raise _Ended
            self._passed += len(self._buffer)
            self._at = count - len(taken)
            taken += self._buffer[: self._at]
            self._at = min(self._at, len(self._buffer))
        return taken


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
