"""JPEG: a property in the XMP segment that is there, or a segment of our own behind JFIF's and EXIF's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Piece, Unmarkable, xmp
from comfyvn_store.base.containers import jpeg
from comfyvn_store.base.containers.jpeg import Segment
from comfyvn_store.base.containers.reading import size_of

_MOST_PACKETS = 16


class _Layout(NamedTuple):
    """The file's length, where a segment of ours belongs, and the XMP segments with their packets."""

    size: int
    place: int
    packets: list[tuple[Segment, bytes]]


def look(stream: BinaryIO) -> Found:
    """Looks at a whole seekable file. Raises Unmarkable."""
    end = jpeg.end_of_picture(stream)
    if end is None:
        raise Unmarkable(marking.CUT)
    if end != size_of(
        stream
    ):  # a second picture (MPF, a gain map), a film, notes of a camera: they count on where they are
        raise Unmarkable(marking.TRAILING)
    layout = _read(stream)
    marked = [(segment, packet, spots) for segment, packet in layout.packets if (spots := xmp.find(packet))]

    def without() -> Iterator[Piece]:
        at = 0
        for segment, packet, spots in marked:
            yield at, segment.offset
            at = segment.end
            if xmp.own_toolkit(packet) is None:
                yield _segment(xmp.without(packet, spots))
        yield at, layout.size

    def texts() -> Mapping[str, str]:
        return jpeg.texts(stream)

    return Found([spot.payload for _, _, spots in marked for spot in spots], without, texts)


def mark(stream: BinaryIO, payload: bytes) -> list[Piece] | None:
    """Gives the pieces of the file with a marker; None if its packet cannot take one."""
    layout = _read(stream)
    if not layout.packets:
        return [(0, layout.place), _segment(xmp.own(payload)), (layout.place, layout.size)]
    segment, packet = layout.packets[0]
    packet = xmp.insert(packet, payload) or b""
    if not packet or len(packet) + len(jpeg.XMP) + 4 > jpeg.LONGEST_SEGMENT:
        return None
    return [(0, segment.offset), _segment(packet), (segment.end, layout.size)]


def _segment(packet: bytes) -> bytes:
    data = jpeg.XMP + packet
    return bytes([0xFF, jpeg.APP1]) + (len(data) + 2).to_bytes(2, "big") + data


def _read(stream: BinaryIO) -> _Layout:
    place, is_head = 2, True
    packets = []
    for segment in jpeg.segments(stream):
        data = jpeg.payload(stream, segment) if segment.kind in (jpeg.APP1, jpeg.APP2, jpeg.APP11) else b""
        if segment.kind == jpeg.APP2 and data.startswith(b"MPF\0"):  # it says how long this picture is
            raise Unmarkable("it counts on where its parts are (MPF)")
        if segment.kind == jpeg.APP11 and data.startswith(b"JP") and b"c2pa" in data:
            raise Unmarkable(marking.SIGNED)
        if data.startswith(jpeg.XMP):
            packet = data[len(jpeg.XMP) :]
            if xmp.is_signed(packet):
                raise Unmarkable(marking.SIGNED)
            packets.append((segment, packet))
            if len(packets) > _MOST_PACKETS:
                raise Unmarkable("it has very many XMP packets")
        is_head = is_head and (segment.kind == jpeg.APP0 or data.startswith(jpeg.EXIF))
        if is_head:
            place = segment.end
    return _Layout(size_of(stream), place, packets)
