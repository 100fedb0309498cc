"""Logging in: the person's own ssh configuration, keys, agent and known hosts, heeded as strictly as can be.

Owns who is trusted. A host whose key is not known is refused, whatever the configuration says; nobody is ever asked for a
password or a passphrase, and none is taken from anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from comfyvn_store.base import names
from comfyvn_store.errors import RemoteDenied, RemoteUnreachable, UsageError

if TYPE_CHECKING:
    import asyncssh

# Seconds until a server has let us in, or has not.
CONNECTING = 30.0
# Seconds between signs of life, and how many may stay unanswered, where the person's configuration says nothing.
_ALIVE_INTERVAL, _ALIVE_COUNT = 20, 3
# Jumps over jumps, at most; a configuration can name a circle.
_LONGEST_WAY = 8
_DEFAULT_PORT = 22
# Bytes of a file of known hosts that are read.
_LONGEST_KNOWN_HOSTS = 16 << 20
_SYSTEM_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
# What host and user may be made of. They can come with a repository, and a ProxyCommand of the person's configuration
# is given them as words: none may begin like an option or be more than a word.
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?\Z|[0-9A-Fa-f:]+(%[A-Za-z0-9._-]+)?\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]*\Z")
# Host keys that a server may show (RFC 8332, 5656, 8709).
_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
# Ahead of what the library prefers, which is half as fast here (256 MiB sent in 2.6 s, with these in 1.1 to 1.6).
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


class Target(NamedTuple):
    """Where to log in, and as whom; what is None is left to the person's configuration."""

    host: str
    port: int | None = None
    user: str | None = None

    @property
    def command(self) -> str:
        """What a person types to go there."""
        port = f"-p {self.port} " if self.port else ""
        return f"ssh {port}{self.user + '@' if self.user else ''}{self.host}"


def checked(target: Target) -> Target:
    """Gives the target back. Raises UsageError for a host or user that is none."""
    if not _HOST.match(target.host) or (target.user is not None and not _USER.match(target.user)):
        said = f"{target.user + '@' if target.user else ''}{target.host}"
        raise UsageError(f"'{names.printable(said)}' names no machine", hint="as in sftp://user@host/folder")
    return target


async def log_in(
    target: Target, via: asyncssh.SSHClientConnection | None = None, way: tuple[str, ...] = ()
) -> asyncssh.SSHClientConnection:
    """Connects, through the connection `via` or else over the jumps that the configuration names.

    `way` are the hosts that asked for this one to be jumped over. Raises what asyncssh raises, RemoteDenied.
    """
    import asyncssh

    where: dict[str, Any] = {
        "host": target.host,
        "port": () if target.port is None else target.port,
        "username": () if target.user is None else target.user,
    }
    # Read once without keys, for what the library would take too literally. `()` is the person's configuration.
    options = asyncssh.SSHClientConnectionOptions(config=(), client_keys=None, **where)
    known = _known_hosts(options)
    if via is None:
        if len(way) > _LONGEST_WAY or target.host in way:
            raise RemoteUnreachable(
                f"the jumps to '{target.host}' go in a circle", hint="see ProxyJump in ~/.ssh/config"
            )
        for jump in _jumps(options):
            via = await log_in(jump, via, (*way, target.host))
    try:
        connection = await asyncssh.connect(
            tunnel=via, known_hosts=known, **where, **_manners(options), **_kinds(options, known)
        )
    except BaseException as error:
        if via is not None:
            via.abort()
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            raise _not_verified(target, options, known) from error
        raise
    if via is not None:
        connection.set_tunnel(via)  # it ends with the connection
    return connection


def _manners(options: asyncssh.SSHClientConnectionOptions) -> dict[str, Any]:
    """Gives how we log in: with keys alone, and bounded in time; the rest is as the configuration says."""
    config = options.config
    manners: dict[str, Any] = {
        "preferred_auth": "publickey",
        "password": None,
        "password_auth": False,
        "kbdint_auth": False,
        "host_based_auth": False,
        "gss_auth": False,
        "gss_kex": False,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "command": None,
        "request_pty": False,
        "connect_timeout": CONNECTING,
        "login_timeout": CONNECTING,
        "ignore_encrypted": True,
    }
    if config.get("ServerAliveInterval") is None:
        manners |= {"keepalive_interval": _ALIVE_INTERVAL, "keepalive_count_max": _ALIVE_COUNT}
    if config.get("Ciphers") is None:
        manners["encryption_algs"] = _CIPHERS
    named = config.get("IdentityFile")
    if isinstance(named, list) and named:
        # ssh passes over those that are not there; the library does not.
        keys = [str(path) for path in map(_expanded, named) if os.access(path, os.R_OK) and path.is_file()]
        manners["client_keys"] = keys
        if config.get("IdentitiesOnly"):
            # The agent's key is told by the public one, which lies beside a private one that cannot be read.
            beside = [path for key in keys for path in (key + ".pub", key) if os.path.isfile(path)]
            beside += [f"{path}.pub" for path in map(_expanded, named) if not path.exists()]
            manners["agent_identities"] = [path for path in dict.fromkeys(beside) if _is_public(path)] or None
    return manners


def _kinds(options: asyncssh.SSHClientConnectionOptions, known: bytes) -> dict[str, Any]:
    """Gives the kinds of host keys to ask for: the known ones first, and the others, so that a changed key is told."""
    keys, authorities, *_ = _trusted(options, known)
    if options.config.get("HostKeyAlgorithms") is not None or authorities or not keys:
        return {}
    kinds = [kind.decode() for key in keys for kind in key.sig_algorithms if kind != b"ssh-rsa"]
    return {"server_host_key_algs": list(dict.fromkeys((*kinds, *_KINDS)))} if kinds else {}


def _trusted(options: asyncssh.SSHClientConnectionOptions, known: bytes) -> Sequence[Any]:
    """Gives what is known of a host: keys, authorities, revoked keys and so on."""
    import asyncssh

    host = options.host_key_alias or options.host
    port = options.port if options.port != _DEFAULT_PORT else None
    return asyncssh.import_known_hosts(known.decode()).match(host, "", port)


def _expanded(path: object) -> Path:
    return Path(str(path)).expanduser()


def _is_public(path: str) -> bool:
    """Whether a file holds a public key, which the library can tell an agent."""
    import asyncssh

    try:
        asyncssh.read_public_key(path)
    except (OSError, ValueError):
        return False
    return True


def _jumps(options: asyncssh.SSHClientConnectionOptions) -> list[Target]:
    """Gives the machines to jump over, as ProxyJump says: [user@]host[:port] or ssh://…, with commas between."""
    if not isinstance(options.tunnel, str) or options.tunnel.lower() == "none":
        return []
    jumps = []
    for text in options.tunnel.split(","):
        user, at, host = text.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
        port: str | None = None
        if bracketed := re.match(r"\[([^\]]*)\](?::(\d+))?\Z", host):
            host, port = bracketed[1], bracketed[2]
        elif host.count(":") == 1:
            host, _, port = host.partition(":")
        if port is not None and not port.isdecimal():
            raise UsageError(f"'{names.printable(text)}' is no machine to jump over", hint="see ~/.ssh/config")
        jumps.append(checked(Target(host, int(port) if port else None, user if at else None)))
    return jumps


def _known_hosts(options: asyncssh.SSHClientConnectionOptions) -> bytes:
    """Gives the lines of the files of known hosts. Never nothing, which the library takes for its own default."""
    named = options.config.get("UserKnownHostsFile")
    every = options.config.get("GlobalKnownHostsFile")
    paths = list(named) if isinstance(named, list) else ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    paths += list(every) if isinstance(every, list) else _SYSTEM_KNOWN_HOSTS
    lines = [b"#"]
    for path in paths:
        try:
            with open(_expanded(path), "rb") as stream:
                lines += stream.read(_LONGEST_KNOWN_HOSTS).splitlines()
        except OSError:
            continue
    return b"\n".join(line.decode("utf-8", "replace").encode() for line in lines if _is_entry(line)) + b"\n"


def _is_entry(line: bytes) -> bool:
    """Whether the library can read the line; it gives all others up for one that it cannot."""
    words = line.split()
    if not words or line.lstrip().startswith(b"#"):
        return line == b"#"
    if words[0].startswith(b"@"):
        return words[0] in (b"@cert-authority", b"@revoked") and len(words) >= 4
    return len(words) >= 3


def _not_verified(target: Target, options: asyncssh.SSHClientConnectionOptions, known: bytes) -> RemoteDenied:
    """Gives the error for a host key that is not among the known ones: none is known, or another."""
    if any(_trusted(options, known)[:2]):
        return RemoteDenied(
            f"'{target.host}' shows another host key than the one that is known: somebody may be listening",
            hint=f"ask who runs it whether the key was changed; `{target.command}` says which line is the old one",
        )
    return RemoteDenied(
        f"the host key of '{target.host}' is not known here",
        hint=f"run `{target.command}` once, compare the fingerprint it shows, and accept it",
    )
