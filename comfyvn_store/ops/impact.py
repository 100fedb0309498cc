"""`impact`: every version of every asset, in all of history, that names a model or a LoRA, or that is inferred to have it from
the version before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.index import ingredients, kinship, questions
from comfyvn_store.index.ingredients import Named
from comfyvn_store.index.kinship import Use, Version
from comfyvn_store.index.prints import open_prints
from comfyvn_store.ops import inference
from comfyvn_store.ops.session import Session

KINDS = (ingredients.MODEL, ingredients.REFINER, ingredients.LORA, ingredients.OTHER)


@dataclass
class Impact:
    """The names that were meant, those that are like them and were not, and the versions by the asset's path."""

    names: list[dict[str, Any]] = field(default_factory=list)
    similar: list[dict[str, Any]] = field(default_factory=list)
    assets: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return {"names": self.names, "similar": self.similar, "assets": self.assets}


def impact(session: Session, wanted: str) -> Impact:
    """Gives what a model or a LoRA touched. A name that is exactly one in the ledger means that one; else all that agree with
    it, with or without folder and extension, whatever the case, `*` for anything.
    """
    db = session.index.db
    agreeing = ingredients.matching(db, KINDS, wanted)
    used = [each for each in agreeing if db.execute("SELECT 1 FROM uses WHERE name = ?", (each.id,)).fetchone()]
    exact = [each for each in used if each.name == wanted]
    meant = sorted(exact or used, key=lambda each: (each.kind, each.name))
    found = Impact(similar=[_name(each) for each in used if each not in meant])
    counts: dict[tuple[str, str], set[str]] = {(each.kind, each.name): set() for each in meant}
    by_path: dict[str, dict[str, dict[str, Any]]] = {}
    for use in kinship.uses(session.index, meant):
        counts[use.kind, use.name].add(use.id)
        version = by_path.setdefault(use.path, {}).setdefault(use.id, _version(use, "fact", "metadata"))
        version["uses"].append({"kind": use.kind, "name": use.name, "strength": use.strength})
    found.names = [{**_name(each), "versions": len(counts[each.kind, each.name])} for each in meant]
    for heir, version in _inferred(session, meant, by_path):
        by_path.setdefault(heir.path, {})[heir.id] = version
    _add_commits(session, by_path)
    for path in sorted(by_path):
        versions = sorted(by_path[path].values(), key=lambda version: str(version["id"]), reverse=True)
        current = any(version["current"] for version in versions)
        view = session.repository.full(path)
        found.assets.append({"path": path, "view": view, "current": current, "versions": versions})
    return found


def _inferred(
    session: Session, meant: Sequence[Named], by_path: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Iterator[tuple[Version, dict[str, Any]]]:
    """Gives the later versions whose files say nothing any more, and that inherit one of the names."""
    wanted = {(each.kind, each.name) for each in meant}
    passed = {version["hash"] for versions in by_path.values() for version in versions.values()}
    waiting = kinship.heirs(session.index, passed)
    silent: dict[str, Version] = {}
    while waiting:
        new = {each.id: each for each in waiting if each.id not in silent and not _says(each)}
        silent.update(new)
        waiting = kinship.heirs(session.index, {each.hash for each in new.values()} - passed)
        passed |= {each.hash for each in new.values()}
    if not silent:
        return
    with open_prints(session.repository) as prints:
        for each in silent.values():
            inherited = inference.inferred(session.index, prints, each.hash, _record(each), each.path)
            parts = ingredients.parts(None, inherited["inputs"] or {}) if inherited is not None else ()
            uses = [part for part in parts if (part.kind, part.name) in wanted]
            if inherited is not None and uses:
                version = _version(each, "inferred", inherited["how"])
                yield each, {**version, "distance": inherited["distance"], "uses": [part._asdict() for part in uses]}


def _says(version: Version) -> bool:
    return inference.is_generated(_record(version))


def _record(version: Version) -> dict[str, Any]:
    return {key: getattr(version, key) for key in ("source", "workflow_hash", "inputs", "parent")}


def _version(found: Use | Version, basis: str, how: str) -> dict[str, Any]:
    return {
        "id": found.id,
        "uid": found.hash[:16],
        "hash": found.hash,
        "commit": found.commit,
        "current": found.is_current,
        "basis": basis,
        "how": how,
        "uses": [],
    }


def _add_commits(session: Session, by_path: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    versions = [version for each in by_path.values() for version in each.values()]
    lines = questions.commit_lines(session.index, (version["commit"] for version in versions if version["commit"]))
    for version in versions:
        author, when, _ = lines.get(version["commit"] or "", (None, None, None))
        version |= {"author": author, "committed_at": when}


def _name(each: Named) -> dict[str, Any]:
    return {"kind": each.kind, "name": each.name}
