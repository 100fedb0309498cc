"""What a picture looks like, in few bytes: its fingerprint, and how to look for one.

Owns how fingerprints are computed: the hash of decoded pixels, the outline, the marks, the small picture. Where they are kept
and found is `index.prints`'s affair, how near two of them are `nearness`'s. Another way of computing is another
`printfile.VERSION`.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import struct
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Final

from PIL import Image, ImageChops, ImageFilter

from comfyvn_store.index.prints import Mark, Print, View
from comfyvn_store.previews.pictures import MAX_PIXELS, opened, presentable

EDGE: Final = 160
"""A picture is looked at in a frame with as many pixels as a square with this edge."""

SMALL: Final = 64
"""The same of the small picture that is kept."""

SIGHT: Final = 320
"""The same of a picture that is looked for."""

SEEN: Final = 512
"""No side of a picture that is looked at is longer, in pixels."""

# How large the frame of a picture that is looked for may be beside that of the one it comes from: larger with a border around
# it, smaller where something was cut away.
_SCALES: Final = (1.0, 0.87, 0.76, 0.66, 1.15, 1.32)
_MARKS: Final = 72
_LONGEST: Final = 900  # pixels of a frame's longer side, however slim the picture
_STRIP: Final = 1 << 18  # pixels that are hashed at once

# A mark is the middle of something lighter or darker than what surrounds it, told by a difference of two blurs.
_FINE: Final = ImageFilter.GaussianBlur(1.6)
_COARSE: Final = ImageFilter.GaussianBlur(2.77)
_LEAST: Final = 3
_STRONG: Final = [255 if value >= 128 + _LEAST else 0 for value in range(256)]
_ZERO: Final = [255] + [0] * 255
_SET: Final = re.compile(b"\xff")
_REACH: Final = 11  # a mark's surroundings end so many pixels from it
_CELLS: Final = 6  # marks are spread over so many rows and columns


def _surroundings() -> list[tuple[int, int]]:
    """Gives the places around a mark that are compared: three rings."""
    return [
        (round(radius * math.cos(turn)), round(radius * math.sin(turn)))
        for radius, count, shift in ((4.0, 6, 0.0), (7.5, 8, 0.5), (float(_REACH), 10, 0.0))
        for turn in (math.tau * (number + shift) / count for number in range(count))
    ]


def _pairs(bits: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Gives the pairs of places of which the lighter one is asked for, far enough apart and each place in few of them."""
    places = _surroundings()
    order = [(a, b) for a in range(len(places)) for b in range(a) if math.dist(places[a], places[b]) >= 8]
    random.Random(7).shuffle(order)
    used = [0] * len(places)
    chosen: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for a, b in order:
        if used[a] < 3 and used[b] < 3 and len(chosen) < bits:
            used[a] += 1
            used[b] += 1
            chosen.append((places[a], places[b]))
    return chosen


_BITS: Final = 24
_PAIRS: Final = _pairs(_BITS)


def seen(source: str, *, most_pixels: int = MAX_PIXELS) -> tuple[Image.Image, str | None]:
    """Gives what the picture at `source` shows, at most SEEN pixels wide and high, and the hash of its pixels.

    Raises PreviewError, OSError.
    """
    with open(source, "rb") as file, opened(file, most_pixels) as picture:
        pixels = pixels_of(picture)
        return presentable(picture, SEEN), pixels


def print_from(picture: Image.Image, pixels: str | None) -> Print:
    """Gives the fingerprint of a presentable picture (L, RGB or RGBA, upright), whose pixels have that hash."""
    grey = in_grey(framed(picture, EDGE))
    marks = [Mark(keys[0], x, y) for keys, x, y in _marks(grey, _MARKS, 2, 0)]
    return Print(pixels, _outline(grey), small_of(picture), marks)


def views_of(picture: Image.Image) -> Iterable[View]:
    """Gives what to look for, to find what a presentable picture was made from: as a whole, a part of it, or amid more; and
    all of that mirrored."""
    grey = in_grey(framed(picture, SIGHT))
    for flipped in (False, True):
        turned = grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else grey
        whole = _outline(turned)
        for scale in _SCALES:
            marks = _marks(framed(turned, EDGE * scale), int(150 * scale * scale) + 30, 4, 4)
            yield View(scale, flipped, whole, marks)


def small_of(picture: Image.Image) -> bytes:
    """Gives the small picture (WebP) of a presentable one, with its transparency."""
    encoded = BytesIO()
    framed(picture, SMALL).save(encoded, "WEBP", quality=85, method=0)
    return encoded.getvalue()


def sight(picture: Image.Image) -> bytes:
    """Gives a presentable picture as bytes that no decoder has to be trusted with: its mode, its size, its pixels."""
    head = f"{picture.mode} {picture.width} {picture.height}\n"
    return head.encode("ascii") + picture.tobytes()


def sighted(data: bytes) -> Image.Image:
    """Gives back the picture. Raises ValueError."""
    head, _, pixels = data.partition(b"\n")
    mode, width, height = head.decode("ascii").split(" ")
    if mode not in ("L", "RGB", "RGBA"):
        raise ValueError("no presentable picture")
    return Image.frombytes(mode, (int(width), int(height)), pixels)


def framed(picture: Image.Image, edge: float) -> Image.Image:
    """Gives a picture in a frame of as many pixels as a square with that edge, in its own shape."""
    scale = edge / math.sqrt(picture.width * picture.height)
    width, height = (max(1, min(_LONGEST, round(side * scale))) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def in_grey(picture: Image.Image) -> Image.Image:
    """Gives a picture in grey, on a medium grey where it is transparent."""
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        ground.alpha_composite(picture)
        picture = ground
    return picture if picture.mode == "L" else picture.convert("L")


def pixels_of(picture: Image.Image) -> str | None:
    """Gives the SHA-256 of a picture's pixels: width and height (32 bits each, big-endian), then the rows of the upright
    picture as 8-bit RGBA, all zeros where it is transparent, because encoders keep no colour there.

    None for what moves, and for modes that have no 8-bit form of their own. The picture is left as it was, but loaded.
    """
    is_moving = picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
    if is_moving or picture.mode in ("F", "LAB") or picture.mode.startswith("I"):
        return None
    picture.load()
    picture = _turned(picture)
    digest = hashlib.sha256(struct.pack(">II", *picture.size))
    rows = max(1, _STRIP // picture.width)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(picture.height, top + rows)))
        if strip.mode in ("CMYK", "YCbCr", "HSV"):
            strip = strip.convert("RGB")
        strip = strip.convert("RGBA")
        alpha = strip.getchannel("A")
        if alpha.getextrema()[0] == 0:
            strip.paste((0, 0, 0, 0), mask=alpha.point(_ZERO))
        digest.update(strip.tobytes())
    return digest.hexdigest()


_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _turned(picture: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(picture.getexif().get(0x0112, 1))
    except Exception:  # whatever broken EXIF makes Pillow raise: the picture is then shown as it is
        return picture
    return picture if turn is None else picture.transpose(turn)


def _outline(grey: Image.Image) -> int:
    """Gives 64 bits: which of two neighbours in a grid is the lighter one."""
    cells = grey.resize((9, 8), Image.Resampling.BOX).tobytes()
    value = 0
    for at in range(72):
        if at % 9:
            value = value * 2 + (cells[at] > cells[at - 1])
    return value


def _marks(grey: Image.Image, most: int, each: int, doubts: int) -> list[tuple[Sequence[int], int, int]]:
    """Gives a picture's marks, `each` of a cell first and then the strongest: keys and place.

    A mark has several keys where `doubts` of the comparisons might have come out otherwise.
    """
    width, height = grey.size
    if min(width, height) < 2 * _REACH + 4:
        return []
    fine = grey.filter(_FINE)
    contrast = ImageChops.subtract(fine, fine.filter(_COARSE), 0.25, 128)
    levels, light = contrast.tobytes(), fine.tobytes()
    found = []
    for is_light, layer in ((1, contrast), (0, ImageChops.invert(contrast))):
        at_peak = ImageChops.difference(layer, _highest(layer)).point(_ZERO)
        for hit in _SET.finditer(ImageChops.multiply(at_peak, layer.point(_STRONG)).tobytes()):
            at = hit.start()
            if _REACH <= at % width < width - _REACH and _REACH * width <= at < (height - _REACH) * width:
                found.append((abs(levels[at] - 128), at, is_light))
    found.sort(reverse=True)
    steps = [(ay * width + ax, by * width + bx) for (ax, ay), (bx, by) in _PAIRS]
    return [
        (_keys([light[at + a] - light[at + b] for a, b in steps], is_light, doubts), at % width, at // width)
        for at, is_light in _spread(found, width, height, each)[:most]
    ]


def _highest(layer: Image.Image) -> Image.Image:
    """Gives for each pixel the highest of the five by five around it."""
    for down in (0, 1):
        for step in (1, 2, 1):
            layer = ImageChops.lighter(layer, _shifted(layer, step * (1 - down), step * down))
        layer = _shifted(layer, -2 * (1 - down), -2 * down)
    return layer


def _shifted(layer: Image.Image, x: int, y: int) -> Image.Image:
    return layer.crop((x, y, layer.width + x, layer.height + y))


def _spread(found: Sequence[tuple[int, int, int]], width: int, height: int, each: int) -> list[tuple[int, int]]:
    """Gives marks, strongest first, so that all of the picture has some, and none twice."""
    taken: set[tuple[int, int]] = set()
    counts: dict[tuple[int, int], int] = {}
    first: list[tuple[int, int]] = []
    rest: list[tuple[int, int]] = []
    for _, at, is_light in found:
        x, y = at % width, at // width
        if (x // 3, y // 3) in taken:
            continue
        taken.add((x // 3, y // 3))
        cell = (x * _CELLS // width, y * _CELLS // height)
        counts[cell] = counts.get(cell, 0) + 1
        (first if counts[cell] <= each else rest).append((at, is_light))
    return first + rest


def _keys(differences: Sequence[int], is_light: int, doubts: int) -> list[int]:
    key = is_light
    for difference in differences:
        key = key * 2 + (difference > 0)
    keys = [key]
    if doubts:
        weakest = sorted(range(_BITS), key=lambda number: abs(differences[number]))[:doubts]
        for number in weakest:
            bit = 1 << (_BITS - 1 - number)
            keys += [each ^ bit for each in keys]
    return keys
