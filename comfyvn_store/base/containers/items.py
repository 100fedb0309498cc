"""The items of a picture in boxes, as AVIF and HEIC have them: where EXIF and XMP stand."""

from __future__ import annotations

import struct

_MOST_ITEMS = 20_000


class Items:
    """Where a picture's EXIF and XMP items stand (ISO/IEC 14496-12, 8.11)."""

    def __init__(self) -> None:
        self.data_at: int | None = None
        self._parts: dict[bytes, bytes] = {}

    def take(self, kind: bytes, body: bytes) -> None:
        """Takes the body of `iinf` or `iloc`."""
        if kind not in self._parts:
            self._parts[kind] = body

    @property
    def is_complete(self) -> bool:
        """Whether both were taken."""
        return len(self._parts) == 2

    def places(self) -> list[tuple[str, int, int]]:
        """Gives what each wanted item is, where it begins and how long it is."""
        try:
            wanted = self._wanted(self._parts.get(b"iinf", b""))
            return self._located(self._parts.get(b"iloc", b""), wanted) if wanted else []
        except (struct.error, IndexError):
            return []

    def _wanted(self, iinf: bytes) -> dict[int, str]:
        found: dict[int, str] = {}
        at = 6 if iinf[:1] == b"\0" else 8
        while at + 8 <= len(iinf) and len(found) < 16:
            size = int.from_bytes(iinf[at : at + 4], "big")
            if size < 20 or iinf[at + 4 : at + 8] != b"infe":
                break
            version = iinf[at + 8]
            width = 4 if version == 3 else 2
            number = int.from_bytes(iinf[at + 12 : at + 12 + width], "big")
            start = at + 12 + width + 2
            kind, rest = iinf[start : start + 4], iinf[start + 4 : at + size]
            if version >= 2 and kind == b"Exif":
                found[number] = "exif"
            elif version >= 2 and kind == b"mime" and b"application/rdf+xml" in rest:
                found[number] = "xmp"
            at += size
        return found

    def _located(self, iloc: bytes, wanted: dict[int, str]) -> list[tuple[str, int, int]]:
        version, sizes = iloc[0], int.from_bytes(iloc[4:6], "big")
        offset, length, base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index = sizes & 15 if version else 0
        wide = 4 if version == 2 else 2
        cursor = _Cursor(iloc, 6)
        found = []
        for _ in range(min(cursor.number(wide), _MOST_ITEMS)):
            number = cursor.number(wide)
            method = cursor.number(2) & 15 if version else 0
            cursor.number(2)
            start = cursor.number(base)
            extents = cursor.number(2)
            if number not in wanted or extents != 1 or method not in (0, 1):
                cursor.skip(extents * (index + offset + length))  # widths of 0, too: nothing is walked for them
                continue
            cursor.number(index)
            begin, size = start + cursor.number(offset), cursor.number(length)
            if method == 1 and self.data_at is not None:
                begin += self.data_at
            found.append((wanted[number], begin, size))
        return found


class _Cursor:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def number(self, width: int) -> int:
        if self._at + width > len(self._data):
            raise IndexError
        self._at += width
        return int.from_bytes(self._data[self._at - width : self._at], "big")

    def skip(self, count: int) -> None:
        if self._at + count > len(self._data):
            raise IndexError
        self._at += count
