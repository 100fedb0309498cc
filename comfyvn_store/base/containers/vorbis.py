"""Vorbis comments: the list of `NAME=text` that Vorbis, Opus, Speex and FLAC carry (Vorbis I specification, section 5)."""

from __future__ import annotations

from typing import NamedTuple

from comfyvn_store.base.containers.reading import LONGEST, Texts

VORBIS, OPUS = b"\x03vorbis", b"OpusTags"
_MOST = 1 << 16


class Comments(NamedTuple):
    """A list of comments. `count_at` is where its number stands in the data it was read from, and `ends` are the places
    where each comment ends, the first of them where the list begins."""

    vendor: bytes
    entries: list[bytes]
    count_at: int
    ends: list[int]

    @property
    def end(self) -> int:
        """Where the last comment ends; a framing bit, or padding, may follow."""
        return self.ends[-1]


def parse(data: bytes, at: int = 0) -> Comments | None:
    """Reads a list that begins with its vendor at `at`; None if that is broken."""
    size, data = len(data), bytes(data)
    if at + 8 > size:
        return None
    count_at = at + 4 + int.from_bytes(data[at : at + 4], "little")
    if count_at + 4 > size:
        return None
    count = int.from_bytes(data[count_at : count_at + 4], "little")
    entries: list[bytes] = []
    ends = [count_at + 4]
    if count > min(_MOST, size // 4):
        return None
    for _ in range(count):
        start = ends[-1] + 4
        end = start + int.from_bytes(data[start - 4 : start], "little")
        if start > size or end > size:
            return None
        entries.append(data[start:end])
        ends.append(end)
    return Comments(data[at + 4 : count_at], entries, count_at, ends)


def head_of(packet: bytes) -> int | None:
    """Gives how many bytes stand before the list in a comment packet of an Ogg stream: of Vorbis, Opus, or FLAC, where the
    packet is a metadata block. None if it is none of those."""
    if packet.startswith(VORBIS):
        return len(VORBIS)
    if packet.startswith(OPUS):
        return len(OPUS)
    return 4 if len(packet) > 4 and packet[0] & 0x7F == 4 else None


def entry(name: str, text: str) -> bytes:
    """Gives a comment as it stands in a list, its length before it."""
    data = f"{name}={text}".encode()
    return len(data).to_bytes(4, "little") + data


def texts(comments: Comments) -> Texts:
    """Gives the texts by their names in small letters; names are without regard to case."""
    found = Texts()
    for each in comments.entries:
        name, sign, text = each.partition(b"=")
        if sign and len(name) <= 1024 and len(text) <= LONGEST:
            found.note(name.decode("utf-8", "replace").lower(), text.decode("utf-8", "replace"))
    return found
