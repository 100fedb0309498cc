"""Sending objects from the store to one remote, none whose bytes are not right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO

from comfyvn_store.errors import ComfyvnError, from_os_error
from comfyvn_store.remotes.limit import Reading
from comfyvn_store.remotes.progress import Progress, Tell
from comfyvn_store.remotes.remote import Item, Source
from comfyvn_store.remotes.work import Stopped, Work


class Sending(Work):
    def run(self, items: Sequence[Item], jobs: int | None, tell: Tell | None) -> None:
        # With their sizes, by which a remote's broken copy is known from a whole one.
        sizes = {item.hash: info.st_size for item in items if (info := self._store.stat(item.hash)) is not None}
        asked = [Item(item.hash, sizes.get(item.hash, item.size)) for item in items]
        said = self._remote.has(asked)
        held = {
            item.hash
            for item in asked
            if item.hash in said and (item.hash not in sizes or said[item.hash] in (None, item.size))
        }
        self._outcome.there = [item.hash for item in items if item.hash in held]
        self._outcome.absent += [item.hash for item in items if item.hash not in held and item.hash not in sizes]
        due = [item for item in asked if item.hash not in held and item.hash in sizes]
        self._progress = Progress(due, tell)
        self._each(due, jobs, self._send, upload=True)
        try:
            self._remote.finish()
        except ComfyvnError as error:
            self._down(error)
            for hash_ in self._outcome.moved:
                self._outcome.failed[hash_] = error
            self._outcome.moved = []

    def _send(self, item: Item) -> None:
        if not self._remote.verifies:
            self._store.verify(item.hash)
        source = _Counted(self._store.path(item.hash), self._step)
        try:
            is_new = self._remote.put(item, source)
        except FileNotFoundError as error:
            raise from_os_error(error, "read") from error
        if is_new:
            self._succeeded(item, item.size or 0)
        else:
            with self._lock:
                self._outcome.failed.pop(item.hash, None)
                self._outcome.there.append(item.hash)
                self._in_a_row = 0
        self._progress.done()

    def _step(self, count: int) -> None:
        if self._stop.is_set():
            raise Stopped
        self._progress.moved(count)


class _Counted(Source):
    """A source that tells how much of it is read."""

    def __init__(self, path: str, step: Callable[[int], None]) -> None:
        super().__init__(path)
        self._step = step

    def open(self) -> BinaryIO:
        return Reading(super().open(), before=self._step)
