"""The index from nothing: each sidecar is read once and taken apart, every table filled in one go, and its indexes made then.

Ends in the same rows as bringing an index up to date from commit to commit does.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from comfyvn_store.base import files, names
from comfyvn_store.index import attribution, columns, ingredients, ledger, rows, schema, sight, since
from comfyvn_store.index.attribution import Home
from comfyvn_store.index.columns import Columns
from comfyvn_store.index.crew import Crew
from comfyvn_store.index.database import Index
from comfyvn_store.index.decoder import Fact, Order, Place
from comfyvn_store.index.texts import Texts
from comfyvn_store.index.tips import Snapshot
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

# What SQLite may keep in memory meanwhile, in KiB; the minus says so.
_ROOM = -32 * 1024


class Filled(NamedTuple):
    """What an index has that was empty: the assets (relative to the assets root), those of them whose files are as they have
    to be, and the names of mirrors by folder."""

    paths: list[str]
    as_said: set[str]
    mirrors: dict[str, set[str]]


class _Assets:
    """The assets in git's index whose view is in the work tree."""

    def __init__(self, repository: Repository) -> None:
        self.looked = time.time_ns()
        tracked = staging.filtered_entries(repository.git, repository.root, "comfyvn", "comfyvn-sidecar")
        entries = {entry.path: entry for entry in rows.unmerged_as_ours(tracked)}
        wanted = rows.wanted_assets(repository, entries)
        gone, self.folders, all_there = sight.vanished(repository, wanted, entries)
        self.is_plain = all_there and not any(entry.stage for entry in tracked)
        self.wanted = {path: want for path, want in wanted.items() if path not in gone}
        self.by_card: dict[str, list[str]] = {}
        self.cardless: list[str] = []
        for path, want in self.wanted.items():
            if want.sidecar_oid is None:
                self.cardless.append(path)
            else:
                self.by_card.setdefault(want.sidecar_oid, []).append(path)
        self.mirrors = self._mirrors()
        self._is_reachable: dict[str, bool] = {}
        self._repository = repository

    def _mirrors(self) -> dict[str, dict[str, str]]:
        """Gives, by folder, the name of each asset's mirror."""
        by_folder: dict[str, list[str]] = {}
        for path in self.wanted:
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, []).append(name)
        mirrors = {}
        for folder, found in by_folder.items():
            mirrors[folder] = names.mirror_names(found)
        return mirrors

    def order(self, oid: str) -> Order:
        """Gives the order to take a sidecar's blob apart, and to compare the files of the one asset that has it."""
        paths = self.by_card.get(oid)
        if not paths:
            return Order(oid)
        folder, _, name = paths[0].rpartition("/")
        if folder not in self._is_reachable:
            below = (f"{folder}/x", f"{names.META_FOLDER}/{folder}/x")
            self._is_reachable[folder] = not any(
                map(self._repository.is_beyond_link, map(self._repository.full, below))
            )
        mirror = self.mirrors[folder].get(name) if len(paths) == 1 and self._is_reachable[folder] else None
        return Order(oid, paths[0], self.wanted[paths[0]].link_oid, mirror)


class _Records(ledger.Records):
    """Tells records by what the crew found."""

    def __init__(self, crew: Crew, order: Callable[[str], Order]) -> None:
        self._crew = crew
        self._order = order
        self._links: dict[str, str] = {}

    def begin(self, oids: Sequence[str]) -> Callable[[], Mapping[str, ledger.Record | None]]:
        orders = list(map(self._order, oids))
        end = self._crew.begin(orders)

        def ended() -> Mapping[str, ledger.Record | None]:
            end()
            found: dict[str, ledger.Record | None] = {}
            for order in orders:
                fact = self._crew.facts[order.oid]
                found[order.oid] = (fact.id, fact.hash) if fact.id and fact.hash else None
                if fact.is_own and fact.hash and order.link_oid:
                    self._links[order.link_oid] = fact.hash
            return found

        return ended

    def links(self) -> Mapping[str, str]:
        return self._links


def fill(index: Index, repository: Repository, now: Snapshot, texts: Texts, *, compares: bool) -> Filled:
    """Fills an empty index, within a write transaction. `compares`: files in the work tree are looked at, too."""
    was_collecting = gc.isenabled()
    gc.disable()  # it would look through all of it again and again, and find no circles
    try:
        return _fill(index, repository, now, texts, compares)
    finally:
        if was_collecting:
            gc.enable()


def _fill(index: Index, repository: Repository, now: Snapshot, texts: Texts, compares: bool) -> Filled:
    seen = since.look(repository, now)
    assets = _Assets(repository)
    index.db.execute("PRAGMA defer_foreign_keys = ON")
    room = index.db.execute("PRAGMA cache_size").fetchone()[0]
    index.db.execute(f"PRAGMA cache_size = {_ROOM}")
    for statement in schema.INDEXES:
        index.db.execute(f"DROP INDEX IF EXISTS {statement.split()[2]}")
    clock = _clock(repository) if compares and repository.settings.symlinks else None
    place = Place(repository.git_dir, repository.top, repository.root, repository.object_format, clock)
    with Crew(repository, place, texts, len(assets.by_card)) as crew:
        # In the order of paths, in which the rows then stand, and while git lists what history changed.
        end = crew.begin(map(assets.order, assets.by_card))
        ledger.update(index, repository, now, _Records(crew, assets.order))
        end()
        filler = _Filler(index, repository, now, assets, crew)
        filler.fill()
    for statement in schema.INDEXES:
        index.db.execute(statement)
    index.db.execute(f"PRAGMA cache_size = {room}")
    index.remember("misplaced", "\0".join(sorted(filler.astray)))
    sight.remember(index, repository, assets.folders, assets.looked)
    since.remember(index, repository, now, seen if assets.is_plain else None)
    return Filled(
        list(filler.ids), filler.as_said, {folder: set(found.values()) for folder, found in assets.mirrors.items()}
    )


def _clock(repository: Repository) -> int | None:
    info = files.lstat(repository.index_path)
    return int(info.st_mtime) if info is not None else None


_ASSET = (
    *("id", "uid", "hash", "type", "path", "bytes", "mime", "source_hash", "thumb", "license", "tags", "meta"),
    *("created_at", "media", "extra", "provenance_id", "staged", "mode", "link_oid", "sidecar_oid", "commit_hash"),
    *("problem", "width", "height", "record"),
)
_RECORD = ("number", "id", "asset_id", "path", "commit_hash", *columns.SAID)
_WORDS = ("rowid", "path", "tags", "license", "prompts", "models")


def _insert(table: str, fields: Sequence[str]) -> str:
    return f"INSERT INTO {table}({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


class _Filler:
    """Fills the tables of assets and records."""

    def __init__(self, index: Index, repository: Repository, now: Snapshot, assets: _Assets, crew: Crew) -> None:
        self._index = index
        self._repository = repository
        self._assets = assets
        self._crew = crew
        self._thumbs = _Thumbs(repository)
        self._names: dict[tuple[str, str], int] = {}
        self.astray: set[str] = set()
        self.as_said: set[str] = set()
        self._hashes = self._link_hashes()
        order = list(crew.order())
        present = (path for oid in order for path in assets.by_card.get(oid, ()))
        linked = (path for path in itertools.chain(present, assets.cardless) if path in self._hashes)
        self.ids = {path: number for number, path in enumerate(linked, 1)}
        self._holders = self._find_holders()
        self._homes = self._find_homes(now)
        self._by_home: dict[str, list[str]] = {}
        for id_, home in self._homes.items():
            self._by_home.setdefault(home.blob, []).append(id_)
        whole = (id_ for oid in order if crew.facts[oid].id for id_ in self._by_home.get(oid, ()))
        self._numbers = {id_: number for number, id_ in enumerate(whole, 1)}

    def _link_hashes(self) -> dict[str, str]:
        """Gives the hash of the object behind each asset's link; what is no link is left out."""
        found: dict[str, str] = {}
        unknown: dict[str, list[str]] = {}
        for path, want in self._assets.wanted.items():
            fact = self._fact(path)
            if fact is not None and fact.is_own and fact.hash and self._is_first(path):
                found[path] = fact.hash
            else:
                unknown.setdefault(want.link_oid, []).append(path)
        for oid, hash_ in blobs.read_links(self._repository.git, unknown).items():
            found.update(dict.fromkeys(unknown[oid], hash_))
        return found

    def _is_first(self, path: str) -> bool:
        card = self._assets.wanted[path].sidecar_oid
        return card is not None and self._assets.by_card[card][0] == path

    def _fact(self, path: str) -> Fact | None:
        card = self._assets.wanted[path].sidecar_oid
        return self._crew.facts[card] if card is not None else None

    def _own_record(self, path: str) -> str | None:
        """Gives the record of an asset whose sidecar speaks of its bytes."""
        fact = self._fact(path)
        return fact.id if fact is not None and fact.hash == self._hashes[path] else None

    def _find_holders(self) -> dict[str, str]:
        """Gives, of each record that an asset has now, the smallest path of one."""
        holders: dict[str, str] = {}
        for path in self.ids:
            id_ = self._own_record(path)
            if id_ is not None and not (id_ in holders and holders[id_] < path):  # which git's byte order is, too
                holders[id_] = path
        return holders

    def _find_homes(self, now: Snapshot) -> dict[str, Home]:
        db = self._index.db
        wanted = {row[0] for row in db.execute("SELECT DISTINCT record_id FROM introductions")} | self._holders.keys()
        several = {row[0] for row in db.execute("SELECT record_id FROM repeated")}
        homes = attribution.homes_of(self._index, self._repository, now, wanted, several)
        for id_, path in self._holders.items():
            card = self._assets.wanted[path].sidecar_oid
            if id_ not in homes and card is not None:
                homes[id_] = Home(card, path, None)
        return homes

    def fill(self) -> None:
        """Fills them."""
        found = self._crew.columns()
        while batch := list(itertools.islice(found, 1000)):
            self._write(batch)
        for start in range(0, len(self._assets.cardless), 1000):
            cardless = self._assets.cardless[start : start + 1000]
            self._write_assets([(path, None) for path in cardless if path in self.ids])
        self._index.db.executemany(
            "INSERT INTO names(id, kind, name, stem) VALUES (?, ?, ?, ?)",
            ((id_, kind, name, ingredients.stem_of(kind, name)) for (kind, name), id_ in self._names.items()),
        )

    def _write(self, batch: Iterable[tuple[str, Columns | None]]) -> None:
        records: list[tuple[Any, ...]] = []
        uses: list[tuple[int, int, int, float | None]] = []
        labels: list[tuple[int, int]] = []
        past: list[tuple[Any, ...]] = []
        assets: list[tuple[str, Columns | None]] = []
        for oid, said in batch:
            assets += [(path, said) for path in self._assets.by_card.get(oid, ()) if path in self.ids]
            if said is None:
                continue
            for id_ in self._by_home.get(oid, ()):
                number, home, holder = self._numbers[id_], self._homes[id_], self._holders.get(id_)
                asset = self.ids[holder] if holder is not None else None
                records.append((number, id_, asset, home.path, home.commit, *said[: len(columns.SAID)]))
                for place, (kind, name, strength) in enumerate(said[columns.PARTS]):
                    uses.append((self._name(kind, name), number, place, strength))
                if asset is None:
                    past.append((number, home.path, *_words(said, said)))
                    labels += self._labels(-number, said)
        self._write_assets(assets)
        db = self._index.db
        db.executemany(_insert("provenance", _RECORD), records)
        db.executemany("INSERT INTO uses VALUES (?, ?, ?, ?)", uses)
        db.executemany("INSERT INTO labels VALUES (?, ?)", labels)
        db.executemany(_insert("past_fts", _WORDS), past)

    def _write_assets(self, assets: Iterable[tuple[str, Columns | None]]) -> None:
        found: list[tuple[Any, ...]] = []
        words: list[tuple[Any, ...]] = []
        labels: list[tuple[int, int]] = []
        for path, said in assets:
            own = said if said is not None and said[columns.HASH] == self._hashes[path] else None
            found.append(self._asset(path, said, own))
            words.append((self.ids[path], path, *_words(said, own)))
            if said is not None:
                labels += self._labels(self.ids[path], said)
        db = self._index.db
        db.executemany(_insert("assets_registry", _ASSET), found)
        db.executemany(_insert("assets_fts", _WORDS), words)
        db.executemany("INSERT INTO labels VALUES (?, ?)", labels)

    def _asset(self, path: str, said: Columns | None, own: Columns | None) -> tuple[Any, ...]:
        want, hash_, fact = self._assets.wanted[path], self._hashes[path], self._fact(path)
        problem = None
        if fact is not None and said is None:
            problem = f"its sidecar is broken: {fact.reason}"
        elif said is not None:
            problem = rows.OTHER_BYTES if own is None else None
            if said[columns.PATH] != path:
                self.astray.add(path)
        id_ = own[columns.ID] if own else None
        home = self._homes.get(id_) if id_ in self._numbers else None
        commit = home.commit if home is not None else None
        if fact is not None and fact.commit is not None and fact.commit == (commit or "null") and self._is_first(path):
            self.as_said.add(path)
        mime = own[columns.MIME] if own else None
        return (
            *(self.ids[path], hash_[:16], hash_, names.asset_type(path), path),
            *((own[columns.BYTES], mime, own[columns.SOURCE_HASH]) if own else (None, None, None)),
            self._thumbs.path(mime, hash_),
            *((said[columns.LICENSE], said[columns.TAGS] or "[]", said[columns.META]) if said else (None, "[]", "{}")),
            *((own[columns.CREATED], own[columns.MEDIA] or "{}") if own else (None, None)),
            said[columns.EXTRA] if said else None,
            *(id_, want.staged, want.mode, want.link_oid, want.sidecar_oid, commit, problem),
            *((own[columns.WIDTH], own[columns.HEIGHT]) if own else (None, None)),
            self._numbers.get(id_) if id_ else None,
        )

    def _labels(self, owner: int, said: Columns) -> list[tuple[int, int]]:
        found = {self._name(ingredients.TAG, tag) for tag in said[columns.LABELS]}
        if said[columns.LICENSE] is not None:
            found.add(self._name(ingredients.LICENSE, said[columns.LICENSE]))
        return [(name, owner) for name in found]

    def _name(self, kind: str, name: str) -> int:
        return self._names.setdefault((kind, name), len(self._names) + 1)


def _words(said: Columns | None, own: Columns | None) -> tuple[str, str, str, str]:
    """Gives what full-text search finds an asset or a record by: tags, licence, prompts, models."""
    tags, license_ = (" ".join(said[columns.LABELS]), said[columns.LICENSE] or "") if said else ("", "")
    return (tags, license_, own[columns.PROMPTS], own[columns.MODELS]) if own else (tags, license_, "", "")


class _Thumbs:
    """Finds previews, of which the folder is listed once; one that a symlink of the repository's leads to is not listed."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._folder = os.path.relpath(repository.settings.thumbs_root, repository.top).replace(os.sep, "/")
        self._present: frozenset[str] | None = frozenset()
        if repository.is_beyond_link(f"{self._folder}/x"):
            self._present = None
        else:
            with contextlib.suppress(OSError):
                self._present = frozenset(os.listdir(repository.settings.thumbs_root))
        self._endings: dict[str | None, str | None] = {}

    def path(self, mime: str | None, hash_: str) -> str | None:
        """Gives the existing preview's path relative to the work tree's top, or None."""
        if self._present is None:
            return rows.thumb_path(self._repository, mime, hash_)
        if not self._present:
            return None
        if mime not in self._endings:
            self._endings[mime] = rows.preview_ending(mime)
        ending = self._endings[mime]
        return f"{self._folder}/{hash_}{ending}" if ending and f"{hash_}{ending}" in self._present else None
