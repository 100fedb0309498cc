"""The Batch API: which of up to a hundred objects the server has or wants, and where the bytes go (docs/api/batch.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from comfyvn_store.errors import RemoteUnreachable
from comfyvn_store.remotes.lfs import failures
from comfyvn_store.remotes.lfs.api import DOWNLOAD, Api, Reply
from comfyvn_store.remotes.lfs.parsing import Action, parse_action

# Objects of one request: what Git LFS itself asks for at once.
MOST = 100


class Wanted(NamedTuple):
    """An object that is asked about."""

    hash: str
    size: int


@dataclass(frozen=True)
class Answered:
    """What the server said of one object: its size, what to do, or the status and message of an error.

    `is_strange` says that it named an action that must not be followed.
    """

    size: int | None = None
    transfer: Action | None = None
    verify: Action | None = None
    error: int | None = None
    said: str = ""
    is_strange: bool = False

    def is_over(self, now: float) -> bool:
        """Whether it has to be asked anew."""
        return any(action is not None and action.is_over(now) for action in (self.transfer, self.verify))


def ask(api: Api, operation: str, wanted: Sequence[Wanted], ref: str | None) -> dict[str, Answered]:
    """Asks about at most MOST objects; gives an answer for each. Raises RemoteUnreachable, RemoteDenied, MachineError."""
    if not wanted:
        return {}
    body: dict[str, Any] = {
        "operation": operation,
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": each.hash, "size": each.size} for each in wanted],
    }
    if ref is not None:
        body["ref"] = {"name": ref}
    doing = "does not take objects" if operation != DOWNLOAD else "does not give objects"
    reply = api.call("POST", "/objects/batch", operation=operation, data=body, doing=doing, expected=(404, 413, 422))
    if reply.status == 413 and len(wanted) > 1:
        half = len(wanted) // 2
        return {**ask(api, operation, wanted[:half], ref), **ask(api, operation, wanted[half:], ref)}
    if reply.status >= 400:
        return _all_refused(api, operation, wanted, reply, doing)
    return read(api, operation, wanted, reply)


def _all_refused(api: Api, operation: str, wanted: Sequence[Wanted], reply: Reply, doing: str) -> dict[str, Answered]:
    """Gives the answers where a whole batch was refused because of its objects, which giftless does where none is there.

    Raises RemoteUnreachable, MachineError where it was for another reason.
    """
    status, message = reply.status, reply.shown(reply.said.get("message"))
    if operation == DOWNLOAD and status in (404, 422) and "object" in message.lower():
        return {each.hash: Answered(error=status, said=message) for each in wanted}
    if status == 404:
        raise RemoteUnreachable(
            f"remote '{api.name}': there is no Git LFS at {api.endpoint.url}" + (f": {message}" if message else ""),
            hint="is Git LFS switched on for that repository? Forges say so, too, to who may not see it",
        )
    raise failures.of_status(status, api.name, doing, message)


def read(api: Api, operation: str, wanted: Sequence[Wanted], reply: Reply) -> dict[str, Answered]:
    """Gives the answers that a reply has for the objects that were asked about. Raises RemoteUnreachable."""
    said = reply.said
    objects = said.get("objects")
    if said.get("transfer", "basic") not in ("basic", None) or said.get("hash_algo", "sha256") not in ("sha256", None):
        raise RemoteUnreachable(
            f"remote '{api.name}' moves objects in a way that is not known here",
            hint="the server must offer the transfer 'basic' and the hash 'sha256'",
        )
    if not isinstance(objects, list):
        raise RemoteUnreachable(
            f"remote '{api.name}': what it answers is not the answer of a Git LFS server",
            hint="is the address right? `git config lfs.url` and `git remote -v` show it",
        )
    asked = {each.hash for each in wanted}
    found: dict[str, Answered] = {}
    for each in objects:
        oid = each.get("oid") if isinstance(each, dict) else None
        if isinstance(oid, str) and oid in asked and oid not in found:
            found[oid] = _one(api, operation, each, reply)
    return {each.hash: found.get(each.hash, Answered(error=500, said="it says nothing of it")) for each in wanted}


def _one(api: Api, operation: str, each: Mapping[str, Any], reply: Reply) -> Answered:
    size = each.get("size")
    size = size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None
    error = each.get("error")
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        code = code if isinstance(code, int) and 400 <= code < 600 else 422
        message = error.get("message") if isinstance(error, dict) else None
        return Answered(size, error=code, said=reply.shown(message))
    actions = each.get("actions")
    actions = actions if isinstance(actions, dict) else {}
    read = {
        name: parse_action(actions[name], is_plain=api.is_plain, clock=api.clock, wall=api.wall)
        for name in (operation, "verify")
        if actions.get(name)
    }
    return Answered(size, read.get(operation), read.get("verify"), is_strange=None in read.values())
