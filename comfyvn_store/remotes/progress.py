"""How far a transfer is, counted over all of its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from comfyvn_store.remotes.remote import Item


class Steps(NamedTuple):
    """How far a transfer is: objects done and in all, bytes done and in all (None while the size of some is not known)."""

    objects: int
    of: int
    bytes: int
    size: int | None


Tell = Callable[[Steps], None]


class Progress:
    """Counts, and tells after each step."""

    def __init__(self, items: Iterable[Item], tell: Tell | None) -> None:
        sizes = {item.hash: item.size for item in items}
        self._unknown = {hash_ for hash_, size in sizes.items() if size is None}
        self._size = sum(size for size in sizes.values() if size is not None)
        self._of = len(sizes)
        self._tell = tell
        self._lock = threading.Lock()
        self._bytes = 0
        self._objects = 0

    def moved(self, count: int) -> None:
        """Takes note of bytes."""
        with self._lock:
            self._bytes += count
            self._say()

    def done(self) -> None:
        """Takes note of an object."""
        with self._lock:
            self._objects += 1
            self._say()

    def knows(self, item: Item) -> None:
        """Learns the size of an object."""
        with self._lock:
            if item.size is not None and item.hash in self._unknown:
                self._unknown.discard(item.hash)
                self._size += item.size

    def _say(self) -> None:
        if self._tell is not None:
            self._tell(Steps(self._objects, self._of, self._bytes, None if self._unknown else self._size))
