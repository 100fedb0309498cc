"""The trash, as a collection sees it: what comes back from it, what leaves it for good, what waits.

It is emptied of what an earlier run saw to be due (`base.due`): that is set aside, the roots are found anew, and what nothing
names goes. So what gets a name while it is in the trash comes back.
"""

from __future__ import annotations

import os

from comfyvn_store.base import due
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing
from comfyvn_store.ops import roots
from comfyvn_store.ops.gc.collected import Collected, earlier
from comfyvn_store.ops.roots import Roots
from comfyvn_store.store import trash
from comfyvn_store.store.objects import Store
from comfyvn_store.store.trash import Trashed
from comfyvn_store.vcs.repository import Repository


def look(repository: Repository, found: Roots, result: Collected, begun: float) -> None:
    """Says what a prune would do about the trash."""
    store, named = repository.store, found.all()
    ripe = {item.path for item in _ripe(repository, _old(store, result, begun), result, begun)}
    for item in trash.listed(store):
        if item.hash in named and not is_whole(store, item.hash):
            if item.hash not in result.back:
                result.back.append(item.hash)
        elif item.path in ripe and _may_go(store, item, named):
            result.emptied = result.emptied.plus(item.size)
        else:
            _wait(result, item, begun)


def bring_back(store: Store, found: Roots, result: Collected, tell: Progress) -> None:
    """Gives objects that something names, and that only the trash has whole, their names again."""
    named = found.all()
    # Read, not believed: a rotten disk leaves size and time alone, and this may be the only good copy.
    items = [item for item in trash.listed(store) if item.hash in named and not is_whole(store, item.hash)]
    result.back += sorted(take_back(store, items, result, tell))


def empty(repository: Repository, result: Collected, begun: float, tell: Progress, known: roots.Known) -> None:
    """Deletes what an earlier run saw to be due, and notes what is due now."""
    store = repository.store
    ripe = _ripe(repository, _old(store, result, begun), result, begun)
    try:
        aside = [gone for item in ripe if (gone := trash.set_aside(store, item)) is not None]
        # Whatever got a name while a file was still in the trash is seen now, and is not to go.
        found = roots.find(repository, tell, known) if aside else Roots()
    except BaseException:
        trash.take_in(store)
        raise
    named = found.all()
    for item in trash.empty(store, [item for item in aside if _may_go(store, item, named)]):
        result.emptied = result.emptied.plus(item.size)
    trash.take_in(store)
    bring_back(store, found, result, tell)
    # Last, for a full disk has no room for it before.
    due.note(_due_path(store), map(_name, _old(store, result, begun)), begun, store.sharing)
    for item in trash.listed(store):
        _wait(result, item, begun)


def _old(store: Store, result: Collected, begun: float) -> list[Trashed]:
    return [item for item in trash.listed(store) if trash.is_old(item.at, result.trash_grace, begun)]


def _ripe(repository: Repository, old: list[Trashed], result: Collected, begun: float) -> list[Trashed]:
    """Gives those in the trash that are due, and that were due when an earlier run looked."""
    noted = due.read(_due_path(repository.store))
    ripe = due.ripe(noted, map(_name, old), begun, result.trash_grace)
    return [item for item in old if _name(item) in ripe]


def _may_go(store: Store, item: Trashed, named: set[str]) -> bool:
    """Tells whether the file is not the only one with the bytes of something that is named, or that has its name."""
    if item.hash not in named and not store.has(item.hash):
        return True
    return is_whole(store, item.hash)


def _wait(result: Collected, item: Trashed, begun: float) -> None:
    result.waiting = result.waiting.plus(item.size)
    result.waiting_until = earlier(result.waiting_until, item.at + result.trash_grace)
    if trash.is_old(item.at, result.trash_grace, begun):
        result.due = result.due.plus(item.size)


def _name(item: Trashed) -> str:
    return os.path.basename(item.path)


def _due_path(store: Store) -> str:
    return os.path.join(store.root, due.NAME)


def take_back(store: Store, items: list[Trashed], result: Collected, tell: Progress) -> set[str]:
    """Gives objects in the trash their names again, and notes which are damaged; gives those that are back."""
    done = trash.restore_each(store, items, lambda count: tell("bringing back", count, len(items)))
    result.damaged += [hash_ for hash_ in done.damaged if hash_ not in result.damaged]
    return set(done.back)


def is_whole(store: Store, hash_: str) -> bool:
    """Tells whether the store has an object and can read it, and its bytes are right."""
    try:
        store.verify(hash_)
    except (ObjectMissing, ObjectCorrupt, OSError):
        return False
    return True
