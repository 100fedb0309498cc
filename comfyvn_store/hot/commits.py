"""The commit to write into a sidecar that git is checking out: what the index knows, and null where it knows nothing."""

from __future__ import annotations

import os
import sqlite3

from comfyvn_store.index.database import open_read_only
from comfyvn_store.vcs.repository import Repository


class CommitNames:
    """Looks commits up by provenance record, read-only: git is in the middle of its own work.

    What it cannot know yet (a commit that was fetched a moment ago) the hook after the checkout fills in.
    """

    def __init__(self, repository: Repository) -> None:
        self._connection: sqlite3.Connection | None = None
        if os.path.exists(repository.settings.db_path):
            try:
                self._connection = open_read_only(repository.settings.db_path)
            except sqlite3.Error:
                self._connection = None

    def commit_of(self, id_: str) -> str | None:
        """Gives the commit that a record is attributed to, or None."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT commit_hash FROM provenance WHERE id = ?", (id_,)).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row else None
