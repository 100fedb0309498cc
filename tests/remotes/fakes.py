"""Remotes that misbehave in ways of their own, for tests of what moves objects. They hold what they are given."""

from collections.abc import Callable, Iterator, Sequence

from comfyvn_store.errors import ObjectMissing
from comfyvn_store.remotes.remote import Item, Remote, Source

Body = Callable[[Item, int], Iterator[bytes]]


class Held(Remote):
    """Holds some bytes in memory and gives them in small blocks, or as `body` says."""

    def __init__(self, name: str, *objects: tuple[str, bytes], body: Body | None = None) -> None:
        self.name = self.place = name
        self.objects = dict(objects)
        self.body = body
        self.asked: list[tuple[str, int]] = []
        self.sent: list[str] = []

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        return {item.hash: len(self.objects[item.hash]) for item in items if item.hash in self.objects}

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        self.asked.append((item.hash, start))
        if item.hash not in self.objects:
            raise ObjectMissing(f"{self.name} does not hold it")
        if self.body is not None:
            yield from self.body(item, start)
            return
        data = self.objects[item.hash]
        for at in range(start, len(data), 1000):
            yield data[at : at + 1000]

    def put(self, item: Item, source: Source) -> bool:
        if item.hash in self.objects:
            return False
        with source.open() as stream:
            self.objects[item.hash] = b"".join(iter(lambda: stream.read(1000), b""))
        self.sent.append(item.hash)
        return True

    def list(self) -> Iterator[Item]:
        yield from (Item(hash_, len(data)) for hash_, data in self.objects.items())

    def delete(self, hash_: str) -> None:
        self.objects.pop(hash_, None)
