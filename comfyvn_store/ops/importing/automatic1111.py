"""The outputs of Automatic1111's web UI, Forge and their kin: `outputs/txt2img-images/DATE/00001-SEED.png`, with the parameters
in the picture or, for formats without room for them, in a text of the same name beside it.

A grid holds pictures that are there one by one; it is passed over. How a picture was made (`txt2img`, `img2img`, `extras`)
becomes a tag, where a folder says it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from comfyvn_store.asset import record
from comfyvn_store.asset.readers import automatic1111
from comfyvn_store.base import files
from comfyvn_store.ops.importing import walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "automatic1111"
HAS_TYPES = False
_NAMED = re.compile(r"\d{5}-\d+(-.*)?\.(png|jpe?g|webp|avif)\Z", re.IGNORECASE | re.DOTALL)
_KIND = re.compile(r"(txt2img|img2img|extras)-(images|grids)\Z")
_GRID = re.compile(r"grid-\d+|.*-grids?\.[a-z]+\Z", re.IGNORECASE)
_LONGEST = 1 << 20


def looks(place: str) -> bool:
    """A folder that has one of the web UI's folders, is one, or holds mostly files that are named as it does it."""
    if not os.path.isdir(place):
        return False
    parts = [os.path.basename(os.path.abspath(place)), *os.listdir(place)]
    if any(_KIND.match(name) for name in parts):
        return True
    if os.path.isdir(os.path.join(place, "outputs", "txt2img-images")):
        return True
    return walking.are_mostly_named(place, _NAMED)


def read(place: str) -> Iterator[Item | Left]:
    """Gives pictures and films; what is said beside one counts where the picture itself says nothing."""
    for top, seen in walking.each(place, enters):
        yield one(top, seen)


def enters(inside: str) -> bool:
    """All folders."""
    return True


def one(top: str, seen: walking.Seen) -> Item | Left:
    """Gives one file."""
    shown, name = walking.shown(top, seen.inside), os.path.basename(seen.inside)
    parts = [*seen.inside.split("/"), os.path.basename(os.path.abspath(top))]
    kind = next((found for part in parts if (found := _KIND.match(part))), None)
    if seen.refusal:
        return Left(shown, seen.refusal)
    if _GRID.match(name) or (kind and kind[2] == "grids"):
        return Left(shown, "a grid of pictures that are there one by one", is_due=False)
    if reason := walking.kind_refusal(name):
        return Left(shown, "it belongs to a picture" if name.endswith(".txt") else reason, is_due=False)
    place, tags = os.path.abspath(seen.place), (kind[1],) if kind else ()
    return Item(place, shown, seen.inside, tags=tags, hint=lambda: beside(place))


def beside(place: str) -> record.Origin | None:
    """Gives what the text beside a picture says of its making, or None."""
    try:
        data = files.read_small(os.path.splitext(place)[0] + ".txt", _LONGEST)
    except OSError:
        return None
    said = automatic1111.from_text(data.decode("utf-8-sig", "replace"))
    if said is None:
        return None
    return record.Origin(default_source=record.IMPORT, source=said.source, inputs=said.inputs)
