"""The locks that a Git LFS server keeps: a client of the File Locking API (Git LFS, docs/api/locking.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from comfyvn_store.errors import Refused, RemoteUnreachable
from comfyvn_store.remotes.lfs.api import DOWNLOAD, UPLOAD, Api, Reply

# Locks of one page, and pages at most: a server could go on for ever.
_PAGE, _PAGES = 100, 1000
_LONGEST = 4096


class Lock(NamedTuple):
    """A lock. `owner` is the name that the server gives its holder, `locked_at` a time in ISO 8601; both may be ""."""

    id: str
    path: str
    locked_at: str
    owner: str


class Verified(NamedTuple):
    """All locks, by whether they are those of whoever asked."""

    ours: list[Lock]
    theirs: list[Lock]


class NoLocking(RemoteUnreachable):
    """The server keeps no locks."""

    slug = "no-locking"


class LockHeld(Refused):
    """Somebody holds the lock already: `lock`, where the server tells."""

    slug = "lock-held"

    def __init__(self, message: str, lock: Lock | None) -> None:
        super().__init__(message, hint="ask whoever holds it")
        self.lock = lock


class Locking:
    """The locks of one server. Paths are relative to the work tree's top, `ref` is a branch's full name on the server.

    Every method raises NoLocking where the server keeps none, RemoteUnreachable and RemoteDenied as all of this remote.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, path: str, ref: str | None = None) -> Lock:
        """Locks a path. Raises LockHeld if it is locked."""
        body = {"path": path, **_ref(ref)}
        reply = self._call("POST", "/locks", body, f"does not lock '{path}'", expected=(409,))
        lock = _lock(reply, reply.said.get("lock"))
        if reply.status == 409 or lock is None:
            owner = f" by {lock.owner}" if lock is not None and lock.owner else ""
            raise LockHeld(f"'{path}' is locked{owner}", lock)
        return lock

    def list(self, path: str | None = None, ref: str | None = None, id_: str | None = None) -> list[Lock]:
        """Gives the locks, of one path or with one id where that is given."""
        found: list[Lock] = []
        query = {"path": path, "id": id_, "refspec": ref, "limit": str(_PAGE)}
        cursor: str | None = None
        for _ in range(_PAGES):
            pairs = {**query, "cursor": cursor}
            text = urlencode([(key, value) for key, value in pairs.items() if value is not None])
            reply = self._call("GET", f"/locks?{text}", None, "does not list its locks", operation=DOWNLOAD)
            found += _locks(reply, "locks")
            cursor = self._next(reply, cursor)
            if cursor is None:
                return found
        raise self._endless()

    def verify(self, ref: str | None = None) -> Verified:
        """Gives all locks, those of whoever asks apart from those of others; needs the right to push."""
        found = Verified([], [])
        cursor: str | None = None
        for _ in range(_PAGES):
            body: dict[str, Any] = {"limit": _PAGE, **_ref(ref), **({} if cursor is None else {"cursor": cursor})}
            reply = self._call("POST", "/locks/verify", body, "does not list its locks")
            found.ours.extend(_locks(reply, "ours"))
            found.theirs.extend(_locks(reply, "theirs"))
            cursor = self._next(reply, cursor)
            if cursor is None:
                return found
        raise self._endless()

    def unlock(self, id_: str, *, force: bool = False, ref: str | None = None) -> Lock | None:
        """Ends a lock, with `force` also another's; gives it, None if there is none of that id (or no locking at all)."""
        body = {"force": force, **_ref(ref)}
        try:
            reply = self._call("POST", f"/locks/{quote(id_, safe='')}/unlock", body, "does not end the lock")
        except NoLocking:
            return None
        return _lock(reply, reply.said.get("lock"))

    def _call(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None,
        doing: str,
        *,
        operation: str = UPLOAD,
        expected: tuple[int, ...] = (),
    ) -> Reply:
        reply = self._api.call(
            method, path, operation=operation, data=data, doing=doing, expected=(404, 501, *expected)
        )
        if reply.status in (404, 501):
            raise NoLocking(
                f"remote '{self._api.name}' keeps no locks", hint="not every Git LFS server does; see its documentation"
            )
        return reply

    def _next(self, reply: Reply, before: str | None) -> str | None:
        """Gives the cursor of the next page, None where this was the last. Raises RemoteUnreachable."""
        cursor = reply.said.get("next_cursor")
        if cursor is None or cursor == "":
            return None
        if not isinstance(cursor, str) or len(cursor) > _LONGEST or cursor == before:
            raise self._endless()
        return cursor

    def _endless(self) -> RemoteUnreachable:
        return RemoteUnreachable(f"remote '{self._api.name}': its list of locks has no end")


def _ref(ref: str | None) -> dict[str, Any]:
    return {} if ref is None else {"ref": {"name": ref}}


def _locks(reply: Reply, key: str) -> list[Lock]:
    said = reply.said.get(key)
    return [lock for each in (said if isinstance(said, list) else []) if (lock := _lock(reply, each)) is not None]


def _lock(reply: Reply, said: Any) -> Lock | None:
    """Reads a lock; None for what is none."""
    if not isinstance(said, dict):
        return None
    id_, path, owner = said.get("id"), said.get("path"), said.get("owner")
    # Some servers number their locks.
    id_ = str(id_) if isinstance(id_, int) and not isinstance(id_, bool) else id_
    if not isinstance(id_, str) or not isinstance(path, str) or not id_ or max(len(id_), len(path)) > _LONGEST:
        return None
    name = owner.get("name") if isinstance(owner, dict) else None
    return Lock(id_, path, reply.shown(said.get("locked_at")), reply.shown(name))
