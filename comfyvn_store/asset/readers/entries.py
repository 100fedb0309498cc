"""What a media file carries beside its picture or sound: the one value that every reader is given.

Owns the names by which readers find things. How each format is laid out is known to `base/containers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

LONGEST_TEXT = 8 * 1024 * 1024  # characters of one entry; real graphs reach 1 MB
LONGEST_TEXTS = 12 * 1024 * 1024  # of all entries of a file
MOST_TEXTS = 1024
USER_COMMENT = 0x9286  # in EXIF

# Names that several entries may share: who made it. Of any other name the first entry counts.
_LISTS = frozenset(("artist", "author", "composer"))
_NONE: Mapping[str, str] = MappingProxyType({})
_NO_TAGS: Mapping[int, str | int] = MappingProxyType({})


class Entries(NamedTuple):
    """What a file carries. All of it is bounded, and nothing of it is believed.

    `texts` has the named texts, by their names in lower case: PNG text chunks, Vorbis comments, ID3 frames (a
    text frame of one's own by its description), MP4 and Matroska tags, RIFF INFO. What formats call by codes has
    its English name: `title`, `artist`, `album`, `comment`, `copyright`, `date`, `description`, `encoder`,
    `genre`, `license`. `exif` has texts and numbers by tag, of the picture and of its EXIF and no other directory
    (so no places), `xmp` the packet, `c2pa` the manifest store.
    """

    mime: str
    texts: Mapping[str, str] = _NONE
    exif: Mapping[int, str | int] = _NO_TAGS
    xmp: bytes | None = None
    c2pa: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return not (self.texts or self.exif or self.xmp or self.c2pa)


def named(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Gives texts by lower-case name, within the bounds above. What is over them is left out, whole."""
    found: dict[str, str] = {}
    room = LONGEST_TEXTS
    for name, text in pairs:
        key = name.strip().lower()
        if not key or len(key) > 256 or not 0 < len(text) <= min(LONGEST_TEXT, room):
            continue
        if key not in found:
            if len(found) >= MOST_TEXTS:
                continue
            found[key] = text
        elif key in _LISTS and text != found[key] and len(found[key]) + len(text) < 4096:
            found[key] += f"; {text}"
        else:
            continue
        room -= len(text)
    return found
