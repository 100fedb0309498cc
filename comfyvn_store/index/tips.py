"""Where history ends at a moment: what each command compares with what the index knows, before it does anything else."""

# No `from __future__ import annotations`: a named tuple compiles each annotation that is a text, 30 µs for each start.

from typing import NamedTuple

from comfyvn_store.vcs import history
from comfyvn_store.vcs.repository import Repository


class Snapshot(NamedTuple):
    """What history looks like now."""

    head: str | None
    tips: list[str]
    shallow: frozenset[str]
    grafts: str

    @property
    def key(self) -> str:
        """One text for the whole of it."""
        return " ".join([self.head or "-", "|", *self.tips, "|", *sorted(self.shallow), "|", self.grafts])


def snapshot(repository: Repository) -> Snapshot:
    """Looks at the repository's tips; a few milliseconds."""
    head, tips, grafts = history.tips(repository)
    return Snapshot(head, tips, history.shallow_commits(repository), grafts)
