"""A limit on how fast bytes go to and come from remotes, shared by all that go through one `Bucket`."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from comfyvn_store.remotes.remote import BLOCK, Item, Remote, Source
from comfyvn_store.remotes.wrapping import Wrapping


class Bucket:
    """Lets `rate` bytes a second pass, over all threads together; a quarter of a second's worth may come at once."""

    def __init__(
        self,
        rate: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate = rate
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    @property
    def portion(self) -> int:
        """The number of bytes to ask for at once."""
        return max(1, min(BLOCK, int(self.rate / 4)))

    def pass_(self, count: int) -> None:
        """Returns when `count` more bytes may go."""
        with self._lock:
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + count / self.rate
        if start > now:
            self._sleep(start - now)


class Limited(Wrapping):
    """Moves bytes no faster than its bucket lets them."""

    def __init__(self, inner: Remote, bucket: Bucket) -> None:
        super().__init__(inner)
        self._bucket = bucket

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Gives the blocks as the bucket lets them pass."""
        for block in self.inner.get(item, start):
            for at in range(0, len(block), self._bucket.portion):
                portion = block[at : at + self._bucket.portion]
                self._bucket.pass_(len(portion))
                yield portion

    def put(self, item: Item, source: Source) -> bool:
        """Sends what the bucket lets pass."""
        return self.inner.put(item, _Slow(source, self._bucket))


class _Slow(Source):
    """A source that is read no faster than the bucket lets."""

    def __init__(self, inner: Source, bucket: Bucket) -> None:
        super().__init__(inner.path)
        self._inner = inner
        self._bucket = bucket

    def open(self) -> BinaryIO:
        return Reading(self._inner.open(), before=self._bucket.pass_, portion=self._bucket.portion)


class Reading(io.RawIOBase, BinaryIO):
    """A file that tells how many bytes are read from it, before they are given out; seekable, as HTTP clients want it."""

    def __init__(self, file: BinaryIO, *, before: Callable[[int], None], portion: int = BLOCK) -> None:
        self._file = file
        self._before = before
        self._portion = portion

    def read(self, size: int | None = -1) -> bytes:
        """Gives at most one portion; all of it with a negative size."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(self._portion), b""))
        data = self._file.read(min(size, self._portion))
        if data:
            self._before(len(data))
        return data

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer, at most with one portion."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Gives where it is read next."""
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
