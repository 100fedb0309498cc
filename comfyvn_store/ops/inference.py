"""What an edited version inherits: a record whose editor stripped the generator's metadata is inferred to come from its parent.

Only where fingerprints say that the picture is near the one it replaced, step by step; else nothing is inferred. It is an
answer, never a record: no sidecar and no row of the index ever holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from comfyvn_store.asset import record
from comfyvn_store.index import questions
from comfyvn_store.index.database import Index
from comfyvn_store.ops.session import Session

if TYPE_CHECKING:
    from comfyvn_store.index.prints import Prints

PARENT: Final = "parent"
_UNNAMED: Final = frozenset((None, record.MANUAL, record.GIT, record.IMPORT))
_GENERATED: Final = ("seed", "model", "sampler", "steps", "positive")
_LONGEST: Final = 200  # versions that a chain is followed over


def is_generated(found: Mapping[str, Any]) -> bool:
    """Tells whether a record says itself what generated the bytes."""
    inputs = found.get("inputs") or {}
    return (
        found.get("source") not in _UNNAMED
        or found.get("workflow_hash") is not None
        or any(inputs.get(key) not in (None, "", []) for key in _GENERATED)
    )


def inferred(index: Index, prints: Prints, hash_: str, found: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """Gives what the record of an object at a path (relative to the assets root) inherits, or None.

    `distance` is that of the farthest step.
    """
    if is_generated(found) or not found.get("parent"):
        return None
    child, parent, farthest = hash_, found["parent"], 0.0
    passed = {hash_}
    while parent and parent not in passed and len(passed) <= _LONGEST:
        passed.add(parent)
        distance = _step(prints, child, parent)
        if distance is None:
            return None
        farthest = max(farthest, distance)
        before = _record(index, parent, path)
        if before is None:
            return None
        if is_generated(before):
            return {
                "basis": "inferred",
                "how": PARENT,
                "from": {key: before[key] for key in ("path", "hash", "commit", "id")},
                "distance": farthest,
                "steps": len(passed) - 1,
                **{key: before[key] for key in ("source", "workflow_hash", "inputs")},
            }
        child, parent = parent, before["parent"]
    return None


def add(session: Session, records: Iterable[dict[str, Any]]) -> None:
    """Adds `inferred` to those flat records (`questions.ledger`) that inherit something."""
    waiting = [each for each in records if each.get("parent") and not is_generated(each)]
    if not waiting:
        return
    from comfyvn_store.index.prints import open_prints

    with open_prints(session.repository) as prints:
        for each in waiting:
            found = inferred(session.index, prints, each["hash"], each, each["path"])
            if found is not None:
                each["inferred"] = found


def add_to_asset(session: Session, item: dict[str, Any]) -> None:
    """Adds `inferred` to the record of an asset, if it inherits something."""
    found = item.get("provenance")
    if not found or not found.get("parent") or is_generated(found):
        return
    from comfyvn_store.index.prints import open_prints

    with open_prints(session.repository) as prints:
        inherited = inferred(session.index, prints, item["hash"], found, item["path"])
    if inherited is not None:
        item["inferred"] = inherited


def _step(prints: Prints, child: str, parent: str) -> float | None:
    """Gives the distance between a version and the one before it, if they are near each other."""
    from comfyvn_store.previews.nearness import NEAR
    from comfyvn_store.previews.seeking import apart

    distance = apart(prints, child, parent)
    return distance if distance is not None and distance <= NEAR else None


def _record(index: Index, hash_: str, path: str) -> dict[str, Any] | None:
    """Gives the record of an object, preferring one at that path, and one that says what generated it."""
    found = questions.ledger(index, hash_=hash_)
    return max(found, key=lambda each: (is_generated(each), each["path"] == path), default=None)
