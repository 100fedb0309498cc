"""Bringing objects from one remote into the store: into part files, hashed as they come."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence

from comfyvn_store.errors import ComfyvnError, ObjectCorrupt
from comfyvn_store.remotes.outcome import Outcome, Quarantined
from comfyvn_store.remotes.progress import Progress
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.work import Stopped, Work, larger
from comfyvn_store.store.objects import Store
from comfyvn_store.store.partial import Part, PartBusy

# No object is larger than this, whatever a remote says (S3's own limit is 5 TiB).
_LARGEST = 5 << 40
# Of our free disk, an object whose size is in doubt may take this part.
_SHARE = 16
# Seconds that another process may hold a part file without bringing anything.
_PATIENCE = 120.0


class Fetching(Work):
    def __init__(self, store: Store, remote: Remote, outcome: Outcome, progress: Progress) -> None:
        super().__init__(store, remote, outcome)
        self._progress = progress
        self._sizes: dict[str, int | None] = {}

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
        self._each(held, jobs, self._fetch, upload=False)
        done = set(self._outcome.moved) - before
        return [item for item in items if item.hash not in done]

    def _fetch(self, item: Item) -> None:
        part = self._part(item)
        if part is None:  # another process was faster
            self._succeeded(item, 0)
            self._progress.done()
            return
        with part:
            if self._store.has(item.hash):
                self._succeeded(item, 0)
            else:
                size = self._bring(item, part)
                self._succeeded(item, size)
        self._progress.done()

    def _bring(self, item: Item, part: Part) -> int:
        """Completes a part file and gives it its name; gives how many bytes came. Raises ObjectCorrupt."""
        had = part.size
        if had and part.is_right():
            part.keep()
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
        part.keep()
        return part.size - had

    def _stream(self, item: Item, part: Part) -> None:
        """Writes what comes, and no more than the object can have."""
        limit = _limit(item, self._sizes.get(item.hash), part.path)
        for block in self._remote.get(item, part.size):
            if self._stop.is_set():
                raise Stopped
            part.write(block[: max(0, limit + 1 - part.size)])
            self._progress.moved(len(block))
            if part.size > limit:
                return

    def _part(self, item: Item) -> Part | None:
        """Opens the part file; waits while another process is bringing the object, and gives None once it has."""
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
