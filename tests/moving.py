"""Pictures that move, films and compressed sounds, made by the libraries that previews are made with."""

import functools
import io
import math
import struct
from typing import Any

import pytest
from PIL import Image, ImageDraw, features

COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (0, 255, 255),
    (255, 0, 255),
    (0, 0, 0),
    (255, 255, 255),
]
has_avif = "avif" in features.modules and features.check("avif")
MOVING = ["GIF", "PNG", "WEBP", *(["AVIF"] if has_avif else [])]


def frames(count: int, size: tuple[int, int] = (64, 48)) -> list[Image.Image]:
    """Frames of one colour each, in the order of COLOURS, with a number of bars that tells them apart."""
    found = []
    for number in range(count):
        frame = Image.new("RGB", size, COLOURS[number % len(COLOURS)])
        ImageDraw.Draw(frame).point([(number % size[0], number // size[0] % size[1])], fill=(number % 256, 90, 90))
        found.append(frame)
    return found


def animation(kind: str, count: int, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """An animation of `count` frames as GIF, PNG, WEBP or AVIF."""
    first, *others = frames(count, size)
    options = (
        {"lossless": True, **options} if kind == "WEBP" else {"quality": 100, **options} if kind == "AVIF" else options
    )
    target = io.BytesIO()
    first.save(target, kind, save_all=True, append_images=others, duration=40, **options)
    return target.getvalue()


@functools.cache
def sound(kind: str, subtype: str, seconds: float = 2.0, rate: int = 48_000, channels: int = 1) -> bytes:
    """A sound that is silent in its first half and a sine of half of full scale in the second."""
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    total = int(seconds * rate)
    samples = b"".join(
        struct.pack("<f", 0.0 if index < total // 2 else 0.5 * math.sin(index / 20)) * channels
        for index in range(total)
    )
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", rate, channels, subtype, format=kind) as file:
        file.buffer_write(samples, "float32")
    return target.getvalue()


def flac(seconds: float = 2.0) -> bytes:
    """FLAC."""
    return sound("FLAC", "PCM_16", seconds)


SOUNDS = {
    "audio/flac": ("FLAC", "PCM_16"),
    "audio/ogg": ("OGG", "VORBIS"),
    "audio/opus": ("OGG", "OPUS"),
    "audio/mpeg": ("MP3", "MPEG_LAYER_III"),
}


@functools.cache
def film(kind: str = "mp4", codec: str = "mpeg4", count: int = 5, size: tuple[int, int] = (96, 64)) -> bytes:
    """A film whose frames are those of `frames`."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    target = io.BytesIO()
    with av.open(target, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for picture in frames(count, size):
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return target.getvalue()


def psd(
    planes: list[bytes],
    size: tuple[int, int],
    *,
    mode: int = 3,
    depth: int = 8,
    version: int = 1,
    packed: bool = False,
    palette: bytes = b"",
    resources: bytes = b"",
    layers: bytes = b"",
) -> bytes:
    """A Photoshop file; `planes` are the channels of its flattened picture, one after another."""
    width, height = size
    header = struct.pack(">4sH6xHIIHH", b"8BPS", version, len(planes), height, width, depth, mode)
    sections = struct.pack(">I", len(palette)) + palette + struct.pack(">I", len(resources)) + resources
    sections += struct.pack(">I" if version == 1 else ">Q", len(layers)) + layers
    if not packed:
        return header + sections + b"\0\0" + b"".join(planes)
    rows = [pack(row) for plane in planes for row in _rows(plane, height)]
    table = struct.pack(f">{len(rows)}{'H' if version == 1 else 'I'}", *map(len, rows))
    return header + sections + b"\0\1" + table + b"".join(rows)


def resource(kind: int, data: bytes) -> bytes:
    """An image resource block."""
    return struct.pack(">4sH2xI", b"8BIM", kind, len(data)) + data + b"\0" * (len(data) % 2)


def pack(row: bytes) -> bytes:
    """PackBits: runs where a byte repeats, else one literal byte at a time."""
    found, at = b"", 0
    while at < len(row):
        run = 1
        while at + run < len(row) and run < 128 and row[at + run] == row[at]:
            run += 1
        found += bytes([257 - run, row[at]]) if run > 1 else bytes([0, row[at]])
        at += run
    return found


def _rows(plane: bytes, height: int) -> list[bytes]:
    width = len(plane) // height
    return [plane[n * width : (n + 1) * width] for n in range(height)]
