"""ComfyUI's output folder: `PREFIX_00001_.png`, in folders that the prefix names. VideoCombine saves without the last `_`, and
`-audio` for a film with sound.

The prefix and the folders become tags, but for dates and for `ComfyUI`, which is what the prefix is if nobody set one. What
generated a file is read from the file itself, as always.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from comfyvn_store.ops.importing import walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "comfyui"
HAS_TYPES = False
_NAMED = re.compile(r"(?P<prefix>.*?)_?(?P<number>\d{5,})_?(-audio)?\.[A-Za-z0-9]{2,5}\Z", re.DOTALL)
_COUNTED = re.compile(r".+_\d{5}_\.[A-Za-z0-9]{2,5}\Z", re.DOTALL)
_DATE = re.compile(r"[\d\-_.\sTh:]+\Z")
_UNSET = frozenset(
    ("comfyui", "animatediff", "video", "audio", "output", "outputs", "img", "image", "images", "%date%")
)


def looks(place: str) -> bool:
    """A folder in which most of the first files are named and counted as ComfyUI does it."""
    return os.path.isdir(place) and walking.are_mostly_named(place, _COUNTED)


def read(place: str) -> Iterator[Item | Left]:
    """Gives pictures, sounds and films; previews that ComfyUI saves for itself, and what is none, are left."""
    for top, seen in walking.each(place, enters):
        yield one(top, seen)


def enters(inside: str) -> bool:
    """All folders."""
    return True


def one(top: str, seen: walking.Seen) -> Item | Left:
    """Gives one file."""
    shown = walking.shown(top, seen.inside)
    if seen.refusal:
        return Left(shown, seen.refusal)
    if os.path.basename(seen.inside).startswith("ComfyUI_temp_"):
        return Left(shown, "a preview that ComfyUI made for itself", is_due=False)
    if reason := walking.kind_refusal(seen.inside):
        return Left(shown, reason, is_due=False)
    return Item(os.path.abspath(seen.place), shown, seen.inside, tags=tags_of(seen.inside))


def tags_of(inside: str) -> tuple[str, ...]:
    """Gives the tags that a path below the output folder says."""
    *folders, name = inside.split("/")
    match = _NAMED.match(name)
    words = [*folders, match["prefix"] if match else ""]
    clean = (word.strip(" _-") for word in words)
    return tuple(dict.fromkeys(word for word in clean if word and not _DATE.match(word) and word.lower() not in _UNSET))
