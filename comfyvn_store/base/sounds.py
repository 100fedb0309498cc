"""The facts of sounds, movies and animations: channels, sample rate, width and height, duration.

Owns what is counted as a sound fact: a duration stands only where the file itself counts its samples or frames. Every
function takes a seekable stream and gives `Facts`; broken data gives unknown facts. Containers are loaded as they appear.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

_HIGHEST_RATE = (1 << 31) - 1
_MOST_FRAMES = 60_000  # of an MP3 that does not say how many it has: half an hour
_TAIL = 1 << 16  # a page of Ogg is no longer


class Facts(NamedTuple):
    """What a file says; None is unknown. `duration` is in seconds."""

    width: int | None = None
    height: int | None = None
    channels: int | None = None
    sample_rate: int | None = None
    duration: float | None = None


def of_boxes(stream: BinaryIO) -> Facts:
    """MP4, MOV, M4A, and the movie in an AVIF."""
    from comfyvn_store.base.containers import boxes

    movie = boxes.read(stream)
    return Facts(movie.width, movie.height, movie.channels, movie.sample_rate, movie.duration)


def of_ebml(stream: BinaryIO) -> Facts:
    """WebM and Matroska."""
    from comfyvn_store.base.containers import ebml

    movie = ebml.read(stream)
    return Facts(movie.width, movie.height, movie.channels, movie.sample_rate, movie.duration)


def of_flac(stream: BinaryIO, at: int = 0) -> Facts:
    """FLAC: its STREAMINFO (RFC 9639, section 8.2)."""
    stream.seek(at + 4)
    head = stream.read(38) or b""
    return _stream_info(head[4:]) if head[:1] in (b"\0", b"\x80") else Facts()


def _stream_info(info: bytes) -> Facts:
    if len(info) < 34:
        return Facts()
    packed = int.from_bytes(info[10:18], "big")
    rate, channels, samples = packed >> 44, (packed >> 41 & 7) + 1, packed & ((1 << 36) - 1)
    if not rate:
        return Facts()
    return Facts(channels=channels, sample_rate=rate, duration=round(samples / rate, 6) if samples else None)


def of_ogg(stream: BinaryIO) -> Facts:
    """Vorbis, Opus and FLAC in Ogg: the first packet, and where the last page of the same stream says that it ends."""
    stream.seek(0)
    head = stream.read(27 + 255 + 255) or b""
    if head[:5] != b"OggS\0" or len(head) < 28:
        return Facts()
    first = head[27 + head[26] :]
    channels = rate = skip = 0
    if first.startswith(b"\x01vorbis") and len(first) >= 16:
        channels, rate = struct.unpack_from("<BI", first, 11)
    elif first.startswith(b"OpusHead") and len(first) >= 12:
        channels, skip = struct.unpack_from("<BH", first, 9)
        rate = 48000  # what Opus decodes to and counts in, whatever the sound was before (RFC 7845, section 4)
    elif first.startswith(b"\x7fFLAC"):
        facts = _stream_info(first[17:])
        channels, rate = facts.channels or 0, facts.sample_rate or 0
    if not channels or not 0 < rate <= _HIGHEST_RATE:
        return Facts()
    samples = (_last_granule(stream, head[14:18]) or 0) - skip
    duration = round(samples / rate, 6) if 0 < samples < 1 << 62 else None
    return Facts(channels=channels, sample_rate=rate, duration=duration)


def _last_granule(stream: BinaryIO, serial: bytes) -> int | None:
    """The granule of the last page; None if that is damaged or another stream's, as in a chained file, or none ends on it."""
    from comfyvn_store.base.containers import ogg

    end = stream.seek(0, 2)
    stream.seek(max(0, end - _TAIL))
    tail = stream.read(_TAIL) or b""
    at = tail.rfind(b"OggS\0")
    while at >= 0:
        page = ogg.page_at(stream, max(0, end - _TAIL) + at)
        if page is not None:
            is_ours = page.is_sound and page.end == end and page.serial.to_bytes(4, "little") == serial
            return page.granule if is_ours and page.granule >> 63 == 0 else None
        at = tail.rfind(b"OggS\0", 0, at)
    return None


def of_riff_picture(stream: BinaryIO) -> Facts:
    """WebP: how long its frames stand, if it has several."""
    from comfyvn_store.base.containers import riff

    frames = milliseconds = 0
    for chunk in riff.chunks(stream):
        if chunk.kind == b"ANMF":
            stream.seek(chunk.data_at + 12)
            milliseconds += int.from_bytes(stream.read(3) or b"", "little")
            frames += 1
    return Facts(duration=milliseconds / 1000 if frames > 1 and milliseconds else None)


def of_gif(stream: BinaryIO) -> Facts:
    """GIF: how long its pictures stand, if it has several."""
    from comfyvn_store.base.containers import gif

    return Facts(duration=gif.read(stream).seconds)


def of_png(stream: BinaryIO, head: bytes) -> Facts:
    """PNG: how long its frames stand, if it has several, as `acTL` says before any picture data."""
    if b"acTL" not in head:
        return Facts()
    from comfyvn_store.base import png

    stream.seek(0)
    scanner = png.PngScanner(extras=True)
    scanner.scan(stream)
    seconds = scanner.seconds if scanner.is_whole else None
    return Facts(duration=round(seconds, 6) if seconds else None)


# -- MPEG audio (ISO/IEC 11172-3, 2.4.1.3; ISO/IEC 13818-3)

_RATES = (44100, 48000, 32000)
_BIT_RATES = {
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class _Frame(NamedTuple):
    rate: int
    channels: int
    samples: int
    length: int
    side: int  # how long the side information of layer III is


def of_mpeg(stream: BinaryIO, at: int) -> Facts:
    """MP3 whose first frame is looked for from `at`, behind any tag.

    The duration is that of the frames that the encoder counted, less what it says it put before and behind; or of all
    frames, where it says nothing and they follow each other to the end.
    """
    stream.seek(at)
    head = stream.read(_TAIL) or b""
    start = head.find(b"\xff")
    while start >= 0:
        frame = _frame(head[start : start + 4])
        if frame is not None and (start + frame.length >= len(head) or _frame(head[start + frame.length :][:4])):
            break
        start = head.find(b"\xff", start + 1)
    else:
        return Facts()
    known = Facts(channels=frame.channels, sample_rate=frame.rate)
    samples = _counted(head[start : start + frame.length], frame)
    if samples is None:
        samples = _walked(stream, at + start, frame)
    return known._replace(duration=round(samples / frame.rate, 6) if samples else None)


def _frame(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = {3: 1, 2: 2, 0: 25}.get(head[1] >> 3 & 3), 4 - (head[1] >> 1 & 3)
    rate_index, bits = head[2] >> 2 & 3, head[2] >> 4
    if version is None or layer not in (2, 3) or rate_index == 3 or bits in (0, 15):
        return None
    is_first = version == 1
    rate = _RATES[rate_index] >> {1: 0, 2: 1, 25: 2}[version]
    samples = 1152 if is_first or layer == 2 else 576
    bit_rate = _BIT_RATES[1 if is_first else 2, layer][bits] * 1000
    channels = 1 if head[3] >> 6 == 3 else 2
    side = (32 if channels == 2 else 17) if is_first else (17 if channels == 2 else 9)
    return _Frame(rate, channels, samples, samples // 8 * bit_rate // rate + (head[2] >> 1 & 1), side)


def _counted(frame: bytes, first: _Frame) -> int | None:
    """How many samples the encoder says there are, in the frame without sound that it puts first (Xing, Info, VBRI)."""
    at = 4 + first.side
    if frame[at : at + 4] in (b"Xing", b"Info") and len(frame) >= at + 12:
        flags, frames = struct.unpack_from(">II", frame, at + 4)
        if not flags & 1 or not 0 < frames < 1 << 31:
            return None
        extra = at + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
        padding = 0
        if frame[extra : extra + 4] in (b"LAME", b"Lavf", b"Lavc") and len(frame) >= extra + 24:
            packed = int.from_bytes(frame[extra + 21 : extra + 24], "big")
            padding = (packed >> 12) + (packed & 0xFFF)
        return max(int(frames) * first.samples - padding, 0)
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int.from_bytes(frame[50:54], "big") * first.samples
    return None


def _walked(stream: BinaryIO, at: int, first: _Frame) -> int | None:
    """The samples of all frames, if they follow each other up to the end or to a tag."""
    end = stream.seek(0, 2)
    samples = 0
    for _ in range(_MOST_FRAMES):
        stream.seek(at)
        head = stream.read(4) or b""
        frame = _frame(head)
        if frame is None or frame.rate != first.rate:
            is_end = at == end or head[:3] == b"TAG" or head == b"APET"
            return samples if is_end else None
        if at + frame.length > end:
            return None
        samples += frame.samples
        at += frame.length
    return None
