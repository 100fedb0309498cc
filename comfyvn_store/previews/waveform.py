"""Reads the outline of a WAV file: the loudest sample of each of a few hundred slices.

Owns the reading of WAV (RIFF, RF64, WAVE_FORMAT_EXTENSIBLE) and the JSON text of a waveform. Standard library
only. It must not hold more than a small block of the file, and must not draw.

Chunks are read as in "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft,
1991), RF64 as in EBU Tech 3306, the extensible format as in Microsoft's WAVEFORMATEXTENSIBLE.
"""

import json
import os
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, Final, NamedTuple

from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.peaks import Encoding, block_peak

_BLOCK_BYTES: Final = 1 << 17
_MAX_CHUNKS: Final = 10_000
_UNKNOWN_SIZE: Final = 0xFFFFFFFF

_PCM: Final = 0x0001
_IEEE_FLOAT: Final = 0x0003
_EXTENSIBLE: Final = 0xFFFE
# The end of every sub-format GUID that stands for a plain format tag (KSDATAFORMAT_SUBTYPE_WAVEFORMATEX).
_TAG_GUID: Final = bytes.fromhex("000000001000800000aa00389b71")
_CODECS: Final = {
    0x0002: "Microsoft ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0050: "MPEG audio",
    0x0055: "MP3",
    0x0161: "Windows Media Audio",
}


class Waveform(NamedTuple):
    """The outline of a sound.

    `points` holds the peak of each equal slice of the file, over all channels, 0 to 1, rounded to 4 digits.
    `duration` is in seconds, rounded to 6 digits. `kind` is always "waveform".
    """

    kind: str
    channels: int
    sample_rate: int
    duration: float
    points: list[float]


def read_waveform(stream: BinaryIO, points: int = 512) -> Waveform:
    """Reads a whole WAV file, from `stream`'s very beginning, into at most `points` peaks.

    The slices cover the file from the first frame to the last; a file with fewer frames than `points` gives
    one point a frame. `stream` must be seekable. PCM of 8, 16, 24 and 32 bits and floats of 32 and 64 bits
    are read, with any number of channels; a file that ends early, or whose writer left its sizes open, is
    read as far as it goes. A float beyond 1 counts as 1, NaN as 0.

    Raises PreviewError where the bytes are anything else, ValueError for fewer than one point, and OSError as
    `stream` raises it.
    """
    if points < 1:
        raise ValueError(f"a waveform needs at least one point, not {points}")
    sound = _find_samples(stream)
    count = min(points, sound.frames)
    edges = [index * sound.frames // count for index in range(count + 1)]
    stream.seek(sound.offset)
    return Waveform(
        kind="waveform",
        channels=sound.format.channels,
        sample_rate=sound.format.sample_rate,
        duration=round(sound.frames / sound.format.sample_rate, 6),
        points=[round(_slice_peak(stream, end - start, sound.format), 4) for start, end in pairwise(edges)],
    )


def waveform_json(waveform: Waveform) -> bytes:
    """Returns the canonical text of a waveform: its fields in order, no spaces, a newline at the end."""
    text = json.dumps(waveform._asdict(), separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


class _Format(NamedTuple):
    channels: int
    sample_rate: int
    frame_bytes: int
    encoding: Encoding
    width: int  # bytes of one sample of one channel


class _Sound(NamedTuple):
    format: _Format
    offset: int
    frames: int


class _Chunk(NamedTuple):
    name: bytes
    offset: int
    size: int


def _find_samples(stream: BinaryIO) -> _Sound:
    end = stream.seek(0, os.SEEK_END)
    riff_size = _read_riff_header(stream)
    sound_format: _Format | None = None
    data: _Chunk | None = None
    long_size = 0
    for chunk in _chunks(stream, end):
        if chunk.name == b"ds64":
            long_size = _read_long_data_size(stream)
        elif chunk.name == b"fmt ":
            sound_format = _read_format(stream.read(min(chunk.size, 40)))
        elif chunk.name == b"data" and data is None:
            data = chunk
        if sound_format and data:
            break
    if sound_format is None:
        raise PreviewError("a WAV without a format (no fmt chunk)")
    if data is None:
        raise PreviewError("a WAV without samples (no data chunk)")
    there = end - data.offset
    size = data.size
    if size == _UNKNOWN_SIZE:
        size = long_size or there
    elif size == 0 and abs(riff_size + 8 - end) > 1:
        # Nobody came back to fill the sizes in; with the outer size right, the sound is really empty.
        size = there
    frames = min(size, there) // sound_format.frame_bytes
    if frames < 1:
        raise PreviewError("a WAV without samples (empty data chunk)")
    return _Sound(sound_format, data.offset, frames)


def _read_riff_header(stream: BinaryIO) -> int:
    """Returns the size that the outermost chunk claims; leaves `stream` at the first inner chunk."""
    stream.seek(0)
    header = stream.read(12)
    if len(header) < 12 or header[8:] != b"WAVE":
        raise PreviewError("not a WAV file")
    if header[:4] == b"RIFX":
        raise PreviewError("unsupported WAV: big-endian (RIFX)")
    if header[:4] not in (b"RIFF", b"RF64", b"BW64"):
        raise PreviewError("not a WAV file")
    return int.from_bytes(header[4:8], "little")


def _chunks(stream: BinaryIO, end: int) -> Iterator[_Chunk]:
    """Yields the chunks that begin before `end`, each with `stream` at its first byte."""
    offset = 12
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > end:
            return
        stream.seek(offset)
        header = stream.read(8)
        if len(header) < 8:
            return
        size = int.from_bytes(header[4:], "little")
        yield _Chunk(header[:4], offset + 8, size)
        offset += 8 + size + size % 2
    raise PreviewError(f"not a sane WAV: more than {_MAX_CHUNKS} chunks")


def _read_long_data_size(stream: BinaryIO) -> int:
    """Returns the data chunk's 64-bit size from a ds64 chunk, 0 where it is not told."""
    sizes = stream.read(16)
    return int.from_bytes(sizes[8:16], "little") if len(sizes) == 16 else 0


def _read_format(text: bytes) -> _Format:
    """Parses a fmt chunk; raises PreviewError where it is damaged or names samples that we do not read."""
    if len(text) < 16:
        raise PreviewError("damaged WAV: the fmt chunk is cut short")
    tag, channels, sample_rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", text)
    if tag == _EXTENSIBLE:
        tag = _extensible_tag(text)
    if tag not in (_PCM, _IEEE_FLOAT):
        raise PreviewError(f"unsupported WAV: {_CODECS.get(tag, f'codec 0x{tag:04x}')}")
    if channels == 0:
        raise PreviewError("damaged WAV: no channels")
    if sample_rate == 0:
        raise PreviewError("damaged WAV: a sample rate of 0")
    if tag == _IEEE_FLOAT:
        encoding, depths = Encoding.FLOAT, {32, 64}
    else:
        encoding, depths = Encoding.UNSIGNED if bits == 8 else Encoding.SIGNED, {8, 16, 24, 32}
    if bits not in depths:
        raise PreviewError(f"unsupported WAV: {bits}-bit {'float' if tag == _IEEE_FLOAT else 'PCM'}")
    width = bits // 8
    if frame_bytes != channels * width:
        raise PreviewError(
            f"damaged WAV: {channels} channels of {bits} bits do not fill a block of {frame_bytes} bytes"
        )
    return _Format(channels, sample_rate, frame_bytes, encoding, width)


def _extensible_tag(text: bytes) -> int:
    """Returns the format tag within an extensible format; fewer valid bits than the container's need no care.

    Valid bits are the high ones of their container, so the scale is the container's.
    """
    if len(text) < 40:
        raise PreviewError("damaged WAV: the extensible fmt chunk is cut short")
    if text[26:40] != _TAG_GUID:
        raise PreviewError(f"unsupported WAV: codec {text[24:40].hex()}")
    return int.from_bytes(text[24:26], "little")


def _slice_peak(stream: BinaryIO, frames: int, sound_format: _Format) -> float:
    """Reads `frames` frames and returns their peak; `stream` moves past them."""
    block_frames = max(1, _BLOCK_BYTES // sound_format.frame_bytes)
    loudest = 0.0
    while frames:
        wanted = min(frames, block_frames)
        block = stream.read(wanted * sound_format.frame_bytes)
        if len(block) != wanted * sound_format.frame_bytes:
            raise PreviewError("the file ended while it was read")
        loudest = max(loudest, block_peak(block, sound_format.encoding, sound_format.width))
        frames -= wanted
    return loudest
