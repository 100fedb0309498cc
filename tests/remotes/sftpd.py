"""SFTP servers that are not OpenSSH: asyncssh's own, as it is and with what less able or less honest ones do."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh


class Plain(asyncssh.SFTPServer):
    """A server that has none of OpenSSH's extensions for renaming and syncing, and renames over nothing."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("not here")

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported("not here")

    def statvfs(self, path: bytes) -> Any:
        raise asyncssh.SFTPOpUnsupported("not here")


class Lying(asyncssh.SFTPServer):
    """A server that lists names which lead out of its folders, and kinds of files that they are not."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        regular = asyncssh.SFTPAttrs(permissions=0o100444, size=5)
        for name in (b"..", b"../ab", b"ab", b"/etc", b"\xff\xfe", b"../../" + b"0" * 56, b"0" * 62 + b"/x"):
            yield asyncssh.SFTPName(name, attrs=regular)


class Talkative(asyncssh.SFTPServer):
    """A server that answers a read with more than it was asked for."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        data: bytes = super().read(file_obj, offset, size)  # type: ignore[assignment]
        return data + b"x" * 1000 if size > 64 else data


class Stingy(asyncssh.SFTPServer):
    """A server that gives less than it was asked for, as it may."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        return super().read(file_obj, offset, min(size, 1000 if offset % 3 else 70_001))  # type: ignore[return-value]


class Broken(asyncssh.SFTPServer):
    """A server that fails, and says why in words that nobody should show as they are."""

    def lstat(self, path: bytes) -> Any:
        if b"/objects/" in path:
            raise asyncssh.SFTPFailure("\x1b[31mout of order\n" * 100)
        return super().lstat(path)


class Forbidding(asyncssh.SFTPServer):
    """A server that lets nobody write."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        if pflags & asyncssh.FXF_WRITE:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        return super().open(path, pflags, attrs)


class Unchangeable(asyncssh.SFTPServer):
    """A server on a disk whose files have no modes."""

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("Operation not permitted")


class Trickling(asyncssh.SFTPServer):
    """A server that gives a few bytes at a time, and those late."""

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        await asyncio.sleep(0.05)
        return super().read(file_obj, offset, min(size, 10))  # type: ignore[return-value]


class Full(asyncssh.SFTPServer):
    """A server whose disk is full, and that says so in words alone."""

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        raise asyncssh.SFTPFailure("No space left on device")


class AsyncsshServer:
    """Such a server on the loopback, in a thread of its own, that lets one key in."""

    def __init__(self, kind: type[asyncssh.SFTPServer], home: Path) -> None:
        ssh = home / ".ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        self._host = asyncssh.generate_private_key("ssh-ed25519")
        person = asyncssh.generate_private_key("ssh-ed25519")
        person.write_private_key(ssh / "id_ed25519")
        (ssh / "authorized").write_bytes(person.export_public_key())
        self._authorized = str(ssh / "authorized")
        self._kind = kind
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.get_port()
        kind_of_key, key = self._host.export_public_key().decode().split()[:2]
        (ssh / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind_of_key} {key}\n")

    def url(self, path: str | Path) -> str:
        """Gives the address of a folder there."""
        return f"sftp://artist@127.0.0.1:{self.port}{path}"

    def end(self) -> None:
        """Ends the server and its thread."""
        self._run(self._close())  # in the loop's own thread: asyncio knows no other
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _close(self) -> None:
        self._server.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self._host],
            authorized_client_keys=self._authorized,
            sftp_factory=self._kind,
        )
