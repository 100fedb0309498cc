"""Credentials for HTTP, from `git credential` and only after a server asked (401). Nothing is kept but in memory.

Basic authentication, one answer for each origin (scheme, host, port): what one host accepts never goes to another.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from comfyvn_store.errors import RemoteDenied
from comfyvn_store.remotes.lfs.endpoint import Endpoint
from comfyvn_store.vcs.git import Git


@dataclass
class _Login:
    """What `git credential` gave, in its own words, and the header made of it."""

    words: str = field(repr=False)
    header: str | None = field(default=None, repr=False)
    is_approved: bool = False
    is_refused: bool = False


class Credentials:
    """The credentials of one remote, for all threads together."""

    def __init__(self, name: str, endpoint: Endpoint, git: Git) -> None:
        self._name = name
        self._endpoint = endpoint
        self._git = git
        self._lock = threading.Lock()
        self._logins: dict[str, _Login] = {}

    def header(self, origin: str) -> str | None:
        """Gives the Authorization for an origin, None where nobody asked for it yet."""
        with self._lock:
            login = self._logins.get(origin)
            return login.header if login is not None and not login.is_refused else None

    def after_refusal(self, origin: str, used: str | None) -> str:
        """Gives another Authorization, after an origin answered 401 to `used`. Raises RemoteDenied.

        A person or helper is asked once for each origin, whatever the number of threads and of refusals.
        """
        with self._lock:
            login = self._logins.get(origin)
            if login is None:
                login = self._logins[origin] = self._fill(origin)
            elif login.header is not None and login.header == used and not login.is_refused:
                login.is_refused = True
                self._tell("reject", login)
            if login.header is None or login.is_refused:
                raise self._denied(origin, has_login=login.header is not None)
            return login.header

    def accepted(self, origin: str, used: str | None) -> None:
        """Is told that an origin took `used`."""
        with self._lock:
            login = self._logins.get(origin)
            if login is not None and used is not None and login.header == used and not login.is_approved:
                login.is_approved = True
                self._tell("approve", login)

    def _fill(self, origin: str) -> _Login:
        parts = urlsplit(origin)
        lines = [f"protocol={parts.scheme}", f"host={parts.netloc}"]
        path = urlsplit(self._endpoint.url).path.strip("/").removesuffix("/info/lfs")
        if path:
            lines.append(f"path={path}")
        if parts.hostname == urlsplit(self._endpoint.url).hostname:
            if self._endpoint.user:
                lines.append(f"username={self._endpoint.user}")
            if self._endpoint.user and self._endpoint.password:
                lines.append(f"password={self._endpoint.password}")
        if any("\n" in line or "\0" in line or "\r" in line for line in lines):
            return _Login("")
        done = self._git.outcome(
            "credential", "fill", data="".join(f"{line}\n" for line in lines).encode(), check=False
        )
        words = done.stdout.decode("utf-8", "surrogateescape")
        said = dict(line.partition("=")[::2] for line in words.splitlines())
        if done.returncode != 0 or "username" not in said or not said.get("password"):
            return _Login("")
        token = f"{said['username']}:{said['password']}".encode("utf-8", "surrogateescape")
        return _Login(words, f"Basic {base64.b64encode(token).decode('ascii')}")

    def _tell(self, verb: str, login: _Login) -> None:
        """Tells git's helpers how it went; what they make of that is theirs."""
        self._git.outcome("credential", verb, data=login.words.encode("utf-8", "surrogateescape"), check=False)

    def _denied(self, origin: str, *, has_login: bool) -> RemoteDenied:
        host = urlsplit(origin).netloc
        if has_login:
            return RemoteDenied(
                f"remote '{self._name}': {host} does not take the user name and password that `git credential` gave",
                hint="a forge mostly wants an access token as the password; run the command again to be asked anew",
            )
        return RemoteDenied(
            f"remote '{self._name}': {host} wants a user name and a password, and `git credential` has none",
            hint="set up a credential helper, or run the command in a terminal, where git asks",
        )
