"""What a file is, told by its bytes: the media type, the size of a picture, the facts of a sound or a movie.

Owns the recognition of media types. It never looks at a name, never reads a whole file and writes nothing.
What a header does not say soundly is unknown; broken or truncated data is no error.
"""

import json
import struct
from typing import BinaryIO, NamedTuple

from comfyvn_store.base import pixels, sounds

HEAD_SIZE = 4096
UNKNOWN = "application/octet-stream"

_MOST_CHUNKS = 4096  # walked before giving up
_HIGHEST_RATE = (1 << 31) - 1
_LONGEST_DURATION = 1e9  # thirty years: more is a header that lies


class Media(NamedTuple):
    """A media type with what the header says; None is unknown. `duration` is in seconds."""

    mime: str
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    sample_rate: int | None = None
    duration: float | None = None

    def as_dict(self) -> dict[str, str | int | float]:
        """Gives the sidecar's `media` object. An unknown fact has no key; width and height come together."""
        facts: dict[str, str | int | float] = {"mime": self.mime}
        if self.width is not None and self.height is not None:
            facts["width"] = self.width
            facts["height"] = self.height
        if self.channels is not None:
            facts["channels"] = self.channels
        if self.sample_rate is not None:
            facts["sample_rate"] = self.sample_rate
        if self.duration is not None:
            facts["duration"] = self.duration
        return facts


def sniff(head: bytes) -> str:
    """Tells the media type from a file's first `HEAD_SIZE` bytes, or all bytes of a shorter file.

    An empty head and anything unrecognised is `application/octet-stream`. Never raises.
    """
    head = bytes(head[:HEAD_SIZE])
    for magic, mime in _MAGIC:
        if head.startswith(magic):
            return mime
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _sniff_riff(head)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") and head[0] < 9:  # a size: no text begins like that
        return _sniff_boxes(head)
    if head.startswith(b"OggS\0"):
        return _sniff_ogg(head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _sniff_ebml(head)
    if head.startswith(b"BM") and len(head) >= 26 and head[14:18] in _BMP_HEADERS:
        return "image/bmp"
    if head[:4] in _FONTS and 1 <= int.from_bytes(head[4:6], "big") <= 256:
        return _FONTS[head[:4]]
    if head.startswith((b"ID3\x02", b"ID3\x03", b"ID3\x04")) or _is_mpeg_audio(head):
        return "audio/mpeg"
    return _sniff_text(head)


def describe(stream: BinaryIO) -> Media:
    """Describes a seekable binary stream, which is left at an arbitrary position.

    Reads a bounded amount, seeking over what lies between. Broken or truncated data gives the media type with
    unknown facts. Raises only what the stream itself raises (OSError).
    """
    stream.seek(0)
    head = stream.read(HEAD_SIZE) or b""
    mime = sniff(head)
    if mime == "audio/wav":
        return _describe_wav(stream, head)
    start = 0
    if mime == "audio/mpeg" and head.startswith(b"ID3"):
        start = _behind_tags(stream, head)
        if pixels.read_at(stream, start, 4) == b"fLaC":
            mime = "audio/flac"
    try:
        size = pixels.measure(mime, stream, head)
        facts = _facts(mime, stream, head, start)
    except OSError:
        raise
    except Exception:  # no file may stop a commit, not for want of memory either
        return Media(mime)
    if facts is None:
        return Media(mime) if size is None else Media(mime, *size)
    width, height = size or (facts.width, facts.height)
    return Media(mime, width, height, facts.channels, facts.sample_rate, _duration(facts.duration))


# media types

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0\x08\0\0\0", "image/tiff"),  # BigTIFF: its size is not read
    (b"MM\0+\0\x08\0\0", "image/tiff"),
    (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
    (b"8BPS\0\x02", "image/vnd.adobe.photoshop"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"fLaC", "audio/flac"),
    (b"wOF2", "font/woff2"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"%PDF-", "application/pdf"),
)
_FONTS = {b"\0\x01\0\0": "font/ttf", b"true": "font/ttf", b"OTTO": "font/otf"}
_BMP_HEADERS = frozenset(struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"))
_AUDIO_BRANDS = frozenset((b"M4A ", b"M4B ", b"M4P "))
_MP4_BRANDS = frozenset((b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"M4VH", b"M4VP", b"f4v ", b"MSNV"))


def _sniff_riff(head: bytes) -> str:
    if head[8:12] == b"WAVE":
        return "audio/wav"
    return "image/webp" if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else UNKNOWN


def _sniff_boxes(head: bytes) -> str:
    """ISO base media: the brands of `ftyp` decide, the major one first. Early QuickTime has no `ftyp`."""
    if head[4:8] != b"ftyp":
        return "video/quicktime"
    end = min(int.from_bytes(head[:4], "big"), len(head))
    for brand in (head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))):
        if brand in (b"avif", b"avis"):
            return "image/avif"
        if brand in _HEIC_BRANDS:
            return "image/heic"
        if brand in _AUDIO_BRANDS:
            return "audio/mp4"
        if brand == b"qt  ":
            return "video/quicktime"
        if brand in _MP4_BRANDS or brand.startswith((b"iso", b"3gp")):
            return "video/mp4"
    return UNKNOWN


def _sniff_ogg(head: bytes) -> str:
    packet = head[27 + head[26] :] if len(head) > 26 else b""
    if packet.startswith(b"OpusHead"):
        return "audio/opus"
    return UNKNOWN if packet.startswith((b"\x80theora", b"BBCD\0")) else "audio/ogg"


def _sniff_ebml(head: bytes) -> str:
    at = head.find(b"\x42\x82")  # the DocType element, RFC 8794 section 11.2.4
    doctype = head[at + 3 : at + 3 + (head[at + 2] & 0x7F)] if 0 < at < len(head) - 2 else b""
    return {b"webm": "video/webm", b"matroska": "video/x-matroska"}.get(doctype.rstrip(b"\0"), UNKNOWN)


def _is_mpeg_audio(head: bytes) -> bool:
    """The sync alone is too weak: every field must be lawful. Layer I (`FF FE` opens UTF-16) is left out."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer in (1, 2) and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3


def _sniff_text(head: bytes) -> str:
    if not head or b"\0" in head:
        return UNKNOWN
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may end in the middle of a character, which has four bytes at most.
        if error.reason != "unexpected end of data" or error.start < len(head) - 3:
            return UNKNOWN
        text = head[: error.start].decode("utf-8")
    text = text.removeprefix("\ufeff").lstrip()
    if text.startswith("<"):
        return "image/svg+xml" if _is_svg(text) else "text/plain"
    if text.startswith(("{", "[")):
        return "application/json" if _is_json(text, len(head) >= HEAD_SIZE) else "text/plain"
    return "text/plain"


def _is_svg(text: str) -> bool:
    """Whether the first element is `svg`. Comments that fill the head leave that unknown."""
    for opening, closing in (("<?xml", "?>"), ("<!--", "-->"), ("<!DOCTYPE svg", ">"), ("<!--", "-->")):
        while text.startswith(opening):
            text = text.partition(closing)[2].lstrip()
    return text.startswith(("<svg ", "<svg>", "<svg\n", "<svg\r", "<svg\t", "<svg:svg "))


def _is_json(text: str, is_cut: bool) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return is_cut and text[1:].lstrip()[:1] in (('"',) if text[0] == "{" else ('"', "{", "["))
    return True


# sound and motion


def _facts(mime: str, stream: BinaryIO, head: bytes, start: int) -> sounds.Facts | None:
    """What there is to say besides a picture's size; None for formats that have nothing else."""
    if mime == "image/png":
        return sounds.of_png(stream, head)
    if mime == "image/gif":
        return sounds.of_gif(stream)
    if mime == "image/webp":
        return sounds.of_riff_picture(stream) if head[12:16] == b"VP8X" and head[20:21] >= b"\2" else None
    if mime == "image/avif":
        return sounds.of_boxes(stream) if b"avis" in head[8:64] else None
    if mime in ("video/mp4", "video/quicktime", "audio/mp4"):
        return sounds.of_boxes(stream)
    if mime in ("video/webm", "video/x-matroska"):
        return sounds.of_ebml(stream)
    if mime in ("audio/ogg", "audio/opus"):
        return sounds.of_ogg(stream)
    if mime == "audio/flac":
        return sounds.of_flac(stream, start)
    return sounds.of_mpeg(stream, start) if mime == "audio/mpeg" else None


def _duration(seconds: float | None) -> float | None:
    """A duration to the microsecond; None for one that is nothing by then, or longer than anything."""
    return round(seconds, 6) or None if seconds is not None and 0 < seconds <= _LONGEST_DURATION else None


def _behind_tags(stream: BinaryIO, head: bytes) -> int:
    """Where the sound begins behind ID3 tags: their sizes have seven bits a byte."""
    at = 0
    for _ in range(8):
        if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) >= 0x80:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + size + (10 if head[5] & 0x10 else 0)
        head = pixels.read_at(stream, at, 10)
    return at


def _describe_wav(stream: BinaryIO, head: bytes) -> Media:
    """Channels and rate from `fmt `; the duration only where the header and the file's length agree."""
    end = stream.seek(0, 2)
    fmt = fact = b""
    long_size = data_size = 0
    at = 12
    for _ in range(_MOST_CHUNKS):
        kind, size = _chunk(pixels.read_at(stream, at, 8))
        if kind == b"fmt ":
            fmt = pixels.read_at(stream, at + 8, min(size, 40))
        elif kind == b"fact":
            fact = pixels.read_at(stream, at + 8, min(size, 4))
        elif kind == b"ds64" and not head.startswith(b"RIFF"):
            long_size = int.from_bytes(pixels.read_at(stream, at + 16, 8), "little")
        elif kind == b"data" or not kind:
            data_size = long_size if size == 0xFFFFFFFF else size
            break
        at += 8 + size + (size & 1)
    if len(fmt) < 16:
        return Media("audio/wav")
    codec, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", fmt)
    if not channels or not 0 < rate <= _HIGHEST_RATE:
        return Media("audio/wav")
    if codec == 0xFFFE and len(fmt) >= 26:  # WAVE_FORMAT_EXTENSIBLE: the codec opens the sub-format
        codec = int.from_bytes(fmt[24:26], "little")
    frames = 0
    if 0 < data_size <= end - at - 8:
        if codec in (1, 3) and block and block * 8 == channels * ((bits + 7) & ~7):
            frames = data_size // block
        elif codec not in (1, 3) and len(fact) == 4:
            frames = int.from_bytes(fact, "little") % 0xFFFFFFFF  # all ones: not known when it was written
    return Media("audio/wav", None, None, channels, rate, _duration(frames / rate))


def _chunk(header: bytes) -> tuple[bytes, int]:
    return (header[:4], int.from_bytes(header[4:], "little")) if len(header) == 8 else (b"", 0)
