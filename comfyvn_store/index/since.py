"""What changed in git's index since the last update, so that nothing else needs a look.

git tells by what its index differs from a commit; what it differed by at the last update, and what differs between that
update's commit and this one's, is all that may have changed. Where more than that counts (conflicts, views that are gone
from the work tree, files instead of links), nothing is remembered, and the next update looks at everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from comfyvn_store.base import names
from comfyvn_store.errors import GitFailed
from comfyvn_store.index import sight
from comfyvn_store.index.database import Index
from comfyvn_store.index.tips import Snapshot
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Change, Entry

# Beyond so many paths everything is looked at, which costs no more then.
_MANY = 4000


class Seen(NamedTuple):
    """By what git's index differs from a tree-ish, at a moment of which `moment` is the mark; paths are top-relative, each
    with its entry, None for what is in git's index no more, or in conflict."""

    base: str
    entries: dict[str, Entry | None]
    moment: str


def look(repository: Repository, now: Snapshot) -> Seen | None:
    """Looks at git's index; None where that is not enough. Taken before reading entries."""
    if not repository.settings.symlinks or sight.read_unstaged(repository):
        return None
    moment = sight.index_print(repository)
    base = now.head or staging.empty_tree(repository.git)
    changes = staging.staged_changes(repository.git, base, repository.root)
    return Seen(base, _entries(changes), moment) if len(changes) <= _MANY else None


def _entries(changes: Iterable[Change]) -> dict[str, Entry | None]:
    """Gives what changes leave at those paths that can be an asset's."""
    kept = (change for change in changes if names.is_utf8(change.path))
    return {path: Entry(path, mode, oid) if mode != staging.GONE else None for path, _, mode, _, oid in kept}


def changed(index: Index, repository: Repository, now: Snapshot, seen: Seen | None) -> dict[str, Entry | None] | None:
    """Gives the paths (relative to the top) whose entries may have changed since the last update, each with its entry now;
    None where everything may have."""
    before = (index.state("seen") or "").split("\0")
    if seen is None or len(before) < 3 or before[1] != _circumstances(index, repository, now):
        return None
    base, _, *paths = before
    found: dict[str, Entry | None] = {}
    if base != seen.base:
        try:
            found = _entries(staging.tree_changes(repository.git, base, seen.base, repository.root))
        except GitFailed:  # that commit was collected
            return None
    found.update(seen.entries)
    rest = [path for path in paths if path and path not in found]
    rest += [path for path, entry in seen.entries.items() if entry is None]
    found.update(entries_at(repository, rest))
    if len(found) > _MANY or any(os.path.basename(path) == ".gitattributes" for path in found):
        return None
    return found


def entries_at(repository: Repository, paths: Sequence[str]) -> dict[str, Entry | None]:
    """Gives the entries at paths in git's index, None for what is not in it; of one in conflict the last."""
    found: dict[str, Entry | None] = dict.fromkeys(paths)
    found.update((entry.path, entry) for entry in staging.entries_at(repository.git, repository.root, paths))
    return found


def remember(index: Index, repository: Repository, now: Snapshot, seen: Seen | None) -> None:
    """Remembers what was seen, or with None that the next update has to look at everything; within a write transaction
    and after what `sight` remembers."""
    if seen is None or seen.moment != sight.index_print(repository):
        index.remember("seen", "")
    else:
        index.remember(
            "seen", "\0".join([seen.base, _circumstances(index, repository, now), *sorted(seen.entries), ""])
        )


def _circumstances(index: Index, repository: Repository, now: Snapshot) -> str:
    """Gives one text for what changes an entry's meaning: attributes, and what `git replace` puts in place of commits."""
    return f"{now.grafts}\n{sight.attribute_prints(index, repository)}"
