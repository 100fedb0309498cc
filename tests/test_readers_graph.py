"""What a ComfyUI API graph says is read as it stands there, through links; what it does not say is null."""

import math
from typing import Any

import pytest

from comfyvn_store.asset.readers import comfyui
from tests.graphs import NOTHING, Graph, basic, inputs_of, node, sampler


def test_a_basic_graph_is_read_whole() -> None:
    assert inputs_of(basic()) == {
        "seed": 42,
        "model": "sub/dream.safetensors",
        "loras": [],
        "sampler": "euler",
        "scheduler": "karras",
        "steps": 20,
        "cfg": 7.5,
        "denoise": 1.0,
        "positive": "a cat",
        "negative": "bad",
        "images": [],
    }


@pytest.mark.parametrize("seed", [0, 2**53 + 1, 2**64 - 1])
def test_a_seed_is_kept_exactly(seed: int) -> None:
    assert inputs_of(basic(_3=sampler(seed=seed)))["seed"] == seed


@pytest.mark.parametrize("value", ["42", True, None, 4.5, [], {}, 2**64, math.nan, math.inf, ["99", 0], ["3"]])
def test_a_seed_that_is_no_integer_is_null(value: Any) -> None:
    assert inputs_of(basic(_3=sampler(seed=value)))["seed"] is None


@pytest.mark.parametrize("value", ["1.0", False, None, math.nan, math.inf, -math.inf, {"x": 1}])
def test_a_number_that_is_none_is_null(value: Any) -> None:
    found = inputs_of(basic(_3=sampler(cfg=value, denoise=value)))
    assert (found["cfg"], found["denoise"]) == (None, None)


@pytest.mark.parametrize(
    ("source", "seed"),
    [
        (node("PrimitiveInt", value=5), 5),
        (node("Seed (rgthree)", seed=5), 5),
        (node("easy seed", seed=5, seed_num=None), 5),
        (node("SomebodysSeed", seed=5), None),
        (node("RandomInt", seed=5, control_after_generate="fixed"), None),
        (node("NegateInt", value=5), None),
        (node("PrimitiveInt", value=["11", 0]), 6),
        (node("Reroute", **{"": ["11", 0]}), 6),
        (node("RandomBetween", value=5, high=9), None),
        (node("SomebodysSeed", seed="5"), None),
        (node("SomebodysSeed", seed=True), None),
        (node("SomebodysSeed", offset=5), None),
        (node("PrimitiveInt", value=["10", 0]), None),
        (node("PrimitiveInt"), None),
        (node("Hash", text="abc"), None),
    ],
)
def test_a_wired_seed_is_followed_and_never_guessed(source: Graph, seed: int | None) -> None:
    graph = basic(_3=sampler(seed=["10", 0]), _10=source, _11=node("PrimitiveInt", value=6))
    assert inputs_of(graph)["seed"] == seed


def test_only_the_first_output_of_a_node_carries_its_value() -> None:
    assert inputs_of(basic(_3=sampler(seed=["10", 1]), _10=node("PrimitiveInt", value=5)))["seed"] is None


def test_other_wired_values_are_followed() -> None:
    graph = basic(
        _3=sampler(steps=["10", 0], cfg=["11", 0], sampler_name=["12", 0]),
        _4=node("CheckpointLoaderSimple", ckpt_name=["12", 0]),
        _6=node("CLIPTextEncode", text=["13", 0], clip=["4", 1]),
        _7=node("CLIPTextEncode", text=["14", 0], clip=["4", 1]),
        _10=node("INTConstant", value=33),
        _11=node("PrimitiveFloat", value=3.5),
        _12=node("PrimitiveString", value="name"),
        _13=node("PrimitiveStringMultiline", value="two\nlines"),
        _14=node("TextEnhancer", text="unknown"),
    )
    found = inputs_of(graph)
    assert (found["steps"], found["cfg"], found["sampler"], found["model"]) == (33, 3.5, "name", "name")
    assert (found["positive"], found["negative"]) == ("two\nlines", None)


# models and LoRAs


def test_loras_stand_in_the_order_in_which_they_are_applied() -> None:
    graph = basic(
        _3=sampler(model=["20", 0]),
        _20=node("ModelSamplingFlux", model=["21", 0], max_shift=1.15),
        _21=node("LoraLoaderModelOnly", lora_name="second", strength_model=-0.5, model=["22", 0]),
        _22=node("FreeU_V2", model=["23", 0], b1=1.3),
        _23=node(
            "LoraLoader",
            lora_name="first",
            strength_model=0.8,
            strength_clip=1,
            model=["24", 0],
            clip=["4", 1],
        ),
        _24=node("HypernetworkLoader", hypernetwork_name="h", strength=1, model=["25", 0]),
        _25=node("Reroute", **{"": ["26", 0]}),
        _26=node("UNETLoader", unet_name="flux.safetensors", weight_dtype="default"),
    )
    found = inputs_of(graph)
    assert found["model"] == "flux.safetensors"
    assert found["loras"] == [{"name": "first", "strength": 0.8}, {"name": "second", "strength": -0.5}]


def test_a_lora_that_cannot_be_resolved_is_there_with_nulls() -> None:
    lora = node("LoraLoader", lora_name=["99", 0], strength_model="1", model=["4", 0])
    found = inputs_of(basic(_3=sampler(model=["20", 0]), _20=lora))
    assert found["loras"] == [{"name": None, "strength": None}]


def test_of_a_chain_that_is_not_followed_to_its_end_the_loras_are_unknown() -> None:
    lora = node("LoraLoader", lora_name="known", strength_model=1, model=["98", 0])
    found = inputs_of(basic(_3=sampler(model=["20", 0]), _20=lora))
    assert (found["model"], found["loras"]) == (None, None)


def test_the_rows_of_a_power_lora_loader_are_read() -> None:
    rows = {
        "lora_1": {"on": True, "lora": "a", "strength": 1},
        "lora_2": {"on": False, "lora": "b", "strength": 1},
        "lora_3": {"on": True, "lora": "c", "strength": 0.3, "strengthTwo": None},
    }
    graph = basic(_3=sampler(model=["20", 0]), _20=node("Power Lora Loader (rgthree)", model=["4", 0], **rows))
    assert inputs_of(graph)["loras"] == [{"name": "a", "strength": 1}, {"name": "c", "strength": 0.3}]


@pytest.mark.parametrize(
    ("loader", "model"),
    [
        (node("ImageOnlyCheckpointLoader", ckpt_name="svd"), "svd"),
        (node("unCLIPCheckpointLoader", ckpt_name="unclip"), "unclip"),
        (node("UnetLoaderGGUF", unet_name="q8.gguf"), "q8.gguf"),
        (node("SomebodysLoader", model_name="m"), "m"),
        (node("ModelMergeSimple", model1=["4", 0], model2=["4", 0], ratio=0.5), None),
        (node("LoraLoader", lora_name="x", strength_model=1, model=["20", 0]), None),
        (node("CheckpointLoaderSimple", ckpt_name=3), None),
        (node("Mystery", ckpt_name="x"), None),
    ],
)
def test_the_model_is_the_loader_s_name_or_null(loader: Graph, model: str | None) -> None:
    assert inputs_of(basic(_3=sampler(model=["20", 0]), _20=loader))["model"] == model


# prompts


def prompt_of(start: list[Any], **nodes: Any) -> Any:
    return inputs_of(basic(_3=sampler(positive=start), **nodes))["positive"]


@pytest.mark.parametrize(
    "between",
    [
        node("ControlNetApply", conditioning=["6", 0], control_net=["4", 0], image=["4", 0], strength=1),
        node("FluxGuidance", conditioning=["6", 0], guidance=3.5),
        node("unCLIPConditioning", conditioning=["6", 0], clip_vision_output=["4", 0]),
        node("StyleModelApply", conditioning=["6", 0], style_model=["4", 0]),
        node("ReferenceLatent", conditioning=["6", 0], latent=["5", 0]),
        node("ConditioningSetArea", conditioning=["6", 0], width=1),
        node("ConditioningConcat", conditioning_to=["6", 0], conditioning_from=["6", 0]),
        node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["4", 0]),
        node("Reroute", **{"": ["6", 0]}),
    ],
    ids=lambda value: value["class_type"],
)
def test_a_prompt_is_followed_through_what_changes_its_conditioning(between: Graph) -> None:
    assert prompt_of(["20", 0], _20=between) == "a cat"


def test_the_second_output_of_a_pair_is_its_negative() -> None:
    pair = node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0])
    assert prompt_of(["20", 1], _20=pair) == "bad"
    assert prompt_of(["20", 2], _20=pair) is None
    bundle = node("Context", model=["4", 0], positive=["6", 0], negative=["7", 0])
    assert prompt_of(["20", 0], _20=bundle) is None


def test_several_prompts_are_joined_in_graph_order_and_each_once() -> None:
    nodes = {
        "_20": node("ConditioningCombine", conditioning_1=["22", 0], conditioning_2=["21", 0]),
        "_21": node(
            "ConditioningAverage", conditioning_to=["23", 0], conditioning_from=["6", 0], conditioning_to_strength=0.5
        ),
        "_22": node("CLIPTextEncode", text="a dog", clip=["4", 1]),
        "_23": node("CLIPTextEncode", text="a cat", clip=["4", 1]),
    }
    assert prompt_of(["20", 0], **nodes) == "a cat\na dog"


@pytest.mark.parametrize(
    ("encoder", "text"),
    [
        (node("CLIPTextEncodeSDXL", text_l="small", text_g="large", clip=["4", 1]), "large\nsmall"),
        (node("CLIPTextEncodeSDXL", text_l="same", text_g="same", clip=["4", 1]), "same"),
        (node("CLIPTextEncodeFlux", clip_l="tags", t5xxl="a sentence", guidance=3.5), "tags\na sentence"),
        (node("CLIPTextEncodeFlux", clip_l="", t5xxl="a sentence"), "a sentence"),
        (node("TextEncodeQwenImageEdit", clip=["4", 1], prompt="make it red"), "make it red"),
        (node("CLIPTextEncode", text="", clip=["4", 1]), ""),
        (node("CLIPTextEncodeSDXL", text_l="known", text_g=["99", 0], clip=["4", 1]), None),
        (node("CLIPTextEncode", clip=["4", 1]), None),
        (node("LoadConditioning", conditioning_name="x"), None),
    ],
)
def test_the_texts_of_an_encoder_are_its_prompt(encoder: Graph, text: str | None) -> None:
    assert prompt_of(["20", 0], _20=encoder) == text


def test_a_prompt_with_an_unknown_part_is_null() -> None:
    combined = node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["99", 0])
    assert prompt_of(["20", 0], _20=combined) is None


def test_a_zeroed_conditioning_has_no_text() -> None:
    graph = basic(_3=sampler(negative=["20", 0]), _20=node("ConditioningZeroOut", conditioning=["6", 0]))
    assert inputs_of(graph)["negative"] is None
    graph["3"]["inputs"]["negative"] = ["21", 0]
    graph["21"] = node("ConditioningCombine", conditioning_1=["20", 0], conditioning_2=["7", 0])
    assert inputs_of(graph)["negative"] == "bad"


# samplers


def advanced(**changes: Any) -> Graph:
    nodes: Graph = {
        "_3": node("SamplerCustomAdvanced", noise=["30", 0], guider=["31", 0], sampler=["32", 0], sigmas=["33", 0]),
        "_30": node("RandomNoise", noise_seed=77),
        "_31": node("BasicGuider", model=["4", 0], conditioning=["6", 0]),
        "_32": node("KSamplerSelect", sampler_name="dpmpp_2m"),
        "_33": node("BasicScheduler", model=["4", 0], scheduler="simple", steps=8, denoise=0.6),
    }
    return basic(**{**nodes, **changes})


def test_the_parts_of_a_custom_sampler_are_read_from_their_nodes() -> None:
    found = inputs_of(advanced())
    assert [found[key] for key in ("seed", "sampler", "scheduler", "steps", "denoise")] == [
        77,
        "dpmpp_2m",
        "simple",
        8,
        0.6,
    ]
    assert [found[key] for key in ("model", "positive", "negative", "cfg")] == [
        "sub/dream.safetensors",
        "a cat",
        None,
        None,
    ]


def test_a_guider_with_cfg_has_both_prompts() -> None:
    guider = node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=3)
    found = inputs_of(advanced(_31=guider))
    assert (found["positive"], found["negative"], found["cfg"]) == ("a cat", "bad", 3)


def test_no_noise_means_no_seed() -> None:
    assert inputs_of(advanced(_30=node("DisableNoise")))["seed"] is None


@pytest.mark.parametrize(
    ("sigmas", "expected"),
    [
        (node("SDTurboScheduler", model=["4", 0], steps=1, denoise=0.9), (None, 1, 0.9)),
        (node("AlignYourStepsScheduler", model_type="SDXL", steps=10, denoise=1.0), (None, 10, 1.0)),
        (node("FlipSigmas", sigmas=["34", 0]), ("beta", 9, 0.5)),
        (node("SplitSigmas", sigmas=["34", 0], step=4), ("beta", 9, None)),
        (node("ExtendIntermediateSigmas", sigmas=["34", 0], steps=2), ("beta", None, None)),
        (node("FlipSigmas", sigmas=["33", 0]), (None, None, None)),
        (node("ManualSigmas", sigmas="1, 0"), (None, None, None)),
    ],
    ids=lambda value: value["class_type"] if isinstance(value, dict) else "",
)
def test_a_schedule_says_no_more_than_still_holds(sigmas: Graph, expected: tuple[Any, ...]) -> None:
    scheduler = node("BasicScheduler", scheduler="beta", steps=9, denoise=0.5)
    found = inputs_of(advanced(_33=sigmas, _34=scheduler))
    assert (found["scheduler"], found["steps"], found["denoise"]) == expected


def test_a_sampler_custom_keeps_its_own_seed_and_cfg() -> None:
    custom = node(
        "SamplerCustom",
        add_noise=True,
        noise_seed=9,
        cfg=1.5,
        model=["4", 0],
        sampler=["32", 0],
        sigmas=["33", 0],
    )
    found = inputs_of(advanced(_3=custom))
    assert (found["seed"], found["cfg"], found["steps"], found["sampler"]) == (9, 1.5, 8, "dpmpp_2m")


def two_passes() -> Graph:
    refiner = {
        **sampler(model=["41", 0], latent_image=["3", 0], positive=["42", 0])["inputs"],
        "noise_seed": 9,
        "steps": 25,
    }
    del refiner["seed"], refiner["denoise"]
    return basic(
        _8=node("VAEDecode", samples=["40", 0], vae=["4", 2]),
        _40=node("KSamplerAdvanced", **refiner, start_at_step=20),
        _41=node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
        _42=node("CLIPTextEncodeSDXLRefiner", text="fine cat", clip=["41", 1], ascore=6),
    )


def test_of_two_passes_the_last_counts() -> None:
    found = inputs_of(two_passes())
    assert [found[key] for key in ("seed", "steps", "denoise", "model", "positive")] == [
        9,
        25,
        None,
        "refiner.safetensors",
        "fine cat",
    ]


def test_of_two_passes_that_are_both_saved_only_what_they_share_is_known() -> None:
    graph = two_passes()
    graph["50"] = node("VAEDecode", samples=["3", 0], vae=["4", 2])
    graph = {"51": node("SaveImage", images=["50", 0]), **graph}
    found = inputs_of(graph)
    assert [found[key] for key in ("seed", "steps", "model", "denoise", "positive")] == [None] * 5
    assert [found[key] for key in ("cfg", "sampler", "negative", "loras")] == [7.5, "euler", "bad", []]


def test_what_is_saved_counts_before_what_is_shown() -> None:
    graph = basic(
        _40=sampler(seed=1, model=["41", 0]),
        _41=node("CheckpointLoaderSimple", ckpt_name="other"),
        _42=node("PreviewImage", images=["40", 0]),
    )
    assert inputs_of(graph)["seed"] == 42
    graph["9"]["class_type"] = "PreviewImage"
    assert inputs_of(graph)["seed"] is None


@pytest.mark.parametrize("kind", ["PreviewImage", "SaveAnimatedWEBP", "VHS_VideoCombine", "Image Save", "Whatever"])
def test_every_kind_of_output_leads_to_its_sampler(kind: str) -> None:
    assert inputs_of(basic(_9=node(kind, images=["8", 0])))["seed"] == 42


def test_without_an_output_the_sampler_itself_is_the_end() -> None:
    assert inputs_of({key: value for key, value in basic().items() if key not in "89"})["seed"] == 42


def test_independent_samplers_say_only_what_they_agree_on() -> None:
    graph = basic(
        _9=node("SaveImage", images=["60", 0]),
        _60=node("ImageStitch", image1=["8", 0], image2=["61", 0]),
        _61=node("VAEDecode", samples=["62", 0], vae=["4", 2]),
        _62=sampler(seed=43, positive=["7", 0], model=["63", 0]),
        _63=node("LoraLoaderModelOnly", lora_name="a", strength_model=1, model=["4", 0]),
    )
    found = inputs_of(graph)
    assert found == {
        **inputs_of(basic()),
        "seed": None,
        "positive": None,
        "loras": [{"name": "a", "strength": 1}],
    }


def test_a_sampling_upscaler_of_a_node_pack_is_a_sampler() -> None:
    detailer = node("FaceDetailer", image=["8", 0], seed=5, steps=12, cfg=4, sampler_name="lcm", model=["4", 0])
    found = inputs_of(basic(_9=node("SaveImage", images=["70", 0]), _70=detailer))
    assert (found["seed"], found["steps"], found["sampler"]) == (5, 12, "lcm")


def test_loaded_pictures_that_feed_the_output_are_named() -> None:
    graph = basic(
        _3=sampler(latent_image=["80", 0]),
        _80=node("VAEEncodeForInpaint", pixels=["81", 0], mask=["82", 0]),
        _81=node("LoadImage", image="b.png", upload="image"),
        _82=node("LoadImageMask", image="a.png", channel="alpha"),
        _83=node("LoadImage", image="unused.png"),
        _84=node("ETN_LoadImageBase64", image="iVBORw0KGgo="),
        _85=node("ImageBlend", image1=["81", 0], image2=["84", 0]),
        _6=node("TextEncodeQwenImageEdit", prompt="x", clip=["4", 1], image=["85", 0]),
    )
    assert inputs_of(graph)["images"] == ["b.png", "a.png"]


def test_a_graph_without_a_sampler_still_names_its_pictures() -> None:
    graph = {
        "1": node("LoadImage", image="a.png"),
        "2": node("ImageScale", image=["1", 0], width=2),
        "3": node("SaveImage", images=["2", 0]),
    }
    assert inputs_of(graph) == {**NOTHING, "loras": None, "images": ["a.png"]}


def test_rings_and_broken_links_are_tolerated() -> None:
    graph = basic(
        _3=sampler(latent_image=["8", 0], model=["20", 0], positive=["21", 0], seed=["22", 0]),
        _20=node("FreeU", model=["20", 0]),
        _21=node("ConditioningCombine", conditioning_1=["21", 0], conditioning_2=["21", 0]),
        _22=node("Reroute", a=["22", 0]),
        _23=node("ImageScale", image=["23", 0]),
        _24="no node",
        _7=node("CLIPTextEncode", text="bad", clip=[["4"], {}]),
    )
    del graph["24"]
    graph["25"] = {"class_type": "X", "inputs": None}
    found = inputs_of(graph)
    assert (found["model"], found["positive"], found["seed"], found["negative"]) == (None, None, None, "bad")


@pytest.mark.parametrize("kind", ["KSampler", "Reroute", "ConditioningCombine", "LoraLoader", "SplitSigmas"])
@pytest.mark.parametrize("count", [5_000, 50_000])
def test_long_chains_end_in_time(kind: str, count: int) -> None:
    names = ("a", "model", "sigmas", "positive", "conditioning", "seed", "steps", "cfg")
    graph = {
        str(n): node(kind, **{name: [str(n + 1), 0] for name in names[: 1 if kind == "Reroute" else 8]})
        for n in range(count)
    }
    graph["x"] = node("SaveImage", images=["0", 0])
    assert comfyui.from_graphs(graph, None) is not None
    nodes = [
        {"id": n, "type": kind, "mode": 4, "inputs": [{"name": "a", "type": "*", "link": n}]} for n in range(count)
    ]
    ui = {"nodes": nodes, "links": [[n, n + 1, 0, n, 0, "*"] for n in range(count)]}
    assert comfyui.from_graphs(None, ui) is not None
