"""Warning of locks that others hold, before a commit or a push goes on: a line each, or a refusal where that was asked for.

Locks are advice: one that cannot be read stops nobody. Where no ref holds any, git is not even started.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from comfyvn_store.base import names
from comfyvn_store.errors import GitFailed, Refused, RemoteUnreachable
from comfyvn_store.vcs import shelf
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import OFF, REFUSE

_MOST_LINES = 10


def before_commit(repository: Repository) -> None:
    """Warns of locks on the art that is about to be committed. Raises Refused as `comfyvn.locks` says."""
    if not _may_be_locked(repository):
        return
    from comfyvn_store.vcs import blobs, staging

    head = blobs.resolve(repository.git, "HEAD") or staging.empty_tree(repository.git)
    changed = {
        change.path: change.new_oid
        for change in staging.staged_changes(repository.git, head, repository.root)
        if change.new_oid != change.old_oid and repository.is_asset_path(change.path)
    }
    # What comes with a merge as the other side has it is their work, not a change of this person's.
    other = staging.tree_entries(repository.git, "MERGE_HEAD", list(changed)) if _is_merging(repository) else {}
    own = [path for path, oid in changed.items() if path not in other or other[path].oid != oid]
    _heed(repository, own, None, "git -c comfyvn.locks=warn commit commits all the same")


def before_push(repository: Repository, paths: Iterable[str], branch: str | None) -> None:
    """Warns of locks on top-relative paths that commits on their way to `branch` (short name; None: the one that is
    checked out) change. Raises Refused as `comfyvn.locks` says."""
    if _may_be_locked(repository):
        own = [path for path in paths if repository.is_asset_path(path)]
        _heed(repository, own, branch, "git -c comfyvn.locks=warn push pushes all the same")


def _may_be_locked(repository: Repository) -> bool:
    return repository.settings.locks != OFF and shelf.may_be_there(repository.common_dir, "locks")


def _is_merging(repository: Repository) -> bool:
    return os.path.exists(os.path.join(repository.git_dir, "MERGE_HEAD"))


def _heed(repository: Repository, paths: list[str], branch: str | None, way_out: str) -> None:
    from comfyvn_store.vcs import locks

    try:
        found = locks.foreign(repository, paths, branch=branch)
    except (Refused, GitFailed, RemoteUnreachable) as error:
        sys.stderr.write(f"warning: the locks cannot be read: {names.printable(error.message)}\n")
        return
    here = [meeting for meeting in found if meeting.is_here]
    if here and repository.settings.locks == REFUSE:
        _write("error", map(locks.told, here[1:]), len(here) - 1)
        raise Refused(locks.told(here[0]), hint=f"ask them to unlock it; {way_out}")
    _write("warning", map(locks.told, found), len(found))
    if found:
        sys.stderr.write("hint: ask them first, or set it aside: two versions of a picture cannot be merged\n")


def _write(word: str, lines: Iterable[str], total: int) -> None:
    for _, line in zip(range(_MOST_LINES), lines, strict=False):
        sys.stderr.write(f"{word}: {line}\n")
    if total > _MOST_LINES:
        sys.stderr.write(f"{word}: ... and {total - _MOST_LINES} more\n")
