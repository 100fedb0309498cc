"""What a commit is about to hold below the assets root: the plan that pre-commit works through."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from comfyvn_store.asset import ingest, views
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import links, names, pointers
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change, Entry

_LONGEST_TEXT = max(links.LONGEST_BENT, pointers.LONGEST)


class Asset:
    """One asset of this commit on its way: what is staged, and what shall be. `text` is the staged link text, None for a
    raw blob."""

    __slots__ = ("entry", "hash", "is_changed", "new_card", "path", "text")

    def __init__(self, path: str, entry: Entry, text: str | None, hash: str, is_changed: bool) -> None:
        self.path = path
        self.entry = entry
        self.text = text
        self.hash = hash
        self.is_changed = is_changed
        self.new_card: Sidecar | None = None


class Plan(NamedTuple):
    """What is staged below the assets root, split into views and sidecars, with the commit's changes."""

    views: dict[str, Entry]
    cards: dict[str, Entry]  # by the asset's path
    changes: dict[str, Change]


def look(repository: Repository, head: str) -> Plan:
    """Reads the index that git handed over, and what it changes against `head`."""
    plan = Plan({}, {}, {})
    for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn", "comfyvn-sidecar"):
        if entry.stage or entry.mode == staging.GITLINK:
            continue
        if names.is_sidecar(entry.path):
            plan.cards[entry.path[: -len(names.SIDECAR_SUFFIX)]] = entry
        elif repository.is_asset_path(entry.path):
            plan.views[entry.path] = entry
    for change in staging.staged_changes(repository.git, head, repository.root):
        plan.changes[change.path] = change
    return plan


class Depths:
    """Which links have not the length of one that lies as deep as they do.

    `since` are the paths (relative to the top) that may differ from a tree in which all have it; None: any may. Only those
    and what this commit changes are looked at: to be told a size, git looks every object up.
    """

    def __init__(self, repository: Repository, plan: Plan, since: Collection[str] | None) -> None:
        now = {
            path: entry.oid
            for path, entry in plan.views.items()
            if since is None or path in since or path in plan.changes
        }
        before = {
            path: change.old_oid
            for path, change in plan.changes.items()
            if (since is None or path in since) and _is_view(repository, change)
        }
        self.sizes = blobs.sizes(repository.git, [*now.values(), *before.values()])
        self.wrong = {path for path, oid in now.items() if oid in self.sizes and not self._fits(path, oid)}
        kept = {path: oid for path, oid in now.items() if path not in plan.changes}
        # Whether that holds for all of the last commit, from which the next look may go on.
        self.is_head_right = all(self._fits(path, oid) for path, oid in (*kept.items(), *before.items()))

    def _fits(self, path: str, oid: str) -> bool:
        return oid in self.sizes and self.sizes[oid].size == links.link_size(path)


def _is_view(repository: Repository, change: Change) -> bool:
    """Whether the last commit had a view where this one has something else."""
    return (
        change.old_mode not in (staging.GONE, staging.GITLINK)
        and not names.is_sidecar(change.path)
        and repository.is_asset_path(change.path)
    )


def assets(
    repository: Repository, plan: Plan, depths: Depths, also: Collection[str] = (), outdated: Collection[str] = ()
) -> list[Asset]:
    """Gives the assets to work on: changed ones, and those that lack their mode, their sidecar or, because they were moved
    without us (a commit that skipped the hook, a rewritten history), a link of their depth.

    `outdated` are those whose sidecar the index knows to speak of another path or of other bytes, `also` what the caller
    wants, both by top-relative path.
    """
    due = [
        entry
        for path, entry in plan.views.items()
        if path in plan.changes
        or path in also
        or entry.mode != views.mode_of(repository, entry)
        or path not in plan.cards
        or names.sidecar_path(path) in plan.changes
        or path in outdated
        or path in depths.wrong
    ]
    sizes = {**depths.sizes, **blobs.sizes(repository.git, [e.oid for e in due if e.oid not in depths.sizes])}
    small = [entry.oid for entry in due if entry.oid in sizes and sizes[entry.oid].size <= _LONGEST_TEXT]
    texts = dict(blobs.read_blobs(repository.git, small))
    found = []
    for entry in due:
        size = sizes[entry.oid].size if entry.oid in sizes else 0
        text = texts.get(entry.oid)
        hash_ = links.parse_written(text) if text is not None else None
        is_changed = entry.path in plan.changes
        if hash_ is not None and text is not None:
            found.append(Asset(entry.path, entry, text.decode("ascii"), hash_, is_changed))
        elif text is not None and pointers.parse(text) is not None:
            continue  # another program keeps the bytes; git keeps the text for it
        elif is_changed and text is not None and links.is_bent(text) and not _waits_for_resolve(entry, text):
            raise ingest.bent(entry.path)
        elif entry.mode != staging.LINK and (is_changed or entry.path in also) and size:
            # Raw art that was in git before `init` is left alone; only what this commit brings is taken in.
            found.append(Asset(entry.path, entry, None, "", True))
    return found


def _waits_for_resolve(entry: Entry, text: bytes) -> bool:
    """Whether a file holds both sides of a conflict, of which pre-commit says how it is settled."""
    return entry.mode != staging.LINK and links.is_conflict(text)
