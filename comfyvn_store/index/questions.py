"""What can be asked of the index. Answers are plain records; nothing here writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import Record, Sidecar
from comfyvn_store.base import names
from comfyvn_store.errors import AmbiguousAsset, UnknownAsset
from comfyvn_store.index.database import Index
from comfyvn_store.vcs.repository import Repository

_ASSET = (
    "SELECT a.uid, a.hash, a.path, a.bytes, a.media, a.tags, a.license, a.meta, a.extra, a.commit_hash, a.thumb,"
    " a.problem, p.id, p.source, p.workflow_hash, p.inputs, p.source_hash, p.created_at, p.parent, p.extra, a.staged"
    " FROM assets_registry a LEFT JOIN provenance p ON p.id = a.provenance_id"
)
# The same of a record that no asset has now, with what its sidecar said when it came.
_PAST = (
    "SELECT substr(p.hash, 1, 16), p.hash, p.path, p.bytes, p.media, coalesce(p.tags, '[]'), p.license, '{}', NULL,"
    " p.commit_hash, NULL, NULL, p.id, p.source, p.workflow_hash, p.inputs, p.source_hash, p.created_at, p.parent, p.extra,"
    " 1 FROM provenance p"
)
_PREFIX = re.compile(r"[0-9a-f]{4,64}\Z")


def _lacking() -> str:
    marks = ",".join(f"'{mime}'" for mime in sorted(sidecar.previewable()))
    return (
        f"FROM assets_registry WHERE thumb IS NULL AND mime IN ({marks})"
        " AND hash NOT IN (SELECT hash FROM preview_failures)"
    )


def lacks_previews(index: Index) -> bool:
    """Tells whether some asset should have a preview and has none yet."""
    return index.db.execute(f"SELECT 1 {_lacking()} LIMIT 1").fetchone() is not None


def previews_due(index: Index) -> Iterator[tuple[str, str]]:
    """Gives hash and media type of each object whose preview is missing and has not failed before."""
    yield from index.db.execute(f"SELECT DISTINCT hash, mime {_lacking()} ORDER BY id")


def pictures_with_previews(index: Index) -> dict[str, str]:
    """Gives the media type of each picture, by its hash, that has a preview."""
    query = "SELECT DISTINCT hash, mime FROM assets_registry WHERE thumb IS NOT NULL AND mime LIKE 'image/%'"
    return dict(index.db.execute(query))


def is_commit(index: Index, text: str) -> bool:
    """Tells whether a text is the whole id of a commit that is known."""
    return index.db.execute("SELECT 1 FROM commits WHERE hash = ?", (text,)).fetchone() is not None


def assets(
    index: Index,
    repository: Repository,
    *,
    type_: str | None = None,
    tags: Sequence[str] = (),
    license_: str | None = None,
    text: str | None = None,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Gives the records of assets in path order; every condition given must hold."""
    where, values = ["1"], []
    if type_ is not None:
        where.append("a.type = ?")
        values.append(type_)
    if license_ is not None:
        where.append("a.license = ?")
        values.append(license_)
    for tag in tags:
        where.append("EXISTS (SELECT 1 FROM json_each(a.tags) WHERE value = ?)")
        values.append(tag)
    if text is not None:
        where.append("a.id IN (SELECT rowid FROM assets_fts WHERE assets_fts MATCH ?)")
        values.append(_match(text))
    query = f"{_ASSET} WHERE {' AND '.join(where)} ORDER BY a.path"
    if limit is not None:
        query += f" LIMIT {int(limit)}"
    for row in index.db.execute(query, values):
        yield _record(repository, row)


def assets_by_id(index: Index, repository: Repository, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Gives the records of the assets with these `id`s, in that order."""
    for id_ in ids:
        for row in index.db.execute(f"{_ASSET} WHERE a.id = ?", (id_,)):
            yield _record(repository, row)


def past(index: Index, repository: Repository, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Gives versions that no asset has now, by the `number` of their provenance record, in that order: tags and licence are
    those with which they came."""
    for number in numbers:
        for row in index.db.execute(f"{_PAST} WHERE p.number = ?", (number,)):
            yield _record(repository, row)


def asset_at(index: Index, repository: Repository, path: str) -> dict[str, Any] | None:
    """Gives the record of the asset at a path relative to the assets root, or None."""
    row = index.db.execute(f"{_ASSET} WHERE a.path = ?", (path,)).fetchone()
    return _record(repository, row) if row else None


def find(index: Index, repository: Repository, name: str) -> str:
    """Gives the path (relative to the assets root) of the asset that a uid or a hash prefix names.

    Raises UnknownAsset, AmbiguousAsset (which lists the paths).
    """
    if not _PREFIX.match(name):
        raise unknown(name)
    rows = index.db.execute(
        "SELECT path, hash FROM assets_registry WHERE hash >= ? AND hash < ? ORDER BY path",
        (name, name + "g"),
    ).fetchall()
    if not rows:
        raise unknown(name)
    if len(rows) > 1:
        several = "several assets have" if len({row[1] for row in rows}) == 1 else "several hashes begin with"
        listed = ", ".join(f"'{names.printable(repository.full(row[0]))}'" for row in rows[:8])
        more = f" and {len(rows) - 8} more" if len(rows) > 8 else ""
        raise AmbiguousAsset(f"{several} {name}: {listed}{more}", hint="name one of them by its path")
    path: str = rows[0][0]
    return path


def unknown(name: str) -> UnknownAsset:
    """Gives the error for a name that no asset goes by."""
    return UnknownAsset(
        f"no asset is called '{names.printable(name)}'",
        hint="`comfyvn-store list` shows the assets there are",
    )


def ledger(
    index: Index, *, path: str | None = None, hash_: str | None = None, commits: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Gives provenance records, newest first: of an asset (all versions), of bytes, of commits, or all.

    Of commits: the records that those commits introduced, each said of that very commit.
    """
    columns = (
        "p.id, p.hash, p.path, p.source, p.workflow_hash, p.inputs, p.source_hash, p.created_at, p.parent,"
        " p.commit_hash, p.extra"
    )
    if commits is not None:
        return _introduced(index, commits, path)
    if path is not None:
        rows = index.db.execute(
            f"SELECT {columns} FROM provenance p WHERE p.path = ?1 OR p.id IN (SELECT record_id FROM introductions"
            # Who introduces a record at a path does something there, but that of a shallow boundary is not noted.
            " WHERE path = ?1 AND commit_hash IN (SELECT commit_hash FROM commit_assets WHERE path = ?1"
            " UNION ALL SELECT value FROM json_each(?2)))"
            " OR p.id IN (SELECT provenance_id FROM assets_registry WHERE path = ?1) ORDER BY p.id DESC",
            (path, json.dumps((index.state("shallow") or "").split())),
        )
    elif hash_ is not None:
        rows = index.db.execute(f"SELECT {columns} FROM provenance p WHERE p.hash = ? ORDER BY p.id DESC", (hash_,))
    else:
        rows = index.db.execute(f"SELECT {columns} FROM provenance p ORDER BY p.id DESC")
    return [_flat(row) for row in rows]


def _introduced(index: Index, commits: Sequence[str], path: str | None) -> list[dict[str, Any]]:
    found = []
    wanted = set(commits)
    query = (
        "SELECT p.id, p.hash, i.path, p.source, p.workflow_hash, p.inputs, p.source_hash, p.created_at, p.parent,"
        " i.commit_hash, p.extra FROM introductions i JOIN provenance p ON p.id = i.record_id WHERE i.boundary = 0"
    )
    if len(wanted) <= 200:
        marks = ",".join("?" * len(wanted))
        rows: Iterable[tuple[Any, ...]] = index.db.execute(f"{query} AND i.commit_hash IN ({marks})", sorted(wanted))
    else:
        rows = (row for row in index.db.execute(query) if row[9] in wanted)
    for row in rows:
        if path is None or row[2] == path:
            found.append(_flat(row))
    place = {hash_: number for number, hash_ in enumerate(commits)}
    return sorted(found, key=lambda item: (item["id"], -place[item["commit"]], item["path"]), reverse=True)


def older_than_history(index: Index, ids: Iterable[str]) -> set[str]:
    """Gives the records that came before the history a shallow clone has: their commit cannot be known here."""
    return {
        id_
        for id_ in set(ids)
        if index.db.execute("SELECT 1 FROM introductions WHERE record_id = ? AND boundary = 1", (id_,)).fetchone()
    }


def commit_lines(index: Index, hashes: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Gives author, time and subject of commits."""
    lines = {}
    for hash_ in set(hashes):
        row = index.db.execute("SELECT author, committed_at, subject FROM commits WHERE hash = ?", (hash_,)).fetchone()
        if row:
            lines[hash_] = (row[0], row[1], row[2])
    return lines


def problems(index: Index) -> list[tuple[str, str]]:
    """Gives the assets (relative to the assets root) of which something could not be read, and why."""
    rows = index.db.execute("SELECT path, problem FROM assets_registry WHERE problem IS NOT NULL ORDER BY path")
    return [(row[0], row[1]) for row in rows]


def unvouched(index: Index) -> set[str]:
    """Gives the assets whose view or sidecar git does not have, or of which something could not be read."""
    query = "SELECT path FROM assets_registry WHERE NOT staged OR sidecar_oid IS NULL OR problem IS NOT NULL"
    return {path for (path,) in index.db.execute(query)}


def preview_failures(index: Index) -> list[tuple[str, str]]:
    """Gives the assets whose preview could not be made, and why."""
    rows = index.db.execute(
        "SELECT a.path, f.reason FROM preview_failures f JOIN assets_registry a ON a.hash = f.hash ORDER BY a.path"
    )
    return [(row[0], row[1]) for row in rows]


def preview_failure(index: Index, hash_: str) -> str | None:
    """Gives why the preview of an object could not be made, or None."""
    row = index.db.execute("SELECT reason FROM preview_failures WHERE hash = ?", (hash_,)).fetchone()
    return row[0] if row else None


def sized_hashes(index: Index) -> list[tuple[str, str, int | None]]:
    """Gives path, hash and stored size of every asset."""
    return index.db.execute("SELECT path, hash, bytes FROM assets_registry ORDER BY path").fetchall()


def _match(text: str) -> str:
    """Gives an FTS5 query in which every word must occur, the last one as a beginning; no word is an operator."""
    words = text.replace('"', " ").split()
    return " ".join(f'"{word}"*' for word in words) or '""'


def _record(repository: Repository, row: Sequence[Any]) -> dict[str, Any]:
    (
        _,
        hash_,
        path,
        size,
        media,
        tags,
        license_,
        meta,
        extra,
        commit,
        thumb,
        problem,
        id_,
        source,
        workflow,
        inputs,
        source_hash,
        created,
        parent,
        more,
        staged,
    ) = row
    full = repository.full(path)
    stored = repository.store.stat(hash_)
    record = None
    if id_ is not None:
        record = Record(
            id_, source, workflow, json.loads(inputs), source_hash, created, parent, json.loads(more or "{}")
        )
    described = json.loads(media) if media else {}
    card = Sidecar(
        hash_,
        path,
        size,
        described,
        record or Record(""),
        tuple(json.loads(tags)),
        license_,
        json.loads(meta),
        json.loads(extra or "{}"),
    )
    result = sidecar.as_dict(card, commit=commit, on_disk=True)
    if record is None:
        result["provenance"] = None
        result["bytes"] = stored.st_size if stored else None
        result["preview"] = None
    has_thumb = thumb is not None and os.path.exists(os.path.join(repository.top, thumb))
    result |= {
        "view": full,
        "sidecar": names.sidecar_path(full),
        "thumb": thumb if has_thumb else None,
        "present": stored is not None,
        "commit": commit,
    }
    if problem:
        result["problem"] = problem
    if not staged:
        result["staged"] = False
    return result


def _flat(row: Sequence[Any]) -> dict[str, Any]:
    id_, hash_, path, source, workflow, inputs, source_hash, created, parent, commit, extra = row
    return {
        "id": id_,
        "uid": hash_[:16],
        "hash": hash_,
        "path": path,
        "source": source,
        "workflow_hash": workflow,
        "inputs": json.loads(inputs),
        "source_hash": source_hash,
        "created_at": created,
        "parent": parent,
        "commit": commit,
        **json.loads(extra or "{}"),
    }
