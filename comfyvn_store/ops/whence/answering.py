"""A version as it is told: where it stands in history, who brought it, what came after it, what it inherits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from comfyvn_store.index import questions
from comfyvn_store.index.database import Index
from comfyvn_store.index.prints import Prints
from comfyvn_store.ops import inference
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository


class Match(NamedTuple):
    """An object at a path (relative to the assets root), with its record if it has one, and how it was found."""

    hash: str
    path: str
    record: Mapping[str, Any] | None
    commit: str | None
    how: Mapping[str, Any]


def versions(session: Session, hash_: str, how: Mapping[str, Any]) -> list[Match]:
    """Gives every place at which history or git's index has an object, those that are there now first."""
    db = session.index.db
    found: dict[str, Match] = {}
    for record in questions.ledger(session.index, hash_=hash_):
        found.setdefault(record["path"], Match(hash_, record["path"], record, record["commit"], how))
    for path, commit in db.execute(
        "SELECT path, commit_hash FROM commit_assets WHERE hash = ? AND change IN ('A', 'M')", (hash_,)
    ):
        found.setdefault(path, Match(hash_, path, None, commit, how))
    now = {row[0] for row in db.execute("SELECT path FROM assets_registry WHERE hash = ?", (hash_,))}
    for path in sorted(now - found.keys()):
        before = [each for each in found.values() if each.record is not None and _moved(db, each.path, path)]
        moved = before[0] if before else Match(hash_, path, None, None, how)
        found[path] = moved._replace(path=path)
    return sorted(found.values(), key=lambda match: match.path not in now)


def told(session: Session, prints: Prints, matches: Sequence[Match]) -> list[dict[str, Any]]:
    """Gives matches as plain data."""
    return [_told(session, prints, match) for match in matches]


def _told(session: Session, prints: Prints, match: Match) -> dict[str, Any]:
    index, repository = session.index, session.repository
    record = match.record or {}
    paths = _names_since(index, match.path)
    line = questions.commit_lines(index, filter(None, [match.commit])).get(match.commit or "", (None, None, None))
    at_head = _at_head(repository, paths)
    result = {
        **match.how,
        "path": match.path,
        "view": repository.full(match.path),
        "uid": match.hash[:16],
        "hash": match.hash,
        "present": repository.store.has(match.hash),
        "commit": match.commit,
        "author": line[0],
        "date": line[1],
        "subject": line[2],
        "at_head": [repository.full(path) for path, hash_ in at_head.items() if hash_ == match.hash],
        "provenance": {key: value for key, value in record.items() if key not in ("path", "hash", "uid")} or None,
        "later": _later(index, match, paths, at_head),
    }
    if match.record is not None:
        inherited = inference.inferred(index, prints, match.hash, match.record, match.path)
        if inherited is not None:
            result["inferred"] = inherited
    return result


def _names_since(index: Index, path: str) -> list[str]:
    """Gives a path, and those to which what stood there was moved since."""
    found = {path: None}
    todo = [path]
    while todo:
        for (new,) in index.db.execute(
            "SELECT DISTINCT path FROM commit_assets WHERE change = 'R' AND old_path = ?", (todo.pop(),)
        ):
            if new not in found:
                found[new] = None
                todo.append(new)
    return list(found)


def _moved(db: Any, old: str, new: str) -> bool:
    query = "SELECT 1 FROM commit_assets WHERE change = 'R' AND old_path = ? AND path = ?"
    return db.execute(query, (old, new)).fetchone() is not None


def _at_head(repository: Repository, paths: Iterable[str]) -> dict[str, str]:
    """Gives what HEAD has at paths."""
    full = {repository.full(path): path for path in paths}
    entries = staging.tree_entries(repository.git, "HEAD", list(full))
    hashes = blobs.read_links(repository.git, [entry.oid for entry in entries.values()])
    return {full[path]: hashes[entry.oid] for path, entry in entries.items() if entry.oid in hashes}


def _later(index: Index, match: Match, paths: Iterable[str], at_head: Mapping[str, str]) -> list[dict[str, Any]]:
    """Gives the versions that came after one, newest first: other bytes with a younger record at the same asset."""
    if match.record is None:
        return []
    since = match.record["id"]
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        for record in questions.ledger(index, path=path):
            if record["id"] > since and record["hash"] != match.hash:
                found.setdefault(record["id"], record)
    lines = questions.commit_lines(index, filter(None, (each["commit"] for each in found.values())))
    return [
        {
            "path": each["path"],
            "uid": each["uid"],
            "hash": each["hash"],
            "commit": each["commit"],
            "author": lines.get(each["commit"] or "", (None, None, None))[0],
            "date": lines.get(each["commit"] or "", (None, None, None))[1],
            "at_head": each["hash"] in at_head.values(),
        }
        for _, each in sorted(found.items(), reverse=True)
    ]
