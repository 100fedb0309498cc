"""Locks on their way to and from a git remote: asked for, merged, changed, sent, again if somebody was faster.

Every step leaves the clone's ref whole: a change is a commit, and a ref moves only from what was read. What cannot be sent
now stays recorded here, and the next contact sends it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping

from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, LockTimeout, Refused, RemoteDenied, RemoteUnreachable, UsageError
from comfyvn_store.vcs import lockrecord, locks, upstream
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.lockrecord import Lock
from comfyvn_store.vcs.locks import Book, Lost
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.shelf import Shelf

_TRIES = 12
# So often a remote may refuse without having other locks than before, until it is not somebody else's haste any more.
_REFUSALS = 3
# A host that says nothing must not hold a person up for long (git-config(1), http.lowSpeedLimit); what they set wins.
_SPEED, _PATIENCE = "http.lowSpeedTime", {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "20"}


def remote_of(repository: Repository, named: str | None = None) -> str | None:
    """Gives the git remote that locks are exchanged with: `named`, the upstream's, origin, or the only one.

    None if there is none, or several of which none stands out. Raises UsageError if there is none of that name.
    """
    git = repository.git
    if named is not None:
        if named not in upstream.remotes(git):
            raise UsageError(f"there is no git remote '{names.printable(named)}'", hint="`git remote -v` lists them")
        return named
    return upstream.fetch_remote(git)


class Exchange:
    """One command's dealings with the locks of this clone and of at most one git remote.

    `lost` gathers the locks that had to go for somebody else's; `problem` is why the remote could not be asked or told.
    """

    def __init__(self, repository: Repository, remote: str | None, *, now: str) -> None:
        git = repository.git
        if remote is not None and not git.succeeds("config", _SPEED):
            git = Git(git.folder, {**_PATIENCE, **git.environment})
            git.promisors = repository.git.promisors
        self.shelf = Shelf(git, repository.object_format, locks.SHELF)
        self.remote = remote
        self.lost: list[Lost] = []
        self.problem: ComfyvnError | None = None
        self._now = now
        self._at_remote: tuple[str | None, Mapping[str, Lock]] | None = None

    def meet(self) -> None:
        """Asks the remote and merges what it has into this clone's locks."""
        if self.remote is None:
            return
        try:
            self.shelf.fetch(self.remote)
            self._merge()
        except (RemoteUnreachable, Refused) as error:
            self.problem = error

    def book(self) -> Book:
        """Gives the locks of this clone. Raises Refused for a ref that holds too much."""
        return locks.read(self.shelf, self.shelf.tip())

    def change(self, wanted: Callable[[Book], Mapping[str, Lock | None]], message: str) -> None:
        """Changes locks of this clone: `wanted` gives, for the locks that it sees, those to write (None: to take away).

        It may be asked again when another process was faster. Expired locks go with any change. Raises LockTimeout,
        Refused.
        """
        for attempt in range(_TRIES):
            tip = self.shelf.tip()
            book = locks.read(self.shelf, tip)
            new = dict(wanted(book))
            if not new:
                return
            for name, lock in book.locks.items():
                if not lock.is_live(self._now):
                    new.setdefault(name, None)
            files = {name: None if lock is None else lockrecord.encode(lock) for name, lock in new.items()}
            _check_room({*book.oids, *new} - {name for name, lock in new.items() if lock is None})
            commit = self.shelf.record(tip, files, message, kept=book.oids)
            if commit == tip or self.shelf.move(commit, tip):
                return
            _wait(attempt)
        raise LockTimeout("other processes keep changing the locks of this clone", hint="run the command again")

    def share(self) -> None:
        """Sends this clone's locks to the remote, merged with what others sent meanwhile."""
        if self.remote is None or self.problem is not None:
            return
        try:
            self._share(self.remote)
        except (RemoteUnreachable, Refused) as error:
            self.problem = error

    def is_shared(self, lock: Lock) -> bool:
        """Tells whether the remote had this very lock when it was last asked or told."""
        return self._shared().get(lock.name) == lock

    @property
    def is_done(self) -> bool:
        """Whether the remote knows all that this clone knows."""
        if self.remote is None:
            return self.shelf.tip() is None
        return self.shelf.tip() == self.shelf.tip(self.shelf.ref_of(self.remote))

    def _shared(self) -> Mapping[str, Lock]:
        if self.remote is None:
            return {}
        tip = self.shelf.tip(self.shelf.ref_of(self.remote))
        if self._at_remote is None or self._at_remote[0] != tip:
            self._at_remote = (tip, locks.read(self.shelf, tip).locks)
        return self._at_remote[1]

    def _share(self, remote: str) -> None:
        refusals = 0
        for attempt in range(_TRIES):
            own, theirs = self.shelf.tip(), self.shelf.tip(self.shelf.ref_of(remote))
            if own is None or own == theirs:
                return
            if theirs is not None and not self._is_ancestor(theirs, own):
                self._merge()
                continue
            if self.shelf.push(remote, own, lease=theirs or ""):
                return
            _wait(attempt)
            refusals = refusals + 1 if self.shelf.fetch(remote) == theirs else 0
            if refusals == _REFUSALS:
                raise RemoteDenied(
                    f"git remote '{names.printable(remote)}' does not take '{self.shelf.ref}'",
                    hint="ask whoever runs it which refs may be pushed there",
                )
            self._merge()
        raise RemoteUnreachable("others keep changing the locks", hint="run the command again", is_passing=True)

    def _merge(self) -> None:
        """Brings this clone's ref to what it and the remote have together; what the remote has goes first."""
        assert self.remote is not None
        for attempt in range(_TRIES):
            own, theirs = self.shelf.tip(), self.shelf.tip(self.shelf.ref_of(self.remote))
            if theirs is None or own == theirs or (own is not None and self._is_ancestor(theirs, own)):
                return
            before, after, target = locks.read(self.shelf, own), locks.read(self.shelf, theirs), theirs
            if own is not None and not self._is_ancestor(own, theirs):
                base = locks.read(self.shelf, locks.merge_base(self.shelf.git, own, theirs))
                merged = locks.merge(base, before, after, self._now)
                _check_room(merged)
                if merged != after.oids:
                    target = self.shelf.record(theirs, {}, "merge", own, kept=merged)
                    after = locks.read(self.shelf, target)
            if self.shelf.move(target, own):
                self.lost += locks.lost(before, after, self._now)
                return
            _wait(attempt)
        raise LockTimeout("other processes keep changing the locks of this clone", hint="run the command again")

    def _is_ancestor(self, one: str, other: str) -> bool:
        return self.shelf.git.succeeds("merge-base", "--is-ancestor", one, other)


def _check_room(files: Collection[str]) -> None:
    """Refuses to make a ref that nobody would read any more."""
    if len(files) > locks.MOST:
        raise Refused(
            f"that would be {len(files)} locks, and there can be {locks.MOST}",
            hint="unlock what nobody works on; lock a folder in place of its files",
        )


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0, 0.05 * (attempt + 1)))
