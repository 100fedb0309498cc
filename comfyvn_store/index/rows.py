"""The rows of `assets_registry`: one for each asset path in git's index, with what its staged sidecar says.

A path whose view is gone from the work tree has no row (a sparse checkout's paths keep theirs). Views registered with
`--no-stage` are listed in a small file beside the index, because neither git nor the index remembers them.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import BrokenSidecar, Sidecar
from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.index.database import Index
from comfyvn_store.vcs import blobs, history, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

UNSTAGED_LIST = "unstaged"
# A folder's time is trusted only when it is this much older than the look at it (ext4 counts in jiffies).
_SETTLED_NS = 50_000_000
# How far the times of files may lag behind the clock (FAT counts in two seconds).
_CLOCKS_NS = 2_500_000_000


class Wanted(NamedTuple):
    """What git's index (or, with `staged` 0, the work tree) has at an asset's path."""

    mode: str
    link_oid: str
    sidecar_oid: str | None
    staged: int


class RowChanges(NamedTuple):
    """What an update changed: asset paths (relative to the assets root) and provenance records.

    `rewritten` are the assets whose sidecar on disk somebody wrote since the last update, git perhaps, without our filter.
    """

    written: set[str]
    removed: set[str]
    records: set[str]
    rewritten: set[str]


def look(index: Index, repository: Repository) -> str:
    """Gives one text that changes whenever git's index or the attributes do; taken before reading them."""
    attributes = [
        ".gitattributes",
        *(index.state("attributes") or f"{repository.root}/.gitattributes").split("\0"),
    ]
    places = [
        repository.index_path,
        os.path.join(repository.own_dir, UNSTAGED_LIST),
        os.path.join(repository.common_dir, "info", "attributes"),
        *(repository.absolute(path) for path in attributes),
    ]
    return "\n".join(_print(place) for place in places)


def are_folders_unchanged(index: Index, repository: Repository) -> bool:
    """Tells whether no file came to or went from the folders that hold assets since the last update."""
    remembered = (index.state("folders") or "").split("\0")
    return all(
        _folder_time(repository, folder) == stamp
        for folder, stamp in zip(remembered[::2], remembered[1::2], strict=False)
    )


def update(index: Index, repository: Repository, *, in_process: bool) -> RowChanges:
    """Brings the rows to what git's index and the work tree hold, within a write transaction."""
    entries = {
        entry.path: entry
        for driver in ("comfyvn-sidecar", "comfyvn")
        for entry in _unmerged_as_ours(staging.filtered_entries(repository.git, repository.root, driver))
    }
    wanted = _wanted(repository, entries)
    known = {
        row[0]: Wanted(*row[1:5])
        for row in index.db.execute("SELECT path, mode, link_oid, sidecar_oid, staged FROM assets_registry")
    }
    hashes = {row[0]: row[1] for row in index.db.execute("SELECT link_oid, hash FROM assets_registry")}
    looked = time.time_ns()
    folders = _drop_vanished(repository, wanted, entries)
    rewritten = _rewritten(index, repository, wanted, folders)
    _add_unstaged(repository, wanted)
    changed = [path for path, want in wanted.items() if known.get(path) != want]
    texts = _texts(repository, changed, wanted, in_process)
    _complete_hashes(repository, changed, wanted, texts, hashes)
    rows = {path: hashes[wanted[path].link_oid] for path in changed if hashes.get(wanted[path].link_oid)}
    not_links = {path for path in changed if path not in rows}
    removed = (known.keys() - wanted.keys()) | (known.keys() & not_links)
    records = _record_ids(index, removed | (rows.keys() & known.keys()))
    for path in removed:
        _remove(index, path)
    for path, hash_ in rows.items():
        record = _write(index, repository, path, hash_, wanted[path], texts.get(path))
        if record:
            records.add(record)
    _remember_folders(index, repository, folders)
    index.remember("looked", str(looked))
    return RowChanges(set(rows), removed, records, rewritten)


def read_unstaged(repository: Repository) -> list[str]:
    """Gives the paths (relative to the assets root) that were registered with `--no-stage`."""
    try:
        with open(os.path.join(repository.own_dir, UNSTAGED_LIST), encoding="utf-8") as stream:
            return [line for line in stream.read().split("\0") if line]
    except OSError:
        return []


def write_unstaged(repository: Repository, paths: Iterable[str]) -> None:
    """Remembers the paths that were registered with `--no-stage`."""
    data = "".join(f"{path}\0" for path in sorted(set(paths), key=names.os_bytes))
    files.write_atomic(os.path.join(repository.own_dir, UNSTAGED_LIST), data.encode("utf-8"))


def _unmerged_as_ours(entries: list[Entry]) -> list[Entry]:
    """Gives one entry a path: of a conflict our side, which is what the work tree shows, else theirs."""
    best: dict[str, Entry] = {}
    for entry in entries:
        other = best.get(entry.path)
        if other is None or _preference(entry.stage) < _preference(other.stage):
            best[entry.path] = entry
    return list(best.values())


def _preference(stage: int) -> int:
    return {0: 0, 2: 1, 3: 2}.get(stage, 3)


def _wanted(repository: Repository, entries: Mapping[str, Entry]) -> dict[str, Wanted]:
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


def _drop_vanished(repository: Repository, wanted: dict[str, Wanted], entries: Mapping[str, Entry]) -> dict[str, str]:
    """Takes out the paths whose view is gone from the work tree; gives the folders looked at, with their times."""
    times: dict[str, str] = {}
    present: dict[str, set[str]] = {}
    for folder in {repository.root} | {os.path.dirname(path) for path in entries}:
        times[folder] = _folder_time(repository, folder)
        try:
            present[folder] = set(os.listdir(repository.absolute(folder)))
        except OSError:
            present[folder] = set()
    gone = []
    for path in wanted:
        folder, _, name = repository.full(path).rpartition("/")
        if name not in present[folder]:
            gone.append(path)
    if gone:
        sparse = staging.skipped(repository.git, repository.root)
        for path in gone:
            if repository.full(path) not in sparse:
                del wanted[path]
    return times


def _rewritten(
    index: Index, repository: Repository, wanted: Mapping[str, Wanted], folders: Mapping[str, str]
) -> set[str]:
    """Gives the assets whose sidecar is younger than the last look, in the folders that changed since."""
    remembered = (index.state("folders") or "").split("\0")
    before = dict(zip(remembered[::2], remembered[1::2], strict=False))
    since = int(index.state("looked") or 0) - _CLOCKS_NS
    found = set()
    for path, want in wanted.items():
        full = repository.full(path)
        folder = os.path.dirname(full)
        if want.sidecar_oid is None or folders.get(folder) == before.get(folder):
            continue
        info = files.lstat(repository.absolute(names.sidecar_path(full)))
        if info is not None and info.st_mtime_ns > since:
            found.add(path)
    return found


def _add_unstaged(repository: Repository, wanted: dict[str, Wanted]) -> None:
    for path in read_unstaged(repository):
        if path in wanted or not names.is_asset_name(path):
            continue
        text = files.read_link(repository.absolute(repository.full(path)))
        card = files.lstat(repository.absolute(repository.full(names.sidecar_path(path))))
        if text is not None and links.parse_link(text) and card is not None:
            mark = ":".join(str(part) for part in files.print_of(card))
            oid = blobs.blob_id(text.encode(), repository.object_format)
            wanted[path] = Wanted(staging.LINK, oid, f"disk:{mark}", 0)


def _texts(
    repository: Repository, paths: list[str], wanted: Mapping[str, Wanted], in_process: bool
) -> dict[str, bytes]:
    """Gives the sidecars' texts; one that is too long to be a sidecar is an empty text, which is broken."""
    by_oid: dict[str, list[str]] = {}
    texts: dict[str, bytes] = {}
    for path in paths:
        oid = wanted[path].sidecar_oid
        if oid is None:
            continue
        if wanted[path].staged:
            by_oid.setdefault(oid, []).append(path)
        else:
            with contextlib.suppress(OSError):
                place = repository.absolute(repository.full(names.sidecar_path(path)))
                texts[path] = files.read_small(place, canonical.LONGEST_JSON)
    found = blobs.sizes(repository.git, by_oid)
    small = [oid for oid in by_oid if oid in found and found[oid].size <= canonical.LONGEST_JSON]
    for oid, data in history.read_many(repository, small, in_process=in_process):
        for path in by_oid[oid]:
            texts[path] = data or b""
    return texts


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
            text = files.read_link(repository.absolute(repository.full(path))) or ""
            hashes[oid] = links.parse_link(text) or ""
        else:
            unknown.add(oid)
    for oid, data in blobs.read_small_blobs(repository.git, unknown, links.LONGEST).items():
        hash_ = links.parse_link_bytes(data)
        if hash_:
            hashes[oid] = hash_


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
        index.db.execute("DELETE FROM assets_registry WHERE id = ?", row)


def _write(index: Index, repository: Repository, path: str, hash_: str, want: Wanted, text: bytes | None) -> str | None:
    """Writes one row; gives the id of its provenance record, if it has one."""
    card: Sidecar | None = None
    problem = None
    if want.sidecar_oid is not None:
        try:
            card = sidecar.decode(text or b"")
            if card.hash != hash_:
                problem = "its sidecar speaks of other bytes"
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
    }
    columns = ", ".join(values)
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name != "path")
    index.db.execute(
        f"INSERT INTO assets_registry({columns}) VALUES ({', '.join('?' * len(values))})"
        f" ON CONFLICT(path) DO UPDATE SET {updates}",
        tuple(values.values()),
    )
    id_ = index.db.execute("SELECT id FROM assets_registry WHERE path = ?", (path,)).fetchone()[0]
    index.db.execute("DELETE FROM assets_fts WHERE rowid = ?", (id_,))
    index.db.execute(
        "INSERT INTO assets_fts(rowid, path, tags, license, prompts, models) VALUES (?, ?, ?, ?, ?, ?)",
        (id_, path, *_words(card, own)),
    )
    return own.provenance.id if own else None


def _words(card: Sidecar | None, own: Sidecar | None) -> tuple[str, str, str, str]:
    """Gives what full-text search finds an asset by: tags, licence, prompts, models."""
    inputs = own.provenance.inputs if own else {}
    loras = inputs.get("loras")
    models = [inputs.get("model")]
    if isinstance(loras, list):
        models += [item.get("name") for item in loras if isinstance(item, dict)]
    prompts = [inputs.get("positive"), inputs.get("negative")]
    return (
        " ".join(card.tags) if card else "",
        (card.license or "") if card else "",
        "\n".join(text for text in prompts if isinstance(text, str)),
        "\n".join(text for text in models if isinstance(text, str)),
    )


def thumb_path(repository: Repository, mime: str | None, hash_: str) -> str | None:
    """Gives the existing preview's path relative to the work tree's top, or None."""
    preview = sidecar.preview_for(mime, hash_)
    if preview is None:
        return None
    place = os.path.join(repository.settings.thumbs_root, os.path.basename(preview["path"]))
    return os.path.relpath(place, repository.top).replace(os.sep, "/") if os.path.exists(place) else None


def _remember_folders(index: Index, repository: Repository, times: dict[str, str]) -> None:
    for path in read_unstaged(repository):
        folder = os.path.dirname(repository.full(path))
        times.setdefault(folder, _folder_time(repository, folder))
    attributes = {
        path
        for path in (f"{folder}/.gitattributes" for folder in times)
        if files.lstat(repository.absolute(path)) is not None
    }
    attributes.add(f"{repository.root}/.gitattributes")
    pairs = [item for folder in sorted(times) for item in (folder, times[folder]) if _is_storable(folder)]
    index.remember("folders", "\0".join(pairs))
    index.remember("attributes", "\0".join(sorted(path for path in attributes if _is_storable(path))))


def _is_storable(path: str) -> bool:
    return names.refusal(path) is None


def _print(path: str) -> str:
    info = files.lstat(path)
    return "-" if info is None else ":".join(str(part) for part in files.print_of(info))


def _folder_time(repository: Repository, folder: str) -> str:
    info = files.lstat(repository.absolute(folder))
    if info is None:
        return "-"
    # A folder that changed just now may change again within the same tick of the clock: never equal to anything.
    age = time.time_ns() - info.st_mtime_ns
    return str(info.st_mtime_ns) if age > _SETTLED_NS else f"{info.st_mtime_ns}?{time.time_ns()}"
