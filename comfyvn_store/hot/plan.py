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


def assets(
    repository: Repository, plan: Plan, also: Collection[str] = (), outdated: Collection[str] = ()
) -> list[Asset]:
    """Gives the assets to work on: changed ones, and those that lack their mode, their sidecar or, because they were moved
    without us (a commit that skipped the hook, a rewritten history), a link of their depth.

    `outdated` are those whose sidecar the index knows to speak of another path or of other bytes, `also` what the caller
    wants, both by top-relative path.
    """
    sizes = blobs.sizes(repository.git, (entry.oid for entry in plan.views.values()))
    due = [
        entry
        for path, entry in plan.views.items()
        if path in plan.changes
        or path in also
        or entry.mode != views.mode_of(repository, entry)
        or path not in plan.cards
        or names.sidecar_path(path) in plan.changes
        or path in outdated
        or (entry.oid in sizes and sizes[entry.oid].size != links.link_size(path))
    ]
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
