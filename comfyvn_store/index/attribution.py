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
from comfyvn_store.index import columns, ingredients, past
from comfyvn_store.index.database import Index
from comfyvn_store.index.texts import Texts
from comfyvn_store.index.tips import Snapshot
from comfyvn_store.vcs import history
from comfyvn_store.vcs.repository import Repository


class Home(NamedTuple):
    """Where a record is read from, and the commit it is attributed to."""

    blob: str
    path: str
    commit: str | None


def attribute(index: Index, repository: Repository, now: Snapshot, touched: set[str] | None, texts: Texts) -> set[str]:
    """Writes the `provenance` rows of the touched records (None: of all), within a write transaction.

    Also of those with several introductions, whose order a new HEAD may have changed. Gives the ids whose rows changed.
    """
    db = index.db
    several = {row[0] for row in db.execute("SELECT record_id FROM repeated")}
    if touched is None:
        wanted = {row[0] for row in db.execute("SELECT DISTINCT record_id FROM introductions")}
        wanted |= {row[0] for row in db.execute("SELECT id FROM provenance")} | _staged_ids(index)
    else:
        wanted = touched | several
    homes = homes_of(index, repository, now, wanted, several)
    for id_ in wanted - homes.keys():
        held = db.execute(
            "SELECT path, sidecar_oid, staged FROM assets_registry WHERE provenance_id = ?", (id_,)
        ).fetchall()
        if held:
            path, oid, _ = min(held, key=lambda row: (-row[2], names.os_bytes(row[0])))
            homes[id_] = Home(oid, path, None)
    changed = _write(index, repository, homes, texts)
    for id_ in wanted - homes.keys():
        row = db.execute("SELECT number FROM provenance WHERE id = ?", (id_,)).fetchone()
        if row:
            past.forget(index, row[0])
            db.execute("DELETE FROM uses WHERE record = ?", row)
            db.execute("DELETE FROM provenance WHERE number = ?", row)
            changed.add(id_)
    return changed


def join_assets(index: Index, ids: Iterable[str]) -> None:
    """Sets `asset_id` of records to the asset with the smallest path that has the record now, null if none has, and
    `record` of those assets."""
    labels = ingredients.Writer(index.db)
    for id_ in ids:
        found = index.db.execute("SELECT number, asset_id FROM provenance WHERE id = ?", (id_,)).fetchone()
        if found is None:
            continue
        number, before = found
        rows = index.db.execute("SELECT path, id FROM assets_registry WHERE provenance_id = ?", (id_,)).fetchall()
        asset = min(rows, key=lambda row: names.os_bytes(row[0]))[1] if rows else None
        if asset != before:
            index.db.execute("UPDATE provenance SET asset_id = ? WHERE number = ?", (asset, number))
        for _, each in rows:
            index.db.execute("UPDATE assets_registry SET record = ? WHERE id = ?", (number, each))
        past.forget(index, number)
        if asset is None:
            past.note(index, number, labels)


def _staged_ids(index: Index) -> set[str]:
    rows = index.db.execute("SELECT DISTINCT provenance_id FROM assets_registry WHERE provenance_id IS NOT NULL")
    return {row[0] for row in rows}


def homes_of(
    index: Index, repository: Repository, now: Snapshot, wanted: set[str], several: set[str]
) -> dict[str, Home]:
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
        homes[id_] = Home(blob, path, None if at_boundary else commit)
    return homes


def _ranks(repository: Repository, now: Snapshot) -> dict[str, int]:
    """Gives each commit its place: HEAD's history first, in its order, then the rest in the order over all tips."""
    own = history.order(repository.git, [now.head]) if now.head else []
    rank = {hash_: place for place, hash_ in enumerate(own)}
    if now.tips != [now.head]:
        for hash_ in history.order(repository.git, now.tips):
            rank.setdefault(hash_, len(rank))
    return rank


_COLUMNS = ("path", "commit_hash", *columns.SAID)
_BEFORE = f"SELECT {', '.join(_COLUMNS)} FROM provenance WHERE id = ?"
_UPSERT = (
    f"INSERT INTO provenance(id, {', '.join(_COLUMNS)}) VALUES (?{', ?' * len(_COLUMNS)})"
    f" ON CONFLICT(id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)}"
)


def _write(index: Index, repository: Repository, homes: dict[str, Home], texts: Texts) -> set[str]:
    """Writes rows; gives the ids of those that are not as before."""
    by_blob: dict[str, list[str]] = {}
    for id_, home in homes.items():
        by_blob.setdefault(home.blob, []).append(id_)
    oids = sorted(oid for oid in by_blob if not oid.startswith("disk:"))
    changed = set()
    loose = [oid for oid in by_blob if oid.startswith("disk:")]
    unstaged = ((oid, _on_disk(repository, homes[by_blob[oid][0]].path)) for oid in loose)
    uses = ingredients.Writer(index.db)
    for oid, data in chain(texts.read(oids), unstaged):
        card = sidecar.decode_if_whole(data)
        if card is None:
            continue
        said = columns.said(card)
        for id_ in by_blob[oid]:
            row = (homes[id_].path, homes[id_].commit, *said)
            if index.db.execute(_BEFORE, (id_,)).fetchone() == row:
                continue
            changed.add(id_)
            index.db.execute(_UPSERT, (id_, *row))
            number = index.db.execute("SELECT number FROM provenance WHERE id = ?", (id_,)).fetchone()[0]
            uses.use(number, ingredients.parts(card.provenance.source, card.provenance.inputs))
    return changed


def _on_disk(repository: Repository, path: str) -> bytes | None:
    """Gives the sidecar of a view that is registered but not staged."""
    try:
        place = repository.absolute(repository.full(names.sidecar_path(path)))
        return files.read_small(place, canonical.LONGEST_JSON)
    except OSError:
        return None
