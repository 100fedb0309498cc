"""The index against the truth: a copy of it, brought up to date, is compared with one made from nothing, row by row.

Nothing is written beside the index on the disk, and neither copy lies in memory as a whole.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

from comfyvn_store.base import names
from comfyvn_store.base.telling import Progress
from comfyvn_store.index import catchup, database, schema
from comfyvn_store.index.database import Index
from comfyvn_store.ops.fsck.finding import INDEX_DAMAGED, INDEX_DIFFERS, REPAIR, Finding
from comfyvn_store.vcs.repository import Repository

# Table → its rows without local ids and `thumb`, which follow what was made when; the first column (or the first `keys`) tells
# a row from others, and rows come in its order.
_ROWS = {
    "assets_registry": (
        "SELECT path, uid, hash, type, bytes, mime, source_hash, license, tags, meta, created_at, media, extra,"
        " provenance_id, staged, mode, link_oid, sidecar_oid, commit_hash, problem, width, height"
        " FROM assets_registry ORDER BY path",
        1,
    ),
    "provenance": (
        "SELECT p.id, a.path, p.hash, p.path, p.source, p.workflow_hash, p.commit_hash, p.inputs, p.created_at, p.parent,"
        " p.source_hash, p.extra, p.bytes, p.media, p.tags, p.license, p.seed"
        " FROM provenance p LEFT JOIN assets_registry a ON a.id = p.asset_id ORDER BY p.id",
        1,
    ),
    "commits": ("SELECT hash, author, committed_at, subject FROM commits ORDER BY hash", 1),
    "commit_assets": (
        "SELECT commit_hash, path, change, old_path, hash, provenance_id FROM commit_assets ORDER BY commit_hash, path",
        2,
    ),
    "introductions": (
        "SELECT record_id, commit_hash, path, blob, boundary FROM introductions ORDER BY record_id, commit_hash, path",
        3,
    ),
    "assets_fts": (
        "SELECT a.path, f.path, f.tags, f.license, f.prompts, f.models FROM assets_fts f"
        " LEFT JOIN assets_registry a ON a.id = f.rowid ORDER BY a.path",
        1,
    ),
    "past_fts": (
        "SELECT p.id, f.path, f.tags, f.license, f.prompts, f.models FROM past_fts f"
        " LEFT JOIN provenance p ON p.number = f.rowid ORDER BY p.id",
        1,
    ),
    "uses": (
        "SELECT p.id, u.place, n.kind, n.name, u.strength FROM uses u JOIN names n ON n.id = u.name"
        " LEFT JOIN provenance p ON p.number = u.record ORDER BY p.id, CAST(u.place AS TEXT)",
        2,
    ),
    "labels": (
        "SELECT CASE WHEN l.owner > 0 THEN a.path ELSE p.id END, n.kind, n.name FROM labels l JOIN names n ON n.id = l.name"
        " LEFT JOIN assets_registry a ON a.id = l.owner LEFT JOIN provenance p ON p.number = -l.owner"
        " ORDER BY 1, 2, 3",
        3,
    ),
}
# So many rows of a table are named.
_NAMED = 20
_STEP = "comparing the index"


def examine(repository: Repository, tell: Progress) -> Iterator[Finding]:
    """Gives what is wrong with the index. One that is not there, or of another version, is made by the next command."""
    path = repository.settings.db_path
    if not os.path.isfile(path):
        return
    try:
        with database.open_scratch(path) as known:
            if known.db.execute("PRAGMA user_version").fetchone()[0] != schema.VERSION:
                return
            damage = database.check(known)
            if damage is None:
                catchup.catch_up(known, repository, in_process=True)
                damage = next((note for note in known.notes if "damaged" in note), None)
            if damage is None:
                yield from _compare(known, repository, path, tell)
                return
    except sqlite3.DatabaseError as error:
        damage = str(error)
    yield Finding(INDEX_DAMAGED, f"the index is damaged ({damage})", REPAIR, [path], None, True)


def _compare(known: Index, repository: Repository, path: str, tell: Progress) -> Iterator[Finding]:
    steps = len(_ROWS) + 1
    tell(_STEP, 0, steps)
    with database.open_scratch() as anew:
        catchup.rebuild(anew, repository)
        for number, (table, (query, keys)) in enumerate(_ROWS.items(), 1):
            tell(_STEP, number, steps)
            differing = _differences(known.db.execute(query), anew.db.execute(query), keys)
            named = list(itertools.islice(differing, _NAMED))
            if named:
                more = sum(1 for _ in differing)
                rows = "; ".join(named) + (f" and {more} more" if more else "")
                message = f"the table {table} of the index differs from git: {rows}"
                yield Finding(INDEX_DIFFERS, message, REPAIR, [f"{path}:{table}"], None, True)


def _differences(known: Iterator[Any], anew: Iterator[Any], keys: int) -> Iterator[str]:
    """Names the rows that one of two sorted sequences has and the other has not, or otherwise."""
    one, other = next(known, None), next(anew, None)
    while one is not None or other is not None:
        left = _key(one, keys) if one is not None else None
        right = _key(other, keys) if other is not None else None
        if left == right:
            if one != other:
                yield f"{_shown(one, keys)} is wrong"
            one, other = next(known, None), next(anew, None)
        elif right is None or (left is not None and left < right):
            yield f"{_shown(one, keys)} is too much"
            one = next(known, None)
        else:
            yield f"{_shown(other, keys)} is lacking"
            other = next(anew, None)


def _key(row: Any, keys: int) -> tuple[bytes, ...]:
    """Gives what a row is sorted by, as SQLite does: by the bytes, nothing before all else."""
    return tuple(b"" if item is None else b"\1" + str(item).encode("utf-8", "surrogatepass") for item in row[:keys])


def _shown(row: Any, keys: int) -> str:
    return names.printable(" ".join(str(item)[:80] for item in row[:keys]))
