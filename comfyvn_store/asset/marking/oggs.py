"""Ogg with Vorbis, Opus or FLAC: a comment in the first stream's list.

The packet that holds the list grows by it, and so do the pages that hold the packet. Where a page's segment table becomes too
long it is parted into two, and the stream's further pages get new numbers; granule positions stay as they are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset.marking import Found, Piece, Unmarkable, comments
from comfyvn_store.base.containers import ogg, vorbis
from comfyvn_store.base.containers.ogg import Page
from comfyvn_store.base.containers.reading import size_of
from comfyvn_store.base.containers.vorbis import Comments

_LONGEST_PACKET = 1 << 23
_MOST_PAGES = 1 << 12  # that hold it
_MOST_ENTRIES = 255
_KINDS = frozenset(("vorbis", "opus", "flac"))


class _Layout(NamedTuple):
    """The pages of the stream that hold its second packet, the page of it behind those, the packet, its comments, and how
    many entries of the last page's segment table, and bytes of its data, are the packet's."""

    size: int
    pages: list[Page]
    after: Page | None
    packet: bytes
    comments: Comments
    entries: int
    length: int


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    if not ogg.is_whole(stream):
        raise Unmarkable("its pages do not parse, or it is cut off")
    if any(each.kind not in _KINDS for each in ogg.streams(stream, 1 << 16)):
        raise Unmarkable("it holds streams of other kinds than Vorbis, Opus and FLAC")
    layout = _read(stream)

    def without() -> Iterable[Piece]:
        changes = comments.without(layout.comments)
        if not changes:
            return [(0, layout.size)]
        return _shorter(stream, layout, _changed(layout.packet, changes))

    def texts() -> Mapping[str, str]:
        return vorbis.texts(layout.comments)

    return Found(comments.payloads(layout.comments), without, texts)


def mark(stream: BinaryIO, payload: bytes) -> Iterable[Piece] | None:
    """Gives the pieces of the file with a marker; None if its pages have no room."""
    layout = _read(stream)
    packet = _changed(layout.packet, comments.insert(layout.comments, payload))
    last = layout.pages[-1]
    rest = len(packet) - sum(len(page.data) for page in layout.pages[:-1])
    lacing = _lacing(rest) + last.lacing[layout.entries :]
    data = packet[len(packet) - rest :] + last.data[layout.length :]
    if len(packet) > _LONGEST_PACKET or len(lacing) > 2 * _MOST_ENTRIES:
        return None
    ends = [*layout.pages[:-1]]
    made = [_Made(page.flags, page.granule, page.lacing, b"") for page in ends]
    made += _parted(last, lacing, data)
    return _relaid(stream, layout, packet, layout.pages, made)


class _Made(NamedTuple):
    """A page to be made; its data is what is left of the packet if it is empty."""

    flags: int
    granule: int
    lacing: bytes
    data: bytes


def _read(stream: BinaryIO) -> _Layout:
    """Finds the second packet of the first stream, which begins on the stream's second page. Raises Unmarkable."""
    pages = _pages_of_first(stream)
    first = next(pages, None)
    held: list[Page] = []
    entries = length = 0
    if first is not None and first.lacing[-1:] != b"\xff" and sum(value < 255 for value in first.lacing) == 1:
        for page in pages:
            held.append(page)
            length += len(page.data)
            entries = next((index + 1 for index, value in enumerate(page.lacing) if value < 255), 0)
            if entries or length > _LONGEST_PACKET or len(held) > _MOST_PAGES:
                break
    end = sum(held[-1].lacing[:entries]) if held else 0
    packet = b"".join([*(page.data for page in held[:-1]), held[-1].data[:end]]) if entries else b""
    at = vorbis.head_of(packet)
    listed = vorbis.parse(packet, at) if at is not None else None
    if listed is None:
        raise Unmarkable("its comments do not parse, or are very long")
    return _Layout(size_of(stream), held, next(pages, None), packet, listed, entries, end)


def _pages_of_first(stream: BinaryIO) -> Iterator[Page]:
    """Gives the pages of the stream that a file begins with, up to its end."""
    serial = None
    for page in ogg.pages(stream):
        serial = page.serial if serial is None else serial
        if page.serial == serial:
            yield page
            if page.flags & ogg.LAST:
                return


def _changed(packet: bytes, changes: list[comments.Change]) -> bytes:
    """Gives the packet with changes in its comments; one of FLAC says its length."""
    changed = comments.applied(packet, changes)
    if packet.startswith((vorbis.VORBIS, vorbis.OPUS)):
        return changed
    return changed[:1] + ((len(changed) - 4) & 0xFFFFFF).to_bytes(3, "big") + changed[4:]


def _lacing(length: int) -> bytes:
    return b"\xff" * (length // 255) + bytes([length % 255])


def _parted(page: Page, lacing: bytes, data: bytes) -> list[_Made]:
    """Gives the one or two pages that a page becomes with another segment table."""
    if len(lacing) <= _MOST_ENTRIES:
        return [_Made(page.flags, page.granule, lacing, data)]
    head, tail = lacing[:_MOST_ENTRIES], lacing[_MOST_ENTRIES:]
    at = sum(head)
    ends = page.granule if min(head) < 255 else ogg.NO_GRANULE
    continues = ogg.CONTINUED if head[-1] == 255 else 0
    return [
        _Made(page.flags & ~ogg.LAST, ends, head, data[:at]),
        _Made(page.flags & ogg.LAST | continues, page.granule, tail, data[at:]),
    ]


def _shorter(stream: BinaryIO, layout: _Layout, packet: bytes) -> Iterable[Piece]:
    """Gives the pieces of the file with a packet that became shorter: two pages become one again where they had been one."""
    pages = list(layout.pages)
    last, entries, length = pages[-1], layout.entries, layout.length
    tail_lacing, tail = last.lacing[entries:], last.data[length:]
    granule, flags = last.granule, last.flags
    before = pages[:-1]
    rest = len(packet) - sum(len(page.data) for page in before)
    if rest < 0 and before:  # it ended on the page before
        flags, before = before[-1].flags | (last.flags & ogg.LAST), before[:-1]
        rest = len(packet) - sum(len(page.data) for page in before)
    elif layout.after is not None and len(last.lacing) == _MOST_ENTRIES and _fits(rest, tail_lacing, layout.after):
        after = layout.after
        pages.append(after)
        tail_lacing, tail = tail_lacing + after.lacing, tail + after.data
        granule, flags = after.granule, last.flags | (after.flags & ogg.LAST)
    lacing = _lacing(max(rest, 0)) + tail_lacing
    if rest < 0 or len(lacing) > _MOST_ENTRIES:
        return [(0, layout.size)]  # nobody made it so out of a file that we marked
    made = [_Made(page.flags, page.granule, page.lacing, b"") for page in before]
    made.append(_Made(flags, granule, lacing, packet[len(packet) - rest :] + tail))
    return _relaid(stream, layout, packet, pages, made)


def _fits(rest: int, lacing: bytes, after: Page) -> bool:
    return rest >= 0 and rest // 255 + 1 + len(lacing) + len(after.lacing) <= _MOST_ENTRIES


def _relaid(stream: BinaryIO, layout: _Layout, packet: bytes, old: list[Page], made: list[_Made]) -> Iterator[Piece]:
    """Gives the pieces of the file with the pages `old` replaced by `made`, each in its place, and what there are more or
    fewer of in the last one's; further pages of the stream are numbered anew if that is needed."""
    serial, number = old[0].serial, old[0].number
    at = taken = 0
    for index, page in enumerate(old):
        yield at, page.offset
        at = page.end
        new = made[index : index + 1] if index < len(old) - 1 else made[index:]
        for each in new:
            data = each.data
            if not data and each.lacing:
                data = packet[taken : taken + sum(each.lacing)]
            taken += len(data)
            yield ogg.build(each.flags, each.granule, serial, number, each.lacing, data)
            number += 1
    if len(old) != len(made):
        at = yield from _renumbered(stream, at, serial, number)
    yield at, layout.size


def _renumbered(stream: BinaryIO, at: int, serial: int, number: int) -> Generator[Piece, None, int]:
    """Gives the pieces of all pages up to the end of a stream, which is numbered from here on, and says where that is."""
    for page in ogg.pages(stream, at):
        if page.serial != serial:
            yield page.offset, page.end
        else:
            yield ogg.build(page.flags, page.granule, serial, number, page.lacing, page.data)
            number += 1
        at = page.end
        if page.serial == serial and page.flags & ogg.LAST:
            break
    return at
