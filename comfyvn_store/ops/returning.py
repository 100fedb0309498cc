"""Objects that `gc` or `drop` took away, coming back: out of the trash, or from remotes."""

from __future__ import annotations

from collections.abc import Sequence

from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, ObjectMissing
from comfyvn_store.ops import moving, remotes, standing
from comfyvn_store.ops.journal import Entry, Moved
from comfyvn_store.remotes import transfer
from comfyvn_store.remotes.remote import Item
from comfyvn_store.store import trash
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs.repository import Repository

_PATIENCE = 30.0


def from_trash(repository: Repository, absent: Sequence[Moved]) -> ComfyvnError | None:
    """Brings objects back from the trash; gives what to say where one is not there. Raises LockTimeout."""
    lost, wrong = [], None
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        there: dict[str, list[trash.Trashed]] = {}
        for item in trash.listed(repository.store):
            there.setdefault(item.hash, []).append(item)
        for each in absent:
            for item in there.get(each.hash, ()):
                try:
                    trash.restore(repository.store, item)
                    break
                except ComfyvnError as error:
                    wrong = error
            else:
                lost.append(each.hash)
    if not lost:
        return None
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return wrong or ObjectMissing(
        f"object {lost[0][:16]}{more} is not in the trash any more; the others are back",
        hint="`comfyvn-store pull` asks remotes for what the checkout needs",
    )


def fetch(repository: Repository, absent: Sequence[Moved]) -> ComfyvnError | None:
    """Fetches dropped objects from the remotes that had proved to hold them, then from any other."""
    if not absent:
        return None
    first = {name for each in absent for name in each.remotes}
    opened = sorted(remotes.for_reading(repository), key=lambda remote: remote.name not in first)
    try:
        outcome = transfer.fetch(repository.store, opened, [Item(each.hash) for each in absent])
    finally:
        for remote in opened:
            remote.close()
    return moving.fetch_error(outcome, {}, [remote.name for remote in opened])


def forecast(repository: Repository, entry: Entry, absent: Sequence[Moved]) -> list[str]:
    """Says where the objects would come from, and what nobody asked."""
    if entry.verb == standing.DROP:
        said = ", ".join(sorted({names.printable(name) for each in absent for name in each.remotes}))
        return [f"they would be fetched; {said or 'no remote'} had them then, and no remote was asked now"]
    there = {item.hash for item in trash.listed(repository.store)}
    lost = [each.hash for each in absent if each.hash not in there]
    return [f"{len(lost)} of them not in the trash any more: {lost[0][:16]} ..."] if lost else []
