"""Looks records up in the index for a hook: caught up if possible, silent if not, because it is derived data."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.index import catchup, rows
from comfyvn_store.index.database import Index
from comfyvn_store.vcs.repository import Repository


class HistoryRecords:
    """The newest record of a path and its bytes in history; the index is opened when first asked."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._index: Index | None = None
        self._asked = False

    def newest_blob(self, inside: str, hash_: str) -> str | None:
        """Gives the blob of the newest sidecar that introduced a record of these bytes at this path, or None."""
        index = self._open()
        if index is None:
            return None
        try:
            row = index.db.execute(
                "SELECT i.blob FROM introductions i JOIN provenance p ON p.id = i.record_id"
                " WHERE p.hash = ? AND i.path = ? ORDER BY p.id DESC LIMIT 1",
                (hash_, inside),
            ).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row else None

    def outdated(self) -> set[str]:
        """Gives the assets (relative to the work tree's top) whose sidecar, when last seen, spoke of another path or of
        other bytes."""
        index = self._open()
        try:
            found = rows.misplaced(index) | rows.speaking_of_others(index) if index is not None else set()
        except sqlite3.Error:
            return set()
        return {self._repository.full(path) for path in found}

    def note_pending(self, paths: Collection[str]) -> None:
        """Notes assets (relative to the assets root) whose sidecar on disk is to be brought to the index."""
        index = self._open() if paths else None
        if index is None:
            return
        try:
            with index.writing():
                catchup.add_pending(index, paths)
        except (ComfyvnError, sqlite3.Error):
            return

    def close(self) -> None:
        """Closes the index."""
        if self._index is not None:
            self._index.close()

    def _open(self) -> Index | None:
        if not self._asked:
            self._asked = True
            try:
                self._index = catchup.open_index(self._repository, patience=2.0)
                catchup.catch_up_history(self._index, self._repository)
            except (ComfyvnError, sqlite3.Error, OSError):
                pass
        return self._index
