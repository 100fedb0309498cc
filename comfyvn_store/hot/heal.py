"""Healing: brings sidecars on disk, mirrors and views to what the index knows, after whatever git did.

Nothing in the work tree is written while git holds its index, a sequence or another commit is under way: what is due
stays noted in the index and the next command does it. One process heals at a time; only hooks wait for their turn.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

from comfyvn_store.asset import sidecar, views, worktree
from comfyvn_store.asset.views import View
from comfyvn_store.asset.worktree import Card
from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.base.files import Print
from comfyvn_store.errors import GitFailed, LockTimeout, from_os_error
from comfyvn_store.hot import live
from comfyvn_store.index import catchup
from comfyvn_store.index.database import Index
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

_HOOK_PATIENCE = 5.0
# The texts of so many sidecars are held at a time.
_AT_ONCE = 10_000


def heal(
    index: Index, repository: Repository, *, is_hook: bool = False, ends_sequence: bool = False, restore: bool = False
) -> None:
    """Does what is pending, if it may be done now. `restore` also makes sidecars that are missing on disk.

    `ends_sequence` is for post-rewrite: git's sequencer has written its last index then, though its folder is there.
    """
    if index.in_memory or not catchup.is_due(index, repository):
        return
    if (
        (repository.in_sequence and not ends_sequence)
        or repository.is_index_locked
        or (not is_hook and live.is_going_on(repository))
    ):
        return
    try:
        with worktree.alone(repository, _HOOK_PATIENCE if is_hook else 0.0):
            due = catchup.due(index, repository)
            done = _heal(index, repository, due.paths, restore, settles=not is_hook)
            catchup.settle(index, due, *done)
    except LockTimeout:
        return


def _heal(
    index: Index, repository: Repository, due: set[str], restore: bool, *, settles: bool
) -> tuple[set[str], set[str], dict[str, Print]]:
    """Heals; gives the paths whose turn comes later, those that wait for their object, and the sidecars that are right."""
    waiting: set[str] = set()
    missing: set[str] = set()
    right: dict[str, Print] = {}
    paths = sorted(due)
    for start in range(0, len(paths), _AT_ONCE):
        later, absent, seen = _heal_some(
            index, repository, set(paths[start : start + _AT_ONCE]), restore, settles=settles
        )
        waiting |= later
        missing |= absent
        right |= seen
    return waiting, missing, right


def _heal_some(
    index: Index, repository: Repository, due: set[str], restore: bool, *, settles: bool
) -> tuple[set[str], set[str], dict[str, Print]]:
    cards = list(_cards(index, repository, due))
    if cards:
        apart = staging.unmerged(repository.git, repository.root)
        if restore:
            apart |= staging.skipped(repository.git, repository.root)
        cards = [card for card in cards if card.entry.path not in apart]
    right = worktree.write_sidecars(repository, cards, restore=restore, settles=settles)
    if right is None:
        return due, set(), {}
    waiting, missing = _mend_views(index, repository, due)
    mirror(index, repository, due, right.texts)
    return waiting, missing, right.prints


def _cards(index: Index, repository: Repository, paths: Iterable[str]) -> Iterable[Card]:
    wanted = []
    for path in paths:
        row = index.db.execute(
            "SELECT sidecar_oid, commit_hash, provenance_id FROM assets_registry WHERE path = ? AND staged = 1", (path,)
        ).fetchone()
        if row and row[0]:
            wanted.append((names.sidecar_path(repository.full(path)), *row))
    texts = blobs.read_small_blobs(repository.git, [oid for _, oid, *_ in wanted], canonical.LONGEST_JSON)
    for path, oid, commit, id_ in wanted:
        if oid not in texts:
            continue
        if id_ is None and (other := sidecar.record_id(texts[oid])):  # it speaks of other bytes than those staged
            commit = catchup.commit_in_head(index, repository, other)
        yield Card(Entry(path, staging.FILE, oid), texts[oid], commit)


def mirror(index: Index, repository: Repository, paths: Iterable[str], texts: Mapping[str, bytes]) -> None:
    """Brings the mirrors for older tools along with the sidecars of these assets; what some of those say is known."""
    groups: dict[str, dict[str, list[str]]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        groups.setdefault(folder, {})[name.partition(".")[0]] = []
    for folder, inside in groups.items():
        for group in inside:
            prefix = f"{folder}/{group}" if folder else group
            rows = index.db.execute(
                "SELECT path FROM assets_registry WHERE path >= ? AND path < ?", (prefix, prefix + "\U0010ffff")
            )
            found = (_name_in(path, folder) for (path,) in rows)
            inside[group] = [name for name in found if name is not None and name.partition(".")[0] == group]
        worktree.mirror_all(repository, folder, inside, texts)


def _name_in(path: str, folder: str) -> str | None:
    parent, _, name = path.rpartition("/")
    return name if parent == folder else None


def _mend_views(index: Index, repository: Repository, paths: Iterable[str]) -> tuple[set[str], set[str]]:
    """Mends views that a commit without hooks left behind (unmarked files, links of another depth), and fills files that
    hold no more than link text.

    Gives those whose turn comes later: what is staged and not committed yet, since the commit's hook may do better, and
    what has no object here.
    """
    without_links = not repository.settings.symlinks
    ordinary: dict[str, View] = {}
    for path in paths:
        row = index.db.execute(
            "SELECT mode, hash, link_oid FROM assets_registry WHERE path = ? AND staged = 1", (path,)
        ).fetchone()
        full = repository.full(path)
        info = files.lstat(repository.absolute(full)) if row is not None else None
        if info is None or repository.is_beyond_link(full):
            continue
        if without_links or (row[0] != staging.LINK and stat.S_ISREG(info.st_mode)):
            ordinary[path] = View(full, row[1], row[2])
        elif stat.S_ISLNK(info.st_mode):
            _mend_dangling(repository, full)
    if not ordinary:
        return set(), set()
    try:
        filled, missing = views.fill(repository, ordinary.values(), links_too=without_links)
        head = blobs.resolve(repository.git, "HEAD") or staging.empty_tree(repository.git)
        uncommitted = {change.path for change in staging.staged_changes(repository.git, head, repository.root)}
        done = {*filled, *missing}
        views.mend(repository, [v for v in ordinary.values() if v.path not in uncommitted and v.path not in done])
    except GitFailed:
        return set(ordinary), set()
    except OSError as error:
        index.notes.append(f"some views could not be brought up to date: {from_os_error(error, 'write').message}")
        return set(ordinary), set()
    later = {path for path, view in ordinary.items() if view.path in uncommitted and view.path not in done}
    return later, {path for path, view in ordinary.items() if view.path in missing}


def _mend_dangling(repository: Repository, path: str) -> None:
    """Puts a `.comfyvn` link where a view leads that was committed at another depth, without hooks.

    Only where that place is inside the work tree; a view that moved to a shallower folder leads outside and stays.
    """
    place = repository.absolute(path)
    text = files.read_link(place) or ""
    hash_ = links.parse_link(text)
    if hash_ is None or text == links.link_text(path, hash_) or os.path.exists(place):
        return
    if not repository.git.succeeds("diff-index", "--cached", "--quiet", "HEAD", "--", staging.literal(path)):
        return  # not committed yet: pre-commit will re-base it
    steps = text.count("../")
    parts = path.split("/")[:-1]
    if steps >= len(parts) + 1 or steps == len(parts):
        return
    spot = repository.absolute("/".join([*parts[: len(parts) - steps], links.STORE_LINK]))
    if not os.path.exists(spot) and (files.lstat(spot) is None or os.path.islink(spot)):
        files.place_symlink(spot, os.path.relpath(repository.store.root, os.path.realpath(os.path.dirname(spot))))
