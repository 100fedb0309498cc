"""ComfyUI's graphs of every family of models are walked as the programs run them; what is unclear is null."""

import json
from typing import Any

import pytest

from comfyvn_store.asset import readers
from tests.graphs import Graph, basic, inputs_of, node, sampler, ui_of

# SDXL with a refiner, Wan with two models


def run_of_two(**refiner: Any) -> Graph:
    shared = {"steps": 25, "cfg": 8, "sampler_name": "euler", "scheduler": "karras"}
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="base.safetensors"),
        "2": node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
        "3": node("CLIPTextEncode", text="a cat", clip=["1", 1]),
        "4": node("CLIPTextEncode", text="bad", clip=["1", 1]),
        "5": node("CLIPTextEncode", text="a cat", clip=["2", 1]),
        "6": node("CLIPTextEncodeSDXLRefiner", text="bad", clip=["2", 1], ascore=2.5),
        "7": node("EmptyLatentImage", width=1024, height=1024, batch_size=1),
        "8": node(
            "KSamplerAdvanced",
            **shared,
            add_noise="enable",
            noise_seed=721897303308196,
            start_at_step=0,
            end_at_step=20,
            return_with_leftover_noise="enable",
            model=["20", 0],
            positive=["3", 0],
            negative=["4", 0],
            latent_image=["7", 0],
        ),
        "9": node(
            "KSamplerAdvanced",
            **{**shared, **refiner},
            add_noise="disable",
            noise_seed=0,
            start_at_step=20,
            end_at_step=10000,
            return_with_leftover_noise="disable",
            model=["2", 0],
            positive=["5", 0],
            negative=["6", 0],
            latent_image=["10", 0],
        ),
        "10": node("Reroute", **{"": ["8", 0]}),
        "11": node("VAEDecode", samples=["9", 0], vae=["1", 2]),
        "12": node("SaveImage", images=["11", 0], filename_prefix="x"),
        "20": node("LoraLoaderModelOnly", lora_name="ink", strength_model=0.5, model=["1", 0]),
    }


def test_a_run_that_a_refiner_ends_is_one() -> None:
    assert inputs_of(run_of_two()) == {
        "seed": 721897303308196,
        "model": "base.safetensors",
        "loras": [{"name": "ink", "strength": 0.5}],
        "sampler": "euler",
        "scheduler": "karras",
        "steps": 25,
        "cfg": 8,
        "denoise": None,
        "positive": "a cat",
        "negative": "bad",
        "images": [],
        "refiner": "refiner.safetensors",
    }


def test_a_value_on_which_the_parts_of_a_run_differ_is_null() -> None:
    found = inputs_of(run_of_two(cfg=3.5, steps=30))
    assert (found["cfg"], found["steps"], found["sampler"]) == (None, None, "euler")


def test_a_second_pass_with_noise_of_its_own_is_no_part_of_the_run() -> None:
    graph = run_of_two()
    graph["9"]["inputs"]["add_noise"] = "enable"
    found = inputs_of(graph)
    assert (found["seed"], found["model"]) == (0, "refiner.safetensors")
    assert "refiner" not in found


def test_a_run_in_two_parts_by_split_sigmas_has_the_seed_of_the_noise() -> None:
    graph = {
        "1": node("UNETLoader", unet_name="flux1-dev.safetensors"),
        "2": node("CLIPTextEncodeFlux", clip_l="cat", t5xxl="a cat", guidance=3.5, clip=["9", 0]),
        "3": node("BasicGuider", model=["1", 0], conditioning=["2", 0]),
        "4": node("BasicScheduler", model=["1", 0], scheduler="simple", steps=20, denoise=1.0),
        "5": node("SplitSigmas", sigmas=["4", 0], step=10),
        "6": node("KSamplerSelect", sampler_name="euler"),
        "7": node("RandomNoise", noise_seed=2**64 - 1),
        "8": node("DisableNoise"),
        "10": advanced("7", "5", 0, ["12", 0]),
        "11": advanced("8", "5", 1, ["10", 0]),
        "12": node("EmptySD3LatentImage", width=1024, height=1024, batch_size=1),
        "13": node("VAEDecode", samples=["11", 0], vae=["14", 0]),
        "15": node("SaveImage", images=["13", 0]),
    }
    found = inputs_of(graph)
    assert (found["seed"], found["steps"], found["scheduler"]) == (2**64 - 1, 20, "simple")
    assert (found["model"], found["positive"], found["guidance"]) == ("flux1-dev.safetensors", "cat\na cat", 3.5)
    assert "refiner" not in found


def advanced(noise: str, sigmas: str, slot: int, latent: list[Any]) -> Graph:
    links = {"noise": [noise, 0], "guider": ["3", 0], "sampler": ["6", 0], "sigmas": [sigmas, slot]}
    return node("SamplerCustomAdvanced", **links, latent_image=latent)


# Flux, SD3, Stable Cascade, videos, sounds


def test_flux_guidance_is_no_cfg() -> None:
    graph = basic(_3=sampler(positive=["20", 0], cfg=1), _20=node("FluxGuidance", conditioning=["6", 0], guidance=2.5))
    found = inputs_of(graph)
    assert (found["cfg"], found["guidance"], found["positive"]) == (1, 2.5, "a cat")
    graph["20"]["inputs"]["guidance"] = ["99", 0]
    assert "guidance" not in inputs_of(graph)


def test_sd3_with_its_encoder_and_a_zeroed_negative() -> None:
    graph = basic(
        _3=sampler(model=["20", 0], positive=["21", 0], negative=["25", 0]),
        _20=node("ModelSamplingSD3", model=["4", 0], shift=3),
        _21=node("CLIPTextEncodeSD3", clip_l="cat", clip_g="cat", t5xxl="a cat", empty_padding="none", clip=["4", 1]),
        _22=node("ConditioningZeroOut", conditioning=["7", 0]),
        _23=node("ConditioningSetTimestepRange", conditioning=["22", 0], start=0.1, end=1),
        _24=node("ConditioningSetTimestepRange", conditioning=["7", 0], start=0, end=0.1),
        _25=node("ConditioningCombine", conditioning_1=["23", 0], conditioning_2=["24", 0]),
    )
    found = inputs_of(graph)
    assert (found["positive"], found["negative"], found["model"]) == ("cat\na cat", "bad", "sub/dream.safetensors")


def test_stable_cascade_says_what_its_stage_c_was_told() -> None:
    graph = basic(
        _3=sampler(model=["21", 0], positive=["20", 0], negative=["23", 0], seed=2, steps=10, cfg=1.1),
        _20=node("StableCascade_StageB_Conditioning", conditioning=["6", 0], stage_c=["22", 0]),
        _21=node("CheckpointLoaderSimple", ckpt_name="stage_b"),
        _22=sampler(seed=1, model=["24", 0]),
        _23=node("ConditioningZeroOut", conditioning=["6", 0]),
        _24=node("CheckpointLoaderSimple", ckpt_name="stage_c"),
    )
    told = {"seed": 1, "model": "stage_c", "refiner": "stage_b", "other_models": ["sub/dream.safetensors"]}
    assert inputs_of(graph) == {**inputs_of(basic()), **told}
    graph["20"]["inputs"]["stage_c"] = ["99", 0]
    found = inputs_of(graph)
    assert [found[key] for key in ("seed", "model", "steps", "cfg", "loras")] == [None] * 5


@pytest.mark.parametrize("save", ["SaveVideo", "SaveWEBM", "VHS_VideoCombine", "SaveAnimatedWEBP"])
def test_a_movie_from_a_picture(save: str) -> None:
    graph = basic(
        _3=sampler(positive=["20", 0], negative=["20", 1], latent_image=["20", 2]),
        _20=node(
            "WanImageToVideo", positive=["6", 0], negative=["7", 0], vae=["4", 2], start_image=["21", 0], length=33
        ),
        _21=node("LoadImage", image="first.png"),
        _22=node("CreateVideo", images=["8", 0], audio=["23", 0], fps=16),
        _23=node("LoadAudio", audio="wind.flac"),
        _24=node("VHS_LoadVideo", video="walk.mp4"),
        _9=node(save, video=["22", 0], more=["24", 0]),
    )
    found = inputs_of(graph)
    assert (found["seed"], found["positive"], found["negative"]) == (42, "a cat", "bad")
    assert found["images"] == ["first.png", "wind.flac", "walk.mp4"]


def test_wan_of_its_wrapper() -> None:
    graph = {
        "1": node("WanVideoModelLoader", model="wan2.1.safetensors", base_precision="fp16"),
        "2": node("WanVideoTextEncode", positive_prompt="a walk", negative_prompt="still", t5=["9", 0]),
        "3": node("WanVideoSampler", model=["1", 0], text_embeds=["2", 0], steps=30, cfg=6, seed=7, scheduler="unipc"),
        "4": node("WanVideoDecode", samples=["3", 0]),
        "5": node("VHS_VideoCombine", images=["4", 0]),
    }
    found = inputs_of(graph)
    keys = ("seed", "model", "steps", "cfg", "scheduler", "positive", "negative", "sampler")
    assert [found[key] for key in keys] == [7, "wan2.1.safetensors", 30, 6, "unipc", "a walk", "still", None]


@pytest.mark.parametrize("save", ["SaveAudio", "SaveAudioMP3", "SaveAudioOpus"])
def test_sounds(save: str) -> None:
    graph = basic(
        _3=sampler(positive=["20", 0], negative=["20", 1], latent_image=["21", 0]),
        _20=node("ConditioningStableAudio", positive=["6", 0], negative=["7", 0], seconds_start=0, seconds_total=47),
        _21=node("EmptyLatentAudio", seconds=47, batch_size=1),
        _8=node("VAEDecodeAudio", samples=["3", 0], vae=["4", 2]),
        _9=node(save, audio=["8", 0], filename_prefix="x"),
    )
    found = inputs_of(graph)
    assert (found["seed"], found["positive"], found["negative"]) == (42, "a cat", "bad")
    graph["20"] = node(
        "TextEncodeAceStepAudio", clip=["4", 1], tags="rock, slow", lyrics="[verse]\nla", lyrics_strength=1
    )
    assert inputs_of(graph)["positive"] == "rock, slow\n[verse]\nla"


# samplers and schedules that are nodes


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        (node("SamplerDPMPP_2M_SDE", solver_type="heun", eta=1, s_noise=1, noise_device="gpu"), "dpmpp_2m_sde_gpu"),
        (node("SamplerDPMPP_3M_SDE", eta=1, s_noise=1, noise_device="cpu"), "dpmpp_3m_sde"),
        (node("SamplerDPMPP_SDE", eta=1, s_noise=1, r=0.5, noise_device=["9", 0]), None),
        (node("SamplerEulerAncestral", eta=1, s_noise=1), "euler_ancestral"),
        (node("SamplerLMS", order=4), "lms"),
        (node("SomebodysSampler"), None),
    ],
)
def test_a_sampler_that_is_a_node_has_its_name(chosen: Graph, name: str | None) -> None:
    custom = node(
        "SamplerCustom", noise_seed=1, cfg=1, model=["4", 0], sampler=["20", 0], sigmas=["21", 0], add_noise=True
    )
    found = inputs_of(basic(_3=custom, _20=chosen, _21=node("KarrasScheduler", steps=12, sigma_max=14)))
    assert (found["sampler"], found["scheduler"], found["steps"]) == (name, "karras", 12)


def test_a_guider_of_two_conditionings_has_no_single_cfg() -> None:
    guider = node("DualCFGGuider", model=["4", 0], cond1=["6", 0], cond2=["7", 0], negative=["7", 0], cfg_conds=5)
    custom = node("SamplerCustomAdvanced", noise=["21", 0], guider=["20", 0], sampler=["99", 0], sigmas=["99", 0])
    found = inputs_of(basic(_3=custom, _20=guider, _21=node("RandomNoise", noise_seed=3)))
    assert (found["positive"], found["negative"], found["cfg"], found["seed"]) == ("a cat", "bad", None, 3)


# LoRA stackers


def lora(name: str, strength: Any, active: bool) -> Graph:
    return {"name": name, "strength": strength, "active": active}


@pytest.mark.parametrize(
    ("stack", "loras"),
    [
        (
            node(
                "Lora Loader Stack (rgthree)",
                lora_01="a",
                strength_01=0.5,
                lora_02="None",
                strength_02=1,
                model=["4", 0],
            ),
            [("a", 0.5)],
        ),
        (
            node(
                "Lora Loader (LoraManager)",
                model=["4", 0],
                loras={"__value__": [lora("a", "0.5", True), lora("b", 1, False)]},
            ),
            [("a", 0.5)],
        ),
        (
            node("CR Apply LoRA Stack", model=["4", 0], clip=["4", 1], lora_stack=["31", 0]),
            [("c", 1), ("a", 0.5), ("b", 0.25)],
        ),
        (node("CR Apply LoRA Stack", model=["4", 0], lora_stack=["32", 0]), [("a", 0.1), ("b", 0.2)]),
        (node("CR Apply LoRA Stack", model=["4", 0], lora_stack=["33", 0]), [("a", 0.1)]),
        (node("CR Apply LoRA Stack", model=["4", 0], lora_stack=["34", 0]), None),
    ],
    ids=["rgthree", "manager", "comfyroll", "efficient", "easy", "unknown"],
)
def test_stacks_of_the_node_packs(stack: Graph, loras: list[tuple[Any, Any]] | None) -> None:
    graph = basic(
        _3=sampler(model=["30", 0]),
        _30=stack,
        _31=node(
            "CR LoRA Stack",
            switch_1="On",
            lora_name_1="a",
            model_weight_1=0.5,
            clip_weight_1=1,
            switch_2="Off",
            lora_name_2="z",
            model_weight_2=9,
            switch_3="On",
            lora_name_3="b",
            model_weight_3=0.25,
            lora_stack=["35", 0],
        ),
        _32=node(
            "LoRA Stacker",
            input_mode="simple",
            lora_count=2,
            lora_name_1="a",
            lora_wt_1=0.1,
            model_str_1=9,
            lora_name_2="b",
            lora_wt_2=0.2,
            model_str_2=9,
            lora_name_3="z",
            lora_wt_3=9,
        ),
        _33=node(
            "easy loraStack", num_loras=1, lora_1_name="a", lora_1_strength=0.1, lora_2_name="z", lora_2_strength=1
        ),
        _34=node("SomebodysStack", what="ever"),
        _35=node("CR LoRA Stack", switch_1="On", lora_name_1="c", model_weight_1=1),
    )
    found = inputs_of(graph)
    expected = None if loras is None else [{"name": name, "strength": strength} for name, strength in loras]
    assert found["loras"] == expected
    assert found["model"] == "sub/dream.safetensors"


def test_the_efficient_loader_has_model_lora_and_prompts() -> None:
    loader = node(
        "Efficient Loader",
        ckpt_name="dream",
        lora_name="ink",
        lora_model_strength=0.75,
        positive="a cat",
        negative="bad",
    )
    graph = {
        "1": loader,
        "2": node("KSampler (Efficient)", **sampler(model=["1", 0], positive=["1", 1], negative=["1", 2])["inputs"]),
        "3": node("SaveImage", images=["2", 5]),
    }
    found = inputs_of(graph)
    assert (found["model"], found["positive"], found["negative"]) == ("dream", "a cat", "bad")
    assert found["loras"] == [{"name": "ink", "strength": 0.75}]


# texts


def test_texts_that_are_joined_are_one() -> None:
    graph = basic(
        _6=node("CLIPTextEncode", text=["20", 0], clip=["4", 1]),
        _20=node("StringConcatenate", string_a=["21", 0], string_b=["22", 0], delimiter=", "),
        _21=node("PrimitiveString", value="a"),
        _22=node("StringConcatenate", string_a="b", string_b=["23", 0], delimiter="-"),
        _23=node("PrimitiveStringMultiline", value="c"),
    )
    assert inputs_of(graph)["positive"] == "a, b-c"
    graph["21"] = node("Mystery", value="x", other="y")
    assert inputs_of(graph)["positive"] is None


def test_of_wildcards_what_they_became_counts() -> None:
    encoder = node(
        "ImpactWildcardEncode", wildcard_text="{a|b} cat", populated_text="b cat", clip=["4", 1], model=["4", 0]
    )
    assert inputs_of(basic(_6=encoder))["positive"] == "b cat"


# subgraphs of the editor


def subgraph_ui(**instance: Any) -> Graph:
    """A sampler in a subgraph, whose model, prompts and seed come in from outside, and whose latent goes out."""

    def link(number: int, origin: int, slot: int, target: int, place: int, kind: str) -> Graph:
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        return dict(zip(names, (number, origin, slot, target, place, kind), strict=True))

    kinds = ["MODEL", "CONDITIONING", "CONDITIONING", "INT"]
    names = ["model", "positive", "negative", "seed"]
    inner = {
        "id": "5d1b0a0e-0000-4000-8000-000000000001",
        "name": "Sampling",
        "inputs": [{"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)],
        "outputs": [{"name": "LATENT", "type": "LATENT"}],
        "nodes": [
            {
                "id": 1,
                "type": "KSampler",
                "inputs": [
                    {"name": name, "type": kind, "link": n + 1}
                    for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
                ],
                "widgets_values": [5, "fixed", 20, 7, "euler", "normal", 1],
            }
        ],
        "links": [
            *(link(n + 1, -10, n, 1, n, kind) for n, kind in enumerate(kinds)),
            link(9, 1, 0, -20, 0, "LATENT"),
        ],
    }
    outer = {
        "id": 3,
        "type": inner["id"],
        "inputs": [
            {"name": "model", "type": "MODEL", "link": 1},
            {"name": "positive", "type": "CONDITIONING", "link": 2},
            {"name": "negative", "type": "CONDITIONING", "link": 3},
            {"name": "seed", "type": "INT", "widget": {"name": "seed"}, "link": None},
        ],
        "outputs": [{"name": "LATENT", "type": "LATENT"}],
        "widgets_values": [77],
        **instance,
    }
    nodes = [
        outer,
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["dream"]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["cat"]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["bad"]},
        {"id": 9, "type": "SaveLatent", "inputs": [{"name": "samples", "type": "LATENT", "link": 4}]},
    ]
    links = [
        [1, 4, 0, 3, 0, "MODEL"],
        [2, 6, 0, 3, 1, "CONDITIONING"],
        [3, 7, 0, 3, 2, "CONDITIONING"],
        [4, 3, 0, 9, 0, "LATENT"],
    ]
    return {"nodes": nodes, "links": links, "definitions": {"subgraphs": [inner]}, "version": 0.4}


def test_a_subgraph_is_opened() -> None:
    found = ui_of(subgraph_ui())
    keys = ("seed", "model", "steps", "cfg", "sampler", "positive", "negative")
    assert [found[key] for key in keys] == [77, "dream", 20, 7, "euler", "cat", "bad"]


def test_a_value_that_an_instance_does_not_tell_is_null() -> None:
    for values in ([], [77, 78], None, {"other": 1}):
        found = ui_of(subgraph_ui(widgets_values=values))
        assert (found["seed"], found["steps"]) == (None, 20)
    proxies = {"proxyWidgets": [["-1", "seed"], ["1", "steps"]]}
    assert ui_of(subgraph_ui(widgets_values=[88, 21], properties=proxies))["seed"] == 88


def test_a_muted_subgraph_makes_nothing() -> None:
    assert ui_of(subgraph_ui(mode=2))["seed"] is None


def test_a_subgraph_within_a_subgraph_is_opened() -> None:
    graph = subgraph_ui()
    [inner] = graph["definitions"]["subgraphs"]
    wrapper = {
        "id": "wrapper",
        "inputs": inner["inputs"],
        "outputs": inner["outputs"],
        "nodes": [
            {
                **graph["nodes"][0],
                "inputs": [{**each, "link": n + 1} for n, each in enumerate(graph["nodes"][0]["inputs"])],
            }
        ],
        "links": [
            {**each, "target_id": 3} if each["target_id"] == 1 else {**each, "origin_id": 3} for each in inner["links"]
        ],
    }
    graph["definitions"]["subgraphs"].append(wrapper)
    graph["nodes"][0] = {**graph["nodes"][0], "type": "wrapper"}
    found = ui_of(graph)
    assert (found["seed"], found["model"], found["steps"]) == (77, "dream", 20)


def test_the_api_graph_of_a_subgraph_has_its_nodes_by_double_names() -> None:
    graph = {f"12:{key}" if key in "3" else key: value for key, value in basic().items()}
    graph["8"]["inputs"]["samples"] = ["12:3", 0]
    found = readers.read_generation({"prompt": json.dumps(graph)})
    assert found is not None and found.inputs["seed"] == 42
