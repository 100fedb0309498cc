"""What an adapter finds: files that can become assets with what is said of them, and files that are left, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from comfyvn_store.asset import record
from comfyvn_store.ops.importing.walking import Seen


def _imported() -> record.Origin:
    return record.Origin(default_source=record.IMPORT)


@dataclass(frozen=True)
class Item:
    """A file to import. `shown` is its path as people know it, `name` its place below the type.

    `type` is None where the adapter cannot tell it. `line` is where a manifest names the file. `hint` gives an origin for a
    file whose own metadata say nothing: what stands beside it, or what a server said.
    """

    source: str
    shown: str
    name: str
    type: str | None = None
    tags: tuple[str, ...] = ()
    license: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    origin: record.Origin = field(default_factory=_imported)
    hint: Callable[[], record.Origin | None] | None = None
    line: int | None = None


class Left(NamedTuple):
    """A file, or a line of a manifest, that is not imported. `is_due` where somebody has to do something about it; what an
    adapter passes over on purpose (a thumbnail, a grid of pictures) is not."""

    shown: str
    reason: str
    line: int | None = None
    is_due: bool = True


class Watched(Protocol):
    """What the module of an adapter does whose folders can be watched: it tells of each file by itself."""

    NAME: str
    HAS_TYPES: bool

    def enters(self, inside: str) -> bool:
        """Tells whether a folder below the one that is read has anything to take."""

    def one(self, top: str, seen: Seen) -> Item | Left:
        """Gives what one file is."""


class Adapter(Protocol):
    """What each adapter's module does."""

    NAME: str
    # Whether it can tell the types of files.
    HAS_TYPES: bool

    def looks(self, place: str) -> bool:
        """Tells, by a look at a folder or a file, whether it is of this kind."""

    def read(self, place: str) -> Iterator[Item | Left]:
        """Gives what is there, one by one. Raises UsageError where it cannot be read at all, OSError."""
