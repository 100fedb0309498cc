"""Makes a thumbnail of a picture.

Owns the way from a picture's bytes to a small WebP. It must not write anything but the target it is given,
and no bytes, however broken, may make it raise anything but PreviewError.
"""

from typing import BinaryIO, Final

from comfyvn_store.previews.pictures import MAX_PIXELS, as_webp, opened, presentable

EDGE: Final = 512
"""No side of a thumbnail is longer, in pixels."""


def write_thumbnail(source: str, target: BinaryIO, *, most_pixels: int = MAX_PIXELS) -> None:
    """Writes a WebP of the picture at `source` that fits EDGE x EDGE pixels.

    The format is told from the bytes, never from the name. The picture is turned upright as its EXIF says,
    converted to sRGB, never enlarged; of an animation it is the first frame. Transparency stays. The same
    bytes and the same Pillow give the same thumbnail; it carries no metadata.

    Raises PreviewError where the bytes give no picture, OSError where `source` cannot be opened or `target`
    cannot be written. `target` is written once, after all decoding, so a PreviewError leaves it untouched.
    Calls in several threads wait for one another; use processes to make thumbnails side by side.
    """
    with open(source, "rb") as file, opened(file, most_pixels) as picture:
        encoded = as_webp(presentable(picture, EDGE))
    target.write(encoded)
