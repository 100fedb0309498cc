"""PNG at the level of chunks (PNG specification, third edition, section 5): a scanner that is fed bytes as they come.

It decodes no picture. It knows the pixel size, keeps the text chunks (bounded), and notes where IEND and any
`comfyvn_provenance` chunk stand. A stream that stops making sense is `broken` from there on; it never raises.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers.reading import inflated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IEND = b"\0\0\0\0IEND\xaeB`\x82"
MARKER_KEYWORD = b"comfyvn_provenance"
# Real ComfyUI graphs reach 1 MB; what is longer is not kept (the file itself always is). A single character may make
# four bytes of every one in memory.
LONGEST_TEXT = 8 * 1024 * 1024
LONGEST_TEXTS = 12 * 1024 * 1024
MOST_TEXTS = 1024
LONGEST_KEYWORD = 1024
# A walk that looks at more chunks than that, and one for each 4 KiB of the file, ends. The marker is not counted: with it
# and without a file is the same.
MOST_CHUNKS = 1 << 16
MOST_MARKERS = 64
LONGEST_MARKER = 4096
_LONGEST_EXTRA = 16 * 1024 * 1024
_TEXT_TYPES = (b"tEXt", b"zTXt", b"iTXt")
# ComfyUI's animated pictures have their texts, laid out like tEXt, in chunks of this type.
_COMFY = b"comf"
# What a scanner keeps beside the texts if it is asked to: EXIF, and a C2PA manifest store.
_EXTRAS = (b"eXIf", b"caBX")
_HEAD = 8
_BLOCK = 1 << 16
_LONGEST_CHUNK = (1 << 31) - 1


class Chunk(NamedTuple):
    """Where a chunk stands: offset of its first byte and length over all (12 + data)."""

    offset: int
    length: int


def chunk(kind: bytes, data: bytes) -> bytes:
    """Gives a whole chunk: length, type, data, CRC."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")


def international_text(keyword: bytes, text: bytes) -> bytes:
    """Gives an uncompressed iTXt chunk without language or translated keyword (section 11.3.3.4)."""
    return chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text)


class PngScanner:
    """Follows the chunks of one PNG while its bytes pass by.

    `feed` takes bytes in order; afterwards `iend` is the offset of IEND (None until it came), `markers` the marker
    chunks before it, `texts` keyword → text, `width`/`height` in pixels, `broken` whether the structure or a chunk's
    CRC is wrong, or it has too many chunks (`scan` jumps over image data and does not check that). With `extras` it also
    keeps EXIF and C2PA, and how long an animation takes.
    """

    def __init__(self, *, extras: bool = False) -> None:
        self.exif: bytes | None = None
        self.c2pa: bytes | None = None
        self.seconds: float | None = None
        self._extras = _EXTRAS if extras else ()
        self._timed = (b"fcTL",) if extras else ()
        self.width: int | None = None
        self.height: int | None = None
        self.texts: dict[str, str] = {}
        self.markers: list[Chunk] = []
        # Of each marker chunk what it says, None where it is in another form than ours.
        self.marker_payloads: list[bytes | None] = []
        self.iend: int | None = None
        self.broken = False
        self.has_c2pa = False
        self._position = 0
        self._pending = bytearray()
        self._want = len(SIGNATURE)
        self._skip = 0
        self._crc: int | None = None  # of the chunk that passes by; None if it was jumped over
        self._step = self._signature
        self._room = LONGEST_TEXTS
        self._chunks = 0
        self._marked = 0  # bytes of the marker chunks
        self._kind = b""
        self._start = 0
        self._length = 0

    @property
    def is_whole(self) -> bool:
        """Whether the stream was a PNG from its signature to IEND."""
        return self.iend is not None and not self.broken

    def feed(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        view = memoryview(data)
        while view and self.iend is None and not self.broken:
            if self._skip:
                step = min(self._skip, len(view))
                if self._crc is not None:
                    self._crc = zlib.crc32(view[:step], self._crc)
                self._skip -= step
                self._position += step
                view = view[step:]
                continue
            step = min(self._want - len(self._pending), len(view))
            self._pending += view[:step]
            self._position += step
            view = view[step:]
            if len(self._pending) == self._want:
                taken = bytes(self._pending)
                self._pending.clear()
                self._step(taken)

    def scan(self, stream: BinaryIO) -> None:
        """Takes a whole seekable file, without reading the image data."""
        while self.iend is None and not self.broken:
            if self._skip > _BLOCK:
                stream.seek(self._skip, 1)
                self._crc = None
                self._position += self._skip
                self._skip = 0
            block = stream.read(_BLOCK)
            if not block:
                break
            self.feed(block)

    def _signature(self, taken: bytes) -> None:
        if taken != SIGNATURE:
            self.broken = True
        self._expect_head()

    def _expect_head(self) -> None:
        self._want, self._step = _HEAD, self._head

    def _head(self, taken: bytes) -> None:
        length, kind = int.from_bytes(taken[:4], "big"), taken[4:]
        self._start, self._length, self._kind = self._position - _HEAD, length, kind
        first = self._start == len(SIGNATURE)
        self._chunks += 1
        if self._is_crowded() or length > _LONGEST_CHUNK or not kind.isalpha() or first != (kind == b"IHDR"):
            self.broken = True
        elif kind == b"IEND":
            self._want, self._step = length + 4, self._end
            self.broken = length != 0
        elif kind == b"IHDR" or self._is_kept(kind, length):
            self._want, self._step = length + 4, self._body
            self.broken = kind == b"IHDR" and length != 13
        else:
            self._skip, self._crc = length, zlib.crc32(kind)
            self._want, self._step = 4, self._passed

    def _is_crowded(self) -> bool:
        markers = len(self.markers)
        most = MOST_CHUNKS + (self._start - self._marked >> 12)
        return self._chunks - markers > most or markers > MOST_MARKERS

    def _is_kept(self, kind: bytes, length: int) -> bool:
        self.has_c2pa = self.has_c2pa or kind == b"caBX"
        if kind in self._timed:
            return length == 26
        if kind in self._extras:
            return length <= _LONGEST_EXTRA
        return (kind in _TEXT_TYPES or kind == _COMFY) and length <= LONGEST_TEXT

    def _passed(self, taken: bytes) -> None:
        self.broken = self._crc is not None and self._crc.to_bytes(4, "big") != taken
        self._expect_head()

    def _body(self, taken: bytes) -> None:
        data, crc = taken[:-4], taken[-4:]
        good = zlib.crc32(data, zlib.crc32(self._kind)).to_bytes(4, "big") == crc
        if self._kind == b"IHDR":
            self.width = int.from_bytes(data[:4], "big") or None
            self.height = int.from_bytes(data[4:8], "big") or None
            self.broken = not good
        elif good and self._kind in self._extras:
            self._keep_extra(data)
        elif good and self._kind in self._timed:
            delay, per_second = int.from_bytes(data[20:22], "big"), int.from_bytes(data[22:24], "big") or 100
            self.seconds = (self.seconds or 0) + delay / per_second
        elif good:
            self._text(data)
        else:
            self.broken = True
        self._expect_head()

    def _end(self, taken: bytes) -> None:
        if taken == IEND[8:]:
            self.iend = self._start
        else:
            self.broken = True

    def _keep_extra(self, data: bytes) -> None:
        if self._kind == b"eXIf":
            self.exif = self.exif or data
        else:
            self.c2pa = self.c2pa or data

    def _text(self, data: bytes) -> None:
        end = data.find(b"\0", 0, LONGEST_KEYWORD + 1)
        if end <= 0:
            return
        keyword, rest = data[:end], data[end + 1 :]
        if keyword == MARKER_KEYWORD and self._kind != _COMFY:
            self.markers.append(Chunk(self._start, self._length + 12))
            self._marked += self._length + 12
            is_plain = self._kind == b"iTXt" and rest.startswith(b"\0\0\0\0") and len(rest) <= LONGEST_MARKER
            self.marker_payloads.append(rest[4:] if is_plain else None)
            return
        name = keyword.decode("latin-1")
        if name not in self.texts and len(self.texts) < MOST_TEXTS:
            text = self._decode(rest)
            if text is not None:
                self.texts[name] = text

    def _decode(self, rest: bytes) -> str | None:
        """Gives a text chunk's text, or None if it is compressed beyond reason or not well formed."""
        if self._kind in (b"tEXt", _COMFY):
            data = self._fitting(rest)
        elif self._kind == b"zTXt":
            data = self._inflated(rest[1:]) if rest[:1] == b"\0" else None
        else:
            parts = rest[2:].split(b"\0", 2)
            if len(parts) != 3 or rest[0] > 1 or rest[1] != 0:
                return None
            data = self._inflated(parts[2]) if rest[0] else self._fitting(parts[2])
            return None if data is None else data.decode("utf-8", "replace")
        return None if data is None else _latin(data)

    def _fitting(self, data: bytes) -> bytes | None:
        if len(data) > self._room:
            return None
        self._room -= len(data)
        return data

    def _inflated(self, data: bytes) -> bytes | None:
        """Gives what zlib data inflates to, or None if that is broken or longer than there is room for, which costs all the
        same what was inflated of it."""
        plain, made = inflated(data, min(self._room, LONGEST_TEXT)) if self._room > 0 else (None, 0)
        self._room -= made
        return plain


def _latin(data: bytes) -> str:
    """Decodes a tEXt value: Latin-1 by the specification, UTF-8 as some programs write it nevertheless."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
