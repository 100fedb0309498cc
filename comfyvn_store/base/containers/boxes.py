"""ISO base media (ISO/IEC 14496-12) and QuickTime: MP4, MOV, M4A, AVIF, HEIC.

What the movie says of itself and of its first picture and sound, its texts, and EXIF, XMP and C2PA where they stand in
boxes or items of their own. It seeks over everything else; every walk and every read is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers.items import Items

LONGEST_TEXT = 8 * 1024 * 1024
LONGEST_BLOB = 16 * 1024 * 1024
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")

_MOST_BOXES = 20_000
_MOST_TEXTS = 512
_HIGHEST = (1 << 31) - 1
# The names of Apple's codes (QuickTime File Format, user data; iTunes metadata).
_CODES = {
    b"\xa9nam": "title",
    b"\xa9ART": "artist",
    b"\xa9aut": "author",
    b"\xa9alb": "album",
    b"\xa9cmt": "comment",
    b"\xa9day": "date",
    b"\xa9des": "description",
    b"\xa9gen": "genre",
    b"\xa9swr": "software",
    b"\xa9too": "encoder",
    b"\xa9enc": "encoder",
    b"\xa9cpy": "copyright",
    b"\xa9wrt": "composer",
    b"cprt": "copyright",
    b"desc": "description",
}


class Box(NamedTuple):
    """A box: its type, where what it holds begins, and where it ends."""

    kind: bytes
    at: int
    end: int


class Movie(NamedTuple):
    """What a file says; None is unknown. `texts` are names and values in the order of the file."""

    width: int | None = None
    height: int | None = None
    channels: int | None = None
    sample_rate: int | None = None
    duration: float | None = None
    texts: tuple[tuple[str, str], ...] = ()
    exif: bytes | None = None
    xmp: bytes | None = None
    c2pa: bytes | None = None


def read(stream: BinaryIO) -> Movie:
    """Reads a seekable file. Raises only what the stream itself raises."""
    return _Reader(stream).read()


class _Reader:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)
        self._boxes = 0
        self._room = LONGEST_TEXT + LONGEST_TEXT // 2
        self._facts: dict[str, int | float] = {}
        self._texts: list[tuple[str, str]] = []
        self._blobs: dict[str, bytes] = {}
        self._has_items = False

    def read(self) -> Movie:
        try:
            for box in self._walk(0, self._size):
                if box.kind == b"moov":
                    self._movie(box)
                elif box.kind == b"meta":
                    self._meta(box)
                elif box.kind == b"uuid":
                    self._uuid(box)
        except struct.error:  # a box ends early: what came before it counts
            pass
        facts, blobs = self._facts, self._blobs
        return Movie(
            width=_side(facts.get("width")),
            height=_side(facts.get("height")),
            channels=_side(facts.get("channels")),
            sample_rate=_side(facts.get("rate")),
            duration=facts.get("duration", facts.get("track")),  # a movie that repeats for ever has none of its own
            texts=tuple(self._texts),
            exif=blobs.get("exif"),
            xmp=blobs.get("xmp"),
            c2pa=blobs.get("c2pa"),
        )

    def _walk(self, at: int, end: int) -> Iterator[Box]:
        while at + 8 <= end and self._boxes < _MOST_BOXES:
            self._boxes += 1
            head = self._bytes(at, 16)
            if len(head) < 8:
                return
            size, kind, start = int.from_bytes(head[:4], "big"), head[4:8], at + 8
            if size == 1 and len(head) == 16:
                size, start = int.from_bytes(head[8:], "big"), at + 16
            elif size == 0:
                size = end - at
            if size < start - at or at + size > end:
                return
            yield Box(kind, start, at + size)
            at += size

    def _bytes(self, at: int, size: int) -> bytes:
        if at >= self._size or size <= 0:
            return b""
        self._stream.seek(at)
        return self._stream.read(min(size, self._size - at)) or b""

    # -- the movie

    def _movie(self, moov: Box) -> None:
        for box in self._walk(moov.at, moov.end):
            if box.kind == b"mvhd":
                self._length(box, "duration")
            elif box.kind == b"trak":
                self._track(box)
            elif box.kind == b"udta":
                self._user_data(box)
            elif box.kind == b"meta":
                self._meta(box)

    def _length(self, box: Box, name: str) -> None:
        head = self._bytes(box.at, 32)
        if head[:1] == b"\1":
            scale, length = struct.unpack_from(">IQ", head, 20)
            unknown = (1 << 64) - 1
        else:
            scale, length = struct.unpack_from(">II", head, 12)
            unknown = (1 << 32) - 1
        if scale and 0 < length < unknown and name not in self._facts:
            self._facts[name] = round(length / scale, 6)

    def _track(self, trak: Box) -> None:
        kind = b""
        for box in self._descend(trak, (b"mdia", b"minf", b"stbl")):
            if box.kind == b"mdhd":
                self._length(box, "track")
            elif box.kind == b"hdlr" and not kind:
                kind = self._bytes(box.at + 8, 4)
            elif box.kind == b"stsd":
                entry = self._bytes(box.at + 8, 512)
                if kind in (b"vide", b"pict") and "width" not in self._facts:
                    self._facts["width"], self._facts["height"] = struct.unpack_from(">HH", entry, 32)
                elif kind == b"soun" and "channels" not in self._facts:
                    self._sound(entry)

    def _sound(self, entry: bytes) -> None:
        version = int.from_bytes(entry[16:18], "big")
        if version == 2:  # QuickTime: sounds with more than two channels or rates above 65535
            rate, channels = struct.unpack_from(">dI", entry, 40)
            if 0 < rate < _HIGHEST:
                self._facts["channels"], self._facts["rate"] = channels, int(rate)
        else:
            channels, rate = struct.unpack_from(">H6xH", entry, 24)
            said = _aac(entry) if entry[4:8] == b"mp4a" else None
            self._facts["channels"], self._facts["rate"] = said or (channels, rate)

    def _descend(self, parent: Box, into: tuple[bytes, ...]) -> Iterator[Box]:
        for box in self._walk(parent.at, parent.end):
            if box.kind in into:
                yield from self._descend(box, into[into.index(box.kind) + 1 :])
            else:
                yield box

    # -- texts

    def _user_data(self, udta: Box) -> None:
        for box in self._walk(udta.at, udta.end):
            if box.kind == b"meta":
                self._meta(box)
            elif box.kind in _CODES and box.kind[:1] == b"\xa9":
                head = self._bytes(box.at, 4)  # QuickTime's: length, language, text
                length = int.from_bytes(head[:2], "big")
                self._keep(_CODES[box.kind], self._text(box.at + 4, min(length, box.end - box.at - 4)))
            elif box.kind == b"XMP_":
                self._blob("xmp", box.at, box.end - box.at)

    def _meta(self, meta: Box) -> None:
        # ISO has four bytes of version and flags before the boxes, QuickTime has not.
        start = meta.at if self._bytes(meta.at + 4, 4) == b"hdlr" else meta.at + 4
        keys: list[str] = []
        items = Items()
        for box in self._walk(start, meta.end):
            if box.kind == b"keys":
                keys = self._keys(box)
            elif box.kind == b"ilst":
                self._list(box, keys)
            elif box.kind in (b"iinf", b"iloc") and not self._has_items:
                items.take(box.kind, self._bytes(box.at, min(box.end - box.at, 1 << 20)))
            elif box.kind == b"idat":
                items.data_at = box.at
        self._has_items = self._has_items or items.is_complete  # a picture's are in one place
        for name, at, length in items.places():
            self._blob(name, at, length)

    def _keys(self, box: Box) -> list[str]:
        names: list[str] = []
        for key in self._walk(box.at + 8, box.end):
            if len(names) >= _MOST_TEXTS:
                break
            name = self._bytes(key.at, min(key.end - key.at, 256)).decode("utf-8", "replace")
            names.append(name.removeprefix("com.apple.quicktime."))
        return names

    def _list(self, ilst: Box, keys: list[str]) -> None:
        for item in self._walk(ilst.at, ilst.end):
            name = _CODES.get(item.kind, "")
            index = int.from_bytes(item.kind, "big")
            if 0 < index <= len(keys):
                name = keys[index - 1]
            for box in self._walk(item.at, item.end):
                if box.kind == b"name" and item.kind == b"----":
                    name = self._bytes(box.at + 4, min(box.end - box.at - 4, 256)).decode("utf-8", "replace")
                elif box.kind == b"data" and name and self._bytes(box.at, 4) in (b"\0\0\0\1", b"\0\0\0\0"):
                    self._keep(name, self._text(box.at + 8, box.end - box.at - 8))
                    break

    def _text(self, at: int, length: int) -> str:
        if not 0 < length <= min(LONGEST_TEXT, self._room):
            return ""
        data = self._bytes(at, length)
        self._room -= len(data)
        return data.decode("utf-8", "replace").rstrip("\0")

    def _keep(self, name: str, text: str) -> None:
        if text and len(self._texts) < _MOST_TEXTS:
            self._texts.append((name, text))

    # -- others' metadata

    def _uuid(self, box: Box) -> None:
        kind = self._bytes(box.at, 16)
        if kind == XMP:
            self._blob("xmp", box.at + 16, box.end - box.at - 16)
        elif kind == C2PA:
            # A full box, its purpose as a text that ends with a zero, and for a manifest eight bytes of an offset.
            head = self._bytes(box.at + 20, 64)
            purpose = head.partition(b"\0")[0]
            if purpose == b"manifest":
                start = box.at + 20 + len(purpose) + 1 + 8
                self._blob("c2pa", start, box.end - start)

    def _blob(self, name: str, at: int, length: int) -> None:
        if name in self._blobs:
            return
        if name == "exif":  # an offset to the TIFF header comes first
            skip = int.from_bytes(self._bytes(at, 4), "big")
            at, length = at + 4 + skip, length - 4 - skip
        if 0 < length <= LONGEST_BLOB and at + length <= self._size:  # what does not fit is not read again and again
            data = self._bytes(at, length)
            if len(data) == length:
                self._blobs[name] = data


_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def _aac(entry: bytes) -> tuple[int, int] | None:
    """Channels and rate as AAC itself has them (ISO/IEC 14496-3, 1.6.2.1): the entry says 2 whatever there is."""
    at = entry.find(b"esds") + 8  # version and flags, then descriptors in one another
    for tag, skip in ((3, 3), (4, 13), (5, 0)):
        if at < 8 or at >= len(entry) or entry[at] != tag:
            return None
        at += 1
        while at < len(entry) and entry[at] & 0x80:
            at += 1
        at += 1 + skip
    config = int.from_bytes(entry[at : at + 2], "big")
    rate, channels = config >> 7 & 15, config >> 3 & 15
    if config >> 11 == 31 or rate >= len(_AAC_RATES) or not 0 < channels <= 7:
        return None
    return (8 if channels == 7 else channels), _AAC_RATES[rate]


def _side(value: int | float | None) -> int | None:
    return int(value) if value is not None and 0 < value <= _HIGHEST else None
