"""Where the Git LFS server is: found from git's config and remotes as Git LFS documents it (docs/api/server-discovery).

`lfs.url`, else `remote.NAME.lfsurl`, else the git remote's URL with `.git/info/lfs`. The `.lfsconfig` of a repository is not
heeded: it would let whoever wrote a commit say where objects and credentials go. Nothing here opens a connection.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from comfyvn_store.base import names
from comfyvn_store.errors import UsageError
from comfyvn_store.vcs import upstream
from comfyvn_store.vcs.git import Git

_SUFFIX = ".git/info/lfs"
_PORTS = {"http": 80, "https": 443}
_SCP = re.compile(r"(?:([^/@\s]+)@)?(\[[0-9A-Fa-f:.]+\]|[^/:@\s]+):(?!//)(\S+)\Z")


class SshPlace(NamedTuple):
    """What `git-lfs-authenticate` is asked about, and where."""

    login: str
    port: int | None
    path: str


@dataclass(frozen=True)
class Endpoint:
    """A server's URL, without what may stand before an `@`, and who is asked for credentials.

    `git_remote` is the git remote that goes with it (None where the repository has none); `is_of_git_remote` says whether
    the objects there belong to it, and not to another repository whose address a person gave.
    """

    url: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ssh: SshPlace | None = None
    git_remote: str | None = None
    is_of_git_remote: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it speaks HTTP without TLS."""
        return self.url.startswith("http:")


def find(git: Git, rest: str) -> Endpoint:
    """Gives the endpoint that `lfs:` followed by `rest` means. Raises UsageError."""
    home = upstream.fetch_remote(git)
    if "://" in rest:
        return _explicit(git, rest, home)
    name = rest or home
    if name is None:
        raise UsageError(
            "this repository has no git remote whose Git LFS server could be used",
            hint="name the server, as in lfs:https://host/repo.git/info/lfs, or `git remote add origin URL`",
        )
    if name not in upstream.remotes(git):
        raise UsageError(f"there is no git remote '{names.printable(name)}'", hint="`git remote` lists them")
    found = of_remote(git, name)
    if found is None:
        raise UsageError(
            f"git remote '{names.printable(name)}' is a folder, which has no Git LFS server",
            hint="use file:FOLDER as the address, or set lfs.url",
        )
    return found


def of_remote(git: Git, name: str) -> Endpoint | None:
    """Gives the endpoint of a git remote, None for one that is a folder. Raises UsageError for a URL of another kind."""
    for key in ("lfs.url", f"remote.{name}.lfsurl"):
        url = git.text("config", "--get", key, check=False)
        if url:
            return _from_url(_aliased(git, url), is_clone=False, git_remote=name)
    return _from_url(git.text("remote", "get-url", "--", name), is_clone=True, git_remote=name)


def origin(url: str) -> str:
    """Gives scheme, host and port of a URL in one form. Raises ValueError."""
    parts = urlsplit(url)
    port = parts.port
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _PORTS.get(parts.scheme) else "")


def server_ref(git: Git) -> str | None:
    """Gives the name that the current branch has on its remote, None where no branch is checked out."""
    head = git.text("symbolic-ref", "--quiet", "HEAD", check=False)
    if not head.startswith("refs/heads/"):
        return None
    return git.text("config", "--get", f"branch.{head[11:]}.merge", check=False) or head


def _explicit(git: Git, rest: str, home: str | None) -> Endpoint:
    """Gives the endpoint that a person named, with the git remote that has the same one, where there is one."""
    found = _from_url(rest, is_clone=False, git_remote=home)
    if found is None or found.ssh is not None:
        raise UsageError(
            f"'{names.printable(re.sub('//[^/]*@', '//', rest))}' is no address of a Git LFS server",
            hint="as in lfs:https://host/repo.git/info/lfs",
        )
    for name in sorted(upstream.remotes(git), key=lambda each: each != home):
        try:
            own = of_remote(git, name)
        except UsageError:
            continue
        if own is not None and own.url == found.url:
            return Endpoint(found.url, found.user, found.password, None, name, True)
    return Endpoint(found.url, found.user, found.password, None, home, False)


def _from_url(url: str, *, is_clone: bool, git_remote: str | None) -> Endpoint | None:
    """Reads a URL of git's; with `is_clone` it is a repository's and the endpoint is guessed from it."""
    if url.startswith(("/", ".", "file://", "~")) or os.path.isabs(url):
        return None
    if "://" not in url:
        match = _SCP.match(url)
        if match is None:
            return None
        user, host, path = match.groups()
        return _from_ssh(user, host.strip("[]"), None, path, git_remote)
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        host, parts, port = None, urlsplit(""), None
    scheme = "https" if parts.scheme == "git" else parts.scheme
    if not host or not url.isprintable() or " " in url or scheme not in ("http", "https", "ssh", "git+ssh", "ssh+git"):
        raise UsageError(
            f"git remote '{names.printable(git_remote or '')}' has a URL that leads to no Git LFS server",
            hint="set lfs.url, or name the server, as in lfs:https://host/repo.git/info/lfs",
        )
    if "ssh" in scheme:
        return _from_ssh(parts.username, host, port, parts.path.lstrip("/"), git_remote)
    base = origin(f"{scheme}://{parts.netloc.rpartition('@')[2]}") + parts.path.rstrip("/")
    return Endpoint(
        _with_suffix(base) if is_clone else base,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        None,
        git_remote,
        True,
    )


def _from_ssh(user: str | None, host: str, port: int | None, path: str, git_remote: str | None) -> Endpoint:
    """Gives the endpoint of a repository behind SSH, with the URL to fall back to where the server does not tell one."""
    if host.startswith("-") or (user or "").startswith("-") or path.startswith("-"):
        # ssh would take it for an option (CVE-2017-1000117 was that).
        raise UsageError(f"git remote '{names.printable(git_remote or '')}' has a URL that begins with a dash")
    login = f"{user}@{host}" if user else host
    shown = f"[{host}]" if ":" in host else host
    url = _with_suffix(f"https://{shown.lower()}/{path.strip('/')}")
    return Endpoint(url, None, None, SshPlace(login, port, path), git_remote, True)


def _with_suffix(url: str) -> str:
    return url.removesuffix(".git") + _SUFFIX


def _aliased(git: Git, url: str) -> str:
    """Gives a URL with `url.BASE.insteadOf` applied; nothing is contacted."""
    return git.text("ls-remote", "--get-url", "--", url, check=False) or url
