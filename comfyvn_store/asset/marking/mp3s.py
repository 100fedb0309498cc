"""MP3 (and MPEG audio of layer II): a frame in the ID3v2 tag at the front, or such a tag of our own."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Piece, Unmarkable, tags
from comfyvn_store.base.containers import id3
from comfyvn_store.base.containers.id3 import Tag
from comfyvn_store.base.containers.reading import read_at, size_of

_BLOCK = 1 << 20
_MOST_TAGS = 16


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    tag, size = id3.tag_at(stream), size_of(stream)
    spots = tags.find(stream, tag) if tag else []
    audio_end = _audio_end(stream, tag.end if tag else 0, size)
    if _tags_at_end(stream, audio_end, size) != audio_end:
        raise Unmarkable(marking.TRAILING)

    def without() -> Iterator[Piece]:
        if tag and not (tags.is_own(tag, spots) or _is_own(stream, tag, spots)):
            yield from tags.without(stream, tag, spots)
        yield tag.end if tag else 0, size

    def texts() -> Mapping[str, str]:
        return id3.texts(stream)

    return Found([spot.payload for spot in spots], without, texts)


def mark(stream: BinaryIO, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of the file with a marker; None if its tag is full."""
    tag, size = id3.tag_at(stream), size_of(stream)
    if tag is None:
        return [tags.own(payload, _repeated(stream)), (0, size)]
    pieces = tags.insert(tag, payload)
    return [*pieces, (tag.end, size)] if pieces else None


def _is_own(stream: BinaryIO, tag: Tag, spots: list[tags.Spot]) -> bool:
    """Whether a tag is one that we made for a file with a tag of version 1."""
    if len(spots) != 1 or spots[0].payload is None or tag.size > _BLOCK:
        return False
    return read_at(stream, tag.offset, tag.end - tag.offset) == tags.own(spots[0].payload, _repeated(stream))


def _repeated(stream: BinaryIO) -> bytes:
    """Gives what a tag of version 1 says as frames: programs that find a tag at the front do not look for it."""
    data = read_at(stream, size_of(stream) - 128, 128)
    if not data.startswith(b"TAG"):
        return b""
    frames = []
    for kind, start, end in ((b"TIT2", 3, 33), (b"TPE1", 33, 63), (b"TALB", 63, 93), (b"TYER", 93, 97)):
        text = data[start:end].split(b"\0", 1)[0].rstrip()
        if text:
            frames.append(tags.frame(3, kind, b"\0" + text))
    if data[125] == 0 and data[126]:
        frames.append(tags.frame(3, b"TRCK", b"\0%d" % data[126]))
    if comment := data[97:127].split(b"\0", 1)[0].rstrip():
        frames.append(tags.frame(3, b"COMM", b"\0eng\0" + comment))
    if data[127] < 192:
        frames.append(tags.frame(3, b"TCON", b"\0(%d)" % data[127]))
    return b"".join(frames)


def _audio_end(stream: BinaryIO, at: int, size: int) -> int:
    """Follows the frames of MPEG audio and gives where the last one ends. Raises Unmarkable."""
    start, data, data_at = at, b"", at
    while True:
        if at + 4 > data_at + len(data):
            data_at, data = at, read_at(stream, at, _BLOCK)
        index = at - data_at
        length = _length(data[index : index + 3]) if len(data) >= index + 4 else 0
        if not length:
            break
        at += length
    if at == start or at > size:
        raise Unmarkable(marking.CUT)
    return at


@functools.cache
def _length(head: bytes) -> int:
    """Gives the length of the frame with these first bytes (ISO/IEC 11172-3, section 2.4.1.3); 0 if it is none."""
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or bits in (0, 15) or rate == 3:
        return 0
    is_low = version != 3
    kilobits = _KILOBITS[0 if is_low else layer][bits]
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    factor = 72 if is_low and layer == 1 else 144
    return factor * kilobits * 1000 // hertz + (head[2] >> 1 & 1)


_KILOBITS = {
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),  # layer II
    0: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # both, at half the rates and less
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # layer III
}


def _tags_at_end(stream: BinaryIO, audio_end: int, size: int) -> int:
    """Gives where the tags that end a file begin: ID3v1 with its extension, APE, Lyrics3, ID3v2 that is read backwards."""
    end = size
    for _ in range(_MOST_TAGS):
        before = _start_of_tag(stream, end) if end > audio_end else end
        if before == end or before < audio_end:
            break
        end = before
    return end


def _start_of_tag(stream: BinaryIO, end: int) -> int:
    """Gives where the tag that ends at `end` begins; `end` if there is none."""
    if read_at(stream, end - 128, 3) == b"TAG":
        return end - (355 if read_at(stream, end - 355, 4) == b"TAG+" else 128)
    footer = read_at(stream, end - 32, 32)
    if footer.startswith(b"APETAGEX"):
        has_header = int.from_bytes(footer[20:24], "little") >> 31
        return end - int.from_bytes(footer[12:16], "little") - (32 if has_header else 0)
    if footer[-9:] == b"LYRICS200" and footer[-15:-9].isdigit():
        start = end - 15 - int(footer[-15:-9])
        return start if read_at(stream, start, 11) == b"LYRICSBEGIN" else end
    if footer[-10:-7] == b"3DI":
        start = end - 20 - _synchsafe(footer[-4:])
        return start if read_at(stream, start, 3) == b"ID3" else end
    return end


def _synchsafe(data: bytes) -> int:
    return data[0] << 21 | data[1] << 14 | data[2] << 7 | data[3]
