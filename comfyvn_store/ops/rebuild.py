"""`rebuild`: the index from nothing, previews that are missing, sidecars missing on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.base import files, links, names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ComfyvnError, LockTimeout, ObjectCorrupt, from_os_error
from comfyvn_store.hot import heal
from comfyvn_store.index import catchup, questions
from comfyvn_store.ops import cards, register, taking
from comfyvn_store.ops import status as looking
from comfyvn_store.ops.session import Session
from comfyvn_store.previews import worker
from comfyvn_store.vcs import staging


@dataclass
class Rebuilt:
    """What a rebuild found. `problems` pair a path (relative to the top) with a reason; with any, the work is not whole."""

    assets: int = 0
    records: int = 0
    commits: int = 0
    removed: int = 0
    previews: int = 0
    verified: int = 0
    rows: list[tuple[str, str]] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "assets": self.assets,
            "records": self.records,
            "commits": self.commits,
            "removed": self.removed,
            "previews": self.previews,
            "verified": self.verified,
            "registered": self.registered,
            "untracked": self.untracked,
            "problems": [{"path": path, "reason": reason} for path, reason in self.problems],
        }


def rebuild(
    session: Session,
    *,
    verify: bool = False,
    previews: bool = True,
    take_in: bool = False,
    progress: Progress | None = None,
) -> Rebuilt:
    """Makes the index anew in one transaction and brings derived files to it.

    `verify` hashes every object; `take_in` registers the files and edits that git does not know yet. `progress` is told what is
    done, how much of it, and of how much. Raises LockTimeout, MachineError; the old index stays then.
    """
    repository, index = session.repository, session.index
    tell = progress or quietly
    result = Rebuilt()
    tell("reading history", 0, 1)
    catchup.start_over_if_damaged(index)
    before = {path for (path,) in index.db.execute("SELECT path FROM assets_registry")}
    fine = catchup.rebuild(index, repository)
    heal.heal(index, repository, restore=True)
    tell("reading history", 1, 1)
    if index.in_memory:
        result.problems.append(("index", "not made anew, because its file cannot be written"))
    if take_in:
        _take_in(session, result)
    found = questions.sized_hashes(index)
    result.assets = len(found)
    result.records = index.db.execute("SELECT count(*) FROM provenance").fetchone()[0]
    result.commits = index.db.execute("SELECT count(*) FROM commits").fetchone()[0]
    result.removed = len(before - {path for path, _, _ in found})
    result.rows = [(repository.full(path), hash_) for path, hash_, _ in found]
    result.untracked = looking.untracked(repository)
    _check_sidecars(session, [path for path, _, _ in found if path not in fine], result)
    _check_objects(session, found, verify, result, tell)
    repository.store.sweep()
    if previews:
        result.previews = _make_previews(session, result, tell)
    return result


def _take_in(session: Session, result: Rebuilt) -> None:
    """Registers, in place, what lies below the assets root and git does not know, whole files and new versions; what
    cannot be is a problem."""
    repository = session.repository
    wishes = []
    for path in [*looking.untracked(repository), *looking.edited_files(session)]:
        inside = repository.inside(path)
        reason = names.refusal(path)
        if reason:
            result.problems.append((path, f"not registered: {reason}"))
        elif inside and names.is_asset_name(inside) and not os.path.islink(repository.absolute(path)):
            wishes.append(taking.Wish(repository.absolute(path), inside, replace=True))

    def failed(wish: taking.Wish, error: ComfyvnError) -> None:
        result.problems.append((repository.full(wish.inside), f"not registered: {error.message}"))

    result.registered = [item["view"] for item in register.register(session, wishes, failed=failed)]


def _check_sidecars(session: Session, paths: Iterable[str], result: Rebuilt) -> None:
    """Looks at the sidecars on disk of those assets that the index did not compare with theirs already."""
    repository = session.repository
    named = set()
    for path, why in questions.problems(session.index):
        named.add(path)
        result.problems.append((repository.full(path), why))
    sparse = staging.skipped(repository.git, repository.root)
    # A git for each asset without a sidecar took minutes where a clone has 20,000 of them.
    carded = {entry.path for entry in staging.entries(repository.git, [repository.root]) if entry.stage in (0, 2)}
    for path in paths:
        if path in named:
            continue
        card = names.sidecar_path(repository.full(path))
        broken = cards.broken_on_disk(repository, repository.full(path))
        if broken:
            result.problems.append((card, f"broken on disk: {broken}"))
        elif card in sparse or repository.is_beyond_link(card):
            continue
        elif (
            card in carded
            and files.lstat(repository.absolute(card)) is None
            and cards.staged(repository, repository.full(path))
        ):
            result.problems.append((card, "not restored, because git is at work here; run rebuild again later"))


def _check_objects(
    session: Session, found: list[tuple[str, str, int | None]], verify: bool, result: Rebuilt, tell: Progress
) -> None:
    store = session.repository.store
    states: dict[str, str | None] = {}
    for number, (path, hash_, size) in enumerate(found):
        # Of very many nearly all are as they were stored, which one look tells.
        if hash_ not in states and not verify and store.is_as_stored(hash_, size):
            states[hash_] = None
        elif hash_ not in states:
            info = store.stat(hash_)
            if info is None:
                states[hash_] = "its object is not in the store"
            elif size is not None and info.st_size != size:
                states[hash_] = f"its object has {info.st_size} bytes instead of {size}"
            elif verify or store.is_touched(info):
                states[hash_] = _verify(session, hash_)
                result.verified += 1
            else:
                states[hash_] = None
            if verify:
                tell("verifying objects", number + 1, len(found))
        reason = states[hash_]
        if reason is not None:
            result.problems.append((session.repository.full(path), reason))
    if verify:
        _verify_history(session, states, result)


def _verify_history(session: Session, done: dict[str, str | None], result: Rebuilt) -> None:
    """Hashes the objects that no present asset has: older versions, and what nobody committed."""
    for hash_ in session.repository.store.hashes():
        if hash_ in done:
            continue
        reason = _verify(session, hash_)
        result.verified += 1
        if reason is not None:
            row = session.index.db.execute("SELECT path FROM provenance WHERE hash = ? LIMIT 1", (hash_,)).fetchone()
            place = f"{session.repository.full(row[0])} (an older version)" if row else links.object_name(hash_)
            result.problems.append((place, reason))


def _verify(session: Session, hash_: str) -> str | None:
    try:
        session.repository.store.verify(hash_)
    except ObjectCorrupt as error:
        session.repository.store.suspect(hash_)  # status tells from now on
        return error.message
    return None


def _make_previews(session: Session, result: Rebuilt, tell: Progress) -> int:
    repository = session.repository
    try:
        made = worker.work(
            repository,
            patience=60.0,
            progress=lambda done, total: tell("making previews", done, total),
            looking=tell,
        )
    except LockTimeout as error:
        result.problems.append(("previews", error.message))
        return 0
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        result.problems.append(("previews", from_os_error(error, "make previews").message))
        return 0
    return made
