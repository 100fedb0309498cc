"""What a file's own metadata says of where it came from: one module for each program or vocabulary.

Owns which readers there are and in which order they are asked. A reader is a function `read(entries)` that gives a
`Reading` or None (docs/readers.md). Built-in ones stand in `_BUILT_IN` with the names that they read, so that each
is imported only for a file that has one of them: this is called for every file that is added. Readers of other
packages (`others`) are asked by commands only: never in a hook, and never for a marker, which must be the same on every
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import BinaryIO

from comfyvn_store.asset.readers.entries import USER_COMMENT, Entries, named
from comfyvn_store.asset.readers.reading import Reading, joined

Reader = Callable[[Entries], Reading | None]

# What generated the file, in the order of asking: a graph says more than a list of parameters. `exif`, `xmp` and
# `c2pa` stand for those parts, `written exif` for EXIF with a text of a kind that cameras do not write, any other word for
# a text of that name.
_BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "comfyui": ("prompt", "workflow", "comment", "written exif"),
    "invokeai": ("invokeai_metadata", "sd-metadata", "dream"),
    "novelai": ("comment", "written exif"),
    "fooocus": ("parameters", "written exif"),
    "swarmui": ("parameters", "written exif"),
    "automatic1111": ("parameters", "written exif", "comment"),
    "card": ("chara", "ccv3"),
    "xmp": ("xmp",),
    "exif": ("exif",),
    "tags": (
        *("title", "artist", "author", "composer", "copyright", "license", "licence", "date", "creation time"),
        *("creation_time", "year", "software", "encoder", "encoded-by", "encoded_by", "description", "comment"),
        *("keywords", "genre", "url", "contact"),
    ),
    "c2pa": ("c2pa",),
}


_WRITTEN = ("prompt:", "workflow:", "parameters:")


def read_entries(entries: Entries, others: Iterable[Reader] = ()) -> Reading | None:
    """Asks the built-in readers, then the `others`; None if none of them knows anything. Never raises.

    The first that names a source decides what generated the file. What they say is embedded is brought together, the
    first one's word on each thing.
    """
    generated: Reading | None = None
    said = []
    for found in (*(_asked(reader, entries) for reader in built_in(entries)), *_of_others(others, entries)):
        if found is not None:
            said.append(found.embedded)
            if generated is None and found.source is not None:
                generated = found
    embedded = joined(said)
    if generated is None:
        return Reading(None, None, {}, embedded=embedded) if embedded else None
    return generated._replace(embedded=embedded)


def read_origin(entries: Entries) -> Reading | None:
    """Gives the source and the workflow hash that `read_entries` gives, without all that a graph says. Never raises."""
    found = (_asked(reader, entries) for reader in built_in(entries, "read_origin"))
    return next((each for each in found if each is not None and each.source is not None), None)


def read_generation(texts: Mapping[str, str]) -> Reading | None:
    """Reads the text entries of a PNG (keyword to text) for what generated it; None if no program is recognised."""
    found = read_entries(Entries("image/png", named(texts.items())))
    return found if found is not None and found.source is not None else None


def read_stream(stream: BinaryIO, mime: str, others: Iterable[Reader] = ()) -> Reading | None:
    """Reads a seekable file of the given media type, which is left at any position. Raises only what the stream does
    (OSError); whatever else happens leaves the file unread."""
    from comfyvn_store.asset.readers.collecting import collect

    try:
        entries = collect(stream, mime)
    except OSError:
        raise
    except Exception:
        return None
    return read_entries(entries, others)


def installed() -> tuple[tuple[str, Reader], ...]:
    """Gives the readers of other packages by name. Slow, and it imports what others wrote: for commands only."""
    from comfyvn_store.asset.readers import others

    return others.installed()


def _of_others(readers: Iterable[Reader], entries: Entries) -> Iterable[Reading | None]:
    if not readers:
        return ()
    from comfyvn_store.asset.readers import others

    return [others.ask(reader, entries) for reader in readers]


def built_in(entries: Entries, name: str = "read") -> Iterable[Reader]:
    """Gives our own readers for what a file carries, each as it is: one may raise. `name` is that of another function which a
    reader may have for less."""
    has = {*entries.texts, *(part for part in ("exif", "xmp", "c2pa") if getattr(entries, part))}
    if entries.exif and any(map(_is_written, entries.exif.items())):
        has.add("written exif")
    for module, wanted in _BUILT_IN.items():
        if not has.isdisjoint(wanted):
            found = import_module(f"{__name__}.{module}")
            reader: Reader = getattr(found, name, found.read)
            yield reader


def _is_written(field: tuple[int, str | int]) -> bool:
    tag, value = field
    return isinstance(value, str) and (tag == USER_COMMENT or value[:11].lower().startswith(_WRITTEN))


def _asked(reader: Reader, entries: Entries) -> Reading | None:
    """Asks one of our own. One that fails, for want of memory too, has read nothing: no file may stop a commit."""
    try:
        return reader(entries)
    except Exception:
        return None
