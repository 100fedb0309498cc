"""Older versions that history names and that are not here: lost where there is no remote, else perhaps there. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from comfyvn_store.ops import versions
from comfyvn_store.ops.fsck.finding import MISSING, NO_REMOTE, Finding
from comfyvn_store.ops.fsck.objects import Look


def examine(look: Look) -> Iterator[Finding]:
    """Gives those that nobody has, of the history of all refs; counts those that remotes may have (`Look.absent`)."""
    repository, needed = look.repository, look.scope.needed
    commits = repository.git.text("rev-list", "--all").split()
    absent = {
        version.hash: version.path
        for version in versions.in_commits(repository, commits)
        if version.hash not in needed and not repository.store.has(version.hash)
    }
    if look.has_remotes:
        look.absent = len(absent)
        return
    for hash_, path in absent.items():
        yield Finding(MISSING, "the bytes of an older version are not in this store", NO_REMOTE, [path], hash_, True)
