"""The ledger: commits, what each did to assets, and which commit introduced which provenance record.

Brought up to date by the difference between the tips it knows and the tips there are; from nothing, that difference is
all of history. Both ways end in the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.base import links, names
from comfyvn_store.errors import GitFailed
from comfyvn_store.index.database import Index
from comfyvn_store.index.texts import Texts
from comfyvn_store.index.tips import Snapshot
from comfyvn_store.vcs import blobs, history
from comfyvn_store.vcs.repository import Repository

_CHUNK = 500
_COMMITS_AT_ONCE = 200

_Changes = list[tuple[str, list[history.FileChange]]]


Record = tuple[str, str]  # its id and its hash
_End = Callable[[], Mapping[str, Record | None]]


class Records:
    """Tells which record each sidecar's blob holds; reading it where it is asked for."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def begin(self, oids: Sequence[str]) -> Callable[[], Mapping[str, Record | None]]:
        """Begins to read blobs, and gives what ends it. One may be begun before another is ended."""
        return lambda: {oid: _record_of(data) for oid, data in self._texts.read(oids)}

    def links(self) -> Mapping[str, str]:
        """Gives the hashes behind those links that are known already, by the link's blob."""
        return {}


class _Point(NamedTuple):
    """What stands at a path on one side of a commit."""

    hash: str | None = None
    record: str | None = None
    blob: str | None = None
    is_there: bool = False


def update(index: Index, repository: Repository, now: Snapshot, records: Records) -> set[str] | None:
    """Brings commits, commit_assets and introductions to `now`, within a write transaction.

    Gives the ids of the records whose attribution may have changed, or None for all of them. The caller then calls
    `attribute`.
    """
    known_tips, known_shallow = _remembered(index)
    is_cut_alike = known_shallow == now.shallow and (index.state("grafts") or "") == now.grafts
    if known_tips is None or not is_cut_alike:
        _forget_everything(index)
        _add(index, repository, history.commits(repository.git, now.tips), now.shallow, records)
        touched: set[str] | None = None
    else:
        try:
            new = history.commits(repository.git, now.tips, known_tips)
            followed = {parent for commit in new for parent in commit.parents}.union(now.tips)
            # Where each known tip is one still, or has a child, nothing went.
            gone = [] if followed.issuperset(known_tips) else _gone(repository, known_tips, now.tips)
        except GitFailed:  # an old tip was collected: what it reached can't be told any more
            _forget_everything(index)
            index.remember("tips", "")
            _add(index, repository, history.commits(repository.git, now.tips), now.shallow, records)
            touched = None
        else:
            touched = _remove(index, gone) | _add(index, repository, new, now.shallow, records)
    _note_repeated(index, touched)
    index.remember("tips", " ".join(now.tips))
    index.remember("shallow", " ".join(sorted(now.shallow)))
    index.remember("grafts", now.grafts)
    return touched


def _note_repeated(index: Index, touched: set[str] | None) -> None:
    """Notes which of the touched records (None: of all) several commits brought."""
    several = "SELECT record_id FROM introductions {} GROUP BY record_id HAVING count(DISTINCT commit_hash) > 1"
    if touched is None:
        index.db.execute("DELETE FROM repeated")
        index.db.execute(f"INSERT INTO repeated {several.format('')}")
        return
    each = [(id_,) for id_ in touched]
    index.db.executemany("DELETE FROM repeated WHERE record_id = ?", each)
    index.db.executemany(f"INSERT INTO repeated {several.format('WHERE record_id = ?')}", each)


def _gone(repository: Repository, known_tips: Sequence[str], tips: Sequence[str]) -> list[str]:
    """Gives the commits that the known tips reach and the tips do not. Raises GitFailed.

    git walks by the commits' times, and names some that both reach where a clock was wrong (`Documentation/technical/
    commit-graph.txt`, generation numbers): each has to prove absent from all that the tips reach.
    """
    gone = history.order(repository.git, known_tips, tips)
    reached = frozenset(history.order(repository.git, tips)) if gone else frozenset()
    return [commit for commit in gone if commit not in reached]


def _remembered(index: Index) -> tuple[list[str] | None, frozenset[str]]:
    tips, shallow = index.state("tips"), index.state("shallow")
    return (None if tips is None else tips.split()), frozenset((shallow or "").split())


def _forget_everything(index: Index) -> None:
    for table in ("commit_assets", "introductions", "commits"):
        index.db.execute(f"DELETE FROM {table}")


def _remove(index: Index, commits: Sequence[str]) -> set[str]:
    """Takes commits out that no tip reaches any more; gives the records that they had introduced."""
    touched: set[str] = set()
    for start in range(0, len(commits), _CHUNK):
        chunk = commits[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        rows = index.db.execute(f"SELECT record_id FROM introductions WHERE commit_hash IN ({marks})", chunk)
        touched.update(row[0] for row in rows)
        for table, column in (
            ("introductions", "commit_hash"),
            ("commit_assets", "commit_hash"),
            ("commits", "hash"),
        ):
            index.db.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", chunk)
    return touched


def _add(
    index: Index,
    repository: Repository,
    commits: Sequence[history.Commit],
    shallow: frozenset[str],
    records: Records,
) -> set[str]:
    """Adds commits; gives the records that they introduce."""
    touched: set[str] = set()
    index.db.executemany(
        "INSERT OR REPLACE INTO commits VALUES (?, ?, ?, ?)",
        ((c.hash, _storable(c.author), c.committed_at, _storable(c.subject)) for c in commits),
    )
    waiting: list[tuple[_Changes, _Reader, _End]] = []
    for start in range(0, len(commits), _COMMITS_AT_ONCE):
        hashes = [commit.hash for commit in commits[start : start + _COMMITS_AT_ONCE]]
        listed = list(history.changes(repository.git, hashes, repository.root))
        reader = _Reader(repository, [change for _, found in listed for change in found])
        waiting.append((listed, reader, records.begin(reader.sidecars)))
        if len(waiting) > 1:  # others read blobs while this goes on
            touched |= _add_commits(index, records, *waiting.pop(0), shallow)
    for each in waiting:
        touched |= _add_commits(index, records, *each, shallow)
    return touched


def _add_commits(
    index: Index, records: Records, listed: _Changes, reader: _Reader, end: _End, shallow: frozenset[str]
) -> set[str]:
    touched: set[str] = set()
    reader.know(end(), records.links())
    for commit, found in listed:
        touched |= _add_commit(index, reader, commit, found, commit in shallow)
    return touched


def _add_commit(
    index: Index,
    reader: _Reader,
    commit: str,
    found: list[history.FileChange],
    is_boundary: bool,
) -> set[str]:
    before, after = reader.sides(found)
    known = {point.record for points in before.values() for point in points if point.record}
    introduced = [
        (point.record, commit, path, point.blob, int(is_boundary))
        for path, point in after.items()
        if point.record and point.blob and (is_boundary or point.record not in known)
    ]
    index.db.executemany("INSERT OR REPLACE INTO introductions VALUES (?, ?, ?, ?, ?)", introduced)
    if not is_boundary:  # what a boundary commit did cannot be told: its parents are not here
        rows = _what_happened(before, after)
        index.db.executemany(
            "INSERT OR REPLACE INTO commit_assets VALUES (?, ?, ?, ?, ?, ?)", ((commit, *row) for row in rows)
        )
    return {row[0] for row in introduced if row[0]}


def _what_happened(before: dict[str, list[_Point]], after: dict[str, _Point]) -> list[tuple[str | None, ...]]:
    """Gives the rows (change, path, old_path, hash, provenance_id) of one commit."""
    gone: dict[str, list[str]] = {}
    for path in sorted(before, key=names.os_bytes):
        first = before[path][0]
        if path in after and not after[path].is_there and first.is_there and first.hash:
            gone.setdefault(first.hash, []).append(path)
    rows: list[tuple[str | None, ...]] = []
    renamed: set[str] = set()
    for path in sorted(after, key=names.os_bytes):
        new, old = after[path], before[path]
        if not new.is_there:
            continue
        if any(point.is_there for point in old):
            rows.append(("M", path, None, new.hash, new.record))
            continue
        source = _renamed_from(new, gone, before, renamed)
        if source is not None:
            renamed.add(source)
            rows.append(("R", path, source, new.hash, new.record))
        else:
            rows.append(("A", path, None, new.hash, new.record))
    for path in sorted(after, key=names.os_bytes):
        first = before[path][0]
        if not after[path].is_there and first.is_there and path not in renamed:
            rows.append(("D", path, None, first.hash, first.record))
    return rows


def _renamed_from(
    new: _Point, gone: dict[str, list[str]], before: dict[str, list[_Point]], taken: set[str]
) -> str | None:
    """Gives the path these bytes left in the same commit, preferring the one with the same record."""
    free = [path for path in gone.get(new.hash or "", ()) if path not in taken]
    same = [path for path in free if before[path][0].record == new.record]
    chosen = same or free
    return chosen[0] if chosen else None


class _Reader:
    """Turns raw file changes into points, reading each blob once."""

    def __init__(self, repository: Repository, found: Iterable[history.FileChange]) -> None:
        self._repository = repository
        self._records: Mapping[str, Record | None] = {}
        self._hashes: dict[str, str | None] = {}
        sidecars: dict[str, None] = {}
        self._others: dict[str, str] = {}
        for change in found:
            oids = [oid for oid in (*change.old_oids, change.new_oid) if oid.strip("0")]
            if names.is_sidecar(change.path):
                sidecars.update(dict.fromkeys(oids))
            elif repository.is_asset_path(change.path):
                self._others.update(dict.fromkeys(oids, change.path))
        self.sidecars = list(sidecars)

    def know(self, records: Mapping[str, Record | None], links: Mapping[str, str]) -> None:
        """Takes what the sidecars' blobs hold, and what is known of links."""
        self._records = records
        self._hashes = {oid: links[oid] for oid in self._others if oid in links}
        self._read_links({oid: path for oid, path in self._others.items() if oid not in links})

    def sides(self, found: list[history.FileChange]) -> tuple[dict[str, list[_Point]], dict[str, _Point]]:
        """Gives, by asset path relative to the assets root, what stood there in each parent and what stands there now."""
        views: dict[str, history.FileChange] = {}
        cards: dict[str, history.FileChange] = {}
        for change in found:
            inside = self._repository.inside(change.path)
            if inside is None or not names.is_utf8(inside):
                continue
            if names.is_sidecar(inside):
                cards[inside[: -len(names.SIDECAR_SUFFIX)]] = change
            elif self._is_link(change):
                views[inside] = change
        before: dict[str, list[_Point]] = {}
        after: dict[str, _Point] = {}
        for path in {**views, **cards}:
            view, card = views.get(path), cards.get(path)
            parents = len((view or card).old_oids)  # type: ignore[union-attr]
            before[path] = [self._point(_old(view, n), _old(card, n), view is None) for n in range(parents)]
            after[path] = self._point(_new(view), _new(card), view is None)
        return before, after

    def _is_link(self, change: history.FileChange) -> bool:
        return any(self._hashes.get(oid) for oid in (*change.old_oids, change.new_oid))

    def _point(self, link: str | None, card: str | None, view_unchanged: bool) -> _Point:
        record, said = (self._records.get(card) or (None, None)) if card else (None, None)
        hash_ = self._hashes.get(link) if link else None
        if view_unchanged:  # only the sidecar changed: the bytes are those it speaks of
            hash_ = said
        return _Point(hash_, record, card if record else None, bool(hash_ or record))

    def _read_links(self, oids: dict[str, str]) -> None:
        """Finds the hashes in link blobs; those that a sidecar read just now accounts for need no reading."""
        expected: dict[str, str] = {}
        said = (self._records.get(oid) for oid in self.sidecars)
        hashes = {entry[1] for entry in said if entry}.difference(self._hashes.values())
        depths = {path.count("/") for path in oids.values()}
        for depth in depths:
            for hash_ in hashes:
                text = links.link_text("/" * depth, hash_).encode()
                expected[blobs.blob_id(text, self._repository.object_format)] = hash_
        rest = []
        for oid in oids:
            if oid in expected:
                self._hashes[oid] = expected[oid]
            else:
                rest.append(oid)
        for oid, data in blobs.read_small_blobs(self._repository.git, rest, links.LONGEST).items():
            self._hashes[oid] = links.parse_link_bytes(data)


def _old(change: history.FileChange | None, parent: int) -> str | None:
    if change is None or not history.is_present(change.old_modes[parent]):
        return None
    return change.old_oids[parent]


def _new(change: history.FileChange | None) -> str | None:
    return change.new_oid if change is not None and history.is_present(change.new_mode) else None


def _record_of(data: bytes | None) -> Record | None:
    """Gives a sidecar blob's record id and hash."""
    found = sidecar.decode_if_whole(data)
    return (found.provenance.id, found.hash) if found is not None else None


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
