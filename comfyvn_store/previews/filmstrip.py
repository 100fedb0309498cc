"""Makes a filmstrip of an animation: frames from its whole length side by side.

Owns which frames those are and how they lie. It decodes a bounded number of frames, whatever the file claims to hold.
"""

import contextlib
from typing import Final

from PIL import Image

from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.pictures import MAX_PIXELS, as_webp, opened, presentable

FRAMES: Final = 8
"""A filmstrip has no more."""

EDGE: Final = 160
"""No side of a frame is longer, in pixels."""

MOST_FRAMES: Final = 2000
"""Of an animation with more frames the strip covers the first ones."""

WORK: Final = 1_000_000_000
"""No more pixels are decoded, counted before the frames are shrunk."""


def filmstrip(source: str, *, most_pixels: int = MAX_PIXELS) -> bytes | None:
    """Returns a WebP of up to FRAMES evenly spaced frames in one row, the first one first.

    All frames have one size, no side longer than EDGE, and touch. What does not move gives None, and so does an animation of
    which fewer than two frames can be read. Raises PreviewError where `source` holds no picture, OSError where it cannot be
    opened.
    """
    with open(source, "rb") as file, opened(file, most_pixels) as picture:
        frames = _frames(picture)
        return as_webp(_side_by_side(frames)) if len(frames) > 1 else None


def _frames(picture: Image.Image) -> list[Image.Image]:
    there = int(getattr(picture, "n_frames", 1))
    span = min(there, MOST_FRAMES, WORK // max(1, picture.width * picture.height))
    count = min(FRAMES, span)
    frames: list[Image.Image] = []
    if count < 2:
        return frames
    # A broken frame ends the strip; what came before it is shown.
    with contextlib.suppress(PreviewError, OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError):
        for number in range(count):
            picture.seek(number * span // count)
            frame = presentable(picture.copy(), EDGE)
            if frames and frame.size != frames[0].size:
                break
            frames.append(frame)
    return frames


def _side_by_side(frames: list[Image.Image]) -> Image.Image:
    width, height = frames[0].size
    modes = {frame.mode for frame in frames}
    mode = "RGBA" if "RGBA" in modes else "RGB" if "RGB" in modes else "L"
    strip = Image.new(mode, (width * len(frames), height))
    for number, frame in enumerate(frames):
        strip.paste(frame.convert(mode), (width * number, 0))
    return strip
