"""What a repository needs of a store that others use, too, and striking it off their list once it needs nothing there.

Other clones' collection takes what nobody noted there names, so a repository stays noted as long as there is any doubt.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import NamedTuple

from comfyvn_store.base import links
from comfyvn_store.errors import ComfyvnError, LockTimeout
from comfyvn_store.index import database
from comfyvn_store.ops import journal, roots
from comfyvn_store.ops.copies import work_trees
from comfyvn_store.store import moving, trash, users
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs import keeplist, lying, reachable
from comfyvn_store.vcs.git import scrubbed_environment
from comfyvn_store.vcs.lying import WorkTree
from comfyvn_store.vcs.reachable import Reach
from comfyvn_store.vcs.repository import Repository, open_repository


class Needed(NamedTuple):
    """The hashes of what a repository needs; `is_all` says that all could be asked that may name more."""

    hashes: set[str]
    is_all: bool


def needed(repository: Repository) -> Needed:
    """Finds what a repository needs: what keeps objects from collection (`ops.roots`), what the index of each work tree
    has, and what the journal would take out of the trash.

    Where that cannot be found to its end (a partial clone, a work tree that is away): as much as there is. Raises
    GitFailed, OSError.
    """
    is_all = True
    try:
        found = _named(repository)
    except (ComfyvnError, OSError):
        is_all = False
        found = _as_far_as_it_goes(repository)
    for entry in journal.listed(repository):
        found |= {each.hash for each in entry.objects if each.trash is not None}
    for top in work_trees(repository):
        with contextlib.suppress(ComfyvnError, OSError):
            found |= _indexed(open_repository(top, environment=scrubbed_environment()).settings.db_path)
    return Needed(found | _indexed(repository.settings.db_path), is_all)


def leave(repository: Repository, origin: Store) -> bool:
    """Strikes a repository that has another store now off the list of the one that it had, once all that it needs came
    along; tells whether it did, or was never on one.

    What was added there while objects were brought is brought first. Raises GitFailed, OSError.
    """
    if not origin.is_apart or not origin.exists:
        return True
    found = needed(repository)
    lacking = sorted(hash_ for hash_ in found.hashes if not repository.store.has(hash_))
    if lacking:
        moving.bring(origin, repository.store, lacking)
    if not found.is_all or not all(map(repository.store.has, lacking)):
        return False
    return _strike_off(repository, origin)


def leave_if_free(repository: Repository) -> bool:
    """Strikes a repository that is not ours any more off the list of its store, if it names nothing there; tells whether it
    did."""
    store = repository.store
    if not store.is_apart:
        return True
    try:
        found = _named(repository)
        in_trash = {item.hash for item in trash.listed(store)}
    except (ComfyvnError, OSError):
        return False
    if any(hash_ in in_trash or store.has(hash_) for hash_ in found):
        return False
    return _strike_off(repository, store)


def _strike_off(repository: Repository, store: Store) -> bool:
    try:
        users.unregister(store, repository.common_dir)
    except (LockTimeout, OSError):
        return False  # the store goes on considering it
    return True


def _named(repository: Repository) -> set[str]:
    return set().union(*roots.of_user(roots.user_of(repository)).values())


def _as_far_as_it_goes(repository: Repository) -> set[str]:
    """Gives what can be found of what a repository names, where something cannot. Raises GitFailed."""
    found = reachable.linked_hashes(repository.git)
    reach = Reach(repository.common_dir)
    with contextlib.suppress(ComfyvnError, OSError):
        found |= {each.hash for each in keeplist.read(repository.home.path)}
    with contextlib.suppress(ComfyvnError, OSError):
        for note in reach.notes():
            found |= note.hashes
            with contextlib.suppress(ComfyvnError):
                found |= reach.hashes_from(oids=note.oids)
    for top in work_trees(repository):
        with contextlib.suppress(ComfyvnError, OSError):
            for each in lying.lying(WorkTree(top, False), repository.root):
                found |= each.hashes
    return found


def _indexed(db_path: str) -> set[str]:
    if not os.path.exists(db_path):
        return set()
    try:
        with contextlib.closing(database.open_read_only(db_path)) as db:
            rows = db.execute("SELECT hash FROM assets_registry UNION SELECT hash FROM provenance").fetchall()
    except sqlite3.Error:
        return set()  # git and the work tree say it as well
    return {hash_ for (hash_,) in rows if hash_ and links.is_hash(hash_)}
