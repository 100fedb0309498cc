"""Any folder, or one file: each file is what it is, its folders stay, and nothing is read out of names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from comfyvn_store.ops.importing import walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "plain"
HAS_TYPES = False


def looks(place: str) -> bool:
    """Any folder and any file is one."""
    return True


def read(place: str) -> Iterator[Item | Left]:
    """Gives all files."""
    for top, seen in walking.each(place, enters):
        yield one(top, seen)


def enters(inside: str) -> bool:
    """All folders."""
    return True


def one(top: str, seen: walking.Seen) -> Item | Left:
    """Gives one file."""
    shown = walking.shown(top, seen.inside)
    return Left(shown, seen.refusal) if seen.refusal else Item(os.path.abspath(seen.place), shown, seen.inside)
