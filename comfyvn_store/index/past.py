"""Records that no asset has now: versions that were replaced or deleted, or that other branches have. They are found by words
and labels as they were when they came.
"""

from __future__ import annotations

import json

from comfyvn_store.index import rows
from comfyvn_store.index.database import Index
from comfyvn_store.index.ingredients import Writer


def note(index: Index, number: int, labels: Writer) -> None:
    """Makes a record findable, within a write transaction."""
    path, tags, license_, inputs = index.db.execute(
        "SELECT path, tags, license, inputs FROM provenance WHERE number = ?", (number,)
    ).fetchone()
    listed = json.loads(tags) if tags else []
    index.db.execute(
        "INSERT INTO past_fts(rowid, path, tags, license, prompts, models) VALUES (?, ?, ?, ?, ?, ?)",
        (number, path, *rows.words(listed, license_, json.loads(inputs))),
    )
    labels.label(-number, listed, license_)


def forget(index: Index, number: int) -> None:
    """Takes it out again, if it is there."""
    if index.db.execute("SELECT 1 FROM past_fts WHERE rowid = ?", (number,)).fetchone():
        index.db.execute("DELETE FROM past_fts WHERE rowid = ?", (number,))
        index.db.execute("DELETE FROM labels WHERE owner = ?", (-number,))
