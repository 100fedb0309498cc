"""Hashing what comes in while it is written: a large file has a thread for the one and the caller for the other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queue import SimpleQueue
    from threading import Semaphore

# From so many bytes on a thread of its own is worth its start; so many blocks wait for it at most.
LARGE = 8 << 20
_WAITING = 4


class Sha256:
    """SHA-256 of bytes that come in blocks; of what is large in a thread, which hashes while the caller writes.

    `close` ends the thread; it is for a `finally`.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._queue: SimpleQueue[bytes | None] | None = None
        self._room: Semaphore | None = None

    def update(self, block: bytes) -> None:
        """Takes the next bytes."""
        self._size += len(block)
        if self._queue is None and self._size > LARGE:
            self._begin()
        if self._queue is None or self._room is None:
            self._digest.update(block)
        else:
            self._room.acquire()
            self._queue.put(block)

    def copy(self) -> hashlib._Hash:
        """Gives a digest of what was taken so far, to go on with by itself."""
        self._settle()
        return self._digest.copy()

    def hexdigest(self) -> str:
        """Gives the hash of what was taken so far, in lower-case hex."""
        self._settle()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Lets the thread end."""
        if self._queue is not None:
            self._queue.put(None)
            self._queue = None

    def _settle(self) -> None:
        """Waits until all that was taken is hashed."""
        if self._room is not None:
            for _ in range(_WAITING):
                self._room.acquire()
            self._room.release(_WAITING)

    def _begin(self) -> None:
        import threading
        from queue import SimpleQueue

        queue = self._queue = SimpleQueue()
        room = self._room = threading.Semaphore(_WAITING)

        def work() -> None:
            while (block := queue.get()) is not None:
                self._digest.update(block)
                room.release()

        threading.Thread(target=work, name="comfyvn-hash", daemon=True).start()
