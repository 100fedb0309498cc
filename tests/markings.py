"""Pictures and sounds of every format that carries a marker, as programs write them and as they may lie about."""

import functools
import io
import struct
from collections.abc import Callable

from PIL import Image

from comfyvn_store.base.containers import id3, ogg, vorbis
from tests import media
from tests.sounds import converted, sound

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '  <rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
    "   <dc:creator><rdf:Seq><rdf:li>Zoë &amp; Ann</rdf:li></rdf:Seq></dc:creator>\n  </rdf:Description>\n"
    " </rdf:RDF>\n</x:xmpmeta>\n" + " " * 500 + '\n<?xpacket end="w"?>'
).encode()
EXIF = b"Exif\0\0II*\0\x08\0\0\0\1\0\x0e\x01\2\0\5\0\0\0\x1a\0\0\0\0\0\0\0Door\0\0"


@functools.cache
def drawn(form: str, mode: str = "RGB", **options: object) -> bytes:
    """A small noisy picture, saved by Pillow."""
    noise = Image.frombytes("RGB", (61, 43), bytes((each * each * 31 >> 4) & 255 for each in range(61 * 43 * 3)))
    picture = noise.convert(mode)
    if mode == "RGBA":
        picture.putalpha(noise.convert("L"))
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def segment(kind: int, data: bytes) -> bytes:
    """A JPEG segment."""
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data


def jpeg_with(*segments: bytes) -> bytes:
    """A JPEG with segments behind its JFIF header."""
    data = drawn("JPEG")
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + b"".join(segments) + data[at:]


def xmp_segment(packet: bytes) -> bytes:
    """The APP1 segment of a packet."""
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def animated(form: str, **options: object) -> bytes:
    """Three frames."""
    frames = [Image.new("RGB", (40, 30), (each * 80, 30, 200 - each * 60)) for each in range(3)]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=80, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A RIFF chunk."""
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def wav_with(*before: bytes, after: bytes = b"", data: bytes = bytes(range(200))) -> bytes:
    """A WAV with chunks before and behind its samples."""
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
    body = b"WAVE" + form + b"".join(before) + chunk(b"data", data) + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def rf64(after: bytes = b"") -> bytes:
    """A WAV with 64-bit sizes."""
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
    rest = form + b"data\xff\xff\xff\xff" + bytes(range(200)) + after
    size = 4 + 36 + len(rest)
    return b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", struct.pack("<QQQI", size, 200, 200, 0)) + rest


def tag(version: int, *frames: bytes, flags: int = 0, padding: int = 0) -> bytes:
    """An ID3 tag."""
    body = b"".join(frames) + bytes(padding)
    return b"ID3" + bytes([version, 0, flags]) + id3.synchsafe(len(body)) + body


def frame(kind: bytes, data: bytes, version: int = 3) -> bytes:
    """A frame of such a tag."""
    if version == 2:
        return kind + struct.pack(">I", len(data))[1:] + data
    return kind + (id3.synchsafe(len(data)) if version == 4 else struct.pack(">I", len(data))) + b"\0\0" + data


ID3_1 = b"TAG" + b"Door".ljust(30, b"\0") + bytes(95)


def ape() -> bytes:
    """An APE tag, version 2, with header and footer."""
    item = struct.pack("<II", 4, 0) + b"Title\0Door"
    sizes = struct.pack("<III", 2000, len(item) + 32, 1)
    return b"APETAGEX" + sizes + b"\0\0\0\xa0" + bytes(8) + item + b"APETAGEX" + sizes + b"\0\0\0\x80" + bytes(8)


def mp3(*options: str) -> bytes:
    """An MP3 without any tag."""
    return sound("mp3", "-id3v2_version", "0", "-write_id3v1", "0", *options)


def reserial(data: bytes, serial: int) -> bytes:
    """An Ogg with another serial number in all of its pages."""
    found = ogg.pages(io.BytesIO(data))
    return b"".join(ogg.build(each.flags, each.granule, serial, each.number, each.lacing, each.data) for each in found)


def with_comment(data: bytes, text: str, per_page: int = 255) -> bytes:
    """An Ogg with a long comment, its header packets behind the first laid out anew, so many entries on a page."""
    pages = list(ogg.pages(io.BytesIO(data)))
    count = 2 if b"OpusHead" in pages[0].data else 3
    packets = [each.data or b"" for each in ogg.packets(pages)][1:count]
    last = next(each.last_page for index, each in enumerate(ogg.packets(pages)) if index == count - 1)
    listed = vorbis.parse(packets[0], vorbis.head_of(packets[0]) or 0)
    assert listed is not None
    number = (len(listed.entries) + 1).to_bytes(4, "little")
    packet = packets[0]
    packet = packet[: listed.count_at] + number + packet[listed.count_at + 4 : listed.end]
    packet += vorbis.entry("workflow", text) + packets[0][listed.end :]
    lacing = b"".join(b"\xff" * (len(each) // 255) + bytes([len(each) % 255]) for each in (packet, *packets[1:]))
    body = packet + b"".join(packets[1:])
    made, at, taken = [_page(pages[0])], 0, 0
    while at < len(lacing):
        part = lacing[at : at + per_page]
        flags = 1 if at and lacing[at - 1] == 255 else 0
        granule = 0 if min(part) < 255 else ogg.NO_GRANULE
        made.append(ogg.build(flags, granule, pages[0].serial, len(made), part, body[taken : taken + sum(part)]))
        at, taken = at + len(part), taken + sum(part)
    for page in pages[last + 1 :]:
        made.append(ogg.build(page.flags, page.granule, page.serial, len(made), page.lacing, page.data))
    return b"".join(made)


def grouped(one: bytes, two: bytes) -> bytes:
    """Two Ogg streams side by side: first pages first, then the others by turns."""
    first = [_page(each) for each in ogg.pages(io.BytesIO(one))]
    second = [_page(each) for each in ogg.pages(io.BytesIO(reserial(two, 77)))]
    mixed = [first[0], second[0]]
    for index in range(1, max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return b"".join(mixed)


def _page(page: ogg.Page) -> bytes:
    return ogg.build(page.flags, page.granule, page.serial, page.number, page.lacing, page.data)


def flac_without_comments(*, only_info: bool = False) -> bytes:
    """A FLAC whose blocks are STREAMINFO and, unless `only_info`, padding."""
    data = sound("flac")
    kept, at = [], 4
    while True:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        block = data[at : at + 4 + size]
        at += 4 + size
        if kind & 0x7F == 0 or (kind & 0x7F == 1 and not only_info):
            kept.append(block)
        if kind & 0x80:
            break
    blocks = [bytes([block[0] & 0x7F]) + block[1:] for block in kept]
    blocks[-1] = bytes([blocks[-1][0] | 0x80]) + blocks[-1][1:]
    return b"fLaC" + b"".join(blocks) + data[at:]


# Files that get a marker and give back each of their bytes.
PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: drawn("JPEG"),
    "jpeg progressive": lambda: drawn("JPEG", progressive=True, quality=95),
    "jpeg grey": lambda: drawn("JPEG", "L"),
    "jpeg cmyk": lambda: drawn("JPEG", "CMYK"),
    "jpeg exif": lambda: jpeg_with(segment(0xE1, EXIF)),
    "jpeg xmp": lambda: jpeg_with(xmp_segment(XMP)),
    "jpeg exif xmp icc comment": lambda: jpeg_with(
        segment(0xE1, EXIF), xmp_segment(XMP), segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(128)), segment(0xFE, b"by me")
    ),
    "jpeg extended xmp": lambda: jpeg_with(
        xmp_segment(XMP),
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", 1, 0) + b"x"),
    ),
    "jpeg several app1": lambda: jpeg_with(
        segment(0xE1, EXIF), segment(0xE1, b"something of a camera\0"), xmp_segment(XMP), xmp_segment(XMP)
    ),
    "jpeg fill bytes": lambda: jpeg_with(b"\xff\xff\xff", segment(0xE1, EXIF), b"\xff\xff"),
    "webp lossy": lambda: drawn("WEBP", quality=60),
    "webp lossless": lambda: drawn("WEBP", lossless=True),
    "webp alpha": lambda: drawn("WEBP", "RGBA", quality=60),
    "webp lossless alpha": lambda: drawn("WEBP", "RGBA", lossless=True),
    "webp exif": lambda: drawn("WEBP", exif=EXIF),
    "webp xmp": lambda: drawn("WEBP", xmp=XMP),
    "webp odd xmp": lambda: drawn("WEBP", xmp=XMP + b"\n"),
    "webp exif xmp": lambda: drawn("WEBP", "RGBA", exif=EXIF, xmp=XMP),
    "webp animated": lambda: animated("WEBP"),
    "webp animated xmp": lambda: animated("WEBP", xmp=XMP, exif=EXIF),
    "png": lambda: drawn("PNG"),
    "png trailer": lambda: drawn("PNG") + b"trailer",
}
SOUNDS: dict[str, Callable[[], bytes]] = {
    "mp3 bare": mp3,
    "mp3 id3v2.3": lambda: sound("mp3", "-id3v2_version", "3", title="Tür"),
    "mp3 id3v2.4": lambda: sound("mp3", "-id3v2_version", "4", title="Tür", prompt='{"1": 2}'),
    "mp3 id3v2.2": lambda: tag(2, frame(b"TT2", b"\0Door", 2), padding=100) + mp3(),
    "mp3 unsynchronised": lambda: (
        tag(3, frame(b"TIT2", b"\1\xff\xfeA\0").replace(b"\xff", b"\xff\0"), flags=0x80) + mp3()
    ),
    "mp3 padding": lambda: tag(3, frame(b"TIT2", b"\0Door"), padding=2048) + mp3(),
    "mp3 id3v1": lambda: mp3() + ID3_1,
    "mp3 ape": lambda: mp3() + ape(),
    "mp3 ape id3v1": lambda: sound("mp3", title="Tür") + ape() + ID3_1,
    "mp3 lyrics": lambda: mp3() + b"LYRICSBEGININD0000210" + b"000021LYRICS200" + ID3_1,
    "mp3 stereo": lambda: sound("mp3", "-b:a", "192k", channels=2, seconds=2.0),
    "mp3 low": lambda: mp3("-ar", "16000"),
    "mp3 vbr": lambda: mp3("-q:a", "4"),
    "wav": lambda: sound("wav"),
    "wav by hand": lambda: media.wav(),
    "wav tagged": lambda: sound("wav", "-write_id3v2", "1", title="Tür"),
    "wav odd chunks": lambda: wav_with(chunk(b"odd ", b"abc"), after=chunk(b"LIST", b"INFOINAM\5\0\0\0Door\0\0")),
    "wav odd data": lambda: wav_with(data=b"abc"),
    "wav id3 before": lambda: wav_with(chunk(b"id3 ", tag(4, frame(b"TIT2", b"\3Door", 4)) + b"x")),
    "wav 24 bits": lambda: sound("wav", "-c:a", "pcm_s24le"),
    "wav float": lambda: sound("wav", "-c:a", "pcm_f32le", channels=2),
    "rf64": rf64,
    "rf64 by ffmpeg": lambda: sound("wav", "-rf64", "always"),
    "ogg": lambda: sound("ogg", title="Tür"),
    "ogg long": lambda: sound("ogg", seconds=6.0, channels=2),
    "ogg large comments": lambda: with_comment(sound("ogg"), "w" * 200_000),
    "ogg chained": lambda: sound("ogg") + reserial(sound("ogg", frequency=600), 5),
    "ogg two streams": lambda: grouped(sound("ogg", title="one"), sound("ogg", frequency=700, title="two")),
    "ogg vorbis and opus": lambda: grouped(sound("ogg", title="one"), sound("opus")),
    "opus": lambda: sound("opus", title="Tür"),
    "opus stereo": lambda: sound("opus", channels=2, seconds=3.0),
    "opus large comments": lambda: with_comment(sound("opus"), "w" * 150_000),
    "ogg flac": lambda: sound("oga", title="Tür"),
    "flac": lambda: sound("flac", title="Tür"),
    "flac stereo": lambda: sound("flac", channels=2, seconds=2.0),
    "flac without comments": flac_without_comments,
    "flac with streaminfo alone": lambda: flac_without_comments(only_info=True),
}
EVERYTHING = {**PICTURES, **SOUNDS}

__all__ = ["EVERYTHING", "PICTURES", "SOUNDS", "converted"]
