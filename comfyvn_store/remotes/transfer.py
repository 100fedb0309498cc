"""Moving many objects at once: out of the first remote that gives the right bytes, or into one.

A remote is never believed: bytes get an object's name only with its hash, wrong ones go to quarantine and the next remote
is asked. What one object meets is noted and does not stop the others; a full disk of ours does, and what has come by
then waits in part files for the next run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.remotes.fetching import Fetching
from comfyvn_store.remotes.outcome import Outcome
from comfyvn_store.remotes.progress import Progress, Tell
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.sending import Sending
from comfyvn_store.remotes.work import larger
from comfyvn_store.store.objects import Store


def fetch(
    store: Store, remotes: Sequence[Remote], items: Iterable[Item], *, jobs: int | None = None, tell: Tell | None = None
) -> Outcome:
    """Brings objects into the store, each from the first of the remotes that gives its bytes.

    Raises MachineError if our own disk fails; what was brought until then stays.
    """
    outcome = Outcome()
    begun = time.monotonic()
    wanted = {item.hash: item for item in items}
    left = [item for item in wanted.values() if not store.has(item.hash)]
    outcome.there = [hash_ for hash_ in wanted if store.has(hash_)]
    progress = Progress(left, tell)
    for remote in remotes:
        if left:
            left = Fetching(store, remote, outcome, progress).run(left, jobs)
    outcome.absent = [item.hash for item in left if item.hash not in outcome.failed]
    outcome.seconds = time.monotonic() - begun
    return outcome


def send(
    store: Store, remote: Remote, items: Iterable[Item], *, jobs: int | None = None, tell: Tell | None = None
) -> Outcome:
    """Sends to a remote what it does not hold. `absent` are objects that neither it nor our store has.

    Raises RemoteUnreachable where the remote cannot even be asked. What could not be made durable there counts as failed.
    """
    outcome = Outcome()
    begun = time.monotonic()
    Sending(store, remote, outcome).run(list({item.hash: item for item in items}.values()), jobs, tell)
    outcome.seconds = time.monotonic() - begun
    return outcome


def locate(store: Store, remotes: Sequence[Remote], items: Iterable[Item]) -> tuple[dict[str, str], Outcome]:
    """Gives, for each object that is not here, the first remote that says it holds it; fetches nothing."""
    outcome = Outcome()
    wanted = {item.hash: item for item in items}
    outcome.there = [hash_ for hash_ in wanted if store.has(hash_)]
    left = [item for item in wanted.values() if not store.has(item.hash)]
    found: dict[str, str] = {}
    for remote in remotes if left else ():
        try:
            held = remote.has(left)
        except ComfyvnError as error:
            outcome.down[remote.name] = error
            continue
        found |= dict.fromkeys(held, remote.name)
        outcome.bytes += sum(larger(item.size, held[item.hash]) or 0 for item in left if item.hash in held)
        left = [item for item in left if item.hash not in held]
    outcome.absent = [item.hash for item in left]
    return found, outcome
