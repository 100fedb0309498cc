"""No file makes the reading fail, take long or need much memory; what it says fits into a sidecar, and a commit goes on."""

import io
import json
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyvn_store.asset import readers
from comfyvn_store.asset.readers.entries import Entries, named
from comfyvn_store.base import media as sniffing
from comfyvn_store.base.containers import boxes, ebml, gif, tiff, xmp
from tests import media
from tests.carriers import camera_exif, comment_exif, movie, picture
from tests.fuzzing import check, mutations, parsers, read_all
from tests.gitrepo import GitRepo
from tests.graphs import basic, node, sampler
from tests.seeds import seeds
from tests.sounds import needs_ffmpeg

MIB = 1 << 20
PARSERS = dict(parsers())


@contextmanager
def bounded(*, seconds: float, memory: int) -> Iterator[None]:
    tracemalloc.start()
    start = time.process_time()
    try:
        yield
        taken, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < seconds, f"{taken:.1f} s"
    assert peak < memory, f"{peak / MIB:.0f} MiB"


def read(data: bytes) -> readers.Reading | None:
    stream = io.BytesIO(data)
    found = readers.read_stream(stream, sniffing.describe(stream).mime)
    check(found)
    return found


def png(*chunks: bytes) -> bytes:
    whole = picture("PNG")
    at = whole.rindex(b"IEND") - 4
    return whole[:at] + b"".join(chunks) + whole[at:]


LONG = 50 * MIB
GRAPH = json.dumps(basic())


# long and compressed texts


@pytest.mark.parametrize(
    "make",
    [
        lambda: png(media.text_chunk("prompt", "[" * LONG)),
        lambda: png(media.text_chunk("prompt", GRAPH + " " * LONG)),
        lambda: png(*(media.text_chunk(f"name{n}", "x" * MIB) for n in range(50))),
        lambda: png(media.chunk(b"comf", b"prompt\0" + b"x" * LONG)),
        lambda: png(media.chunk(b"eXIf", b"MM\0*\0\0\0\x08" + b"\xff" * LONG)),
        lambda: png(media.chunk(b"caBX", b"\0\0\0\0jumb" * (LONG // 8))),
        lambda: png(media.chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"[" * LONG))),
        lambda: png(media.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<a>" * LONG))),
        lambda: png(*(media.chunk(b"zTXt", b"n%d\0\0" % n + zlib.compress(b"x" * 15 * MIB)) for n in range(30))),
        lambda: movie_box(b"prompt", b"x" * LONG),
    ],
    ids=[
        *("brackets", "spaces", "many texts", "comf", "exif", "c2pa", "bomb", "xmp bomb", "many bombs", "movie"),
    ],
)
def test_what_is_far_too_long_costs_little(make: Any) -> None:
    data = make()
    with bounded(seconds=20, memory=300 * MIB):
        read(data)


def movie_box(name: bytes, value: bytes) -> bytes:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    keys = box(b"keys", struct.pack(">II", 0, 1) + box(b"mdta", name))
    items = box(b"ilst", box(b"\0\0\0\1", box(b"data", struct.pack(">II", 1, 0) + value)))
    meta = box(b"meta", box(b"hdlr", bytes(24)) + keys + items)
    return box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", meta)


def test_the_same_box_with_a_graph_is_read() -> None:
    found = read(movie_box(b"prompt", GRAPH.encode()))
    assert found is not None and found.inputs["seed"] == 42


def test_a_prompt_too_long_for_a_sidecar_is_unknown_and_the_rest_is_read() -> None:
    graph = basic(_6=node("CLIPTextEncode", text="a cat " * 100_000, clip=["4", 1]))
    found = read(png(media.text_chunk("prompt", json.dumps(graph))))
    assert found is not None
    assert (found.inputs["positive"], found.inputs["seed"]) == (None, 42)


def test_inputs_too_large_for_a_sidecar_are_unknown() -> None:
    rows = {f"lora_{n}": {"on": True, "lora": "x" * 60_000, "strength": 1} for n in range(300)}
    graph = basic(_3=sampler(model=["20", 0]), _20=node("Power Lora Loader (rgthree)", model=["4", 0], **rows))
    found = read(png(media.text_chunk("prompt", json.dumps(graph)[: 15 * MIB])))
    if found is not None:
        assert found.inputs["loras"] == []


def test_a_hostile_picture_never_stops_a_commit(store_repo: GitRepo) -> None:
    files = {
        "long": png(media.text_chunk("prompt", GRAPH.replace("a cat", "x" * 9 * MIB))),
        "deep": png(media.text_chunk("prompt", "[" * 100_000), media.text_chunk("parameters", "{" * 100_000)),
        "nan": png(media.text_chunk("prompt", json.dumps(basic(_3=sampler(cfg=float("nan"), seed=2**70))))),
        "surrogate": png(
            media.text_chunk("Title", "x"), media.text_chunk("prompt", GRAPH.replace("a cat", "a \\ud800 cat"))
        ),
        "words": png(
            media.text_chunk("Title", "\x00\x1b[31m" + "x" * 5000), media.text_chunk("Author", "\x1b[31mAda\x07")
        ),
    }
    for name, data in files.items():
        store_repo.write(f"assets/{name}.png", data)
    store_repo.git("add", ".")
    store_repo.commit("hostile")
    assert store_repo.git("status", "--porcelain").out == ""
    cards = {name: store_repo.sidecar(f"assets/{name}.png")["provenance"] for name in files}
    assert [cards["nan"]["inputs"][key] for key in ("cfg", "seed", "steps")] == [None, None, 20]
    assert cards["surrogate"]["inputs"]["positive"] == "a \ufffd cat"
    assert cards["words"]["embedded"] == {"author": "[31mAda"}
    assert "\x1b" not in store_repo.tool("show", "assets/words.png").out


# graphs


def test_rings_and_towers_in_a_graph_end_in_time() -> None:
    def repeated(count: int, kind: str, **inputs: Any) -> dict[str, Any]:
        return {str(n): node(kind, **{k: v(n) if callable(v) else v for k, v in inputs.items()}) for n in range(count)}

    def after(n: int) -> list[Any]:
        return [str(n + 1), 0]

    def around(n: int) -> list[Any]:
        return [str((n + 1) % 300), 0]

    many: Any = {f"conditioning_{m}": lambda n, m=m: [str((n * 7 + m) % 900), 0] for m in range(50)}
    wide = repeated(900, "ConditioningCombine", **many)
    twice = repeated(200, "StringConcatenate", string_a=after, string_b=after, delimiter="")
    stacks = repeated(300, "CR LoRA Stack", lora_stack=around, switch_1="On", lora_name_1="x")
    latents = repeated(300, "KSamplerAdvanced", add_noise="disable", noise_seed=1, steps=1, cfg=1, latent_image=around)
    for graph, inputs in (
        (wide, {"positive": ["0", 0]}),
        (twice, {"positive": ["x", 0], "seed": ["0", 0]}),
        (stacks, {"model": ["y", 0]}),
        (latents, {"latent_image": ["0", 0], "model": ["4", 0]}),
    ):
        whole = {
            **graph,
            "x": node("CLIPTextEncode", text=["0", 0], clip=["4", 1]),
            "y": node("CR Apply LoRA Stack", lora_stack=["0", 0], model=["0", 0]),
            "s": node("KSamplerAdvanced", add_noise="disable", noise_seed=1, steps=1, cfg=1, **inputs),
            "o": node("SaveImage", images=["s", 0]),
        }
        with bounded(seconds=10, memory=100 * MIB):
            check(readers.read_generation({"prompt": json.dumps(whole)}))


def test_subgraphs_in_one_another_and_in_themselves_end_in_time() -> None:
    def definition(name: str, inner: list[str]) -> dict[str, Any]:
        nodes = [{"id": n, "type": each, "inputs": [], "outputs": []} for n, each in enumerate(inner)]
        return {"id": name, "nodes": nodes, "links": [], "inputs": [{"name": "a"}], "outputs": [{"name": "b"}]}

    ring = [definition("a", ["b"] * 30), definition("b", ["a"] * 30)]
    tower = [definition(f"t{n}", [f"t{n + 1}"] * 20) for n in range(20)]
    for definitions, first in ((ring, "a"), (tower, "t0")):
        graph = {
            "nodes": [{"id": 1, "type": first}, {"id": 2, "type": "SaveImage"}],
            "links": [],
            "definitions": {"subgraphs": definitions},
        }
        with bounded(seconds=10, memory=200 * MIB):
            check(readers.read_generation({"workflow": json.dumps(graph)}))


def test_of_a_key_that_stands_twice_the_last_counts_as_in_the_programs_themselves() -> None:
    twice = GRAPH.replace('"seed": 42', '"seed": 1, "seed": 43')
    found = readers.read_generation({"prompt": twice})
    assert found is not None and found.inputs["seed"] == 43


# lengths that lie


@pytest.mark.parametrize("size", [0, 1, 4, 8, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF])
def test_directories_that_lie_or_lead_to_themselves(size: int) -> None:
    for order in ("<", ">"):
        mark = b"II*\0" if order == "<" else b"MM\0*"
        for tag in (0x8769, 0x9286, 0x010E, 0x8825):
            form = (4, 1, size) if tag == 0x8769 else (2, size, 8)
            entry = struct.pack(order + "HHII", tag, *form)
            for count in (1, 0xFFFF):
                data = mark + struct.pack(order + "IH", 8, count) + entry * 3 + b"\0" * 8
                assert isinstance(tiff.read(data), dict)


def test_boxes_and_elements_that_lie_end_the_walk() -> None:
    for size in (0, 1, 7, 8, 0x7FFFFFFF, 0xFFFFFFFF):
        head = struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0"
        for kind in (b"moov", b"meta", b"uuid", b"free"):
            with bounded(seconds=5, memory=20 * MIB):
                boxes.read(io.BytesIO(head + struct.pack(">I4s", size, kind) * 2000))
    nested = b""
    for _ in range(3000):
        nested = struct.pack(">I4s", 8 + len(nested), b"moov") + nested
    boxes.read(io.BytesIO(nested))
    for size in (b"\xff", b"\x01\xff\xff\xff\xff\xff\xff\xff", b"\x80", b"\x40\x7f"):
        ebml.read(io.BytesIO(b"\x18\x53\x80\x67" + size + (b"\x12\x54\xc3\x67" + size) * 5000))


def test_a_picture_of_no_end_is_followed_only_so_far() -> None:
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    stream = io.BytesIO(head + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 300_000)
    with bounded(seconds=30, memory=20 * MIB):
        gif.read(stream)


def test_xml_that_grows_is_refused() -> None:
    laugh = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{"&" + chr(97 + n) + ";"}{"&" + chr(97 + n) + ";"}">' for n in range(20)
    )
    body = '<rdf:Description><dc:title xmlns:dc="d">&u;</dc:title></rdf:Description>'
    packet = f'{laugh}]><rdf:RDF xmlns:rdf="{xmp._RDF}">{body}</rdf:RDF>'
    outside = packet.replace('<!ENTITY a "ha">', '<!ENTITY a SYSTEM "file:///etc/passwd">')
    for text in (packet, outside):
        with bounded(seconds=5, memory=10 * MIB):
            assert xmp.read(text.encode()) == {}
    with bounded(seconds=10, memory=200 * MIB):
        assert xmp.read(b"<a>" * 3_000_000) == {}
        many = b"".join(b"<x:p%d>v</x:p%d>" % (n, n) for n in range(100_000))
        found = xmp.read(
            b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="u"><r:Description>' + many
        )
    assert len(found) == 1024


def test_names_without_end_are_kept_only_so_far() -> None:
    found = named((f"name {n}", "x") for n in range(100_000))
    assert len(found) == 1024
    assert named([("a", "x" * (16 * MIB + 1)), ("b", ""), ("", "x"), ("A", "1"), ("a", "2")]) == {"a": "1"}


# every byte, and any byte


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "avif", "gif", "psd", "wav", "exif"])
def test_a_file_cut_off_at_every_byte_is_read(name: str) -> None:
    data = seeds()[name]
    step = max(1, len(data) // 1500)
    for end in range(0, len(data), step):
        read_all(data[:end])


@needs_ffmpeg
@pytest.mark.parametrize("name", ["mp3 tags", "ogg tags", "opus tags", "flac tags", "mp4 sound", "webm sound"])
def test_a_sound_or_a_movie_cut_off_at_every_byte_is_read(name: str) -> None:
    data = seeds()[name]
    step = max(1, len(data) // 1500)
    for end in range(0, len(data), step):
        read_all(data[:end])


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=600))
def test_any_bytes_are_parsed_without_raising(name: str, data: bytes) -> None:
    PARSERS[name](data)


@settings(max_examples=300, deadline=4000, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(0, 1 << 32))
def test_broken_files_of_every_format_are_read_without_raising(number: int) -> None:
    source = random.Random(number)
    data = mutations(seeds()[source.choice(list(seeds()))], source)
    read_all(data)
    PARSERS[source.choice(list(PARSERS))](data)


words = st.text(max_size=40) | st.sampled_from(
    [
        "Steps: 20, Sampler: Euler, Seed: 1",
        "{",
        '{"sui_image_params": {}}',
        GRAPH,
        "Fooocus",
        "NovelAI",
        "nan",
        "-1",
        "9" * 400,
    ]
)
jsonish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = (
    "prompt workflow parameters comment software source description invokeai_metadata sd-metadata dream chara ccv3 title "
    "artist keywords license date"
)
FIELDS = (
    "seed model loras steps prompt positive_prompt image Comment uc v4_prompt base_model version metadata_scheme data "
    "sui_image_params loraweights name tags extensions Software"
)
keywords = st.sampled_from(KEYWORDS.split(" "))
fields = st.sampled_from(FIELDS.split(" "))


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.dictionaries(keywords, words | st.dictionaries(fields, jsonish, max_size=6).map(json.dumps), max_size=6),
    exif=st.dictionaries(st.sampled_from([0x9286, 0x0110, 0x010F, 0x0131, 0x013B]), words | st.integers(), max_size=3),
    packet=st.none() | st.binary(max_size=50),
)
def test_any_entries_are_read_without_raising(
    texts: dict[str, str], exif: dict[int, str | int], packet: bytes | None
) -> None:
    check(readers.read_entries(Entries("image/png", texts, exif, packet, packet)))


def test_a_picture_with_both_comments_is_read_by_who_knows_more() -> None:
    exif = camera_exif(media.comfy_prompt(9), {})
    exif.get_ifd(0x8769)[0x9286] = comment_exif("a\nSteps: 1, Sampler: x, Seed: 2").get_ifd(0x8769)[0x9286]
    found = read(picture("JPEG", exif=exif.tobytes()))
    assert found is not None and (found.source, found.inputs["seed"]) == ("comfyui", 9)


@needs_ffmpeg
def test_a_movie_that_is_mostly_something_else_is_not_read_through() -> None:
    data = movie("mp4", title="Hill")
    at = data.index(b"mdat") - 4

    class Sparse(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            Sparse.taken += len(found)
            return found

    filler = struct.pack(">I4s", 8 + 20 * MIB, b"free") + bytes(20 * MIB)
    stream = Sparse(data[:at] + filler + data[at:])
    assert sniffing.describe(stream).duration == 0.5
    assert Sparse.taken < MIB
