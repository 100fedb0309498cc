"""Bringing a repository's objects to where `comfyvn.store` says, and back; nothing moves before `init` is run.

The order is: note ourselves as users of the new store, put every object there durably, note the new place, re-point links,
remove what the repository's own folder had. So whatever ends it, all objects are where the links lead, and the next `init`
completes the rest. A store that others use keeps all it has.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from comfyvn_store.base import files, links, names
from comfyvn_store.errors import ComfyvnError, LockTimeout, Refused, StoreUnreachable
from comfyvn_store.ops import leaving
from comfyvn_store.ops.copies import work_trees
from comfyvn_store.store import moving, users
from comfyvn_store.store.lock import locked
from comfyvn_store.store.moving import Taken
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs import leftovers
from comfyvn_store.vcs.git import scrubbed_environment
from comfyvn_store.vcs.home import Noted
from comfyvn_store.vcs.repository import Repository, open_repository

# In seconds: another `init` here may be copying.
_PATIENCE = 60.0
# What `create` makes, and a file system of its own may have.
_OURS = frozenset(("objects", "tmp", "bad", "trash", "lock", users.NAME, "lost+found"))


class Relocated(NamedTuple):
    """How many objects (and bytes) came from where; the hashes of those that stay there, because they are damaged; and the
    store of before that goes on considering this repository, because not all that it names came along."""

    origin: str | None = None
    objects: int = 0
    size: int = 0
    damaged: tuple[str, ...] = ()
    stays_in: str | None = None


def advice(repository: Repository) -> str | None:
    """Says what to type where `comfyvn.store` was changed and the objects do not follow yet."""
    if not repository.is_store_to_move:
        return None
    return (
        f"comfyvn.store changed, and '{names.printable(repository.store.root)}' is used still: run `comfyvn-store init`"
    )


def target_of(repository: Repository) -> str:
    """Gives the path of the store that `init` would use. Raises Refused, StoreUnreachable, NewerStore where it would."""
    is_new = not repository.home.exists or repository.is_store_to_move
    root = repository.wanted_store if is_new else repository.store.root
    Store(repository.home.path).check_format()
    if root == repository.home.path:
        if repository.store.is_apart and not repository.store.exists:
            raise _gone(repository)
    elif not is_new and not repository.store.exists:
        raise _gone(repository)
    else:
        _require_suitable(repository, root)
        # A store that somebody moved, and said so: it is where the setting leads now.
        is_gone = repository.home.exists and repository.store.is_apart and not repository.store.exists
        if is_gone and not Store(root).exists:
            raise _gone(repository)
    Store(root).check_format()
    return root


def relocate(repository: Repository) -> tuple[Repository, Relocated]:
    """Makes the store that is configured, brings the objects there, and gives the repository as it is then.

    Raises what `target_of` does, LockTimeout, MachineError, OSError; everything is still where it was then, or complete.
    """
    root, home = target_of(repository), repository.home
    if root == repository.store.root == home.path:
        repository.store.create()
        return repository, Relocated()
    home.sharing.make_folders(home.path)
    with locked(home.lock_path, _PATIENCE, home.sharing):
        noted = home.noted()
        origin = home.store_at(noted.root if noted else home.path)  # another `init` may have moved it meanwhile
        home.store_at(root).create()
        target = home.store_at(root)
        if target.is_apart:
            users.register(target, repository.common_dir)
        changed = repository._replace(store=target)
        own = Store(home.path, home.sharing)
        taken = Taken()
        if origin.is_apart and origin.root != target.root and origin.exists:
            taken = moving.bring(origin, target, sorted(leaving.needed(repository).hashes))
        if target.is_apart:
            taken = _sum(taken, moving.take_over(own, target))
        _note(changed)
        _point_links(changed, origin)
        if target.is_apart:
            moving.clear(own, target, taken.hashes)
        is_left = origin.root == target.root or leaving.leave(changed, origin)
    leftovers.settle(changed)
    stays_in = None if is_left else origin.root
    if not taken.hashes and not taken.damaged:
        return changed, Relocated(stays_in=stays_in)
    came_from = home.path if origin.root == target.root else origin.root  # the rest of a move that was cut short
    return changed, Relocated(came_from, len(set(taken.hashes)), taken.size, taken.damaged, stays_in)


def keep_noted(repository: Repository) -> None:
    """Sees to it that a store outside knows this repository, which may have been moved or copied since `init`."""
    if not repository.store.is_apart:
        return
    try:
        if repository.common_dir not in users.users(repository.store):
            users.register(repository.store, repository.common_dir, patience=0.0)
    except (LockTimeout, OSError):
        return  # the next command does it


def is_noted(repository: Repository) -> bool:
    """Tells whether the store, if it is one outside, knows this repository."""
    try:
        return not repository.store.is_apart or repository.common_dir in users.users(repository.store)
    except OSError:
        return False


def _gone(repository: Repository) -> StoreUnreachable:
    note = os.path.join(repository.home.path, "store")
    return StoreUnreachable(
        f"the store '{names.printable(repository.store.root)}', where the objects are, is not there",
        hint=f"plug its disk in or mount it, and run `comfyvn-store init` again; if it is gone for good, remove '{note}' first",
    )


def _require_suitable(repository: Repository, root: str) -> None:
    """Raises Refused or StoreUnreachable where a store should not, or cannot, be made at a path outside."""
    shown, real = names.printable(root), os.path.realpath(root)
    for folder in (repository.top, repository.common_dir, repository.git_dir):
        if (real + os.sep).startswith(os.path.realpath(folder) + os.sep):
            raise Refused(
                f"comfyvn.store is '{shown}', which is inside this repository",
                hint="name a folder outside it, or take the setting out (`git config --unset comfyvn.store`)",
            )
    above = os.path.dirname(real)
    if os.path.basename(real) == "comfyvn" and os.path.isfile(os.path.join(above, "HEAD")):
        raise Refused(
            f"comfyvn.store is '{shown}', which belongs to another repository",
            hint="name a folder of its own, and set comfyvn.store in that repository, too",
        )
    if not os.path.isdir(above):
        raise StoreUnreachable(
            f"there is no folder '{names.printable(above)}' to make the store '{shown}' in (comfyvn.store)",
            hint="is its disk plugged in, the share mounted? If that folder is to be new, make it first",
        )
    if os.path.lexists(root) and not os.path.isdir(root):
        raise Refused(f"comfyvn.store is '{shown}', which is no folder", hint="name another place")
    if os.path.isdir(root) and not Store(root).exists and not all(map(_is_ours, os.listdir(root))):
        raise Refused(f"'{shown}' is no store and holds other files", hint="let comfyvn.store name a folder of its own")


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(names.TEMP_PREFIX)


def _note(repository: Repository) -> None:
    """Notes where the store is, if it is elsewhere, with what was said; what was said for the same place before stays."""
    home, root = repository.home, repository.store.root
    repository.home.create()
    noted = home.noted()
    if not repository.store.is_apart:
        home.note(None)
    elif noted is None or noted.root != root or repository.wanted_store == root:
        home.note(Noted(root, repository.settings.store_said or root))


def _point_links(repository: Repository, origin: Store) -> None:
    """Lets the `.comfyvn` links of all work trees that are here lead to the store, those in folders, too.

    Raises Refused or OSError for this work tree only; another's next command does it there.
    """
    repository.ensure_store_link()
    for each in _work_trees(repository):
        with contextlib.suppress(ComfyvnError, OSError):
            each.ensure_store_link()
            for spot in _spots(each):
                if os.path.realpath(spot) == os.path.realpath(origin.root) != os.path.realpath(each.store.root):
                    text = os.path.relpath(each.store.root, os.path.realpath(os.path.dirname(spot)))
                    files.place_symlink(spot, text)


def _work_trees(repository: Repository) -> Iterator[Repository]:
    yield repository
    for top in work_trees(repository):
        if top != repository.top:
            with contextlib.suppress(ComfyvnError, OSError):
                yield open_repository(top, environment=scrubbed_environment())._replace(store=repository.store)


def _spots(repository: Repository) -> Iterator[str]:
    """Gives the `.comfyvn` links in folders of a work tree (see `hot/heal.py`)."""
    for folder, folders, found in os.walk(repository.absolute(repository.root.partition("/")[0])):
        if links.STORE_LINK in folders or links.STORE_LINK in found:
            spot = os.path.join(folder, links.STORE_LINK)
            if os.path.islink(spot):
                yield spot


def _sum(one: Taken, other: Taken) -> Taken:
    return Taken(one.hashes + other.hashes, one.size + other.size, one.damaged + other.damaged)
