"""`gc`: objects that nothing names any more go to the trash, and what lay there long enough goes for good.

Under the store's lock: the roots are found, objects that nothing keeps and nobody added lately leave their names, and the
roots are looked at once more; what was named meanwhile comes back. A run that is cut short has lost nothing: each object is
under its name or in the trash, and the next run brings back what is named.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ObjectCorrupt
from comfyvn_store.ops import journal, roots
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
    went to the trash, `back` those that came back from it because something names them, `emptied` those that left it for
    good, `waiting` what is in it then. `young_until` and `waiting_until` are when the first of the young, and of what waits in
    the trash, may go (seconds since 1970).
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
    something cannot be asked what it needs, LockTimeout, OSError; nothing has changed then.
    """
    begun = float(int(time.time() if now is None else now))
    result = Collected(prune, grace, repository.settings.trash_grace)
    tell = progress or quietly
    if not prune:
        found = roots.find(repository, tell)
        result.freed = {each.hash: each.size for each in _candidates(repository.store, found, result, begun, tell)}
        _look_at_trash(repository, found, result, begun)
        return result
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        known: roots.Known = {}
        found = roots.find(repository, tell, known)
        candidates = _candidates(repository.store, found, result, begun, tell)
        if candidates:
            found = _move(repository, candidates, result, tell, known)
        _bring_back(repository.store, found, result, tell)
        _empty(repository, found, result, begun)
        result.swept = repository.store.sweep()
        journal.prune(repository)
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
    try:
        store.verify(hash_)
    except ObjectCorrupt:
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
    except BaseException:
        due = {each.hash for each in candidates}  # one may have been moved just now and not noted in `moved` yet
        taken = [item for item in trash.listed(store) if item.hash in due and not store.has(item.hash)]
        trash.restore_each(store, taken, lambda count: tell("taking back", count, len(taken)))
        journal.forget(repository, [entry.id])
        raise
    back = trash.restore_each(store, [item for item in moved if item.hash in named], lambda count: None).back
    for item in moved:
        if item.hash not in named:
            result.freed[item.hash] = item.size
        elif item.hash in back:  # else it is damaged, and `_bring_back` says so
            result.keep(USED, item.size)
    gone = [journal.Moved(item.hash, trash=item.path) for item in moved if item.hash in result.freed]
    if gone:
        result.operation = entry.id
        objects = f"{len(gone)} object{'s' if len(gone) > 1 else ''}"
        journal.finish(repository, entry, objects=tuple(gone), summary=f"gc --prune: {objects}")
    else:
        journal.forget(repository, [entry.id])
    return found


def _look_at_trash(repository: Repository, found: Roots, result: Collected, begun: float) -> None:
    """Says what a prune would do about the trash."""
    named = found.all()
    for item in trash.listed(repository.store):
        if item.hash in named and not repository.store.has(item.hash):
            if item.hash not in result.back:
                result.back.append(item.hash)
        elif trash.is_old(item.at, result.trash_grace, begun):
            result.emptied = result.emptied.plus(item.size)
        else:
            _wait(result, item)


def _wait(result: Collected, item: Trashed) -> None:
    result.waiting = result.waiting.plus(item.size)
    result.waiting_until = _earlier(result.waiting_until, item.at + result.trash_grace)


def _earlier(moment: float | None, other: float) -> float:
    return other if moment is None else min(moment, other)


def _bring_back(store: Store, found: Roots, result: Collected, tell: Progress) -> None:
    """Gives objects that something names, and that are only in the trash, their names again."""
    named = found.all()
    items = [item for item in trash.listed(store) if item.hash in named and not store.has(item.hash)]
    done = trash.restore_each(store, items, lambda count: tell("bringing back", count, len(items)))
    result.back += done.back
    result.damaged += done.damaged


def _empty(repository: Repository, found: Roots, result: Collected, begun: float) -> None:
    named = found.all()
    items = trash.listed(repository.store)
    old = [
        item
        for item in items
        if trash.is_old(item.at, result.trash_grace, begun)
        # The only bytes of something that is named, though they are damaged.
        and (item.hash not in named or repository.store.has(item.hash))
    ]
    for item in trash.empty(repository.store, old):
        result.emptied = result.emptied.plus(item.size)
    for item in trash.listed(repository.store):
        _wait(result, item)
