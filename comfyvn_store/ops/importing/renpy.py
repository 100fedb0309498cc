"""A Ren'Py project. Ren'Py makes an image of each file below `game/images`: its name, in lower case and without what follows an
`@`, is the image's name; the first word of that is the tag, the others are attributes. Sounds below `game/audio` have the
name of their file.

Types follow from folders and from the first word (the table is in docs/answers.md); tags are all words of the name. A
picture says no more than that: one whose first word is nobody's becomes a character, which `--type` overrules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from comfyvn_store.ops.importing import walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "renpy"
HAS_TYPES = True
# Words by which people call folders, and the first words of images, and the type that each means.
TYPES = {
    "backgrounds": ("bg", "bgs", "background", "backgrounds", "scene", "scenes", "location", "locations"),
    "cgs": ("cg", "cgs", "event", "events", "ev"),
    "characters": ("ch", "char", "chars", "character", "characters", "sprite", "sprites", "side"),
    "gui": ("gui", "ui", "screens", "button", "buttons", "icon", "icons", "menu"),
    "music": ("music", "bgm", "ost", "songs", "theme", "themes"),
    "voice": ("voice", "voices", "vo"),
    "sound": ("sound", "sounds", "sfx", "se", "ambience", "ambient", "audio"),
    "videos": ("video", "videos", "movie", "movies", "film", "films"),
}
_MEANING = {word: type_ for type_, words in TYPES.items() for word in words}
_SOUNDS = frozenset((".wav", ".mp3", ".ogg", ".opus", ".flac", ".mp2"))
_FILMS = frozenset((".webm", ".mp4", ".mkv", ".ogv", ".avi", ".mpg", ".mpeg", ".mov", ".m4v", ".wmv"))
_OWN = frozenset(("cache", "saves", "tl", "python-packages"))


def looks(place: str) -> bool:
    """A project's folder, or its `game` folder: Ren'Py's scripts lie there, beside images, sounds or its GUI."""
    game = _game(place)
    if game is None:
        return False
    found = os.listdir(game)
    has_script = any(name.endswith((".rpy", ".rpyc", ".rpa")) for name in found)
    return has_script or ("images" in found and bool({"gui", "audio"} & set(found)))


def _game(place: str) -> str | None:
    inner = os.path.join(place, "game")
    if os.path.isdir(inner):
        return inner
    return place if os.path.isdir(place) else None


def read(place: str) -> Iterator[Item | Left]:
    """Gives pictures, sounds and films of the game, fonts and scripts left out, and none of what Ren'Py makes itself."""
    game = _game(place) or place
    for seen in walking.walk(game, enter=lambda inside: inside not in _OWN):
        shown = walking.shown(game, seen.inside)
        if seen.refusal:
            yield Left(shown, seen.refusal)
        elif seen.inside.endswith(".rpa"):
            yield Left(shown, "an archive of Ren'Py; unpack it, and import what is in it")
        elif reason := walking.kind_refusal(seen.inside):
            yield Left(shown, reason, is_due=False)
        else:
            type_, name = place_of(seen.inside)
            yield Item(os.path.abspath(seen.place), shown, name, type=type_, tags=tags_of(seen.inside))


def place_of(inside: str) -> tuple[str, str]:
    """Gives the type of a file below `game`, and its place below that: folders that say no more than the type go."""
    parts = inside.split("/")
    type_ = _type(parts)
    if len(parts) > 1 and parts[0].lower() in ("images", "audio"):
        parts = parts[1:]
    if len(parts) > 1 and _MEANING.get(parts[0].lower()) == type_:
        parts = parts[1:]
    return type_, "/".join(parts)


def _type(parts: list[str]) -> str:
    *folders, name = (part.lower() for part in parts)
    ending = os.path.splitext(name)[1]
    if folders[:1] == ["gui"]:
        return "gui"
    named = [_MEANING[part] for part in folders if part in _MEANING]
    if ending in _FILMS:
        return "videos"
    if ending in _SOUNDS:
        heard = [type_ for type_ in named if type_ in ("music", "voice", "sound")]
        first = _MEANING.get(_words(name)[0]) if _words(name) else None
        # The folder `audio` says nothing but that it is heard; a folder within it, or the name, may say more.
        said = [type_ for type_ in heard if type_ != "sound"] or heard[1:]
        return said[-1] if said else first if first in ("music", "voice") else "sound"
    words = _words(name)
    if named:
        return named[-1]
    return _MEANING.get(words[0], "characters") if words else "characters"


def tags_of(inside: str) -> tuple[str, ...]:
    """Gives the words of a file's name: Ren'Py's tag and attributes, without the word that only says the type."""
    words = _words(os.path.basename(inside).lower())
    if len(words) > 1 and words[0] in _MEANING:
        words = words[1:]
    return tuple(dict.fromkeys(words))


def _words(name: str) -> list[str]:
    """Gives the words of a file's name. Ren'Py itself parts them at spaces only; many projects write `_` instead."""
    stem = os.path.splitext(name)[0].partition("@")[0]
    parts = stem.split() if " " in stem else re.split(r"_+", stem)
    return [part for part in parts if part]
