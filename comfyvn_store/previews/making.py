"""Makes the previews of one object, as files beside each other. Runs in a process of its own, which a decoder may ruin."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO, Final

from comfyvn_store.previews import PreviewError

THUMBNAIL: Final = ".webp"
FILMSTRIP: Final = ".filmstrip.webp"
WAVEFORM: Final = ".waveform.json"
ENDINGS: Final = (THUMBNAIL, FILMSTRIP, WAVEFORM)

SMALL_PIXELS: Final = 48_000_000
"""What is no larger is made side by side; the rest one after another."""

_MOVING: Final = frozenset(("image/png", "image/apng", "image/gif", "image/webp", "image/avif"))


def make(mime: str, source: str, place: str, *, has_room: bool) -> list[str]:
    """Makes what belongs to an object of this media type at `place` plus an ending; gives the endings, the last one last.

    `has_room`: large pictures may be decoded. Raises PreviewError (NeedsRoom), OSError.
    """
    if mime.startswith("audio/"):
        return _waveform(mime, source, place)
    from comfyvn_store.previews.pictures import MAX_PIXELS

    most = MAX_PIXELS if has_room else SMALL_PIXELS
    if mime.startswith("video/"):
        from comfyvn_store.previews.film import write_first_frame

        _write(place + THUMBNAIL, lambda target: write_first_frame(source, mime, target, most_pixels=most))
        return [THUMBNAIL]
    from comfyvn_store.previews.thumbnail import write_thumbnail

    _write(place + THUMBNAIL, lambda target: write_thumbnail(source, target, most_pixels=most))
    if mime in _MOVING and _filmstrip(source, place, most):
        return [FILMSTRIP, THUMBNAIL]
    return [THUMBNAIL]


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


def _waveform(mime: str, source: str, place: str) -> list[str]:
    from comfyvn_store.previews.drawing import draw_waveform
    from comfyvn_store.previews.sound import read_sound
    from comfyvn_store.previews.waveform import read_waveform, waveform_json

    if mime == "audio/wav":
        with open(source, "rb") as stream:
            wave = read_waveform(stream)
    else:
        wave = read_sound(source)
    _write(place + THUMBNAIL, lambda target: draw_waveform(wave, target))
    _write(place + WAVEFORM, lambda target: target.write(waveform_json(wave)))
    return [THUMBNAIL, WAVEFORM]


def _write(place: str, make_it: Callable[[BinaryIO], object]) -> None:
    with open(place, "xb") as target:
        try:
            make_it(target)
        except BaseException:
            target.close()
            os.unlink(place)
            raise
