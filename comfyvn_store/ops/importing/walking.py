"""The files below a folder, in the order of their names, one folder held at a time. Links are not followed out of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from comfyvn_store.base import files, links, names

_DEEPEST = 64
_LOOKED_AT = 2000  # files by whose names a folder is judged
# Endings of files that programs are still writing, or that browsers are still loading.
_UNFINISHED = re.compile(r"(\.(tmp|temp|part|partial|crdownload|download|swp|lock)|~)\Z", re.IGNORECASE)
MEDIA = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".heic", ".bmp", ".tif", ".tiff", ".tga", ".jxl"),
        *(".psd", ".kra", ".ora", ".xcf", ".svg", ".exr", ".hdr"),
        *(".wav", ".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac"),
        *(".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".ogv", ".mpg", ".mpeg", ".wmv"),
    )
)


class Seen(NamedTuple):
    """A file: its path, that path relative to where the walk began (with `/`), and why it is no file to take (or None)."""

    place: str
    inside: str
    refusal: str | None = None


def is_unfinished(name: str) -> bool:
    """Tells whether a name is one that files have which are not complete."""
    return name.startswith((".", "~$", "tmp_")) or bool(_UNFINISHED.search(name))


def is_media(name: str) -> bool:
    """Tells whether a name ends as pictures, sounds and films do."""
    return os.path.splitext(name)[1].lower() in MEDIA


def are_mostly_named(place: str, form: re.Pattern[str]) -> bool:
    """Tells whether most of the first pictures, sounds and films below a folder have names of that form."""
    seen = hits = 0
    for each in walk(place):
        if is_media(each.inside):
            seen += 1
            hits += bool(form.match(os.path.basename(each.inside)))
        if seen >= _LOOKED_AT:
            break
    return hits > 0 and hits * 2 >= seen


def kind_refusal(name: str) -> str | None:
    """Says why a file is no picture, sound or film, by its name; None if it is."""
    return None if is_media(name) else "no picture, sound or film by its name"


def walk(folder: str, *, enter: Callable[[str], bool] = lambda inside: True) -> Iterator[Seen]:
    """Gives all files but hidden and unfinished ones. `enter` decides about folders, by their relative path.

    Raises OSError if the folder itself cannot be read; of others that cannot is told.
    """
    yield from _walk(folder, os.path.realpath(folder), "", enter)


def each(place: str, enter: Callable[[str], bool]) -> Iterator[tuple[str, Seen]]:
    """Gives the files below a folder, or the one file that was named, each with the folder that its path is relative to."""
    if os.path.isdir(place):
        for seen in walk(place, enter=enter):
            yield place, seen
    else:
        yield os.path.dirname(place), Seen(place, os.path.basename(place))


def _walk(folder: str, top: str, inside: str, enter: Callable[[str], bool]) -> Iterator[Seen]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry.name, _kind(entry)) for entry in found if not is_unfinished(entry.name))
    except OSError as error:
        if not inside:
            raise
        yield Seen(folder, inside, f"the folder cannot be read: {error.strerror}")
        return
    for name, kind in entries:
        place, path = os.path.join(folder, name), f"{inside}/{name}" if inside else name
        if kind == stat.S_IFDIR:
            if path.count("/") >= _DEEPEST:
                yield Seen(place, path, "too many folders within each other")
            elif enter(path):
                yield from _walk(place, top, path, enter)
        elif kind == stat.S_IFREG:
            yield Seen(place, path)
        elif kind == stat.S_IFLNK:
            yield Seen(place, path, link_refusal(place, top))
        else:
            yield Seen(place, path, "no ordinary file (a pipe, socket or device)")


def _kind(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0


def link_refusal(place: str, top: str) -> str | None:
    """Says why what a link leads to is not taken; None for an ordinary file below `top`, which is a real path."""
    if links.parse_link(files.read_link(place) or "") is not None:
        return "a link into a store of comfyvn-store (`comfyvn-store export` writes files)"
    real = os.path.realpath(place)
    if not real.startswith(top.rstrip(os.sep) + os.sep):
        return "a link that leads out of the folder"
    if os.path.isdir(real):
        return "a link to a folder, which is not followed"
    return None if os.path.isfile(real) else "a link that leads nowhere"


def count(folder: str) -> int:
    """Gives how many files there are, about, for who waits."""
    return sum(len(files) for _, _, files in os.walk(folder)) if os.path.isdir(folder) else 1


def shown(place: str, inside: str) -> str:
    """Gives a path as it is told: as the person named the folder, and what lies below it."""
    return names.printable(os.path.join(place, inside)) if inside else names.printable(place)
