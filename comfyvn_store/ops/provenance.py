"""`provenance`: the ledger, by asset, by commit or range, or all of it."""

from __future__ import annotations

import re
from typing import Any

from comfyvn_store.errors import AmbiguousAsset, UnknownAsset
from comfyvn_store.index import questions
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import history

_PREFIX = re.compile(r"[0-9a-f]{4,64}\Z")


def provenance(session: Session, name: str | None = None, revision: str | None = None) -> list[dict[str, Any]]:
    """Gives provenance records, newest first.

    With `name` those of an asset, all its versions (also of one that is deleted, by its path); with `revision` those
    that a commit or a range introduced. Raises UnknownAsset, AmbiguousAsset, UnknownRevision.
    """
    path, hash_ = place_of(session, name) if name is not None else (None, None)
    commits = _commits(session, revision) if revision is not None else None
    found = questions.ledger(session.index, path=path, hash_=hash_, commits=commits)
    if hash_ is not None:
        found = [item for item in found if item["hash"] == hash_]
    return found


def _commits(session: Session, revision: str) -> list[str]:
    """Gives the commits that a revision or range means; of a whole id that the index knows git is not asked."""
    if questions.is_commit(session.index, revision):
        return [revision]
    return history.revision_commits(session.repository.git, revision)


def place_of(session: Session, name: str) -> tuple[str | None, str | None]:
    """Gives the path (relative to the assets root) that a name means, also of what is deleted; or else the hash of bytes that
    history has. Raises UnknownAsset, AmbiguousAsset."""
    try:
        return naming.resolve(session, name), None
    except UnknownAsset:
        return _of_the_past(session, name)


def _of_the_past(session: Session, name: str) -> tuple[str | None, str | None]:
    """Gives the path or the hash of something that history has although no present asset goes by that name."""
    if not naming.is_text(name):
        raise questions.unknown(name)
    inside = naming.to_inside(session.repository, name)
    for candidate in filter(None, (inside, name)):
        if questions.ledger(session.index, path=candidate):
            return candidate, None
    if not _PREFIX.match(name):
        raise questions.unknown(name)
    rows = session.index.db.execute(
        "SELECT DISTINCT hash FROM provenance WHERE hash >= ? AND hash < ?", (name, name + "g")
    ).fetchall()
    if len(rows) > 1:
        raise AmbiguousAsset(f"several hashes in history begin with {name}", hint="give more digits")
    if not rows:
        raise questions.unknown(name)
    return None, rows[0][0]
