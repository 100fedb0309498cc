"""Which versions come from which, as far as the index knows: by `parent`, by the pictures that graphs load, by workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from comfyvn_store.index import ingredients
from comfyvn_store.index.database import Index
from comfyvn_store.index.ingredients import Named

_HASH = re.compile(r"[0-9a-f]{64}\Z")
# A picture that was loaded through a view may be called by its object's place in the store.
_OBJECT = re.compile(r"(?:.*/)?objects/([0-9a-f]{2})/([0-9a-f]{62})\Z")
_COLUMNS = (
    "p.number, p.id, p.hash, coalesce(a.path, p.path), p.source, p.workflow_hash, p.commit_hash, p.inputs, p.created_at,"
    " p.parent, p.source_hash, p.asset_id IS NOT NULL, p.seed"
)
_FROM = f"SELECT {_COLUMNS} FROM provenance p LEFT JOIN assets_registry a ON a.id = p.asset_id"


class Version(NamedTuple):
    """One version of an asset: a provenance record. `path` is where it is now or, if no asset has it, where it came."""

    number: int
    id: str
    hash: str
    path: str
    source: str | None
    workflow_hash: str | None
    commit: str | None
    inputs: dict[str, Any]
    created_at: str | None
    parent: str | None
    source_hash: str | None
    is_current: bool
    seed: str | None


class Use(NamedTuple):
    """A version that names a model, a LoRA or the like."""

    kind: str
    name: str
    strength: float | None
    id: str
    hash: str
    path: str
    commit: str | None
    is_current: bool


def by_id(index: Index, id_: str) -> Version | None:
    """Gives the version with this provenance record."""
    return next(_versions(index, "p.id = ?", (id_,)), None)


def by_hash(index: Index, hash_: str) -> list[Version]:
    """Gives the versions with these bytes, the newest first."""
    return list(_versions(index, "p.hash = ?", (hash_,)))


def at_path(index: Index, path: str) -> list[Version]:
    """Gives the versions that came at a path, the newest first."""
    return list(_versions(index, "p.path = ?", (path,)))


def parent(index: Index, version: Version) -> Version | None:
    """Gives the version that one replaced: of several with the same bytes the one at the same path, else the newest."""
    found = by_hash(index, version.parent) if version.parent else []
    others = [each for each in found if each.id != version.id]
    return next((each for each in others if each.path == version.path), others[0] if others else None)


def later(index: Index, version: Version) -> list[Version]:
    """Gives the versions that replaced one."""
    found = _versions(index, "p.parent = ?", (version.hash,))
    return [each for each in found if (parent(index, each) or each).id == version.id]


def with_workflow(index: Index, version: Version) -> tuple[int, int]:
    """Gives how many other versions have the same workflow, and how many of those the same seed as well."""
    if version.workflow_hash is None:
        return 0, 0
    where = "FROM provenance WHERE workflow_hash = ? AND id <> ?"
    given = (version.workflow_hash, version.id)
    total: int = index.db.execute(f"SELECT count(*) {where}", given).fetchone()[0]
    same: int = index.db.execute(f"SELECT count(*) {where} AND seed = ?", (*given, version.seed)).fetchone()[0]
    return total, same


def uses(index: Index, found: Sequence[Named]) -> Iterator[Use]:
    """Gives the versions that have one of some names, the newest first."""
    ids = json.dumps([each.id for each in found])
    rows = index.db.execute(
        "SELECT n.kind, n.name, u.strength, p.id, p.hash, coalesce(a.path, p.path), p.commit_hash, p.asset_id IS NOT NULL"
        " FROM json_each(?) j JOIN names n ON n.id = j.value JOIN uses u ON u.name = n.id"
        " JOIN provenance p ON p.number = u.record LEFT JOIN assets_registry a ON a.id = p.asset_id"
        " ORDER BY p.id DESC, u.place",
        (ids,),
    )
    return (Use._make((*row[:7], bool(row[7]))) for row in rows)


def heirs(index: Index, hashes: Iterable[str]) -> list[Version]:
    """Gives the versions that replaced some bytes, whichever path had them."""
    return list(_versions(index, "p.parent IN (SELECT value FROM json_each(?))", (json.dumps(sorted(hashes)),)))


class Pictures:
    """Which versions are meant by the names of pictures in graphs; remembers what it found."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._places: dict[str, list[tuple[str, int]]] = {}

    def said(self, name: str) -> tuple[str, list[Version]]:
        """Gives the versions whose bytes a name says, and how: "hash", "source hash", or "" if it says none."""
        hash_ = named_hash(name)
        found = by_hash(self._index, hash_) if hash_ else []
        if found:
            return "hash", found
        found = list(_versions(self._index, "p.source_hash = ?", (hash_,))) if hash_ else []
        return ("source hash", found) if found else ("", [])

    def called(self, name: str, by: Version) -> list[Version]:
        """Gives the versions, one for each path, that may be meant by a name in the graph of `by`: of each path the newest that
        is no younger, else the oldest."""
        asked = ingredients.file_name(name)
        if not asked.stem:
            return []
        places = [(ingredients.file_name(path), path, number) for path, number in self._with_stem(asked.stem)]
        same = [each for each in places if asked.agrees(each[0])]
        if not same:  # ComfyUI's folders are not ours
            loose = asked._replace(folder="")
            same = [each for each in places if loose.agrees(each[0])]
        by_path: dict[str, set[int]] = {}
        for _, path, number in same:
            if number != by.number:
                by_path.setdefault(path, set()).add(number)
        chosen: dict[str, Version] = {}
        for _, numbers in sorted(by_path.items()):
            marks = json.dumps(sorted(numbers))
            where = "p.number IN (SELECT value FROM json_each(?))"
            versions = list(_versions(self._index, where, (marks,)))
            before = [each for each in versions if each.id < by.id]
            version = before[0] if before else versions[-1]
            chosen.setdefault(version.id, version)
        return list(chosen.values())

    def users(self, version: Version) -> Iterator[tuple[str, Version]]:
        """Gives the versions whose graphs load a picture that may be this one, each with the name that it uses."""
        paths = {version.path, *self._other_paths(version)}
        stems = {ingredients.file_name(path).stem for path in paths} | {version.hash, version.hash[2:]}
        if version.source_hash:
            stems.add(version.source_hash)
        rows = self._index.db.execute(
            "SELECT id, name FROM names WHERE kind = 'image' AND stem IN (SELECT value FROM json_each(?)) ORDER BY name",
            (json.dumps(sorted(stems)),),
        ).fetchall()
        for id_, name in rows:
            where = "p.number IN (SELECT record FROM uses WHERE name = ?)"
            for user in _versions(self._index, where, (id_,)):
                if user.id != version.id:
                    yield name, user

    def _other_paths(self, version: Version) -> set[str]:
        rows = self._index.db.execute(
            "SELECT path FROM introductions WHERE record_id = ?1 UNION SELECT path FROM provenance WHERE id = ?1",
            (version.id,),
        )
        return {row[0] for row in rows}

    def _with_stem(self, stem: str) -> list[tuple[str, int]]:
        """Gives path and record number of all versions whose file is, or was, called so."""
        if stem not in self._places:
            rows = self._index.db.execute(
                "SELECT path, number FROM provenance WHERE path LIKE ?1 ESCAPE '\\'"
                " UNION SELECT a.path, a.record FROM assets_registry a WHERE a.record IS NOT NULL"
                " AND a.path LIKE ?1 ESCAPE '\\'",
                (_like(stem),),
            )
            self._places[stem] = [row for row in rows if ingredients.file_name(row[0]).stem == stem]
        return self._places[stem]


def named_hash(name: str) -> str | None:
    """Gives the hash that a picture's name is, if it is one: a file called by it, or an object's place in the store."""
    asked = ingredients.file_name(name)
    place = _OBJECT.match(f"{asked.folder}/{asked.stem}")
    if place:
        return place[1] + place[2]
    return asked.stem if _HASH.match(asked.stem) else None


def _like(stem: str) -> str:
    """Gives a pattern that all paths with this stem are like: SQLite knows upper and lower case of ASCII only."""
    letters = (f"\\{letter}" if letter in "\\%_" else letter if letter.isascii() else "%" for letter in stem)
    return f"%{''.join(letters)}%"


def _versions(index: Index, where: str, given: Sequence[Any]) -> Iterator[Version]:
    for row in index.db.execute(f"{_FROM} WHERE {where} ORDER BY p.id DESC", given).fetchall():
        yield Version._make((*row[:7], json.loads(row[7]), *row[8:11], bool(row[11]), row[12]))
