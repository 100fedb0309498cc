"""Opens pictures within bounds and brings them into a form that can be shown.

Owns which formats Pillow may decode, the limit of pixels, and the way from any mode to small L, RGB or RGBA in sRGB. No
bytes, however broken, may make it raise anything but PreviewError.
"""

import math
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from typing import BinaryIO, Final

import PIL
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from comfyvn_store.base import media
from comfyvn_store.previews import NeedsRoom, PreviewError, psd

MAX_PIXELS: Final = 178_000_000
"""A picture with more is refused by its header; as RGBA it would take 712 MB."""

# Decoded by Pillow itself. EPS is absent for good: it would start Ghostscript on a stranger's program.
_FORMATS: Final = {
    "PNG": "PngImagePlugin",
    "JPEG": "JpegImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "ICO": "IcoImagePlugin",
}

# Formats whose decoder can shrink while it decodes; loading them early would lose that.
_DRAFT_FORMATS: Final = ("JPEG", "MPO")

# What Pillow's parsers raise for bad bytes; its assertions and lookups stand on states that a file can forge.
_BAD_DATA: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
)

# Pillow's pixel limit and Python's warning filters belong to the whole process.
_PILLOW: Final = threading.Lock()


@contextmanager
def opened(file: BinaryIO, most_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Opens the picture in `file`, told from its bytes; what goes wrong inside the `with`, too, becomes a PreviewError.

    Raises NeedsRoom where it has more than `most_pixels` or the memory does not suffice. Several threads wait for one another.
    """
    file.seek(0)
    head = file.read(media.HEAD_SIZE)
    file.seek(0)
    try:
        with _pillow_limits(most_pixels):
            if head.startswith(psd.SIGNATURE):
                yield psd.read_picture(file, most_pixels)
            else:
                with Image.open(file, formats=_known_formats()) as picture:
                    yield picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NeedsRoom(f"more than {most_pixels // 1_000_000} million pixels") from error
    except UnidentifiedImageError as error:
        raise PreviewError(_why_unknown(head)) from error
    except MemoryError as error:
        raise NeedsRoom("not enough memory for this picture") from error
    except (NotImplementedError, ImageCms.PyCMSError, ImportError) as error:
        raise PreviewError(f"unsupported kind of picture: {error}") from error
    except _BAD_DATA as error:
        raise PreviewError(f"damaged or unsupported picture: {error}") from error


def _why_unknown(head: bytes) -> str:
    if media.sniff(head) == "image/avif" and not reads_avif():
        return f"AVIF needs Pillow 11.3 or newer, built with it; this is {PIL.__version__}"
    return "not a picture, or none that can be read"


def reads_avif() -> bool:
    """Tells whether this Pillow decodes AVIF; older ones may know its name and not its pictures."""
    from PIL import features

    return "AVIF" in _known_formats() and bool("avif" in features.modules and features.check("avif"))


def presentable(picture: Image.Image, edge: int) -> Image.Image:
    """Returns what `picture` shows now: upright, in sRGB, as L, RGB or RGBA, no side longer than `edge`."""
    return _in_srgb(_upright(_shrunk(picture, edge)))


def as_webp(picture: Image.Image) -> bytes:
    """Returns a picture's WebP, without metadata; alpha that hides nothing is left out."""
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    encoded = BytesIO()
    picture.save(encoded, "WEBP", quality=80, method=4, icc_profile=b"", exif=b"", xmp=b"")
    return encoded.getvalue()


@contextmanager
def _pillow_limits(most_pixels: int) -> Iterator[None]:
    """Makes Pillow refuse more than `most_pixels`, also within an ICO, and keep quiet about odd metadata.

    Pillow checks the size once the header is read: it warns beyond its limit and raises beyond twice that.
    """
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        limit_before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = most_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit_before


def _known_formats() -> list[str]:
    """Returns those of our formats that this Pillow reads; Image.open raises KeyError for any other."""
    for plugin in _FORMATS.values():
        try:
            import_module(f"PIL.{plugin}")
        except ImportError:
            continue
    return [name for name in _FORMATS if name in Image.OPEN]


def _shrunk(picture: Image.Image, edge: int) -> Image.Image:
    """Returns the frame, at most `edge` pixels wide and high, as L, RGB, RGBA or CMYK."""
    if picture.format not in _DRAFT_FORMATS:
        picture.load()
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _shrunk_grey(picture, edge)
    shrunk = _resizable(picture)
    shrunk.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return shrunk


def _resizable(picture: Image.Image) -> Image.Image:
    """Returns the picture in a mode whose values can be averaged."""
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode in ("L", "RGB", "CMYK"):
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode == "LAB":
        return _profiled(picture, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return picture.convert("RGB")


def _shrunk_grey(picture: Image.Image, edge: int) -> Image.Image:
    """Returns deep grey (16 or 32 bits, float) as L.

    16 unsigned bits have a white of their own, floats are taken as 0 to 1 where they stay within. All else,
    which names no white, is stretched from its darkest to its lightest value. A transparent grey (tRNS) is
    shown opaque.
    """
    unsigned = picture.mode.startswith("I;16")
    grey = picture.convert("I") if unsigned else picture
    darkest, lightest = (0.0, 65535.0) if unsigned else _grey_range(grey)
    grey.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
    scale = 255 / (lightest - darkest)
    # Converting F to L clips and truncates, hence the half.
    shift = 0.5 - darkest * scale
    levels = grey.convert("F").point(lambda value: value * scale + shift).convert("L")
    levels.info = dict(picture.info)
    return levels


def _grey_range(picture: Image.Image) -> tuple[float, float]:
    darkest, lightest = (float(value) for value in picture.getextrema() if not isinstance(value, tuple))
    if not (math.isfinite(darkest) and math.isfinite(lightest)) or lightest <= darkest:
        return 0.0, 1.0
    if picture.mode == "F" and darkest >= 0 and lightest <= 1:
        return 0.0, 1.0
    return darkest, lightest


def _upright(picture: Image.Image) -> Image.Image:
    """Returns the picture turned as its EXIF orientation says, or as it is where the EXIF cannot be read."""
    try:
        return ImageOps.exif_transpose(picture)
    except _BAD_DATA:
        return picture


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Returns the picture as L, RGB or RGBA in sRGB, by its own profile where that can be used."""
    profile = picture.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        try:
            return _profiled(picture, ImageCms.ImageCmsProfile(BytesIO(profile)))
        except (ImageCms.PyCMSError, ImportError, *_BAD_DATA):
            pass  # A picture in slightly wrong colours is a better preview than none.
    return picture.convert("RGB") if picture.mode == "CMYK" else picture


def _profiled(picture: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Returns the picture in sRGB.

    Raises PyCMSError where the profile does not fit the picture, ImportError where Pillow has no lcms.
    """
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    colours = picture.convert("RGB") if picture.mode == "RGBA" else picture
    converted = ImageCms.profileToProfile(colours, profile, srgb, outputMode="RGB")
    if converted is None:
        raise ImageCms.PyCMSError("no picture came back")
    if picture.mode == "RGBA":
        converted.putalpha(picture.getchannel("A"))
    return converted
