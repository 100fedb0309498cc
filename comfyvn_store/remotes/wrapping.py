"""A remote around another one: passes everything on. What wraps a remote overrides what it adds to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfyvn_store.remotes.remote import Item, Remote, Source


class Wrapping(Remote):
    """Is the remote it wraps, until a method says otherwise."""

    def __init__(self, inner: Remote) -> None:
        self.inner = inner
        self.name = inner.name
        self.place = inner.place
        self.is_writable = inner.is_writable
        self.deletes_at_once = inner.deletes_at_once
        self.verifies = inner.verifies
        self.jobs = inner.jobs

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Passes on."""
        return self.inner.has(items)

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Passes on."""
        return self.inner.get(item, start)

    def put(self, item: Item, source: Source) -> bool:
        """Passes on."""
        return self.inner.put(item, source)

    def list(self) -> Iterator[Item]:
        """Passes on."""
        return self.inner.list()

    def delete(self, hash_: str) -> None:
        """Passes on."""
        self.inner.delete(hash_)

    def create(self) -> None:
        """Passes on."""
        self.inner.create()

    def prepare(self, items: Sequence[Item], *, upload: bool) -> None:
        """Passes on."""
        self.inner.prepare(items, upload=upload)

    def share_with(self, item: Item, target: int) -> bool:
        """Passes on."""
        return self.inner.share_with(item, target)

    def shows(self, name: str) -> bool:
        """Passes on."""
        return self.inner.shows(name)

    def finish(self) -> None:
        """Passes on."""
        self.inner.finish()

    def test(self) -> None:
        """Passes on."""
        self.inner.test()

    def close(self) -> None:
        """Passes on."""
        self.inner.close()
