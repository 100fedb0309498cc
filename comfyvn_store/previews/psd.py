"""Reads the flattened picture that a Photoshop file holds beside its layers (PSD, and PSB, the large form).

Pillow's own reader knows 8 bits a channel and PSD only, and takes any fourth channel for transparency. This one reads 1, 8,
16 and 32 bits, both forms, and leaves the layers alone, which are most of such a file. After "Adobe Photoshop File Formats
Specification" (November 2019).
"""

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, Final, NamedTuple

from PIL import Image, ImageChops

from comfyvn_store.previews import NeedsRoom, PreviewError

SIGNATURE: Final = b"8BPS"

_MOST_BLOCKS: Final = 4096
_MOST_RESOURCE: Final = 1 << 24
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _MULTICHANNEL, _DUOTONE, _LAB = 0, 1, 2, 3, 4, 7, 8, 9
# The mode of the picture for each colour mode, which says how many channels are colours. Duotones show their grey.
_MODES: Final = {
    _BITMAP: "1",
    _GREY: "L",
    _INDEXED: "P",
    _RGB: "RGB",
    _CMYK: "CMYK",
    _MULTICHANNEL: "L",
    _DUOTONE: "L",
    _LAB: "LAB",
}
_DEPTHS: Final = {_BITMAP: (1,), _INDEXED: (8,), _GREY: (8, 16, 32), _RGB: (8, 16, 32)}
_THUMBNAIL, _PROFILE, _VERSION = 1036, 1039, 1057
_LONG_KEYS: Final = frozenset(b"LMsk Lr16 Lr32 Layr Mt16 Mt32 Mtrn Alph FMsk lnk2 FEid FXid PxSD".split())
_MERGED_ALPHA: Final = frozenset((b"Mtrn", b"Mt16", b"Mt32"))


class _Header(NamedTuple):
    is_large: bool
    channels: int
    height: int
    width: int
    depth: int
    mode: int

    @property
    def row_bytes(self) -> int:
        return (self.width * self.depth + 7) // 8


def read_picture(file: BinaryIO, most_pixels: int) -> Image.Image:
    """Returns the flattened picture, or the small one that the file has where it was saved without.

    Raises PreviewError, NeedsRoom where it has more than `most_pixels`, and what Pillow raises for bad bytes.
    """
    header = _read_header(file, most_pixels)
    palette = _section(file, 4)
    file.seek(palette[0])
    colours = file.read(min(palette[1], 768))
    file.seek(palette[0] + palette[1])
    resources = _section(file, 4)
    found = _resources(file, *resources)
    file.seek(resources[0] + resources[1])
    layers = _section(file, 8 if header.is_large else 4)
    if found.get(_VERSION, b"\0\0\0\0\1")[4:5] == b"\0":
        return _small_picture(found.get(_THUMBNAIL, b""))
    colour_channels = len(_MODES[header.mode])
    has_alpha = (
        _MODES[header.mode] in ("L", "RGB", "CMYK")
        and header.channels > colour_channels
        and _is_last_alpha(file, header.is_large, *layers)
    )
    file.seek(layers[0] + layers[1])
    planes = list(_planes(file, header, colour_channels + has_alpha))
    picture = _merged(header, planes, colours, has_alpha)
    is_converted = has_alpha and _MODES[header.mode] == "CMYK"  # the profile was that of the inks
    if _PROFILE in found and header.depth <= 16 and not is_converted:
        picture.info["icc_profile"] = found[_PROFILE]
    return picture


def _read_header(file: BinaryIO, most_pixels: int) -> _Header:
    version, channels, height, width, depth, mode = struct.unpack(">4xH6xHIIHH", file.read(26))
    if version not in (1, 2):
        raise PreviewError(f"unsupported PSD: version {version}")
    if mode not in _MODES or depth not in _DEPTHS.get(mode, (8, 16)):
        raise PreviewError(f"unsupported PSD: colour mode {mode} with {depth} bits")
    if not width or not height or not len(_MODES[mode]) <= channels <= 56:
        raise PreviewError(f"damaged PSD: {width} × {height} pixels of {channels} channels")
    if width * height > most_pixels:
        raise NeedsRoom(f"more than {most_pixels // 1_000_000} million pixels")
    return _Header(version == 2, channels, height, width, depth, mode)


def _section(file: BinaryIO, size: int) -> tuple[int, int]:
    """Reads a section's length, of `size` bytes; gives where the section begins and how long it is."""
    length = int.from_bytes(_exactly(file, size), "big")
    begin = file.tell()
    if length > os.fstat(file.fileno()).st_size - begin:
        raise PreviewError("damaged PSD: a section is longer than the file")
    return begin, length


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise PreviewError("damaged PSD: the file ends early")
    return data


def _resources(file: BinaryIO, begin: int, length: int) -> dict[int, bytes]:
    """Returns those image resources that matter here."""
    found: dict[int, bytes] = {}
    at = begin
    for _ in range(_MOST_BLOCKS):
        if at + 12 > begin + length:
            break
        file.seek(at)
        signature, kind, name = struct.unpack(">4sHB", _exactly(file, 7))
        if signature not in (b"8BIM", b"MeSa"):
            break
        file.seek(at + 6 + (name + 2) // 2 * 2)
        size = int.from_bytes(_exactly(file, 4), "big")
        at = file.tell() + size + size % 2
        if kind in (_THUMBNAIL, _PROFILE, _VERSION) and size <= min(_MOST_RESOURCE, length):
            found.setdefault(kind, file.read(size))
    return found


def _small_picture(resource: bytes) -> Image.Image:
    """Returns the JPEG that Photoshop keeps for file browsers; the flattened picture is blank where it was not asked for."""
    if len(resource) > 28 and resource[:4] == b"\0\0\0\1":
        with Image.open(BytesIO(resource[28:]), formats=["JPEG"]) as picture:
            picture.load()
            return picture
    raise PreviewError("a PSD without a flattened picture (saved without maximised compatibility)")


def _is_last_alpha(file: BinaryIO, is_large: bool, begin: int, length: int) -> bool:
    """Whether the first channel after the colours is the transparency of the whole: a layer count below zero says so."""
    size = 8 if is_large else 4
    if length < size:
        return False
    file.seek(begin)
    info = int.from_bytes(_exactly(file, size), "big")
    if info >= 2:
        return _exactly(file, 2)[0] >= 0x80
    # Deep files keep their layers in a tagged block, after the mask that holds for all layers.
    file.seek(begin + size)
    at = begin + size + 4 + int.from_bytes(file.read(4), "big")
    for _ in range(_MOST_BLOCKS):
        if at + 12 > begin + length:
            return False
        file.seek(at)
        signature, key = struct.unpack(">4s4s", _exactly(file, 8))
        if signature not in (b"8BIM", b"8B64"):
            return False
        block = int.from_bytes(_exactly(file, 8 if is_large and key in _LONG_KEYS else 4), "big")
        if key in _MERGED_ALPHA:
            return True
        if key in (b"Lr16", b"Lr32", b"Layr") and block >= 2:
            return _exactly(file, 2)[0] >= 0x80
        at = file.tell() + (block + 3) // 4 * 4
    return False


def _planes(file: BinaryIO, header: _Header, count: int) -> Iterator[Image.Image]:
    """Yields the first `count` channels with 8 bits a pixel, or with 1."""
    compression = int.from_bytes(_exactly(file, 2), "big")
    if compression not in (0, 1):
        raise PreviewError(f"unsupported PSD: compression {compression} of the flattened picture")
    sizes = [header.row_bytes * header.height] * count
    if compression == 1:
        width = 4 if header.is_large else 2
        table = memoryview(_exactly(file, header.channels * header.height * width)).cast("B")
        counts = struct.unpack(f">{header.channels * header.height}{'I' if width == 4 else 'H'}", table)
        sizes = [sum(counts[n * header.height : (n + 1) * header.height]) for n in range(count)]
    for size in sizes:
        if size > os.fstat(file.fileno()).st_size - file.tell():
            raise PreviewError("damaged PSD: the flattened picture ends early")
        data = file.read(size)
        if compression == 1:
            packed = Image.frombytes("L", (header.row_bytes, header.height), data, "packbits", "L")
            data = packed.tobytes()
        yield _plane(header, data)


def _plane(header: _Header, data: bytes) -> Image.Image:
    size = (header.width, header.height)
    if header.depth == 1:
        return Image.frombytes("1", size, data, "raw", "1;I")  # a set bit is black
    if header.depth == 8:
        return Image.frombytes("L", size, data)
    if header.depth == 16:
        return Image.frombytes("L", size, data[::2])
    # Light, linear from 0 to 1: the shades between are those of sRGB.
    light = Image.frombytes("F", size, data, "raw", "F;32BF")
    return light.point(lambda value: value * 65535 + 0).convert("I").point(_shades(), "L")


def _shades() -> list[int]:
    return [
        round(255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055))
        for light in (value / 65535 for value in range(65536))
    ]


def _merged(header: _Header, planes: list[Image.Image], colours: bytes, has_alpha: bool) -> Image.Image:
    mode = _MODES[header.mode]
    if mode == "P":
        picture = planes[0]
        palette = colours.ljust(768, b"\0")
        picture.putpalette(bytes(palette[n // 3 + 256 * (n % 3)] for n in range(768)))
        return picture
    if mode == "CMYK":
        inks = Image.merge("CMYK", [ImageChops.invert(plane) for plane in planes[:4]])
        if not has_alpha:
            return inks
        shown = inks.convert("RGB")
        shown.putalpha(planes[4])
        return shown
    if has_alpha:
        mode = "LA" if mode == "L" else "RGBA"
    return planes[0] if len(planes) == 1 else Image.merge(mode, planes)
