"""`usage`: what the art costs in space, by whom and what, and what of it can be freed safely.

Sizes are those of the files in the store, each object counted once. An object that belongs to several groups is counted
under SHARED, one of which the group is not known under UNKNOWN.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.base import links, names
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.ops import gc, remotes
from comfyvn_store.ops.gc import NOTHING, Amount
from comfyvn_store.ops.session import Session
from comfyvn_store.remotes.remote import Item
from comfyvn_store.vcs.history import iso_time
from comfyvn_store.vcs.reachable import Reach
from comfyvn_store.vcs.repository import Repository

TYPE, CHARACTER, BRANCH, VERSION, AUTHOR = "type", "character", "branch", "version", "author"
GROUPS = (TYPE, CHARACTER, BRANCH, VERSION, AUTHOR)
SHARED, UNKNOWN = "(shared)", "(unknown)"
CURRENT, OLD = "current", "old"
_CHARACTERS, _TAG = "characters/", "character:"


@dataclass
class Freeable:
    """Something that can be freed: what, how much, and the command to type."""

    what: str
    amount: Amount
    command: str


@dataclass
class Usage:
    """What is used. `groups` are those of `by`, the largest first. `unsent` is what no remote has, None where that was not
    asked, `unsent_unnamed` how much of that is in no commit and not staged; `down` names remotes that did not answer. `young`
    is what nothing names and was added lately, which `gc` may take from `young_until` on, as it may empty the trash of the
    first file there from `trash_until` on (seconds since 1970). Of places other than `objects` only bytes count."""

    by: str
    objects: Amount = NOTHING
    missing: int = 0
    groups: dict[str, Amount] = field(default_factory=dict)
    current: Amount = NOTHING
    old: Amount = NOTHING
    unnamed: Amount = NOTHING
    young: Amount = NOTHING
    young_until: float | None = None
    trash_until: float | None = None
    unsent: Amount | None = None
    unsent_unnamed: Amount = NOTHING
    down: dict[str, str] = field(default_factory=dict)
    quarantine: Amount = NOTHING
    trash: Amount = NOTHING
    unfinished: Amount = NOTHING
    previews: Amount = NOTHING
    git: int = 0
    freeable: list[Freeable] = field(default_factory=list)
    unlisted: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        amounts = ("objects", "current", "old", "unnamed", "young", "quarantine", "trash", "unfinished", "previews")
        return {
            **{name: getattr(self, name)._asdict() for name in amounts},
            "missing": self.missing,
            "by": self.by,
            "groups": [{"name": name, **amount._asdict()} for name, amount in self.groups.items()],
            "young_until": _date(self.young_until),
            "trash_until": _date(self.trash_until),
            "on_no_remote": self.unsent._asdict() if self.unsent is not None else None,
            "on_no_remote_unnamed": self.unsent_unnamed._asdict() if self.unsent is not None else None,
            "remotes_down": self.down,
            "git_bytes": self.git,
            "freeable": [
                {"what": each.what, **each.amount._asdict(), "command": each.command} for each in self.freeable
            ],
            "not_listed": self.unlisted,
        }


def usage(session: Session, *, by: str = TYPE, ask_remotes: bool = False) -> Usage:
    """Finds what is used, in groups by type, character, branch, version or author. Raises OSError."""
    repository = session.repository
    sizes = {hash_: info.st_size for hash_ in repository.store.hashes() if (info := repository.store.stat(hash_))}
    uses = _Uses(session)
    result = Usage(by, _sum(sizes.values()))
    result.missing = len(uses.current - sizes.keys())
    result.current = _sum(size for hash_, size in sizes.items() if hash_ in uses.current)
    old = uses.paths.keys() - uses.current
    result.old = _sum(size for hash_, size in sizes.items() if hash_ in old)
    result.unnamed = _sum(size for hash_, size in sizes.items() if hash_ not in uses.paths)
    result.groups = _grouped(sizes, _groups(session, uses, by))
    for name, part in (("quarantine", "bad"), ("trash", "trash"), ("unfinished", "tmp")):
        setattr(result, name, _below(os.path.join(repository.store.root, part)))
    result.previews = _previews(repository)
    result.git = _git_bytes(repository)
    _find_freeable(session, result)
    if ask_remotes:
        _ask_remotes(repository, sizes, uses, result)
    return result


class _Uses:
    """Where objects are and were named: paths (relative to the assets root) of the index and of all commits."""

    def __init__(self, session: Session) -> None:
        self.paths: dict[str, set[str]] = {}
        self.current: set[str] = set()
        self.tags: dict[str, list[str]] = {}
        self.committed: set[str] = set()
        db = session.index.db
        for path, hash_, tags in db.execute("SELECT path, hash, tags FROM assets_registry"):
            self.current.add(hash_)
            self.paths.setdefault(hash_, set()).add(path)
            self.tags[path] = json.loads(tags)
        for path, hash_ in db.execute("SELECT DISTINCT path, hash FROM commit_assets WHERE hash IS NOT NULL"):
            self.paths.setdefault(hash_, set()).add(path)
            self.committed.add(hash_)


def _groups(session: Session, uses: _Uses, by: str) -> Mapping[str, set[str]]:
    """Gives the groups that each object belongs to."""
    if by == BRANCH:
        return _branches(session.repository)
    if by == AUTHOR:
        return _authors(session)
    if by == VERSION:
        return {hash_: {CURRENT if hash_ in uses.current else OLD} for hash_ in uses.paths}
    found: dict[str, set[str]] = {}
    for hash_, paths in uses.paths.items():
        if by == TYPE:
            found[hash_] = {names.asset_type(path) for path in paths}
        else:
            found[hash_] = {name for path in paths for name in characters(path, uses.tags.get(path, ()))}
    return found


def characters(inside: str, tags: Iterable[str]) -> set[str]:
    """Gives the characters that an asset is of: those of its `character:` tags, else its first folder below `characters/`."""
    said = {tag[len(_TAG) :].strip() for tag in tags if tag.startswith(_TAG)} - {""}
    if said or not inside.startswith(_CHARACTERS):
        return said
    name, slash, _ = inside[len(_CHARACTERS) :].partition("/")
    return {name} if slash else set()


def _branches(repository: Repository) -> dict[str, set[str]]:
    """Gives the local branches in whose history each object stands."""
    reach = Reach(repository.common_dir)
    found: dict[str, set[str]] = {}
    for ref in reach.refs():
        if ref.name.startswith("refs/heads/"):
            for hash_ in reach.hashes_from(oids=[ref.oid]):
                found.setdefault(hash_, set()).add(ref.name[len("refs/heads/") :])
    return found


def _authors(session: Session) -> dict[str, set[str]]:
    """Gives the author of the oldest commit that brought each object."""
    rows = session.index.db.execute(
        "SELECT a.hash, c.author FROM commit_assets a JOIN commits c ON c.hash = a.commit_hash"
        " WHERE a.hash IS NOT NULL AND a.change <> 'D' ORDER BY c.committed_at DESC, c.hash DESC"
    )
    return {hash_: {author} for hash_, author in rows}


def _grouped(sizes: Mapping[str, int], groups: Mapping[str, set[str]]) -> dict[str, Amount]:
    found: dict[str, Amount] = {}
    for hash_, size in sizes.items():
        of = groups.get(hash_, set())
        name = next(iter(of)) if len(of) == 1 else (SHARED if of else UNKNOWN)
        found[name] = found.get(name, NOTHING).plus(size)
    return dict(sorted(found.items(), key=lambda item: (-item[1].bytes, item[0])))


def _date(moment: float | None) -> str | None:
    return iso_time(int(moment)) if moment is not None else None


def _sum(sizes: Iterable[int]) -> Amount:
    known = list(sizes)
    return Amount(len(known), sum(known))


# -- beside the objects ------------------------------------------------------------------------------------------------


def _below(folder: str) -> Amount:
    found = NOTHING
    for here, _, listed in os.walk(folder):
        for name in listed:
            try:
                found = found.plus(os.lstat(os.path.join(here, name)).st_size)
            except FileNotFoundError:
                continue
    return found


def _previews(repository: Repository) -> Amount:
    """Gives what is named like a preview; the folder may hold more."""
    folder = repository.settings.thumbs_root
    found = NOTHING
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if links.is_hash(name.partition(".")[0]):
            found = found.plus(os.lstat(os.path.join(folder, name)).st_size)
    return found


def _git_bytes(repository: Repository) -> int:
    """Gives the bytes of git's database, as `git count-objects -v` has them (in KiB)."""
    said = dict(line.split(": ", 1) for line in repository.git.text("count-objects", "-v").splitlines())
    return 1024 * (int(said.get("size", 0)) + int(said.get("size-pack", 0)) + int(said.get("size-garbage", 0)))


# -- what can be freed -------------------------------------------------------------------------------------------------


def _find_freeable(session: Session, result: Usage) -> None:
    try:
        found = gc.collect(session.repository, now=time.time())
    except ComfyvnError as error:
        result.unlisted = error.message
        return
    result.young = found.kept.get(gc.YOUNG, NOTHING)
    result.young_until, result.trash_until = found.young_until, found.waiting_until
    if found.freed:
        amount = Amount(len(found.freed), found.bytes)
        result.freeable.append(Freeable("nothing names it (to the trash first)", amount, "comfyvn-store gc --prune"))
    if found.emptied.objects:
        result.freeable.append(Freeable("long enough in the trash", found.emptied, "comfyvn-store gc --prune"))


def _ask_remotes(repository: Repository, sizes: Mapping[str, int], uses: _Uses, result: Usage) -> None:
    """Asks the remotes what they hold."""
    items: Sequence[Item] = [Item(hash_, size) for hash_, size in sizes.items()]
    held: set[str] = set()
    for remote in remotes.for_reading(repository):
        try:
            held |= set(remote.has(items)) if items else set()
        except ComfyvnError as error:
            result.down[remote.name] = error.message
        finally:
            remote.close()
    unsent = [item for item in items if item.hash not in held]
    result.unsent = _sum(item.size or 0 for item in unsent)
    result.unsent_unnamed = _sum(item.size or 0 for item in unsent if item.hash not in uses.paths)
    droppable = [item for item in items if item.hash in held & uses.current & uses.committed]
    if droppable:
        amount = _sum(item.size or 0 for item in droppable)
        command = f"comfyvn-store drop {repository.root}"
        result.freeable.append(Freeable("remotes hold it, and pull brings it back", amount, command))
