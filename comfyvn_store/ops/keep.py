"""`keep`: objects that collection leaves alone, whatever git says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.base import links, names
from comfyvn_store.errors import AmbiguousAsset, ComfyvnError, ObjectMissing, UnknownAsset, UnknownRevision, UsageError
from comfyvn_store.ops import versions
from comfyvn_store.ops.session import Session
from comfyvn_store.store import trash
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs import blobs, keeplist
from comfyvn_store.vcs.history import iso_time
from comfyvn_store.vcs.keeplist import Kept
from comfyvn_store.vcs.repository import Repository

_PATIENCE = 60.0


@dataclass
class Keeping:
    """What changed in the list (hashes), which of it is not in the store, and what the list holds now."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "added": self.added,
            "removed": self.removed,
            "missing": self.missing,
            "kept": [each._asdict() for each in self.kept],
        }


def keep(session: Session, targets: Sequence[str], *, remove: bool = False) -> Keeping:
    """Puts the objects that revisions, paths or hashes mean now on the list, or takes them off it, with what was put there
    under those very words.

    An object that is in the trash comes back. Raises UsageError, UnknownAsset, ObjectMissing for a hash that nobody has
    here, LockTimeout, OSError.
    """
    repository = session.repository
    meant = {hash_: target for target in targets for hash_ in (_off if remove else named)(session, target)}
    result = Keeping()
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        known = {each.hash: each for each in keeplist.read(repository.home.path)}
        for hash_, target in meant.items():
            if remove and known.pop(hash_, None) is not None:
                result.removed.append(hash_)
            elif not remove and hash_ not in known:
                known[hash_] = Kept(hash_, iso_time(int(time.time())), target)
                result.added.append(hash_)
        if result.added or result.removed:
            keeplist.write(repository.home.path, known.values(), repository.settings.sharing)
        if not remove:
            _take_from_trash(repository, set(meant))
    result.missing = [hash_ for hash_ in meant if not remove and not repository.store.has(hash_)]
    result.kept = sorted(known.values(), key=lambda each: (each.at, each.hash))
    return result


def _off(session: Session, target: str) -> list[str]:
    """Gives what to take off the list: what was put there under that name, and what it means now."""
    shown = names.printable(target)
    there = [each.hash for each in keeplist.read(session.repository.home.path) if each.words == shown]
    try:
        return [*there, *named(session, target, off_list=True)]
    except (UsageError, ObjectMissing):
        if not there:
            raise
        return there  # a name that means nothing any more


def add(repository: Repository, hashes: Iterable[str], words: str) -> None:
    """Puts objects on the list under the given words. Raises LockTimeout, OSError."""
    with locked(repository.store.lock_path, _PATIENCE, repository.settings.sharing):
        known = {each.hash: each for each in keeplist.read(repository.home.path)}
        now = iso_time(int(time.time()))
        new = {hash_: Kept(hash_, now, words) for hash_ in hashes if hash_ not in known}
        if new:
            keeplist.write(repository.home.path, (known | new).values(), repository.settings.sharing)


def listed(repository: Repository) -> Keeping:
    """Gives the list."""
    found = sorted(keeplist.read(repository.home.path), key=lambda each: (each.at, each.hash))
    return Keeping(kept=found, missing=[each.hash for each in found if not repository.store.has(each.hash)])


def named(session: Session, target: str, *, off_list: bool = False) -> list[str]:
    """Gives the objects that a path, a revision, a hash or its beginning means; a path before a revision of that name.

    Raises UnknownAsset, AmbiguousAsset, ObjectMissing.
    """
    repository = session.repository
    try:
        found = versions.chosen(session, versions.present(session), [target], None)
        if found:
            return list(dict.fromkeys(each.hash for each in found))
    except AmbiguousAsset:
        hashes = _beginning_with(repository, target, off_list)
        if len(hashes) != 1:
            raise
        return hashes
    except UnknownAsset:
        pass
    hashes = _beginning_with(repository, target, off_list)
    if len(hashes) > 1:
        raise UsageError(f"several objects begin with {target}", hint="type more of the hash")
    if hashes:
        return hashes
    if links.is_hash(target):
        raise ObjectMissing(
            f"object {target[:16]} is neither in the store nor in its trash",
            hint="`comfyvn-store pull --rev REV` fetches what a revision holds",
        )
    return _at_revision(repository, target)


def _at_revision(repository: Repository, target: str) -> list[str]:
    revision, colon, path = target.partition(":")
    if blobs.resolve(repository.git, revision) is None and (colon or ".." not in target):
        raise UnknownAsset(
            f"'{names.printable(target)}' is no asset, no object and no revision",
            hint="`comfyvn-store list` shows assets, `git log --oneline` revisions",
        )
    try:
        found = versions.at_revision(repository, revision if colon else target)
    except UnknownRevision as error:
        raise UnknownAsset(error.message, hint=error.hint) from None
    if colon:
        found = [each for each in found if each.path == path or each.path.startswith(path.rstrip("/") + "/")]
        if not found:
            raise UnknownAsset(f"'{names.printable(path)}' is no asset in {revision}")
    return list(dict.fromkeys(each.hash for each in found))


def _beginning_with(repository: Repository, target: str, off_list: bool) -> list[str]:
    """Gives the objects of the store, the trash and (to take one off it) the list whose hash begins so."""
    text = target.lower()
    if not 4 <= len(text) <= 64 or not set(text) <= set("0123456789abcdef"):
        return []
    found = {hash_ for hash_ in repository.store.hashes() if hash_.startswith(text)}
    found |= {item.hash for item in trash.listed(repository.store) if item.hash.startswith(text)}
    if off_list:
        found |= {each.hash for each in keeplist.read(repository.home.path) if each.hash.startswith(text)}
    return sorted(found)


def _take_from_trash(repository: Repository, hashes: set[str]) -> None:
    for item in trash.listed(repository.store):
        if item.hash in hashes and not repository.store.has(item.hash):
            # One that is damaged there hinders no other; that it is not here is said.
            with contextlib.suppress(ComfyvnError, OSError):
                trash.restore(repository.store, item)
