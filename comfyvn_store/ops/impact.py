"""`impact`: every version of every asset, in all of history, that names a model or a LoRA."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.index import ingredients, kinship, questions
from comfyvn_store.index.ingredients import Named
from comfyvn_store.ops.session import Session

KINDS = (ingredients.MODEL, ingredients.REFINER, ingredients.LORA)


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
        version = by_path.setdefault(use.path, {}).setdefault(
            use.id,
            {
                "id": use.id,
                "uid": use.hash[:16],
                "hash": use.hash,
                "commit": use.commit,
                "current": use.is_current,
                "basis": "fact",
                "how": "metadata",
                "uses": [],
            },
        )
        version["uses"].append({"kind": use.kind, "name": use.name, "strength": use.strength})
    found.names = [{**_name(each), "versions": len(counts[each.kind, each.name])} for each in meant]
    commits = {version["commit"] for versions in by_path.values() for version in versions.values() if version["commit"]}
    lines = questions.commit_lines(session.index, commits)
    for path in sorted(by_path):
        versions = list(by_path[path].values())
        for version in versions:
            author, when, _ = lines.get(version["commit"] or "", (None, None, None))
            version |= {"author": author, "committed_at": when}
        current = any(version["current"] for version in versions)
        view = session.repository.full(path)
        found.assets.append({"path": path, "view": view, "current": current, "versions": versions})
    return found


def _name(each: Named) -> dict[str, Any]:
    return {"kind": each.kind, "name": each.name}
