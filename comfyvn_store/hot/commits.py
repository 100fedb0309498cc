"""The commit to write into a sidecar that git is checking out: what the index knows, and null where it knows nothing."""

from __future__ import annotations

import os

from comfyvn_store.vcs.repository import Repository


class CommitNames:
    """Looks commits up by provenance record, read-only: git is in the middle of its own work.

    What it cannot know yet (a commit that was fetched a moment ago) the hook after the checkout fills in.
    """

    def __init__(self, repository: Repository) -> None:
        import sqlite3

        self._connection: sqlite3.Connection | None = None
        path = repository.settings.db_path
        if os.path.exists(path):
            try:
                uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23") + "?mode=ro"
                self._connection = sqlite3.connect(uri, uri=True, timeout=1.0)
            except sqlite3.Error:
                self._connection = None

    def commit_of(self, id_: str) -> str | None:
        """Gives the commit that a record is attributed to, or None."""
        import sqlite3

        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT commit_hash FROM provenance WHERE id = ?", (id_,)).fetchone()
        except sqlite3.Error:
            return None
        return row[0] if row else None
