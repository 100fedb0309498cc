"""Removing an asset from the work tree and from git's index; its bytes stay in the store and in history."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from comfyvn_store.asset import worktree
from comfyvn_store.asset.known import on_disk
from comfyvn_store.base import files, links, names
from comfyvn_store.errors import Refused
from comfyvn_store.index import questions, sight
from comfyvn_store.ops import cards, journal, naming
from comfyvn_store.ops.places import check_folders
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.staging import Entry


def remove(session: Session, name: str) -> dict[str, Any]:
    """Removes a view and its sidecar and stages that; gives the asset's last record.

    Raises UnknownAsset, AmbiguousAsset, LockTimeout, Refused where the view or the sidecar may hold an edit.
    """
    with worktree.alone(session.repository, worktree.PATIENCE):
        last = _remove(session, name)
    session.catch_up()
    return last


def _remove(session: Session, name: str) -> dict[str, Any]:
    repository = session.repository
    inside = naming.resolve(session, name)
    last = questions.asset_at(session.index, session.repository, inside) or {}
    full = repository.full(inside)
    check_folders(repository, full)
    place = repository.absolute(full)
    unstaged = sight.read_unstaged(repository)
    is_link = links.parse_link(files.read_link(place) or "") is not None
    is_copy = repository.copies_views and bool(last) and worktree.holds(repository, place, last["hash"])
    if files.lstat(place) is not None and not is_link and not is_copy:
        raise Refused(f"'{names.printable(full)}' is a file that may hold an edit", hint="`git add` it first")
    broken = cards.broken_on_disk(repository, full)
    said = on_disk(repository, full)
    if broken or (said is not None and said != cards.staged(repository, full) and inside not in unstaged):
        raise Refused(
            f"the sidecar of '{names.printable(full)}' has changes that are not staged",
            hint="`git add` or `git checkout --` it first",
        )
    with journal.recording(repository, "remove", [full, names.sidecar_path(full)], f"remove {full}"):
        known = staging.entries(repository.git, [full, names.sidecar_path(full)])
        gone = [Entry(entry.path, staging.GONE, "0" * len(entry.oid)) for entry in known]
        staging.write_entries(repository.git, gone, patience=staging.PATIENCE)
        for path in (place, repository.absolute(names.sidecar_path(full))):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        files.remove_empty_folders(os.path.dirname(place), repository.absolute(repository.root))
        if inside in unstaged:
            sight.write_unstaged(repository, [path for path in unstaged if path != inside])
    return last
