"""Media types and sizes are read from bytes alone, and nothing in the bytes can make the reading fail."""

import io
import json
import struct
from collections.abc import Callable
from typing import BinaryIO, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyvn_store.base.media import HEAD_SIZE, Media, describe, sniff
from tests import media
from tests.samples import SAMPLES, needs_samples

Make = Callable[[int, int], bytes]


def riff(kind: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    body = kind + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int, *, sof: int = 0xC0, before: bytes = b"") -> bytes:
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    frame = bytes([0xFF, sof]) + struct.pack(">HBHHB", 8, 8, height, width, 0)
    return b"\xff\xd8" + app0 + before + frame + b"\xff\xda\0\2" + bytes(50)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b";"


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, *[0] * 8)


def bmp_core(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 26, 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, 24)


def tiff(width: int, height: int, order: str = "<", *, start: int = 8, kind: int = 4) -> bytes:
    entries = [(256, kind, width), (257, kind, height), (258, 3, 8)]
    packed = b"".join(
        struct.pack(order + "HHI", tag, type_, 1)
        + struct.pack(order + ("H" if type_ == 3 else "I"), value).ljust(4, b"\0")
        for tag, type_, value in entries
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return head.ljust(start, b"\0") + struct.pack(order + "H", len(entries)) + packed + bytes(4)


def psd(width: int, height: int) -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, height, width, 8, 3)


def webp_lossy(width: int, height: int) -> bytes:
    return riff(b"WEBP", (b"VP8 ", b"\x30\1\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(8)))


def webp_lossless(width: int, height: int) -> bytes:
    return riff(b"WEBP", (b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(8)))


def webp_extended(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(b"WEBP", (b"VP8X", bytes(4) + canvas), (b"EXIF", bytes(4)))


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def heif(brand: bytes, sizes: list[tuple[int, int]], primary: list[int] | None) -> bytes:
    """A file with an `ispe` for each size; `primary` numbers the properties (from 1) of the primary item."""
    ispe = [box(b"ispe", bytes(4), struct.pack(">II", *size)) for size in sizes]
    properties = [box(b"ipco", *ispe)]
    if primary is not None:
        other = struct.pack(">HBB", 1, 1, 0x81)
        own = struct.pack(">HB", 2, len(primary)) + bytes(0x80 | index for index in primary)
        properties.append(box(b"ipma", bytes(4), struct.pack(">I", 2), other, own))
    meta = box(b"meta", bytes(4), box(b"pitm", bytes(4), struct.pack(">H", 2)), box(b"iprp", *properties))
    return box(b"ftyp", brand, bytes(4), b"mif1" + brand) + box(b"free", bytes(9000)) + meta + box(b"mdat")


def avif(width: int, height: int) -> bytes:
    return heif(b"avif", [(width, height)], [1])


def heic(width: int, height: int) -> bytes:
    return heif(b"heic", [(512, 512), (width, height)], [2])


SIZED: dict[str, list[Make]] = {
    "image/png": [media.png],
    "image/jpeg": [jpeg],
    "image/gif": [gif],
    "image/bmp": [bmp, bmp_core],
    "image/tiff": [tiff],
    "image/vnd.adobe.photoshop": [psd],
    "image/webp": [webp_lossy, webp_lossless, webp_extended],
    "image/avif": [avif],
    "image/heic": [heic],
}
MAKERS = [(mime, make) for mime, makers in SIZED.items() for make in makers]


def ogg(packet: bytes) -> bytes:
    return b"OggS\0\2" + bytes(20) + bytes([1, len(packet)]) + packet


def ebml(doctype: bytes) -> bytes:
    body = b"\x42\x86\x81\x01\x42\x82" + bytes([0x80 | len(doctype)]) + doctype
    return b"\x1aE\xdf\xa3" + bytes([0x80 | len(body)]) + body


SNIFFED = [
    (media.wav(), "audio/wav"),
    (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
    (b"fLaC\0\0\0\x22", "audio/flac"),
    (b"ID3\x04\0\0\0\0\0\x00", "audio/mpeg"),
    (b"\xff\xfb\x90\x64" + bytes(60), "audio/mpeg"),
    (ogg(b"\x01vorbis"), "audio/ogg"),
    (ogg(b"OpusHead\x01"), "audio/opus"),
    (ogg(b"\x80theora"), "application/octet-stream"),
    (box(b"ftyp", b"M4A ", bytes(4), b"isom"), "audio/mp4"),
    (box(b"ftyp", b"isom", bytes(4), b"isomavc1"), "video/mp4"),
    (box(b"ftyp", b"zzzz", bytes(4), b"yyyymp42"), "video/mp4"),
    (box(b"ftyp", b"zzzz", bytes(4), b"yyyy"), "application/octet-stream"),
    (box(b"ftyp", b"mif1", bytes(4), b"mif1heic"), "image/heic"),
    (box(b"ftyp", b"qt  ", bytes(4)), "video/quicktime"),
    (box(b"moov", bytes(40)), "video/quicktime"),
    (ebml(b"webm"), "video/webm"),
    (ebml(b"matroska"), "video/x-matroska"),
    (b"\xff\x0a\x7a\x1f", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"PK\x03\x04", "application/zip"),
    (b"%PDF-1.7\n", "application/pdf"),
    (b"\0\1\0\0\0\x0c\0\x80", "font/ttf"),
    (b"OTTO\0\x0b\0\x80", "font/otf"),
    (b"wOF2\0\1\0\0", "font/woff2"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- by hand --><svg\nwidth='1'/>", "image/svg+xml"),
    (b"<html><svg></svg></html>", "text/plain"),
    (b"<svgx/>", "text/plain"),
    (b'{"a": [1, 2]}', "application/json"),
    (b' [{"a": NaN}]\n', "application/json"),
    (b'{"a": "' + b"x" * HEAD_SIZE, "application/json"),
    (b"{not json}", "text/plain"),
    (b"[section]\nkey = value\n", "text/plain"),
    (b"[" * HEAD_SIZE, "application/json"),
    (b"label start:\n    show alice\n", "text/plain"),
    ("Grüße".encode(), "text/plain"),
    ("ab€".encode()[:-1], "text/plain"),
    (b"The wide world, and OTTO", "text/plain"),
    (b"BM is no picture, whatever it begins with", "text/plain"),
    (b"ID3 is a format of tags", "text/plain"),
    (b"\xff\xfet\0e\0x\0t\0", "application/octet-stream"),
    (b"text\0text", "application/octet-stream"),
    (b"caf\xe9 latin", "application/octet-stream"),
    (b"RIFF\0\0\0\0AVI LIST", "application/octet-stream"),
    (b"", "application/octet-stream"),
]


@pytest.mark.parametrize(("head", "mime"), SNIFFED, ids=lambda value: repr(value)[:40])
def test_the_first_bytes_tell_the_media_type(head: bytes, mime: str) -> None:
    assert sniff(head) == mime


@pytest.mark.parametrize(("mime", "make"), MAKERS, ids=lambda value: getattr(value, "__name__", value))
def test_a_picture_is_described_with_its_size(mime: str, make: Make) -> None:
    data = make(832, 1216)
    assert sniff(data[:HEAD_SIZE]) == mime
    assert describe(io.BytesIO(data)).as_dict() == {"mime": mime, "width": 832, "height": 1216}


@pytest.mark.parametrize(("mime", "make"), MAKERS, ids=lambda value: getattr(value, "__name__", value))
def test_a_truncated_picture_is_described_without_raising(mime: str, make: Make) -> None:
    data = make(300, 200)
    for length in range(min(len(data), 200)):
        found = describe(io.BytesIO(data[:length]))
        assert (found.width, found.height) in ((None, None), (300, 200))


def test_a_png_cut_after_its_header_keeps_its_size() -> None:
    assert describe(io.BytesIO(media.png(832, 1216)[:33])) == Media("image/png", 832, 1216)
    assert describe(io.BytesIO(media.png(832, 1216)[:23])) == Media("image/png")


@pytest.mark.parametrize("data", [gif(0, 5), jpeg(5, 0), psd(0, 0), bmp(-3, 4), tiff(1 << 31, 1)])
def test_a_size_that_cannot_be_is_unknown(data: bytes) -> None:
    assert describe(io.BytesIO(data)).as_dict().keys() == {"mime"}


def test_a_bitmap_with_rows_from_the_top_has_a_positive_height() -> None:
    assert describe(io.BytesIO(bmp(40, -30))) == Media("image/bmp", 40, 30)


@pytest.mark.parametrize("sof", [0xC0, 0xC1, 0xC2, 0xC3, 0xC9])
def test_a_jpeg_is_measured_behind_large_segments_and_fill_bytes(sof: int) -> None:
    exif = b"\xff\xe1" + struct.pack(">H", 65535) + bytes(65533)
    tables = b"\xff\xc4\0\x05\xff\xc0\x01"
    data = jpeg(640, 480, sof=sof, before=exif * 3 + b"\xff\xff" + tables)
    assert describe(io.BytesIO(data)) == Media("image/jpeg", 640, 480)


def test_a_jpeg_without_a_frame_header_has_no_size() -> None:
    assert describe(io.BytesIO(b"\xff\xd8\xff\xda\0\2" + jpeg(3, 4)[2:])) == Media("image/jpeg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_a_tiff_is_measured_in_both_byte_orders_and_far_into_the_file(order: str, kind: int) -> None:
    assert describe(io.BytesIO(tiff(640, 480, order, start=1 << 20, kind=kind))) == Media("image/tiff", 640, 480)


def test_a_heif_without_associations_is_measured_only_if_its_sizes_agree() -> None:
    assert describe(io.BytesIO(heif(b"avif", [(9, 8), (9, 8)], None))) == Media("image/avif", 9, 8)
    assert describe(io.BytesIO(heif(b"avif", [(9, 8), (4, 4)], None))) == Media("image/avif")


def pcm(
    data_size: int, *, codec: int = 1, channels: int = 2, rate: int = 48000, bits: int = 16, **more: bytes
) -> bytes:
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", codec, channels, rate, rate * block, block, bits)
    extra = [(name.encode().ljust(4), data) for name, data in more.items()]
    return riff(b"WAVE", (b"fmt ", fmt), (b"LIST", b"odd"), *extra, (b"data", bytes(data_size)))


def test_a_wav_is_described_with_channels_rate_and_duration() -> None:
    assert describe(io.BytesIO(pcm(48000 * 4 + 4))).as_dict() == {
        "mime": "audio/wav",
        "channels": 2,
        "sample_rate": 48000,
        "duration": 1.000021,
    }
    assert describe(io.BytesIO(media.wav(0.5, 8000))) == Media("audio/wav", None, None, 1, 8000, 0.5)


def test_a_compressed_wav_takes_its_duration_from_the_fact_chunk() -> None:
    fact = struct.pack("<I", 24000)
    assert describe(io.BytesIO(pcm(100, codec=17, bits=4, fact=fact))).duration == 0.5
    assert describe(io.BytesIO(pcm(100, codec=17, bits=4))).duration is None


def test_a_long_wav_takes_its_length_from_the_ds64_chunk() -> None:
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 0, 96000, 0, 0)
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 48000, 96000, 2, 16)
    data = b"RF64\xff\xff\xff\xffWAVE" + ds64 + fmt + b"data\xff\xff\xff\xff" + bytes(96000)
    assert describe(io.BytesIO(data)) == Media("audio/wav", None, None, 1, 48000, 1.0)


@pytest.mark.parametrize(
    "data",
    [
        pcm(48000)[:-1],
        pcm(0),
        pcm(48000).replace(b"data" + struct.pack("<I", 48000), b"data\xff\xff\xff\xff"),
        pcm(48000).replace(struct.pack("<HH", 4, 16), struct.pack("<HH", 3, 16)),
    ],
    ids=["truncated", "empty", "streamed", "contradicting"],
)
def test_an_unsound_wav_header_gives_no_duration(data: bytes) -> None:
    assert describe(io.BytesIO(data)) == Media("audio/wav", None, None, 2, 48000)


@pytest.mark.parametrize("data", [pcm(8, channels=0), pcm(8, rate=0), pcm(8)[:20], riff(b"WAVE")])
def test_a_wav_without_a_sound_format_is_only_a_wav(data: bytes) -> None:
    assert describe(io.BytesIO(data)).as_dict() == {"mime": "audio/wav"}


class Meter(io.BytesIO):
    """Counts what is read, and allows no reading to the end."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and 0 <= size <= 1 << 20
        self.total += size
        return super().read(size)

    def readall(self) -> NoReturn:
        raise AssertionError("reads all")


@pytest.mark.parametrize(
    "data",
    [
        jpeg(6, 4, before=b"\xff\xfe\0\2" * 500_000),
        jpeg(6, 4, before=b"\xff" * 2_000_000),
        riff(b"WAVE", *[(b"junk", b"")] * 200_000),
        box(b"ftyp", b"avif", bytes(4)) + box(b"free") * 200_000,
        box(b"ftyp", b"avif", bytes(4)) + box(b"meta", bytes(4), box(b"iprp", box(b"ipco", bytes(4_000_000)))),
        tiff(6, 4)[:8] + b"\xff\xff" + bytes(4_000_000),
        media.png(2000, 600, noise=True),
    ],
    ids=["jpeg segments", "jpeg fill", "wav chunks", "boxes", "properties", "tiff entries", "png"],
)
def test_a_large_or_hostile_file_is_described_from_a_bounded_part(data: bytes) -> None:
    stream = Meter(data)
    describe(stream)
    assert stream.total < 1 << 20


def test_a_description_starts_at_the_beginning_of_the_stream() -> None:
    stream: BinaryIO = io.BytesIO(gif(6, 4))
    stream.seek(5)
    assert describe(stream) == Media("image/gif", 6, 4)


MAGICS = [data[:40] for data, _ in SNIFFED] + [make(6, 4)[:40] for _, make in MAKERS]


@given(st.binary(max_size=300))
def test_any_bytes_are_described(data: bytes) -> None:
    found = describe(io.BytesIO(data))
    assert found.mime == sniff(data)
    json.dumps(found.as_dict(), allow_nan=False)


@given(st.sampled_from(MAGICS), st.binary(max_size=300))
def test_a_good_beginning_with_any_bytes_behind_it_is_described(head: bytes, tail: bytes) -> None:
    found = describe(io.BytesIO(head + tail))
    assert all(side is None or side > 0 for side in (found.width, found.height))
    json.dumps(found.as_dict(), allow_nan=False)


WHOLE = [make(6, 4) for _, make in MAKERS] + [pcm(64), pcm(64, codec=17, fact=bytes(4)), avif(7, 7)]


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6))
def test_a_damaged_file_is_described(data: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for at, value in damage:
        damaged[at % len(damaged)] = value
    json.dumps(describe(io.BytesIO(bytes(damaged))).as_dict(), allow_nan=False)


@needs_samples
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("comfyui/controlnet_example.png", {"mime": "image/png", "width": 2853, "height": 1246}),
        ("comfyui/flux_kontext_example_comic.webp", {"mime": "image/webp", "width": 2048, "height": 3072}),
        ("comfyui/LICENSE.txt", {"mime": "text/plain"}),
        ("vn_game/gui/textbox.png", {"mime": "image/png", "width": 1280, "height": 185}),
        (
            "vn_game/illurock.opus",
            {"mime": "audio/opus", "channels": 1, "sample_rate": 48000, "duration": 28.016333},
        ),
    ],
)
def test_real_files_are_described(name: str, facts: dict[str, object]) -> None:
    with open(SAMPLES / name, "rb") as stream:
        assert describe(stream).as_dict() == facts
