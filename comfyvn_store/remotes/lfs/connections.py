"""Connections to one origin: how long they wait, and git's TLS and proxy settings for it.

With `http` the only module that knows urllib3.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
import warnings
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout, make_headers, parse_url

from comfyvn_store.errors import UsageError
from comfyvn_store.vcs.git import Git

WAITING = Timeout(connect=10.0, read=30.0)
# Seconds of one write, and of all of an answer's head.
_WRITE, _HEAD_WITHIN = 30.0, 60.0
# What is written at once has those seconds to go, so it is small.
_WRITTEN = 64 << 10

# They would write URLs with their queries: the one for whoever debugs, the other (a malformed head) to everybody.
for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(lambda record: False)


def new_pool(name: str, git: Git, origin_: str) -> urllib3.PoolManager:
    """Makes the connections to one origin, with what git's config and the environment say of it."""
    options: dict[str, Any] = {"maxsize": 32, "blocksize": _WRITTEN}
    if origin_.startswith("https:"):
        options["ssl_context"] = _context(name, git, origin_)
    proxy = _proxy(git, origin_)
    pool: urllib3.PoolManager
    if proxy:
        try:
            parts = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        except exceptions.LocationParseError:
            raise UsageError("the proxy's address makes no sense", hint="see http.proxy and https_proxy") from None
        if parts.scheme not in ("http", "https"):
            raise UsageError(f"a proxy of the kind '{parts.scheme}' is not known here", hint="use an http:// proxy")
        login = dict(make_headers(proxy_basic_auth=parts.auth)) if parts.auth else None
        pool = urllib3.ProxyManager(str(parts._replace(auth=None)), proxy_headers=login, **options)
    else:
        pool = urllib3.PoolManager(**options)
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool


def _context(name: str, git: Git, origin_: str) -> ssl.SSLContext:
    """Gives TLS as git would use it for a URL (git-config, `http.sslVerify`, `http.sslCAInfo`)."""
    context = ssl.create_default_context()
    environment = git.environment
    file = environment.get("GIT_SSL_CAINFO") or _config(git, "http.sslCAInfo", origin_, "--type=path")
    file = file or environment.get("SSL_CERT_FILE", "")
    if file:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError):
            raise UsageError(
                f"remote '{name}': the certificates in '{file}' cannot be read",
                hint="see http.sslCAInfo, GIT_SSL_CAINFO and SSL_CERT_FILE",
            ) from None
    if _config(git, "http.sslVerify", origin_, "--type=bool") == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        warnings.filterwarnings("ignore", category=exceptions.InsecureRequestWarning)
    return context


def _proxy(git: Git, origin_: str) -> str:
    """Gives the proxy for a URL, "" for none: git's config first, else the variables that curl heeds."""
    said = git.outcome("config", "--get-urlmatch", "http.proxy", origin_, check=False)
    if said.returncode == 0:
        return said.stdout.decode("utf-8", "replace").strip()
    parts = urlsplit(origin_)
    environment = git.environment
    if _is_exempt(parts.hostname or "", environment.get("no_proxy") or environment.get("NO_PROXY") or ""):
        return ""
    # HTTP_PROXY in capitals is what a web server would set from a header of its visitors (CVE-2016-5385).
    own = ("https_proxy", "HTTPS_PROXY") if parts.scheme == "https" else ("http_proxy",)
    return next(filter(None, map(environment.get, (*own, "all_proxy", "ALL_PROXY"))), "")


def _is_exempt(host: str, exempt: str) -> bool:
    """Whether a host is one that `no_proxy` names: by its name, or that of a domain above it; `*` means all."""
    names = [name.strip().lower().rpartition(":")[0] or name.strip().lower() for name in exempt.split(",")]
    names = [name.lstrip(".") for name in names if name]
    return any(name == "*" or host == name or host.endswith(f".{name}") for name in names)


def _config(git: Git, key: str, url: str, *options: str) -> str:
    return git.text("config", *options, "--get-urlmatch", key, url, check=False)


class _Watched:
    """A connection whose answers' heads have to come within a time, however they drip."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock.settimeout(_WRITE)

    def getresponse(self) -> Any:
        timer = threading.Timer(_HEAD_WITHIN, _cut, (self.sock,))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()


class _Plain(_Watched, HTTPConnection):
    pass


class _Secure(_Watched, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


def _cut(sock: Any) -> None:
    with contextlib.suppress(OSError, AttributeError):
        sock.shutdown(2)
