"""What one file costs is bounded: what is kept, what is made on the way and thrown away, how often something is looked at."""

import io
import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.asset import ingest, marking, readers, record, sidecar
from comfyvn_store.asset.readers import Reading, comfyui, others, reading
from comfyvn_store.asset.readers.collecting import collect
from comfyvn_store.asset.readers.entries import LONGEST_TEXTS, Entries
from comfyvn_store.base import media as sniffing
from comfyvn_store.base import pixels, png
from comfyvn_store.base.containers import boxes, cbor, gif, id3, jpeg, jumbf, ogg, riff, tiff, xmp
from comfyvn_store.store.objects import Store
from tests import media
from tests.gitrepo import GitRepo
from tests.graphs import basic, node

MIB = 1 << 20
SMILE = "\U0001f600"
FRAMES = (bytes.fromhex("fffb9000") + bytes(413)) * 8


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "store"))
    store.create()
    return store


@contextmanager
def at_most(memory: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < memory, f"{peak / MIB:.0f} MiB"


class Counted(io.BytesIO):
    """A stream that counts how many bytes were read of it, and how often."""

    taken = calls = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken, self.calls = self.taken + len(data), self.calls + 1
        return data


def read(data: bytes) -> readers.Reading | None:
    stream = io.BytesIO(data)
    return readers.read_stream(stream, sniffing.describe(stream).mime)


def with_graphs(**graphs: Any) -> bytes:
    texts = [media.international_chunk(name, json.dumps(graph, ensure_ascii=False)) for name, graph in graphs.items()]
    return with_chunks(*texts)


def with_chunks(*chunks: bytes) -> bytes:
    whole = media.png()
    at = whole.rindex(b"IEND") - 4
    return whole[:at] + b"".join(chunks) + whole[at:]


def synchsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))


def tag(*frames: bytes, size: int | None = None) -> bytes:
    body = b"".join(frames)
    return b"ID3\3\0\0" + synchsafe(len(body) if size is None else size) + body


def packed_frame(name: bytes, text: bytes) -> bytes:
    data = b"\0" + name + b"\0" + text
    packed = zlib.compress(data, 9)
    return b"TXXX" + struct.pack(">I", len(packed) + 4) + b"\0\x80" + struct.pack(">I", len(data)) + packed


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)) + chunk(b"data", b"\x80" * 4)
    body += b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


# memory


def test_compressed_frames_of_a_tag_cost_what_they_inflate_to() -> None:
    data = tag(*(packed_frame(b"k%d" % number, b"a" * (7 * MIB)) for number in range(40))) + FRAMES
    with at_most(80 * MIB):
        entries = collect(io.BytesIO(data), "audio/mpeg")
        marking.look(io.BytesIO(data))
    assert list(entries.texts) == ["k0"]


def test_a_tag_is_walked_without_keeping_all_of_it() -> None:
    many = tag(*(packed_frame(b"same", b"a" * (2 * MIB)) for _ in range(40)))
    with at_most(20 * MIB):
        assert len(id3.texts(io.BytesIO(many))) == 1


def test_the_values_of_a_text_frame_are_not_all_made() -> None:
    values = b"TXXX" + struct.pack(">I", 3 + 6 * MIB) + b"\0\0" + b"\0k\0" + b"ab\0" * (2 * MIB)
    with at_most(60 * MIB):
        assert len(id3.texts(io.BytesIO(tag(values)))["k"].split("\n")) == 1024


def test_exif_whose_entries_share_one_text_reads_it_once() -> None:
    count, size = 400, 7 * MIB
    where = 8 + 2 + 12 * count + 4
    rows = b"".join(struct.pack("<HHII", 1000 + number, 2, size, where) for number in range(count))
    data = b"II*\0" + struct.pack("<IH", 8, count) + rows + bytes(4) + b"a" * size
    with at_most(60 * MIB):
        assert list(tiff.read(data)) == [1000]


def test_encoders_that_share_one_text_do_not_each_keep_it() -> None:
    graph = basic(_t=node("PrimitiveString", value=SMILE * reading.LONGEST_VALUE))
    names = [f"e{number}" for number in range(2000)]
    graph |= {name: node("CLIPTextEncode", text=["t", 0]) for name in names}
    graph["c"] = node("Combine", **{f"cond{name}": [name, 0] for name in names})
    graph["3"]["inputs"]["positive"] = ["c", 0]
    with at_most(60 * MIB):
        found = comfyui.from_graphs(graph, None)
    # All of it, or none where the walk has cost too much.
    assert found is not None and found.inputs["positive"] in (None, SMILE * reading.LONGEST_VALUE)


def test_encoders_that_join_one_text_each_do_not_each_keep_it() -> None:
    graph = basic(_t=node("PrimitiveString", value=SMILE * 30_000))
    graph["j"] = node("StringConcatenate", string_a=["t", 0], string_b=["t", 0], delimiter="")
    names = [f"e{number}" for number in range(400)]
    graph |= {name: node("CLIPTextEncode", text=["j", 0]) for name in names}
    graph["c"] = node("Combine", **{f"cond{name}": [name, 0] for name in names})
    graph["3"]["inputs"]["positive"] = ["c", 0]
    with at_most(60 * MIB):
        found = comfyui.from_graphs(graph, None)
    assert found is not None and found.inputs["positive"] in (None, SMILE * 60_000)


def test_joined_texts_are_measured_before_they_are_joined() -> None:
    graph = basic(_t=node("PrimitiveString", value="a" * 3 * MIB))
    last = "t"
    for number in range(7):
        name = f"j{number}"
        graph[name] = node("StringConcatenate", string_a=[last, 0], string_b=[last, 0], delimiter="")
        last = name
    graph["6"]["inputs"]["text"] = [last, 0]
    with at_most(60 * MIB):
        found = comfyui.from_graphs(graph, None)
    assert found is not None and (found.inputs["positive"], found.inputs["seed"]) == (None, 42)


def test_a_text_is_given_itself() -> None:
    for words in ("a cat" * 100, "une œuvre" * 100):
        assert reading.text(words) is words
    assert reading.text("a \ud800 cat") == "a \ufffd cat"


def test_a_tag_in_a_wav_ends_with_its_chunk() -> None:
    frame = b"TXXX" + struct.pack(">I", 4 * MIB) + b"\0\0" + b"\0k\0"
    chunks = [chunk(b"id3 ", tag(frame, size=200 * MIB)) for _ in range(60)]
    data = wav(*chunks, chunk(b"junk", b"a" * (5 * MIB)))
    with at_most(20 * MIB):
        entries = collect(io.BytesIO(data), "audio/wav")
    assert not entries.texts
    good = b"TXXX" + struct.pack(">I", 5) + b"\0\0" + b"\0k\0ab"
    assert collect(io.BytesIO(wav(chunk(b"id3 ", tag(good, frame, size=9 * MIB)))), "audio/wav").texts == {"k": "ab"}


def test_a_graph_in_too_many_parts_is_not_parsed() -> None:
    def text(item: str, count: int) -> str:
        return '{"a": [' + ",".join([item] * count) + "]}"

    with at_most(5 * MIB):
        assert reading.parse_json(text('{"":0}', reading.MOST_CONTAINERS)) is None
        assert reading.parse_json("[" + "1," * (reading.MOST_VALUES + 1) + "1]") is None
    assert reading.parse_json(text('{"":0}', reading.MOST_CONTAINERS - 2)) is not None
    long = json.dumps("é" * (reading.LONGEST_JSON // 2), ensure_ascii=False)
    assert len(long) < reading.LONGEST_JSON and reading.parse_json(long) is None
    assert reading.parse_json(long[:-9] + '"') is not None


def test_texts_of_four_bytes_a_letter_stay_bounded() -> None:
    text = SMILE + "a" * (png.LONGEST_TEXT - 100)
    data = with_chunks(*(media.international_chunk(f"t{number}", text) for number in range(6)))
    with at_most(150 * MIB):
        assert sum(map(len, collect(io.BytesIO(data), "image/png").texts.values())) <= LONGEST_TEXTS


def test_boxes_in_boxes_are_not_copied_at_each_level() -> None:
    data = b"a" * (8 * MIB)
    for _ in range(10):
        data = struct.pack(">I", 8 + len(data)) + b"jumb" + data
    with at_most(20 * MIB):
        jumbf.read(data)


def test_an_element_of_very_many_attributes_is_not_read() -> None:
    packet = b"<a " + b" ".join(b'a%d="x"' % number for number in range(300_000)) + b"/>"
    with at_most(10 * MIB):
        assert xmp.read(packet) == {}


# work


def test_a_png_inflates_neither_what_it_has_already_nor_what_there_is_no_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    real = png.inflated

    def counted(data: bytes, limit: int) -> tuple[bytes | None, int]:
        found = real(data, limit)
        made.append(found[1])
        return found

    monkeypatch.setattr(png, "inflated", counted)
    packed = zlib.compress(b"a" * (4 * MIB), 9)
    same = [media.chunk(b"zTXt", b"k\0\0" + packed)] * 20
    own = [media.chunk(b"zTXt", b"k%d\0\0" % number + packed) for number in range(20)]
    long = [
        media.chunk(b"zTXt", b"l%d\0\0" % number + zlib.compress(b"a" * (png.LONGEST_TEXT + 9))) for number in range(20)
    ]
    for chunks, kept in ((same, 1), (own, 3), (long, 0)):
        made.clear()
        scanner = png.PngScanner()
        scanner.feed(with_chunks(*chunks))
        assert scanner.is_whole and len(scanner.texts) == kept
        assert sum(made) <= png.LONGEST_TEXTS + 9


def test_a_broken_compressed_text_takes_no_room_from_others() -> None:
    broken = [media.chunk(b"zTXt", b"b%d\0\0" % number + b"no zlib") for number in range(9)]
    scanner = png.PngScanner()
    scanner.feed(with_chunks(*broken, media.text_chunk("prompt", "{}")))
    assert scanner.texts == {"prompt": "{}"}


def test_a_png_of_very_many_chunks_is_not_followed_and_not_marked(store: Store) -> None:
    empty = media.chunk(b"prVt", b"")
    most = png.MOST_CHUNKS - 3 + (png.MOST_CHUNKS * 12 >> 12)  # IHDR, IDAT, IEND; and one for each 4 KiB
    fits, crowded = with_chunks(empty * (most - 2)), with_chunks(empty * (most + 200))
    for data, is_marked in ((fits, True), (crowded, False)):
        done = ingest.ingest(store, [data], mark=True)
        stored = Path(store.path(done.hash)).read_bytes()
        assert (stored != data) is is_marked
        said = marking.valid(io.BytesIO(stored))
        assert (said is not None) is is_marked, "a marker that is put in is one that is found"
        assert ingest.hash_as_ingested(store, [stored], mark=True) == done.hash
    scanner = png.PngScanner()
    scanner.feed(crowded + empty)
    assert scanner.broken and scanner._position < len(crowded)


def test_a_png_keeps_no_more_texts_than_are_read() -> None:
    scanner = png.PngScanner()
    scanner.feed(with_chunks(*(media.text_chunk(f"{number}", "") for number in range(5000))))
    assert scanner.is_whole and len(scanner.texts) == png.MOST_TEXTS


def test_items_that_reach_beyond_the_file_are_not_read() -> None:
    def box(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", 8 + len(data)) + kind + data

    info = box(b"infe", b"\2\0\0\0\0\1\0\0mime\0application/rdf+xml\0")
    rows = b"".join(struct.pack(">HHHII", 1, 0, 1, 0x1000, 16 * MIB) for _ in range(3000))
    places = b"\0\0\0\0\x44\0" + struct.pack(">H", 3000) + rows
    meta = bytes(4) + box(b"hdlr", bytes(20)) + box(b"iinf", b"\0\0\0\0\0\1" + info) + box(b"iloc", places)
    head = box(b"ftyp", b"avif\0\0\0\0avif")
    stream = Counted(head + box(b"meta", meta) * 5 + box(b"mdat", bytes(2 * MIB)))
    assert boxes.read(stream).xmp is None
    assert stream.taken < 200_000


def test_extents_without_a_width_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    from comfyvn_store.base.containers import items

    steps = 0
    real = items._Cursor.number

    def number(self: Any, width: int) -> int:
        nonlocal steps
        steps += 1
        return real(self, width)

    monkeypatch.setattr(items._Cursor, "number", number)
    found = items.Items()
    found.take(b"iinf", b"\0\0\0\0\0\1" + struct.pack(">I", 30) + b"infe\2\0\0\0\0\1\0\0Exif" + bytes(10))
    found.take(b"iloc", b"\0\0\0\0\0\0" + struct.pack(">H", 20) + struct.pack(">HHH", 1, 0, 65535) * 20)
    assert found.places() == []
    assert steps < 1000


def test_a_text_in_a_riff_list_ends_with_the_list() -> None:
    lying = chunk(b"LIST", b"INFOICMT" + struct.pack("<I", 0x7FFFFFF1) + b"ab")
    stream = Counted(wav(*[lying] * 500, chunk(b"junk", b"a" * (2 * MIB))))
    assert collect(stream, "audio/wav").texts == {"comment": "ab"}
    assert stream.taken < 100_000
    many = chunk(b"LIST", b"INFO" + b"".join(chunk(b"%04d" % number, b"a") for number in range(5000)))
    found = next(each for each in riff.chunks(io.BytesIO(wav(many))) if each.kind == b"LIST")
    assert len(riff.info(io.BytesIO(wav(many)), found)) == 1024


def test_a_gif_of_tiny_blocks_is_followed_so_far() -> None:
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"\x21\xfe"
    stream = Counted(head + b"\1a" * (4 * MIB) + b"\0;")
    gif.read(stream)
    assert stream.taken < 2 * MIB
    assert gif.read(io.BytesIO(head + b"\1a" * 1000 + b"\0;")).comments == ("a" * 1000,)


def test_comments_of_a_gif_are_bounded_together() -> None:
    blocks = (b"\xff" + b"a" * 255) * (3 * MIB // 255) + b"\0"
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + (b"\x21\xfe" + blocks) * 8 + b";"
    assert sum(map(len, gif.read(io.BytesIO(data)).comments)) <= 12 * MIB + 255


def test_segments_between_the_scans_of_a_jpeg_are_counted_together() -> None:
    scan = b"\xff\xe2\0\2" * 30_000 + b"\xff\xda\0\2"
    stream = Counted(b"\xff\xd8" + scan * 20 + b"\xff\xd9")
    assert jpeg.end_of_picture(stream) is None
    assert stream.calls < 100_000
    assert jpeg.end_of_picture(io.BytesIO(b"\xff\xd8" + scan * 2 + b"\xff\xd9")) is not None


def test_an_ogg_of_very_many_tiny_pages_is_not_followed() -> None:
    page = ogg.build(0, 0, 1, 1, b"\1", b"a")
    stream = Counted(ogg.build(2, 0, 1, 0, b"\1", b"a") + page * 90_000 + ogg.build(4, 0, 1, 2, b"\1", b"a"))
    assert not ogg.is_whole(stream)
    assert stream.calls < 3 * 70_000 + 10


def test_a_text_in_pieces_is_joined_once() -> None:
    data = b"\x7f" + b"\x61a" * 40_000 + b"\xff"
    assert cbor.decode(data) == "a" * 40_000


# nothing stops a commit


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyError, struct.error])
def test_a_reader_that_fails_leaves_the_file_unread(
    store: Store, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise error

    data = with_graphs(prompt=basic())
    monkeypatch.setattr(comfyui, "read", fails)
    monkeypatch.setattr(comfyui, "read_origin", fails)
    done = ingest.ingest(store, [data], mark=True)
    facts = record.read_facts(store, done.hash)
    assert (facts.source, facts.media["width"]) == (None, 8)
    monkeypatch.undo()
    assert record.read_facts(store, done.hash).source == "comfyui"

    monkeypatch.setattr(png.PngScanner, "feed", fails)
    monkeypatch.setattr(pixels, "measure", fails)
    done = ingest.ingest(store, [data], mark=True)
    assert Path(store.path(done.hash)).read_bytes() == data, "it is stored as it is"
    facts = record.read_facts(store, done.hash)
    assert (facts.source, facts.source_hash, facts.media["mime"]) == (None, done.hash, "image/png")


@pytest.mark.parametrize("name", ["look", "mark"])
def test_a_marking_that_fails_leaves_the_file_as_it_is(
    store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfyvn_store.asset.marking import wavs

    def fails(*_: Any) -> Any:
        raise MemoryError

    data = media.wav()
    monkeypatch.setattr(wavs, name, fails)
    done = ingest.ingest(store, [data], mark=True)
    assert Path(store.path(done.hash)).read_bytes() == data
    assert record.read_facts(store, done.hash).media["mime"] == "audio/wav"


def test_a_sidecar_that_is_written_can_be_read_again(store_repo: GitRepo) -> None:
    graph = basic(_6=node("CLIPTextEncode", text="\1" * 65536), _7=node("CLIPTextEncode", text="\2" * 65536))
    graph["t"] = node("PrimitiveString", value=SMILE * 65000)
    model: list[Any] = ["4", 0]
    for number in range(14):
        graph[f"l{number}"] = node("LoraLoaderModelOnly", model=model, lora_name=["t", 0], strength_model=number)
        model = [f"l{number}", 0]
    graph["3"]["inputs"]["model"] = model
    store_repo.write("assets/x.png", with_graphs(prompt=graph))
    store_repo.git("add", ".")
    store_repo.commit("art")
    card = sidecar.decode(store_repo.read("assets/x.png.asset.json"))
    assert (card.provenance.source, card.provenance.inputs["loras"]) == ("comfyui", None)
    assert store_repo.git("status", "--porcelain").out == ""


def test_inputs_are_measured_as_they_are_written() -> None:
    written = reading.bounded({**reading.unknown_inputs(), "positive": "\1" * (reading.LONGEST_INPUTS // 5)})
    assert written["positive"] is None
    kept = reading.bounded({**reading.unknown_inputs(), "positive": "a" * (reading.LONGEST_INPUTS // 5)})
    assert kept["positive"] is not None
    said = reading.embedded(title="x", tags=[SMILE * 1900 + str(number) for number in range(200)])
    assert said == {"title": "x"}


def test_what_nobody_could_read_again_loses_what_the_file_says() -> None:
    deep: Any = []
    for _ in range(150):
        deep = [deep]
    facts = record.Facts(
        7, {"mime": "image/png"}, "0" * 64, "x", "1" * 64, {"seed": 1}, embedded={"title": "a" * 5 * MIB}
    )
    for each in (facts, facts._replace(inputs={"deep": deep}, embedded={})):
        previous = record.new_sidecar("a.png", "2" * 64, record.NOTHING_KNOWN, record.Origin())
        previous = previous._replace(tags=("kept",), meta={"words": "of a person"})
        card = record.new_sidecar("a.png", "0" * 64, each, record.Origin(), previous)
        again = sidecar.decode(sidecar.encode(card))
        assert (again.tags, again.meta) == (("kept",), {"words": "of a person"})
        assert again.provenance.source == "x" and again.provenance.workflow_hash == "1" * 64
        assert again.provenance.inputs["seed"] is None and "embedded" not in again.provenance.extra


def test_what_a_person_states_is_refused_rather_than_lost(store_repo: GitRepo) -> None:
    graph = {**basic(), "10": node("Note", text="a" * (4 * MIB - 9000), more=[[0] * 900] * 2)}
    store_repo.write("graph.json", json.dumps(graph, separators=(",", ":")).encode())
    store_repo.write("x.png", media.png())
    done = store_repo.tool("register", "--type", "t", "--workflow", "graph.json", "x.png", check=False)
    assert done.code != 0 and "would be too large" in done.err
    assert not (store_repo.path / "assets/t/x.png").exists()


def test_a_small_sidecar_keeps_what_the_file_says() -> None:
    facts = record.Facts(7, {}, "0" * 64, "x", None, {"seed": 1}, embedded={"title": "a"})
    card = record.new_sidecar("a.png", "0" * 64, facts, record.Origin())
    assert card.provenance.inputs == {"seed": 1} and card.provenance.extra["embedded"] == {"title": "a"}


# a large file is not held


@pytest.mark.parametrize("cut", [0, 4, 9, 11])
def test_a_png_whose_end_straddles_blocks_is_not_held(store: Store, cut: int) -> None:
    whole = with_chunks(media.chunk(b"prVt", bytes(24 * MIB)))
    at = len(whole) - 12 + cut
    parts = [whole[start : min(start + MIB, at)] for start in range(0, at, MIB)] + [whole[at:]]
    once = ingest.ingest(store, [whole], mark=True)
    with at_most(8 * MIB):
        assert ingest.ingest(store, parts, mark=True)[:2] == once[:2]
    assert marking.valid(io.BytesIO(Path(store.path(once.hash)).read_bytes())) is not None


# readers of other packages


def ask(reader: Any, texts: dict[str, str] | None = None) -> readers.Reading | None:
    return readers.read_entries(Entries("image/png", texts or {}), [reader])


@pytest.mark.parametrize("end", [SystemExit(7), MemoryError(), RuntimeError(), GeneratorExit("no")])
def test_a_reader_that_leaves_is_silent(end: BaseException) -> None:
    def leaves(_: Entries) -> Reading | None:
        raise end

    if isinstance(end, GeneratorExit):  # whoever stops the program is not hindered
        with pytest.raises(GeneratorExit):
            ask(leaves)
    else:
        assert ask(leaves) is None


def test_what_a_reader_prints_is_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    import os
    import subprocess

    def prints(_: Entries) -> Reading | None:
        print("one")
        os.write(1, b"two\n")
        subprocess.run(["echo", "three"], check=True)
        return Reading("x", None, {})

    def closes(_: Entries) -> Reading | None:
        os.close(1)
        return None

    assert ask(prints) is not None and ask(closes) is None
    print("the answer", flush=True)
    out, err = capfd.readouterr()
    assert out == "the answer\n"
    assert set(err.split()) == {"one", "two", "three"}


def test_an_answer_that_no_sidecar_can_hold_is_taken_as_far_as_it_can() -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    odd: Any = {5: 6, "title": "T", "c2pa": {"x": object()}, "tags": [object()], "nokey": 1}
    found = ask(lambda _: Reading("a", None, {"deep": deep}, embedded=odd))
    assert found is not None and (found.source, found.inputs, found.embedded) == ("a", {}, {"title": "T"})
    for c2pa in ({"a": "\ud800"}, {"n": float("nan")}, {"a": "x" * 100_000}, "text", {"a": deep}):
        assert ask(lambda _, c2pa=c2pa: Reading("a", None, {}, embedded={"c2pa": c2pa})) == Reading("a", None, {})
    signed = ask(lambda _: Reading(None, None, {}, embedded={"c2pa": {"title": "t", "signature": "holds"}}))
    assert signed is not None and signed.embedded == {"c2pa": {"title": "t", "signature": "not checked"}}
    for source in ("s\ud800", "a\nb", "a\x1b[31m", "\u202ea", "x" * 201, "manual", "", 5, object()):
        assert ask(lambda _, source=source: Reading(source, None, {})) is None
    assert ask(lambda _: Reading(object(), b"x", 5, embedded=7)) is None  # type: ignore[arg-type]


def test_a_reader_changes_nothing_for_the_next() -> None:
    def clears(entries: Entries) -> Reading | None:
        entries.texts.clear()  # type: ignore[attr-defined]
        entries.exif.clear()  # type: ignore[attr-defined]
        return None

    texts, exif = {"software": "Krita"}, {305: "Krita"}
    seen: list[Entries] = []
    readers.read_entries(Entries("image/png", texts, exif), [clears, seen.append])  # type: ignore[list-item]
    assert (texts, exif) == ({"software": "Krita"}, {305: "Krita"})
    assert seen[0].texts == texts and seen[0].exif == exif


def test_a_package_that_leaves_at_its_import_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "leaves.py").write_text("import sys\nprint('hello')\nsys.exit(3)\n")
    (tmp_path / "stays.py").write_text("def read(entries):\n    return None\n")
    home = tmp_path / "leaves-1.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: leaves\nVersion: 1\n")
    points = f"[{others.GROUP}]\nleaves = leaves:read\nstays = stays:read\n"
    (home / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    others.installed.cache_clear()
    try:
        assert [name for name, _ in readers.installed()] == ["stays"]
    finally:
        others.installed.cache_clear()
    assert capfd.readouterr().out == ""
