"""Ogg: pages, their checksums, and the packets in them (RFC 3533)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers import vorbis
from comfyvn_store.base.containers.reading import LONGEST, LONGEST_ALL, Texts, read_at, size_of

CONTINUED, FIRST, LAST = 1, 2, 4
NO_GRANULE = (1 << 64) - 1  # no packet ends on the page
_HEAD = 27
_MOST_STREAMS = 64
_MOST_HEADER_PAGES = 1 << 14
_MOST_PAGES = 1 << 16  # and one for each 4 KiB: who writes many small ones writes short files


class Page(NamedTuple):
    """A page: where it stands, what its header says, its segment table, its data. `is_sound`: the checksum is right."""

    offset: int
    flags: int
    granule: int
    serial: int
    number: int
    lacing: bytes
    data: bytes
    is_sound: bool

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.offset + _HEAD + len(self.lacing) + len(self.data)


def build(flags: int, granule: int, serial: int, number: int, lacing: bytes, data: bytes) -> bytes:
    """Gives a page with its checksum."""
    head = b"OggS\0" + bytes([flags]) + granule.to_bytes(8, "little") + serial.to_bytes(4, "little")
    rest = bytes([len(lacing)]) + lacing + data
    head += (number & 0xFFFFFFFF).to_bytes(4, "little")
    return head + checksum(head + bytes(4) + rest) + rest


# Ogg's CRC has zlib's polynomial, with the bits of each byte the other way round and nothing inverted.
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> bytes:
    """Gives the checksum of a page in whose place of it are zeros, as it is written there."""
    mirrored = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return mirrored.to_bytes(4, "big").translate(_MIRROR)


def page_at(stream: BinaryIO, at: int) -> Page | None:
    """Reads the page at a position; None if there is none, or not all of it."""
    head = read_at(stream, at, _HEAD)
    if len(head) < _HEAD or head[:5] != b"OggS\0":
        return None
    rest = read_at(stream, at + _HEAD, head[26])
    size = sum(rest)
    data = stream.read(size) if size else b""
    if len(data) < size:  # a raw file may give less at a time
        data = read_at(stream, at + _HEAD + len(rest), size)
    if len(rest) < head[26] or len(data) < size:
        return None
    is_sound = checksum(head[:22] + bytes(4) + head[26:] + rest + data) == head[22:26]
    granule, serial = int.from_bytes(head[6:14], "little"), int.from_bytes(head[14:18], "little")
    return Page(at, head[5], granule, serial, int.from_bytes(head[18:22], "little"), rest, data, is_sound)


def pages(stream: BinaryIO, at: int = 0) -> Iterator[Page]:
    """Gives the pages that follow each other without a gap, up to the file's end or to what is no page."""
    while page := page_at(stream, at):
        yield page
        at = page.end


class Packet(NamedTuple):
    """A packet of one stream: the how manieth it is, its bytes (None: longer than what is kept), and the first and the
    last page that hold some of it, as numbers of pages seen by the walk."""

    serial: int
    number: int
    data: bytes | None
    first_page: int
    last_page: int


class _Assembly:
    """One stream, while its packets are put together."""

    def __init__(self) -> None:
        self.done = 0
        self.parts: list[bytes] = []
        self.length = 0
        self.first_page = 0


def packets(found: Iterable[Page], longest: int = LONGEST) -> Iterator[Packet]:
    """Puts packets together out of pages of any number of streams, each as soon as its last page was seen.

    A packet of which a page is missing is given as far as it is there. Streams beyond 64 at a time are left out.
    """
    open_streams: dict[int, _Assembly] = {}
    for index, page in enumerate(found):
        if page.flags & FIRST:
            open_streams.pop(page.serial, None)
        stream = open_streams.get(page.serial)
        if stream is None:
            if len(open_streams) >= _MOST_STREAMS:
                continue
            stream = open_streams[page.serial] = _Assembly()
        at = start = 0
        for value in page.lacing:
            if not stream.length and not stream.parts:
                stream.first_page = index
            at += value
            if value == 255:
                continue
            yield _complete(stream, page, page.data[start:at], index, longest)
            start = at
        _add(stream, page.data[start:at], longest)
        if page.flags & LAST:
            open_streams.pop(page.serial, None)


def _add(stream: _Assembly, data: bytes, longest: int) -> None:
    stream.length += len(data)
    if data and stream.length <= longest:
        stream.parts.append(data)
    elif stream.length > longest:
        stream.parts.clear()


def _complete(stream: _Assembly, page: Page, data: bytes, index: int, longest: int) -> Packet:
    _add(stream, data, longest)
    whole = b"".join(stream.parts) if stream.length <= longest else None
    packet = Packet(page.serial, stream.done, whole, stream.first_page, index)
    stream.done += 1
    stream.parts, stream.length = [], 0
    return packet


class Stream(NamedTuple):
    """A logical stream: what it holds (`vorbis`, `opus`, `flac`, `speex`, `theora`, `skeleton`, None: unknown), its first
    packet, and its second, which in most kinds holds comments (None: not found)."""

    serial: int
    kind: str | None
    first: bytes
    second: bytes | None


_KINDS = (
    (b"\x01vorbis", "vorbis"),
    (b"OpusHead", "opus"),
    (b"\x7fFLAC", "flac"),
    (b"Speex   ", "speex"),
    (b"\x80theora", "theora"),
    (b"fishead\0", "skeleton"),
)


def kind_of(first: bytes) -> str | None:
    """Tells what a stream holds by its first packet."""
    return next((kind for magic, kind in _KINDS if first.startswith(magic)), None)


def streams(stream: BinaryIO, longest: int = LONGEST) -> list[Stream]:
    """Gives the streams that a file begins with, in their order; of chained files those of the first link."""
    begun: dict[int, Stream] = {}
    seconds: dict[int, bytes | None] = {}
    for packet in packets(_header_pages(stream), longest):
        if packet.number == 0 and packet.data is not None:
            begun.setdefault(packet.serial, Stream(packet.serial, kind_of(packet.data), packet.data[:1024], None))
        elif packet.number == 1:
            seconds.setdefault(packet.serial, packet.data)
        if packet.number and all(serial in seconds for serial in begun):
            break
    return [each._replace(second=seconds.get(each.serial)) for each in begun.values()]


def _header_pages(stream: BinaryIO) -> Iterator[Page]:
    """Gives the pages of the first link, a bounded number, with a bounded number of bytes."""
    has_begun, room = False, LONGEST_ALL + (1 << 20)
    for count, page in enumerate(pages(stream)):
        if count >= _MOST_HEADER_PAGES or (has_begun and page.flags & FIRST):
            return
        has_begun = has_begun or not page.flags & FIRST
        room -= len(page.data)
        if room < 0:
            return
        yield page


def comments(stream: BinaryIO) -> list[vorbis.Comments]:
    """Gives the lists of comments of the streams that a file begins with."""
    found = []
    for each in streams(stream):
        start = vorbis.head_of(each.second) if each.second and each.kind in ("vorbis", "opus", "flac") else None
        if each.second and each.kind in ("speex",):
            start = 0
        if each.second and each.kind == "theora" and each.second.startswith(b"\x81theora"):
            start = 7
        if each.second is not None and start is not None and (parsed := vorbis.parse(each.second, start)):
            found.append(parsed)
    return found


def texts(stream: BinaryIO) -> Texts:
    """Gives the comments of all streams that a file begins with, by their names in small letters."""
    found = Texts()
    for each in comments(stream):
        for name, text in vorbis.texts(each).items():
            found.note(name, text)
    return found


def is_whole(stream: BinaryIO) -> bool:
    """Tells whether a file consists of sound pages from its first byte to its last, and of streams that begin and end.

    One of more pages than anybody makes is not walked to its end, and none."""
    at, open_streams, ended = 0, set[int](), False
    for count, page in enumerate(pages(stream)):
        is_crowded = count >= _MOST_PAGES + (at >> 12)
        if is_crowded or not page.is_sound or bool(page.flags & FIRST) == (page.serial in open_streams):
            return False
        open_streams.add(page.serial)
        if page.flags & LAST:
            open_streams.discard(page.serial)
            ended = True
        if len(open_streams) > _MOST_STREAMS:
            return False
        at = page.end
    return ended and not open_streams and at == size_of(stream)
