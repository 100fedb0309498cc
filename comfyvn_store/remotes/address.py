"""The address of a remote: what a URL means, told without opening anything.

    file:///mnt/usb/art   file:../art-store   a folder; a relative one hangs on the work tree's top
    s3://bucket/prefix    gs://bucket/prefix  az://container/prefix     ?endpoint=URL&region=NAME where the cloud has several
    lfs:                  lfs:NAME            lfs:https://host/repo.git/info/lfs
    sftp://user@host:port/folder

Credentials are no part of an address: one that holds a password is refused wherever it comes from.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from comfyvn_store.base import names
from comfyvn_store.errors import UsageError

FOLDER, BUCKET, LFS, SFTP = "folder", "bucket", "lfs", "sftp"
_KINDS = {"file": FOLDER, "s3": BUCKET, "gs": BUCKET, "az": BUCKET, "lfs": LFS, "sftp": SFTP}
# What may stand behind the question mark of a bucket's address; everything else could be a credential.
_OPTIONS = frozenset(("endpoint", "region"))
# A region becomes part of a host's name in some clouds.
_REGION = re.compile(r"[a-z0-9-]{1,32}\Z")


class Address(NamedTuple):
    """An address, read. `path` is a folder's absolute path, a prefix in a bucket, or a path on an SFTP server; `options`
    hold a bucket's endpoint and region; `rest` is what follows the colon of a Git LFS address."""

    url: str
    kind: str
    scheme: str
    host: str = ""
    port: int | None = None
    user: str | None = None
    path: str = ""
    options: tuple[tuple[str, str], ...] = ()
    rest: str = ""

    def option(self, name: str) -> str | None:
        """Gives one option."""
        return dict(self.options).get(name)


def is_scheme(text: str) -> bool:
    """Tells whether an address may begin with that word and a colon."""
    return text in _KINDS


def parse(url: str, top: str) -> Address:
    """Reads an address; `top` is the work tree's top. Raises UsageError, also for one that holds a credential."""
    scheme, colon, rest = url.partition(":")
    kind = _KINDS.get(scheme) if colon else None
    if not url.isprintable() or (" " in url.strip(" ") and kind != FOLDER):
        raise UsageError(f"'{names.printable(url)}' is no address of a remote")
    if kind is None:
        raise UsageError(
            f"'{names.printable(without_secrets(url))}' is no address of a remote",
            hint="addresses look like file:///mnt/usb/art, s3://bucket/art, lfs: or sftp://host/folder",
        )
    if kind == FOLDER:
        return Address(url, kind, scheme, path=_folder(url, rest, top))
    if kind == LFS:
        _refuse_secrets(rest)
        if "@" in rest.partition("//")[2].partition("/")[0]:
            raise UsageError(
                f"'{names.printable(without_secrets(url).partition('//')[0])}//…' names a user, which may be a token",
                hint="leave out what stands before the @; `git credential` knows who you are",
            )
        return Address(url, kind, scheme, rest=rest)
    return _on_server(url, kind)


def _folder(url: str, rest: str, top: str) -> str:
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise UsageError(
                f"'{names.printable(url)}' names a folder on another machine",
                hint="mount it and name the mounted folder, or use sftp://",
            )
        rest = "/" + path
    path = unquote(rest)
    if not path or "\0" in path:
        raise UsageError(f"'{names.printable(url)}' names no folder", hint="as in file:///mnt/usb/art")
    return os.path.normpath(os.path.join(top, path))


def _on_server(url: str, kind: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"'{names.printable(without_secrets(url))}' is no address of a remote") from None
    path = unquote(parts.path)
    if not parts.hostname or parts.password is not None:
        _refuse_secrets(url)
    if not parts.hostname or parts.fragment or any(part in ("..", ".") for part in path.split("/")):
        raise UsageError(
            f"'{names.printable(url)}' is no address of a remote",
            hint="as in s3://bucket/folder" if kind == BUCKET else "as in sftp://user@host/folder",
        )
    options = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    for name, value in options:
        if kind != BUCKET or name not in _OPTIONS or not value:
            raise UsageError(
                f"'{names.printable(name)}' is nothing that the address of a remote can say"
                if value
                else f"'{names.printable(name)}' of the address has no value",
                hint="known are endpoint= and region= of a bucket; credentials come from the environment",
            )
    _refuse_secrets(url)
    if not _REGION.match(dict(options).get("region", "auto")):
        raise UsageError("the region of a bucket is a word like eu-central-1")
    # A bucket's name keeps its case, which `hostname` does not.
    host = parts.netloc.rpartition("@")[2].partition(":")[0] if kind == BUCKET else parts.hostname
    return Address(url, kind, parts.scheme, host, port, parts.username, path, options)


def _refuse_secrets(url: str) -> None:
    if without_secrets(url) != url:
        raise UsageError(
            f"'{names.printable(without_secrets(url))}' holds a password, and addresses are no place for one",
            hint="credentials come from the environment, from the cloud's own tools, or from `git credential`",
        )


def without_secrets(url: str) -> str:
    """Gives an address as it may be shown: without a password, and without what else may be one."""
    url = re.sub(r"(//[^/?#@:]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"([?&](?!endpoint=|region=)[^=&#]+)=[^&#]*", r"\1=***", url)
