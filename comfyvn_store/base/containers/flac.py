"""FLAC at the level of metadata blocks (RFC 9639), and whether its last frame ends with the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers import vorbis
from comfyvn_store.base.containers.reading import LONGEST, Texts, read_at, size_of

SIGNATURE = b"fLaC"
STREAMINFO, PADDING, APPLICATION, SEEKTABLE, VORBIS_COMMENT, CUESHEET, PICTURE = range(7)
LONGEST_BLOCK = (1 << 24) - 1
_MOST_BLOCKS = 1 << 12
_LONGEST_FRAME = 1 << 20
_MOST_SUMMED = 3 << 20  # bytes, looking for a frame whose sum is right
_SYNC = re.compile(rb"\xff[\xf8\xf9]")


class Block(NamedTuple):
    """A metadata block: its type, whether it says to be the last, where its header of 4 bytes stands, its data's length."""

    kind: int
    is_last: bool
    offset: int
    size: int

    @property
    def data_at(self) -> int:
        """Where its data begins."""
        return self.offset + 4

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.offset + 4 + self.size


def head(kind: int, size: int, *, is_last: bool) -> bytes:
    """Gives a block's header."""
    return bytes([kind | (0x80 if is_last else 0)]) + size.to_bytes(3, "big")


def blocks(stream: BinaryIO, at: int = 0) -> Iterator[Block]:
    """Gives the metadata blocks of a FLAC that begins at `at` (programs put ID3 tags before it). After the last one, which
    says so, the frames follow; a walk that ends without it found the file's end or a block that is none."""
    if read_at(stream, at, 4) != SIGNATURE:
        return
    at += 4
    end = size_of(stream)
    for _ in range(_MOST_BLOCKS):
        header = read_at(stream, at, 4)
        if len(header) < 4 or header[0] & 0x7F == 0x7F:
            return
        block = Block(header[0] & 0x7F, bool(header[0] & 0x80), at, int.from_bytes(header[1:], "big"))
        if block.end > end:
            return
        yield block
        if block.is_last:
            return
        at = block.end


def comments(stream: BinaryIO, at: int = 0) -> vorbis.Comments | None:
    """Gives the comments of a FLAC that begins at `at`, None if there are none."""
    for block in blocks(stream, at):
        if block.kind == VORBIS_COMMENT and block.size <= LONGEST:
            return vorbis.parse(read_at(stream, block.data_at, block.size))
    return None


def texts(stream: BinaryIO, at: int = 0) -> Texts:
    """Gives the comments by their names in small letters."""
    found = comments(stream, at)
    return vorbis.texts(found) if found else Texts()


# -- the last frame ------------------------------------------------------------------------------------------------------


class Frame(NamedTuple):
    """What a frame's header says: the number of its first sample (None: it counts frames, `number`), how many it has."""

    is_counted_in_samples: bool
    number: int
    samples: int


def ends_with_a_frame(stream: BinaryIO, first: Block, audio_at: int) -> bool:
    """Tells whether the bytes from `audio_at` on begin with a frame and end with a whole one, and with no sample missing if
    STREAMINFO (`first`) says how many there are."""
    info = read_at(stream, first.data_at, 34)
    if len(info) < 34:
        return False
    end = size_of(stream)
    total = int.from_bytes(info[10:18], "big") & ((1 << 36) - 1)
    if audio_at == end:
        return total == 0
    if _frame(read_at(stream, audio_at, 32)) is None:
        return False
    longest = int.from_bytes(info[7:10], "big") or _LONGEST_FRAME
    start = max(audio_at, end - min(longest, _LONGEST_FRAME))
    tail = read_at(stream, start, end - start)
    budget = _MOST_SUMMED
    for found in reversed(list(_SYNC.finditer(tail))):
        at = found.start()
        frame = _frame(tail[at : at + 32])
        if frame is None:
            continue
        budget -= len(tail) - at
        if budget < 0:
            return False
        # Zeros behind a frame leave the sum as it is; a single one may be its own last byte.
        if _crc16(tail[at:]) == 0 and _crc16(tail[at:-2]) != 0:
            usual = int.from_bytes(info[:2], "big")
            done = frame.number if frame.is_counted_in_samples else frame.number * usual
            return total in (0, done + frame.samples)
    return False


def _frame(data: bytes) -> Frame | None:
    """Reads a frame's header (section 9.1); None if it is none."""
    if len(data) < 6 or data[0] != 0xFF or data[1] & 0xFE != 0xF8 or data[3] & 1 or data[3] >> 4 > 10:
        return None
    size, rate = data[2] >> 4, data[2] & 15
    if size == 0 or rate == 15:
        return None
    length, number = _coded_number(data[4:])
    at = 4 + length
    extra = {6: 1, 7: 2}.get(size, 0)
    samples = _SIZES[size] if not extra else int.from_bytes(data[at : at + extra], "big") + 1
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not length or at >= len(data) or _crc8(data[: at + 1]) != 0:
        return None
    return Frame(bool(data[1] & 1), number, samples)


_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


def _coded_number(data: bytes) -> tuple[int, int]:
    """Reads a number in the manner of UTF-8, up to 36 bits; gives its length, 0 if it is none, and the number."""
    first = data[0]
    if first < 0x80:
        return 1, first
    ones = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= ones <= 7 or len(data) < ones:
        return 0, 0
    number = first & (0x7F >> ones)
    for byte in data[1:ones]:
        if byte & 0xC0 != 0x80:
            return 0, 0
        number = number << 6 | byte & 0x3F
    return ones, number


def _table(polynomial: int, width: int) -> list[int]:
    top, mask = 1 << (width - 1), (1 << width) - 1
    table = []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return table


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _TABLE8[value ^ byte]
    return value


def _crc16(data: bytes) -> int:
    value, table = 0, _TABLE16
    for byte in data:
        value = (value << 8 & 0xFF00) ^ table[value >> 8 ^ byte]
    return value


_TABLE8 = _table(0x07, 8)
_TABLE16 = _table(0x8005, 16)
