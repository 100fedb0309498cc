"""What other programs write of a picture is read as it stands, and nothing else is said of it."""

import base64
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfyvn_store.asset import readers
from comfyvn_store.asset.readers import Reading, others
from comfyvn_store.asset.readers.entries import Entries, named
from comfyvn_store.base.media import describe
from comfyvn_store.ops import credentials
from tests import media
from tests.carriers import comment_exif, picture
from tests.credentials import signed
from tests.gitrepo import GitRepo
from tests.graphs import NOTHING
from tests.samples import SAMPLES, needs_samples

USER_COMMENT = 0x9286


def of_texts(**texts: str) -> Reading | None:
    return readers.read_entries(Entries("image/png", named(texts.items())))


def of_comment(text: str) -> Reading | None:
    """The same, out of EXIF in a JPEG that Pillow wrote."""
    stream = io.BytesIO(picture("JPEG", exif=comment_exif(text).tobytes()))
    return readers.read_stream(stream, describe(stream).mime)


def inputs(found: Reading | None, source: str) -> dict[str, Any]:
    assert found is not None and found.source == source and found.workflow_hash is None
    json.dumps(found.inputs, allow_nan=False)
    return {key: value for key, value in found.inputs.items() if value != NOTHING.get(key)}


# Automatic1111 and its kin

PARAMETERS = """a cat, <lora:soft:0.7>, <lora:ink:0.5:0.25>, (sitting:1.2)
on a "chair", blue
Negative prompt: bad hands,
text: none
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 18446744073709551615, Size: 512x768, \
Model hash: 6ce0161689, Model: dream, v2, Denoising strength: 0.4, Lora hashes: "soft: 1a2b, ink: 3c4d", Version: v1.10.1"""
READ = {
    "seed": 2**64 - 1,
    "model": "dream",
    "loras": [{"name": "soft", "strength": 0.7}, {"name": "ink", "strength": 0.25}],
    "sampler": "DPM++ 2M",
    "scheduler": "Karras",
    "steps": 28,
    "cfg": 6.5,
    "denoise": 0.4,
    "positive": 'a cat, <lora:soft:0.7>, <lora:ink:0.5:0.25>, (sitting:1.2)\non a "chair", blue',
    "negative": "bad hands,\ntext: none",
}


def test_parameters_are_read_from_a_chunk_and_from_exif() -> None:
    text = PARAMETERS.replace("dream, v2", "dream")
    assert inputs(of_texts(parameters=text), "automatic1111") == READ
    assert inputs(of_comment(text), "automatic1111") == READ


@pytest.mark.parametrize("kind", ["GIF", "JPEG"])
def test_parameters_are_read_from_a_comment(kind: str) -> None:
    stream = io.BytesIO()
    text = PARAMETERS.replace("dream, v2", "dream")
    Image.new("RGB", (8, 8)).save(stream, kind, comment=text.encode())
    assert inputs(readers.read_stream(stream, describe(stream).mime), "automatic1111") == READ


def test_a_comment_of_another_kind_is_no_parameters() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "GIF", comment=b"Steps: one, two, three")
    found = readers.read_stream(stream, describe(stream).mime)
    assert found is None or found.source is None


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("Version: f2.0.1v1.10.1-previous-650", "forge"),
        ("Version: v1.9.4", "automatic1111"),
        ("Version: ComfyUI", "comfyui"),
        ("Version: Fooocus v2.5.5", "fooocus"),
        ("App: SD.Next", "sdnext"),
        ('Civitai resources: [{"type":"checkpoint"}]', "civitai"),
    ],
)
def test_a_program_is_named_as_the_text_names_it(version: str, source: str) -> None:
    found = of_texts(parameters=f"a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 3, {version}")
    assert inputs(found, source)["seed"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "a cat",
        "Steps: 20",
        "a cat\nSteps to the door",
        "a cat\nNegative prompt: Steps: 20, Sampler: x",
        "",
        "Steps: 20, " * 9,
    ],
)
def test_a_text_of_another_form_is_nobodys(text: str) -> None:
    assert of_texts(parameters=text) is None


def test_a_prompt_without_a_negative_one_has_none() -> None:
    found = of_texts(parameters="Steps: twenty, Sampler: Euler, CFG scale: nan, Seed: 1e5")
    assert inputs(found, "automatic1111") == {"sampler": "Euler", "positive": "", "negative": ""}


# InvokeAI, NovelAI, Fooocus, SwarmUI


def test_invokeai_is_read_in_all_its_forms() -> None:
    newest = {
        "generation_mode": "sdxl_txt2img",
        "positive_prompt": "a cat",
        "negative_prompt": "bad",
        "seed": 2**32 - 1,
        "steps": 30,
        "cfg_scale": 5.5,
        "scheduler": "dpmpp_2m_k",
        "model": {"name": "juggernaut", "base": "sdxl"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.75}],
        "app_version": "5.4.0",
    }
    assert inputs(of_texts(invokeai_metadata=json.dumps(newest)), "invokeai") == {
        "seed": 2**32 - 1,
        "model": "juggernaut",
        "loras": [{"name": "ink", "strength": 0.75}],
        "sampler": "dpmpp_2m_k",
        "steps": 30,
        "cfg": 5.5,
        "positive": "a cat",
        "negative": "bad",
    }
    image = {
        "prompt": [{"prompt": "a cat [bad]", "weight": 1}],
        "seed": 5,
        "steps": 50,
        "cfg_scale": 7.5,
        "sampler": "k_lms",
    }
    older = {"app_id": "invoke-ai/InvokeAI", "model_weights": "sd-1.5", "image": image}
    found = of_texts(**{"sd-metadata": json.dumps(older), "Dream": '"other" -s 1 -S 1'})
    assert inputs(found, "invokeai") == {
        "seed": 5,
        "model": "sd-1.5",
        "sampler": "k_lms",
        "steps": 50,
        "cfg": 7.5,
        "positive": "a cat",
        "negative": "bad",
    }
    oldest = inputs(of_texts(Dream='"a "red" cat" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_euler'), "invokeai")
    assert oldest["positive"] == 'a "red" cat'
    assert [oldest[key] for key in ("seed", "steps", "cfg", "sampler")] == [42, 50, 7.5, "k_euler"]


NOVELAI = {
    "prompt": "1girl",
    "steps": 28,
    "scale": 5.0,
    "seed": 3407123456,
    "sampler": "k_euler_ancestral",
    "noise_schedule": "karras",
    "uc": "lowres",
    "v4_prompt": {"caption": {"base_caption": "1girl", "char_captions": [{"char_caption": "mira, red hair"}]}},
}


def test_novelai_is_read() -> None:
    texts = {"Title": "NovelAI generated image", "Software": "NovelAI", "Source": "NovelAI Diffusion V4.5 4BDE2A90"}
    expected = {
        "seed": 3407123456,
        "model": "NovelAI Diffusion V4.5 4BDE2A90",
        "sampler": "k_euler_ancestral",
        "scheduler": "karras",
        "steps": 28,
        "cfg": 5.0,
        "positive": "1girl\nmira, red hair",
        "negative": "lowres",
    }
    assert inputs(of_texts(**texts, Comment=json.dumps(NOVELAI)), "novelai") == expected
    whole = json.dumps({**texts, "Comment": json.dumps(NOVELAI)})
    assert inputs(of_comment(whole), "novelai") == expected
    found = of_texts(Software="Paint", Comment=json.dumps(NOVELAI))
    assert found is not None and found.source is None


def test_fooocus_is_read() -> None:
    said = {
        "prompt": "a cat",
        "negative_prompt": "",
        "base_model": "juggernautXL",
        "loras": [["offset.safetensors", 0.1, "abc"]],
        "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras",
        "steps": 30,
        "guidance_scale": 4,
        "seed": "8167839142534711247",
        "metadata_scheme": "fooocus",
        "version": "Fooocus v2.5.5",
    }
    expected = {
        "seed": 8167839142534711247,
        "model": "juggernautXL",
        "loras": [{"name": "offset.safetensors", "strength": 0.1}],
        "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras",
        "steps": 30,
        "cfg": 4,
        "positive": "a cat",
        "negative": "",
    }
    assert inputs(of_texts(parameters=json.dumps(said)), "fooocus") == expected
    log = {
        "Prompt": "a cat",
        "Seed": 5,
        "Guidance Scale": 4.5,
        "Base Model": "m",
        "lora_combined_1": "ink : 0.5",
        "Version": "Fooocus v2.1",
    }
    assert inputs(of_comment(json.dumps(log)), "fooocus") == {
        "seed": 5,
        "model": "m",
        "loras": [{"name": "ink", "strength": 0.5}],
        "cfg": 4.5,
        "positive": "a cat",
    }


def test_swarmui_is_read() -> None:
    said = {
        "prompt": "a cat",
        "negativeprompt": "bad",
        "model": "flux1-dev",
        "seed": 1197216789,
        "steps": 20,
        "cfgscale": 7.0,
        "sampler": "euler",
        "scheduler": "simple",
        "loras": "ink,soft",
        "loraweights": "1,0.5",
        "swarm_version": "0.9.5.0",
        "fluxguidancescale": 3.5,
    }
    expected = {
        "seed": 1197216789,
        "model": "flux1-dev",
        "loras": [{"name": "ink", "strength": 1}, {"name": "soft", "strength": 0.5}],
        "sampler": "euler",
        "scheduler": "simple",
        "steps": 20,
        "cfg": 7.0,
        "guidance": 3.5,
        "positive": "a cat",
        "negative": "bad",
    }
    text = json.dumps({"sui_image_params": said})
    assert inputs(of_texts(parameters=text), "swarmui") == inputs(of_comment(text), "swarmui") == expected
    fewer = json.dumps({"sui_image_params": {**said, "loraweights": "1"}})
    assert [each["strength"] for each in inputs(of_texts(parameters=fewer), "swarmui")["loras"]] == [None, None]


# character cards


def card(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_a_character_card_says_who_it_is() -> None:
    data = {"name": "Mira", "creator": "Ada", "tags": ["heroine", "school"], "extensions": {"license": "CC-BY-4.0"}}
    newer = {"spec": "chara_card_v3", "data": {**data, "name": "Mira the third"}}
    older = {"spec": "chara_card_v2", "name": "outer", "data": data}
    found = of_texts(chara=card(older))
    expected = {"title": "Mira", "author": "Ada", "license": "CC-BY-4.0", "tags": ["heroine", "school"]}
    assert found is not None and found.source is None and found.inputs == {}
    assert found.embedded == expected
    found = of_texts(chara=card(older), ccv3=card(newer))
    assert found is not None and found.embedded == {**expected, "title": "Mira the third"}
    found = of_texts(chara=card({"name": "Mira", "description": "long"}))
    assert found is not None and found.embedded == {"title": "Mira"}
    for broken in ("", "%%%", "bm8ganNvbg==", card([1]), card({"data": 5})):
        assert of_texts(chara=broken) is None


def test_a_card_in_a_picture_of_comfyui_hides_neither() -> None:
    prompt = json.dumps(media.comfy_prompt(7))
    found = of_texts(prompt=prompt, chara=card({"name": "Mira"}))
    assert found is not None and found.source == "comfyui" and found.embedded == {"title": "Mira"}


# C2PA

STATED = {
    "generator": "VN Paint 1.2",
    "title": "Mira",
    "actions": ["c2pa.created"],
    "source_types": ["trainedAlgorithmicMedia"],
    "signer": "Studio Mira",
    "issuer": "Test Root",
    "signature": "not checked",
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "WAV"])
def test_a_manifest_says_what_it_claims_and_the_library_whether_that_holds(kind: str) -> None:
    data = media.wav() if kind == "WAV" else picture(kind)
    mime = describe(io.BytesIO(data)).mime
    whole = signed(data, mime)
    found = readers.read_stream(io.BytesIO(whole), mime)
    assert found is not None and found.source is None
    assert found.embedded["c2pa"] == STATED
    assert credentials.check(io.BytesIO(whole), mime).startswith("holds")
    changed = bytearray(whole)
    changed[-13 if kind == "PNG" else -3 if kind != "TIFF" else 4000] ^= 1
    assert not credentials.check(io.BytesIO(bytes(changed)), mime).startswith("holds")
    assert found.embedded == {**found.embedded, "c2pa": STATED}


def test_read_says_the_verdict_in_a_line_of_its_own(repo: GitRepo) -> None:
    whole = signed(picture("JPEG"), "image/jpeg", title="a title that is long, " * 20)
    repo.write("whole.jpg", whole)
    repo.write("changed.jpg", whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    repo.write("plain.jpg", picture("JPEG"))
    done = repo.tool("read", "--verify", "whole.jpg")
    assert re.search(r"^signature +holds", done.out, re.M)
    done = repo.tool("read", "--verify", "changed.jpg", check=False)
    assert done.code == 1 and re.search(r"^signature +does not hold", done.out, re.M)
    assert re.search(r"^signature +nothing to check", repo.tool("read", "--verify", "plain.jpg").out, re.M)
    assert "signature  " not in repo.tool("read", "plain.jpg").out


def test_without_the_extra_the_reason_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert "'comfyvn-store[c2pa]'" in credentials.check(io.BytesIO(picture("PNG")), "image/png")


def test_a_file_without_a_manifest_is_checked_without_raising() -> None:
    pytest.importorskip("c2pa")
    assert credentials.check(io.BytesIO(picture("PNG")), "image/png").startswith("could not be checked")


# readers of other packages


def test_a_reader_of_another_package_adds_and_never_overrules() -> None:
    def other(entries: Entries) -> Reading:
        return Reading("krita", None, {"brush": "ink"}, embedded={"author": "Ada", "title": "from krita"})

    found = readers.read_entries(Entries("image/png", {"title": "Hill"}), [other])
    assert found is not None and (found.source, found.inputs) == ("krita", {"brush": "ink"})
    assert found.embedded == {"title": "Hill", "author": "Ada"}
    found = readers.read_entries(Entries("image/png", {"prompt": json.dumps(media.comfy_prompt(7))}), [other])
    assert found is not None and (found.source, found.inputs["seed"]) == ("comfyui", 7)


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        Reading(None, None, {"a": 1}),
        Reading("x\0" * 9000, "nohash", {}),
        Reading(5, None, {}),  # type: ignore[arg-type]
        Reading(None, None, {}, embedded={"title": 5, "unknown": "x", "tags": {}}),
        ValueError("raised"),
    ],
)
def test_what_another_reader_says_amiss_is_left_out(answer: Any) -> None:
    def other(entries: Entries) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert readers.read_entries(Entries("image/png"), [other]) is None


def test_inputs_that_no_sidecar_can_hold_are_left_out() -> None:
    for bad in ({"a": float("nan")}, {"a": "\ud800"}, {"a": "x" * 3_000_000}, {"a": object()}):
        found = readers.read_entries(Entries("image/png"), [lambda _, bad=bad: Reading("krita", None, bad)])
        assert found is not None and (found.source, found.inputs) == ("krita", {})


def test_the_documented_reader_works() -> None:
    page = (Path(__file__).parents[1] / "docs" / "readers.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {}
    exec(block, scope)
    texts = {"software": "Krita 5.2", "author": "Ada", "brush": "ink"}
    found = readers.read_entries(Entries("image/png", texts), [scope["read"]])
    assert found is not None and (found.source, found.inputs) == ("krita", {"brush": "ink"})
    assert found.embedded == {"author": "Ada", "software": "Krita 5.2", "url": "https://krita.org"}
    assert readers.read_entries(Entries("image/png", {"software": "GIMP"}), [scope["read"]]) is not None


@needs_samples
def test_the_documented_table_is_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = Path(__file__).parents[1] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    import make_sample_table

    page = (docs / "readers.md").read_text(encoding="utf-8")
    for row in make_sample_table.rows(SAMPLES):
        assert "| `{}` | {} | {} | {} |".format(*row) in page


def test_the_built_in_readers_stand_in_the_entry_point_group() -> None:
    from importlib.metadata import entry_points

    points = {point.name: point.value for point in entry_points(group=others.GROUP)}
    ours = {name: value for name, value in points.items() if value.startswith("comfyvn_store.")}
    assert ours == {name: f"comfyvn_store.asset.readers.{name}:read" for name in readers._BUILT_IN}
    assert all(callable(point.load()) for point in entry_points(group=others.GROUP))


def test_a_camera_loads_no_reader_of_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = ("comfyui", "novelai", "fooocus", "swarmui", "automatic1111")
    for name in programs:
        monkeypatch.delitem(sys.modules, f"{readers.__name__}.{name}", raising=False)
    found = readers.read_entries(Entries("image/jpeg", {}, {0x010F: "Canon", 0x013B: "Ada", 0x0112: 1}))
    assert found is not None and found.embedded == {"author": "Ada"}
    assert not [name for name in programs if f"{readers.__name__}.{name}" in sys.modules]


def test_pictures_of_nobody_say_nothing() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "BMP"):
        stream = io.BytesIO(picture(kind))
        assert readers.read_stream(stream, describe(stream).mime) is None, kind
    assert Image.open(io.BytesIO(picture("PNG"))).size == (32, 24)
