"""Objects: whether each that is needed is here, and whether its bytes give its hash. Reads only."""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from comfyvn_store.base.sharing import is_own
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.ops import cutoff, remotes
from comfyvn_store.ops.fsck import markers, placement, scope
from comfyvn_store.ops.fsck.finding import (
    CORRUPT,
    MISSING,
    MODE,
    NO_REMOTE,
    PULL,
    REPAIR,
    TIME,
    TRUNCATED,
    WRITTEN,
    Finding,
)
from comfyvn_store.ops.fsck.scope import Needed, Scope
from comfyvn_store.ops.fsck.unchanged import State
from comfyvn_store.ops.fsck.verified import Verified
from comfyvn_store.ops.wiring import quoted
from comfyvn_store.store.objects import BLOCK, Store, open_file
from comfyvn_store.vcs.repository import Repository

_NOTHING = Needed()


@dataclass
class Look:
    """One look at the objects: what for, what is believed unread, and how much was seen, read, and skipped as verified.

    `is_full`: every object is read, and not only what is needed or was touched. `state` is what an incremental run compares
    with that of an earlier one; None to examine everything. `absent` are older versions that only remotes may have.
    """

    repository: Repository
    scope: Scope
    verified: Verified
    is_full: bool = False
    is_incremental: bool = False
    tell: Progress = field(default=quietly)
    seen: int = 0
    hashed: int = 0
    skipped: int = 0
    state: State | None = None
    absent: int = 0

    @functools.cached_property
    def has_remotes(self) -> bool:
        """Whether there is anybody who can be asked for bytes."""
        opened = remotes.for_reading(self.repository)
        for remote in opened:
            remote.close()
        return bool(opened)

    @property
    def knows_tree(self) -> bool:
        """Whether links and sidecars were found in order before, all but those of `state.touched`."""
        return self.state is not None and self.verified.holds_state(f"tree/{self.state.place}", self.state.tree)

    @property
    def knows_index(self) -> bool:
        """Whether the index was found to say what git says."""
        return self.state is not None and self.verified.holds_state(f"index/{self.state.place}", self.state.database)


def examine(look: Look) -> Iterator[Finding]:
    """Gives what is wrong with objects, and what is no object and lies among them."""
    store, needed = look.repository.store, look.scope.needed
    keeps_modes = _keeps_modes(look.repository)
    here: set[bytes] = set()
    strangers: list[placement.Placed] = []
    if look.scope.is_whole:
        total = placement.count(store)
        for placed in placement.walk(store):
            if placed.hash is None or not placed.is_object:
                strangers.append(placed)
                continue
            here.add(bytes.fromhex(placed.hash))
            yield from _judge(look, placed.hash, placed.info, keeps_modes)
            look.tell("verifying objects", look.seen, total)
        look.verified.keep_only(frozenset(here))
        for stranger in strangers:
            yield placement.judge(store, stranger, needed)
    else:
        for hash_ in needed:
            info = store.stat(hash_)
            if info is not None:
                here.add(bytes.fromhex(hash_))
                yield from _judge(look, hash_, info, keeps_modes)
                look.tell("verifying objects", look.seen, len(needed))
    for hash_, need in needed.items():
        if bytes.fromhex(hash_) not in here:
            of = f" that {need.revision} has" if need.revision else ""
            yield Finding(
                MISSING, f"the bytes{of} are not in this store", _fetching(look, need), need.paths, hash_, True
            )


def _fetching(look: Look, need: Needed) -> str:
    if not look.has_remotes:
        return NO_REMOTE
    return f"{PULL} --rev {shlex.quote(need.revision)}" if need.revision else PULL


def _judge(look: Look, hash_: str, info: os.stat_result, keeps_modes: bool) -> Iterator[Finding]:
    look.seen += 1
    store = look.repository.store
    need = look.scope.needed.get(hash_)
    is_open = keeps_modes and bool(info.st_mode & 0o222)
    is_touched = is_open or info.st_mtime_ns % 1_000_000_000 != 0
    is_due = look.is_full or is_touched or need is not None
    if is_due and look.is_incremental and look.verified.holds(hash_, info):
        look.skipped += 1
    elif is_due:
        wrong = list(_read(look, hash_, info, need or _NOTHING, is_touched))
        yield from wrong
        if any(finding.kind in (CORRUPT, TRUNCATED, WRITTEN) for finding in wrong):
            return
    if is_own(info):  # of another user's object neither can be set, and neither harms
        if is_open or not info.st_mode & 0o400:
            message = f"an object has the mode {info.st_mode & 0o777:04o}, and programs could write to it"
            yield Finding(MODE, message, REPAIR, [store.path(hash_)], hash_, True)
        elif is_touched:
            message = "an object is whole, but its time says that somebody wrote to it"
            yield Finding(TIME, message, REPAIR, [store.path(hash_)], hash_, True)


def _read(look: Look, hash_: str, info: os.stat_result, need: Needed, is_touched: bool) -> Iterator[Finding]:
    """Reads one object; what it should be like is asked of sidecars only once its bytes proved to be right."""
    store = look.repository.store
    look.hashed += 1
    scope.complete(look.repository, look.scope)
    digest = hashlib.sha256()
    reason = None
    try:
        with open_file(store.path(hash_)) as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
            if digest.hexdigest() == hash_:
                look.verified.note(hash_, info)
                yield from markers.judge(stream, hash_, need)
                return
        reason = f"its bytes have the hash {digest.hexdigest()[:16]}"
    except FileNotFoundError:
        return  # somebody moved it just now
    except OSError as error:
        reason = f"it cannot be read ({(error.strerror or str(error)).lower()})"
    look.verified.forget(hash_)
    yield _damage(look, hash_, info, need, reason, is_touched)


def _damage(look: Look, hash_: str, info: os.stat_result, need: Needed, reason: str, is_touched: bool) -> Finding:
    """Says how an object is wrong. One that a program wrote to holds what a person made, perhaps its only copy."""
    paths = need.paths or [look.repository.store.path(hash_)]
    if is_touched and info.st_size and not _is_cut_short(look, hash_, need):
        if need.paths:
            remedy = f"comfyvn-store recover {' '.join(map(quoted, need.paths[:20]))}"
            return Finding(WRITTEN, f"a program wrote into an object: {reason}", remedy, paths, hash_)
        message = f"a program wrote into the object of an older version: {reason}"
        return Finding(WRITTEN, message, REPAIR, paths, hash_, True)
    if not info.st_size or (need.size is not None and info.st_size < need.size):
        of = f" of {need.size}" if need.size is not None else ""
        return Finding(TRUNCATED, f"an object is cut off: {info.st_size}{of} bytes", REPAIR, paths, hash_, True)
    return Finding(CORRUPT, f"an object is damaged: {reason}", REPAIR, paths, hash_, True)


def _is_cut_short(look: Look, hash_: str, need: Needed) -> bool:
    try:
        return cutoff.is_cut_short(look.repository, hash_, need.size)
    except OSError:
        return False


def _keeps_modes(repository: Repository) -> bool:
    """Whether the disk can make a file read-only. `Store` tries it with a file; here nothing is written, so git's own
    trial (`core.fileMode`) or a single read-only object has to do."""
    if repository.git.text("config", "--type=bool", "--get", "core.fileMode", check=False) != "false":
        return True
    return any(not placed.info.st_mode & 0o222 for placed in placement.walk(repository.store) if placed.is_object)


def is_right(store: Store, hash_: str) -> bool:
    """Tells whether an object is here and its bytes give its hash."""
    return store.has(hash_) and placement.digest_of(store.path(hash_)) == hash_
