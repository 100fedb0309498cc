"""How many pixels of two pictures differ, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from PIL import Image, ImageChops

from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.pictures import opened, presentable

MOST_PIXELS: Final = 40_000_000
"""Of each picture; both lie in memory at once, as RGBA."""

_CLEARLY: Final = 16  # of 255: what an eye sees, and a JPEG of good quality does not do by itself
_STRIP: Final = 256  # rows compared at a time


class Compared(NamedTuple):
    """`pixels` compared, how many differ at all and how many clearly (by more than 16 of 255 in some channel), and the
    smallest box around those that differ: left, top, width, height in pixels."""

    pixels: int
    differing: int
    clearly: int
    box: tuple[int, int, int, int] | None


def compare(one: BinaryIO, other: BinaryIO) -> Compared:
    """Compares what two pictures show, upright and in sRGB; where both are transparent nothing differs.

    Raises PreviewError with the reason where they cannot be compared pixel by pixel: other sizes, broken data, no pictures.
    """
    first, second = _shown(one), _shown(other)
    if first.size != second.size:
        raise PreviewError(f"their sizes differ: {_size(first)} and {_size(second)}")
    differing = clearly = 0
    box: tuple[int, int, int, int] | None = None
    for top, strip in _strips(first, second):
        changed = strip.point(lambda value: 255 if value else 0)
        differing += changed.histogram()[255]
        clearly += sum(strip.histogram()[_CLEARLY + 1 :])
        box = _joined(box, changed.getbbox(), top)
    width, height = first.size
    placed = (box[0], box[1], box[2] - box[0], box[3] - box[1]) if box else None
    return Compared(width * height, differing, clearly, placed)


def _shown(file: BinaryIO) -> Image.Image:
    """Gives a picture as premultiplied RGBA: a colour that nobody sees is no difference."""
    with opened(file, MOST_PIXELS) as picture:
        shown = presentable(picture, max(picture.size)).convert("RGBA")
    return shown.convert("RGBa")


def _strips(first: Image.Image, second: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Gives, strip by strip, the largest difference of any channel of each pixel."""
    width, height = first.size
    for top in range(0, height, _STRIP):
        area = (0, top, width, min(height, top + _STRIP))
        parts = (Image.merge("RGBA", image.crop(area).split()) for image in (first, second))
        red, green, blue, alpha = ImageChops.difference(next(parts), next(parts)).split()
        yield top, ImageChops.lighter(ImageChops.lighter(red, green), ImageChops.lighter(blue, alpha))


def _joined(
    box: tuple[int, int, int, int] | None, found: tuple[int, int, int, int] | None, top: int
) -> tuple[int, int, int, int] | None:
    if found is None:
        return box
    left, upper, right, lower = found[0], found[1] + top, found[2], found[3] + top
    if box is None:
        return left, upper, right, lower
    return min(left, box[0]), min(upper, box[1]), max(right, box[2]), max(lower, box[3])


def _size(picture: Image.Image) -> str:
    return f"{picture.width}x{picture.height}"
