"""`lock`, `unlock`, `locks`: saying which pictures one is changing, so that nobody else does meanwhile.

Advice, kept in a git ref and exchanged through a git remote (`vcs/exchange.py`). A server that has locks of its own (Git LFS)
may be told as well: what it says is shown, and its failures are notes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import ComfyvnError, UsageError
from comfyvn_store.ops import lockserver
from comfyvn_store.ops.lockserver import LockServer, ServerLock
from comfyvn_store.vcs import locks
from comfyvn_store.vcs.exchange import Exchange, remote_of
from comfyvn_store.vcs.lockrecord import Lock, file_name, is_note, is_same_person, is_sound, is_within, stamp
from comfyvn_store.vcs.locks import Book, Lost
from comfyvn_store.vcs.repository import Repository

WEEK = 7 * 86400

LOCKED, RENEWED, KEPT, TAKEN_OVER, HELD = "locked", "renewed", "kept", "taken over", "held"
UNLOCKED, NOT_LOCKED, ELSEWHERE = "unlocked", "not locked", "elsewhere"


@dataclass(frozen=True)
class Answer:
    """What became of one path. `lock` is its lock now, `others` are those in the way, taken over, or elsewhere."""

    path: str
    state: str
    lock: Lock | None = None
    others: tuple[Lock, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a command did. `remote` was talked to unless there is a `problem`; `lost` are locks that somebody else's, which
    the remote had first, put out of force; `unshared` tells that the remote does not know all of it yet."""

    answers: tuple[Answer, ...]
    remote: str | None
    lost: tuple[Lost, ...] = ()
    problem: ComfyvnError | None = None
    unshared: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One lock in a list; `server` is who holds the path on the server, if it has a lock of it."""

    lock: Lock
    is_mine: bool
    is_live: bool
    is_shared: bool
    server: str | None = None


@dataclass(frozen=True)
class Listing:
    """Locks by path. `ignored` files of the ref are no locks."""

    rows: tuple[Row, ...]
    remote: str | None
    ignored: int = 0
    lost: tuple[Lost, ...] = ()
    problem: ComfyvnError | None = None
    notes: tuple[str, ...] = ()
    only_on_server: tuple[ServerLock, ...] = ()


# -- lock ----------------------------------------------------------------------------------------------------------


def lock(
    repository: Repository,
    paths: Sequence[str],
    *,
    seconds: int | None = WEEK,
    all_branches: bool = False,
    note: str | None = None,
    force: bool = False,
    remote: str | None = None,
    now: float | None = None,
    server: LockServer | None = None,
) -> Result:
    """Locks top-relative paths for whoever works here, each for itself: what others hold is left to them, unless `force`.

    `seconds` from now (None: for good), on the branch that is checked out or on all. `now` is seconds since 1970. Raises
    UsageError, Refused, MachineError; a remote that cannot be reached is the result's `problem`.
    """
    if not is_note(note):
        raise UsageError("a note is one line of at most 500 bytes")
    at = time.time() if now is None else now
    owner = _me(repository)
    branch = None if all_branches else locks.current_branch(repository.git)
    exchange = Exchange(repository, remote_of(repository, remote), now=stamp(at))
    ends, nearly = (stamp(at + seconds), stamp(at + seconds - min(3600, seconds // 10))) if seconds else (None, None)
    wish = _Wish(owner, branch, note, stamp(at), ends, nearly, force)
    exchange.meet()
    answers: list[Answer] = []

    def wanted(book: Book) -> dict[str, Lock | None]:
        changes: dict[str, Lock | None] = {}
        answers[:] = [wish.answer(path, book, changes) for path in paths]
        return changes

    exchange.change(wanted, "lock")
    exchange.share()
    found = [_after(answer, exchange.lost) for answer in answers]
    notes = []
    if server is not None:
        taken = [answer.path for answer in found if answer.state == TAKEN_OVER]
        new = [answer.lock for answer in found if answer.lock and answer.state in (LOCKED, TAKEN_OVER)]
        notes = [*lockserver.remove(server, taken, force=force), *lockserver.create(server, new)]
    return _result(exchange, found, owner, notes)


class _Wish(NamedTuple):
    owner: str
    branch: str | None
    note: str | None
    now: str
    expires_at: str | None
    # A lock that ends at this time or later need not be renewed.
    nearly: str | None
    force: bool

    def answer(self, path: str, book: Book, changes: dict[str, Lock | None]) -> Answer:
        """Decides about one path and adds what is to be written to `changes`."""
        name = file_name(path, self.branch)
        new = Lock(uuid7(), path, self.branch, self.owner, self.now, self.expires_at, self.note)
        if not is_sound(new):
            where = f" on branch '{names.printable(self.branch)}'" if self.branch else ""
            raise UsageError(
                f"'{names.printable(path)}' cannot be locked{where}: a lock is UTF-8, and not longer than a page",
                hint="shorter names can be; --all-branches names no branch",
            )
        others = tuple(each for each in book.locks.values() if locks.is_in_the_way(each, new, self.now))
        if others and not self.force:
            return Answer(path, HELD, None, others)
        for other in others:
            changes[other.name] = None
        old = book.locks.get(name)
        if old is not None and old.is_live(self.now) and is_same_person(old.owner, self.owner):
            new = old._replace(expires_at=self.expires_at, note=self.note if self.note is not None else old.note)
            if not others and new.note == old.note and self._is_about(old.expires_at):
                return Answer(path, KEPT, old)
        changes[name] = new
        if others:
            return Answer(path, TAKEN_OVER, new, others)
        return Answer(path, RENEWED if old is not None and new.id == old.id else LOCKED, new)

    def _is_about(self, expires_at: str | None) -> bool:
        """Whether a lock ends when it would if it were renewed, but for the time between two commands in a row."""
        if expires_at is None or self.expires_at is None or self.nearly is None:
            return expires_at == self.expires_at
        return self.nearly <= expires_at <= self.expires_at


def _after(answer: Answer, lost: Sequence[Lost]) -> Answer:
    """Gives what became of a path after its lock met those of others on the remote."""
    for each in lost:
        if answer.lock is not None and each.lock.id == answer.lock.id:
            return Answer(answer.path, HELD, None, (each.winner,))
    return answer


# -- unlock --------------------------------------------------------------------------------------------------------


def unlock(
    repository: Repository,
    paths: Sequence[str],
    *,
    branch: str | None = None,
    all_branches: bool = False,
    force: bool = False,
    remote: str | None = None,
    now: float | None = None,
    server: LockServer | None = None,
) -> Result:
    """Gives up one's own locks of top-relative paths and of what lies below them, on a branch (default: the one that is
    checked out) or on all; with `force` those of others on exactly these paths, too. Raises as `lock` does."""
    at = time.time() if now is None else now
    owner = _me(repository)
    here = None if all_branches else branch or locks.current_branch(repository.git)
    exchange = Exchange(repository, remote_of(repository, remote), now=stamp(at))
    exchange.meet()
    answers: list[Answer] = []

    def wanted(book: Book) -> dict[str, Lock | None]:
        live = [each for each in book.locks.values() if each.is_live(stamp(at))]
        answers[:] = [_released(path, live, owner, here, force) for path in paths]
        return {each.name: None for answer in answers if answer.state == UNLOCKED for each in answer.others}

    exchange.change(wanted, "unlock")
    exchange.share()
    after = exchange.book().locks.values()
    found = [
        replace(answer, state=HELD, others=tuple(left))
        if answer.state == UNLOCKED and (left := [each for each in answer.others if each in after])
        else answer
        for answer in answers
    ]
    gone = [each.path for answer in found if answer.state == UNLOCKED for each in answer.others]
    notes = lockserver.remove(server, gone, force=force) if server is not None else []
    return _result(exchange, found, owner, notes)


def _released(path: str, live: Sequence[Lock], owner: str, here: str | None, force: bool) -> Answer:
    """Decides about one path; of an unlocked one `others` are the locks that go."""
    below = [each for each in live if is_within(each.path, path) and each.is_on(here)]
    mine = [each for each in below if is_same_person(each.owner, owner)]
    theirs = [each for each in below if each not in mine and each.path == path]
    if mine or (theirs and force):
        return Answer(path, UNLOCKED, None, (*mine, *(theirs if force else ())))
    if theirs:
        return Answer(path, HELD, None, tuple(theirs))
    elsewhere = [each for each in live if is_within(path, each.path)]
    return Answer(path, ELSEWHERE if elsewhere else NOT_LOCKED, None, tuple(elsewhere))


# -- looking -------------------------------------------------------------------------------------------------------


def listing(
    repository: Repository,
    *,
    expired: bool = False,
    offline: bool = False,
    remote: str | None = None,
    now: float | None = None,
    server: LockServer | None = None,
) -> Listing:
    """Gives the locks, with `expired` those that ended, too; asks the remote first, and tells it what it does not know,
    unless `offline`. Raises UsageError, Refused, MachineError."""
    at = stamp(time.time() if now is None else now)
    exchange = Exchange(repository, remote_of(repository, remote), now=at)
    if not offline:
        exchange.meet()
        exchange.share()
    book = exchange.book()
    me = locks.identity(repository.git)
    rows = [
        Row(each, me is not None and is_same_person(each.owner, me), each.is_live(at), exchange.is_shared(each))
        for each in sorted(book.locks.values(), key=lambda each: (each.path, each.branch or "", each.id))
        if expired or each.is_live(at)
    ]
    notes: list[str] = []
    others: list[ServerLock] = []
    if server is not None and not offline:
        others = lockserver.listed(server, notes)
        by_path = {each.path: each.owner for each in others}
        rows = [replace(row, server=by_path.get(row.lock.path)) for row in rows]
    ours = {row.lock.path for row in rows}
    return Listing(
        tuple(rows),
        exchange.remote,
        book.ignored,
        _own(exchange.lost, me),
        exchange.problem,
        tuple(notes),
        tuple(each for each in others if each.path not in ours),
    )


@dataclass(frozen=True)
class Contact:
    """What became of this clone's locks when they met those of a remote: see `Result`."""

    lost: tuple[Lost, ...] = ()
    problem: ComfyvnError | None = None


def contact(repository: Repository, remote: str | None = None, *, now: float | None = None) -> Contact:
    """Exchanges locks with a git remote, for commands that talk to it anyway. Raises as `lock` does."""
    exchange = Exchange(repository, remote_of(repository, remote), now=stamp(time.time() if now is None else now))
    exchange.meet()
    exchange.share()
    return Contact(_own(exchange.lost, locks.identity(repository.git)), exchange.problem)


def warnings(repository: Repository, paths: Iterable[str]) -> list[str]:
    """Gives a line for each lock of somebody else's that a change of these top-relative files meets. No remote is asked."""
    try:
        return [locks.told(meeting) for meeting in locks.meetings(repository, paths)]
    except ComfyvnError as error:
        return [f"the locks cannot be read: {error.message}"]


def _me(repository: Repository) -> str:
    me = locks.identity(repository.git)
    if me is None:
        raise UsageError(
            "git does not know who you are, and a lock says whose it is",
            hint="git config --global user.name 'Your Name', and the same with user.email",
        )
    return me


def _own(lost: Iterable[Lost], me: str | None) -> tuple[Lost, ...]:
    return tuple(each for each in lost if me is None or is_same_person(each.lock.owner, me))


def _result(exchange: Exchange, answers: Sequence[Answer], owner: str, notes: Sequence[str]) -> Result:
    held = {each.path for each in answers if each.state == HELD}
    lost = tuple(each for each in _own(exchange.lost, owner) if each.lock.path not in held)
    return Result(tuple(answers), exchange.remote, lost, exchange.problem, not exchange.is_done, tuple(notes))
