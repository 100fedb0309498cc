"""Width and height of a picture from its header: no pixels are decoded, and rotation is not applied.

Owns the layouts of the picture formats. Every loop and every read is bounded, whatever the bytes say.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

_MOST_STEPS = 4096  # segments, entries or boxes walked before giving up
_LARGEST_READ = 1 << 18
_LARGEST_SIDE = (1 << 31) - 1

Size = tuple[int, int]


def measure(mime: str, stream: BinaryIO, head: bytes) -> Size | None:
    """Gives width and height in pixels as stored, or None where the header does not say.

    `head` is what the stream begins with. The stream is left at an arbitrary position. Raises only what the
    stream itself raises.
    """
    reader = _READERS.get(mime)
    if reader is None:
        return None
    try:
        size = reader(stream, head)
    except (struct.error, IndexError):  # the header ends early
        return None
    if size is None or not all(0 < side <= _LARGEST_SIDE for side in size):
        return None
    return size


def read_at(stream: BinaryIO, at: int, size: int) -> bytes:
    """Reads up to `size` bytes from a position, 256 KiB at most; fewer, or none, where the file ends."""
    if at >= 1 << 40:  # some file systems refuse to seek far beyond their largest file
        return b""
    stream.seek(at)
    return stream.read(min(size, _LARGEST_READ)) or b""


def _read_png(_stream: BinaryIO, head: bytes) -> Size | None:
    return struct.unpack_from(">II", head, 16) if head[12:16] == b"IHDR" else None


def _read_gif(_stream: BinaryIO, head: bytes) -> Size:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _read_psd(_stream: BinaryIO, head: bytes) -> Size:
    height, width = struct.unpack_from(">II", head, 14)
    return width, height


def _read_bmp(_stream: BinaryIO, head: bytes) -> Size:
    if head[14] == 12:
        width, height = struct.unpack_from("<HH", head, 18)
    else:
        width, height = struct.unpack_from("<ii", head, 18)
    return width, abs(height)  # a negative height means that rows run from the top


def _read_webp(_stream: BinaryIO, head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L" and head[20] == 0x2F:
        bits: int = struct.unpack_from("<I", head, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _read_jpeg(stream: BinaryIO, _head: bytes) -> Size | None:
    at = 2
    for _ in range(_MOST_STEPS):
        segment = read_at(stream, at, 9)
        if segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these stand alone
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", segment, 5)
            return width, height
        elif marker in (0xD9, 0xDA):  # the picture's data begins: no frame header came before it
            return None
        else:
            at += 2 + max(2, int.from_bytes(segment[2:4], "big"))
    return None


def _read_tiff(stream: BinaryIO, head: bytes) -> Size | None:
    order = "<" if head.startswith(b"II") else ">"
    if head[2:4] not in (b"*\0", b"\0*"):
        return None
    start: int = struct.unpack_from(order + "I", head, 4)[0]
    count: int = struct.unpack(order + "H", read_at(stream, start, 2))[0]
    entries = read_at(stream, start + 2, 12 * min(count, _MOST_STEPS))
    sides: dict[int, int] = {}
    for at in range(0, len(entries) - 11, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", entries, at)
        if tag in (256, 257) and values == 1 and kind in (3, 4):  # ImageWidth, ImageLength: SHORT or LONG
            sides[tag] = struct.unpack_from(order + "HI"[kind - 3], entries, at + 8)[0]
    return (sides[256], sides[257]) if len(sides) == 2 else None


def _read_heif(stream: BinaryIO, _head: bytes) -> Size | None:
    """The `ispe` of the primary item (ISO/IEC 23008-12); tiles, thumbnails and masks have theirs too."""
    at = 0
    for _ in range(64):
        head = read_at(stream, at, 16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if head[4:8] == b"meta":
            meta = read_at(stream, at + 12, min(size - 12, _LARGEST_READ)) if size > 12 else b""
            return _primary_size(meta)
        if size < 8:
            return None
        at += size
    return None


def _primary_size(meta: bytes) -> Size | None:
    parts = dict(_boxes(meta))
    properties = dict(_boxes(parts.get(b"iprp", b"")))
    sizes = {
        index: struct.unpack_from(">II", body, 4)
        for index, (kind, body) in enumerate(_boxes(properties.get(b"ipco", b"")), start=1)
        if kind == b"ispe"
    }
    pitm = parts.get(b"pitm", b"")
    if pitm:
        primary = int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8], "big")
        for index in _associations(properties.get(b"ipma", b""), primary):
            if index in sizes:
                return sizes[index]
    distinct = set(sizes.values())
    return distinct.pop() if len(distinct) == 1 else None


def _associations(ipma: bytes, item: int) -> list[int]:
    """The indices (from 1) of an item's properties."""
    if not ipma:
        return []
    id_size = 2 if ipma[0] == 0 else 4
    index_size = 2 if ipma[3] & 1 else 1
    at = 8
    for _ in range(min(int.from_bytes(ipma[4:8], "big"), _LARGEST_READ)):
        count = ipma[at + id_size]
        first = at + id_size + 1
        if int.from_bytes(ipma[at : at + id_size], "big") == item:
            indices = (ipma[first + n * index_size : first + (n + 1) * index_size] for n in range(count))
            essential = 1 << (8 * index_size - 1)
            return [int.from_bytes(index, "big") & ~essential for index in indices]
        at = first + count * index_size
    return []


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:  # to the end (0), 64 bits (1) and nonsense have no place inside `meta`
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


_READERS = {
    "image/png": _read_png,
    "image/jpeg": _read_jpeg,
    "image/gif": _read_gif,
    "image/webp": _read_webp,
    "image/bmp": _read_bmp,
    "image/tiff": _read_tiff,
    "image/vnd.adobe.photoshop": _read_psd,
    "image/avif": _read_heif,
    "image/heic": _read_heif,
}
