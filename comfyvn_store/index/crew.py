"""Sidecars of a whole history taken apart, of many by several processes; what they give to the tables waits in a file."""

from __future__ import annotations

import contextlib
import marshal
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.index import decoder
from comfyvn_store.index.columns import Columns
from comfyvn_store.index.decoder import Fact, Order, Place
from comfyvn_store.index.texts import Texts
from comfyvn_store.vcs.repository import Repository

# Starting a process costs about as much as reading so many.
_WORTH_PROCESSES = 4000
_MOST_PROCESSES = 4
_BATCH = 500
# Bytes that one answer may have; what claims more is none.
_LONGEST_ANSWER = 1 << 32


class _Batch(NamedTuple):
    """Blobs taken apart together, and where their columns are."""

    oids: list[str]
    offset: int
    size: int


class Crew:
    """Takes sidecars apart, each once. A context manager; `facts` has what was told of each so far."""

    def __init__(self, repository: Repository, place: Place, texts: Texts, expected: int) -> None:
        self.facts: dict[str, Fact] = {}
        self._asked: set[str] = set()
        self._place = place
        self._texts = texts
        self._file = _nameless(repository.own_dir)
        self._end = 0
        self._batches: list[_Batch] = []
        self._hands: list[_Hand] = []
        if expected >= _WORTH_PROCESSES and repository.object_format == "sha1":
            jobs = min(_MOST_PROCESSES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
            self._hands = [_Hand(place) for _ in range(jobs)]
        self._waiting: list[tuple[list[Order], _Answer | None]] = []
        self._collected = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            hand.stop()
        self._file.close()

    def begin(self, orders: Iterable[Order]) -> Callable[[], None]:
        """Begins with those that were not asked for yet; what is given waits until there are facts of all that were asked for
        so far. More may be begun before."""
        new = [order for order in orders if order.oid not in self._asked]
        self._asked.update(order.oid for order in new)
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            hand = self._hands[len(self._waiting) % len(self._hands)] if self._hands else None
            self._waiting.append((batch, hand.give(batch) if hand is not None else None))
        number = len(self._waiting)
        return lambda: self._collect(number)

    def columns(self) -> Iterator[tuple[str, Columns | None]]:
        """Gives the columns of each sidecar in the order in which they were asked for; None of one that is broken."""
        for batch in self._batches:
            self._file.seek(batch.offset)
            said = marshal.loads(self._file.read(batch.size))
            yield from (pair for pair in zip(batch.oids, said, strict=True) if pair[0])

    def order(self) -> Iterator[str]:
        """Gives the blobs in that order."""
        for batch in self._batches:
            yield from filter(None, batch.oids)

    def _collect(self, number: int) -> None:
        for place in range(self._collected, number):
            batch, answer = self._waiting[place]
            self._waiting[place] = ([], None)
            found = answer.wait() if answer is not None else None
            if found is None:  # no process does it, or could
                self._take(batch)
                continue
            facts, said = marshal.loads(found[0]), found[1]
            absent = [order for order, fact in zip(batch, facts, strict=True) if fact is None]
            for order, fact in zip(batch, facts, strict=True):
                if fact is not None:
                    self.facts[order.oid] = Fact(*fact)
            self._keep(["" if fact is None else order.oid for order, fact in zip(batch, facts, strict=True)], said)
            if absent:
                self._take(absent)
        self._collected = max(self._collected, number)

    def _take(self, orders: list[Order]) -> None:
        by_oid = {order.oid: order for order in orders}
        oids, said = [], []
        for oid, data in self._texts.read(by_oid):
            fact, found = decoder.take(data, by_oid[oid], self._place)
            self.facts[oid] = fact
            oids.append(oid)
            said.append(found)
            if len(oids) == _BATCH:
                self._keep(oids, marshal.dumps(said))
                oids, said = [], []
        if oids:
            self._keep(oids, marshal.dumps(said))

    def _keep(self, oids: list[str], said: bytes) -> None:
        self._file.seek(self._end)
        self._file.write(said)
        self._batches.append(_Batch(oids, self._end, len(said)))
        self._end += len(said)


class _Answer:
    """What a process makes of a batch, as soon as it is there."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._found: tuple[bytes, bytes] | None = None

    def set(self, found: tuple[bytes, bytes] | None) -> None:
        self._found = found
        self._ready.set()

    def wait(self) -> tuple[bytes, bytes] | None:
        self._ready.wait()
        found, self._found = self._found, None
        return found


class _Hand:
    """A process with two threads here that give it batches and take what it makes of them."""

    def __init__(self, place: Place) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._answers: list[_Answer] = []
        self._is_dead = False
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-X", "utf8", "-c", "from comfyvn_store.index.decoder import run; run()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        if self._process is None:
            self._is_dead = True
        else:
            self._send(tuple(place))
            threading.Thread(target=self._tell, args=(self._process.stdin,), daemon=True).start()
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def give(self, batch: list[Order]) -> _Answer:
        answer = _Answer()
        with self._lock:
            if not self._is_dead:
                self._answers.append(answer)
        if self._is_dead:
            answer.set(None)
        else:
            self._send([tuple(order) for order in batch])
        return answer

    def stop(self) -> None:
        if self._process is not None:
            self._orders.put(None)
            self._process.kill()
            self._process.wait()

    def _send(self, value: Any) -> None:
        data = marshal.dumps(value)
        self._orders.put(len(data).to_bytes(8, "big") + data)

    def _tell(self, target: BinaryIO) -> None:
        with contextlib.suppress(OSError), target:  # it died, which the other thread tells
            while (data := self._orders.get()) is not None:
                target.write(data)
                target.flush()

    def _listen(self, source: BinaryIO) -> None:
        """Takes answers until the process ends, or says what is none; whoever waits then does the work itself."""
        try:
            while True:
                sizes = source.read(16)
                first, second = int.from_bytes(sizes[:8], "big"), int.from_bytes(sizes[8:], "big")
                if len(sizes) < 16 or max(first, second) > _LONGEST_ANSWER:
                    return
                facts, said = source.read(first), source.read(second)
                with self._lock:
                    if len(facts) < first or len(said) < second or not self._answers:
                        return
                    answer = self._answers.pop(0)
                answer.set((facts, said))
        finally:
            with self._lock:
                rest, self._answers = self._answers, []
                self._is_dead = True
            for answer in rest:
                answer.set(None)


def _nameless(folder: str) -> BinaryIO:
    """Opens a file that is gone with its process, on the index's disk if that takes one: elsewhere it may lie in memory."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()


def _environment() -> dict[str, str]:
    from comfyvn_store.vcs.git import scrubbed_environment

    return scrubbed_environment()
