"""`gc`: objects that nothing names any more go to the trash, and what lay there long enough goes for good.

Under the store's lock: the roots are found, objects that nothing keeps and nobody added lately leave their names, and the
roots are looked at once more; what was named meanwhile comes back. A run that is cut short has lost nothing: each object is
under its name or in the trash, and the next run brings back what is named.

The trash itself is `ops.gc.emptying`.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.ops import journal, roots
from comfyvn_store.ops.gc import emptying
from comfyvn_store.ops.gc.collected import NOTHING, Amount, Collected, earlier
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
        emptying.look(repository, found, result, begun)
        return result
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        known: roots.Known = {}
        trash.take_in(repository.store)
        found = roots.find(repository, tell, known)
        candidates = _candidates(repository.store, found, result, begun, tell)
        if candidates:
            found = _move(repository, candidates, result, tell, known)
        emptying.bring_back(repository.store, found, result, tell)
        result.swept = repository.store.sweep()
        emptying.empty(repository, result, begun, tell, known)
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
            result.young_until = earlier(result.young_until, used + result.grace)
        if kind is None and store.is_touched(info) and not emptying.is_whole(store, hash_):
            kind = WRITTEN
        if kind is None:
            candidates.append(_Candidate(hash_, info.st_size, used))
        else:
            result.keep(kind, info.st_size)
    return candidates


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
    taken = emptying.take_back(store, [item for item in moved if item.hash in named], result, quietly)
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
    taken = emptying.take_back(store, moved, result, tell)
    left = sorted({item.hash for item in moved} - taken)
    if not left:
        journal.forget(repository, [entry.id])
    elif isinstance(error, ComfyvnError):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        said = f"damaged, so left in the trash: {left[0][:16]}{more}"
        error.hint = f"{error.hint}; {said}" if error.hint else said


def _finish(repository: Repository, entry: Entry, moved: list[Trashed], result: Collected) -> None:
    """Notes in the journal what stays in the trash."""
    gone = [journal.Moved(item.hash, trash=item.path) for item in moved if item.hash in result.freed]
    if gone:
        result.operation = entry.id
        objects = f"{len(gone)} object{'s' if len(gone) > 1 else ''}"
        journal.finish(repository, entry, objects=tuple(gone), summary=f"gc --prune: {objects}")
    else:
        journal.forget(repository, [entry.id])


__all__ = ["GRACE", "NOTHING", "USED", "WRITTEN", "YOUNG", "Amount", "Collected", "collect"]
