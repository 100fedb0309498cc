"""A value that a graph does not tell for certain is null: what was not chosen, not used or made up is never recorded."""

import time
from typing import Any

import pytest

from comfyvn_store.asset.readers import comfyui
from comfyvn_store.asset.readers.entries import Entries
from tests.graphs import Graph, basic, inputs_of, node, sampler, ui_basic, ui_node, ui_of

# the seed of the part that made the noise


def part(seed: int, noise: Any, latent: list[Any], model: str) -> Graph:
    given = sampler(latent_image=latent, model=[model, 0])["inputs"]
    del given["seed"], given["denoise"]
    return node("KSamplerAdvanced", **given, noise_seed=seed, add_noise=noise, start_at_step=0, end_at_step=10)


def two_parts(latent: list[Any], **between: Any) -> Graph:
    nodes = {
        "_3": part(111, "enable", ["5", 0], "4"),
        "_11": part(0, "disable", latent, "12"),
        "_12": node("UNETLoader", unet_name="second"),
        "_8": node("VAEDecode", samples=["11", 0], vae=["4", 2]),
    }
    return basic(**{**nodes, **between})


@pytest.mark.parametrize(
    "between",
    [
        node("LatentUpscaleBy", samples=["3", 0], upscale_method="nearest", scale_by=1.5),
        node("LatentInterposer", samples=["3", 0]),
        node("SetLatentNoiseMask", samples=["3", 0], mask=["30", 0]),
        node("ImpactSwitch", select=1, input1=["3", 0], input2=["5", 0]),
        node("ComfySwitchNode", switch=["21", 0], on_true=["3", 0], on_false=["5", 0]),
    ],
    ids=lambda value: value["class_type"],
)
def test_a_latent_is_followed_to_the_part_that_made_the_noise(between: Graph) -> None:
    found = inputs_of(two_parts(["20", 0], _20=between, _21=node("PrimitiveBoolean", value=True)))
    assert [found[key] for key in ("seed", "model", "refiner", "steps")] == [111, "sub/dream.safetensors", "second", 20]


@pytest.mark.parametrize(
    "between",
    [
        node("LatentBlend", samples1=["3", 0], samples2=["5", 0], blend_factor=0.5),
        node("LatentComposite", samples_to=["3", 0], samples_from=["5", 0]),
        node("BNK_InjectNoise", latents=["3", 0], strength=1),
        node("Mystery", samples=["3", 0], seed=5),
        node("VAEEncode", pixels=["22", 0], vae=["4", 2]),
        node("ImpactSwitch", select=["99", 0], input1=["3", 0], input2=["5", 0]),
    ],
    ids=lambda value: value["class_type"],
)
def test_where_the_way_of_a_latent_is_unclear_the_seed_is_too(between: Graph) -> None:
    decode = node("VAEDecode", samples=["3", 0], vae=["4", 2])
    found = inputs_of(two_parts(["20", 0], _20=between, _22=decode))
    assert [found[key] for key in ("seed", "model", "steps")] == [None] * 3


def test_a_sampler_that_adds_no_noise_to_an_empty_latent_has_no_seed() -> None:
    found = inputs_of(basic(_3=part(999, "disable", ["5", 0], "4")))
    assert (found["seed"], found["model"], found["steps"]) == (None, "sub/dream.safetensors", 20)


def test_whether_noise_is_added_may_come_from_elsewhere_or_be_unclear() -> None:
    graph = two_parts(["3", 0], _21=node("PrimitiveString", value="disable"))
    graph["11"]["inputs"]["add_noise"] = ["21", 0]
    assert inputs_of(graph)["seed"] == 111
    graph["21"] = node("Mystery", value="disable")
    found = inputs_of(graph)
    assert (found["seed"], found["model"], found["steps"]) == (None, None, 20)


def test_the_second_part_of_wan_s_wrapper_uses_the_noise_of_the_first() -> None:
    def wan(seed: int, **more: Any) -> Graph:
        return node("WanVideoSampler", model=["1", 0], text_embeds=["2", 0], steps=8, cfg=1, seed=seed, **more)

    graph = {
        "1": node("WanVideoModelLoader", model="wan", base_precision="fp16"),
        "2": node("WanVideoTextEncode", positive_prompt="a walk", negative_prompt="still"),
        "3": wan(7, end_step=4),
        "4": wan(8, start_step=4, samples=["3", 0], add_noise_to_samples=False),
        "5": node("VHS_VideoCombine", images=["4", 0]),
    }
    assert inputs_of(graph)["seed"] == 7
    graph["4"]["inputs"]["add_noise_to_samples"] = True
    assert inputs_of(graph)["seed"] == 8


@pytest.mark.parametrize("seed", [-1, -3, ["20", 0]])
def test_a_seed_below_zero_stands_for_one_that_is_not_told(seed: Any) -> None:
    assert inputs_of(basic(_3=sampler(seed=seed), _20=node("Seed (rgthree)", seed=-1)))["seed"] is None


# several outputs


def saved_twice(kind: str = "SaveImage", **changes: Any) -> Graph:
    nodes = {"_20": node("LoadImage", image="photo.png"), "_21": node(kind, images=["20", 0], filename_prefix="y")}
    return basic(**{**nodes, **changes})


def test_a_loaded_picture_that_is_saved_too_leaves_open_which_one_the_file_is() -> None:
    nothing = dict.fromkeys(inputs_of(basic()))
    assert inputs_of(saved_twice()) == {**nothing, "other_models": ["sub/dream.safetensors"]}


def test_what_several_outputs_share_is_known() -> None:
    upscaled = node("ImageUpscaleWithModel", image=["8", 0], upscale_model=["30", 0])
    assert inputs_of(saved_twice(_20=upscaled)) == inputs_of(basic())


@pytest.mark.parametrize("kind", ["PreviewImage", "Save Text File", "SaveLatent"])
def test_what_saves_no_picture_is_no_output_beside_one_that_does(kind: str) -> None:
    graph = saved_twice(kind)
    name = "text" if kind == "Save Text File" else "samples" if kind == "SaveLatent" else "images"
    graph["21"]["inputs"] = {name: ["20", 0]}
    assert comfyui.from_graphs(graph, None, "image/png").inputs == inputs_of(basic())  # type: ignore[union-attr]


def test_a_saved_picture_without_a_sampler_has_not_the_values_of_one_that_is_shown() -> None:
    graph = saved_twice()
    graph["9"]["class_type"] = "PreviewImage"
    found = inputs_of(graph)
    assert (found["seed"], found["model"], found["images"]) == (None, None, ["photo.png"])


@pytest.mark.parametrize(("mime", "seed"), [("image/png", 42), ("video/mp4", None), ("image/webp", None)])
def test_the_kind_of_the_file_tells_which_node_can_have_written_it(mime: str, seed: int | None) -> None:
    graph = saved_twice("SaveVideo")
    found = comfyui.read(Entries(mime, {"prompt": comfyui.canonical.dump_compact(graph).decode()}))
    assert found is not None and found.inputs["seed"] == seed


def test_a_node_that_saves_is_no_sampler_whatever_it_is_told() -> None:
    told = {"seed": 0, "steps": 0, "cfg": 0.0, "sampler_name": "", "positive": "", "model_name": "z"}
    assert inputs_of(basic(_9=node("SDPromptSaver", images=["8", 0], **told))) == inputs_of(basic())


def test_a_picture_that_an_unclear_switch_lets_through_is_each_of_its_ways() -> None:
    graph = saved_twice(_21=None, _22=node("Any Switch (rgthree)", any_01=["8", 0], any_02=["20", 0]))
    graph["9"]["inputs"]["images"] = ["22", 0]
    assert (inputs_of(graph)["seed"], inputs_of(graph)["images"]) == (None, None)
    graph["22"] = node("ImpactSwitch", select=1, input1=["8", 0], input2=["20", 0])
    assert inputs_of(graph) == inputs_of(basic())
    graph["22"]["inputs"]["select"] = 2
    assert (inputs_of(graph)["seed"], inputs_of(graph)["images"]) == (None, ["photo.png"])


# prompts


def prompts_of(between: Graph, **nodes: Any) -> tuple[Any, Any]:
    dog = node("CLIPTextEncode", text="a dog", clip=["4", 1])
    found = inputs_of(basic(_3=sampler(positive=["21", 0]), _20=dog, _21=between, **nodes))
    return found["positive"], found.get("guidance")


@pytest.mark.parametrize(
    ("between", "text"),
    [
        (node("CR Conditioning Input Switch", Input=1, conditioning1=["6", 0], conditioning2=["20", 0]), "a cat"),
        (node("CR Conditioning Input Switch", Input=2, conditioning1=["6", 0], conditioning2=["20", 0]), "a dog"),
        (node("Conditioning Input Switch", boolean=True, conditioning_a=["6", 0], conditioning_b=["20", 0]), "a cat"),
        (node("Conditioning Input Switch", boolean=False, conditioning_a=["6", 0], conditioning_b=["20", 0]), "a dog"),
        (node("easy conditioningIndexSwitch", index=0, cond0=["6", 0], cond1=["20", 0]), "a cat"),
        (node("easy conditioningIndexSwitch", index=["22", 0], cond0=["6", 0], cond1=["20", 0]), "a dog"),
        (node("easy conditioningIndexSwitch", index=["99", 0], cond0=["6", 0], cond1=["20", 0]), None),
        (node("SomebodysSwitch", conditioning1=["6", 0], conditioning2=["20", 0]), None),
        (node("SomebodysSwitch", conditioning1=["6", 0], conditioning2=["23", 0]), None),
        (node("SomebodysSwitch", conditioning1=["6", 0], conditioning2=["6", 0]), "a cat"),
        (node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["20", 0]), "a cat\na dog"),
    ],
)
def test_of_prompts_that_are_switched_only_the_chosen_one_is_read(between: Graph, text: str | None) -> None:
    more = {"_22": node("PrimitiveInt", value=1), "_23": node("ConditioningZeroOut", conditioning=["6", 0])}
    assert prompts_of(between, **more)[0] == text


@pytest.mark.parametrize(
    ("strength", "text"), [(1.0, "a cat"), (0.0, "a dog"), (0.5, "a cat\na dog"), (["99", 0], None), (None, None)]
)
def test_an_average_of_which_one_part_has_no_weight_is_the_other(strength: Any, text: str | None) -> None:
    parts = {"conditioning_to": ["6", 0], "conditioning_from": ["20", 0]}
    assert prompts_of(node("ConditioningAverage", conditioning_to_strength=strength, **parts))[0] == text


@pytest.mark.parametrize(("second", "text"), [("6", "a cat"), ("7", "a cat"), ("20", None), ("99", None)])
def test_of_a_guider_with_two_prompts_half_is_never_the_whole(second: str, text: str | None) -> None:
    links = {"cond1": ["6", 0], "cond2": [second, 0], "negative": ["7", 0]}
    graph = basic(
        _3=node("SamplerCustomAdvanced", noise=["31", 0], guider=["30", 0], sampler=["99", 0], sigmas=["99", 0]),
        _20=node("CLIPTextEncode", text="a dog", clip=["4", 1]),
        _30=node("DualCFGGuider", model=["4", 0], cfg_conds=5, **links),
        _31=node("RandomNoise", noise_seed=3),
    )
    assert inputs_of(graph)["positive"] == text


def test_guidance_that_is_switched_off_or_differs_is_not_recorded() -> None:
    flux = node("CLIPTextEncodeFlux", clip=["4", 1], clip_l="a cat", t5xxl="a cat", guidance=3.5)
    assert prompts_of(node("FluxGuidance", conditioning=["6", 0], guidance=2), _6=flux) == ("a cat", 2)
    assert prompts_of(node("FluxDisableGuidance", conditioning=["6", 0]), _6=flux) == ("a cat", None)
    both = node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["20", 0])
    assert prompts_of(both, _6=flux) == ("a dog\na cat", None)


@pytest.mark.parametrize(("is_xl", "text"), [(False, "a cat"), (True, "g\nl"), (["99", 0], None)])
def test_an_encoder_with_texts_that_it_does_not_use(is_xl: Any, text: str | None) -> None:
    given = {"text": "a cat", "text_g": "g", "text_l": "l", "with_SDXL": is_xl}
    assert prompts_of(node("smZ CLIPTextEncode", **given, clip=["4", 1]))[0] == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (node("Text Multiline", text="a\n# note\n  # more\nb\n"), "a\nb"),
        (node("Text Multiline", text="a [time] b"), None),
        (node("StringConstantMultiline", string="a b", strip_newlines=True), "a b"),
        (node("StringConstantMultiline", string="a\nb", strip_newlines=True), None),
        (node("StringConstantMultiline", string="a\nb", strip_newlines=False), None),
        (node("StringConstantMultiline", string=" a ", strip_newlines=True), None),
        (node("CR Text Input Switch", Input=2, text1="no", text2="yes"), "yes"),
        (node("StringConcatenate", string_a="a", string_b=["23", 0], delimiter=" "), "a b"),
    ],
)
def test_a_text_is_what_its_node_makes_of_it_or_null(source: Graph, text: str | None) -> None:
    graph = basic(_6=node("CLIPTextEncode", text=["22", 0], clip=["4", 1]), _22=source)
    graph["23"] = node("Text Multiline", text="#\nb")
    assert inputs_of(graph)["positive"] == text


def test_a_detailer_s_own_prompt_takes_the_place_of_the_given_one() -> None:
    given = {**sampler()["inputs"], "image": ["8", 0], "wildcard": ""}
    graph = basic(_9=node("SaveImage", images=["20", 0]), _20=node("FaceDetailer", **given))
    assert inputs_of(graph)["positive"] == "a cat"
    graph["20"]["inputs"]["wildcard"] = "face of bob <lora:x:1>"
    assert (inputs_of(graph)["positive"], inputs_of(graph)["loras"]) == (None, None)


def test_a_sampler_that_a_script_drives_was_not_told_its_own_values() -> None:
    efficient = {**sampler(script=["20", 0]), "class_type": "KSampler (Efficient)"}
    found = inputs_of(basic(_3=efficient, _20=node("XY Plot", grid_spacing=0)))
    assert found == {**dict.fromkeys(found), "images": [], "other_models": ["sub/dream.safetensors"]}


# models and LoRAs


def loras_of(between: Graph, **nodes: Any) -> Any:
    found = inputs_of(basic(_3=sampler(model=["20", 0]), _20=between, **nodes))
    loras = found["loras"]
    return loras and [(each["name"], each["strength"]) for each in loras]


LINKS: dict[str, Any] = {"model": ["4", 0], "clip": ["4", 1]}


@pytest.mark.parametrize(
    ("between", "loras"),
    [
        (node("CR Load LoRA", switch="On", lora_name="x", strength_model=0.7, **LINKS), [("x", 0.7)]),
        (node("CR Load LoRA", switch="Off", lora_name="x", strength_model=0.7, **LINKS), []),
        (node("CR Load LoRA", switch=["99", 0], lora_name="x", strength_model=0.7, **LINKS), None),
        (node("LoraTagLoader", text="a <lora:foo:0.8>", **LINKS), None),
        (node("ImpactWildcardEncode", populated_text="a <lora:foo:0.8>", wildcard_text="", **LINKS), None),
        (node("ImpactWildcardEncode", populated_text="a cat", wildcard_text="", **LINKS), []),
        (node("ImpactWildcardEncode", populated_text=["99", 0], wildcard_text="", **LINKS), None),
        (node("SomebodysLoraPatch", amount=1, **LINKS), None),
        (node("FreeU_V2", model=["4", 0], b1=1.3), []),
        (node("WanVideoModelLoader", model="wan", lora=["99", 0]), None),
        (node("Power Lora Loader (rgthree)", **LINKS), []),
        (node("Power Lora Loader (rgthree)", lora_1={"on": ["9", 0], "lora": "x", "strength": 1}, **LINKS), None),
    ],
)
def test_loras_are_those_that_were_applied_or_unknown(between: Graph, loras: Any) -> None:
    assert loras_of(between) == loras


ROW = {"lora_1_name": "x", "lora_1_strength": 0.7, "lora_1_model_strength": 1.0, "lora_1_clip_strength": 1.0}


@pytest.mark.parametrize(
    ("stack", "loras"),
    [
        ({"toggle": True, "mode": "simple", "num_loras": 1, **ROW}, [("x", 0.7)]),
        ({"toggle": True, "mode": "advanced", "num_loras": 1, **ROW}, [("x", 1.0)]),
        ({"toggle": True, "num_loras": 1, **ROW}, [("x", None)]),
        ({"toggle": False, "mode": "simple", "num_loras": 1, "optional_lora_stack": ["22", 0], **ROW}, []),
        ({"toggle": ["99", 0], "mode": "simple", "num_loras": 1, **ROW}, None),
        ({"toggle": True, "mode": ["99", 0], "num_loras": 1, **ROW}, None),
        ({"toggle": True, "mode": "simple", "num_loras": ["99", 0], **ROW}, None),
        ({"switch_1": ["99", 0], "lora_name_1": "x", "model_weight_1": 1}, None),
        ({"chance_1": 0.5, "switch_1": "On", "lora_name_1": "x", "model_weight_1": 1}, None),
        ({"lora_name_1": "x", "model_weight_1": 1, "lora_stack": ["99", 0]}, None),
    ],
)
def test_a_stack_is_read_as_its_node_does_it(stack: Graph, loras: Any) -> None:
    before = node("CR LoRA Stack", switch_1="On", lora_name_1="before", model_weight_1=1)
    apply = node("CR Apply LoRA Stack", lora_stack=["21", 0], **LINKS)
    assert loras_of(apply, _21=node("easy loraStack", **stack), _22=before) == loras


@pytest.mark.parametrize(
    ("between", "model"),
    [
        (node("ModelMergeSwitch", model=["4", 0], model2=["21", 0], use_second=True), None),
        (node("ModelMergeSwitch", model=["4", 0], model2=["4", 0], use_second=True), "sub/dream.safetensors"),
        (node("CR Model Input Switch", Input=2, model1=["4", 0], model2=["21", 0]), "other"),
        (node("CR Model Input Switch", Input=["99", 0], model1=["4", 0], model2=["21", 0]), None),
        (node("QwenImageDiffsynthControlnet", model=["4", 0], model_patch=["99", 0]), "sub/dream.safetensors"),
    ],
)
def test_of_models_that_are_switched_only_the_chosen_one_is_read(between: Graph, model: str | None) -> None:
    graph = basic(_3=sampler(model=["20", 0]), _20=between, _21=node("CheckpointLoaderSimple", ckpt_name="other"))
    assert inputs_of(graph)["model"] == model


# the UI graph


@pytest.mark.parametrize("text", ["a {red|blue} cat", "a cat /* note */", "a cat // note", "a \\{cat\\}"])
def test_a_text_that_the_editor_replaces_parts_of_is_read_of_the_api_graph_alone(text: str) -> None:
    graph = ui_basic()
    ui_node(graph, 6)["widgets_values"] = [text]
    assert (ui_of(graph)["positive"], ui_of(graph)["negative"]) == (None, "bad")
    assert inputs_of(basic(_6=node("CLIPTextEncode", text=text, clip=["4", 1])))["positive"] == text


def test_half_a_prompt_is_null_where_the_other_half_is_unknown() -> None:
    graph = ui_basic()
    ui_node(graph, 6).update(type="CLIPTextEncodeFlux", widgets_values=["cat", "{a|b}", 3.5])
    assert ui_of(graph)["positive"] is None


def instance(names: list[str], values: list[Any]) -> Graph:
    kinds = {"seed": "INT", "text": "STRING", "steps": "INT"}
    inner = {
        "id": "S",
        "inputs": [{"name": name, "type": kind} for name, kind in kinds.items()],
        "nodes": [
            {"id": 6, "type": "CLIPTextEncode", "inputs": [{"name": "text", "link": 2}], "widgets_values": ["in"]},
            {
                "id": 3,
                "type": "KSampler",
                "inputs": [{"name": "seed", "link": 1}, {"name": "positive", "link": 4}, {"name": "steps", "link": 3}],
                "widgets_values": [1, "fixed", 20, 8, "euler", "normal", 1],
            },
        ],
        "links": [[1, -10, 0, 3, 0], [2, -10, 1, 6, 0], [3, -10, 2, 3, 2], [4, 6, 0, 3, 1], [5, 3, 0, -20, 0]],
    }
    sockets = [{"name": name, "type": kinds[name], "link": None, "widget": {"name": name}} for name in names]
    nodes = [
        {"id": 1, "type": "S", "inputs": sockets, "widgets_values": values},
        {"id": 9, "type": "SaveImage", "inputs": [{"name": "images", "link": 9}]},
    ]
    return {"nodes": nodes, "links": [[9, 1, 0, 9, 0]], "definitions": {"subgraphs": [inner]}}


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        (["seed", "text", "steps"], [555, "hello", 9], (555, "hello", 9)),
        (["steps", "seed", "text"], [555, "hello", 9], (None, None, None)),
        (["steps", "seed"], [555, 9], (None, None, None)),
        (["seed", "text", "steps"], [555, "randomize", "hello"], (None, None, None)),
        (["seed", "text"], [555, "randomize"], (None, None, None)),
    ],
)
def test_an_instance_s_values_are_read_where_their_places_are_certain(
    names: list[str], values: list[Any], expected: tuple[Any, ...]
) -> None:
    found = ui_of(instance(names, values))
    assert tuple(found[key] for key in ("seed", "positive", "steps")) == expected


# time


def tower(deep: int, wide: int) -> Graph:
    definitions = [
        {"id": f"d{n}", "nodes": [{"id": m, "type": f"d{n + 1}"} for m in range(wide)] if n < deep - 1 else []}
        for n in range(deep)
    ]
    nodes = [{"id": m, "type": "d0"} for m in range(wide)]
    return {"nodes": nodes, "links": [], "definitions": {"subgraphs": definitions}}


def chain(length: int, parts: int, step: int = 0) -> Graph:
    """Parts of one run, each of which has the same long chain of models, or begins further up in it."""
    graph = {f"m{n}": node("ModelPatch", model=[f"m{n - 1}", 0]) for n in range(1, length)}
    graph["m0"] = node("CheckpointLoaderSimple", ckpt_name="x")
    for n in range(parts):
        latent = [f"s{n - 1}", 0] if n else ["z", 0]
        given = {"noise_seed": 1, "steps": 2, "cfg": 3, "model": [f"m{length - 1 - n * step}", 0]}
        graph[f"s{n}"] = node("KSamplerAdvanced", add_noise="disable", latent_image=latent, **given)
    graph["save"] = node("SaveImage", images=[f"s{parts - 1}", 0])
    return graph


def bypassed(length: int, count: int) -> Graph:
    """Nodes that all get their input through the same long chain of bypassed nodes, each with many sockets."""
    sockets = [{"name": f"a{n}", "type": "*", "link": 0} for n in range(100)]
    nodes: list[Graph] = [
        {"id": n, "type": "X", "mode": 4, "inputs": [{"name": "a", "type": "*", "link": n}, *sockets]}
        for n in range(length)
    ]
    nodes += [{"id": f"k{n}", "type": "X", "inputs": [{"name": "a", "type": "*", "link": 0}]} for n in range(count)]
    return {"nodes": nodes, "links": [[n, n + 1, 0, n, 0, "*"] for n in range(length)]}


@pytest.mark.parametrize(
    ("api", "ui"),
    [
        (None, tower(7, 20)),
        (None, bypassed(100, 20_000)),
        (chain(3000, 60), None),
        (chain(20_000, 100, step=100), None),
    ],
    ids=["subgraphs", "bypassed", "one chain", "many chains"],
)
def test_what_repeats_itself_is_not_walked_without_end(api: Graph | None, ui: Graph | None) -> None:
    began = time.process_time()
    assert comfyui.from_graphs(api, ui) is not None
    assert time.process_time() - began < 3


def test_of_a_graph_that_takes_too_long_nothing_is_known() -> None:
    found = comfyui.from_graphs(chain(20_000, 100, step=100), None)
    assert found is not None and set(found.inputs.values()) == {None}
