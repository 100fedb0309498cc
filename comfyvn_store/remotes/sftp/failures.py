"""What asyncssh raises, told as our errors: what is wrong, whether trying again may help, what to type."""

from __future__ import annotations

import socket

from comfyvn_store.base import names
from comfyvn_store.errors import (
    ComfyvnError,
    MachineError,
    ObjectMissing,
    RemoteDenied,
    RemoteUnreachable,
    ToolMissing,
)
from comfyvn_store.remotes.sftp.login import Target

# Characters of what a server says that are passed on.
_LONGEST_SAID = 200


def require_library() -> None:
    """Raises ToolMissing where asyncssh is not installed."""
    try:
        import asyncssh  # noqa: F401 - whether it can be imported is the question
    except ImportError:
        raise ToolMissing(
            "remotes behind SFTP need asyncssh, which is not installed",
            hint="pipx inject comfyvn-store asyncssh, or: pip install 'comfyvn-store[sftp]'",
        ) from None


def explained(error: BaseException, name: str, target: Target, *, is_login: bool = False) -> ComfyvnError | None:
    """Gives our error for one of remote `name`, or None for one that is a mistake in the program."""
    import asyncssh

    if isinstance(error, ComfyvnError):
        return error
    if isinstance(error, asyncssh.SFTPError):
        return _of_files(error, name)
    # OpenSSH calls it a breach of protocol where it was offered more keys than it lets anybody try.
    if isinstance(error, asyncssh.PermissionDenied) or (
        isinstance(error, asyncssh.ProtocolError) and "authentication" in error.reason.lower()
    ):
        return RemoteDenied(
            f"'{target.host}' (remote '{name}') accepts none of your keys",
            hint=f"`{target.command}` must work without a password: see ssh-add, ssh-copy-id",
        )
    if isinstance(error, (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported)):
        return RemoteUnreachable(
            f"'{target.host}' (remote '{name}') and asyncssh know no cipher or kind of key in common",
            hint=f"`{target.command}` may say more; is the key of the host in known_hosts still the one it has?",
        )
    if isinstance(error, asyncssh.ConfigParseError):
        return RemoteDenied(f"your ssh configuration cannot be read: {_said(str(error))}", hint="see ~/.ssh/config")
    if is_login and isinstance(error, (asyncssh.KeyImportError, ValueError)):
        # What it says may name a file of keys.
        return RemoteDenied(
            f"your ssh configuration, or a key that it names, cannot be used for '{target.host}'",
            hint=f"see ~/.ssh/config; does `{target.command}` work?",
        )
    return _of_network(error, name, target)


def missing(name: str, hash_: str) -> ObjectMissing:
    """Gives the error for an object that the remote does not hold."""
    return ObjectMissing(f"remote '{name}' does not hold object {hash_[:16]}")


def lost(name: str, host: str, why: str) -> RemoteUnreachable:
    """Gives the error for a connection that is no more; the next call makes another."""
    return RemoteUnreachable(
        f"'{host}' (remote '{name}') {why}", hint="run the command again; it goes on where it stopped", is_passing=True
    )


def full(name: str) -> MachineError:
    """Gives the error for a disk without room."""
    return MachineError(f"the disk of remote '{name}' is full", hint="make room there and run the command again")


def _of_files(error: BaseException, name: str) -> ComfyvnError:
    import asyncssh

    said = _said(getattr(error, "reason", ""))
    if isinstance(error, (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
        return RemoteUnreachable(f"remote '{name}' broke the connection", hint="run the command again", is_passing=True)
    if isinstance(error, (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)):
        return RemoteDenied(
            f"remote '{name}' does not allow it ({said})", hint="who owns the folder there, and with which permissions?"
        )
    if isinstance(error, (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)) or _is_about_space(said):
        return full(name)
    if isinstance(error, (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)):
        return RemoteUnreachable(
            f"a folder of remote '{name}' is not there", hint="is the disk mounted there? comfyvn-store remote test"
        )
    return RemoteUnreachable(f"remote '{name}' failed: {said or 'it does not say why'}")


def _of_network(error: BaseException, name: str, target: Target) -> ComfyvnError | None:
    import asyncssh

    if isinstance(error, socket.gaierror):
        return RemoteUnreachable(
            f"there is no machine '{target.host}' (remote '{name}')",
            hint="is the network up, the name right?",
            is_passing=error.errno == socket.EAI_AGAIN,
        )
    if isinstance(error, TimeoutError):
        return lost(name, target.host, "does not answer in time")
    if isinstance(error, OSError):
        return lost(
            name, target.host, f"cannot be reached: {(error.strerror or 'no connection').lower()[:_LONGEST_SAID]}"
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return lost(name, target.host, "opens no SFTP session; does it allow SFTP?")
    if isinstance(error, (asyncssh.ConnectionLost, EOFError)):
        return lost(name, target.host, "broke the connection")
    if isinstance(error, asyncssh.Error):
        return lost(name, target.host, f"ended the connection ({_said(error.reason)})")
    return None


def _is_about_space(said: str) -> bool:
    words = said.lower()
    return "no space" in words or "quota" in words or "disk full" in words


def _said(text: object) -> str:
    return names.printable(str(text)[:_LONGEST_SAID])
