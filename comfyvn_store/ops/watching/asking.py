"""HTTP questions to a ComfyUI server that may say anything: bounded answers, bounded time, no way to another host."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

from comfyvn_store.base import names
from comfyvn_store.errors import UsageError

_TIMEOUT = 30.0
_MOST_REDIRECTS = 3
LONGEST_JSON = 64 << 20
_LONGEST_FILE = 8 << 30
_BLOCK = 1 << 20
# A file of which less than this comes in a second is given up, once it had this long to begin.
_SLOWEST, _PATIENCE = 1024, 60.0


class Wrong(Exception):
    """An answer that is of no use; the message says why. `is_final`: asking again will not help."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Address(NamedTuple):
    """Where a server is; `base` is the path that all of its own begin with."""

    secure: bool
    host: str
    port: int
    base: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads a URL; without a scheme it is http. Raises UsageError."""
        shown = names.printable(url)
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            raise UsageError(f"'{shown}' is no URL", hint="such as http://127.0.0.1:8188") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise UsageError(f"'{shown}' is no URL of a ComfyUI server", hint="such as http://127.0.0.1:8188")
        secure = parts.scheme == "https"
        return cls(secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/"))

    @property
    def url(self) -> str:
        """The URL in one form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.base}"


def get_json(address: Address, path: str, query: Mapping[str, str]) -> Any:
    """Asks for JSON. Raises Wrong, OSError, http.client.HTTPException."""
    connection, answer = _get(address, path, query)
    try:
        data = b""
        deadline = time.monotonic() + _PATIENCE
        while block := answer.read(_BLOCK):
            data += block
            if len(data) > LONGEST_JSON:
                raise Wrong(f"its answer to {path} is longer than {LONGEST_JSON >> 20} MiB")
            if time.monotonic() > deadline:
                raise Wrong(f"its answer to {path} does not end")
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Wrong(f"its answer to {path} is no JSON") from None
    finally:
        connection.close()


def fetch(address: Address, path: str, query: Mapping[str, str], target: BinaryIO) -> int:
    """Writes an answer's body into a file and gives its size. Raises Wrong, OSError, http.client.HTTPException."""
    connection, answer = _get(address, path, query)
    try:
        said = answer.headers.get("Content-Length", "")
        expected = int(said) if said.isascii() and said.isdigit() else None
        if expected is not None and expected > _LONGEST_FILE:
            raise Wrong(f"it says that it has {expected} bytes", is_final=True)
        size, begun = 0, time.monotonic()
        while block := answer.read1(_BLOCK):
            size += len(block)
            if size > _LONGEST_FILE:
                raise Wrong(f"it does not end after {_LONGEST_FILE >> 30} GiB", is_final=True)
            target.write(block)
            taken = time.monotonic() - begun
            if taken > _PATIENCE and size < _SLOWEST * taken:
                raise Wrong("it comes too slowly")
        if expected is not None and size != expected:
            raise Wrong(f"it ended after {size} of {expected} bytes")
        return size
    finally:
        connection.close()


def _get(
    address: Address, path: str, query: Mapping[str, str]
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    target = f"{address.base}{path}" + (f"?{urlencode(query)}" if query else "")
    for _ in range(_MOST_REDIRECTS + 1):
        kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
        connection = kind(address.host, address.port, timeout=_TIMEOUT)
        try:
            connection.request("GET", target, headers={"Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status == 200:
                return connection, answer
            if answer.status not in (301, 302, 303, 307, 308):
                is_final = 400 <= answer.status < 500 and answer.status not in (408, 425, 429)
                raise Wrong(f"the server answered {answer.status}", is_final=is_final)
            target = _redirected(address, target, answer.headers.get("Location", ""))
        except BaseException:
            connection.close()
            raise
        connection.close()
    raise Wrong("the server sends from one address to the next", is_final=True)


def _redirected(address: Address, target: str, location: str) -> str:
    """Gives where on the same server an answer leads. Raises Wrong where it leads elsewhere."""
    try:
        parts = urlsplit(urljoin(f"{address.url}{target.removeprefix(address.base)}", location))
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise Wrong("the server sends to an address that is none", is_final=True) from None
    if (parts.scheme == "https", parts.hostname, port) != (address.secure, address.host.lower(), address.port):
        raise Wrong(f"the server sends to another one ({names.printable(location[:100])})", is_final=True)
    return parts.path + (f"?{parts.query}" if parts.query else "")
