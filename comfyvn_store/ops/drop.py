"""`drop`: removes the bytes of assets from this store, once enough remotes have proved that they hold them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.base import files
from comfyvn_store.base.files import Print
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, Refused, UsageError
from comfyvn_store.ops import journal, remotes, versions
from comfyvn_store.ops.session import Session
from comfyvn_store.remotes.folder import Folder
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.remotes.wrapping import Wrapping
from comfyvn_store.store import users
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs import neighbours, reachable, staging
from comfyvn_store.vcs.repository import Repository

# Seconds to wait for another process that removes objects.
_PATIENCE = 30.0


@dataclass
class Dropped:
    """What was dropped (hashes) and what that freed, and why the rest was kept (a reason for a hash). `seen` is each object
    as it was when it was found whole."""

    paths: dict[str, list[str]]
    dropped: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    copies: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, Print] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "dropped": [
                {"hash": hash_, "paths": self.paths[hash_], "copies": self.copies[hash_]} for hash_ in self.dropped
            ],
            "bytes": self.bytes,
            "kept": [{"hash": hash_, "paths": self.paths[hash_], "reason": why} for hash_, why in self.kept.items()],
        }


def drop(
    session: Session,
    targets: Sequence[str],
    *,
    copies: int = 1,
    only: Sequence[str] = (),
    verify: bool = False,
    force: bool = False,
    dry_run: bool = False,
) -> Dropped:
    """Drops the objects of assets, each if `copies` remotes have proved to hold it: a folder by its bytes, any other by
    saying so just now, with `verify` by its bytes too.

    In a store that several clones share, what another one has checked out is kept, unless `force`. Raises UnknownAsset,
    UsageError. What is not committed, or not proved, is kept, with the reason.
    """
    if not targets:
        raise UsageError(
            "nothing was named to be dropped", hint="comfyvn-store drop PATH...; a folder stands for all in it"
        )
    repository = session.repository
    chosen = versions.chosen(session, versions.present(session), targets, None)
    result = Dropped({})
    for version in chosen:
        result.paths.setdefault(version.hash, []).append(version.path)
    here = [item for item in versions.items(chosen) if repository.store.has(item.hash)]
    uncommitted = _uncommitted(repository)
    opened = remotes.for_reading(repository, only)
    try:
        held = _ask(opened, here)
        with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
            elsewhere = {} if force else _used_elsewhere(repository)
            for item in here:
                if item.hash in elsewhere:
                    result.kept[item.hash] = f"'{elsewhere[item.hash]}' has it checked out and shares this store"
                    continue
                if set(result.paths[item.hash]) & uncommitted:
                    result.kept[item.hash] = "not committed yet"
                    continue
                info = repository.store.stat(item.hash)
                if info is None:
                    continue
                if not _is_whole(repository, item.hash):
                    result.kept[item.hash] = "a program wrote to it; `comfyvn-store recover` keeps what it wrote"
                    continue
                proved, doubts = _proved(opened, held, item, copies, verify)
                if len(proved) < copies:
                    result.kept[item.hash] = doubts or f"{_count(len(proved))}, and {copies} wanted"
                    continue
                result.copies[item.hash] = proved
                result.bytes += info.st_size
                result.dropped.append(item.hash)
                result.seen[item.hash] = files.print_of(info)
            if not dry_run:
                _remove(repository, result)
    finally:
        for remote in opened:
            remote.close()
    return result


def _remove(repository: Repository, result: Dropped) -> None:
    """Removes what may go, once the journal says from which remotes it comes back."""
    if not result.dropped:
        return
    objects = [journal.Moved(hash_, remotes=tuple(result.copies[hash_])) for hash_ in result.dropped]
    more = f" and {len(result.dropped) - 1} more" if len(result.dropped) > 1 else ""
    summary = f"drop {result.paths[result.dropped[0]][0]}{more}"
    entry = journal.begin(repository, "drop", summary, objects=objects)
    for hash_ in list(result.dropped):
        path = repository.store.path(hash_)
        if files.print_of(os.lstat(path)) == result.seen[hash_]:
            os.unlink(path)
        else:
            result.dropped.remove(hash_)
            result.kept[hash_] = "a program wrote to it, or it was added again, meanwhile"
    journal.finish(repository, entry)


def _uncommitted(repository: Repository) -> set[str]:
    """Gives the paths whose staged bytes HEAD does not have, or that are edited."""
    head = repository.git.text("rev-parse", "--verify", "--quiet", "HEAD", check=False)
    base = head or staging.empty_tree(repository.git)
    return {change.path for change in staging.staged_changes(repository.git, base, repository.root)}


def _used_elsewhere(repository: Repository) -> dict[str, str]:
    """Gives, for each object that another clone of a shared store has in git's index, that clone."""
    found: dict[str, str] = {}
    for common_dir in users.users(repository.store):
        if os.path.realpath(common_dir) == repository.common_dir or users.is_gone(common_dir):
            continue
        found |= dict.fromkeys(reachable.staged_hashes(neighbours.git_at(common_dir)), common_dir)
    return found


def _is_whole(repository: Repository, hash_: str) -> bool:
    """Whether the object is what the remotes hold, and no edit that nothing else has. All of it is read."""
    try:
        repository.store.verify(hash_)
    except ComfyvnError:
        return False
    return True


def _ask(opened: Sequence[Remote], items: Sequence[Item]) -> dict[str, dict[str, int | None] | ComfyvnError]:
    held: dict[str, dict[str, int | None] | ComfyvnError] = {}
    for remote in opened if items else ():
        try:
            held[remote.name] = remote.has(items)
        except ComfyvnError as error:
            held[remote.name] = error
    return held


def _proved(
    opened: Sequence[Remote],
    held: dict[str, dict[str, int | None] | ComfyvnError],
    item: Item,
    copies: int,
    verify: bool,
) -> tuple[list[str], str | None]:
    """Gives the remotes that have proved to hold an object, no more than needed, and what spoke against another."""
    proved: list[str] = []
    doubts = None
    for remote in opened:
        said = held[remote.name]
        if len(proved) >= copies:
            break
        if isinstance(said, ComfyvnError):
            doubts = said.message
            continue
        if item.hash not in said:
            continue
        size = said[item.hash]
        if size is not None and item.size is not None and size != item.size:
            doubts = f"remote '{remote.name}' holds it with another size"
            continue
        try:
            if verify or _is_folder(remote):
                _read(remote, item)
        except ComfyvnError as error:
            doubts = error.message
            continue
        proved.append(remote.name)
    return proved, doubts


def _is_folder(remote: Remote) -> bool:
    while isinstance(remote, Wrapping):
        remote = remote.inner
    return isinstance(remote, Folder)


def _read(remote: Remote, item: Item) -> None:
    """Reads an object from a remote and compares. Raises ObjectCorrupt, RemoteUnreachable."""
    remote.prepare([item], upload=False)
    digest = hashlib.sha256()
    for block in remote.get(item):
        digest.update(block)
    if digest.hexdigest() != item.hash:
        raise ObjectCorrupt(f"remote '{remote.name}' holds other bytes under its name")


def _count(number: int) -> str:
    return "no remote holds it" if not number else f"{number} remote{'s' if number > 1 else ''} holds it"


def error_of(result: Dropped) -> ComfyvnError | None:
    """Gives the error that a drop ends with if something was kept."""
    if not result.kept:
        return None
    hash_, why = next(iter(result.kept.items()))
    more = f" and {len(result.kept) - 1} more" if len(result.kept) > 1 else ""
    return Refused(
        f"'{result.paths[hash_][0]}'{more} kept: {why}", hint="comfyvn-store push sends it to a remote first"
    )
