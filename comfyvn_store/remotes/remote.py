"""What every remote can do, whatever its kind. The kinds, and what wraps them, are its subclasses."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

# Bytes of one block that `get` gives, at most, and that readers ask for.
BLOCK = 1 << 20


class Item(NamedTuple):
    """An object that is to be moved: its hash (64 hex digits), and its size in bytes where that is known."""

    hash: str
    size: int | None = None


class Source:
    """An object in the local store that is to be sent. The file at `path` is whole and never changes."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def size(self) -> int:
        """The number of bytes."""
        return os.stat(self.path).st_size

    def open(self) -> BinaryIO:
        """Opens the bytes from their beginning, as often as asked. Raises OSError."""
        return open(self.path, "rb")


class Remote(ABC):
    """A place that holds objects by their SHA-256. Every method may be called from several threads at once.

    Errors, all of them from `comfyvn_store.errors`: ObjectMissing (it does not hold the object), RemoteUnreachable (no
    answer, or one that makes no sense; `is_passing` says whether trying again may help), RemoteDenied (credentials are
    missing, expired, or do not allow it), MachineError (its disk is full). No message, and nothing that is logged, holds a
    credential. What a remote says is not believed: whoever calls hashes each byte.
    """

    # What people call it, and where it is, for messages: never with a credential.
    name: str
    place: str
    # Whether objects can be written and deleted; a read-only one raises Refused.
    is_writable: bool = True
    # Whether `delete` makes an object go at once (a server of Git LFS collects it when it pleases).
    deletes_at_once: bool = True
    # Whether `put` itself sees to it that the bytes it sends have the hash, so that nobody need read them before.
    verifies: bool = False
    # How many objects are moved at once, unless a person says otherwise.
    jobs: int = 8

    @abstractmethod
    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Gives those of the objects that it holds now, with their sizes where it knows them. Asks each time."""

    @abstractmethod
    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Gives an object's bytes from the offset `start` on, in blocks, as they come.

        A remote that cannot begin amid an object skips what comes before. Raises ObjectMissing, RemoteUnreachable.
        """

    @abstractmethod
    def put(self, item: Item, source: Source) -> bool:
        """Sends an object whose bytes are right; gives False if it was there already, and leaves that one alone.

        A reader sees all of the object under its name or nothing, also when this ends early, and also where two send the
        same one. What was sent is durable when `finish` has returned.
        """

    @abstractmethod
    def list(self) -> Iterator[Item]:
        """Gives all objects that it holds; nothing else that may lie there."""

    @abstractmethod
    def delete(self, hash_: str) -> None:
        """Takes an object away; one that is not there is no error."""

    def create(self) -> None:
        """Makes the place ready for objects, where that is for us to do; what is there stays. Raises RemoteUnreachable."""

    def prepare(self, items: Sequence[Item], *, upload: bool) -> None:
        """Is told, at most a hundred at a time, which objects are to be moved next."""

    def share_with(self, item: Item, target: int) -> bool:
        """Fills the empty open file `target` with an object without copying its bytes; False where that cannot be."""
        return False

    def shows(self, name: str) -> bool:
        """Tells whether there is a file of that name, relative to the place; False where a remote has no such names."""
        return False

    def finish(self) -> None:
        """Is called after the last `put`: makes durable, and known to others, what was sent. Raises RemoteUnreachable."""

    def test(self) -> None:
        """Talks to the remote once and raises what would go wrong, reading only."""
        self.has([Item("0" * 64)])

    def close(self) -> None:
        """Lets go of connections; the remote is not used any more."""
