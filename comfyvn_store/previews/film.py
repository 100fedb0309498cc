"""Takes the first picture of a film with FFmpeg's libraries, through PyAV.

Owns the use of that library, which an extra installs. It opens one file as one kind of container: nothing that a file names,
a playlist or another file, is followed.
"""

from fractions import Fraction
from typing import Any, BinaryIO, Final

from PIL import Image

from comfyvn_store.previews import NeedsRoom, PreviewError
from comfyvn_store.previews.pictures import as_webp
from comfyvn_store.previews.thumbnail import EDGE

EXTRA: Final = "video"
"""The extra that brings PyAV."""

# FFmpeg's names of the containers, by media type.
_CONTAINERS: Final = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "matroska",
}
_MOST_PACKETS: Final = 2000
_TURNS: Final = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def first_frame(source: str, mime: str, *, most_pixels: int) -> Image.Image:
    """Gives a film's first picture, no side longer than EDGE pixels, as it is to be shown.

    Raises PreviewError where the bytes give none or PyAV is not there, OSError where they cannot be opened.
    """
    with open(source, "rb") as file:
        try:
            import av
        except (ImportError, OSError) as error:
            raise PreviewError(f"needs PyAV: pip install 'comfyvn-store[{EXTRA}]'") from error
        try:
            with av.open(file, format=_CONTAINERS[mime], metadata_errors="replace") as container:
                return _first_picture(container, most_pixels)
        except MemoryError as error:
            raise NeedsRoom("not enough memory for this film") from error
        except PreviewError:
            raise
        except (av.FFmpegError, OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as error:
            raise PreviewError(f"damaged or unsupported film: {_said(error)}") from error


def write_first_frame(source: str, mime: str, target: BinaryIO, *, most_pixels: int) -> Image.Image:
    """Writes a WebP of that picture, and gives it. Raises PreviewError, OSError."""
    picture = first_frame(source, mime, most_pixels=most_pixels)
    target.write(as_webp(picture))
    return picture


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().lower() or type(error).__name__


def _first_picture(container: Any, most_pixels: int) -> Image.Image:
    if not container.streams.video:
        raise PreviewError("a film without pictures")
    stream = container.streams.video[0]
    context = stream.codec_context
    if context is None:
        raise PreviewError("damaged or unsupported film: no decoder for its pictures")
    if context.width * context.height > most_pixels:
        raise NeedsRoom(f"more than {most_pixels // 1_000_000} million pixels")
    context.thread_count = 1
    for number, packet in enumerate(container.demux(stream)):
        for frame in packet.decode():
            return _shown(frame, stream, most_pixels)
        if number >= _MOST_PACKETS:
            break
    raise PreviewError("a film of which no picture can be read")


def _shown(frame: Any, stream: Any, most_pixels: int) -> Image.Image:
    """The frame with square pixels, upright, no side longer than EDGE."""
    if frame.width * frame.height > most_pixels:
        raise NeedsRoom(f"more than {most_pixels // 1_000_000} million pixels")
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = aspect if Fraction(1, 16) < aspect < 16 else Fraction(1)
    width, height = max(1.0, frame.width * float(aspect)), float(frame.height)
    scale = min(1.0, EDGE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture: Image.Image = frame.reformat(width=size[0], height=size[1], format="rgb24").to_image()
    turn = _TURNS.get(round(getattr(frame, "rotation", 0) or 0) % 360)
    return picture if turn is None else picture.transpose(turn)
