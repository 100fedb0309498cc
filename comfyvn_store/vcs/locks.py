"""Locks of art: who says "I am changing this picture on this branch", kept on the shelf `refs/comfyvn/locks`.

Owns reading that shelf, what counts as in the way, and the merge of two people's locks. Reads only what this clone knows;
who talks to remotes is `vcs/exchange.py`. Standard library only: pre-commit reads it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.lockrecord import LONGEST, Lock, decode, described, is_owner, is_same_person, stamp
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import OFF
from comfyvn_store.vcs.shelf import PREFIX, Shelf, may_be_there

SHELF = "locks"
# What the ref may hold: a team has tens of locks.
MOST = 5000

_NAME = re.compile(r"[0-9a-f]{64}\.json")


class Book(NamedTuple):
    """The locks of one commit of the shelf, by file; the blob ids of all files named like locks; how many files are no
    locks that we can read."""

    locks: dict[str, Lock]
    oids: dict[str, str]
    ignored: int = 0


EMPTY = Book({}, {})


class Meeting(NamedTuple):
    """A path that somebody else has locked; `is_here` unless the lock is on another branch only."""

    path: str
    lock: Lock
    is_here: bool


class Lost(NamedTuple):
    """A lock that had to go: somebody else's was on the remote first, or took it over."""

    lock: Lock
    winner: Lock


# -- the shelf -----------------------------------------------------------------------------------------------------


def open_shelf(repository: Repository) -> Shelf:
    """Gives the shelf of locks."""
    return Shelf(repository.git, repository.object_format, SHELF)


def read(shelf: Shelf, commit: str | None) -> Book:
    """Reads the locks of a commit of the shelf. Raises Refused for one that holds too much."""
    files = shelf.files(commit, MOST)
    oids = {name: oid for name, oid in files.items() if _NAME.fullmatch(name)}
    texts = blobs.read_small_blobs(shelf.git, oids.values(), LONGEST)
    found = {name: decode(texts.get(oid, b""), name) for name, oid in oids.items()}
    locks = {name: lock for name, lock in found.items() if lock is not None}
    return Book(locks, oids, len(files) - len(locks))


def merge(base: Book, ours: Book, theirs: Book, now: str) -> dict[str, str]:
    """Puts what `ours` changed since `base` on top of `theirs`, which others have seen already and so goes first: what it
    has in the way of a lock of ours puts that out of force. Gives the blob ids by file."""
    oids, held = dict(theirs.oids), dict(theirs.locks)
    changed = [name for name in {**base.oids, **ours.oids} if ours.oids.get(name) != base.oids.get(name)]
    # What was given up first: a lock that was taken over from somebody stands where theirs was.
    for name in changed:
        if name not in ours.oids and theirs.oids.get(name) == base.oids.get(name):
            oids.pop(name, None)
            held.pop(name, None)
    for name in sorted((name for name in changed if name in ours.oids), key=lambda name: _age(ours, name)):
        lock = ours.locks.get(name)
        if theirs.oids.get(name) == base.oids.get(name):
            held.pop(name, None)
        if lock is None:
            oids.setdefault(name, ours.oids[name])
        elif any(is_in_the_way(each, lock, now) for each in held.values()):
            continue
        elif name not in held or _lasts_longer(lock, held[name]):
            oids[name], held[name] = ours.oids[name], lock
    return oids


def lost(before: Book, after: Book, now: str) -> list[Lost]:
    """Gives the locks that held and are gone because somebody else has one in their way."""
    kept = {(lock.id, lock.owner) for lock in after.locks.values()}
    gone = [lock for lock in before.locks.values() if lock.is_live(now) and (lock.id, lock.owner) not in kept]
    found = []
    for lock in gone:
        winner = next((each for each in after.locks.values() if is_in_the_way(each, lock, now)), None)
        if winner is not None:
            found.append(Lost(lock, winner))
    return found


def is_in_the_way(other: Lock, lock: Lock, now: str) -> bool:
    """Tells whether a lock of somebody else's keeps `lock` from being."""
    return (
        other.is_live(now)
        and other.is_on(lock.branch)
        and other.overlaps(lock.path)
        and not is_same_person(other.owner, lock.owner)
    )


def _age(book: Book, name: str) -> tuple[str, str]:
    lock = book.locks.get(name)
    return (lock.locked_at if lock else "", name)


def _lasts_longer(lock: Lock, other: Lock) -> bool:
    return lock.expires_at is None or (other.expires_at is not None and lock.expires_at > other.expires_at)


# -- what this clone knows -----------------------------------------------------------------------------------------


def known(repository: Repository, now: str) -> Mapping[str, Lock]:
    """Gives the locks that this clone knows of, its own and what remotes had when last asked. Asks no remote.

    Raises Refused for a ref that holds too much, GitFailed, RemoteUnreachable.
    """
    shelf = open_shelf(repository)
    tips = _tips(repository.git)
    own = tips.pop(shelf.ref, None)
    book = read(shelf, own)
    for tip in dict.fromkeys(tips.values()):
        # Mostly they are one and the same; otherwise somebody's command ended between asking and merging.
        if own is None or (tip != own and not repository.git.succeeds("merge-base", "--is-ancestor", tip, own)):
            other = read(shelf, tip)
            merged = merge(read(shelf, merge_base(repository.git, own, tip)), book, other, now)
            locks = {**book.locks, **other.locks}
            book = Book({name: locks[name] for name in merged if name in locks}, merged)
    return book.locks


def merge_base(git: Git, one: str | None, other: str | None) -> str | None:
    """Gives a best common ancestor of two commits, None if there is none."""
    if one is None or other is None:
        return None
    return git.text("merge-base", one, other, check=False) or None


def _tips(git: Git) -> dict[str, str]:
    listing = git.text(
        "for-each-ref", "--format=%(objecttype) %(objectname) %(refname)", PREFIX + SHELF, f"{PREFIX}remotes/"
    )
    found = {}
    for line in listing.splitlines():
        kind, oid, ref = line.split(" ", 2)
        if kind == "commit" and ref.endswith(f"/{SHELF}"):
            found[ref] = oid
    return found


def identity(git: Git) -> str | None:
    """Gives who works here as `Name <email>`, as git itself finds it out for a commit; None if git does not know."""
    # Not the author, which `git commit --author` and `--amend` set for hooks to whoever made the change first.
    done = git.outcome("var", "GIT_COMMITTER_IDENT", check=False)
    if done.returncode != 0:
        return None
    text = done.stdout.decode("utf-8", "replace").rpartition(">")[0] + ">"
    return text if is_owner(text) else None


def current_branch(git: Git) -> str | None:
    """Gives the branch that is checked out, None for a detached HEAD."""
    return git.text("symbolic-ref", "--short", "-q", "HEAD", check=False) or None


def foreign(
    repository: Repository, paths: Iterable[str], *, branch: str | None = None, now: float | None = None
) -> list[Meeting]:
    """Gives the locks of others that concern files (top-relative), by path; those on their branch come first.

    `branch` is where the files change (default: the branch that is checked out), `now` seconds since 1970. No remote is
    asked. Raises Refused for a ref that holds too much, GitFailed, RemoteUnreachable (a partial clone without a lock).
    """
    at = stamp(time.time() if now is None else now)
    by_path: dict[str, list[Lock]] = {}
    for lock in known(repository, at).values():
        if lock.is_live(at):
            by_path.setdefault(lock.path, []).append(lock)
    met = [(path, lock) for path in dict.fromkeys(paths) for each in _upwards(path) for lock in by_path.get(each, ())]
    if not met:
        return []
    me = identity(repository.git)
    here = branch or current_branch(repository.git)
    found = [
        Meeting(path, lock, lock.branch in (None, here))
        for path, lock in met
        if me is None or not is_same_person(lock.owner, me)
    ]
    return sorted(found, key=lambda each: (not each.is_here, each.path, each.lock.locked_at))


def meetings(
    repository: Repository, paths: Iterable[str], branch: str | None = None, *, now: float | None = None
) -> list[Meeting]:
    """Gives the same as `foreign`, but nothing where locks are off, and without starting git where there are none."""
    if repository.settings.locks == OFF or not may_be_there(repository.common_dir, SHELF):
        return []
    return foreign(repository, paths, branch=branch, now=now)


def told(meeting: Meeting) -> str:
    """Gives the line that says whom a change meets."""
    lock, shown = meeting.lock, names.printable(meeting.path)
    inside = "" if lock.path == meeting.path else f" with all of '{names.printable(lock.path)}'"
    later = "" if meeting.is_here else "; your change will meet theirs in a merge"
    return f"'{shown}' is locked{inside} by {described(lock)}{later}"


def _upwards(path: str) -> Iterable[str]:
    while path:
        yield path
        path = os.path.dirname(path)
