"""ID3v2 tags, versions 2.2, 2.3 and 2.4, and the tag of version 1 (id3.org)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from comfyvn_store.base.containers.reading import LONGEST_ALL, Texts, inflated, read_at, size_of

UNSYNCHRONISED, EXTENDED, FOOTER = 0x80, 0x40, 0x10
HEAD = 10
LONGEST_SIZE = (1 << 28) - 1
_MOST_FRAMES = 1 << 14


class Tag(NamedTuple):
    """A tag: its version (2, 3 or 4), its flags, where it stands, and how long it is without header and footer."""

    version: int
    flags: int
    offset: int
    size: int

    @property
    def data_at(self) -> int:
        """Where what follows the header begins."""
        return self.offset + HEAD

    @property
    def end(self) -> int:
        """Where it ends, its footer included."""
        return self.offset + HEAD + self.size + (HEAD if self.has_footer else 0)

    @property
    def has_footer(self) -> bool:
        """Whether the header is repeated at the end."""
        return self.version == 4 and bool(self.flags & FOOTER)

    @property
    def is_unsynchronised(self) -> bool:
        """Whether a 00 was put behind each FF that would have looked like the sign of an MPEG frame."""
        return bool(self.flags & UNSYNCHRONISED)


class Frame(NamedTuple):
    """A frame: its name, where its header stands (None within a tag that is unsynchronised as a whole, where offsets
    mean nothing), how long it is over all, and its data, decoded (None: not asked for, too long, encrypted or broken)."""

    kind: str
    offset: int | None
    length: int
    data: bytes | None


class Entry(NamedTuple):
    """A text out of a tag: the frame's name as version 2.4 has it where that is known, what the frame says it is (a
    description, or the owner of a private frame), and its values; most have one."""

    kind: str
    description: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """The values, one on a line."""
        return "\n".join(self.values)


def synchsafe(value: int) -> bytes:
    """Gives a size as four bytes of seven bits."""
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def _from_synchsafe(data: bytes) -> int | None:
    if len(data) < 4 or any(byte & 0x80 for byte in data):
        return None
    return data[0] << 21 | data[1] << 14 | data[2] << 7 | data[3]


def tag_at(stream: BinaryIO, at: int = 0, end: int | None = None) -> Tag | None:
    """Reads the header of a tag; None if there is none, or one of a version that nobody knows. Where it says that it goes on
    behind `end`, it is given as ending there."""
    head = read_at(stream, at, HEAD)
    size = _from_synchsafe(head[6:10])
    if len(head) < HEAD or head[:3] != b"ID3" or head[3] not in (2, 3, 4) or head[4] == 0xFF or size is None:
        return None
    return Tag(head[3], head[5], at, size if end is None else max(0, min(size, end - at - HEAD)))


def head_of(tag: Tag, size: int) -> bytes:
    """Gives a tag's header with another size, its revision 0."""
    return b"ID3" + bytes([tag.version, 0, tag.flags]) + synchsafe(size)


# -- frames ------------------------------------------------------------------------------------------------------------

Wanted = Callable[[str], bool]


def is_text(kind: str) -> bool:
    """Tells whether a frame's data is a text that `entries` gives."""
    return kind.startswith("T") or kind in _WITH_LANGUAGE or kind in ("PRIV",)


def frames(stream: BinaryIO, tag: Tag, wanted: Wanted = is_text) -> Iterator[Frame]:
    """Gives a tag's frames up to its padding; the data of those that are `wanted` by their name."""
    if tag.version < 4 and tag.is_unsynchronised:
        body = resynchronised(read_at(stream, tag.data_at, tag.size))
        reach, base = len(body), 0

        def look(at: int, count: int) -> bytes:
            return body[at : at + count]
    else:
        reach, base = min(tag.size, max(size_of(stream) - tag.data_at, 0)), tag.data_at

        def look(at: int, count: int) -> bytes:
            return read_at(stream, base + at, min(count, reach - at))

    at = extended_size(tag, look(0, 6))
    room = LONGEST_ALL
    for _ in range(_MOST_FRAMES if at is not None else 0):
        assert at is not None
        found = _frame_head(tag, look, at, reach)
        if found is None:
            return
        kind, head, size, flags = found
        data = None
        if wanted(kind) and size <= room:
            data, cost = _decoded(tag, flags, look(at + head, size), room)
            room -= max(cost, size)
        yield Frame(kind, base + at if base else None, head + size, data)
        at += head + size


def extended_size(tag: Tag, start: bytes) -> int | None:
    """Gives how long the extended header is, of which at least six bytes are given; None if the tag cannot be read."""
    if tag.version == 2:
        return None if tag.flags & EXTENDED else 0  # there it means compression, of a kind that was never defined
    if not tag.flags & EXTENDED:
        return 0
    if tag.version == 3:
        return 4 + int.from_bytes(start[:4], "big")
    size = _from_synchsafe(start[:4])
    return size if size is not None and size >= 6 else None


Look = Callable[[int, int], bytes]


def _frame_head(tag: Tag, look: Look, at: int, reach: int) -> tuple[str, int, int, int] | None:
    """Reads a frame's header: name, length of the header, size of the data, flags."""
    letters, length = (3, 6) if tag.version == 2 else (4, 10)
    head = look(at, length)
    name = head[:letters]
    if len(head) < length or not _is_name(name):
        return None
    if tag.version == 2:
        size, flags = int.from_bytes(head[3:6], "big"), 0
    else:
        size, flags = int.from_bytes(head[4:8], "big"), head[9]
    if tag.version == 4:
        size = _size_of_4(look, at, head[4:8], reach)
    if at + length + size > reach:
        return None
    return name.decode("ascii"), length, size, flags


def _is_name(data: bytes) -> bool:
    return data.isalnum() and data == data.upper()


def _size_of_4(look: Look, at: int, data: bytes, reach: int) -> int:
    """Version 2.4 has synchsafe sizes; a program that is in use everywhere wrote plain ones."""
    plain, safe = int.from_bytes(data, "big"), _from_synchsafe(data)
    if safe is None or safe == plain:
        return plain

    def fits(size: int) -> bool:
        after = look(at + 10 + size, 4)
        return at + 10 + size == reach or after[:1] == b"\0" or (len(after) == 4 and _is_name(after))

    return plain if not fits(safe) and fits(plain) else safe


def resynchronised(data: bytes) -> bytes:
    """Takes out what unsynchronisation put in."""
    return data.replace(b"\xff\0", b"\xff")


def _decoded(tag: Tag, flags: int, data: bytes, room: int) -> tuple[bytes | None, int]:
    """Gives a frame's data, and what it cost: how many bytes were inflated."""
    skip, is_packed = 0, False
    if tag.version == 3:
        if flags & 0x40:
            return None, 0
        skip, is_packed = (4 if flags & 0x80 else 0) + (1 if flags & 0x20 else 0), bool(flags & 0x80)
    elif tag.version == 4:
        if flags & 0x04:
            return None, 0
        if flags & 0x02 or tag.is_unsynchronised:
            data = resynchronised(data)
        skip, is_packed = (1 if flags & 0x40 else 0) + (4 if flags & 0x01 else 0), bool(flags & 0x08)
    data = data[skip:] if skip else data
    return inflated(data, room) if is_packed else (data, 0)


# -- texts -------------------------------------------------------------------------------------------------------------

_WITH_LANGUAGE = frozenset(("COMM", "COM", "USLT", "ULT"))
_NAMES = {
    "TXX": "TXXX", "COM": "COMM", "ULT": "USLT", "TT2": "TIT2", "TP1": "TPE1", "TAL": "TALB", "TYE": "TYER", "TCO": "TCON",
    "TCR": "TCOP", "TEN": "TENC", "TSS": "TSSE", "TCM": "TCOM", "TRK": "TRCK", "TP2": "TPE2", "TPB": "TPUB",
}  # fmt: skip


def entries(stream: BinaryIO, tag: Tag) -> Iterator[Entry]:
    """Gives the texts of a tag: T… frames, comments, lyrics, and private frames whose data is text."""
    for frame in frames(stream, tag):
        if (entry := entry_of(frame)) is not None:
            yield entry


def entry_of(frame: Frame) -> Entry | None:
    """Gives the text of a frame; None if it holds none, or its data was not asked for."""
    return _entry(frame.kind, frame.data) if frame.data is not None and is_text(frame.kind) else None


def texts(stream: BinaryIO, at: int = 0, end: int | None = None) -> Texts:
    """Gives the texts of the tag at a position: those of TXXX by their description, others by their frame's name, those of
    comments, lyrics and private frames with their description: `COMM:mood`. A tag that says that it goes on behind `end`
    is read up to there."""
    found = Texts()
    tag = tag_at(stream, at, end)
    for entry in entries(stream, tag) if tag else ():
        if entry.kind == "TXXX":
            keyword = entry.description
        else:
            keyword = f"{entry.kind}:{entry.description}" if entry.description else entry.kind
        found.note(keyword, entry.text)
    return found


def _entry(kind: str, data: bytes) -> Entry | None:
    name = _NAMES.get(kind, kind)
    if kind == "PRIV":
        owner, zero, rest = data.partition(b"\0")
        try:
            return Entry(name, owner.decode("latin-1"), (rest.decode("utf-8").rstrip("\0"),)) if zero else None
        except UnicodeDecodeError:
            return None
    if not data or data[0] > 3:
        return None
    encoding, rest = data[0], data[1:]
    if kind in _WITH_LANGUAGE:
        rest = rest[3:]
    elif name != "TXXX":
        return Entry(name, "", _values(encoding, rest))
    first, second = _split(encoding, rest)
    return Entry(name, _decode(encoding, first), _values(encoding, second))


def _split(encoding: int, data: bytes) -> tuple[bytes, bytes]:
    """Parts a text from what follows its terminator, which is as wide as its characters."""
    if encoding in (0, 3):
        first, _, second = data.partition(b"\0")
        return first, second
    at = data.find(b"\0\0")
    while at >= 0 and at % 2:
        at = data.find(b"\0\0", at + 1)
    return (data, b"") if at < 0 else (data[:at], data[at + 2 :])


def _values(encoding: int, data: bytes) -> tuple[str, ...]:
    text = _decode(encoding, data).rstrip("\0")
    return tuple(value.removeprefix("\ufeff") for value in text.split("\0", 1024)[:1024])


def _decode(encoding: int, data: bytes) -> str:
    if encoding == 1:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16", "replace")
        return data.decode("utf-16-le", "replace")
    if encoding == 2:
        return data.decode("utf-16-be", "replace")
    if encoding == 3:
        return data.decode("utf-8", "replace")
    try:
        return data.decode("utf-8")  # Latin-1 by the book, UTF-8 as programs write it nevertheless
    except UnicodeDecodeError:
        return data.decode("latin-1")


# -- version 1 -----------------------------------------------------------------------------------------------------------


def texts_of_1(stream: BinaryIO) -> Texts:
    """Gives the texts of the tag of version 1 in the last 128 bytes, by the names of the frames that say the same."""
    found = Texts()
    data = read_at(stream, size_of(stream) - 128, 128)
    if len(data) == 128 and data.startswith(b"TAG"):
        fields = (("TIT2", 3, 33), ("TPE1", 33, 63), ("TALB", 63, 93), ("TYER", 93, 97), ("COMM", 97, 127))
        for name, start, end in fields:
            text = data[start:end].split(b"\0", 1)[0].decode("latin-1").strip()
            if text:
                found.note(name, text)
    return found
