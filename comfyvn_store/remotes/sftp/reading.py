"""Reading: the bytes of an object, asked for ahead of whoever takes them; which objects there are."""

from __future__ import annotations

import asyncio
import collections
import stat
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from comfyvn_store.base import links
from comfyvn_store.errors import RemoteUnreachable
from comfyvn_store.remotes.remote import BLOCK, Item
from comfyvn_store.remotes.sftp import failures
from comfyvn_store.remotes.sftp import place as places
from comfyvn_store.remotes.sftp.link import Link, Session
from comfyvn_store.remotes.sftp.place import Place

if TYPE_CHECKING:
    import asyncssh

# Bytes of one read request, at most, and how many are asked for at once: four blocks for each reader.
_READ = 256 * 1024 - 1024
_AHEAD = 16
# Seconds after which a block is given out as it is, so that a trickle is seen as one.
_PATIENCE = 2.0
# `lstat` requests that are under way at once.
_QUESTIONS = 128


class _Asked(NamedTuple):
    """A read request that is under way, or answered."""

    offset: int
    size: int
    answer: asyncio.Task[bytes]


class Download:
    """The bytes of one object from an offset on. `begin` makes it, `next` gives them, `end` lets go of it."""

    def __init__(self, link: Link, session: Session, file: asyncssh.SFTPClientFile, at: int) -> None:
        self._link = link
        self._session = session
        self._file = file
        self._portion = min(session.client.limits.max_read_len or _READ, _READ)
        self._asked: collections.deque[_Asked] = collections.deque()
        self._at = at
        self._window = 1
        self.is_at_end = False

    @classmethod
    async def begin(cls, link: Link, place: Place, item: Item, start: int) -> Download:
        """Opens an object. Raises ObjectMissing, RemoteUnreachable, what asyncssh raises."""
        session = await link.session()
        client, path = session.client, place.object(item.hash)
        session.busy += 1
        try:
            size, file = await asyncio.gather(
                places.held(link, client, path), link.ask(places.open_file(client, path, "rb")), return_exceptions=True
            )
            if isinstance(file, BaseException) or isinstance(size, BaseException) or size is None:
                if not isinstance(file, BaseException):
                    await link.ask(file.close())
                await _raise_why(link, client, place, item, size, file)
                raise AssertionError("unreachable")
        except BaseException:
            session.busy -= 1
            raise
        download = cls(link, session, file, start)
        # As many requests as the object needs and one for its end, of which the size is only a guess.
        download._window = max(1, min(_AHEAD, -(-(size - start) // download._portion) + 1))
        return download

    async def next(self) -> bytes:
        """Gives the next bytes, a block of them at most; none at the end."""
        parts: list[bytes] = []
        size, until = 0, time.monotonic() + _PATIENCE
        while not self.is_at_end and size + self._portion <= BLOCK and (not parts or time.monotonic() < until):
            self._ask_ahead()
            asked = self._asked.popleft()
            data = await asked.answer
            if len(data) > asked.size:
                raise RemoteUnreachable(f"remote '{self._link.name}' sends more than it was asked for")
            if not data:
                self.is_at_end = True
            elif len(data) < asked.size:
                # The end, or a server that gives less than it has: what is missing is asked for before the rest.
                self._asked.appendleft(self._ask(asked.offset + len(data), asked.size - len(data)))
            parts.append(data)
            size += len(data)
        if self.is_at_end:
            self._forget()
        return b"".join(parts)

    async def end(self) -> None:
        """Closes the object, also amid its bytes."""
        self._session.busy -= 1
        self._forget()
        await self._link.ask(self._file.close())

    def _ask_ahead(self) -> None:
        while len(self._asked) < self._window:
            self._asked.append(self._ask(self._at, self._portion))
            self._at += self._portion

    def _ask(self, offset: int, size: int) -> _Asked:
        return _Asked(offset, size, asyncio.ensure_future(self._read(offset, size)))

    async def _read(self, offset: int, size: int) -> bytes:
        return await self._link.ask(places.read(self._file, size, offset))

    def _forget(self) -> None:
        for asked in self._asked:
            asked.answer.cancel()
        self._asked.clear()


async def _raise_why(
    link: Link,
    client: asyncssh.SFTPClient,
    place: Place,
    item: Item,
    size: int | BaseException | None,
    file: object,
) -> None:
    """Raises why an object could not be opened: the folder is not there, it holds none, or something else."""
    import asyncssh

    for each in (size, file):
        if isinstance(each, BaseException) and not isinstance(each, (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)):
            raise each
    await places.require(link, client, place)
    raise failures.missing(place.remote, item.hash)


async def sizes(link: Link, place: Place, hashes: Sequence[str]) -> dict[str, int | None]:
    """Gives the sizes of those objects that are there, asking for many at once."""
    session = await link.session()
    found: dict[str, int | None] = {}
    waiting = iter(hashes)

    async def work() -> None:
        for hash_ in waiting:
            size = await places.held(link, client, place.object(hash_))
            if size is not None:
                found[hash_] = size

    with link.busy(session) as client:
        await places.all_of(places.require(link, client, place), *(work() for _ in range(min(_QUESTIONS, len(hashes)))))
    return found


async def shows(link: Link, place: Place, name: str) -> bool:
    """Tells whether there is an ordinary file of that name in the folder."""
    session = await link.session()
    with link.busy(session) as client:
        return await places.held(link, client, f"{place.root}/{name}") is not None


async def fans(link: Link, place: Place) -> list[str]:
    """Gives the names of the folders that hold objects, in order."""
    session = await link.session()
    with link.busy(session) as client:
        await places.require(link, client, place)
        entries = await _entries(link, client, place, "objects")
    # A link to a folder is none, but what the folder is called is all that a server may say.
    return sorted({name for name, _ in entries if len(name) == 2 and links.is_hash(name + "0" * 62)})


async def objects(link: Link, place: Place, fan: str) -> list[Item]:
    """Gives the objects in one of these folders, in order."""
    session = await link.session()
    found: dict[str, int] = {}
    with link.busy(session) as client:
        if not await _is_folder(link, client, f"{place.root}/objects/{fan}"):
            return []
        for name, attrs in await _entries(link, client, place, f"objects/{fan}"):
            if len(name) == 62 and links.is_hash(fan + name):
                size = places.size_of_object(attrs)
                if attrs.permissions is None:
                    size = await places.held(link, client, place.object(fan + name))
                if size is not None:
                    found[fan + name] = size
    return [Item(hash_, size) for hash_, size in sorted(found.items())]


async def _is_folder(link: Link, client: asyncssh.SFTPClient, path: str) -> bool:
    import asyncssh

    try:
        mode = (await link.ask(client.lstat(path))).permissions
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return False
    return mode is None or stat.S_ISDIR(mode)


async def _entries(
    link: Link, client: asyncssh.SFTPClient, place: Place, folder: str
) -> list[tuple[str, asyncssh.SFTPAttrs]]:
    found = await places.entries(link, client, f"{place.root}/{folder}", places.MOST_NAMES)
    if len(found) == places.MOST_NAMES:
        raise RemoteUnreachable(f"remote '{link.name}' lists more names than a folder can have")
    return found
