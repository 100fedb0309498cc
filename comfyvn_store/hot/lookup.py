"""Looks records up in the index for a hook: caught up if possible, silent if not, because it is derived data."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection

from comfyvn_store.errors import ComfyvnError, GitFailed
from comfyvn_store.index import catchup, rows, sight
from comfyvn_store.index.database import Index
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

# What the index remembers of a commit for `since_right`; gone when it is made anew.
_RIGHT = "links right"


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

    def since_right(self, head: str) -> set[str] | None:
        """Gives the paths (relative to the top) in which a commit may differ from the one whose links were last seen to lie
        as deep as they say; None where that is not known."""
        index = self._open()
        try:
            base = index.state(_RIGHT) if index is not None else None
            before, _, circumstances = (base or "").partition("\n")
            if index is None or not before or circumstances != self._circumstances(index):
                return None
            changes = staging.tree_changes(self._repository.git, before, head, self._repository.root)
        except (sqlite3.Error, GitFailed):  # that commit was collected
            return None
        return {change.path for change in changes}

    def note_right(self, head: str) -> None:
        """Notes that all links of a commit lie as deep as they say."""
        index = self._open()
        if index is None:
            return
        try:
            text = f"{head}\n{self._circumstances(index)}"
            if index.state(_RIGHT) != text:
                with index.writing():
                    index.remember(_RIGHT, text)
        except (ComfyvnError, sqlite3.Error):
            return

    def _circumstances(self, index: Index) -> str:
        """Gives one text for what decides which entries are views."""
        return f"{os.fsencode(self._repository.root).hex()}\n{sight.attribute_prints(index, self._repository)}"

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
