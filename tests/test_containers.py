"""The layouts of media formats: what stands where in files that programs wrote, and that nothing makes the walks raise."""

import io
import itertools
import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from comfyvn_store.base.containers import flac, id3, jpeg, ogg, reading, riff, vorbis
from tests import media
from tests.samples import SAMPLES, needs_samples
from tests.sounds import needs_ffmpeg, sound


def picture(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((60, 40), 90).convert("RGB").save(out, form, **options)
    return out.getvalue()


def stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


# -- RIFF --------------------------------------------------------------------------------------------------------------


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def test_the_chunks_of_a_webp() -> None:
    data = picture("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", xmp=b"<x/>")
    found = {chunk.kind: chunk for chunk in riff.chunks(stream(data))}
    assert list(found) == [b"VP8X", b"VP8 ", b"EXIF", b"XMP "]
    xmp = found[b"XMP "]
    assert data[xmp.data_at : xmp.data_at + xmp.size] == b"<x/>" and xmp.end == len(data)
    assert riff.read(stream(data)) == (b"RIFF", b"WEBP", len(data))


def test_chunks_of_odd_lengths_and_the_texts_of_info() -> None:
    info = b"INFO" + riff_chunk(b"INAM", b"Door\0") + riff_chunk(b"IART", "Zoë".encode())
    body = b"WAVE" + riff_chunk(b"odd ", b"abc") + riff_chunk(b"LIST", info) + riff_chunk(b"data", b"\1\2")
    data = riff_chunk(b"RIFF", body)
    chunks = list(riff.chunks(stream(data)))
    assert [(chunk.kind, chunk.size) for chunk in chunks] == [(b"odd ", 3), (b"LIST", len(info)), (b"data", 2)]
    assert riff.info(stream(data), chunks[1]) == {"INAM": "Door", "IART": "Zoë"}


def test_the_long_sizes_of_rf64() -> None:
    ds64 = struct.pack("<QQQI", 0, 6, 3, 1) + b"many" + struct.pack("<Q", 4)
    body = riff_chunk(b"ds64", ds64) + b"many\xff\xff\xff\xff1234" + b"data\xff\xff\xff\xffabcdef"
    data = bytearray(b"RF64\xff\xff\xff\xffWAVE" + body)
    data[20:28] = struct.pack("<Q", len(data) - 8)
    assert [(each.kind, each.size) for each in riff.chunks(stream(data))] == [(b"ds64", 40), (b"many", 4), (b"data", 6)]
    assert riff.read(stream(data)) == (b"RF64", b"WAVE", len(data))


def test_a_size_that_was_not_known_is_none() -> None:
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        found = riff.read(stream(b"RIFF" + size + b"WAVE"))
        assert found is not None and found.end is None


# -- JPEG --------------------------------------------------------------------------------------------------------------


def app(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data


def with_segments(*parts: bytes) -> bytes:
    """A JPEG with segments behind SOI."""
    data = picture("JPEG")
    return data[:2] + b"".join(parts) + data[2:]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}], ids=str)
def test_the_end_of_a_jpeg(options: dict[str, object]) -> None:
    data = picture("JPEG", **options)
    assert jpeg.end_of_picture(stream(data)) == len(data)
    assert jpeg.end_of_picture(stream(data + b"\xff\xd9 and more")) == len(data)
    assert jpeg.end_of_picture(stream(data[:-1])) is None


def test_a_marker_on_the_edge_of_what_is_read_at_once() -> None:
    head = b"\xff\xd8" + app(0xDA, b"")
    for length in range(reading.BLOCK - 3, reading.BLOCK + 3):
        data = head + b"\x11" * length + b"\xff\xd9"
        assert jpeg.end_of_picture(stream(data)) == len(data)


def test_exif_xmp_and_comments_of_a_jpeg() -> None:
    tiff = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
    data = with_segments(
        app(0xE1, b"Exif\0\0" + tiff), app(0xE1, jpeg.XMP + b"<x:xmpmeta/>"), app(0xFE, "Zoë".encode())
    )
    assert jpeg.exif(stream(data)) == tiff
    assert jpeg.xmp(stream(data)) == b"<x:xmpmeta/>"
    assert jpeg.texts(stream(data)) == {"comment": "Zoë"}


def test_exif_that_is_longer_than_a_segment() -> None:
    tiff = b"II*\0" + bytes(range(256)) * 300
    parts = [app(0xE1, b"Exif\0\0" + tiff[at : at + 60000]) for at in range(0, len(tiff), 60000)]
    assert jpeg.exif(stream(with_segments(*parts))) == tiff


def test_extended_xmp_is_put_together_in_any_order() -> None:
    text = bytes(range(65, 91)) * 4000
    guid = b"0123456789ABCDEF0123456789ABCDEF"

    def part(at: int) -> bytes:
        said = guid + struct.pack(">II", len(text), at)
        return app(0xE1, jpeg.EXTENDED_XMP + said + text[at : at + 60000])

    other = app(0xE1, jpeg.EXTENDED_XMP + b"F" * 32 + struct.pack(">II", 1, 0) + b"x")
    assert jpeg.extended_xmp(stream(with_segments(part(60000), other, part(0))), guid) == text
    assert jpeg.extended_xmp(stream(with_segments(part(60000))), guid) is None, "a part is missing"


def test_boxes_in_app11_are_put_together() -> None:
    box = struct.pack(">I", 70008) + b"jumb" + b"....c2pa" + bytes(range(200)) * 350
    first, second = box[:60000], box[60000:]
    segments = [
        app(0xEB, b"JP\0\1" + struct.pack(">I", 1) + first),
        app(0xEB, b"JP\0\1" + struct.pack(">I", 2) + box[:8] + second),
    ]
    for order in itertools.permutations(segments):
        assert jpeg.jumbf(stream(with_segments(*order))) == [box]
    assert jpeg.has_c2pa(stream(with_segments(*segments))) and not jpeg.has_c2pa(stream(picture("JPEG")))


# -- ID3 ---------------------------------------------------------------------------------------------------------------


def frame(kind: bytes, data: bytes, version: int = 3, flags: int = 0) -> bytes:
    if version == 2:
        return kind + struct.pack(">I", len(data))[1:] + data
    size = id3.synchsafe(len(data)) if version == 4 else struct.pack(">I", len(data))
    return kind + size + b"\0" + bytes([flags]) + data


def tag(version: int, *frames: bytes, flags: int = 0, padding: int = 0) -> bytes:
    body = b"".join(frames) + bytes(padding)
    return b"ID3" + bytes([version, 0, flags]) + id3.synchsafe(len(body)) + body


LONG = "x" * 200  # a size that a synchsafe number writes in another way


@pytest.mark.parametrize("version", [2, 3, 4])
def test_texts_of_all_kinds_in_all_versions(version: int) -> None:
    short = version == 2
    data = tag(
        version,
        frame(b"TT2" if short else b"TIT2", b"\0Door", version),
        frame(b"TXX" if short else b"TXXX", b"\3prompt\0" + LONG.encode(), version),
        frame(
            b"COM" if short else b"COMM",
            b"\1eng" + "mood".encode("utf-16") + b"\0\0" + "böse".encode("utf-16"),
            version,
        ),
        frame(b"ULT" if short else b"USLT", b"\2xxx\0\0" + "la la".encode("utf-16-be"), version),
        padding=50,
    )
    assert id3.texts(stream(data)) == {"TIT2": "Door", "prompt": LONG, "COMM:mood": "böse", "USLT": "la la"}


def test_private_frames_and_several_values() -> None:
    data = tag(4, frame(b"PRIV", b"who\0{}", 4), frame(b"TPE1", b"\3a\0b\0", 4), frame(b"PRIV", b"raw\0\xff\xfe", 4))
    assert id3.texts(stream(data)) == {"PRIV:who": "{}", "TPE1": "a\nb"}


def test_unsynchronisation() -> None:
    plain = b"\1\xff\xfeA\0\xff\0"  # FF 00 was FF 00 00 on the way
    sent = plain.replace(b"\xff", b"\xff\0")
    whole = tag(3, frame(b"TIT2", plain).replace(b"\xff", b"\xff\0"), frame(b"TPE1", b"\0me"), flags=0x80)
    each = tag(4, frame(b"TIT2", sent, 4, 2), frame(b"TPE1", b"\0me", 4))
    for data in (whole, each):
        assert id3.texts(stream(data)) == {"TIT2": "A\xff", "TPE1": "me"}


def test_compressed_frames_and_bombs() -> None:
    packed = zlib.compress(b"\0Door")
    bomb = zlib.compress(bytes(reading.LONGEST + 5))
    three = tag(3, frame(b"TIT2", struct.pack(">I", 5) + packed, 3, 0x80), frame(b"TALB", bytes(4) + bomb, 3, 0x80))
    four = tag(4, frame(b"TIT2", bytes(4) + packed, 4, 0x09), frame(b"TALB", bytes(4) + bomb, 4, 0x09))
    for data in (three, four):
        assert id3.texts(stream(data)) == {"TIT2": "Door"}


def test_plain_sizes_in_version_4() -> None:
    long = b"TIT2" + struct.pack(">I", 301) + b"\0\0\0" + b"y" * 300
    data = tag(4, long, frame(b"TPE1", b"\0me", 4))
    assert id3.texts(stream(data)) == {"TIT2": "y" * 300, "TPE1": "me"}


def test_an_extended_header_is_jumped_over() -> None:
    three = tag(3, struct.pack(">IHI", 6, 0, 0), frame(b"TIT2", b"\0Door"), flags=0x40)
    four = tag(4, id3.synchsafe(6) + b"\1\0", frame(b"TIT2", b"\0Door", 4), flags=0x40)
    for data in (three, four):
        assert id3.texts(stream(data)) == {"TIT2": "Door"}


@needs_ffmpeg
@pytest.mark.parametrize("version", ["3", "4"])
def test_the_tags_that_ffmpeg_writes(version: str) -> None:
    data = sound("mp3", "-id3v2_version", version, "-write_id3v1", "1", title="Tür", prompt='{"1": 2}')
    assert id3.texts(stream(data)).items() >= {("TIT2", "Tür"), ("prompt", '{"1": 2}')}
    assert id3.texts_of_1(stream(data))["TIT2"].startswith("T")


# -- Ogg, FLAC, comments -------------------------------------------------------------------------------------------------


@needs_ffmpeg
@pytest.mark.parametrize(
    ("kind", "name"), [("ogg", "vorbis"), ("opus", "opus"), ("oga", "flac"), ("spx", "speex")], ids=lambda each: each
)
def test_the_streams_and_comments_of_an_ogg(kind: str, name: str) -> None:
    data = sound(kind, title="Tür", prompt='{"1": 2}', workflow="w" * 100_000)
    assert [each.kind for each in ogg.streams(stream(data))] == [name]
    found = ogg.texts(stream(data))
    assert (found["title"], found["prompt"], found["workflow"]) == ("Tür", '{"1": 2}', "w" * 100_000)
    assert ogg.is_whole(stream(data))
    for cut in (data[:-1], data + b"x", data[: len(data) // 2], data[1:], data[:300] + b"!" + data[301:]):
        assert not ogg.is_whole(stream(cut))


@needs_ffmpeg
def test_pages_are_built_as_they_were_read() -> None:
    data = sound("ogg", seconds=3.0)
    parts = [
        ogg.build(each.flags, each.granule, each.serial, each.number, each.lacing, each.data)
        for each in ogg.pages(stream(data))
    ]
    assert len(parts) > 2 and b"".join(parts) == data


def paged(serial: int, packets: list[bytes], per_page: int) -> list[bytes]:
    """The pages of a stream, each with so many entries in its segment table."""
    lacing: list[int] = []
    for packet in packets:
        lacing += [255] * (len(packet) // 255) + [len(packet) % 255]
    data = b"".join(packets)
    found = []
    for number, at in enumerate(range(0, len(lacing), per_page)):
        part = lacing[at : at + per_page]
        size = sum(part)
        flags = (
            (1 if at and lacing[at - 1] == 255 else 0) | (0 if at else 2) | (4 if at + per_page >= len(lacing) else 0)
        )
        found.append(ogg.build(flags, 0, serial, number, bytes(part), data[:size]))
        data = data[size:]
    return found


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 1300).map(lambda size: bytes([size % 251]) * size), min_size=1, max_size=6),
    st.lists(st.integers(0, 600).map(bytes), min_size=1, max_size=6),
    st.integers(1, 9),
)
def test_packets_across_the_pages_of_two_streams(one: list[bytes], two: list[bytes], per_page: int) -> None:
    mixed = itertools.zip_longest(paged(7, one, per_page), paged(9, two, per_page), fillvalue=b"")
    data = b"".join(itertools.chain.from_iterable(mixed))
    found = list(ogg.packets(ogg.pages(stream(data))))
    assert [packet.data for packet in found if packet.serial == 7] == one
    assert [packet.data for packet in found if packet.serial == 9] == two
    assert ogg.is_whole(stream(data))
    limited = ogg.packets(ogg.pages(stream(data)), 300)
    assert [packet.data for packet in limited if packet.serial == 7] == [
        data if len(data) <= 300 else None for data in one
    ]


@needs_samples
def test_the_sample_of_opus() -> None:
    with open(SAMPLES / "vn_game/illurock.opus", "rb") as file:
        assert [each.kind for each in ogg.streams(file)] == ["opus"]
        assert ogg.comments(file) and ogg.is_whole(file)


@needs_ffmpeg
@pytest.mark.parametrize("options", [(), ("-ar", "11025", "-ac", "2"), ("-frame_size", "1234")], ids=str)
def test_the_blocks_and_the_end_of_a_flac(options: tuple[str, ...]) -> None:
    data = sound("flac", *options, title="Tür", seconds=2.0)
    blocks = list(flac.blocks(stream(data)))
    assert blocks[0].kind == flac.STREAMINFO and blocks[-1].is_last
    assert flac.texts(stream(data))["title"] == "Tür"
    assert flac.ends_with_a_frame(stream(data), blocks[0], blocks[-1].end)
    for other in (data[:-1], data[:-900], data + b"x", data + bytes(128)):
        assert not flac.ends_with_a_frame(stream(other), blocks[0], blocks[-1].end)


def test_names_of_comments_have_no_case_and_the_first_counts() -> None:
    listed = [b"Title=a", b"TITLE=b", b"nothing", "x=ü".encode()]
    data = b"\3\0\0\0you" + struct.pack("<I", 4) + b"".join(struct.pack("<I", len(each)) + each for each in listed)
    found = vorbis.parse(b"head" + data + b"\1", 4)
    assert found is not None and (found.vendor, found.end) == (b"you", 4 + len(data))
    assert vorbis.texts(found) == {"title": "a", "x": "ü"}
    for lie in (data[:-1], data[:3], b"\xff\xff\xff\xff" + data[4:], data[:7] + b"\xff\xff\xff\xff" + data[11:]):
        assert vorbis.parse(lie) is None


def test_hostile_ends_of_a_flac_take_no_longer_than_their_length_asks_for() -> None:
    info = flac.head(0, 34, is_last=True) + bytes(34)
    header = b"\xff\xf8\x69\x08\0\0"
    good = header + bytes([_crc8(header)])
    for part in (b"\xff\xf8", good, b"\xff\xf9" + bytes(30)):
        data = b"fLaC" + info + good + part * ((1 << 21) // len(part))
        started = time.process_time()
        first = next(flac.blocks(stream(data)))
        assert not flac.ends_with_a_frame(stream(data), first, first.end)
        assert time.process_time() - started < 8


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value


# -- anything ----------------------------------------------------------------------------------------------------------


def walk(data: bytes) -> None:
    """Everything that can be asked of any bytes."""
    file = stream(data)
    for chunk in riff.chunks(file):
        riff.info(file, chunk)
    riff.read(file)
    list(jpeg.segments(file))
    jpeg.end_of_picture(file)
    jpeg.exif(file), jpeg.xmp(file), jpeg.extended_xmp(file), jpeg.jumbf(file), jpeg.has_c2pa(file), jpeg.texts(file)
    id3.texts(file), id3.texts_of_1(file)
    ogg.texts(file), ogg.is_whole(file), list(ogg.packets(ogg.pages(file)))
    blocks = list(flac.blocks(file))
    flac.texts(file)
    if blocks:
        flac.ends_with_a_frame(file, blocks[0], blocks[-1].end)
    vorbis.parse(data)


SEEDS = [
    picture("WEBP", xmp=b"<x/>"),
    with_segments(
        app(0xE1, b"Exif\0\0II*\0"), app(0xE1, jpeg.EXTENDED_XMP + bytes(60)), app(0xEB, b"JP\0\1" + bytes(30))
    ),
    media.wav(0.02),
    tag(3, frame(b"TIT2", b"\1\xff\xfeA\0"), flags=0x80) + b"\xff\xfb\x90\0",
    tag(4, frame(b"TXXX", b"\3a\0b", 4, 0x0F), padding=5),
    tag(2, frame(b"TXX", b"\0a\0b", 2)),
    b"".join(paged(7, [b"OpusHead" + bytes(11), b"OpusTags\0\0\0\0\1\0\0\0\3\0\0\0a=b", b"x"], 2)),
    b"fLaC"
    + flac.head(0, 34, is_last=False)
    + bytes(34)
    + flac.head(4, 8, is_last=True)
    + bytes(8)
    + b"\xff\xf8\x69\x08\0\0",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_no_bytes_make_a_walk_raise(seed: bytes, data: st.DataObject) -> None:
    whole = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    walk(bytes(whole))


@given(
    st.sampled_from(
        [b"", b"RIFF", b"RF64\xff\xff\xff\xffWAVEds64", b"\xff\xd8\xff", b"ID3\4\0\0", b"OggS\0\2", b"fLaC"]
    ),
    st.binary(),
)
def test_nothing_behind_a_signature_makes_a_walk_raise(start: bytes, rest: bytes) -> None:
    walk(start + rest)
