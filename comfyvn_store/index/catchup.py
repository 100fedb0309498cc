"""Catching up: brings the index from what it knew to what is, by what differs; from nothing, that is everything."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from comfyvn_store.base import names
from comfyvn_store.base.files import Print
from comfyvn_store.index import database, sight, tips
from comfyvn_store.index.database import Index
from comfyvn_store.index.tips import Snapshot
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

if TYPE_CHECKING:
    from comfyvn_store.index.texts import Texts


def open_index(repository: Repository, *, patience: float = database.PATIENCE) -> Index:
    """Opens the repository's index. Raises MachineError, Refused."""
    path = repository.settings.db_path
    if not path.startswith(repository.own_dir + "/"):
        return database.open_index(path, disposable=False, patience=patience)
    return database.open_index(path, disposable=True, patience=patience, sharing=repository.settings.sharing)


def catch_up(index: Index, repository: Repository, *, in_process: bool = False) -> None:
    """Brings the index up to date and notes in `pending` what the work tree has to follow. Raises LockTimeout,
    MachineError.

    `in_process` allows pygit2 where it is faster; the hot path never does.
    """
    now = tips.snapshot(repository)
    _sound(index, lambda: _catch_up(index, repository, now, in_process))


def catch_up_history(index: Index, repository: Repository) -> None:
    """Brings only what is known of commits up to date: for pre-commit, whose git index is not the real one."""
    now = tips.snapshot(repository)
    _sound(index, lambda: _catch_up_history(index, repository, now))


def _catch_up(index: Index, repository: Repository, now: Snapshot, in_process: bool) -> None:
    if index.state("caught up") == _key(index, repository, now) and sight.are_folders_unchanged(index, repository):
        return
    with index.writing():
        _apply(index, repository, now, in_process)


def _catch_up_history(index: Index, repository: Repository, now: Snapshot) -> None:
    if index.state("history") == now.key:
        return
    from comfyvn_store.index import attribution, ledger
    from comfyvn_store.index.texts import Texts

    with index.writing():
        texts = Texts(repository, in_process=False)
        touched = ledger.update(index, repository, now, ledger.Records(texts))
        index.remember("history", now.key)
        changed = attribution.attribute(index, repository, now, touched, texts)
        attribution.join_assets(index, changed)
        add_pending(index, _name_commits(index, repository, now, set(), changed))
        index.remember("caught up", "")


def pending(index: Index) -> set[str]:
    """Gives the assets (relative to the assets root) whose sidecar on disk, mirror or view may be behind the index."""
    return set(filter(None, (index.state("pending") or "").split("\0")))


class Due(NamedTuple):
    """What was pending at one moment; `noted` tells that moment from those at which more had been noted."""

    paths: set[str]
    noted: str | None


def due(index: Index, repository: Repository) -> Due:
    """Gives what is pending now, for `settle`, and what was waiting for an object that has arrived."""
    noted = index.state("noted")  # first: what is noted between these two reads must not be settled
    return Due(pending(index) | arrived(index, repository), noted)


def is_due(index: Index, repository: Repository) -> bool:
    """Tells whether anything in the work tree has to follow the index."""
    return bool(pending(index) or arrived(index, repository))


def add_pending(index: Index, paths: Collection[str]) -> None:
    """Adds to `pending`, within a write transaction."""
    if paths:
        index.remember("pending", "\0".join(sorted(pending(index) | set(paths))))
        index.remember("noted", f"{time.time_ns()} {os.getpid()}")  # no counter: a rebuild would begin it anew


def settle(
    index: Index, done: Due, waiting: Collection[str], unfilled: Collection[str], right: Mapping[str, Print]
) -> None:
    """Takes what is done out of `pending`, all but those `waiting`. `unfilled` are those whose file holds link text and
    whose object is not here, `right` the sidecars (by top-relative path) that say what they should.

    Nothing, if another process noted something meanwhile: it may have been one of these paths, with news of it.
    """
    with index.writing():
        sight.remember_right(index, right)
        if index.state("noted") == done.noted:
            index.remember("pending", "\0".join(sorted((pending(index) - done.paths) | set(waiting))))
            before = _unfilled(index)
            now = (before - done.paths) | set(unfilled)
            if now != before:
                index.remember("unfilled", "\0".join(sorted(now)))


def arrived(index: Index, repository: Repository) -> set[str]:
    """Gives the assets whose file held link text for want of the object, which is here now."""
    found = set()
    for path in _unfilled(index):
        row = index.db.execute("SELECT hash FROM assets_registry WHERE path = ?", (path,)).fetchone()
        if row is None or repository.store.has(row[0]):
            found.add(path)
    return found


def _unfilled(index: Index) -> set[str]:
    return set(filter(None, (index.state("unfilled") or "").split("\0")))


def rebuild(index: Index, repository: Repository) -> set[str]:
    """Makes the index, which is not damaged, from nothing, in one transaction: readers see the old content or the new.

    Gives the assets (relative to the assets root) whose sidecar on disk proved whole and up to date.
    """
    with index.writing():
        database.empty(index)
        return _apply(index, repository, tips.snapshot(repository), True)


def start_over_if_damaged(index: Index) -> None:
    """Reads all of the index's file and puts an empty one in its place if it is not whole."""
    damage = database.check(index)
    if damage is not None:
        index.start_over(f"is damaged ({damage})")


def _sound(index: Index, work: Callable[[], None]) -> None:
    """Does `work`, and does it again on an empty index if this one proves damaged on the way."""
    try:
        work()
    except sqlite3.DatabaseError as error:
        if not database.is_damage(error):
            raise
        index.start_over(f"is damaged ({error})")
        work()


def _key(index: Index, repository: Repository, now: Snapshot) -> str:
    settings = repository.settings
    # Where git makes no symlinks any more, files follow.
    mode = str(settings.symlinks)
    return _storable(f"{repository.root}\n{settings.thumbs_root}\n{mode}\n{now.key}\n{sight.look(index, repository)}")


def _storable(text: str) -> str:
    """Gives a text with paths in it as SQLite can keep it: those that are not UTF-8 are escaped."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _apply(index: Index, repository: Repository, now: Snapshot, in_process: bool) -> set[str]:
    """Brings an index up to date; gives the assets whose sidecar on disk was seen to be, as far as that was looked at."""
    # Where nothing changed, none of it is needed; with the first comes what takes bytes in.
    from comfyvn_store.asset import worktree
    from comfyvn_store.index import rows
    from comfyvn_store.index.texts import Texts

    place = _storable(f"{repository.root}\n{repository.top}")
    has_rows = index.state("looked") is not None
    if index.state("place") not in (None, place) or (not has_rows and index.state("tips") is not None):
        # Of another place, or with nothing but history, which is filled quickest with all the rest.
        database.empty(index)
    index.remember("place", place)
    # Taken first: what changes while this runs shows as a difference next time.
    key = _key(index, repository, now)
    texts = Texts(repository, in_process=in_process)
    due: set[str] = set()
    fine: set[str] = set()
    is_new = index.state("tips") is None
    if is_new:
        due, fine = _fill(index, repository, now, texts)
    if not is_new or sight.read_unstaged(repository):
        due |= _follow(index, repository, now, texts)
    index.remember("head", now.head or "")
    index.remember("caught up", key)
    if not worktree.has_mirrors(repository):  # `git clean -fdx`
        due |= {path for (path,) in index.db.execute("SELECT path FROM assets_registry")}
    add_pending(index, due | rows.speaking_of_others(index) | _switched(index, repository))
    return fine - due


def _fill(index: Index, repository: Repository, now: Snapshot, texts: Texts) -> tuple[set[str], set[str]]:
    """Fills an empty index; gives the assets whose files may be behind it, and those whose files are not."""
    from comfyvn_store.asset import worktree
    from comfyvn_store.index import anew

    filled = anew.fill(index, repository, now, texts, compares=not index.in_memory)
    index.remember("history", now.key)
    foreign = _foreign(index, repository, now)
    index.db.executemany("UPDATE assets_registry SET commit_hash = NULL WHERE path = ?", [(path,) for path in foreign])
    index.remember("foreign", "\0".join(sorted(foreign)))
    # What an index of before knew to be gone, this one can't know: its mirrors are told by themselves.
    stray = worktree.mirrored(repository, but=filled.mirrors)
    fine = filled.as_said - foreign
    return (set(filled.paths) - fine) | stray, fine


def _follow(index: Index, repository: Repository, now: Snapshot, texts: Texts) -> set[str]:
    """Brings an index up to date by what differs; gives the assets whose files may be behind it."""
    from comfyvn_store.index import attribution, ledger, rows

    touched: set[str] | None = set()
    if index.state("history") != now.key:
        touched = ledger.update(index, repository, now, ledger.Records(texts))
        index.remember("history", now.key)
    changes = rows.update(index, repository, now, texts)
    head_moved = touched is None or index.state("head") != (now.head or "")
    if touched is not None:
        touched |= changes.records
    changed = set()
    if touched is None or touched or head_moved:
        changed = attribution.attribute(index, repository, now, touched, texts)
    ids = changed | (changes.records if touched is None else touched)
    attribution.join_assets(index, ids)
    stale = _name_commits(index, repository, now, changes.written, ids)
    return stale | changes.written | changes.removed | changes.rewritten


def _switched(index: Index, repository: Repository) -> set[str]:
    """Gives all assets where git stopped making symlinks since the last update: their views are to become files."""
    state = "links" if repository.settings.symlinks else "copies"
    before = index.state("views") or "links"
    index.remember("views", state)
    if state == before or state == "links":
        return set()
    return {row[0] for row in index.db.execute("SELECT path FROM assets_registry")}


def _name_commits(index: Index, repository: Repository, now: Snapshot, paths: set[str], ids: set[str]) -> set[str]:
    """Sets the commit of each asset that may have another now; gives the paths that do.

    It is the record's commit, but null where HEAD's history does not have the record (staged from another branch).
    """
    db = index.db
    foreign = _foreign(index, repository, now)
    before = set(filter(None, (index.state("foreign") or "").split("\0")))
    affected = paths | foreign | before
    for id_ in ids:
        affected.update(
            row[0] for row in db.execute("SELECT path FROM assets_registry WHERE provenance_id = ?", (id_,))
        )
    stale = set()
    for path in affected:
        row = db.execute(
            "SELECT a.commit_hash, p.commit_hash FROM assets_registry a LEFT JOIN provenance p ON p.id = a.provenance_id"
            " WHERE a.path = ?",
            (path,),
        ).fetchone()
        if row is None:
            continue
        commit = None if path in foreign else row[1]
        if commit != row[0]:
            db.execute("UPDATE assets_registry SET commit_hash = ? WHERE path = ?", (commit, path))
            stale.add(path)
    index.remember("foreign", "\0".join(sorted(foreign)))
    return stale


def _foreign(index: Index, repository: Repository, now: Snapshot) -> set[str]:
    """Gives the assets whose staged record some commit has, but none of HEAD's history."""
    if now.tips == [now.head] or not now.tips:
        return set()
    base = now.head or staging.empty_tree(repository.git)
    reachable: dict[str, bool] = {}
    found = set()
    for change in staging.staged_changes(repository.git, base, repository.root):
        inside = repository.inside(change.path)
        if inside is None or not names.is_sidecar(inside) or change.new_mode == staging.GONE:
            continue
        path = inside[: -len(names.SIDECAR_SUFFIX)]
        row = index.db.execute("SELECT provenance_id FROM assets_registry WHERE path = ?", (path,)).fetchone()
        if row is None or row[0] is None:
            continue
        commits = [
            item[0]
            for item in index.db.execute("SELECT DISTINCT commit_hash FROM introductions WHERE record_id = ?", row)
        ]
        if commits and not any(_is_in_head(repository, now.head, commit, reachable) for commit in commits):
            found.add(path)
    return found


def commit_in_head(index: Index, repository: Repository, id_: str) -> str | None:
    """Gives the commit that brought a record into HEAD's history; None where that does not have it."""
    row = index.db.execute("SELECT commit_hash FROM provenance WHERE id = ?", (id_,)).fetchone()
    commit: str | None = row[0] if row else None
    return commit if commit and _is_in_head(repository, index.state("head") or None, commit, {}) else None


def _is_in_head(repository: Repository, head: str | None, commit: str, known: dict[str, bool]) -> bool:
    if head is None:
        return False
    if commit not in known:
        known[commit] = repository.git.succeeds("merge-base", "--is-ancestor", commit, head)
    return known[commit]
