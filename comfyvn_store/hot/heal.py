"""Healing: brings sidecars on disk, mirrors and views to what the index knows, after whatever git did.

Nothing in the work tree is written while git holds its index, a sequence or another commit is under way: what is due
stays noted in the index and the next command does it. One process heals at a time; only hooks wait for their turn.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from comfyvn_store.asset import sidecar, worktree
from comfyvn_store.asset.worktree import Card
from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.errors import GitFailed, LockTimeout, ObjectCorrupt, ObjectMissing
from comfyvn_store.hot import live
from comfyvn_store.index import catchup
from comfyvn_store.index.database import Index
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

_HOOK_PATIENCE = 5.0


def heal(
    index: Index, repository: Repository, *, is_hook: bool = False, ends_sequence: bool = False, restore: bool = False
) -> None:
    """Does what is pending, if it may be done now. `restore` also makes sidecars that are missing on disk.

    `ends_sequence` is for post-rewrite: git's sequencer has written its last index then, though its folder is there.
    """
    if index.in_memory or not catchup.pending(index):
        return
    if (
        (repository.in_sequence and not ends_sequence)
        or repository.is_index_locked
        or (not is_hook and live.is_going_on(repository))
    ):
        return
    try:
        with worktree.alone(repository, _HOOK_PATIENCE if is_hook else 0.0):
            due = catchup.due(index)
            catchup.settle(index, due, _heal(index, repository, due.paths, restore))
    except LockTimeout:
        return


def _heal(index: Index, repository: Repository, due: set[str], restore: bool) -> set[str]:
    """Heals; gives the paths whose turn comes when they are committed."""
    cards = list(_cards(index, repository, due))
    if cards:
        apart = staging.unmerged(repository.git, repository.root)
        if restore:
            apart |= staging.skipped(repository.git, repository.root)
        cards = [card for card in cards if card.entry.path not in apart]
    if not worktree.write_sidecars(repository, cards, restore=restore):
        return due
    waiting = _mend_views(index, repository, due)
    mirror(index, repository, due)
    return waiting


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


def mirror(index: Index, repository: Repository, paths: Iterable[str]) -> None:
    """Brings the mirrors for older tools along with the sidecars of these assets."""
    groups = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        groups.add((folder, name.partition(".")[0]))
    for folder, group in groups:
        prefix = f"{folder}/{group}" if folder else group
        rows = index.db.execute(
            "SELECT path FROM assets_registry WHERE path >= ? AND path < ?", (prefix, prefix + "\U0010ffff")
        )
        present = [
            name
            for (path,) in rows
            for name in (_name_in(path, folder),)
            if name is not None and name.partition(".")[0] == group
        ]
        worktree.mirror(repository, folder, present, group)


def _name_in(path: str, folder: str) -> str | None:
    parent, _, name = path.rpartition("/")
    return name if parent == folder else None


def _mend_views(index: Index, repository: Repository, paths: Iterable[str]) -> set[str]:
    """Mends views that a commit without hooks left behind: unmarked files, and links of another depth.

    Gives those that are staged and not committed yet: the commit's hook may do better, and until then they are left.
    """
    files_due = []
    for path in paths:
        row = index.db.execute(
            "SELECT mode, hash FROM assets_registry WHERE path = ? AND staged = 1", (path,)
        ).fetchone()
        if row is None:
            continue
        full = repository.full(path)
        info = files.lstat(repository.absolute(full))
        if info is None:
            continue
        if row[0] != staging.LINK and stat.S_ISREG(info.st_mode):
            files_due.append((path, full, row[1], info))
        elif stat.S_ISLNK(info.st_mode):
            _mend_dangling(repository, full)
    if not files_due:
        return set()
    head = blobs.resolve(repository.git, "HEAD") or staging.empty_tree(repository.git)
    uncommitted = {change.path for change in staging.staged_changes(repository.git, head, repository.root)}
    settled = {full: (hash_, info) for _, full, hash_, info in files_due if full not in uncommitted}
    for entry in staging.entries(repository.git, sorted(settled)) if settled else ():
        if entry.path in settled and entry.mode in (staging.FILE, staging.EXECUTABLE):
            _give_stored_bytes(repository, entry, *settled[entry.path])
    return {path for path, full, *_ in files_due if full in uncommitted}


def _give_stored_bytes(repository: Repository, entry: Entry, hash_: str, info: os.stat_result) -> None:
    """Replaces an ordinary file by the object's bytes if it is that file without its marker."""
    path = entry.path
    place = repository.absolute(path)
    stored = repository.store.stat(hash_)
    if stored is None or stored.st_size == info.st_size or not worktree.holds(repository, place, hash_):
        return
    if not repository.store.is_sound(hash_):
        return  # the file may be the last good copy
    if links.parse_link_bytes(_head(place)) is not None:
        return
    try:
        repository.store.sync([hash_])
        staging.write_entries(repository.git, [entry])
        temp = worktree.copy_object(repository, hash_, path, mode=stat.S_IMODE(info.st_mode))
    except (GitFailed, ObjectMissing, ObjectCorrupt):
        return
    files.swap_for_file(place, temp, None, files.print_of(info))
    try:
        staging.refresh(repository.git, [path], filters=True)
    except GitFailed:
        return


def _head(place: str) -> bytes:
    try:
        with open(place, "rb") as stream:
            return stream.read(links.LONGEST + 1)
    except OSError:
        return b""


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
    if files.lstat(spot) is None:
        files.place_symlink(spot, os.path.relpath(repository.store.root, os.path.realpath(os.path.dirname(spot))))
