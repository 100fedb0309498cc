"""A remote that cannot be opened: a library is missing, its address means nothing. Whatever it is asked, it says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.remotes.remote import Item, Remote, Source


class Broken(Remote):
    """Raises the error with which opening ended."""

    def __init__(self, name: str, place: str, error: ComfyvnError) -> None:
        self.name = name
        self.place = place
        self._error = error

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Raises."""
        raise self._error

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Raises."""
        raise self._error

    def put(self, item: Item, source: Source) -> bool:
        """Raises."""
        raise self._error

    def list(self) -> Iterator[Item]:
        """Raises."""
        raise self._error

    def delete(self, hash_: str) -> None:
        """Raises."""
        raise self._error
