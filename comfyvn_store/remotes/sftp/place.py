"""The folder on the server: its layout, whether it is one of ours, making it one, clearing up in it.

The layout is the store's own (docs/formats/store.md): `format`, `objects/ab/<62 hex>`, `tmp/`. A folder without `format` is
taken for a disk that is not mounted, and nothing is written there.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from comfyvn_store.base import links, names
from comfyvn_store.errors import NewerStore, RemoteUnreachable, UsageError
from comfyvn_store.remotes.sftp.link import Link
from comfyvn_store.store.objects import FORMAT

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

# Seconds after the last write to a file in `tmp/` until it is taken for what a sender left that ended badly.
SWEEP_AGE = 86400.0
# Files of `tmp/` that are looked at when clearing up, and names in one folder that are believed, at most.
_SWEPT = 10_000
MOST_NAMES = 200_000


class Place(NamedTuple):
    """A folder on a server; `root` begins with `/`, or hangs on where the server starts a session."""

    remote: str
    root: str

    def object(self, hash_: str) -> str:
        """Gives an object's path. Raises UsageError for what is no hash."""
        if not links.is_hash(hash_):
            raise UsageError(f"'{names.printable(hash_[:80])}' is no SHA-256")
        return f"{self.root}/{links.object_name(hash_)}"

    def fan(self, hash_: str) -> str:
        """Gives the folder of an object."""
        return f"{self.root}/objects/{hash_[:2]}"

    def incoming(self) -> str:
        """Gives a new path in `tmp/`."""
        return f"{self.root}/tmp/in-{os.urandom(12).hex()}"

    @property
    def format(self) -> str:
        """The file that says what the folder is."""
        return f"{self.root}/format"

    def no_remote(self) -> RemoteUnreachable:
        """Gives the error for a folder that is none of ours."""
        return RemoteUnreachable(
            f"'{self.root}' on the server of remote '{self.remote}' holds no store",
            hint="is the disk mounted there? If it is a new one: comfyvn-store remote add",
        )


async def all_of(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Runs all at once, so that their requests go out together, to the end of each; raises the first error."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]


def size_of_object(attrs: asyncssh.SFTPAttrs) -> int | None:
    """Gives a file's size, or None where it is no regular file: links are no objects, nor is anything else."""
    if attrs.permissions is None or not stat.S_ISREG(attrs.permissions) or attrs.size is None:
        return None
    return attrs.size


async def held(link: Link, client: asyncssh.SFTPClient, path: str) -> int | None:
    """Gives the size of the object at a path, or None if there is none."""
    import asyncssh

    try:
        return size_of_object(await link.ask(client.lstat(path)))
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return None


async def require(link: Link, client: asyncssh.SFTPClient, place: Place) -> None:
    """Raises RemoteUnreachable if the folder is none of ours."""
    if await held(link, client, place.format) is None:
        raise place.no_remote()


async def check_format(link: Link, client: asyncssh.SFTPClient, place: Place) -> None:
    """Reads `format`. Raises RemoteUnreachable, NewerStore."""
    import asyncssh

    try:
        file = await link.ask(open_file(client, place.format, "rb"))
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        raise place.no_remote() from None
    try:
        found = (await link.ask(read(file, 64, 0))).decode("ascii", "replace").strip()
    finally:
        await link.ask(file.close())
    if found != FORMAT:
        raise NewerStore(
            f"remote '{place.remote}' has format '{names.printable(found)}', and this version knows only '{FORMAT}'",
            hint="install a newer comfyvn-store",
        )


async def make(link: Link, client: asyncssh.SFTPClient, place: Place) -> None:
    """Makes the folder a remote; what is there stays. The folder above it must be there."""
    import asyncssh

    above = place.root.rpartition("/")[0] or ("/" if place.root.startswith("/") else ".")
    try:
        await link.ask(client.stat(above))
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        raise RemoteUnreachable(
            f"there is no folder '{above}' on the server to make remote '{place.remote}' in",
            hint="make it there first, or mount the disk",
        ) from None
    for folder in (place.root, f"{place.root}/objects", f"{place.root}/tmp"):
        await make_folder(link, client, folder)
    if await held(link, client, place.format) is None:
        path = place.incoming()
        file = await link.ask(open_file(client, path, "xb"))
        await link.ask(write(file, f"{FORMAT}\n".encode(), 0))
        await sync(link, file)
        await link.ask(file.close())
        await rename(link, client, path, place.format)
    await check_format(link, client, place)


async def make_folder(link: Link, client: asyncssh.SFTPClient, path: str) -> None:
    """Makes a folder, unless it is there."""
    import asyncssh

    try:
        await link.ask(client.mkdir(path))
    except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists, asyncssh.SFTPPermissionDenied):
        # Version 3 of the protocol has no code of its own for what is there already.
        if not await link.ask(client.isdir(path)):
            raise


async def rename(link: Link, client: asyncssh.SFTPClient, path: str, target: str) -> None:
    """Gives a file its name at once, also where another has it. Raises what asyncssh raises."""
    import asyncssh

    try:
        await link.ask(client.posix_rename(path, target))
    except asyncssh.SFTPOpUnsupported:
        await link.ask(client.rename(path, target))


async def sync(link: Link, file: asyncssh.SFTPClientFile) -> None:
    """Makes a file or a folder durable, where the server can do that."""
    import asyncssh

    try:
        await link.ask(file.fsync())
    except asyncssh.SFTPOpUnsupported:
        return


async def sync_folders(link: Link, client: asyncssh.SFTPClient, folders: Sequence[str]) -> None:
    """Makes the names in folders durable, as far as the server lets folders be opened and synced; OpenSSH's does."""
    import asyncssh

    for folder in folders:
        try:
            file = await link.ask(open_file(client, folder, "rb"))
        except asyncssh.SFTPError:
            return
        try:
            await sync(link, file)
        except asyncssh.SFTPFailure:
            return
        finally:
            await link.ask(file.close())


async def entries(
    link: Link, client: asyncssh.SFTPClient, folder: str, most: int
) -> list[tuple[str, asyncssh.SFTPAttrs]]:
    """Gives what lies in a folder, `most` of it at most, by names that may be anything."""
    found: list[tuple[str, asyncssh.SFTPAttrs]] = []
    scan = client.scandir(folder.encode())
    try:
        while len(found) < most:
            entry = await link.ask(_next(scan))
            found.append((os.fsdecode(entry.filename), entry.attrs))
    except StopAsyncIteration:
        pass
    finally:
        if isinstance(scan, AsyncGenerator):
            await scan.aclose()
    return found


async def remove(link: Link, client: asyncssh.SFTPClient, place: Place, path: str) -> None:
    """Removes a file of ours, unless it is not there. Raises RemoteUnreachable if the folder is none of ours."""
    import asyncssh

    await require(link, client, place)
    try:
        await link.ask(client.remove(path))
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return


async def sweep(link: Link, client: asyncssh.SFTPClient, place: Place) -> None:
    """Removes what senders that ended badly left in `tmp/`, by the server's clock."""
    import asyncssh

    try:
        trial = place.incoming()
        file = await link.ask(open_file(client, trial, "xb"))
        now = time_of(await link.ask(file.stat()))
        await link.ask(file.close())
        await link.ask(client.remove(trial))
        left = await entries(link, client, f"{place.root}/tmp", _SWEPT)
    except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, asyncssh.SFTPNoSuchFile):
        return  # whoever sends next is told
    for name, attrs in left:
        if name.startswith("in-") and "/" not in name and now - time_of(attrs) > SWEEP_AGE:
            try:
                await link.ask(client.remove(f"{place.root}/tmp/{name}"))
            except asyncssh.SFTPError:
                continue  # another person's, which is not ours to clear up


async def _next(scan: AsyncIterator[asyncssh.SFTPName]) -> asyncssh.SFTPName:
    return await anext(scan)


def time_of(attrs: asyncssh.SFTPAttrs) -> float:
    """Gives when a file was written, by the server's clock."""
    return float(attrs.mtime) if attrs.mtime is not None else time.time()


async def open_file(
    client: asyncssh.SFTPClient, path: str, mode: str, permissions: int | None = None
) -> asyncssh.SFTPClientFile:
    """Opens a file, each read and write of which is one request."""
    import asyncssh

    return await client.open(path, mode, asyncssh.SFTPAttrs(permissions=permissions), block_size=0)


async def read(file: asyncssh.SFTPClientFile, size: int, offset: int) -> bytes:
    """Asks once for bytes; none is the end."""
    # The library's type is of text, for files that are opened as such.
    return cast(bytes, await file.read(size, offset))


async def write(file: asyncssh.SFTPClientFile, data: bytes, offset: int) -> None:
    """Sends bytes in one request."""
    await file.write(cast(str, data), offset)
