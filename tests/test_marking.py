"""Markers in JPEG, WebP, MP3, WAV, Ogg and FLAC: put in without touching what was there, and taken out to the last byte."""

import hashlib
import io
import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from comfyvn_store.asset import ingest, marker, marking
from comfyvn_store.asset.marking import xmp
from comfyvn_store.base.containers import jpeg, ogg, riff
from comfyvn_store.store.objects import Store
from tests import markings, media
from tests.markings import EVERYTHING, PICTURES, SOUNDS, XMP, chunk, frame, jpeg_with, segment, tag, xmp_segment
from tests.samples import SAMPLES, needs_samples
from tests.sounds import needs_ffmpeg, samples, sound, tags

Make = Callable[[], bytes]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(str(tmp_path_factory.mktemp("store")))
    store.create()
    return store


def marked(store: Store, data: bytes, **words: str) -> bytes:
    """The object that a file becomes."""
    done = ingest.ingest(store, [data], mark=True, stated=ingest.Stated(**words))
    return Path(store.path(done.hash)).read_bytes()


def bare(data: bytes) -> bytes:
    """A file without its markers."""
    stream = io.BytesIO(data)
    found = marking.look(stream)
    assert found is not None
    return b"".join(marking.blocks(stream, found.without()))


def said(data: bytes) -> dict[str, object]:
    """What the valid marker of a file says."""
    found = marking.valid(io.BytesIO(data))
    assert found is not None
    return found


def cases(made: dict[str, Make]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in made.items()])


# -- there and back ----------------------------------------------------------------------------------------------------


@needs_ffmpeg
@cases(EVERYTHING)
def test_a_marker_goes_in_and_the_very_file_comes_out(store: Store, make: Make) -> None:
    data = make()
    with_marker = marked(store, data)
    assert with_marker != data and len(with_marker) - len(data) < 700
    assert bare(with_marker) == data
    found = said(with_marker)
    assert list(found) == ["v", "source", "source_hash", "workflow_hash"]
    assert found["source_hash"] == hashlib.sha256(data).hexdigest()
    assert marked(store, with_marker) == with_marker, "a valid marker is not doubled"


@needs_ffmpeg
@cases(EVERYTHING)
def test_the_same_file_gives_the_same_object_however_it_comes_in(store: Store, make: Make) -> None:
    data = make()
    once = ingest.hash_as_ingested(store, [data], mark=True)
    for size in (1, 7, 65516) if len(data) < 9000 else (65516,):
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        assert ingest.hash_as_ingested(store, parts, mark=True) == once
    assert ingest.ingest(store, [data], mark=False)[:2] == (hashlib.sha256(data).hexdigest(),) * 2


def frames_of(data: bytes) -> list[tuple[str, bytes, object]]:
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()
            found.append((image.mode, image.tobytes(), image.info.get("duration")))
        return found


@needs_ffmpeg
@cases(PICTURES)
def test_a_picture_decodes_to_the_same_pixels(store: Store, make: Make) -> None:
    data = make()
    with_marker = marked(store, data)
    assert frames_of(with_marker) == frames_of(data)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(with_marker))
    for key in ("exif", "icc_profile", "comment", "dpi", "background", "loop"):
        assert after.info.get(key) == before.info.get(key)
    assert after.getexif() == before.getexif()


@needs_ffmpeg
@cases(SOUNDS)
def test_a_sound_decodes_to_the_same_samples_and_tags(store: Store, make: Make) -> None:
    data = make()
    with_marker = marked(store, data)
    assert samples(with_marker) == samples(data)
    before, after = tags(data), tags(with_marker)
    if b"INFO" in data:  # where ffmpeg finds such texts it looks at no tag
        assert b"comfyvn_provenance" in with_marker
    else:
        assert json.loads(after["comfyvn_provenance"]) == said(with_marker)
    assert before.items() <= after.items()


# -- XMP -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_pillow_reads_the_marker_and_what_was_there(store: Store, form: str) -> None:
    rdf, ours = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{urn:comfyvn-store:marker/}"
    for data in (
        markings.drawn(form),
        jpeg_with(xmp_segment(XMP)) if form == "JPEG" else markings.drawn(form, xmp=XMP),
    ):
        with_marker = marked(store, data)
        read = ElementTree.fromstring(Image.open(io.BytesIO(with_marker)).info["xmp"])
        found = read.findall(f"{rdf}RDF/{rdf}Description")
        assert json.loads(found[-1].findtext(f"{ours}provenance") or "") == said(with_marker)
        if XMP in data:
            assert read.findtext(f".//{rdf}li") == "Zoë & Ann" and found[-1].get(f"{rdf}about") == "uuid:1"


def packet_of(data: bytes) -> bytes:
    packet = jpeg.xmp(io.BytesIO(data))
    assert packet is not None
    return packet


def test_a_packet_that_is_there_keeps_each_byte(store: Store) -> None:
    packet = packet_of(marked(store, jpeg_with(xmp_segment(XMP))))
    at = XMP.index(b"</rdf:RDF>")
    assert packet.startswith(XMP[:at]) and packet.endswith(XMP[at:])


@pytest.mark.parametrize(
    "packet",
    [
        b"no XML at all",
        XMP.decode().encode("utf-16"),
        XMP.replace(b"</dc:creator>", b""),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + XMP,
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%s"/></x:xmpmeta>'
        % b"http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        b"<a><!-- </rdf:RDF> --></a>",
        XMP + b" " * (65400 - len(XMP)),
        XMP.replace(b"<dc:creator>", b"<dcterms:provenance>https://x/</dcterms:provenance><dc:creator>"),
    ],
    ids=["text", "utf-16", "open", "entity", "empty", "comment", "full", "signed elsewhere"],
)
def test_a_packet_that_takes_no_property_is_left_alone(store: Store, packet: bytes) -> None:
    data = jpeg_with(xmp_segment(packet))
    assert marked(store, data) == data


def test_a_packet_may_name_rdf_otherwise(store: Store) -> None:
    data = jpeg_with(xmp_segment(XMP.replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r")))
    assert bare(marked(store, data)) == data != marked(store, data)


@pytest.mark.parametrize(
    "form",
    [
        '<rdf:Description rdf:about="" xmlns:c="urn:comfyvn-store:marker/" c:provenance="{&quot;v&quot;:1}"/>',
        "<rdf:Description rdf:about='' xmlns:c='urn:comfyvn-store:marker/'>\n<c:provenance>\n{}"
        "</c:provenance ></rdf:Description>",
    ],
    ids=["attribute", "element"],
)
def test_a_marker_that_a_program_wrote_anew_is_replaced(store: Store, form: str) -> None:
    data = jpeg_with(xmp_segment(XMP.replace(b"</rdf:RDF>", form.encode() + b"</rdf:RDF>")))
    packet = packet_of(marked(store, data))
    assert packet.count(b"provenance>{") == 1 and b"c:provenance" not in packet
    assert said(marked(store, data))


# -- which are left as they are --------------------------------------------------------------------------------------------

C2PA_BOX = (
    b"JP\0\1" + struct.pack(">II4s", 1, 40, b"jumb") + struct.pack(">I4s", 25, b"jumd") + b"c2pa\0\x11\0\x10c2pa\0"
)
DESCRIPTION = b"\0application/x-c2pa-manifest-store\0c2pa\0"
JPEG, WEBP, WAV = markings.drawn("JPEG"), markings.drawn("WEBP", "RGBA"), markings.wav_with()
SECOND = b"\xff\xd8\xff\xe1\0\6abcd" + JPEG[2:]


def mpf(data: bytes) -> bytes:
    """A JPEG with an MPF index."""
    return data[:2] + segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\0\0\0\0\0\0") + data[2:]


def riffed(data: bytes, *more: bytes) -> bytes:
    """A RIFF with chunks added, its length made right."""
    whole = data + b"".join(more)
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


LEFT: dict[str, Make] = {
    "jpeg signed": lambda: jpeg_with(segment(0xEB, C2PA_BOX)),
    "jpeg truncated": lambda: JPEG[:-2],
    "jpeg cut in its data": lambda: JPEG[: len(JPEG) // 2],
    "jpeg header alone": lambda: JPEG[:40],
    "jpeg with a second picture": lambda: mpf(JPEG) + SECOND,
    "jpeg with mpf alone": lambda: mpf(JPEG),
    "jpeg with a gain map": lambda: jpeg_with(xmp_segment(XMP)) + SECOND,
    "jpeg with notes of a phone": lambda: JPEG + b"\0\0\x01\x0aMotionPhoto_Data" + bytes(50) + b"SEFHSEFT",
    "jpeg with zeros behind": lambda: JPEG + bytes(8),
    "webp signed": lambda: riffed(WEBP, chunk(b"C2PA", b"manifest")),
    "webp truncated": lambda: WEBP[:-4],
    "webp trailing": lambda: WEBP + b"more",
    "webp of two pictures": lambda: riffed(markings.drawn("WEBP"), markings.drawn("WEBP")[12:]),
    "webp without picture": lambda: b"RIFF\4\0\0\0WEBP",
    "webp flag without chunk": lambda: WEBP[:20] + bytes([WEBP[20] | 4]) + WEBP[21:],
    "webp two packets": lambda: riffed(markings.drawn("WEBP", xmp=XMP), chunk(b"XMP ", XMP)),
    "webp padding that is no zero": lambda: markings.drawn("WEBP", xmp=XMP + b"\n")[:-1] + b"x",
    "wav signed": lambda: riffed(WAV, chunk(b"C2PA", b"manifest")),
    "wav signed in its tag": lambda: riffed(WAV, chunk(b"id3 ", tag(4, frame(b"GEOB", DESCRIPTION, 4)))),
    "wav truncated": lambda: WAV[:-5],
    "wav trailing": lambda: WAV + b"LIST",
    "wav of unknown length": lambda: WAV[:4] + b"\xff\xff\xff\xff" + WAV[8:],
    "wav without padding": lambda: riffed(markings.wav_with(data=b"abc")[:-1]),
    "wav without samples": lambda: riffed(b"RIFF\0\0\0\0WAVE", chunk(b"fmt ", bytes(16))),
    "wav with a broken tag": lambda: riffed(WAV, chunk(b"id3 ", b"ID3\4\0\0\0\0\x7f\x7f")),
    "rf64 truncated": lambda: markings.rf64()[:-9],
    "rf64 that is short": lambda: markings.rf64().replace(b"\xff\xff\xff\xffWAVE", struct.pack("<I", 272) + b"WAVE"),
    "riff of another kind": lambda: b"RIFF" + struct.pack("<I", 12) + b"AVI " + chunk(b"junk", b""),
    "ogg words": lambda: b"OggS\0" + bytes(100),
    "flac words": lambda: b"fLaC" + bytes(100),
    "mp3 words": lambda: b"\xff\xfb\x90\0 and words",
    "id3 without sound": lambda: tag(3, frame(b"TIT2", b"\0Door")),
    "id3 before flac": lambda: tag(3, frame(b"TIT2", b"\0Door")) + b"fLaC" + bytes(50),
}
LEFT_SOUNDS: dict[str, Make] = {
    "mp3 signed": lambda: tag(3, frame(b"GEOB", DESCRIPTION)) + markings.mp3(),
    "mp3 truncated": lambda: markings.mp3()[:-7],
    "mp3 trailing": lambda: markings.mp3() + b"some more",
    "mp3 trailing before a tag": lambda: markings.mp3() + b"some more" + markings.ID3_1,
    "mp3 with an index of bytes": lambda: tag(4, frame(b"ASPI", bytes(12), 4)) + markings.mp3(),
    "mp3 with chapters of bytes": lambda: tag(3, frame(b"CHAP", b"one\0" + bytes(16))) + markings.mp3(),
    "mp3 with an extended header": lambda: tag(3, struct.pack(">IHI", 6, 0, 0), flags=0x40) + markings.mp3(),
    "mp3 with an empty tag": lambda: tag(3) + markings.mp3(),
    "ogg truncated": lambda: sound("ogg")[:-1],
    "ogg without its last page": lambda: sound("ogg")[: list(ogg.pages(io.BytesIO(sound("ogg"))))[-1].offset],
    "ogg trailing": lambda: sound("ogg") + b"TAG",
    "ogg with a wrong checksum": lambda: sound("ogg")[:-1] + bytes([sound("ogg")[-1] ^ 1]),
    "ogg of speech": lambda: sound("spx"),
    "ogg with speech": lambda: markings.grouped(sound("ogg"), sound("spx")),
    "flac truncated": lambda: sound("flac")[:-1],
    "flac cut": lambda: sound("flac")[:-2000],
    "flac trailing": lambda: sound("flac") + markings.ID3_1,
}


@cases(LEFT)
def test_a_file_that_must_not_or_cannot_be_marked_stays_as_it_is(store: Store, make: Make) -> None:
    assert marked(store, make()) == make()


@needs_ffmpeg
@cases(LEFT_SOUNDS)
def test_a_sound_that_must_not_or_cannot_be_marked_stays_as_it_is(store: Store, make: Make) -> None:
    assert marked(store, make()) == make()


@needs_ffmpeg
def test_a_tag_of_version_1_that_another_would_hide_is_repeated(store: Store) -> None:
    texts = (
        b"Door".ljust(30, b"\0") + b"me".ljust(30) + bytes(30) + b"1999" + b"hm".ljust(28, b"\0") + b"\0\7" + b"\x11"
    )
    data = markings.mp3() + b"TAG" + texts
    with_marker = marked(store, data)
    assert bare(with_marker) == data
    found = tags(with_marker)
    assert tags(data).items() <= found.items()
    assert (found["title"], found["artist"], found["track"], found["genre"]) == ("Door", "me", "7", "Rock")
    other = with_marker[:-128] + b"TAG" + b"else".ljust(125, b"\0")
    assert said(marked(store, other))["source_hash"] != said(with_marker)["source_hash"]


@needs_ffmpeg
def test_chapters_that_say_when_are_no_obstacle(store: Store) -> None:
    data = tag(3, frame(b"CHAP", b"one\0" + bytes(8) + b"\xff" * 8)) + markings.mp3()
    assert bare(marked(store, data)) == data != marked(store, data)


# -- stale ones --------------------------------------------------------------------------------------------------------------


@needs_ffmpeg
@cases({name: EVERYTHING[name] for name in EVERYTHING if name not in ("png", "png trailer")})
def test_a_stale_marker_is_replaced(store: Store, make: Make) -> None:
    data = make()
    right = marked(store, data, source="krita")
    stream = io.BytesIO(data)
    stream.seek(0)
    name = marking.name_of(data[: marking.HEAD_SIZE])
    assert name is not None
    pieces = marking.module(name).mark(stream, marker.text("krita & <co>", "d" * 64, None))
    assert pieces is not None
    stale = b"".join(marking.blocks(stream, pieces))
    assert marking.valid(io.BytesIO(stale)) is None
    assert marked(store, stale, source="krita") == right


@needs_ffmpeg
@pytest.mark.parametrize(
    "name", ["jpeg", "webp xmp", "mp3 bare", "mp3 id3v2.4", "wav", "ogg", "flac", "flac without comments"]
)
def test_two_markers_become_one(store: Store, name: str) -> None:
    data = EVERYTHING[name]()
    once = marked(store, data)
    stream = io.BytesIO(once)
    stale = marker.text(None, "d" * 64, None)
    if name == "jpeg":
        at = 4 + int.from_bytes(once[4:6], "big")
        twice = once[:at] + xmp_segment(xmp.own(stale)) + once[at:]
    elif name == "webp xmp":
        chunk_ = next(each for each in riff.chunks(stream) if each.kind == b"XMP ")
        packet = once[chunk_.data_at : chunk_.data_at + chunk_.size]
        spot = xmp.find(packet)[0]
        packet = packet[: spot.end] + packet[spot.start : spot.end] + packet[spot.end :]
        twice = riffed(once[: chunk_.offset] + chunk(b"XMP ", packet))
    else:
        pieces = marking.module(marking.name_of(once[: marking.HEAD_SIZE]) or "").mark(stream, stale)
        assert pieces is not None
        twice = b"".join(marking.blocks(stream, pieces))
    found = marking.look(io.BytesIO(twice))
    assert found is not None and len(found.payloads) == 2
    assert marked(store, twice) == once


@pytest.mark.parametrize("name", ["jpeg", "webp lossy", "wav by hand"])
def test_bytes_that_are_meant_stay(store: Store, name: str) -> None:
    data = EVERYTHING[name]()
    hash_ = hashlib.sha256(data).hexdigest()
    assert ingest.hash_as_ingested(store, [data], mark=True, is_meant=hash_.__eq__) == hash_


# -- what it says ------------------------------------------------------------------------------------------------------------


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus", "oga", "flac"])
def test_the_source_is_read_from_the_graph_in_a_sound(store: Store, kind: str) -> None:
    data = sound(kind, prompt=json.dumps(media.comfy_prompt(7)))
    found = said(marked(store, data))
    assert found["source"] == "comfyui"
    assert len(str(found["workflow_hash"])) == 64


def test_what_is_stated_is_escaped(store: Store) -> None:
    for name in ("jpeg xmp", "webp xmp", "wav by hand"):
        data = EVERYTHING[name]()
        with_marker = marked(store, data, source='ü "<&>" \U0001f3a8')
        assert said(with_marker)["source"] == 'ü "<&>" \U0001f3a8'
        assert bare(with_marker) == data


def test_a_simple_webp_becomes_an_extended_one(store: Store) -> None:
    for name, flags in (("webp lossy", 4), ("webp lossless", 4), ("webp lossless alpha", 0x14)):
        data = PICTURES[name]()
        with_marker = marked(store, data)
        kinds = [each.kind for each in riff.chunks(io.BytesIO(with_marker))]
        assert kinds == [b"VP8X", data[12:16], b"XMP "]
        assert with_marker[20] == flags
        assert Image.open(io.BytesIO(with_marker)).size == Image.open(io.BytesIO(data)).size == (61, 43)
    with_marker = marked(store, PICTURES["webp animated"]())
    assert with_marker[20] == PICTURES["webp animated"]()[20] | 4


def positions(data: bytes) -> list[tuple[int, int, int]]:
    return [(page.serial, page.number, page.granule) for page in ogg.pages(io.BytesIO(data))]


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_a_page_that_becomes_too_long_is_parted(store: Store, kind: str) -> None:
    parted = 0
    for length in range(56_000, 65_300, 251) if kind == "ogg" else range(64_700, 65_000, 23):
        data = markings.with_comment(sound(kind), "w" * length)
        with_marker = marked(store, data)
        assert bare(with_marker) == data != with_marker
        assert ogg.is_whole(io.BytesIO(with_marker))
        before, after = positions(data), positions(with_marker)
        assert [number for _, number, _ in after] == list(range(len(after)))
        assert [page[2] for page in before if page[2] not in (0, ogg.NO_GRANULE)] == [
            page[2] for page in after if page[2] not in (0, ogg.NO_GRANULE)
        ]
        if len(after) > len(before):
            parted += 1
            assert samples(with_marker) == samples(data)
    assert parted


@needs_ffmpeg
def test_parting_a_page_renumbers_its_own_stream_alone(store: Store) -> None:
    found = 0
    for length in range(56_000, 65_300, 251):
        other = sound("ogg", frequency=700)
        grouped = markings.grouped(markings.with_comment(sound("ogg"), "w" * length), other)
        data = grouped + markings.reserial(other, 9)
        with_marker = marked(store, data)
        assert bare(with_marker) == data
        if len(positions(with_marker)) > len(positions(data)):
            found += 1
            for serial in (77, 9):
                own = [page for page in positions(data) if page[0] == serial]
                assert [page for page in positions(with_marker) if page[0] == serial] == own
            assert samples(marked(store, grouped)) == samples(grouped)  # ffmpeg plays none that is chained as well
    assert found


@needs_samples
def test_the_samples_come_back(store: Store) -> None:
    count = 0
    for place in sorted(SAMPLES.rglob("*")):
        if place.suffix in (".jpg", ".webp", ".opus"):
            data = place.read_bytes()
            with_marker = marked(store, data)
            assert with_marker != data and bare(with_marker) == data, place
            count += 1
    assert count >= 6


# -- anything ----------------------------------------------------------------------------------------------------------------


def small() -> Iterator[tuple[str, bytes]]:
    yield from ((name, make()) for name, make in PICTURES.items())
    for name in ("wav by hand", "wav odd chunks", "wav id3 before", "rf64"):
        yield name, SOUNDS[name]()


BARE = dict(small())


def check(store: Store, data: bytes) -> None:
    """Whatever the bytes are: nothing raises, and either they stay or the marker can be taken out to the last byte."""
    done = ingest.ingest(store, [data], mark=True)
    out = Path(store.path(done.hash)).read_bytes()
    assert hashlib.sha256(out).hexdigest() == done.hash
    if out != data:
        # The bytes that it proves are the file, or the file without the stale markers that stood in it.
        assert marking.valid(io.BytesIO(out)) is not None
        assert hashlib.sha256(bare(out)).hexdigest() == done.source_hash
        found = marking.look(io.BytesIO(data))
        if found is not None and not found.payloads:
            assert bare(out) == data
        assert ingest.hash_as_ingested(store, [out], mark=True) == done.hash


def changed(whole: bytes, data: st.DataObject) -> bytes:
    """A file with a few places changed, parts taken out or doubled."""
    result = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        # Where formats keep their structure rather than anywhere.
        at = data.draw(st.integers(0, min(len(result), 300)) | st.integers(0, len(result)) | st.just(len(result)))
        kind = data.draw(st.integers(0, 3))
        length = data.draw(st.integers(0, 12))
        if kind == 0:
            result[at : at + length] = data.draw(st.binary(max_size=12))
        elif kind == 1:
            del result[at : at + length * 40]
        elif kind == 2:
            result[at:at] = result[at : at + length * 40]
        elif at < len(result):
            result[at] ^= 1 << data.draw(st.integers(0, 7))
    return bytes(result)


fuzzed = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@fuzzed
@given(name=st.sampled_from(sorted(BARE)), is_marked=st.booleans(), data=st.data())
def test_no_picture_loses_a_byte(store: Store, name: str, is_marked: bool, data: st.DataObject) -> None:
    whole = marked(store, BARE[name]) if is_marked else BARE[name]
    check(store, changed(whole, data))


@needs_ffmpeg
@fuzzed
@given(name=st.sampled_from(sorted(SOUNDS)), is_marked=st.booleans(), data=st.data())
def test_no_sound_loses_a_byte(store: Store, name: str, is_marked: bool, data: st.DataObject) -> None:
    whole = SOUNDS[name]()
    check(store, changed(marked(store, whole) if is_marked else whole, data))


@fuzzed
@given(packet=st.text(alphabet='<>/"=: abRDFrdfcomvynp{}&;!-?x', max_size=200), data=st.data())
def test_no_packet_of_xmp_loses_a_byte(store: Store, packet: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(XMP)))
    check(store, jpeg_with(xmp_segment(XMP[:at] + packet.encode() + XMP[at + data.draw(st.integers(0, 30)) :])))


def test_a_hostile_packet_takes_no_longer_than_its_length_asks_for() -> None:
    name = b'xmlns:c="urn:comfyvn-store:marker/"'
    for part in (
        b"<c:provenance ",
        b' c:provenance="',
        b"</rdf:RDF",
        b"\n",
        b"</a-",
        b'rdf:about="',
        name.replace(b"c", b"%d", 1),
    ):
        packet = name + b"".join(
            part % index if b"%d" in part else part for index in range((xmp.LONGEST - 100) // len(part))
        )
        started = time.process_time()
        xmp.find(packet)
        xmp.insert(packet[: xmp.LONGEST], b"{}")
        assert time.process_time() - started < 3, part


# -- what a marker may say ---------------------------------------------------------------------------------------------


def png_with(payload: bytes, seed: int = 1) -> bytes:
    whole = media.png(seed=seed)
    at = whole.rindex(b"IEND") - 4
    return whole[:at] + media.chunk(b"iTXt", b"comfyvn_provenance\0\0\0\0\0" + payload) + whole[at:]


@pytest.mark.parametrize(
    "forged",
    [
        {"workflow_hash": "not a hash \x1b[31m"},
        {"workflow_hash": "f" * 3_000_000},
        {"workflow_hash": 7},
        {"source": "s" * 201},
        {"source": "s" * 4_190_000},
        {"source": "a\n\x1b[31m\u202e"},
        {"source": "a\u009b2J"},
        {"source": " a"},
        {"source": ""},
        {"source": "manual"},
        {"source": "git"},
        {"source": ["a"]},
        {"more": "x" * 5000},
    ],
    ids=lambda forged: "".join(f"{key} {str(value)[:8]!r} {len(str(value))}" for key, value in forged.items()),
)
def test_a_marker_with_a_true_hash_that_says_what_ours_do_not_is_stale(store: Store, forged: dict[str, object]) -> None:
    whole = media.png(seed=1)
    words = {"v": 1, "source": None, "source_hash": hashlib.sha256(whole).hexdigest(), "workflow_hash": None, **forged}
    for text in (json.dumps(words), json.dumps(words, ensure_ascii=False)):
        data = png_with(text.encode())
        assert marking.valid(io.BytesIO(data)) is None
        went = marked(store, data) == marked(store, whole)
        assert went or marked(store, data) == data, "it goes, and one of ours is put in; or all is kept"
    sound_ = media.wav()
    words["source_hash"] = hashlib.sha256(sound_).hexdigest()
    made = marked(store, sound_)
    payload = made[made.index(b'{"v":1') : made.index(b"}", made.index(b'{"v":1')) + 1]
    assert marker.read(payload) is not None
    assert marker.read(json.dumps(words).encode()) is None


@pytest.mark.parametrize("source", ["comfyui", "Krita 5.2", "Zoë's & <tool>", "絵" * 200, "\U0001f600"])
def test_a_marker_says_what_made_a_file_in_few_words(store: Store, source: str) -> None:
    for data in (media.png(seed=2), media.wav()):
        assert said(marked(store, data, source=source, workflow_hash="0" * 64))["source"] == source


@pytest.mark.parametrize("source", ["x" * 201, "a\nb", "\x1b[31m", "\u202e", "manual", "import", "\ud800"])
def test_what_is_no_name_of_a_program_stands_in_no_marker(store: Store, source: str) -> None:
    for data in (media.png(seed=2), media.wav()):
        found = said(marked(store, data, source=source, workflow_hash="no hash"))
        assert (found["source"], found["workflow_hash"]) == (None, None)
