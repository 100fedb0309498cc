"""What a collection did, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Amount(NamedTuple):
    """A number of objects and their bytes."""

    objects: int = 0
    bytes: int = 0

    def plus(self, size: int) -> Amount:
        """Gives the amount with one more object."""
        return Amount(self.objects + 1, self.bytes + size)


NOTHING = Amount()


@dataclass
class Collected:
    """What was collected, or would be. Sizes are in bytes, `grace` and `trash_grace` in seconds.

    `kept` counts each object once, under the first kind of root that keeps it (`roots.WORDS`), or as "young" (added within
    the grace), "written" (a program wrote to it) or "used" (named or added while this ran). `freed` are the objects that
    went to the trash, `back` those that came back from it because something names them, `damaged` those that could not,
    `emptied` those that left it for good, `waiting` what is in it then, and `due` the part of that which a later run deletes.
    `young_until` and `waiting_until` are when the first of the young, and of what waits in the trash, may go (seconds since
    1970).
    """

    is_pruned: bool
    grace: float
    trash_grace: float
    freed: dict[str, int] = field(default_factory=dict)
    kept: dict[str, Amount] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    emptied: Amount = NOTHING
    waiting: Amount = NOTHING
    young_until: float | None = None
    waiting_until: float | None = None
    due: Amount = NOTHING
    swept: int = 0
    operation: str | None = None

    @property
    def bytes(self) -> int:
        """What is freed, once the trash is emptied."""
        return sum(self.freed.values())

    def keep(self, kind: str, size: int) -> None:
        """Counts an object as kept."""
        self.kept[kind] = self.kept.get(kind, NOTHING).plus(size)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "pruned": self.is_pruned,
            "grace": self.grace,
            "objects": len(self.freed),
            "bytes": self.bytes,
            "freed": [{"hash": hash_, "bytes": size} for hash_, size in self.freed.items()],
            "kept": {kind: amount._asdict() for kind, amount in self.kept.items()},
            "trash": {
                "grace": self.trash_grace,
                "back": self.back,
                "damaged": self.damaged,
                "emptied": self.emptied._asdict(),
                "waiting": self.waiting._asdict(),
                "due": self.due._asdict(),
            },
            "swept": self.swept,
            "operation": self.operation,
        }


def earlier(moment: float | None, other: float) -> float:
    """Gives the earlier of two moments, of which the first may be unknown."""
    return other if moment is None else min(moment, other)
