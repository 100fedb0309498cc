"""HTTP as this kind of remote needs it: kept connections, redirects that are followed with care, bodies that are bounded.

The exceptions of urllib3 hold URLs, whose queries may be credentials, so none of their text is passed on.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from comfyvn_store.errors import ComfyvnError, RemoteUnreachable
from comfyvn_store.remotes.lfs.connections import WAITING, new_pool
from comfyvn_store.remotes.lfs.endpoint import origin
from comfyvn_store.remotes.lfs.parsing import is_web_url, parse_json
from comfyvn_store.vcs.git import Git

REDIRECTS = 5
# What is read of a body at once: a server that drips gives small blocks, so whoever watches sees it.
PORTION = 256 << 10
# Pieces smaller than that are gathered, for so many seconds.
_GATHERED, _MOMENT = 64 << 10, 0.25
# Seconds for a body that is read as a whole.
BODY_WITHIN = 60.0
_AGENT = "comfyvn-store"


class Body(NamedTuple):
    """What is sent: opened anew for each attempt, `size` bytes."""

    open: Callable[[], BinaryIO]
    size: int

    @classmethod
    def of(cls, data: bytes) -> Body:
        """Gives bytes as a body."""
        return cls(lambda: io.BytesIO(data), len(data))


class Answer:
    """The head of an answer, and its body as it comes. `origin` is who gave it, after redirects; `sent` what was private."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, name: str, origin_: str, sent: Mapping[str, str]) -> None:
        self._raw = raw
        self._name = name
        self.origin = origin_
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.sent = sent

    @property
    def host(self) -> str:
        """Who answered, for messages."""
        return urlsplit(self.origin).netloc

    def blocks(self) -> Iterator[bytes]:
        """Gives the body's bytes as they come. Raises RemoteUnreachable where it breaks off, after giving what came.

        Small pieces are gathered for a moment: some servers send one for each line feed in a picture.
        """
        held: list[bytes] = []
        size, since = 0, 0.0
        is_whole = False
        try:
            while not is_whole:
                try:
                    with _explained(self._name, self.host):
                        piece = self._raw.read1(PORTION, decode_content=False)
                except RemoteUnreachable:
                    if held:
                        yield b"".join(held)
                    raise
                is_whole = not piece
                if piece:
                    since = since if held else time.monotonic()
                    held.append(piece)
                    size += len(piece)
                if held and (is_whole or size >= _GATHERED or time.monotonic() - since > _MOMENT):
                    yield b"".join(held)
                    held, size = [], 0
        finally:
            if is_whole:
                self._raw.release_conn()
            else:
                self.close()

    def read(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> bytes | None:
        """Gives all of the body, None if it is longer than `limit` or takes too long."""
        deadline = clock() + BODY_WITHIN
        found = bytearray()
        for block in self.blocks():
            found += block
            if len(found) > limit or clock() > deadline:
                self.close()
                return None
        return bytes(found)

    def json(self, limit: int) -> Any:
        """Gives the body read as JSON; None where it is none, or too much."""
        data = self.read(limit)
        return None if data is None else parse_json(data)

    def close(self) -> None:
        """Leaves the rest of the body, and with it the connection."""
        with contextlib.suppress(Exception):
            self._raw.close()


class Web:
    """The connections of one remote, for all threads together."""

    def __init__(self, name: str, git: Git) -> None:
        self._name = name
        self._git = git
        self._lock = threading.Lock()
        self._pools: dict[str, urllib3.PoolManager] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        private: Mapping[str, str],
        body: Body | None = None,
        is_plain: bool,
        is_chunked: bool = False,
    ) -> Answer:
        """Asks, and follows redirects; `private` headers go to the first host only. Raises RemoteUnreachable.

        `is_plain` allows HTTP without TLS. An answer of any status is an answer.
        """
        sent = dict(private)
        first = origin(url)
        for _ in range(REDIRECTS + 1):
            raw = self._send(method, url, {**headers, **sent}, body, is_chunked)
            here = origin(url)
            if raw.status not in (301, 302, 303, 307, 308) or "location" not in raw.headers:
                return Answer(raw, self._name, here, sent)
            raw.close()
            target = self._target(url, raw.headers["location"], is_plain=is_plain and here.startswith("http:"))
            if raw.status == 303 and method != "GET":
                break
            if origin(target) != first:
                sent = {}
            url = target
        raise RemoteUnreachable(
            f"remote '{self._name}': {urlsplit(url).netloc} redirects in a way that leads nowhere",
            hint="is the address right? `git remote -v` and `git config lfs.url` show it",
        )

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _target(self, url: str, location: str, *, is_plain: bool) -> str:
        """Gives where a redirect leads. Raises RemoteUnreachable where it must not be followed."""
        try:
            target = urljoin(url, location)
        except ValueError:
            target = ""
        if not is_web_url(target, is_plain=is_plain):
            raise RemoteUnreachable(
                f"remote '{self._name}': {urlsplit(url).netloc} redirects to what is not HTTPS; it is not followed"
            )
        return target.partition("#")[0]

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, is_chunked: bool
    ) -> urllib3.BaseHTTPResponse:
        """Sends one request; once more over a new connection where a kept one had been closed meanwhile."""
        host = urlsplit(url).netloc
        all_headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
        if body is not None and not is_chunked:
            all_headers["Content-Length"] = str(body.size)
        for is_last in (False, True):
            stream = body.open() if body is not None else None
            try:
                with _explained(self._name, host, fresh=is_last):
                    return self._pool(origin(url)).urlopen(
                        method,
                        url,
                        headers=all_headers,
                        body=stream,
                        chunked=is_chunked,
                        redirect=False,
                        retries=False,
                        preload_content=False,
                        decode_content=False,
                        timeout=WAITING,
                    )
            except _ClosedMeanwhile:
                continue
            finally:
                if stream is not None:
                    stream.close()
        raise AssertionError("the second attempt returns or raises")

    def _pool(self, origin_: str) -> urllib3.PoolManager:
        with self._lock:
            if origin_ not in self._pools:
                self._pools[origin_] = new_pool(self._name, self._git, origin_)
            return self._pools[origin_]


class _ClosedMeanwhile(Exception):
    """A kept connection was closed by the server before it saw the request."""


@contextlib.contextmanager
def _explained(name: str, host: str, *, fresh: bool = True) -> Iterator[None]:
    """Tells failures of the network in our errors; with `fresh` false one that a new connection may mend."""
    try:
        yield
    except ComfyvnError:
        raise
    except (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError, AttributeError) as error:
        if not fresh and _is_closed_meanwhile(error):
            raise _ClosedMeanwhile from None
        raise _error(name, host, error) from None


def _is_closed_meanwhile(error: Exception) -> bool:
    cause = error.args[1] if isinstance(error, exceptions.ProtocolError) and len(error.args) > 1 else error
    return isinstance(cause, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError)


def _error(name: str, host: str, error: Exception) -> RemoteUnreachable:
    start = f"remote '{name}':"
    if isinstance(error, exceptions.SSLError | ssl.SSLError):
        return RemoteUnreachable(
            f"{start} the connection to {host} is not secure: its certificate is not trusted, or TLS failed",
            hint="where your own authority signed it: git config http.sslCAInfo FILE",
        )
    if isinstance(error, exceptions.ProxyError):
        return RemoteUnreachable(
            f"{start} the proxy does not lead to {host}", hint="see http.proxy and https_proxy", is_passing=True
        )
    if isinstance(error, exceptions.ReadTimeoutError | TimeoutError):
        return RemoteUnreachable(f"{start} {host} does not answer in time", hint="try again later", is_passing=True)
    if isinstance(
        error, exceptions.ConnectTimeoutError | exceptions.NewConnectionError | exceptions.NameResolutionError
    ):
        return RemoteUnreachable(f"{start} cannot reach {host}", hint="are you online?", is_passing=True)
    if isinstance(error, exceptions.ProtocolError | OSError | http.client.HTTPException):
        return RemoteUnreachable(
            f"{start} the connection to {host} broke off", hint="run the command again", is_passing=True
        )
    return RemoteUnreachable(f"{start} {host} cannot be asked, or its answer makes no sense")
