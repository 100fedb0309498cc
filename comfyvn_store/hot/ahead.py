"""Reading ahead: what files that come in say of themselves is read while git is at work, and noted for the commit."""

from __future__ import annotations

import contextlib

from comfyvn_store.asset.ingest import Seen
from comfyvn_store.vcs.repository import Repository

# Characters of metadata that wait to be read, and how many files are noted in one run. The commit reads the rest.
_MOST_SEEN = 1 << 24
_MOST_NOTES = 1 << 16


class Ahead:
    """What was seen of files that came in, and the notes that are made of it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, Seen]] = []
        self._held = 0
        self._lines: list[bytes] = []

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to read."""
        return bool(self._waiting)

    def put(self, hash_: str, seen: Seen) -> None:
        """Keeps what was seen of an object until there is time to read it."""
        size = _size(seen)
        if self._held + size <= _MOST_SEEN and len(self._lines) + len(self._waiting) < _MOST_NOTES:
            self._waiting.append((hash_, seen))
            self._held += size

    def work(self, repository: Repository) -> None:
        """Reads one of them. Whatever goes wrong with it, the commit finds out."""
        from comfyvn_store.asset import noted, record  # a checkout comes by here, too, and needs neither

        hash_, seen = self._waiting.pop()
        self._held -= _size(seen)
        with contextlib.suppress(Exception), repository.store.open(hash_) as stream:
            line = noted.line(hash_, record.facts_of(stream, hash_, seen))
            if line is not None:
                self._lines.append(line)

    def write(self, repository: Repository) -> None:
        """Reads what is left, and writes the notes."""
        while self._waiting:
            self.work(repository)
        if self._lines:
            from comfyvn_store.asset import noted

            noted.write(repository, self._lines)


def _size(seen: Seen) -> int:
    return sum(map(len, seen.entries.texts.values()))
