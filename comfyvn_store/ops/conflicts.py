"""`conflicts`: every asset in conflict as a pair, with what differs and what to type next. Nothing is written."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comfyvn_store.asset import merge, record, sidecar
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import names
from comfyvn_store.errors import ObjectMissing
from comfyvn_store.ops import unmerged
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.unmerged import Conflict, Version
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.operation import Operation
from comfyvn_store.vcs.repository import Repository

# In these every difference is one of the bytes, told once.
_DERIVED = ("uid", "path", "type", "preview", "schema")


class Change(NamedTuple):
    """Who changed the asset last on one side."""

    commit: str
    author: str
    date: str
    subject: str


def conflicts(session: Session) -> dict[str, Any]:
    """Gives what is under way and each asset in conflict, as plain data."""
    repository = session.repository
    under_way, found = unmerged.find(repository)
    changes = {
        side: _last_changes(repository, mine, other, found)
        for side, mine, other in (
            ("ours", under_way.ours.commit, under_way.theirs.commit),
            ("theirs", under_way.theirs.commit, under_way.ours.commit),
        )
    }
    art = {name for item in found for path in item.places for name in (path, names.sidecar_path(path))}
    rest = sorted(staging.unmerged(repository.git, "") - art)
    return {
        "operation": under_way.verb or None,
        "ours": under_way.ours._asdict(),
        "theirs": under_way.theirs._asdict(),
        "conflicts": [_described(session, under_way, item, changes) for item in found],
        "others": rest,
        "next": under_way.proceed,
    }


def _described(
    session: Session, under_way: Operation, item: Conflict, changes: Mapping[str, Mapping[str, Change]]
) -> dict[str, Any]:
    repository = session.repository
    sides: dict[str, dict[str, Any] | None] = {"base": _version(repository, item.base)}
    for name, version, side in (("ours", item.ours, under_way.ours), ("theirs", item.theirs, under_way.theirs)):
        found = _version(repository, version)
        if found is not None and version is not None:
            change = next((changes[name][path] for path in item.places if path in changes[name]), None)
            change = change or _brought(session, version)
            found |= {
                "commit": change.commit if change else None,
                "author": change.author if change else side.author,
                "committed_at": change.date if change else None,
                "subject": change.subject if change else None,
                "branch": side.branch,
            }
        sides[name] = found
    clashes = clashing_fields(item)
    return {
        "path": repository.inside(item.name) or item.name,
        "view": item.name,
        "kind": kind(item),
        "places": list(item.places),
        "settled": _settled(item),
        **sides,
        "differs": _differences(sides, clashes),
        "next": commands(repository, item),
    }


def kind(item: Conflict) -> str:
    """Names the kind of conflict by what the sides did."""
    if item.ours is None or item.theirs is None:
        if item.ours is None and item.theirs is None:
            return "both-deleted"
        gone, kept = ("ours", "theirs") if item.ours is None else ("theirs", "ours")
        return f"deleted-by-{gone}" if item.base is not None else f"added-by-{kept}"
    if item.is_rename:
        return "both-renamed"
    if not item.has_two:
        return "both-annotated"
    return "both-changed" if item.base is not None else "both-added"


def clashing_fields(item: Conflict) -> tuple[str, ...]:
    """Gives the fields that both sides changed differently, as the merge driver sees them."""
    if item.ours is None or item.theirs is None or item.ours.card is None or item.theirs.card is None:
        return (merge.BYTES,) if item.has_two else ()
    base = item.base.card if item.base else None
    found = merge.merge(base, item.ours.card, item.theirs.card).conflicts
    return found if merge.BYTES in found or not item.has_two else (merge.BYTES, *found)


def commands(repository: Repository, item: Conflict) -> list[str]:
    """Gives the commands that settle a conflict, as typed from here."""
    place = shlex.quote(unmerged.shown(repository, item.name))
    if item.is_foreign:
        return [f"git checkout --{side} {place}" for side in ("ours", "theirs")] + [f"git add {place}"]
    if kind(item).startswith("added-by-"):
        return [f"comfyvn-store resolve {place} --{kind(item).removeprefix('added-by-')}"]
    sides = ["ours", "theirs"]
    if item.is_rename or item.has_two:
        sides.append("both")
    return [f"comfyvn-store resolve {place} --{side}" for side in sides]


def _settled(item: Conflict) -> str | None:
    """Tells whose link stands already, where git settled the links (`-X ours`) and not the sidecars."""
    if item.settled is None or not item.has_two:
        return None
    assert item.ours is not None and item.theirs is not None
    return {item.ours.hash: "ours", item.theirs.hash: "theirs"}.get(item.settled)


def _version(repository: Repository, version: Version | None) -> dict[str, Any] | None:
    """Gives one side as plain data; what no sidecar says is read from the object, or null."""
    if version is None:
        return None
    card = version.card or _from_object(repository, version)
    inside = repository.inside(version.path) or version.path
    found: dict[str, Any] = {"uid": None, "hash": None, "path": inside}
    if card is not None:
        found = sidecar.as_dict(card.moved(inside))
        if version.card is None:
            found["provenance"] |= {"id": None, "created_at": None}
    if version.hash is not None and version.hash != found["hash"]:
        found |= {"uid": version.hash[:16], "hash": version.hash}
    found["view"] = version.path
    found["present"] = version.hash is not None and repository.store.has(version.hash)
    found["has_sidecar"] = version.card is not None
    return found


def _from_object(repository: Repository, version: Version) -> Sidecar | None:
    if version.hash is None:
        return None
    try:
        facts = record.read_facts(repository.store, version.hash)
    except (ObjectMissing, OSError):
        facts = record.Facts(None, {}, None, None, None, {})
    said = sidecar.Record("", facts.source, facts.workflow_hash, facts.inputs, facts.source_hash)
    return Sidecar(version.hash, version.path, facts.size, facts.media, said)


# -- what differs ---------------------------------------------------------------------------------------------------


def _differences(sides: Mapping[str, dict[str, Any] | None], clashes: Sequence[str]) -> list[dict[str, Any]]:
    """Gives the fields in which the sides differ; of a side that deleted it, what the other changed since."""
    flat = {name: _flat(side) if side else None for name, side in sides.items()}
    one, other = flat["ours"], flat["theirs"]
    if one is None or other is None:
        one, other = (one or flat["base"]), (other or flat["base"])
    found = []
    for key in dict.fromkeys([*(one or {}), *(other or {})]):
        values = [(side or {}).get(key, merge.ABSENT) for side in (one, other)]
        if one is not None and other is not None and not merge.is_same(*values):
            found.append(
                {"field": key}
                | {name: (side or {}).get(key) for name, side in flat.items()}
                | {"conflict": _clashes(key, clashes)}
            )
    return found


def _clashes(key: str, clashes: Sequence[str]) -> bool:
    if merge.BYTES in clashes and (key in ("hash", "bytes") or key.startswith(("media.", "provenance."))):
        return True
    return any(key == field or key.startswith(f"{field}.") for field in clashes if field != merge.BYTES)


def _flat(side: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a version's fields by dotted names; provenance inputs and meta one by one."""
    own = {
        key: value
        for key, value in side.items()
        if key not in _DERIVED
        and key not in ("commit", "author", "committed_at", "subject", "branch", "view", "present", "has_sidecar")
    }
    found: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        elif prefix not in ("meta", "media", "provenance.inputs"):
            found[prefix] = value

    walk("", own)
    return found


# -- who did it -----------------------------------------------------------------------------------------------------


def _brought(session: Session, version: Version) -> Change | None:
    """Gives the commit that brought a version's record, as the index knows it."""
    if version.card is None:
        return None
    row = session.index.db.execute(
        "SELECT c.hash, c.author, c.committed_at, c.subject FROM provenance p JOIN commits c ON c.hash = p.commit_hash"
        " WHERE p.id = ?",
        (version.card.provenance.id,),
    ).fetchone()
    return Change(row[0], row[1].partition(" <")[0], *row[2:]) if row else None


def _last_changes(
    repository: Repository, tip: str | None, other: str | None, found: Sequence[Conflict]
) -> dict[str, Change]:
    """Gives, by an asset's path, the commit that changed it last on one side (since the sides parted, if they did)."""
    wanted = {name: path for item in found for path in item.places for name in (path, names.sidecar_path(path))}
    if tip is None or not wanted:
        return {}
    words = ["log", "-z", "--no-renames", "--name-only", "--format=%x01%H%x00%an%x00%aI%x00%s", tip]
    base = repository.git.text("merge-base", tip, other, check=False) if other else ""
    if base and base != tip:
        words.append(f"^{base}")
    if base == tip:
        words.append("-500")
    if len(wanted) <= 200:
        words += ["--", *map(staging.literal, wanted)]
    changes: dict[str, Change] = {}
    for part in repository.git.run(*words, check=False).split(b"\x01")[1:]:
        head = [os.fsdecode(item) for item in part.split(b"\0")]
        if len(head) < 4:
            continue
        change = Change(*head[:4])
        for name in head[4:]:
            path = wanted.get(name.removeprefix("\n"))
            if path is not None:
                changes.setdefault(path, change)
    return changes
