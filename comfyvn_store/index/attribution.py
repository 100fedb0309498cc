"""Attribution: which commit brought each provenance record, and the `provenance` table that says so.

A record's commit is the first of its introductions in `git rev-list --topo-order --reverse HEAD`, or, where HEAD's
history does not have it, the first over all tips. A record that a shallow boundary commit already holds has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.base import canonical, files, names
from comfyvn_store.index.database import Index
from comfyvn_store.index.ledger import Snapshot
from comfyvn_store.vcs import blobs, history
from comfyvn_store.vcs.repository import Repository


class _Home(NamedTuple):
    """Where a record is read from, and the commit it is attributed to."""

    blob: str
    path: str
    commit: str | None


def attribute(
    index: Index, repository: Repository, now: Snapshot, touched: set[str] | None, *, in_process: bool
) -> set[str]:
    """Writes the `provenance` rows of the touched records (None: of all), within a write transaction.

    Also of those with several introductions, whose order a new HEAD may have changed. Gives the ids whose rows changed.
    """
    db = index.db
    several = {
        row[0]
        for row in db.execute(
            "SELECT record_id FROM introductions GROUP BY record_id HAVING count(DISTINCT commit_hash) > 1"
        )
    }
    if touched is None:
        wanted = {row[0] for row in db.execute("SELECT DISTINCT record_id FROM introductions")}
        wanted |= {row[0] for row in db.execute("SELECT id FROM provenance")} | _staged_ids(index)
    else:
        wanted = touched | several
    homes = _homes(index, repository, now, wanted, several)
    for id_ in wanted - homes.keys():
        held = db.execute(
            "SELECT path, sidecar_oid, staged FROM assets_registry WHERE provenance_id = ?", (id_,)
        ).fetchall()
        if held:
            path, oid, _ = min(held, key=lambda row: (-row[2], names.os_bytes(row[0])))
            homes[id_] = _Home(oid, path, None)
    changed = _write(index, repository, homes, in_process)
    for id_ in wanted - homes.keys():
        if db.execute("DELETE FROM provenance WHERE id = ?", (id_,)).rowcount:
            changed.add(id_)
    return changed


def join_assets(index: Index, ids: Iterable[str]) -> None:
    """Sets `asset_id` of records to the asset with the smallest path that has the record now, null if none has."""
    for id_ in ids:
        rows = index.db.execute("SELECT path, id FROM assets_registry WHERE provenance_id = ?", (id_,)).fetchall()
        asset = min(rows, key=lambda row: names.os_bytes(row[0]))[1] if rows else None
        index.db.execute("UPDATE provenance SET asset_id = ? WHERE id = ? AND asset_id IS NOT ?", (asset, id_, asset))


def _staged_ids(index: Index) -> set[str]:
    rows = index.db.execute("SELECT DISTINCT provenance_id FROM assets_registry WHERE provenance_id IS NOT NULL")
    return {row[0] for row in rows}


def _homes(
    index: Index, repository: Repository, now: Snapshot, wanted: set[str], several: set[str]
) -> dict[str, _Home]:
    by_record: dict[str, list[tuple[str, str, str, int]]] = {}
    if len(wanted) > 400:
        rows: Iterable[tuple[str, str, str, str, int]] = index.db.execute("SELECT * FROM introductions")
    else:
        rows = (
            row for id_ in wanted for row in index.db.execute("SELECT * FROM introductions WHERE record_id = ?", (id_,))
        )
    for id_, commit, path, blob, boundary in rows:
        if id_ in wanted:
            by_record.setdefault(id_, []).append((commit, path, blob, boundary))
    rank = _ranks(repository, now) if several & by_record.keys() else {}
    homes = {}
    for id_, found in by_record.items():
        at_boundary = [row for row in found if row[3]]
        if at_boundary:
            commit = min(row[0] for row in at_boundary)
        elif id_ in several:
            commit = min((row[0] for row in found), key=lambda hash_: rank.get(hash_, len(rank)))
        else:
            commit = found[0][0]
        _, path, blob, _ = min((row for row in found if row[0] == commit), key=lambda row: names.os_bytes(row[1]))
        homes[id_] = _Home(blob, path, None if at_boundary else commit)
    return homes


def _ranks(repository: Repository, now: Snapshot) -> dict[str, int]:
    """Gives each commit its place: HEAD's history first, in its order, then the rest in the order over all tips."""
    own = history.order(repository.git, [now.head]) if now.head else []
    rank = {hash_: place for place, hash_ in enumerate(own)}
    if now.tips != [now.head]:
        for hash_ in history.order(repository.git, now.tips):
            rank.setdefault(hash_, len(rank))
    return rank


def _write(index: Index, repository: Repository, homes: dict[str, _Home], in_process: bool) -> set[str]:
    """Writes rows; gives the ids of those that are not as before."""
    by_blob: dict[str, list[str]] = {}
    for id_, home in homes.items():
        by_blob.setdefault(home.blob, []).append(id_)
    oids = sorted(oid for oid in by_blob if not oid.startswith("disk:"))
    if not in_process:
        found = blobs.sizes(repository.git, oids)
        oids = [oid for oid in oids if oid in found and found[oid].size <= canonical.LONGEST_JSON]
    changed = set()
    loose = [oid for oid in by_blob if oid.startswith("disk:")]
    unstaged = ((oid, _on_disk(repository, homes[by_blob[oid][0]].path)) for oid in loose)
    for oid, data in chain(history.read_many(repository, oids, in_process=in_process), unstaged):
        record_row = _row(data)
        if record_row is None:
            continue
        for id_ in by_blob[oid]:
            home = homes[id_]
            hash_, source, workflow, inputs, created, parent, source_hash, extra = record_row
            row = (
                hash_,
                home.path,
                source,
                workflow,
                home.commit,
                inputs,
                created,
                parent,
                source_hash,
                extra,
            )
            before = index.db.execute(
                "SELECT hash, path, source, workflow_hash, commit_hash, inputs, created_at, parent, source_hash, extra"
                " FROM provenance WHERE id = ?",
                (id_,),
            ).fetchone()
            if before == row:
                continue
            changed.add(id_)
            index.db.execute(
                "INSERT INTO provenance(id, hash, path, source, workflow_hash, commit_hash, inputs, created_at, parent,"
                " source_hash, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET"
                " hash = excluded.hash, path = excluded.path, source = excluded.source,"
                " workflow_hash = excluded.workflow_hash, commit_hash = excluded.commit_hash,"
                " inputs = excluded.inputs, created_at = excluded.created_at, parent = excluded.parent,"
                " source_hash = excluded.source_hash, extra = excluded.extra",
                (id_, *row),
            )
    return changed


def _on_disk(repository: Repository, path: str) -> bytes | None:
    """Gives the sidecar of a view that is registered but not staged."""
    try:
        place = repository.absolute(repository.full(names.sidecar_path(path)))
        return files.read_small(place, canonical.LONGEST_JSON)
    except OSError:
        return None


def _row(data: bytes | None) -> tuple[str | None, ...] | None:
    found = sidecar.decode_if_whole(data)
    if found is None:
        return None
    record = found.provenance
    return (
        found.hash,
        record.source,
        record.workflow_hash,
        canonical.dump_line(dict(record.inputs)),
        record.created_at,
        record.parent,
        record.source_hash,
        canonical.dump_line(dict(record.extra)) if record.extra else None,
    )
