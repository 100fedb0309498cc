"""One connection to a server, with several SFTP sessions on it, and the thread in which all of that happens.

`Bridge` lets any thread call what runs in the event loop. `Link` sees to it that no request waits for ever: a server that
is silent for too long while it is asked something has lost the connection, whatever it does next.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.remotes.sftp import failures
from comfyvn_store.remotes.sftp.login import CONNECTING, Target, log_in

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

# Seconds without any answer after which a server that owes one is given up.
QUIET = 60.0
# Sessions of one connection, at most. The server answers the requests of a session one after the other, so while it makes
# an object durable the other sessions go on. OpenSSH allows ten (sshd_config, MaxSessions).
SESSIONS = 4
_CLOSING = 5.0


class Bridge:
    """An event loop in a thread of its own, made at the first call and again after `close`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Starts `work` in the loop."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def mention(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts `work`, for which nobody waits and whose failure is nobody's concern; not at all after `close`."""
        with self._lock:
            if self._loop is None:
                work.close()
            else:
                asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Runs `last`, within bounded time, and ends the thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            last.close()
            return
        ending = asyncio.run_coroutine_threadsafe(last, loop)
        with contextlib.suppress(Exception):
            ending.result(_CLOSING)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSING)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    # What fails is told to whoever asked; what nobody asked for any more is no news for a terminal.
    loop.set_exception_handler(lambda *_: None)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        loop.close()


class Session:
    """One SFTP session; `busy` counts what goes on in it."""

    def __init__(self, client: asyncssh.SFTPClient) -> None:
        self.client = client
        self.busy = 0


class Link:
    """A connection that is there. All methods run in the loop."""

    def __init__(self, name: str, target: Target, connection: asyncssh.SSHClientConnection) -> None:
        self.name = name
        self.is_lost = False
        # Whether the folder's `format` was read.
        self.is_checked = False
        self._target = target
        self._connection = connection
        self._sessions: list[Session] = []
        self._most = SESSIONS
        self._opening = asyncio.Lock()
        self._asking: set[asyncio.Task[Any]] = set()
        self._heard = time.monotonic()
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    @classmethod
    async def open(cls, name: str, target: Target) -> Link:
        """Logs in and opens the first session. Raises our errors."""
        try:
            async with asyncio.timeout(CONNECTING * 2):
                link = cls(name, target, await log_in(target))
                try:
                    await link._open_session()
                except BaseException:
                    link.drop()
                    raise
                return link
        except Exception as error:
            known = failures.explained(error, name, target, is_login=True)
            if known is None or known is error:
                raise
            raise known from error

    async def ask(self, request: Coroutine[Any, Any, T]) -> T:
        """Awaits the answer to a request. Raises RemoteUnreachable if the connection is lost meanwhile."""
        task = asyncio.current_task()
        assert task is not None
        if self.is_lost:
            request.close()
            raise failures.lost(self.name, self._target.host, "broke the connection")
        if not self._asking:
            self._heard = time.monotonic()
        self._asking.add(task)
        try:
            return await request
        except asyncio.CancelledError:
            if self.is_lost:
                raise failures.lost(self.name, self._target.host, "does not answer any more") from None
            raise
        finally:
            self._asking.discard(task)
            self._heard = time.monotonic()

    async def session(self) -> Session:
        """Gives the session in which the least goes on; a new one if there is none that is free."""
        found = min(self._sessions, key=lambda each: each.busy)
        if found.busy and len(self._sessions) < self._most and not self._opening.locked():
            async with self._opening:
                try:
                    found = await self._open_session()
                except ComfyvnError:
                    raise
                except Exception:
                    # The server allows no more of them.
                    self._most = len(self._sessions)
        return found

    async def _open_session(self) -> Session:
        session = Session(await self.ask(_start(self._connection)))
        self._sessions.append(session)
        return session

    @contextlib.contextmanager
    def busy(self, session: Session) -> Iterator[asyncssh.SFTPClient]:
        """Counts what goes on in a session."""
        session.busy += 1
        try:
            yield session.client
        finally:
            session.busy -= 1

    def drop(self) -> None:
        """Gives the connection up; whoever waits for an answer gets an error."""
        self.is_lost = True
        self._connection.abort()
        for task in list(self._asking):
            task.cancel()

    async def close(self) -> None:
        """Ends the connection in an orderly way."""
        self.is_lost = True
        self._watching.cancel()
        self._connection.close()
        await self._connection.wait_closed()

    async def _watch(self) -> None:
        closed = asyncio.ensure_future(self._connection.wait_closed())
        while not closed.done():
            await asyncio.wait({closed}, timeout=QUIET / 12)
            if self._asking and time.monotonic() - self._heard > QUIET:
                break
        self.drop()


async def _start(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
    return await connection.start_sftp_client()
