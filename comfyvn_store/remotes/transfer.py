"""Moving many objects at once: out of the first remote that gives the right bytes, or into one.

A remote is never believed: bytes get an object's name only with its hash, wrong ones go to quarantine and the next remote
is asked. What one object meets is noted and does not stop the others; a full disk of ours does, and what has come by
then waits in part files for the next run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from comfyvn_store.errors import (
    ComfyvnError,
    LockTimeout,
    MachineError,
    ObjectCorrupt,
    RemoteUnreachable,
    from_os_error,
)
from comfyvn_store.remotes.limit import Reading
from comfyvn_store.remotes.progress import Progress, Tell
from comfyvn_store.remotes.remote import Item, Remote, Source
from comfyvn_store.store.objects import Store
from comfyvn_store.store.partial import Part, PartBusy

# Objects that a remote is told of at once (the Batch API's usual limit).
CHUNK = 100
# A remote that failed so often in a row is asked no more.
_ENOUGH = 3
# No object is larger than this, whatever a remote says (S3's own limit is 5 TiB).
_LARGEST = 5 << 40
# Seconds that another process may hold a part file without bringing anything.
_PATIENCE = 120.0


class Quarantined(NamedTuple):
    """Bytes that a remote gave for an object and that are others: where they lie now."""

    hash: str
    remote: str
    path: str


@dataclass
class Outcome:
    """What became of a transfer.

    `sources` names the remote from which an object came, or to which it went; `absent` are objects that nobody had; `failed`
    those that some remote has and none gave (or took); `down` are remotes that could not be asked to the end.
    """

    moved: list[str] = field(default_factory=list)
    bytes: int = 0
    sources: dict[str, str] = field(default_factory=dict)
    there: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: dict[str, ComfyvnError] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    down: dict[str, ComfyvnError] = field(default_factory=dict)
    seconds: float = 0.0


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
            left = _Fetching(store, remote, outcome, progress).run(left, jobs)
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
    _Sending(store, remote, outcome).run(list({item.hash: item for item in items}.values()), jobs, tell)
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
        outcome.bytes += sum(_larger(item.size, held[item.hash]) or 0 for item in left if item.hash in held)
        left = [item for item in left if item.hash not in held]
    outcome.absent = [item.hash for item in left]
    return found, outcome


class _Work:
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
        except _Stopped:
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

    def _ask(self, items: Sequence[Item]) -> list[Item]:
        """Gives those that the remote says it holds, with their sizes."""
        held = self._remote.has(items)
        return [Item(item.hash, _larger(item.size, held[item.hash])) for item in items if item.hash in held]


class _Stopped(Exception):
    """Another object's failure ended the whole transfer."""


class _Fetching(_Work):
    def __init__(self, store: Store, remote: Remote, outcome: Outcome, progress: Progress) -> None:
        super().__init__(store, remote, outcome)
        self._progress = progress

    def run(self, items: Sequence[Item], jobs: int | None) -> list[Item]:
        """Fetches what this remote has; gives what is to be asked of the next."""
        try:
            held = self._ask(items)
        except ComfyvnError as error:
            self._down(error)
            return list(items)
        for item in held:
            self._progress.knows(item)
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
        limit = _limit(item, part.path)
        for block in self._remote.get(item, part.size):
            if self._stop.is_set():
                raise _Stopped
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
                raise _Stopped
            if self._store.has(item.hash):
                return None

    def _size_of_part(self, hash_: str) -> int:
        try:
            return os.stat(self._store.part_path(hash_)).st_size
        except OSError:
            return -1


class _Sending(_Work):
    def run(self, items: Sequence[Item], jobs: int | None, tell: Tell | None) -> None:
        held = {item.hash for item in self._ask(items)}
        self._outcome.there = [item.hash for item in items if item.hash in held]
        due = []
        for item in items:
            info = self._store.stat(item.hash)
            if item.hash in held:
                continue
            if info is None:
                self._outcome.absent.append(item.hash)
            else:
                due.append(Item(item.hash, info.st_size))
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
            raise _Stopped
        self._progress.moved(count)


class _Counted(Source):
    """A source that tells how much of it is read."""

    def __init__(self, path: str, step: Callable[[int], None]) -> None:
        super().__init__(path)
        self._step = step

    def open(self) -> BinaryIO:
        return Reading(super().open(), before=self._step)


def _limit(item: Item, path: str) -> int:
    """Gives how many bytes an object may have: what is said of it, and never so many that they fill our disk."""
    free = _LARGEST
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(os.path.dirname(path)).free
    if item.size is None:
        return min(_LARGEST, free // 2)
    return min(item.size, _LARGEST)


def _larger(one: int | None, other: int | None) -> int | None:
    known = [size for size in (one, other) if size is not None]
    return max(known, default=None)
