"""Objects that `gc` or `drop` took away, coming back: out of the trash, or from remotes."""

from __future__ import annotations

from collections.abc import Sequence

from comfyvn_store.base import names
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, ObjectMissing
from comfyvn_store.ops import moving, remotes, standing
from comfyvn_store.ops.journal import Entry, Moved
from comfyvn_store.remotes import transfer
from comfyvn_store.remotes.remote import Item
from comfyvn_store.store import trash
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs.repository import Repository

_PATIENCE = 30.0


def from_trash(repository: Repository, absent: Sequence[Moved], tell: Progress) -> ComfyvnError | None:
    """Brings objects back from the trash; gives what to say where one is not there. Raises LockTimeout, OSError."""
    wanted = {each.hash for each in absent}
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        items = [item for item in trash.listed(repository.store) if item.hash in wanted]
        done = trash.restore_each(repository.store, items, lambda count: tell("bringing back", count, len(wanted)))
    lost = sorted(wanted - set(done.back))
    if not lost:
        return None
    hint = "`comfyvn-store pull` asks remotes for what the checkout needs"
    if done.damaged:
        what = f"object {done.damaged[0][:16]}{_more(done.damaged)} is damaged in the trash; the others are back"
        return ObjectCorrupt(what, hint=hint)
    return ObjectMissing(
        f"object {lost[0][:16]}{_more(lost)} is not in the trash any more; the others are back", hint=hint
    )


def _more(hashes: Sequence[str]) -> str:
    return f" and {len(hashes) - 1} more" if len(hashes) > 1 else ""


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
