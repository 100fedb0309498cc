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
    if not os.path.isdir(place):
        yield Item(os.path.abspath(place), walking.shown(place, ""), os.path.basename(place))
        return
    for seen in walking.walk(place):
        shown = walking.shown(place, seen.inside)
        if seen.refusal:
            yield Left(shown, seen.refusal)
        else:
            yield Item(seen.place, shown, seen.inside)
