"""Draws a waveform as a small picture.

Owns how a waveform looks. It must not read sound: the points come from `waveform`.
"""

from io import BytesIO
from typing import BinaryIO, Final

from PIL import Image, ImageDraw

from comfyvn_store.previews.waveform import Waveform

WIDTH: Final = 512
HEIGHT: Final = 128

_BAR: Final = 3
_GAP: Final = 1
_BARS: Final = WIDTH // (_BAR + _GAP)
# Its contrast is 3.9 to white and 4.8 to a dark page (#121212); WCAG 2.1 asks 3 for graphics.
_COLOUR: Final = (74, 127, 224, 255)


def draw_waveform(waveform: Waveform, target: BinaryIO) -> None:
    """Writes a lossless WebP of WIDTH x HEIGHT pixels: bars mirrored around the middle, the rest transparent.

    Each bar has the height of the loudest point it stands for; silence leaves a thin line. The same waveform
    and the same Pillow give the same bytes. `target` is written once; raises OSError where that fails.
    """
    picture = Image.new("RGBA", (WIDTH, HEIGHT), (*_COLOUR[:3], 0))
    draw = ImageDraw.Draw(picture)
    middle = HEIGHT // 2
    for number, height in enumerate(_bar_heights(waveform.points)):
        left = number * (_BAR + _GAP)
        draw.rectangle((left, middle - height, left + _BAR - 1, middle + height - 1), fill=_COLOUR)
    encoded = BytesIO()
    picture.save(encoded, "WEBP", lossless=True, quality=80, method=4)
    target.write(encoded.getvalue())


def _bar_heights(points: list[float]) -> list[int]:
    """Returns half the height of each bar in pixels, at least 1; few points give wider steps."""
    heights = []
    for bar in range(_BARS):
        first = bar * len(points) // _BARS
        after = max(first + 1, (bar + 1) * len(points) // _BARS)
        heights.append(max(1, round(max(points[first:after], default=0.0) * (HEIGHT // 2))))
    return heights
