"""Which objects a person means: those of the work tree's assets, of a revision, or of every version in some history.

Read from git, not from the index, but for the present: what was committed in any way, under any assets root, counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.known import parse_all
from comfyvn_store.base import canonical, names
from comfyvn_store.errors import UnknownAsset, UnknownRevision
from comfyvn_store.index import questions
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import Session
from comfyvn_store.remotes.remote import Item
from comfyvn_store.vcs import blobs, history, staging
from comfyvn_store.vcs.history import FileChange
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

_FILES = (staging.FILE, staging.EXECUTABLE)


class Version(NamedTuple):
    """An object and one path (relative to the work tree's top) at which it is or was; `size` where a sidecar says it."""

    hash: str
    path: str
    size: int | None = None


def present(session: Session) -> list[Version]:
    """Gives what git's index holds here, of assets in conflict both sides."""
    repository = session.repository
    found = [Version(hash_, repository.full(path), size) for path, hash_, size in questions.sized_hashes(session.index)]
    apart = staging.unmerged_entries(repository.git, repository.root)
    return [*found, *_versions(repository, list(apart))]


def at_revision(repository: Repository, revision: str) -> list[Version]:
    """Gives what the tree of a revision holds, or every version that a range brought. Raises UnknownRevision."""
    return _versions(repository, entries_at(repository, revision))


def entries_at(repository: Repository, revision: str) -> list[Entry]:
    """Gives the entries of a revision's tree, or those that the commits of a range brought. Raises UnknownRevision."""
    commit = blobs.resolve(repository.git, revision)
    if commit is None:
        commits = history.revision_commits(repository.git, revision)
        return _brought(history.changes(repository.git, commits, None))
    listing = repository.git.run("ls-tree", "-r", "-z", "--full-tree", commit)
    found = []
    for item in listing.split(b"\0"):
        if item:
            head, _, path = item.partition(b"\t")
            mode, _, oid = head.decode("ascii").split(" ")[:3]
            found.append(Entry(os.fsdecode(path), mode, oid))
    return found


def in_history(repository: Repository, included: Sequence[str], excluded: Sequence[str] = ()) -> list[Version]:
    """Gives every version that commits reachable from the included and not from the excluded ones brought.

    Raises UnknownRevision.
    """
    names_ = [*included, *(f"^{name}" for name in excluded)]
    done = repository.git.outcome(
        "rev-list", "--stdin", data="".join(f"{name}\n" for name in names_).encode(), check=False
    )
    if done.returncode != 0:
        raise UnknownRevision(
            f"git knows no revision or range '{names.printable(' '.join(names_))}'",
            hint="`git log --oneline` lists commits",
        )
    return in_commits(repository, done.stdout.decode("ascii").split())


def in_commits(repository: Repository, commits: Sequence[str]) -> list[Version]:
    """Gives every version that those very commits brought."""
    return of_changes(repository, history.changes(repository.git, commits, None))


def of_changes(repository: Repository, changes: Iterable[tuple[str, Sequence[FileChange]]]) -> list[Version]:
    """Gives every version among what commits changed (see `history.changes`)."""
    return _versions(repository, _brought(changes))


def _brought(changes: Iterable[tuple[str, Sequence[FileChange]]]) -> list[Entry]:
    return [Entry(each.path, each.new_mode, each.new_oid) for _, changed in changes for each in changed]


def _versions(repository: Repository, entries: Sequence[Entry]) -> list[Version]:
    """Gives the versions among entries of trees, with their sizes if bytes are lacking here."""
    found = linked(repository, entries)
    if all(repository.store.has(hash_) for hash_ in {version.hash for version in found}):
        return found
    cards = {entry.oid: entry.path for entry in entries if entry.mode in _FILES and names.is_sidecar(entry.path)}
    sizes = _sizes(repository, cards)
    return [version._replace(size=sizes.get(version.hash)) for version in found]


def linked(repository: Repository, entries: Iterable[Entry]) -> list[Version]:
    """Gives what the links among entries name: whatever is the text of one, under any root. No sizes."""
    views: dict[tuple[str, str], None] = {}
    for path, mode, oid, *_ in entries:
        if mode == staging.LINK or (mode in _FILES and not names.is_sidecar(path)):
            views[path, oid] = None
    hashes = blobs.read_links(repository.git, (oid for _, oid in views))
    return [Version(hashes[oid], path) for path, oid in views if oid in hashes]


def _sizes(repository: Repository, cards: Iterable[str]) -> dict[str, int]:
    """Gives the size of each object that one of the sidecars speaks of."""
    texts = blobs.read_small_blobs(repository.git, cards, canonical.LONGEST_JSON)
    said: Iterable[sidecar.Sidecar] = filter(None, parse_all(texts).values())
    return {card.hash: card.bytes for card in said if card.bytes is not None}


def items(versions: Iterable[Version]) -> list[Item]:
    """Gives each object once."""
    found: dict[str, Item] = {}
    for version in versions:
        known = found.get(version.hash)
        if known is None or known.size is None:
            found[version.hash] = Item(version.hash, version.size)
    return list(found.values())


def chosen(session: Session, versions: Sequence[Version], targets: Sequence[str], type_: str | None) -> list[Version]:
    """Gives those that lie at or below the targets (paths as typed, or uids), of one type if asked.

    Raises UnknownAsset for a target that means nothing, AmbiguousAsset.
    """
    repository = session.repository
    if type_ is not None:
        versions = [each for each in versions if _type(repository, each.path) == type_]
    if not targets:
        return list(versions)
    found: dict[Version, None] = {}
    for target in targets:
        path = naming.to_top(repository, target) if naming.is_text(target) else None
        below = "" if path == "." else f"{path}/"
        matching = [
            each for each in versions if path is not None and (each.path == path or each.path.startswith(below))
        ]
        if not matching and not (path is not None and type_ is not None and os.path.isdir(repository.absolute(path))):
            matching = _by_name(session, versions, target)
        found.update(dict.fromkeys(matching))
    return list(found)


def _by_name(session: Session, versions: Sequence[Version], target: str) -> list[Version]:
    """Gives the versions of what goes by a uid, or the beginning of a hash."""
    matching = [each for each in versions if len(target) >= 4 and each.hash.startswith(target)]
    if matching:
        return matching
    full = session.repository.full(naming.resolve(session, target))
    matching = [each for each in versions if each.path == full]
    if not matching:
        raise UnknownAsset(
            f"'{names.printable(target)}' is no asset there", hint="`comfyvn-store list` shows the assets"
        )
    return matching


def _type(repository: Repository, path: str) -> str | None:
    inside = repository.inside(path)
    return names.asset_type(inside) if inside is not None else None
