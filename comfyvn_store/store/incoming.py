"""A file in `tmp/` on its way to becoming an object."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfyvn_store.store.objects import Store


class Incoming:
    """A file in `tmp/` on its way to becoming an object; gone on leaving the `with` unless it was kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.path = unused(store)
        try:
            self.stream = open(self.path, "x+b", buffering=0)  # noqa: SIM115 - closed on leaving the context
        except FileNotFoundError:
            store.make_folders(os.path.dirname(self.path))
            self.stream = open(self.path, "x+b", buffering=0)  # noqa: SIM115 - closed on leaving the context

    def write(self, data: bytes | memoryview) -> None:
        """Writes all of `data`. Raises OSError (disk full)."""
        view = memoryview(data)
        while view:
            view = view[self.stream.write(view) :]

    def keep(self, hash_: str, *, is_durable: bool = False) -> bool:
        """Gives the bytes written so far their name; an object that exists is kept and its mtime refreshed. Tells whether they
        are new here.

        Unless they `is_durable`, because the caller synced them, the object counts as touched until `Store.sync`.
        """
        size = os.fstat(self.stream.fileno()).st_size
        if self._store.has_good(hash_, size) and self._store.refresh(hash_):
            return False
        self._store.name(self.path, hash_, is_durable=is_durable)
        return True

    def again(self) -> Incoming:
        """Opens another temporary file of the same store."""
        return Incoming(self._store)

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def unused(store: Store) -> str:
    """Gives a name in `tmp/` that nothing has."""
    return os.path.join(store.root, "tmp", f"in-{os.getpid()}-{os.urandom(6).hex()}")
