"""Sending one object: into a file of its own in `tmp/`, made durable, looked at, and only then given its name.

Requests that concern one file are answered as if they were worked on in the order they were sent (SFTP version 3, section
6.1), so they are sent without waiting; what went wrong with any of them is seen before the rename.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from comfyvn_store.errors import ComfyvnError, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.sftp import failures
from comfyvn_store.remotes.sftp import place as places
from comfyvn_store.remotes.sftp.link import Link, Session
from comfyvn_store.remotes.sftp.place import Place, all_of

if TYPE_CHECKING:
    import asyncssh

# Bytes of one write request, at most, whatever the server would take.
_WRITE = 256 * 1024 - 1024
_READ_ONLY = 0x1  # f_flag of statvfs@openssh.com (OpenSSH PROTOCOL, section 4.4: SSH_FXE_STATVFS_ST_RDONLY)


class Upload:
    """One object on its way. `begin` makes it; then `write`, in any order, and `finish`, or `abandon`."""

    def __init__(self, link: Link, place: Place, session: Session, hash_: str, size: int) -> None:
        self._link = link
        self._place = place
        self._session = session
        self._client = session.client
        self._hash = hash_
        self._size = size
        self._target = place.object(hash_)
        self._path = place.incoming()
        self._file: asyncssh.SFTPClientFile | None = None

    @classmethod
    async def begin(cls, link: Link, place: Place, hash_: str, size: int) -> Upload | None:
        """Opens a file for an object of `size` bytes; gives None if the object is there. Raises our errors or asyncssh's."""
        session = await link.session()
        upload = cls(link, place, session, hash_, size)
        session.busy += 1
        try:
            if await upload._open():
                return upload
        except BaseException as error:
            await upload.abandon()
            raise await upload._why(error) from error
        await upload.abandon()
        return None

    async def write(self, offset: int, data: bytes) -> None:
        """Writes all of `data` at an offset."""
        try:
            await all_of(*self._writes(offset, data))
        except Exception as error:
            raise await self._why(error) from error

    async def finish(self, offset: int = 0, data: bytes = b"") -> None:
        """Gives the object its name, after the last bytes, which are written at `offset`; all of it is there then."""
        import asyncssh

        assert self._file is not None
        file = self._file
        try:
            # One task each, which start in this order and send their request when they start.
            found = await asyncio.gather(
                *self._writes(offset, data),
                places.sync(self._link, file),
                self._protect(file),
                self._link.ask(file.stat()),
                self._link.ask(file.close()),
                return_exceptions=True,
            )
            self._file = None
            for each in found:
                if isinstance(each, BaseException):
                    raise each
            written = found[-2]
            assert isinstance(written, asyncssh.SFTPAttrs)
            if written.size != self._size:
                raise RemoteUnreachable(
                    f"remote '{self._place.remote}' kept {written.size} of {self._size} bytes of an object",
                    hint="is its disk full?",
                )
            await self._rename()
        except Exception as error:
            raise await self._why(error) from error
        self._session.busy -= 1

    async def abandon(self) -> None:
        """Takes away what was sent, as far as that can be."""
        self._session.busy -= 1
        with contextlib.suppress(Exception):
            if self._file is not None:
                await self._link.ask(self._file.close())
            await self._link.ask(self._client.remove(self._path))

    def _writes(self, offset: int, data: bytes) -> list[Coroutine[Any, Any, Any]]:
        """Gives the requests that write `data`."""
        assert self._file is not None
        portion = min(self._client.limits.max_write_len or _WRITE, _WRITE)
        return [self._write(offset + at, data[at : at + portion]) for at in range(0, len(data), portion)]

    async def _protect(self, file: asyncssh.SFTPClientFile) -> None:
        """Makes the file read-only, where the disk there knows such a thing."""
        import asyncssh

        now = int(time.time())
        # A whole second: how the store tells an object that nobody wrote to.
        attrs = asyncssh.SFTPAttrs(permissions=0o444, atime=now, mtime=now)
        try:
            await self._link.ask(file.setstat(attrs))
        except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported):
            return

    async def _write(self, offset: int, data: bytes) -> None:
        assert self._file is not None
        await self._link.ask(places.write(self._file, data, offset))

    async def _open(self) -> bool:
        """Opens the file while it asks whether the folder is ours and the object not there."""

        opening = asyncio.ensure_future(self._link.ask(places.open_file(self._client, self._path, "xb", 0o600)))
        try:
            ours, there = await all_of(
                places.held(self._link, self._client, self._place.format),
                places.held(self._link, self._client, self._target),
            )
            if ours is None:
                raise self._place.no_remote()
        finally:
            await asyncio.wait({opening})
            if opening.exception() is None:
                self._file = opening.result()
        opening.result()
        return there != self._size

    async def _rename(self) -> None:
        """Gives the file its object's name; the file of another sender that was faster is as good."""
        import asyncssh

        link, client = self._link, self._client
        for is_last in (False, False, False, True):
            try:
                await places.rename(link, client, self._path, self._target)
                return
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                if is_last:
                    raise
                await places.make_folder(link, client, self._place.fan(self._hash))
            except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
                # A server that renames over nothing that is there, and perhaps another sender at the same time.
                there = await places.held(link, client, self._target)
                if there == self._size:
                    await link.ask(client.remove(self._path))
                    return
                if is_last:
                    raise
                with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                    await link.ask(client.remove(self._target))

    async def _why(self, error: BaseException) -> BaseException:
        """Gives the error again, or what is behind it: OpenSSH has one code for all that its protocol does not name."""
        import asyncssh

        if isinstance(error, ComfyvnError) or not isinstance(error, asyncssh.SFTPFailure):
            return error
        try:
            disk = await self._link.ask(self._client.statvfs(f"{self._place.root}/tmp"))
        except (asyncssh.SFTPError, ComfyvnError):
            return error
        if disk.flags & _READ_ONLY:
            return RemoteDenied(f"the disk of remote '{self._place.remote}' is mounted read-only there")
        if disk.bavail * disk.frsize < max(self._size, disk.frsize) or (disk.files and not disk.favail):
            return failures.full(self._place.remote)
        return error


async def send_whole(link: Link, place: Place, hash_: str, data: bytes) -> bool:
    """Sends a small object; gives False if it was there."""
    upload = await Upload.begin(link, place, hash_, len(data))
    if upload is None:
        return False
    try:
        await upload.finish(0, data)
    except BaseException:
        await upload.abandon()
        raise
    return True
