"""Which versions in history a file may come from, by what it says or by what it was before it was marked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from comfyvn_store.index.database import Index

# What says the same in two files although they were made by other settings.
_WEAK: Final = frozenset(("source", "graph", "images", "loras"))
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})


def with_source_hash(index: Index, hashes: Iterable[str]) -> list[str]:
    """Gives the objects that were, before they were marked, bytes with one of these hashes, or are them."""
    found: dict[str, None] = {}
    for hash_ in hashes:
        for query in (
            "SELECT hash FROM provenance WHERE source_hash = ? ORDER BY id DESC",
            "SELECT hash FROM provenance WHERE hash = ? LIMIT 1",
            "SELECT hash FROM commit_assets WHERE hash = ? LIMIT 1",
        ):
            found.update((row[0], None) for row in index.db.execute(query, (hash_,)))
    return list(found)


def with_settings(index: Index, said: Mapping[str, Any]) -> dict[str, list[str]]:
    """Gives the objects whose records say the same of what generated them as a file does, with what is equal.

    The graph must be the same and the seed, where either says one; without a graph, all that both say, and a seed.
    """
    workflow, seed = said.get("workflow_hash"), said.get("seed")
    if workflow is not None:
        rows = index.db.execute(
            "SELECT hash, workflow_hash, inputs FROM provenance WHERE workflow_hash = ? ORDER BY id DESC", (workflow,)
        )
    elif seed is not None:
        rows = index.db.execute(
            "SELECT hash, workflow_hash, inputs FROM provenance WHERE instr(inputs, ?) ORDER BY id DESC",
            (f'"seed":{json.dumps(seed)}',),
        )
    else:
        return {}
    found: dict[str, list[str]] = {}
    for hash_, other, text in rows:
        inputs = json.loads(text)
        equal = _equal(said, {**inputs, "workflow_hash": other})
        if equal is not None:
            found.setdefault(hash_, equal)
    return found


def _equal(said: Mapping[str, Any], other: Mapping[str, Any]) -> list[str] | None:
    """Gives the names of what is equal; None where something differs that tells one picture from another."""
    if said.get("seed") != other.get("seed"):
        return None
    both = [key for key in said if said[key] not in _NOTHING and other.get(key) not in _NOTHING and key != "source"]
    if said.get("workflow_hash") is not None:
        return [key for key in both if said[key] == other[key]]
    if any(said[key] != other[key] for key in both) or len(set(both) - _WEAK) < 3:
        return None
    return both
