"""The pictures of ComfyUI's examples are read as their graphs say; the values were read in them by eye."""

import json
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.asset.readers import read_generation
from tests.graphs import inputs_of, png_texts
from tests.samples import SAMPLES, needs_samples

V1_5 = "v1-5-pruned-emaonly.ckpt"
BOTTLE = "evening sunset scenery blue sky nature, glass bottle with a fizzy ice cold freezing rainbow liquid in it"
REAL: dict[str, tuple[Any, ...]] = {
    # seed, model, sampler, scheduler, steps, cfg, denoise, images
    "controlnet_example": (
        *(1002496614778823, "Anything-V3.0.ckpt", "uni_pc", "normal", 16, 6.0, 1.0),
        ["input_scribble_example.png"],
    ),
    "embedding_example": (
        193694018275622,
        "v2-1_768-ema-pruned.ckpt",
        "uni_pc_bh2",
        "normal",
        20,
        8.0,
        1.0,
        [],
    ),
    "esrgan_example": (833543590226030, V1_5, "euler", "normal", 20, 8.0, 1.0, []),
    "flux_depth_lora_example": (
        *(91050358797301, "flux1-dev.safetensors", "euler", "normal", 20, 1.0, 1.0),
        ["shark_depthmap.png"],
    ),
    "hypernetwork_example_output": (572636856966402, V1_5, "uni_pc_bh2", "normal", 20, 8.0, 1.0, []),
    "img2img_workflow": (
        280823642470253,
        V1_5,
        "dpmpp_2m",
        "normal",
        20,
        8.0,
        0.8700000000000001,
        ["example.png"],
    ),
    "inpaint_example": (
        *(1040111309094545, "512-inpainting-ema.safetensors", "uni_pc_bh2", "normal", 20, 8.0, 1.0),
        ["yosemite_inpaint_example.png"],
    ),
    "lora_multiple": (513173432917412, V1_5, "euler", "normal", 20, 8.0, 1.0, []),
    "sdxlturbo_example": (0, "sd_xl_turbo_1.0_fp16.safetensors", "euler_ancestral", None, 1, 1.0, None, []),
    "stable_cascade__image_to_image": (
        *(321653652654528, "stable_cascade_stage_c.safetensors", "euler_ancestral", "simple", 20, 4.0, 0.6),
        ["example.png"],
    ),
    "stable_zero123_example": (
        *(237514639057560, "stable_zero123.ckpt", "euler", "sgm_uniform", 20, 5.0, 1.0),
        ["hypernetwork_example_output.png"],
    ),
}
# how the positive prompt begins, and the whole negative one (of the first: how it begins)
PROMPTS: dict[str, tuple[str | None, str | None]] = {
    "embedding_example": (
        "photograph in the style of embedding:SDA768.pt girl with blonde hair\n",
        "bad hands",
    ),
    "esrgan_example": ("masterpiece best quality girl standing in victorian clothing", "bad hands"),
    "flux_depth_lora_example": ("a photograph of a shark in the sea", ""),
    "hypernetwork_example_output": (
        "woman (fennec ears fox ears:1.1), marble statue, museum",
        "text, watermark",
    ),
    "img2img_workflow": (
        "photograph of victorian woman with wings, sky clouds, meadow grass\n",
        "watermark, text\n",
    ),
    "inpaint_example": ("closeup photograph of maine coon (cat:1.2) in the yosemite", "watermark, text\n"),
    "lora_multiple": ("masterpiece best quality girl", "bad hands"),
    "sdxlturbo_example": ("beautiful landscape scenery glass bottle with a galaxy inside", "text, watermark"),
    "stable_cascade__image_to_image": (BOTTLE, "text, watermark"),
    "stable_zero123_example": (None, None),
}
LORAS = {
    "flux_depth_lora_example": [("flux1-depth-dev-lora.safetensors", 1.0)],
    "lora_multiple": [
        ("theovercomer8sContrastFix_sd15.safetensors", 1.0),
        ("epiNoiseoffset_v2.safetensors", 1.0),
    ],
}


def sample_texts(name: str) -> dict[str, str]:
    return png_texts((SAMPLES / "comfyui" / f"{name}.png").read_bytes())


@needs_samples
@pytest.mark.parametrize("name", REAL)
def test_a_real_picture_is_read_as_its_graph_says(name: str) -> None:
    generation = read_generation(sample_texts(name))
    assert generation is not None and generation.source == "comfyui"
    found = generation.inputs
    keys = ("seed", "model", "sampler", "scheduler", "steps", "cfg", "denoise", "images")
    assert tuple(found[key] for key in keys) == REAL[name]
    assert [(lora["name"], lora["strength"]) for lora in found["loras"]] == LORAS.get(name, [])
    if name in PROMPTS:
        positive, negative = PROMPTS[name]
        assert found["negative"] == negative
        assert found["positive"] == positive if positive is None else found["positive"].startswith(positive)


@needs_samples
@pytest.mark.parametrize("name", REAL)
def test_both_graphs_of_a_real_picture_say_the_same(name: str) -> None:
    texts = sample_texts(name)
    found = read_generation({"workflow": texts["workflow"]})
    assert found is not None
    assert found.inputs == {**inputs_of(json.loads(texts["prompt"])), "graph": "workflow"}


@needs_samples
def test_every_real_picture_with_a_graph_is_known_to_these_tests() -> None:
    pictures = [Path(path).stem for path in (SAMPLES / "comfyui").glob("*.png")]
    assert sorted(name for name in pictures if "prompt" in sample_texts(name)) == sorted(REAL)
    assert read_generation(sample_texts("pose_present")) is None


@needs_samples
def test_a_real_picture_stitched_of_six_says_what_the_six_share() -> None:
    data = (SAMPLES / "comfyui" / "flux_kontext_example_comic.webp").read_bytes()
    texts = {}
    for keyword in ("prompt", "workflow"):
        start = data.index(f"{keyword}:{{".encode()) + len(keyword) + 1
        texts[keyword] = data[start : data.index(b"\0", start)].decode()
    generation = read_generation(texts)
    assert generation is not None
    assert generation.inputs == {
        "seed": None,
        "model": "flux1-kontext-dev.safetensors",
        "loras": [],
        "sampler": "euler",
        "scheduler": "simple",
        "steps": 20,
        "cfg": 1.0,
        "denoise": 1.0,
        "positive": None,
        "negative": "",
        "images": ["fennec_girl_sing.png"],
        "guidance": 2.5,
        "other_models": ["ae.safetensors", "clip_l.safetensors", "t5xxl_fp16.safetensors"],
    }
