"""`gc`: objects that nothing names any more go to the trash, and what lay there long enough goes for good.

Under the store's lock: the roots are found, objects that nothing keeps and nobody added lately leave their names, and the
roots are looked at once more; what was named meanwhile comes back. A run that is cut short has lost nothing: each object is
under its name or in the trash, and the next run brings back what is named.

The trash is emptied of what an earlier run saw to be due (`base.due`): that is set aside, the roots are found anew, and what
nothing names goes. So what gets a name while it is in the trash comes back.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.base import due
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, ObjectMissing
from comfyvn_store.ops import journal, roots
from comfyvn_store.ops.journal import Entry
from comfyvn_store.ops.roots import Roots
from comfyvn_store.store import trash
from comfyvn_store.store.lock import locked
from comfyvn_store.store.objects import Store
from comfyvn_store.store.trash import Trashed
from comfyvn_store.vcs.repository import Repository

GRACE = 14 * 86400.0
YOUNG, WRITTEN, USED = "young", "written", "used"
# Seconds to wait for another process that removes objects.
_PATIENCE = 60.0


class Amount(NamedTuple):
    """A number of objects and their bytes."""

    objects: int = 0
    bytes: int = 0

    def plus(self, size: int) -> Amount:
        """Gives the amount with one more object."""
        return Amount(self.objects + 1, self.bytes + size)


NOTHING = Amount()


@dataclass
class Collected:
    """What was collected, or would be. Sizes are in bytes, `grace` and `trash_grace` in seconds.

    `kept` counts each object once, under the first kind of root that keeps it (`roots.WORDS`), or as "young" (added within
    the grace), "written" (a program wrote to it) or "used" (named or added while this ran). `freed` are the objects that
    went to the trash, `back` those that came back from it because something names them, `damaged` those that could not,
    `emptied` those that left it for good, `waiting` what is in it then, and `due` the part of that which a later run deletes.
    `young_until` and `waiting_until` are when the first of the young, and of what waits in the trash, may go (seconds since
    1970).
    """

    is_pruned: bool
    grace: float
    trash_grace: float
    freed: dict[str, int] = field(default_factory=dict)
    kept: dict[str, Amount] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    emptied: Amount = NOTHING
    waiting: Amount = NOTHING
    young_until: float | None = None
    waiting_until: float | None = None
    due: Amount = NOTHING
    swept: int = 0
    operation: str | None = None

    @property
    def bytes(self) -> int:
        """What is freed, once the trash is emptied."""
        return sum(self.freed.values())

    def keep(self, kind: str, size: int) -> None:
        """Counts an object as kept."""
        self.kept[kind] = self.kept.get(kind, NOTHING).plus(size)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "pruned": self.is_pruned,
            "grace": self.grace,
            "objects": len(self.freed),
            "bytes": self.bytes,
            "freed": [{"hash": hash_, "bytes": size} for hash_, size in self.freed.items()],
            "kept": {kind: amount._asdict() for kind, amount in self.kept.items()},
            "trash": {
                "grace": self.trash_grace,
                "back": self.back,
                "damaged": self.damaged,
                "emptied": self.emptied._asdict(),
                "waiting": self.waiting._asdict(),
                "due": self.due._asdict(),
            },
            "swept": self.swept,
            "operation": self.operation,
        }


class _Candidate(NamedTuple):
    hash: str
    size: int
    used: float


def collect(
    repository: Repository,
    *,
    prune: bool = False,
    grace: float = GRACE,
    now: float | None = None,
    progress: Progress | None = None,
) -> Collected:
    """Finds what nothing names and nobody added within `grace` seconds; with `prune` moves it to the trash and empties that.

    Objects added in the second in which this begins, or later, are young whatever the grace. Raises Refused where
    something cannot be asked what it needs, LockTimeout, OSError; nothing is deleted then.
    """
    begun = float(int(time.time() if now is None else now))
    result = Collected(prune, grace, roots.trash_grace(repository))
    tell = progress or quietly
    if not prune:
        found = roots.find(repository, tell)
        result.freed = {each.hash: each.size for each in _candidates(repository.store, found, result, begun, tell)}
        _look_at_trash(repository, found, result, begun)
        return result
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        known: roots.Known = {}
        trash.take_in(repository.store)
        found = roots.find(repository, tell, known)
        candidates = _candidates(repository.store, found, result, begun, tell)
        if candidates:
            found = _move(repository, candidates, result, tell, known)
        _bring_back(repository.store, found, result, tell)
        result.swept = repository.store.sweep()
        _empty(repository, result, begun, tell, known)
        journal.prune(repository, begun)
        journal.sweep(repository)
    return result


def _candidates(store: Store, found: Roots, result: Collected, begun: float, tell: Progress) -> list[_Candidate]:
    """Gives what may go, and counts the rest."""
    candidates = []
    hashes = list(store.hashes())
    for number, hash_ in enumerate(hashes):
        tell("looking at objects", number, len(hashes))
        info = store.stat(hash_)
        if info is None:
            continue
        kind = found.kind_of(hash_)
        used = store.used_at(hash_, info)
        if kind is None and not trash.is_old(used, result.grace, begun):
            kind = YOUNG
            result.young_until = _earlier(result.young_until, used + result.grace)
        if kind is None and store.is_touched(info) and not _is_whole(store, hash_):
            kind = WRITTEN
        if kind is None:
            candidates.append(_Candidate(hash_, info.st_size, used))
        else:
            result.keep(kind, info.st_size)
    return candidates


def _is_whole(store: Store, hash_: str) -> bool:
    """Tells whether the store has an object and can read it, and its bytes are right."""
    try:
        store.verify(hash_)
    except (ObjectMissing, ObjectCorrupt, OSError):
        return False
    return True


def _move(
    repository: Repository, candidates: list[_Candidate], result: Collected, tell: Progress, known: roots.Known
) -> Roots:
    """Moves candidates to the trash, looks at the roots again and takes back what they name now; gives the roots.

    However this ends early, everything is taken back.
    """
    store = repository.store
    entry = journal.begin(repository, "gc", "gc --prune", objects=[journal.Moved(each.hash) for each in candidates])
    moved: list[Trashed] = []
    try:
        for number, each in enumerate(candidates):
            tell("moving objects", number, len(candidates))
            item = trash.put(store, each.hash, each.used)
            if item is None:
                result.keep(USED, each.size)
            else:
                moved.append(item)
        found = roots.find(repository, tell, known)
        named = found.all()
    except BaseException as error:
        _take_all_back(repository, entry, candidates, result, tell, error)
        raise
    taken = _take_back(store, [item for item in moved if item.hash in named], result, quietly)
    for item in moved:
        if item.hash not in named:
            result.freed[item.hash] = item.size
        elif item.hash in taken:
            result.keep(USED, item.size)
    _finish(repository, entry, moved, result)
    return found


def _take_all_back(
    repository: Repository,
    entry: Entry,
    candidates: list[_Candidate],
    result: Collected,
    tell: Progress,
    error: BaseException,
) -> None:
    """Undoes what was moved before an error, and adds to that what could not come back."""
    store = repository.store
    hashes = {each.hash for each in candidates}  # one may have been moved just now and not been noted yet
    moved = [item for item in trash.listed(store) if item.hash in hashes and not store.has(item.hash)]
    taken = _take_back(store, moved, result, tell)
    left = sorted({item.hash for item in moved} - taken)
    if not left:
        journal.forget(repository, [entry.id])
    elif isinstance(error, ComfyvnError):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        said = f"damaged, so left in the trash: {left[0][:16]}{more}"
        error.hint = f"{error.hint}; {said}" if error.hint else said


def _take_back(store: Store, items: list[Trashed], result: Collected, tell: Progress) -> set[str]:
    """Gives objects in the trash their names again, and notes which are damaged; gives those that are back."""
    done = trash.restore_each(store, items, lambda count: tell("bringing back", count, len(items)))
    result.damaged += [hash_ for hash_ in done.damaged if hash_ not in result.damaged]
    return set(done.back)


def _finish(repository: Repository, entry: Entry, moved: list[Trashed], result: Collected) -> None:
    """Notes in the journal what stays in the trash."""
    gone = [journal.Moved(item.hash, trash=item.path) for item in moved if item.hash in result.freed]
    if gone:
        result.operation = entry.id
        objects = f"{len(gone)} object{'s' if len(gone) > 1 else ''}"
        journal.finish(repository, entry, objects=tuple(gone), summary=f"gc --prune: {objects}")
    else:
        journal.forget(repository, [entry.id])


def _look_at_trash(repository: Repository, found: Roots, result: Collected, begun: float) -> None:
    """Says what a prune would do about the trash."""
    store, named = repository.store, found.all()
    ripe = {item.path for item in _ripe(repository, _old(store, result, begun), result, begun)}
    for item in trash.listed(store):
        if item.hash in named and not _is_whole(store, item.hash):
            if item.hash not in result.back:
                result.back.append(item.hash)
        elif item.path in ripe and _may_go(store, item, named):
            result.emptied = result.emptied.plus(item.size)
        else:
            _wait(result, item, begun)


def _bring_back(store: Store, found: Roots, result: Collected, tell: Progress) -> None:
    """Gives objects that something names, and that only the trash has whole, their names again."""
    named = found.all()
    # Read, not believed: a rotten disk leaves size and time alone, and this may be the only good copy.
    items = [item for item in trash.listed(store) if item.hash in named and not _is_whole(store, item.hash)]
    result.back += sorted(_take_back(store, items, result, tell))


def _empty(repository: Repository, result: Collected, begun: float, tell: Progress, known: roots.Known) -> None:
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
    _bring_back(store, found, result, tell)
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
    return _is_whole(store, item.hash)


def _wait(result: Collected, item: Trashed, begun: float) -> None:
    result.waiting = result.waiting.plus(item.size)
    result.waiting_until = _earlier(result.waiting_until, item.at + result.trash_grace)
    if trash.is_old(item.at, result.trash_grace, begun):
        result.due = result.due.plus(item.size)


def _earlier(moment: float | None, other: float) -> float:
    return other if moment is None else min(moment, other)


def _name(item: Trashed) -> str:
    return os.path.basename(item.path)


def _due_path(store: Store) -> str:
    return os.path.join(store.root, due.NAME)
