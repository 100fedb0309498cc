"""post-commit: mends git's real index after a commit that used another (`commit PATH`, `commit -a`), then catches up.

It compares HEAD's change with the real index and keeps no state: running it twice, or never, is both safe.
"""

from __future__ import annotations

import contextlib
import os

from comfyvn_store.asset import ingest, merge, sidecar, worktree
from comfyvn_store.asset.known import parse_all
from comfyvn_store.asset.worktree import Card
from comfyvn_store.base import canonical, links, names
from comfyvn_store.errors import GitFailed, LockTimeout
from comfyvn_store.hot import follow, ground, live
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change, Entry

# Seconds to wait for another git that holds the index.
_PATIENCE = 5.0


def run(repository: Repository) -> int:
    """Mends, catches up, starts the preview worker. A failure here never undoes the commit."""
    is_live = live.is_going_on(repository)
    live.end(repository)
    if repository.in_sequence and not is_live:
        return 0  # the shim has seen to it; a hook manager may call us without
    mend_index(repository)
    # A commit that a person makes where a rebase stopped: post-rewrite follows when the whole of it is done.
    if not repository.in_sequence:
        follow.follow(repository)
    return 0


def mend_index(repository: Repository) -> None:
    """Brings the real index to HEAD where it still has what HEAD replaced through the hook."""
    git = repository.git
    staged = staging.staged_changes(git, "HEAD", repository.root)
    if not staged:
        return  # as after every commit that used the real index
    before = _bases(repository)
    changes = staging.tree_changes(git, before[0], "HEAD", repository.root)
    changed = {change.path for change in changes}
    changes += [change for change in _left_as_files(repository, staged) if change.path not in changed]
    if not changes:
        return
    index = {entry.path: entry for entry in staging.entries(git, [repository.root]) if entry.stage == 0}
    different = [change for change in changes if _differs(change, index.get(change.path))]
    if not different:
        return
    older = [staging.tree_entries(git, base, [change.path for change in different]) for base in before]
    mended: list[Entry] = []
    for change in different:
        bases = {tree[change.path].oid for tree in older if change.path in tree}
        entry = index.get(change.path)
        found: Entry | None
        if change.path == ground.path_of(repository):
            # Where pre-commit laid the ground of a branch, `commit PATH` had an index of its own.
            is_new = change.old_mode == staging.GONE and entry is None
            found = Entry(change.path, change.new_mode, change.new_oid) if is_new else None
        elif names.is_sidecar(change.path):
            found = _mend_sidecar(repository, change, entry, bases, index)
        else:
            found = _mend_view(repository, change, entry)
        if found is not None:
            mended.append(found)
    with contextlib.suppress(GitFailed, LockTimeout):  # the next commit of art does it, too
        staging.write_entries(git, mended, patience=_PATIENCE)
        staging.refresh(git, [entry.path for entry in mended if entry.mode == staging.LINK], filters=False)


def _left_as_files(repository: Repository, staged: list[Change]) -> list[Change]:
    """Gives, out of what is staged, HEAD's links that the real index has as files although the hook put links in place.

    `commit FILE` of the bytes that HEAD has changes nothing, so the commit itself does not tell of them.
    """
    return [
        Change(change.path, change.old_mode, change.old_mode, change.old_oid, change.old_oid)
        for change in staged
        if (change.old_mode, change.new_mode) == (staging.LINK, staging.FILE)
        and change.old_oid == change.new_oid
        and os.path.islink(repository.absolute(change.path))
    ]


def _bases(repository: Repository) -> list[str]:
    """Gives the tree-ishes that the commit may have replaced: its parent, and HEAD as it was (an amended commit)."""
    parent = blobs.resolve(repository.git, "HEAD^") or staging.empty_tree(repository.git)
    before = blobs.resolve(repository.git, "HEAD@{1}")
    return [parent, before] if before else [parent]


def _differs(change: Change, entry: Entry | None) -> bool:
    if change.new_mode == staging.GONE:
        return entry is not None
    return entry is None or (entry.mode, entry.oid) != (change.new_mode, change.new_oid)


def _mend_view(repository: Repository, change: Change, entry: Entry | None) -> Entry | None:
    """Takes HEAD's link where the index has the same bytes in another form; anything else the user staged since."""
    if entry is None or change.new_mode != staging.LINK:
        return None
    if entry.oid == change.new_oid or _hash_of(repository, entry.oid) == _hash_of(repository, change.new_oid):
        return Entry(change.path, change.new_mode, change.new_oid)
    return None


def _hash_of(repository: Repository, oid: str) -> str | None:
    """Gives the object that a blob stands for: the one its link names, or the one its raw bytes make."""
    found = blobs.sizes(repository.git, [oid]).get(oid)
    if found is None or not found.size:
        return None
    if found.size <= links.LONGEST:
        for _, data in blobs.read_blobs(repository.git, [oid]):
            hash_ = links.parse_link_bytes(data or b"")
            if hash_ is not None:
                return hash_
    stream = blobs.stream_blob(repository.git, oid)
    return ingest.hash_as_ingested(repository.store, stream, mark=repository.settings.marker)


def _mend_sidecar(
    repository: Repository, change: Change, entry: Entry | None, bases: set[str], index: dict[str, Entry]
) -> Entry | None:
    view = change.path[: -len(names.SIDECAR_SUFFIX)]
    if change.new_mode == staging.GONE:
        if entry is not None and entry.oid in bases and view not in index:
            return Entry(change.path, staging.GONE, "0" * len(entry.oid))
        return None
    head = Entry(change.path, change.new_mode, change.new_oid)
    if entry is None:
        return head if view in index else None
    return head if entry.oid in bases else _merged(repository, change, entry)


def _merged(repository: Repository, change: Change, entry: Entry) -> Entry | None:
    """Merges what the user staged meanwhile (tags, a licence) with what the hook wrote into HEAD."""
    oids = [entry.oid, change.new_oid, *([change.old_oid] if change.old_mode != staging.GONE else [])]
    texts = blobs.read_small_blobs(repository.git, oids, canonical.LONGEST_JSON)
    parsed = parse_all(texts)
    mine, head, base = parsed.get(entry.oid), parsed.get(change.new_oid), parsed.get(change.old_oid)
    if mine is None or head is None or (base is not None and mine.hash not in (base.hash, head.hash)):
        return None
    inside = repository.inside(change.path[: -len(names.SIDECAR_SUFFIX)]) or head.path
    text = sidecar.encode(merge.merge(base, mine, head).sidecar.moved(inside))
    oid = blobs.write_blobs(repository.git, repository.object_format, [text])[0]
    merged = Entry(change.path, staging.FILE, oid)
    # Else the file would still speak of the bytes before, and the next `git add` would stage that.
    worktree.write_sidecars(repository, [Card(merged, text, None, replaces=texts[entry.oid])], restore=False)
    return merged
