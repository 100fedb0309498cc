"""Makes the previews of one object, and its fingerprint, as files beside each other. Runs in a process of its own, which a
decoder may ruin."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from comfyvn_store.index.prints import Print, dumped
from comfyvn_store.previews import PreviewError

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL: Final = ".webp"
FILMSTRIP: Final = ".filmstrip.webp"
WAVEFORM: Final = ".waveform.json"
PRINT: Final = ".print"
SIGHT: Final = ".sight"
ENDINGS: Final = (THUMBNAIL, FILMSTRIP, WAVEFORM, PRINT, SIGHT)

# What can be wanted of a file: what shows it, its fingerprint, and a picture that others can be compared with.
PREVIEW: Final = "preview"
FINGERPRINT: Final = "fingerprint"
LOOK: Final = "look"

SMALL_PIXELS: Final = 48_000_000
"""What is no larger is made side by side; the rest one after another."""

_MOVING: Final = frozenset(("image/png", "image/apng", "image/gif", "image/webp", "image/avif"))


def make(mime: str, source: str, place: str, wants: Collection[str] = (PREVIEW,), *, has_room: bool) -> list[str]:
    """Makes what is wanted of an object of this media type at `place` plus an ending; gives the endings, the thumbnail or
    waveform last.

    `has_room`: large pictures may be decoded. Raises PreviewError (NeedsRoom), OSError.
    """
    made = []
    if mime.startswith("audio/"):
        if PREVIEW in wants:
            return _waveform(mime, source, place, wants)
        _write(place + PRINT, lambda target: target.write(dumped(_samples(source))))
        return [PRINT]
    from comfyvn_store.previews import likeness
    from comfyvn_store.previews.pictures import MAX_PIXELS

    most = MAX_PIXELS if has_room else SMALL_PIXELS
    picture, found = None, None
    if mime.startswith("video/"):
        picture = _first_frame(mime, source, place, most, wants)
        found = likeness.print_from(picture, None)
    else:
        if PREVIEW in wants:
            _thumbnail(source, place, most)
            if mime in _MOVING and _filmstrip(source, place, most):
                made.append(FILMSTRIP)
        if FINGERPRINT in wants:
            picture, pixels = likeness.seen(source, most_pixels=most)
            found = likeness.print_from(picture, pixels)
    if FINGERPRINT in wants and found is not None:
        _write(place + PRINT, lambda target: target.write(dumped(found)))
        made.append(PRINT)
    if LOOK in wants and picture is not None:
        _write(place + SIGHT, lambda target: target.write(likeness.sight(picture)))
        made.append(SIGHT)
    return [*made, THUMBNAIL] if PREVIEW in wants else made


def _thumbnail(source: str, place: str, most_pixels: int) -> None:
    from comfyvn_store.previews.thumbnail import write_thumbnail

    with _new(place + THUMBNAIL) as target:
        write_thumbnail(source, target, most_pixels=most_pixels)


def _first_frame(mime: str, source: str, place: str, most_pixels: int, wants: Collection[str]) -> Image:
    from comfyvn_store.previews.film import first_frame, write_first_frame

    if PREVIEW not in wants:
        return first_frame(source, mime, most_pixels=most_pixels)
    with _new(place + THUMBNAIL) as target:
        return write_first_frame(source, mime, target, most_pixels=most_pixels)


def _filmstrip(source: str, place: str, most_pixels: int) -> bool:
    """A strip that cannot be made does not cost the thumbnail."""
    from comfyvn_store.previews.filmstrip import filmstrip

    try:
        encoded = filmstrip(source, most_pixels=most_pixels)
    except PreviewError:
        return False
    if encoded is not None:
        _write(place + FILMSTRIP, lambda target: target.write(encoded))
    return encoded is not None


def _waveform(mime: str, source: str, place: str, wants: Collection[str]) -> list[str]:
    from comfyvn_store.previews.drawing import draw_waveform
    from comfyvn_store.previews.sound import read_sound
    from comfyvn_store.previews.waveform import read_waveform, waveform_json

    heard = hashlib.sha256()
    if mime == "audio/wav":
        with open(source, "rb") as stream:
            wave = read_waveform(stream)
        found = _samples_if_possible(source) if FINGERPRINT in wants else None
    else:
        wave = read_sound(source, heard=heard)
        found = Print(heard.hexdigest())
    _write(place + THUMBNAIL, lambda target: draw_waveform(wave, target))
    _write(place + WAVEFORM, lambda target: target.write(waveform_json(wave)))
    if FINGERPRINT not in wants or found is None:
        return [THUMBNAIL, WAVEFORM]
    _write(place + PRINT, lambda target: target.write(dumped(found)))
    return [PRINT, THUMBNAIL, WAVEFORM]


def _samples(source: str) -> Print:
    """The hash of a sound's decoded samples, WAV's too by the library that decodes the others. Raises PreviewError."""
    from comfyvn_store.previews.sound import read_sound

    heard = hashlib.sha256()
    read_sound(source, 1, heard)
    return Print(heard.hexdigest())


def _samples_if_possible(source: str) -> Print | None:
    try:
        return _samples(source)
    except PreviewError:
        return None


@contextlib.contextmanager
def _new(place: str) -> Iterator[BinaryIO]:
    """A new file, which is gone again if what fills it fails."""
    with open(place, "xb") as target:
        try:
            yield target
        except BaseException:
            target.close()
            os.unlink(place)
            raise


def _write(place: str, make_it: Callable[[BinaryIO], object]) -> None:
    with _new(place) as target:
        make_it(target)
