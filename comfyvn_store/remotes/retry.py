"""Trying again: what may pass is tried a few times, ever later; a body that stalls is taken up where it stopped."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from comfyvn_store.errors import RemoteUnreachable
from comfyvn_store.remotes.remote import Item, Remote, Source
from comfyvn_store.remotes.wrapping import Wrapping

T = TypeVar("T")


class Patience(NamedTuple):
    """How long a remote is believed in.

    `attempts` in all, with `pause` seconds after the first, doubled each time, at most `longest`. A body that brings
    fewer than `slowest` bytes a second over `window` seconds counts as failed (git's `http.lowSpeedLimit` is the model).
    """

    attempts: int = 4
    pause: float = 0.5
    longest: float = 30.0
    slowest: float = 1024.0
    window: float = 30.0


class Retrying(Wrapping):
    """Tries again what failed in passing. `sleep`, `clock` and `chance` (0 to 1) are for whoever has no time to lose."""

    def __init__(
        self,
        inner: Remote,
        patience: Patience = Patience(),  # noqa: B008 - immutable
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._chance = chance

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Asks again."""
        return self._again(lambda: self.inner.has(items))

    def put(self, item: Item, source: Source) -> bool:
        """Sends again, from the beginning."""
        return self._again(lambda: self.inner.put(item, source))

    def delete(self, hash_: str) -> None:
        """Asks again."""
        self._again(lambda: self.inner.delete(hash_))

    def prepare(self, items: Sequence[Item], *, upload: bool) -> None:
        """Asks again."""
        self._again(lambda: self.inner.prepare(items, upload=upload))

    def finish(self) -> None:
        """Asks again."""
        self._again(self.inner.finish)

    def list(self) -> Iterator[Item]:
        """Lists again, leaving out what was given before."""
        given = 0
        failed = 0
        while True:
            try:
                for number, item in enumerate(self.inner.list()):
                    if number >= given:
                        given += 1
                        failed = 0
                        yield item
                return
            except RemoteUnreachable as error:
                failed += 1
                self._wait(error, failed)

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Goes on where the body broke off. Attempts that bring something do not count."""
        failed = 0
        while True:
            before = start
            try:
                for block in self._watched(item, start):
                    start += len(block)
                    yield block
                return
            except RemoteUnreachable as error:
                failed = 1 if start - before > self._patience.slowest * self._patience.window else failed + 1
                self._wait(error, failed)

    def _watched(self, item: Item, start: int) -> Iterator[bytes]:
        """Gives the blocks of one body while they come fast enough."""
        since, came = self._clock(), 0
        for block in self.inner.get(item, start):
            yield block
            came += len(block)
            now = self._clock()
            if now - since > self._patience.window:
                if came < self._patience.slowest * (now - since):
                    raise RemoteUnreachable(
                        f"remote '{self.name}' hardly sends anything", hint="try again later", is_passing=True
                    )
                since, came = now, 0

    def _again(self, work: Callable[[], T]) -> T:
        failed = 0
        while True:
            try:
                return work()
            except RemoteUnreachable as error:
                failed += 1
                self._wait(error, failed)

    def _wait(self, error: RemoteUnreachable, failed: int) -> None:
        """Waits before the next attempt, or raises the error if there is none."""
        if not error.is_passing or failed >= self._patience.attempts:
            raise error
        pause = min(self._patience.pause * 2.0 ** (failed - 1), self._patience.longest)
        if error.retry_after is not None:
            if error.retry_after > self._patience.longest:
                raise error
            pause = max(pause, error.retry_after)
        # Spread, so that many clients that failed together do not come back together.
        self._sleep(pause * (0.5 + 0.5 * self._chance()) if error.retry_after is None else pause)
