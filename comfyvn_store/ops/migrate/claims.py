"""What the kinds of migration have in common: a version of a file that another program keeps, and what names it in git."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from comfyvn_store.vcs.staging import Entry


class Version(NamedTuple):
    """Bytes that another program keeps. `key` is its name for them; `hash` their SHA-256 where the name tells it, `digest`
    another checksum that the name tells (its `hashlib` name and hex), `size` what the pointer says, believed only of bytes
    that are not here."""

    key: str
    hash: str | None = None
    size: int | None = None
    digest: tuple[str, str] | None = None


class Claim(NamedTuple):
    """A file of a tree: the entry that stands for it, and where its bytes belong, relative to the work tree's top."""

    carrier: Entry
    path: str
    version: Version


class Left(NamedTuple):
    """A file that stays as it is, why, and what can be done."""

    path: str
    reason: str
    hint: str | None = None


class Found(NamedTuple):
    """What a kind reads out of entries."""

    claims: list[Claim]
    left: list[Left]


class Kind(Protocol):
    """A program whose files can be taken over."""

    name: str
    # What fetches bytes that are not here, None where they cannot be absent.
    fetch: str | None
    # Whether the program may write into its files in place, so that no second name of ours may lead to them.
    writes_in_place: bool
    # Whether its name for bytes is their SHA-256, so that an object's hash leads to its files.
    names_hashes: bool

    def read(self, entries: Iterable[Entry]) -> Found:
        """Reads what entries of git's index or of trees stand for. Entries of other kinds are passed over."""
        ...

    def places(self, version: Version) -> Iterator[str]:
        """Gives where the program may keep these bytes, the likeliest first."""
        ...

    def blocks(self, version: Version) -> Iterator[bytes] | None:
        """Gives the bytes where they are in no file of their own."""
        ...
