"""CBOR (RFC 8949), the part that C2PA uses, read into Python's values. Depth, count and lengths are bounded."""

from __future__ import annotations

import struct
from typing import Any

_DEEPEST = 32
_MOST_ITEMS = 50_000
_LONGEST_OPEN = 1 << 20  # of a text that comes in pieces


class BrokenCbor(ValueError):
    """The bytes are no CBOR that is read."""


def decode(data: bytes) -> Any:
    """Decodes one item; tags are dropped, keys that are no text or number are left out. Raises BrokenCbor."""
    return _Decoder(data).item(0)


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._items = 0

    def item(self, depth: int) -> Any:
        self._items += 1
        if depth > _DEEPEST or self._items > _MOST_ITEMS:
            raise BrokenCbor
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        size = self._size(info)
        if major in (2, 3):
            return self._string(major, size, depth)
        if major in (4, 5):
            return self._list(size, depth) if major == 4 else self._map(size, depth)
        if size is None:
            raise BrokenCbor
        if major == 6:
            return self.item(depth + 1)
        return size if major == 0 else -1 - size

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise BrokenCbor
        self._at += count
        return taken

    def _size(self, info: int) -> int | None:
        """A length or a number; None for one that is open until a break."""
        if info < 24:
            return info
        if info == 31:
            return None
        if info > 27:
            raise BrokenCbor
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _simple(self, info: int) -> Any:
        if info in (20, 21, 22, 23):
            return {20: False, 21: True}.get(info)
        form = {25: ">e", 26: ">f", 27: ">d"}.get(info)
        if form is not None:
            return struct.unpack(form, self._take(struct.calcsize(form)))[0]
        if info == 24:
            self._take(1)
        elif info > 27:
            raise BrokenCbor
        return None

    def _ends(self) -> bool:
        if self._data[self._at : self._at + 1] == b"\xff":
            self._at += 1
            return True
        return False

    def _string(self, major: int, size: int | None, depth: int) -> bytes | str:
        if size is None:
            parts: list[Any] = []
            length = 0
            while not self._ends():
                part = self.item(depth + 1)
                if type(part) is not (bytes if major == 2 else str) or length > _LONGEST_OPEN:
                    raise BrokenCbor
                parts.append(part)
                length += len(part)
            return b"".join(parts) if major == 2 else "".join(parts)
        data = self._take(size)
        return data if major == 2 else data.decode("utf-8", "replace")

    def _list(self, size: int | None, depth: int) -> list[Any]:
        found: list[Any] = []
        while not self._ends() if size is None else len(found) < size:
            found.append(self.item(depth + 1))
        return found

    def _map(self, size: int | None, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        count = 0
        while not self._ends() if size is None else count < size:
            key, value = self.item(depth + 1), self.item(depth + 1)
            count += 1
            if isinstance(key, str | int):
                found.setdefault(key, value)
        return found
