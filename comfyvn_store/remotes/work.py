"""One piece of work for each of many objects at one remote, several at a time.

What one object meets is noted and stops no other; a remote that gives nothing any more is left, and a failure of our own
disk ends everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from comfyvn_store.errors import ComfyvnError, LockTimeout, MachineError, RemoteUnreachable, from_os_error
from comfyvn_store.remotes.outcome import Outcome
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.store.objects import Store

# Objects that a remote is told of at once (the Batch API's usual limit).
CHUNK = 100
# A remote that failed so often in a row is asked no more.
_ENOUGH = 3


class Stopped(Exception):
    """Another object's failure ended the whole transfer."""


class Work:
    """Runs one piece of work for each object, several at a time, and stops asking a remote that is down."""

    def __init__(self, store: Store, remote: Remote, outcome: Outcome) -> None:
        self._store = store
        self._remote = remote
        self._outcome = outcome
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fatal: BaseException | None = None
        self._in_a_row = 0

    def _each(self, items: Sequence[Item], jobs: int | None, work: Callable[[Item], None], *, upload: bool) -> None:
        """Does the work for each object. Raises what is fatal, after the work under way has ended."""
        count = max(1, jobs or self._remote.jobs)
        with ThreadPoolExecutor(count, thread_name_prefix="comfyvn-transfer") as pool:
            running: set[Future[None]] = set()
            try:
                for start in range(0, len(items), CHUNK):
                    chunk = items[start : start + CHUNK]
                    if self._stop.is_set() or not self._prepare(chunk, upload):
                        break
                    running |= {pool.submit(self._one, item, work) for item in chunk}
                    while len(running) > CHUNK // 2:
                        running = wait(running, return_when=FIRST_COMPLETED).not_done
                while running:
                    running = wait(running, return_when=FIRST_COMPLETED).not_done
            except BaseException:
                self._stop.set()
                for future in running:
                    future.cancel()
                raise
        if self._fatal is not None:
            raise self._fatal

    def _prepare(self, chunk: Sequence[Item], upload: bool) -> bool:
        try:
            self._remote.prepare(chunk, upload=upload)
        except ComfyvnError as error:
            self._down(error)
            return False
        return True

    def _one(self, item: Item, work: Callable[[Item], None]) -> None:
        if self._stop.is_set():
            return
        try:
            work(item)
        except Stopped:
            return
        except RemoteUnreachable as error:
            self._note(item, error)
        except (MachineError, OSError) as error:
            if isinstance(error, LockTimeout):
                self._note(item, error)
            else:
                self._end(error if isinstance(error, MachineError) else from_os_error(error, "store an object"))
        except ComfyvnError as error:
            self._note(item, error)
        except BaseException as error:
            self._end(error)

    def _note(self, item: Item, error: ComfyvnError) -> None:
        """Notes what one object met; a remote that gives nothing any more is left."""
        with self._lock:
            self._outcome.failed[item.hash] = error
            self._in_a_row = self._in_a_row + 1 if isinstance(error, RemoteUnreachable) else 0
            is_down = self._in_a_row >= _ENOUGH
        if is_down:
            self._down(error)

    def _succeeded(self, item: Item, size: int) -> None:
        with self._lock:
            self._outcome.failed.pop(item.hash, None)
            self._outcome.moved.append(item.hash)
            self._outcome.sources[item.hash] = self._remote.name
            self._outcome.bytes += size
            self._in_a_row = 0

    def _down(self, error: ComfyvnError) -> None:
        with self._lock:
            self._outcome.down.setdefault(self._remote.name, error)
        self._stop.set()

    def _end(self, error: BaseException) -> None:
        with self._lock:
            self._fatal = self._fatal or error
        self._stop.set()


def larger(one: int | None, other: int | None) -> int | None:
    """Gives the larger of two sizes, as far as they are known."""
    known = [size for size in (one, other) if size is not None]
    return max(known, default=None)
