"""`drop`: removes the bytes of assets from this store, once enough remotes have proved that they hold them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.asset import worktree
from comfyvn_store.base import files, links
from comfyvn_store.errors import ComfyvnError, Refused, UsageError
from comfyvn_store.ops import clones, journal, remotes, roots, versions
from comfyvn_store.ops.proof import UNNAMED, Proof, folder_of
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.versions import Version
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

# Seconds to wait for another process that removes objects.
_PATIENCE = 30.0
# Why objects are kept.
_NOWHERE, _UNCOMMITTED, _EDITED = "no remote holds it", "not committed yet", "it is being edited"
_SHARED = "has it checked out and shares this store"


@dataclass
class Dropped:
    """What was dropped (hashes) and what that freed, and why the rest was kept (a reason for a hash). `seen` is each object
    as it was when it was found whole."""

    paths: dict[str, list[str]]
    dropped: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    copies: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, os.stat_result] = field(default_factory=dict)

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

    In a store that several clones share, what another one has checked out, or may have while it is not there, is kept,
    unless `force`. Raises UnknownAsset,
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
    edited = _edited(repository, chosen)
    opened = remotes.for_reading(repository, only)
    try:
        with _alone(repository, opened):
            proof = Proof(repository.store, opened, copies, verify)
            proof.ask(here)
            elsewhere = {} if force else _used_elsewhere(repository)
            away = None if force else clones.doubt(repository)
            for item in here:
                reason = away or _reason_to_keep(item, result.paths[item.hash], elsewhere, uncommitted, edited)
                if reason is None:
                    reason = _decide(repository, item, proof, result)
                if reason is not None:
                    result.kept[item.hash] = reason
            if not dry_run:
                _remove(repository, result)
    finally:
        for remote in opened:
            remote.close()
    return result


def _reason_to_keep(
    item: Item, paths: Sequence[str], elsewhere: Mapping[str, str], uncommitted: set[str], edited: set[str]
) -> str | None:
    """Gives why an object stays whatever remotes hold, None if nothing speaks for it."""
    if item.hash in elsewhere:
        return f"'{elsewhere[item.hash]}' {_SHARED}"
    if set(paths) & uncommitted:
        return _UNCOMMITTED
    return _EDITED if set(paths) & edited else None


def _decide(repository: Repository, item: Item, proof: Proof, result: Dropped) -> str | None:
    """Notes that an object may go, if enough remotes prove to hold it; gives the reason if it stays."""
    store = repository.store
    info = store.stat(item.hash)
    if info is None:
        return None
    try:
        store.verify(item.hash)
    except ComfyvnError:
        return "a program wrote to it; `comfyvn-store recover` keeps what it wrote"
    proved, doubts = proof.of(item, info)
    if len(proved) < proof.copies:
        return doubts or f"{_count(len(proved))}, and {proof.copies} wanted"
    result.copies[item.hash] = proved
    result.bytes += info.st_size
    result.seen[item.hash] = info
    result.dropped.append(item.hash)
    return None


def _remove(repository: Repository, result: Dropped) -> None:
    """Removes what may go, once the journal says from which remotes it comes back."""
    if not result.dropped:
        return
    objects = [journal.Moved(hash_, remotes=tuple(result.copies[hash_])) for hash_ in result.dropped]
    more = f" and {len(result.dropped) - 1} more" if len(result.dropped) > 1 else ""
    summary = f"drop {result.paths[result.dropped[0]][0]}{more}"
    entry = journal.begin(repository, "drop", summary, objects=objects)
    for hash_ in list(result.dropped):
        # A program may have written through the link while remotes were asked.
        info = repository.store.stat(hash_)
        if info is not None and _print(info) == _print(result.seen[hash_]):
            os.unlink(repository.store.path(hash_))
        else:
            result.dropped.remove(hash_)
            result.bytes -= result.seen[hash_].st_size
            result.kept[hash_] = "a program wrote to it, or it was added again, meanwhile"
    journal.finish(repository, entry)


def _print(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_mode)


@contextlib.contextmanager
def _alone(repository: Repository, opened: Sequence[Remote]) -> Iterator[None]:
    """Keeps others from removing objects here and in the folders that are to prove that they hold them, so that of two
    clones which rely on each other only one drops at a time."""
    stores = {os.path.realpath(repository.store.root): repository.store.lock_path}
    for folder in filter(None, map(folder_of, opened)):
        place = os.path.join(folder.root, "lock")
        if os.path.isdir(os.path.join(folder.root, "objects")):  # else it proves nothing, and may be anything
            stores[os.path.realpath(folder.root)] = place
    with contextlib.ExitStack() as stack:
        for root in sorted(stores):  # always in this order, so that two never wait for each other
            try:
                stack.enter_context(locked(stores[root], _PATIENCE, repository.settings.sharing))
            except OSError:
                if root == os.path.realpath(repository.store.root):
                    raise
        yield


def _uncommitted(repository: Repository) -> set[str]:
    """Gives the paths whose staged bytes HEAD does not have."""
    head = repository.git.text("rev-parse", "--verify", "--quiet", "HEAD", check=False)
    base = head or staging.empty_tree(repository.git)
    return {change.path for change in staging.staged_changes(repository.git, base, repository.root)}


def _edited(repository: Repository, chosen: Sequence[Version]) -> set[str]:
    """Gives the views that hold something else than what is staged. Where git's notes of times do not say so, as after a
    copy of the whole folder, the bytes do."""
    doubted = staging.unstaged_paths(repository.git, [version.path for version in chosen])
    return {version.path for version in chosen if version.path in doubted and not _is_as_staged(repository, version)}


def _is_as_staged(repository: Repository, version: Version) -> bool:
    place = repository.absolute(version.path)
    text = files.read_link(place)
    if text is not None:
        return links.parse_link(text) == version.hash
    return repository.copies_views and worktree.holds(repository, place, version.hash)  # else `edit` made it a file


def _used_elsewhere(repository: Repository) -> dict[str, str]:
    """Gives, for each object that another clone of a shared store has in git's index, that clone. Raises Refused."""
    found: dict[str, str] = {}
    for user in roots.all_users(repository):
        if not user.is_own:
            found |= dict.fromkeys(user.reach.index_hashes(), user.reach.common_dir)
    return found


def _count(number: int) -> str:
    if not number:
        return _NOWHERE
    return "1 remote holds it" if number == 1 else f"{number} remotes hold it"


def error_of(result: Dropped) -> ComfyvnError | None:
    """Gives the error that a drop ends with if something was kept."""
    if not result.kept:
        return None
    reasons = set(result.kept.values())
    hint = None
    if any(why.startswith(_NOWHERE) for why in reasons):
        hint = "comfyvn-store push sends it to a remote first"
    elif reasons == {_UNCOMMITTED}:
        hint = "git commit"
    elif any(why.endswith(UNNAMED) for why in reasons):
        hint = "git push, so that the repository there names it, too"
    elif all(why.endswith((_SHARED, clones.AWAY)) for why in reasons):
        hint = "--force drops what other clones have checked out, too"
    many = len(result.kept)
    return Refused(f"{many} object{' was' if many == 1 else 's were'} kept, as said above", hint=hint)
