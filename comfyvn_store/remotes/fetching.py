"""Bringing objects from one remote into the store: into part files, hashed as they come, synced some at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from typing import NamedTuple

from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, from_os_error
from comfyvn_store.remotes.outcome import Outcome, Quarantined
from comfyvn_store.remotes.progress import Progress
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.work import Stopped, Work, larger
from comfyvn_store.store import partial
from comfyvn_store.store.objects import Store
from comfyvn_store.store.partial import Part, PartBusy

# No object is larger than this, whatever a remote says (S3's own limit is 5 TiB).
_LARGEST = 5 << 40
# Of our free disk, an object whose size is in doubt may take this part.
_SHARE = 16
# Seconds that another process may hold a part file without bringing anything.
_PATIENCE = 120.0
# How many objects, or bytes, are synced in one go, and for how many seconds the first of them waits for that.
_BATCH = 64
_BATCH_BYTES = 64 << 20
_BATCH_AGE = 2.0


class _Come(NamedTuple):
    """An object whose bytes are all here: how many of them came just now, and since when they wait."""

    item: Item
    part: Part
    came: int
    since: float


class Fetching(Work):
    def __init__(self, store: Store, remote: Remote, outcome: Outcome, progress: Progress) -> None:
        super().__init__(store, remote, outcome)
        self._progress = progress
        self._sizes: dict[str, int | None] = {}
        self._come: list[_Come] = []

    def run(self, items: Sequence[Item], jobs: int | None) -> list[Item]:
        """Fetches what this remote has; gives what is to be asked of the next."""
        try:
            self._sizes = self._remote.has(items)
        except ComfyvnError as error:
            self._down(error)
            return list(items)
        held = [item for item in items if item.hash in self._sizes]
        for item in held:
            self._progress.knows(Item(item.hash, larger(item.size, self._sizes[item.hash])))
        before = set(self._outcome.moved)
        try:
            self._each(held, jobs, self._fetch, upload=False)
        finally:  # what has come is here, whatever else went wrong
            self._keep_rest()
        done = set(self._outcome.moved) - before
        return [item for item in items if item.hash not in done]

    def _fetch(self, item: Item) -> None:
        part = self._part(item)
        if part is None:  # another process was faster
            self._succeeded(item, 0)
            self._progress.done()
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(part)
            if self._store.has(item.hash):
                self._succeeded(item, 0)
                self._progress.done()
                return
            size = self._bring(item, part)
            stack.pop_all()
        with self._lock:
            self._come.append(_Come(item, part, size, time.monotonic()))
        self._keep_if_due()

    def _keep_if_due(self) -> None:
        """Gives what has come its name if it is enough for one sync, or waits for one too long. Raises OSError."""
        with self._lock:
            come = self._come
            is_due = come and (
                len(come) >= _BATCH
                or sum(each.part.size for each in come) >= _BATCH_BYTES
                or time.monotonic() - come[0].since >= _BATCH_AGE
            )
            if not is_due:
                return
            self._come = []
        self._keep(come)

    def _keep_rest(self) -> None:
        with self._lock:
            come, self._come = self._come, []
        try:
            self._keep(come)
        except OSError as error:
            raise from_os_error(error, "store an object") from error

    def _keep(self, come: Sequence[_Come]) -> None:
        partial.keep([each.part for each in come])
        for each in come:
            self._succeeded(each.item, each.came)
            self._progress.done()

    def _bring(self, item: Item, part: Part) -> int:
        """Completes a part file; gives how many bytes came. Raises ObjectCorrupt."""
        had = part.size
        if had and part.is_right():
            return 0
        if not had and self._remote.share_with(item, part.descriptor):
            part.reread()
            self._progress.moved(part.size)
        else:
            self._stream(item, part)
        if not part.is_right() and had:
            # What an earlier transfer left may have been wrong already.
            part.restart()
            self._stream(item, part)
        if not part.is_right():
            path = part.reject()
            with self._lock:
                self._outcome.quarantined.append(Quarantined(item.hash, self._remote.name, path))
            raise ObjectCorrupt(
                f"remote '{self._remote.name}' gives other bytes for object {item.hash[:16]}; they are in {path}"
            )
        return part.size - had

    def _stream(self, item: Item, part: Part) -> None:
        """Writes what comes, and no more than the object can have."""
        limit = _limit(item, self._sizes.get(item.hash), part.path)
        for block in self._remote.get(item, part.size):
            if self._stop.is_set():
                raise Stopped
            part.write(block[: max(0, limit + 1 - part.size)])
            self._progress.moved(len(block))
            self._keep_if_due()
            if part.size > limit:
                return

    def _part(self, item: Item) -> Part | None:
        """Opens the part file; waits while another process is bringing the object, and gives None once it has.

        What has come here and waits for its sync is kept all the same: that process may be waiting for it in turn.
        """
        seen, since = -1, time.monotonic()
        while True:
            try:
                return Part(self._store, item.hash)
            except PartBusy:
                size = self._size_of_part(item.hash)
                if size != seen:
                    seen, since = size, time.monotonic()
                if time.monotonic() - since > _PATIENCE:
                    raise
            if self._stop.wait(0.05):
                raise Stopped
            if self._store.has(item.hash):
                return None
            self._keep_if_due()

    def _size_of_part(self, hash_: str) -> int:
        try:
            return os.stat(self._store.part_path(hash_)).st_size
        except OSError:
            return -1


def _limit(item: Item, said: int | None, path: str) -> int:
    """Gives how many bytes an object may have: what a sidecar and the remote (`said`) agree on.

    Where they differ, or nobody knows, what may be a lie must not fill our disk, whatever comes at once.
    """
    if item.size is not None and said in (None, item.size):
        return item.size
    free = _LARGEST
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(os.path.dirname(path)).free
    return min(larger(item.size, said) or _LARGEST, free // _SHARE)
