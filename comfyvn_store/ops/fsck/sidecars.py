"""Sidecars, in git's index and on the disk: whether each parses, speaks of its asset, and has one. Reads only.

A sidecar on the disk that says something else than git's is an edit, and no finding while it makes sense.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from comfyvn_store.asset import sidecar, worktree
from comfyvn_store.asset.sidecar import BrokenSidecar
from comfyvn_store.asset.worktree import Card
from comfyvn_store.base import canonical, files, names
from comfyvn_store.base.telling import Progress
from comfyvn_store.ops.fsck import objects
from comfyvn_store.ops.fsck.finding import CARD_BROKEN, CARD_MISSING, CARD_ORPHAN, CARD_OTHER, REPAIR, Finding
from comfyvn_store.ops.fsck.scope import Scope
from comfyvn_store.ops.fsck.views import Tracked
from comfyvn_store.ops.wiring import quoted
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

_BATCH = 2000


def examine(repository: Repository, found: Sequence[Tracked], tell: Progress) -> Iterator[Finding]:
    """Gives what is wrong with the sidecars of assets."""
    if not found:
        return
    git = repository.git
    cards = {
        entry.path: entry
        for entry in staging.entries(git, [repository.root])
        if names.is_sidecar(entry.path) and not entry.stage
    }
    views = {each.entry.path: each for each in found if each.hash is not None}
    apart = _apart(repository)
    sparse = staging.skipped(git, repository.root)
    due = [path for path in views if names.sidecar_path(path) in cards]
    for start in range(0, len(due), _BATCH):
        batch = due[start : start + _BATCH]
        texts = blobs.read_small_blobs(
            git, (cards[names.sidecar_path(path)].oid for path in batch), canonical.LONGEST_JSON
        )
        tell("comparing sidecars", start, len(due))
        for path in batch:
            card = cards[names.sidecar_path(path)]
            if path in apart or card.path in apart:
                continue
            text = texts.get(card.oid)
            yield from _staged(repository, views[path], card, text)
            if card.path not in sparse:
                yield from _on_disk(repository, views[path], card, text)


def _apart(repository: Repository) -> set[str]:
    """Gives the paths that are the next commit's business: staged ones, and those in conflict."""
    git, root = repository.git, repository.root
    base = blobs.resolve(git, "HEAD") or staging.empty_tree(git)
    return {change.path for change in staging.staged_changes(git, base, root)} | staging.unmerged(git, root)


def _staged(repository: Repository, view: Tracked, card: Entry, text: bytes | None) -> Iterator[Finding]:
    """Judges what git has; hash and form are looked at by `doctor`, which mends them."""
    if text is not None:
        for reason in _disagreements(repository, view, text, with_hash=False):
            message = f"a sidecar disagrees with its asset: {reason}"
            remedy = f"comfyvn-store annotate {quoted(view.entry.path)} --tag TAG writes it anew; git commit"
            yield Finding(CARD_OTHER, message, remedy, [card.path], view.hash)


def _on_disk(repository: Repository, view: Tracked, card: Entry, text: bytes | None) -> Iterator[Finding]:
    place = repository.absolute(card.path)
    if repository.is_beyond_link(card.path) or files.lstat(repository.absolute(view.entry.path)) is None:
        return
    if files.lstat(place) is None:
        yield Finding(CARD_MISSING, "a sidecar is not on the disk", REPAIR, [card.path], view.hash, True)
        return
    data = worktree.read_sidecar(repository, card.path)
    if data is not None and text is not None and sidecar.is_same(data, text):
        return
    try:
        if data is None:
            raise BrokenSidecar("it is no ordinary file, or too long")
        sidecar.decode(data)
    except BrokenSidecar as error:
        is_void = data is not None and not data.strip(b"\0")
        remedy = REPAIR if is_void else f"mend it in an editor, or: git checkout -- {quoted(card.path)}"
        yield Finding(CARD_BROKEN, f"a sidecar on the disk is broken: {error}", remedy, [card.path], view.hash, is_void)
        return
    assert data is not None
    for reason in _disagreements(repository, view, data, with_hash=_is_unedited(repository, view)):
        message = f"a sidecar on the disk disagrees with its asset: {reason}"
        yield Finding(CARD_OTHER, message, f"git checkout -- {quoted(card.path)}", [card.path], view.hash)


def _is_unedited(repository: Repository, view: Tracked) -> bool:
    """Whether the view itself is what git has: the sidecar of other bytes may come with an edit."""
    path = view.entry.path
    is_link = files.read_link(repository.absolute(path)) == view.text
    return is_link or path not in staging.unstaged_paths(repository.git, [path])


def _disagreements(repository: Repository, view: Tracked, text: bytes, *, with_hash: bool) -> Iterator[str]:
    """Says in what a sidecar that parses does not fit the place and the bytes that it stands for."""
    try:
        said: Any = canonical.parse(text)
        card = sidecar.from_dict(said)
    except (canonical.NotCanonical, BrokenSidecar):
        return  # `doctor` says so
    inside = repository.inside(view.entry.path) or ""
    if card.hash != view.hash:
        if with_hash:
            yield f"its hash is {card.hash[:16]}, the link's {(view.hash or '')[:16]}"
        return
    for key, wanted in (("path", inside), ("type", names.asset_type(inside)), ("uid", card.uid)):
        if key in said and said[key] != wanted:
            yield f"its {key} is '{names.printable(str(said[key])[:200])}', and should be '{names.printable(wanted)}'"
    info = repository.store.stat(card.hash)
    is_other = info is not None and card.bytes is not None and card.bytes != info.st_size
    if info is not None and is_other and objects.is_right(repository.store, card.hash):
        yield f"its bytes are {card.bytes}, the object has {info.st_size}"


def alone_in_git(repository: Repository, scope: Scope) -> Iterator[Finding]:
    """Sidecars in git's index whose asset it has not."""
    known = {entry.path: entry.stage for entry in staging.entries(repository.git, [repository.root])}
    alone = [
        path
        for path, stage in known.items()
        if names.is_sidecar(path)
        and not stage
        and path.removesuffix(names.SIDECAR_SUFFIX) not in known
        and scope.covers(path)
    ]
    apart = _apart(repository) if alone else set()
    for path in alone:
        if path not in apart and path.removesuffix(names.SIDECAR_SUFFIX) not in apart:
            message = "a sidecar in git has no asset"
            yield Finding(CARD_ORPHAN, message, f"git rm {quoted(path)} (or bring its asset back)", [path])


def alone_on_disk(repository: Repository, scope: Scope) -> Iterator[Finding]:
    """Sidecars on the disk that git does not know, and whose asset neither git's index nor the disk has."""
    pattern = f":(top,glob){_escaped(repository.root)}/**/*{names.SIDECAR_SUFFIX}"
    listing = repository.git.run("ls-files", "--others", "--exclude-standard", "-z", "--", pattern)
    alone = []
    for item in listing.split(b"\0"):
        path = os.fsdecode(item)
        if not item or not scope.covers(path) or repository.is_beyond_link(path):
            continue
        if files.lstat(repository.absolute(path.removesuffix(names.SIDECAR_SUFFIX))) is None:
            alone.append(path)
    known = {entry.path for entry in staging.entries(repository.git, [repository.root])} if alone else set()
    for path in alone:
        if path.removesuffix(names.SIDECAR_SUFFIX) not in known:
            message = "a sidecar on the disk has no asset"
            yield Finding(CARD_ORPHAN, message, f"rm {quoted(path)} (or bring its asset back)", [path])


def _escaped(path: str) -> str:
    """Gives a path for a glob pathspec that means itself."""
    return "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in path)


def restore(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Writes sidecars that are missing on the disk, or hold nothing, as git's index has them; gives their paths.

    The commit is null until the index names it. The caller holds `worktree.alone`.
    """
    entries = {entry.path: entry for entry in staging.entries(repository.git, paths) if not entry.stage}
    texts = blobs.read_small_blobs(repository.git, (entry.oid for entry in entries.values()), canonical.LONGEST_JSON)
    due = []
    for path, entry in entries.items():
        found = worktree.read_sidecar(repository, path)
        if entry.oid in texts and (found is None or not found.strip(b"\0")):
            due.append(Card(entry, texts[entry.oid], None, replaces=found))
    worktree.write_sidecars(repository, due, restore=True)
    return [card.entry.path for card in due if worktree.read_sidecar(repository, card.entry.path)]
