"""The lock record: what one lock says, its one encoding, and its strict reader.

Whoever can push can write anything where locks are kept, so nothing is believed before it was checked.
"""

from __future__ import annotations

import hashlib
import re
import time
from datetime import datetime
from typing import Any, NamedTuple

from comfyvn_store.base import canonical, names

SCHEMA = 1
# What one lock may hold, in bytes: most have some 300.
LONGEST = 8192
LONGEST_PATH, LONGEST_BRANCH, LONGEST_OWNER, LONGEST_NOTE = 4096, 1024, 512, 500

_TIME = re.compile(r"(19[7-9][0-9]|[2-8][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Lock(NamedTuple):
    """One lock. `branch` None means all branches, `expires_at` None never; times are text in UTC, which sorts by age."""

    id: str
    path: str
    branch: str | None
    owner: str
    locked_at: str
    expires_at: str | None
    note: str | None = None

    @property
    def name(self) -> str:
        """The lock's file: one for each path and branch."""
        return file_name(self.path, self.branch)

    def is_live(self, now: str) -> bool:
        """Tells whether the lock still holds at a time."""
        return self.expires_at is None or self.expires_at > now

    def is_on(self, branch: str | None) -> bool:
        """Tells whether the lock and somebody on a branch (None: on all of them) are concerned with each other."""
        return self.branch is None or branch is None or self.branch == branch

    def overlaps(self, path: str) -> bool:
        """Tells whether a path is the locked one, lies in it, or holds it."""
        return is_within(path, self.path) or is_within(self.path, path)


def file_name(path: str, branch: str | None) -> str:
    """Gives the name of the file of a lock; no branch has the empty name that stands for all."""
    return hashlib.sha256(f"{path}\0{branch or ''}".encode("utf-8", "surrogateescape")).hexdigest() + ".json"


def is_within(path: str, folder: str) -> bool:
    """Tells whether a path is `folder` or lies below it."""
    return path == folder or path.startswith(f"{folder}/")


def is_same_person(one: str, other: str) -> bool:
    """Tells whether two owners are one person: by their address, which people spell alike, else by all of it."""
    return _person(one) == _person(other)


def _person(owner: str) -> str:
    address = owner.rpartition("<")[2].rstrip("> ") if owner.endswith(">") else ""
    return address.casefold() or owner


def stamp(seconds: float) -> str:
    """Gives a time (seconds since 1970) as locks state it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def moment(text: str) -> str:
    """Gives a time of a lock as people read it: local, to the minute."""
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00").astimezone().strftime("%Y-%m-%d %H:%M")


def described(lock: Lock) -> str:
    """Gives whose a lock is, since when, until when, where and why, in words that follow "locked by"."""
    until = f" until {moment(lock.expires_at)}" if lock.expires_at else ""
    where = f" on branch '{names.printable(lock.branch)}'" if lock.branch else " on all branches"
    note = f" ({names.printable(lock.note)})" if lock.note else ""
    return f"{names.printable(lock.owner)} since {moment(lock.locked_at)}{until}{where}{note}"


# -- the encoding ------------------------------------------------------------------------------------------


def encode(lock: Lock) -> bytes:
    """Gives the one valid encoding of a lock."""
    fields = lock._asdict()
    return canonical.dump_pretty({"schema": SCHEMA, **fields})


def decode(data: bytes, name: str) -> Lock | None:
    """Reads a lock out of its file; None if that is none, says something impossible, or has another lock's name."""
    if len(data) > LONGEST:
        return None
    try:
        said = canonical.parse(data)
    except canonical.NotCanonical:
        return None
    if not isinstance(said, dict) or said.get("schema") != SCHEMA or isinstance(said["schema"], bool):
        return None
    values: dict[str, Any] = {field: said.get(field) for field in Lock._fields}
    if not all(_VALID[field](value) for field, value in values.items()):
        return None
    lock = Lock(**values)
    return lock if lock.name == name else None


def is_sound(lock: Lock) -> bool:
    """Tells whether a lock can be written so that everybody reads it."""
    try:
        return decode(encode(lock), lock.name) == lock
    except UnicodeEncodeError:
        return False


def is_path(value: Any) -> bool:
    """Tells whether something may be the path of a lock: in the work tree, without detours, and no git folder."""
    if not _is_line(value, LONGEST_PATH, spare=("\t", "\n")):
        return False
    parts = value.split("/")
    return parts[0].lower() != ".git" and not any(part in ("", ".", "..") for part in parts)


def is_owner(value: Any) -> bool:
    """Tells whether something may be the owner of a lock."""
    return _is_line(value, LONGEST_OWNER)


def is_note(value: Any) -> bool:
    """Tells whether something may be a note: one line of at most 500 bytes, or none."""
    return value is None or _is_line(value, LONGEST_NOTE)


def _is_line(value: Any, longest: int, spare: tuple[str, ...] = ()) -> bool:
    if not isinstance(value, str) or not value or len(value) > longest:
        return False
    if any((ord(char) < 32 or ord(char) == 127) and char not in spare for char in value):
        return False
    return len(value.encode("utf-8", "surrogatepass")) <= longest


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value.removesuffix("Z"))
    except ValueError:
        return False
    return True


_VALID = {
    "id": lambda value: isinstance(value, str) and _UUID.fullmatch(value) is not None,
    "path": is_path,
    "branch": lambda value: value is None or (_is_line(value, LONGEST_BRANCH) and " " not in value),
    "owner": is_owner,
    "locked_at": _is_time,
    "expires_at": lambda value: value is None or _is_time(value),
    "note": is_note,
}
