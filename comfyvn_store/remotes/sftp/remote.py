"""A folder on a machine that is reached by SSH, as a remote."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import hashlib
import threading
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, BinaryIO, TypeVar

from comfyvn_store.base import names
from comfyvn_store.errors import ObjectCorrupt, Refused, UsageError, from_os_error
from comfyvn_store.remotes.address import Address
from comfyvn_store.remotes.remote import BLOCK, Item, Remote, Source
from comfyvn_store.remotes.sftp import failures, reading, sending
from comfyvn_store.remotes.sftp import place as places
from comfyvn_store.remotes.sftp.link import Bridge, Link
from comfyvn_store.remotes.sftp.login import Target, checked
from comfyvn_store.remotes.sftp.place import Place

T = TypeVar("T")

# Blocks of one object that are on their way to the server at once.
_AHEAD = 4
# Folders of objects that are listed at once.
_LISTED = 4
# Seconds for taking away what was sent in vain.
_LETTING_GO = 10.0


class Sftp(Remote):
    """Objects in the folder of `address`: `/folder` is from the root, `/~/folder` from the home there.

    Raises UsageError for an address that names no folder. Connects when it is first asked something, and again after a
    connection was lost; ToolMissing is raised then where asyncssh is not installed.
    """

    verifies = True

    def __init__(self, name: str, address: Address, *, is_writable: bool = True) -> None:
        self.name = name
        self.place = address.url
        self.is_writable = is_writable
        self._target = checked(Target(address.host, address.port, address.user))
        self._place = Place(name, _folder(address))
        self._bridge = Bridge(f"sftp-{name}")
        # These two are touched in the loop alone.
        self._link: Link | None = None
        self._linking: asyncio.Task[Link] | None = None
        self._lock = threading.Lock()
        self._to_sync: set[str] = set()
        self._is_swept = False

    def create(self) -> None:
        """Makes the folder a remote: what is there stays. Raises RemoteUnreachable if the folder above it is not there."""
        self._require_writable()
        self._call(self._create())

    def has(self, items: Sequence[Item]) -> dict[str, int | None]:
        """Gives those that are there, with their sizes."""
        return self._call(self._has([item.hash for item in items]))

    def get(self, item: Item, start: int = 0) -> Iterator[bytes]:
        """Gives the bytes; while one block is used the next ones are on their way."""
        download, block = self._call(self._begin_get(item, start))
        coming: concurrent.futures.Future[bytes] | None = None
        try:
            while block:
                coming = None if download.is_at_end else self._bridge.submit(download.next())
                yield block
                block = self._result(coming) if coming is not None else b""
        finally:
            # Nobody waits here: a generator that is not used up ends in whichever thread drops it.
            if coming is not None:
                coming.cancel()
            self._bridge.mention(download.end())

    def put(self, item: Item, source: Source) -> bool:
        """Sends the bytes, hashing them on their way. Raises ObjectCorrupt if they are not what they should be."""
        self._require_writable()
        with _opened(source) as stream:
            size = source.size
            if size > BLOCK:
                is_new = self._put_large(item.hash, size, source.path, stream)
            else:
                data = b"".join(_blocks(stream, source.path))
                _require_hash(hashlib.sha256(data), item.hash)
                is_new = self._call(self._put_small(item.hash, data))
        if is_new:
            with self._lock:
                self._to_sync.add(self._place.fan(item.hash))
        return is_new

    def shows(self, name: str) -> bool:
        """Tells whether there is a file of that name, relative to the folder."""
        return self._call(self._shows(name))

    def list(self) -> Iterator[Item]:
        """Gives all objects, in order."""
        fans = collections.deque(self._call(self._fans()))
        coming: collections.deque[concurrent.futures.Future[Sequence[Item]]] = collections.deque()
        try:
            while fans or coming:
                while fans and len(coming) < _LISTED:
                    coming.append(self._bridge.submit(self._objects(fans.popleft())))
                yield from self._result(coming.popleft())
        finally:
            for each in coming:
                each.cancel()

    def delete(self, hash_: str) -> None:
        """Removes the object's file."""
        self._require_writable()
        self._call(self._delete(self._place.object(hash_)))

    def finish(self) -> None:
        """Makes the names of what was sent durable; the bytes are since `put` returned."""
        with self._lock:
            folders, self._to_sync = sorted(self._to_sync), set()
        if not folders:
            return
        try:
            self._call(self._sync(folders))
        except BaseException:
            with self._lock:
                self._to_sync.update(folders)
            raise

    def test(self) -> None:
        """Logs in and looks whether the folder is a remote."""
        self._call(self._has([]))

    def close(self) -> None:
        """Ends the connection and the thread."""
        self._bridge.close(self._close())

    # -- between the caller's thread and the loop --------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` in the loop and gives its result. Raises our errors."""
        try:
            failures.require_library()
            future = self._bridge.submit(work)
        except BaseException:
            work.close()
            raise
        return self._result(future)

    def _result(self, future: concurrent.futures.Future[T]) -> T:
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise failures.lost(self.name, self._target.host, "was closed meanwhile") from None
        except Exception as error:
            known = failures.explained(error, self.name, self._target)
            if known is None or known is error:
                raise
            raise known from error
        finally:
            future.cancel()

    def _put_large(self, hash_: str, size: int, path: str, stream: BinaryIO) -> bool:
        """Sends block after block, a few at once; they are read here, where waiting for the disk holds nobody up."""
        upload = self._call(self._begin_put(hash_, size))
        if upload is None:
            return False
        digest, offset = hashlib.sha256(), 0
        coming: collections.deque[concurrent.futures.Future[None]] = collections.deque()
        try:
            for block in _blocks(stream, path):
                digest.update(block)
                coming.append(self._bridge.submit(upload.write(offset, block)))
                offset += len(block)
                if len(coming) >= _AHEAD:
                    self._result(coming.popleft())
            while coming:
                self._result(coming.popleft())
            _require_hash(digest, hash_)
            self._call(upload.finish())
        except BaseException:
            for each in coming:
                each.cancel()
            with contextlib.suppress(Exception):
                self._bridge.submit(upload.abandon()).result(_LETTING_GO)
            raise
        return True

    def _require_writable(self) -> None:
        if not self.is_writable:
            raise Refused(
                f"remote '{self.name}' is only read here: it came with the repository",
                hint=f"if you trust it: comfyvn-store remote trust {self.name}",
            )

    # -- in the loop -------------------------------------------------------------------------------------------------

    async def _connected(self) -> Link:
        """Gives the connection; many that want one at the same time share the attempt."""
        if self._link is not None and not self._link.is_lost:
            return self._link
        if self._linking is None:
            self._linking = asyncio.ensure_future(Link.open(self.name, self._target))
            self._linking.add_done_callback(self._note)
        return await asyncio.shield(self._linking)

    def _note(self, linking: asyncio.Task[Link]) -> None:
        self._linking = None
        if not linking.cancelled() and linking.exception() is None:
            self._link = linking.result()

    async def _ready(self) -> Link:
        """Gives the connection after `format` was read through it."""
        link = await self._connected()
        if not link.is_checked:
            session = await link.session()
            with link.busy(session) as client:
                await places.check_format(link, client, self._place)
            link.is_checked = True
        return link

    async def _create(self) -> None:
        link = await self._connected()
        with link.busy(await link.session()) as client:
            await places.make(link, client, self._place)
        link.is_checked = True

    async def _has(self, hashes: Sequence[str]) -> dict[str, int | None]:
        return await reading.sizes(await self._ready(), self._place, hashes)

    async def _shows(self, name: str) -> bool:
        return await reading.shows(await self._ready(), self._place, name)

    async def _begin_get(self, item: Item, start: int) -> tuple[reading.Download, bytes]:
        download = await reading.Download.begin(await self._ready(), self._place, item, start)
        try:
            return download, await download.next()
        except BaseException:
            await _quietly(download.end())
            raise

    async def _put_small(self, hash_: str, data: bytes) -> bool:
        link = await self._ready()
        await self._sweep(link)
        return await sending.send_whole(link, self._place, hash_, data)

    async def _begin_put(self, hash_: str, size: int) -> sending.Upload | None:
        link = await self._ready()
        await self._sweep(link)
        return await sending.Upload.begin(link, self._place, hash_, size)

    async def _sweep(self, link: Link) -> None:
        """Clears up in `tmp/` before the first object is sent."""
        if not self._is_swept:
            self._is_swept = True
            with link.busy(await link.session()) as client:
                await places.sweep(link, client, self._place)

    async def _fans(self) -> Sequence[str]:
        return await reading.fans(await self._ready(), self._place)

    async def _objects(self, fan: str) -> Sequence[Item]:
        return await reading.objects(await self._ready(), self._place, fan)

    async def _delete(self, path: str) -> None:
        link = await self._ready()
        with link.busy(await link.session()) as client:
            await places.remove(link, client, self._place, path)

    async def _sync(self, folders: Sequence[str]) -> None:
        link = await self._ready()
        with link.busy(await link.session()) as client:
            await places.sync_folders(link, client, folders)

    async def _close(self) -> None:
        link, self._link = self._link, None
        if self._linking is not None:
            self._linking.cancel()
        if link is not None:
            await link.close()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """Does what nobody waits for, and whose failure is nobody's concern."""
    with contextlib.suppress(Exception):
        await work


def _folder(address: Address) -> str:
    """Gives the path as the server is told it: relative ones hang on the home there. Raises UsageError."""
    path = "/" + "/".join(part for part in address.path.split("/") if part)
    if path in ("/", "/~") or not path.isprintable():
        raise UsageError(
            f"'{names.printable(address.url)}' names no folder",
            hint="as in sftp://user@host/srv/art, or sftp://user@host/~/art for a folder of its home",
        )
    return path.removeprefix("/~/")


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """Opens what is to be sent; a failure is our disk's."""
    try:
        stream = source.open()
    except OSError as error:
        raise from_os_error(error, f"read '{source.path}'") from error
    with stream:
        yield stream


def _blocks(stream: BinaryIO, path: str) -> Iterator[bytes]:
    """Gives all that a stream holds, whose reads may give less than they are asked for."""
    while True:
        parts, size = [], 0
        while size < BLOCK:
            try:
                part = stream.read(BLOCK - size)
            except OSError as error:
                raise from_os_error(error, f"read '{path}'") from error
            if not part:
                break
            parts.append(part)
            size += len(part)
        if not size:
            return
        yield b"".join(parts)


def _require_hash(digest: hashlib._Hash, hash_: str) -> None:
    if digest.hexdigest() != hash_:
        raise ObjectCorrupt(f"object {hash_[:16]} is damaged here; it was not sent")
