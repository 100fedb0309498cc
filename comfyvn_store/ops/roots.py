"""Everything that keeps an object: what git names, what lies in work trees, what people keep, of every repository that uses
the store.

Where any of it cannot be read, that is Refused: who removes objects must not take it for "nothing".
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ComfyvnError, Refused, UsageError
from comfyvn_store.ops import clones
from comfyvn_store.store import users
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs import foreign, keeplist, lying, reachable, settings
from comfyvn_store.vcs.lying import Lying, WorkTree
from comfyvn_store.vcs.reachable import Reach
from comfyvn_store.vcs.repository import Repository, open_repository
from comfyvn_store.vcs.settings import DEFAULT_ROOT, TRASH_GRACE, TRASH_GRACE_SETTING

# By repository, the objects that each blob names.
Known = dict[str, dict[str, frozenset[str]]]
# The kinds of roots in the order in which an object that several keep is counted, with the words for people.
BRANCHES, STASH, REFLOG, OPERATION = "refs", "stash", "reflog", "operation"
INDEX, WORK_TREE, KEEP, JOURNAL, CLONE = "index", "work-tree", "keep", "journal", "clone"
WORDS: Mapping[str, str] = {
    BRANCHES: "branches, tags and other refs",
    STASH: "the stash",
    REFLOG: "reflogs",
    OPERATION: "what git has under way, or had last",
    INDEX: "git's index",
    WORK_TREE: "links and sidecars in work trees",
    KEEP: "comfyvn-store keep",
    JOURNAL: "the journal, for undo",
    CLONE: "other clones that share the store",
}


@dataclass
class Roots:
    """The hashes that each kind of root keeps; a hash may stand with several."""

    by_kind: dict[str, set[str]] = field(default_factory=dict)

    def all(self) -> set[str]:
        """Gives every hash that something keeps."""
        return set().union(*self.by_kind.values())

    def kind_of(self, hash_: str) -> str | None:
        """Gives the first kind that keeps an object."""
        return next((kind for kind in WORDS if hash_ in self.by_kind.get(kind, ())), None)


class User(NamedTuple):
    """A repository that uses the store."""

    reach: Reach
    trees: list[WorkTree]
    is_own: bool

    @property
    def home(self) -> str:
        """Its own folder."""
        return os.path.join(self.reach.common_dir, "comfyvn")


def find(repository: Repository, tell: Progress = quietly, known: Known | None = None) -> Roots:
    """Finds everything that keeps objects of a repository's store; `tell` hears of each kind. Who looks twice gives the same
    `known`, so that no blob is read again.

    Raises Refused, GitFailed, MachineError.
    """
    clones.require_known(repository)
    roots = Roots({kind: set() for kind in WORDS})
    for user in all_users(repository, known):
        try:
            found = of_user(user, tell)
        except OSError as error:
            raise _unreadable(user.reach.common_dir, str(error)) from None
        if user.is_own:
            roots.by_kind |= found
        else:
            roots.by_kind[CLONE] |= set().union(*found.values())
    return roots


def all_users(repository: Repository, known: Known | None = None) -> Iterator[User]:
    """Gives the repository and the others that use its store and are there. Raises Refused."""
    yield _user(repository.common_dir, repository, known)
    for common_dir in clones.others(repository):
        if not users.is_gone(common_dir):
            yield user_at(common_dir, repository.store, known)


def user_of(repository: Repository) -> User:
    """Gives the repository itself. Raises Refused."""
    return _user(repository.common_dir, repository, None)


def user_at(common_dir: str, store: Store, known: Known | None = None) -> User:
    """Gives a repository that uses a store. Raises Refused where it cannot be asked, or another user's settings forbid it."""
    if not foreign.is_admitted(common_dir, os.path.join(store.root, "objects")):
        raise Refused(
            f"'{names.printable(common_dir)}' uses this store and belongs to another user, whose repository git does not "
            "trust",
            hint="if you do: git config --global --add safe.directory "
            f"{shlex.quote(common_dir.removesuffix(os.sep + '.git'))}; nothing was removed",
        )
    return _user(common_dir, None, known)


def links_in(user: User) -> Iterator[tuple[WorkTree, Lying]]:
    """Gives what lies in the work trees of a repository and names objects. Raises Refused."""
    for tree in user.trees:
        lying.require(tree)
        for each in lying.lying(tree, _assets_root(tree)):
            yield tree, each


def trash_grace(repository: Repository) -> float:
    """Gives the longest time that some repository which uses the store wants things to stay in its trash, in seconds.

    Raises UsageError for a setting of this repository that means nothing, Refused for one of another.
    """
    longest = repository.settings.trash_grace
    for user in all_users(repository):
        for git_dir in user.reach.git_dirs():
            said = user.reach.git_of(git_dir).text("config", "--get", TRASH_GRACE_SETTING, check=False)
            try:
                longest = max(longest, settings.span(TRASH_GRACE_SETTING, said, 0.0 if user.is_own else TRASH_GRACE))
            except UsageError as error:
                raise _unreadable(git_dir, error.message) from None
    return longest


def _user(common_dir: str, own: Repository | None, known: Known | None) -> User:
    if not os.access(common_dir, os.R_OK | os.X_OK):
        raise _unreadable(common_dir, "permission denied")
    reach = Reach(common_dir, None if known is None else known.setdefault(common_dir, {}))
    try:
        trees = lying.work_trees(reach.git, common_dir)
    except OSError as error:
        raise _unreadable(common_dir, str(error)) from None
    if own is not None and not any(os.path.realpath(tree.top) == os.path.realpath(own.top) for tree in trees):
        trees.append(WorkTree(own.top, False))
    return User(reach, trees, own is not None)


def of_user(user: User, tell: Progress = quietly) -> dict[str, set[str]]:
    """Gives the hashes that each kind of root of one repository keeps. Raises Refused, OSError."""
    reach = user.reach
    by_kind: dict[str, list[str]] = {BRANCHES: [], STASH: [], JOURNAL: []}
    for ref in reach.refs():
        kind = {"stash": STASH, "journal": JOURNAL}.get(reachable.kind_of_ref(ref.name), BRANCHES)
        by_kind[kind].append(ref.oid)
    asks: dict[str, Callable[[], set[str]]] = {
        **{kind: partial(reach.hashes_from, oids=oids) for kind, oids in by_kind.items()},
        REFLOG: reach.reflog_hashes,
        OPERATION: partial(_under_way, reach),
        INDEX: reach.index_hashes,
        WORK_TREE: lambda: {hash_ for _, each in links_in(user) for hash_ in each.hashes},
        KEEP: lambda: {each.hash for each in keeplist.read(user.home)},
    }
    found = {}
    for number, (kind, ask) in enumerate(asks.items()):
        tell("asking what keeps objects", number, len(asks))
        found[kind] = ask()
    return found


def _under_way(reach: Reach) -> set[str]:
    notes = reach.notes()
    return reach.hashes_from(oids=(oid for note in notes for oid in note.oids)).union(*(note.hashes for note in notes))


def _assets_root(tree: WorkTree) -> str:
    """Gives the assets root as it is set in a work tree."""
    if not os.path.isdir(tree.top):
        return DEFAULT_ROOT
    try:
        return open_repository(tree.top, environment=foreign.environment()).root
    except ComfyvnError as error:
        raise _unreadable(tree.top, error.message) from None


def _unreadable(place: str, why: str) -> Refused:
    return Refused(
        f"'{names.printable(place)}' uses this store, and what it needs cannot be read: {names.printable(why)}",
        hint="mend that, or let its owner run this; nothing was removed",
    )
