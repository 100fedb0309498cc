"""A sheet of paper to draw on: smooth shapes with soft edges, and colours to mix. What Pillow alone does not do."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFilter

_FINER = 2  # drawn so many times larger and scaled down, because Pillow draws hard edges

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Sheet:
    """A picture under work, in the finished picture's pixels, whatever it is drawn in."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._picture = Image.new("RGBA", (size[0] * _FINER, size[1] * _FINER))
        self._pen = ImageDraw.Draw(self._picture)

    def finish(self) -> Image.Image:
        return self._picture.resize(self._size, Image.Resampling.BOX)

    def shade(self, top: Colour, bottom: Colour) -> None:
        """Fills the sheet, from the colour at the top to that at the bottom (reached at seven tenths)."""
        width, height = self._picture.size
        for y in range(height):
            self._pen.line((0, y, width, y), fill=mixed(top, bottom, min(1.0, y / height / 0.7)))

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._pen.polygon([(x * _FINER, y * _FINER) for x, y in points], fill=colour)

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """A smooth closed shape through the points, with a darker rim."""
        curve = smooth(points)
        self.polygon(curve, colour)
        self.line([*curve, *curve[:2]], darker(colour, 0.8), 3, is_curve=True)

    def ellipse(self, centre: Point, across: float, along: float, colour: Colour) -> None:
        x, y = centre
        box = (x - across, y - along, x + across, y + along)
        self._pen.ellipse([value * _FINER for value in box], fill=colour)

    def soft_ellipse(self, centre: Point, across: float, along: float, colour: Colour, strength: float) -> None:
        """An ellipse that fades out towards its edge and lets what is below shine through."""
        blur = min(across, along) * 0.45
        reach_x, reach_y = round((across + 3 * blur) * _FINER), round((along + 3 * blur) * _FINER)
        mask = Image.new("L", (2 * reach_x, 2 * reach_y))
        inner = [
            reach_x - across * _FINER,
            reach_y - along * _FINER,
            reach_x + across * _FINER,
            reach_y + along * _FINER,
        ]
        ImageDraw.Draw(mask).ellipse(inner, fill=round(255 * strength))
        mask = mask.filter(ImageFilter.GaussianBlur(blur * _FINER))
        corner = round(centre[0] * _FINER) - reach_x, round(centre[1] * _FINER) - reach_y
        ground = self._picture.crop((*corner, corner[0] + 2 * reach_x, corner[1] + 2 * reach_y))
        tinted = Image.composite(Image.new("RGBA", mask.size, (*colour, 255)), ground, mask)
        self._picture.paste(tinted, corner)

    def line(self, points: Sequence[Point], colour: Colour, width: float, *, is_curve: bool = False) -> None:
        """A smooth line through the points, with round ends."""
        curve = points if is_curve else smooth(points, closed=False)
        self._pen.line(
            [(x * _FINER, y * _FINER) for x, y in curve], fill=colour, width=round(width * _FINER), joint="curve"
        )
        for end in (curve[0], curve[-1]):
            self.ellipse(end, width / 2, width / 2, colour)


def smooth(points: Sequence[Point], *, closed: bool = True) -> list[Point]:
    """Gives a Catmull-Rom curve through the points."""
    around = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    curve = []
    for before, start, end, after in zip(around, around[1:], around[2:], around[3:], strict=False):
        for step in range(12):
            curve.append((_between(before[0], start[0], end[0], after[0], step / 12),
                          _between(before[1], start[1], end[1], after[1], step / 12)))  # fmt: skip
    return curve if closed else [*curve, points[-1]]


def _between(before: float, start: float, end: float, after: float, t: float) -> float:
    return 0.5 * (2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2
                  + (3 * start - before - 3 * end + after) * t**3)  # fmt: skip


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float) -> Colour:
    return mixed((0, 0, 0), colour, share)


def lighter(colour: Colour, share: float) -> Colour:
    return mixed(colour, (255, 255, 255), share)
