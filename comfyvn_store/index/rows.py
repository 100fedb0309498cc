"""The rows of `assets_registry`: one for each asset path in git's index, with what its staged sidecar says.

A path whose view is gone from the work tree has no row (a sparse checkout's paths keep theirs).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import BrokenSidecar, Sidecar
from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.index import columns, ingredients, sight, since
from comfyvn_store.index.database import Index
from comfyvn_store.index.texts import Texts
from comfyvn_store.index.tips import Snapshot
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

OTHER_BYTES = "its sidecar speaks of other bytes"


class Wanted(NamedTuple):
    """What git's index (or, with `staged` 0, the work tree) has at an asset's path."""

    mode: str
    link_oid: str
    sidecar_oid: str | None
    staged: int


class RowChanges(NamedTuple):
    """What an update changed: asset paths (relative to the assets root) and provenance records.

    `rewritten` are the assets whose sidecar on disk somebody wrote since the last update, git perhaps, without our filter,
    and those whose copy may be no more than link text.
    """

    written: set[str]
    removed: set[str]
    records: set[str]
    rewritten: set[str]


class _Found(NamedTuple):
    """What an update found: of the assets it looks at, what is wanted and what their rows say; the folders with their
    times. `is_plain`: the next update need not look at everything."""

    wanted: dict[str, Wanted]
    known: dict[str, Wanted]
    folders: dict[str, str]
    rewritten: set[str]
    is_plain: bool


def update(index: Index, repository: Repository, now: Snapshot, texts: Texts) -> RowChanges:
    """Brings the rows to what git's index and the work tree hold, within a write transaction."""
    looked = time.time_ns()
    seen = since.look(repository, now)
    part = since.changed(index, repository, now, seen)
    found = _look_at_some(index, repository, part) if part is not None else None
    if found is None:
        found = _look_at_all(index, repository)
    wanted, known = found.wanted, found.known
    changed = [path for path, want in wanted.items() if known.get(path) != want]
    said = _texts(repository, changed, wanted, texts)
    hashes = _hashes(index, changed)
    _complete_hashes(repository, changed, wanted, said, hashes)
    rows = {path: hashes[wanted[path].link_oid] for path in changed if hashes.get(wanted[path].link_oid)}
    not_links = {path for path in changed if path not in rows}
    removed = (known.keys() - wanted.keys()) | (known.keys() & not_links)
    records = _record_ids(index, removed | (rows.keys() & known.keys()))
    for path in removed:
        _remove(index, path)
    astray = misplaced(index) - removed - rows.keys()
    labels = ingredients.Writer(index.db)
    for path, hash_ in rows.items():
        record = _write(index, repository, path, hash_, wanted[path], said.get(path), astray, labels)
        if record:
            records.add(record)
    index.remember("misplaced", "\0".join(sorted(astray)))
    sight.remember(index, repository, found.folders, looked)
    since.remember(index, repository, now, seen if found.is_plain else None)
    return RowChanges(set(rows), removed, records, found.rewritten)


_KNOWN = "SELECT path, mode, link_oid, sidecar_oid, staged FROM assets_registry"


def _look_at_all(index: Index, repository: Repository) -> _Found:
    tracked = staging.filtered_entries(repository.git, repository.root, "comfyvn", "comfyvn-sidecar")
    entries = {entry.path: entry for entry in unmerged_as_ours(tracked)}
    wanted = wanted_assets(repository, entries)
    known = {row[0]: Wanted(*row[1:5]) for row in index.db.execute(_KNOWN)}
    gone, folders, all_there = sight.vanished(repository, wanted, entries)
    wanted = {path: want for path, want in wanted.items() if path not in gone}
    carded = [path for path, want in wanted.items() if want.sidecar_oid is not None]
    rewritten = sight.rewritten(index, repository, carded, folders) | sight.stand_ins(repository, wanted)
    _add_unstaged(repository, wanted)
    return _Found(wanted, known, folders, rewritten, all_there and not any(entry.stage for entry in tracked))


def _look_at_some(index: Index, repository: Repository, part: Mapping[str, Entry | None]) -> _Found | None:
    """Looks at the assets to which the paths (relative to the top) belong, and at folders that changed. None if some view
    is gone, or something is in conflict: then all must be looked at."""
    views = {path.removesuffix(names.SIDECAR_SUFFIX) for path in part}
    rest = {*views, *map(names.sidecar_path, views)} - part.keys()
    found = {**part, **since.entries_at(repository, sorted(rest))}
    entries = [entry for entry in found.values() if entry is not None]
    inside = {each for each in map(repository.inside, views) if each is not None}
    known = {
        row[0]: Wanted(*row[1:5]) for path in inside for row in index.db.execute(f"{_KNOWN} WHERE path = ?", (path,))
    }
    ours = _known_as_ours(repository, known)
    drivers = staging.filter_drivers(repository.git, [entry.path for entry in entries if entry.path not in ours])
    ours |= {path for path, driver in drivers.items() if driver in ("comfyvn", "comfyvn-sidecar")}
    tracked = [entry for entry in entries if entry.path in ours]
    if any(entry.stage for entry in tracked):
        return None
    wanted = wanted_assets(repository, {entry.path: entry for entry in tracked})
    if any(files.lstat(repository.absolute(repository.full(path))) is None for path in wanted):
        return None
    folders, changed = sight.changed_folders(index, repository, [entry.path for entry in tracked])
    if not sight.are_attributes_known(index, repository, folders):
        return None
    carded = [path for path, want in wanted.items() if want.sidecar_oid is not None]
    for folder in changed:
        rows = _rows_in(index, repository, folder, inside)
        try:
            present = set(os.listdir(repository.absolute(folder))) if rows else set()
        except OSError:
            return None
        if not present.issuperset(path.rpartition("/")[2] for path, _ in rows):
            return None
        carded += [path for path, card in rows if card is not None]
    return _Found(wanted, known, folders, sight.rewritten(index, repository, carded, folders), True)


def _known_as_ours(repository: Repository, known: Mapping[str, Wanted]) -> set[str]:
    """Gives the paths (relative to the top) that passed our filters at the last update; attributes are as they were."""
    views = {repository.full(path): want for path, want in known.items() if want.staged}
    return {*views, *(names.sidecar_path(path) for path, want in views.items() if want.sidecar_oid is not None)}


def _rows_in(index: Index, repository: Repository, folder: str, but: set[str]) -> list[tuple[str, str | None]]:
    """Gives path and sidecar of the assets directly in a folder (relative to the top) that have a row, without those `but`."""
    place = repository.inside(f"{folder}/")
    if place is None:
        return []
    rows = index.db.execute(
        "SELECT path, sidecar_oid FROM assets_registry WHERE path >= ? AND path < ? AND instr(substr(path, ?), '/') = 0",
        (place, place + "\U0010ffff", len(place) + 1),
    )
    return [row for row in rows if row[0] not in but]


def _hashes(index: Index, changed: list[str]) -> dict[str, str]:
    """Gives the hashes behind those links that some row of the same paths names, or of many, any row."""
    if len(changed) > 1000:
        return dict(index.db.execute("SELECT link_oid, hash FROM assets_registry"))
    rows = (index.db.execute("SELECT link_oid, hash FROM assets_registry WHERE path = ?", (path,)) for path in changed)
    return {oid: hash_ for found in rows for oid, hash_ in found}


def speaking_of_others(index: Index) -> set[str]:
    """Gives the assets whose sidecar speaks of other bytes: no row names its record, whose commit may be another now."""
    return {row[0] for row in index.db.execute("SELECT path FROM assets_registry WHERE problem = ?", (OTHER_BYTES,))}


def misplaced(index: Index) -> set[str]:
    """Gives the assets (relative to the assets root) whose staged sidecar speaks of another path."""
    return set(filter(None, (index.state("misplaced") or "").split("\0")))


def unmerged_as_ours(entries: list[Entry]) -> list[Entry]:
    """Gives one entry a path: of a conflict our side, which is what the work tree shows, else theirs."""
    best: dict[str, Entry] = {}
    for entry in entries:
        other = best.get(entry.path)
        if other is None or _preference(entry.stage) < _preference(other.stage):
            best[entry.path] = entry
    return list(best.values())


def _preference(stage: int) -> int:
    return {0: 0, 2: 1, 3: 2}.get(stage, 3)


def wanted_assets(repository: Repository, entries: Mapping[str, Entry]) -> dict[str, Wanted]:
    found = {}
    for path, entry in entries.items():
        if entry.mode == staging.GITLINK or not repository.is_asset_path(path):
            continue
        inside = repository.inside(path)
        assert inside is not None
        card = entries.get(names.sidecar_path(path))
        mode = staging.LINK if entry.mode == staging.LINK else staging.FILE
        found[inside] = Wanted(mode, entry.oid, card.oid if card else None, 1)
    return found


def _add_unstaged(repository: Repository, wanted: dict[str, Wanted]) -> None:
    for path in sight.read_unstaged(repository):
        if path in wanted or not names.is_asset_name(path):
            continue
        text = _unstaged_link(repository, path)
        card = files.lstat(repository.absolute(repository.full(names.sidecar_path(path))))
        if text is not None and links.parse_link(text) and card is not None:
            mark = ":".join(str(part) for part in files.print_of(card))
            oid = blobs.blob_id(text.encode(), repository.object_format)
            wanted[path] = Wanted(staging.LINK, oid, f"disk:{mark}", 0)


def _unstaged_link(repository: Repository, path: str) -> str | None:
    """Gives the link of a view that git does not know: its own text or, of a copy, that of the object its sidecar names,
    while the copy is as long."""
    full = repository.full(path)
    text = files.read_link(repository.absolute(full))
    if text is not None or not repository.copies_views:
        return text
    info = files.lstat(repository.absolute(full))
    with contextlib.suppress(OSError, BrokenSidecar):
        place = repository.absolute(names.sidecar_path(full))
        hash_ = sidecar.decode(files.read_small(place, canonical.LONGEST_JSON)).hash
        stored = repository.store.stat(hash_)
        if info is not None and stored is not None and info.st_size == stored.st_size:
            return links.link_text(full, hash_)
    return None


def _texts(repository: Repository, paths: list[str], wanted: Mapping[str, Wanted], texts: Texts) -> dict[str, bytes]:
    """Gives the sidecars' texts; one that is too long to be a sidecar is an empty text, which is broken."""
    by_oid: dict[str, list[str]] = {}
    found: dict[str, bytes] = {}
    for path in paths:
        oid = wanted[path].sidecar_oid
        if oid is None:
            continue
        if wanted[path].staged:
            by_oid.setdefault(oid, []).append(path)
        else:
            with contextlib.suppress(OSError):
                place = repository.absolute(repository.full(names.sidecar_path(path)))
                found[path] = files.read_small(place, canonical.LONGEST_JSON)
    for oid, data in texts.read(by_oid):
        for path in by_oid[oid]:
            found[path] = data or b""
    return found


def _complete_hashes(
    repository: Repository,
    paths: list[str],
    wanted: Mapping[str, Wanted],
    texts: Mapping[str, bytes],
    hashes: dict[str, str],
) -> None:
    """Finds the hash behind each link blob: from the sidecar where that proves right, else by reading the blob."""
    unknown: set[str] = set()
    for path in paths:
        oid = wanted[path].link_oid
        if oid in hashes:
            continue
        with contextlib.suppress(BrokenSidecar):
            said = sidecar.decode(texts[path]).hash if path in texts else None
            if (
                said
                and blobs.blob_id(links.link_text(repository.full(path), said).encode(), repository.object_format)
                == oid
            ):
                hashes[oid] = said
                continue
        if not wanted[path].staged:
            hashes[oid] = links.parse_link(_unstaged_link(repository, path) or "") or ""
        else:
            unknown.add(oid)
    hashes.update(blobs.read_links(repository.git, unknown))


def _record_ids(index: Index, paths: Iterable[str]) -> set[str]:
    found = set()
    for path in paths:
        row = index.db.execute("SELECT provenance_id FROM assets_registry WHERE path = ?", (path,)).fetchone()
        if row and row[0]:
            found.add(row[0])
    return found


def _remove(index: Index, path: str) -> None:
    row = index.db.execute("SELECT id FROM assets_registry WHERE path = ?", (path,)).fetchone()
    if row:
        index.db.execute("UPDATE provenance SET asset_id = NULL WHERE asset_id = ?", row)
        index.db.execute("DELETE FROM assets_fts WHERE rowid = ?", row)
        index.db.execute("DELETE FROM labels WHERE owner = ?", row)
        index.db.execute("DELETE FROM assets_registry WHERE id = ?", row)


def _write(
    index: Index,
    repository: Repository,
    path: str,
    hash_: str,
    want: Wanted,
    text: bytes | None,
    astray: set[str],
    labels: ingredients.Writer,
) -> str | None:
    """Writes one row; gives the id of its provenance record, if it has one. Adds the path to `astray` if its sidecar
    speaks of another."""
    card: Sidecar | None = None
    problem = None
    if want.sidecar_oid is not None:
        try:
            if not text:
                raise BrokenSidecar("it is empty, or too long")
            card = sidecar.decode(text)
            if card.hash != hash_:
                problem = OTHER_BYTES
            if card.path != path and want.staged:
                astray.add(path)
        except BrokenSidecar as error:
            problem = f"its sidecar is broken: {error}"
    own = card if card is not None and card.hash == hash_ else None
    media = own.media if own else {}
    mime = media.get("mime") if isinstance(media.get("mime"), str) else None
    values = {
        "uid": hash_[:16],
        "hash": hash_,
        "type": names.asset_type(path),
        "path": path,
        "bytes": own.bytes if own else None,
        "mime": mime,
        "source_hash": own.provenance.source_hash if own else None,
        "thumb": thumb_path(repository, mime, hash_),
        "license": card.license if card else None,
        "tags": canonical.dump_line(list(card.tags)) if card else "[]",
        "meta": canonical.dump_line(dict(card.meta)) if card else "{}",
        "created_at": own.provenance.created_at if own else None,
        "media": canonical.dump_line(dict(media)) if own else None,
        "extra": canonical.dump_line(dict(card.extra)) if card and card.extra else None,
        "provenance_id": own.provenance.id if own else None,
        "staged": want.staged,
        "mode": want.mode,
        "link_oid": want.link_oid,
        "sidecar_oid": want.sidecar_oid,
        "commit_hash": None,
        "problem": problem,
        "width": columns.pixels(media.get("width")),
        "height": columns.pixels(media.get("height")),
        "record": None,  # as soon as the record has its row
    }
    fields = ", ".join(values)
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name != "path")
    index.db.execute(
        f"INSERT INTO assets_registry({fields}) VALUES ({', '.join('?' * len(values))})"
        f" ON CONFLICT(path) DO UPDATE SET {updates}",
        tuple(values.values()),
    )
    id_ = index.db.execute("SELECT id FROM assets_registry WHERE path = ?", (path,)).fetchone()[0]
    index.db.execute("DELETE FROM assets_fts WHERE rowid = ?", (id_,))
    index.db.execute(
        "INSERT INTO assets_fts(rowid, path, tags, license, prompts, models) VALUES (?, ?, ?, ?, ?, ?)",
        (id_, path, *_words(card, own)),
    )
    labels.label(id_, card.tags if card else (), card.license if card else None)
    return own.provenance.id if own else None


def _words(card: Sidecar | None, own: Sidecar | None) -> tuple[str, str, str, str]:
    """Gives what full-text search finds an asset by: tags, licence, prompts, models."""
    tags, license_ = (card.tags, card.license) if card else ((), None)
    return words(tags, license_, own.provenance.inputs if own else {})


def words(tags: Iterable[str], license_: str | None, inputs: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Gives tags, licence, prompts and models as texts to be found by their words."""
    return (" ".join(tags), license_ or "", *columns.words(inputs))


def preview_ending(mime: str | None) -> str | None:
    """Gives what stands behind the hash in the name of a preview of such media."""
    preview = sidecar.preview_for(mime, "")
    return os.path.basename(preview["path"]) if preview is not None else None


def thumb_path(repository: Repository, mime: str | None, hash_: str) -> str | None:
    """Gives the existing preview's path relative to the work tree's top, or None."""
    preview = sidecar.preview_for(mime, hash_)
    if preview is None:
        return None
    place = os.path.join(repository.settings.thumbs_root, os.path.basename(preview["path"]))
    return os.path.relpath(place, repository.top).replace(os.sep, "/") if os.path.exists(place) else None
