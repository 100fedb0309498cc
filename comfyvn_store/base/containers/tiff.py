"""TIFF directories as EXIF uses them (TIFF 6.0, section 2; CIPA DC-008): texts and numbers by tag.

Only the first directory and the EXIF directory that it names are read: no thumbnails and no places. Every loop is
bounded, directories that lead to one another end, and what a length says beyond the data is left out.
"""

from __future__ import annotations

import struct

LONGEST_VALUE = 16 * 1024 * 1024
LONGEST_TEXT = 8 * 1024 * 1024
LONGEST_TEXTS = 12 * 1024 * 1024  # of all values that are read, several of which may be the same bytes
USER_COMMENT = 0x9286
XMP, C2PA = 700, 0xCD41

_EXIF_DIRECTORY = 0x8769
_MOST_ENTRIES = 512
# Windows writes these as bytes that are UTF-16.
_WIDE = frozenset((0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F))
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4}
_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7


def read(data: bytes) -> dict[int, str | int]:
    """Gives texts and single numbers by tag, whether or not `Exif\\0\\0` stands before the data. Never raises."""
    start = 6 if data[:6] in (b"Exif\0\0", b"Exif\0\xff") else 0
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[start : start + 4])
    if order is None:
        return {}
    view = memoryview(data)[start:]
    found: dict[int, str | int] = {}
    try:
        at = struct.unpack_from(order + "I", view, 4)[0]
        inner, room = _directory(view, order, at, found, LONGEST_TEXTS)
        if inner and inner != at:
            _directory(view, order, inner, found, room)
    except struct.error:  # the data ends early: what came before it counts
        pass
    return found


def blob(data: bytes, wanted: int) -> bytes | None:
    """Gives the bytes that stand under a tag in the first directory of a TIFF. Never raises."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    try:
        at = struct.unpack_from(order + "I", data, 4)[0]
        count = struct.unpack_from(order + "H", data, at)[0]
        for number in range(min(count, _MOST_ENTRIES)):
            tag, kind, size, where = struct.unpack_from(order + "HHII", data, at + 2 + 12 * number)
            if tag == wanted and _SIZES.get(kind) == 1 and 4 < size <= LONGEST_VALUE and where + size <= len(data):
                return data[where : where + size]
    except struct.error:
        pass
    return None


def _directory(view: memoryview, order: str, at: int, found: dict[int, str | int], room: int) -> tuple[int, int]:
    """Reads one directory, of whose values there is room for so many bytes; gives where the EXIF directory stands, or 0,
    and how much room is left."""
    inner = 0
    count = struct.unpack_from(order + "H", view, at)[0]
    for number in range(min(count, _MOST_ENTRIES)):
        entry = at + 2 + 12 * number
        tag, kind, values = struct.unpack_from(order + "HHI", view, entry)
        size = _SIZES.get(kind, 0) * values
        if not 0 < size <= min(LONGEST_TEXT, room):
            continue
        where = entry + 8 if size <= 4 else struct.unpack_from(order + "I", view, entry + 8)[0]
        if where + size > len(view):
            continue
        if tag == _EXIF_DIRECTORY and kind == _LONG and values == 1:
            inner = struct.unpack_from(order + "I", view, where)[0]
        elif tag not in found:
            room -= size
            value = _value(bytes(view[where : where + size]), tag, kind, values, order)
            if value is not None:
                found[tag] = value
    return inner, room


def _value(data: bytes, tag: int, kind: int, values: int, order: str) -> str | int | None:
    if tag == USER_COMMENT:
        return _user_comment(data, order)
    if tag in _WIDE:
        return data.decode("utf-16-le", "replace").rstrip("\0") or None
    if kind == _ASCII:
        return _plain(data)
    if kind in (_SHORT, _LONG) and values == 1:
        return int(struct.unpack_from(order + "HI"[kind == _LONG], data)[0])
    if kind == _UNDEFINED and data[:1].isalnum():
        return _plain(data) if data.rstrip(b"\0").isascii() else None
    return None


def _plain(data: bytes) -> str | None:
    """A text: ASCII by the specification, UTF-8 as programs write it, else Latin-1."""
    data = data.partition(b"\0")[0]
    try:
        return data.decode("utf-8") or None
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _user_comment(data: bytes, order: str) -> str | None:
    """The user comment: eight bytes say how the rest is encoded; some programs write the text alone."""
    head, rest = data[:8], data[8:]
    if head == b"UNICODE\0":
        return _wide(rest, order)
    if head in (b"ASCII\0\0\0", b"\0\0\0\0\0\0\0\0", b"JIS\0\0\0\0\0"):
        return _plain(rest.lstrip(b"\0"))
    return _plain(data)


def _wide(data: bytes, order: str) -> str | None:
    """UTF-16 without a mark: in the order of the directory, or in the other one, as programs write it nevertheless."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").rstrip("\0") or None
    # Of mostly Latin text the even or the odd bytes are zeros, which tells the order.
    even, odd = data[0:512:2].count(0), data[1:512:2].count(0)
    little = odd > even if odd != even else order == "<"
    return data.decode("utf-16-le" if little else "utf-16-be", "replace").rstrip("\0") or None
