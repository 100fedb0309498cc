"""`log PATH`: what became of one asset, commit by commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from comfyvn_store.asset import differences
from comfyvn_store.asset.differences import Difference
from comfyvn_store.base import names
from comfyvn_store.errors import UnknownAsset
from comfyvn_store.ops import changes, comparing, naming, provenance
from comfyvn_store.ops.changes import Change
from comfyvn_store.ops.comparing import Pixels
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import history, staging
from comfyvn_store.vcs.history import Commit


class Step(NamedTuple):
    """What one commit did to the asset; of a merge against its first parent. `is_in_head` tells whether HEAD has it."""

    commit: Commit
    is_in_head: bool
    change: Change
    differences: list[Difference]
    pixels: Pixels | None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        commit, change = self.commit, self.change
        after = change.after or change.before
        return {
            "commit": commit.hash,
            "parents": list(commit.parents),
            "author": commit.author,
            "committed_at": commit.committed_at,
            "subject": commit.subject,
            "in_head": self.is_in_head,
            "change": change.kind,
            "path": change.path,
            "old_path": change.old_path,
            "hash": after.hash if after else None,
            "differences": [each.as_dict() for each in self.differences],
            "pixels": self.pixels.as_dict() if self.pixels else None,
        }


def timeline(session: Session, name: str, *, with_pixels: bool = True, limit: int | None = None) -> Iterator[Step]:
    """Gives the steps of an asset, newest first, those of its earlier names among them, over HEAD, branches and tags.

    Raises UnknownAsset, AmbiguousAsset.
    """
    repository = session.repository
    path = _moved_on(session, _place(session, name))
    touched = _touched(session, path)
    head, tips, _ = history.tips(repository)
    told = {commit.hash: commit for commit in history.commits(repository.git, tips) if commit.hash in touched}
    in_head = set(history.order(repository.git, [head])) if head else set()
    order = [*reversed(told)][:limit]
    for hash_of_commit, found in history.raw_changes(repository.git, order, ("-c", "--root"), _specs(session, touched)):
        for change in changes.of(repository, found):
            if change.path in touched[hash_of_commit] or change.old_path in touched[hash_of_commit]:
                yield _step(session, told[hash_of_commit], hash_of_commit in in_head, change, with_pixels)


def _place(session: Session, name: str) -> str:
    """Gives the path, relative to the assets root, that a name means. Raises UnknownAsset, UnknownRevision, AmbiguousAsset."""
    try:
        path, hash_ = provenance.place_of(session, name)
    except UnknownAsset:
        if ":" not in name:
            raise
        return naming.version(session, name).inside
    if path is not None:
        return path
    row = session.index.db.execute("SELECT path FROM provenance WHERE hash = ? ORDER BY id DESC", (hash_,)).fetchone()
    return str(row[0])


def _moved_on(session: Session, path: str) -> str:
    """Gives where what was at a path is now, or was last, if the path itself has nothing any more."""
    db, known = session.index.db, {path}
    while db.execute("SELECT 1 FROM assets_registry WHERE path = ?", (path,)).fetchone() is None:
        row = db.execute("SELECT path FROM commit_assets WHERE old_path = ? AND change = 'R'", (path,)).fetchone()
        if row is None or row[0] in known:
            break
        path = row[0]
        known.add(path)
    return path


def _step(session: Session, commit: Commit, is_in_head: bool, change: Change, with_pixels: bool) -> Step:
    if change.before is None or change.after is None:
        return Step(commit, is_in_head, change, [], None)
    found = [each for each in differences.between(change.before, change.after) if each.field != "path"]
    pixels = None
    if with_pixels and change.before.hash != change.after.hash:
        pixels = comparing.objects(session.repository, change.before.hash, change.after.hash)
    return Step(commit, is_in_head, change, found, pixels)


def _touched(session: Session, path: str) -> dict[str, set[str]]:
    """Gives the paths under which commits touched the asset, by commit; earlier names are followed."""
    found: dict[str, set[str]] = {}
    known, due = {path}, [path]
    while due:
        place = due.pop()
        rows = session.index.db.execute("SELECT commit_hash, old_path FROM commit_assets WHERE path = ?", (place,))
        for commit, old_path in rows:
            found.setdefault(commit, set()).add(place)
            if old_path is not None and old_path not in known:
                known.add(old_path)
                due.append(old_path)
    return found


def _specs(session: Session, touched: dict[str, set[str]]) -> list[str]:
    full = [session.repository.full(path) for path in sorted(set().union(*touched.values()))]
    return ["--", *(staging.literal(each) for path in full for each in (path, names.sidecar_path(path)))]
