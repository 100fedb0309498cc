"""What a migration did, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.ops.migrate.claims import Left

MISSING = "missing"


class Moved(NamedTuple):
    """A file that is an asset now, and how its bytes came: linked, copied, there (already), missing."""

    path: str
    hash: str | None
    bytes: int | None
    how: str


class Rewrite(NamedTuple):
    """A history that was rewritten: how many commits there are, how many are others now, how many signatures went, the map
    of ids, and the prefix of the refs that keep the old history. The last two are None for a trial run."""

    commits: int
    changed: int
    signatures: int
    map: str | None
    backup: str | None


@dataclass
class Migrated:
    """Paths are relative to the work tree's top. `kept` are files that somebody edited, which stay as they are beside what
    is staged; `damaged` files of the other program whose bytes are not what their name says; `cache` how many of its files
    were removed."""

    kind: str
    is_trial: bool
    fetch: str | None
    files: list[Moved] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    cache: int = 0
    rewrite: Rewrite | None = None

    @property
    def missing(self) -> list[str]:
        """The files whose bytes are not here."""
        return [item.path for item in self.files if item.how == MISSING]

    def as_dict(self) -> dict[str, Any]:
        """Gives it as plain data."""
        return {
            "kind": self.kind,
            "dry_run": self.is_trial,
            "files": [item._asdict() for item in self.files],
            "missing": self.missing,
            "left": [item._asdict() for item in self.left],
            "kept": self.kept,
            "adapted": self.adapted,
            "damaged": self.damaged,
            "cache_files_removed": self.cache,
            "history": self.rewrite._asdict() if self.rewrite else None,
            "fetch": self.fetch,
        }
