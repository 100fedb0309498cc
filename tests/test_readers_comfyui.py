"""Generators are recognised by their texts, workflows hashed alike, and no text makes the reading fail."""

import copy
import hashlib
import json
import math
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyvn_store.asset.readers import Reading, comfyui, read_generation
from tests import media
from tests.graphs import (
    KEYS,
    MORE,
    Graph,
    basic,
    inputs_of,
    node,
    png_texts,
    read_texts,
    sampler,
    ui_basic,
    ui_node,
    ui_of,
)


def test_a_picture_as_comfyui_saves_it_is_read() -> None:
    generation = read_generation(png_texts(media.comfy_png(seed=7)))
    assert generation is not None
    assert (generation.source, generation.inputs["seed"]) == ("comfyui", 7)
    assert generation.workflow_hash == comfyui.workflow_hash(media.comfy_prompt(seed=8))
    assert generation.prompt == media.comfy_prompt(seed=7)
    assert generation.workflow == media.comfy_workflow(media.comfy_prompt(seed=7))


# hashes and recognition


def canonical_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_workflow_hash_is_of_the_canonical_graph_without_its_seeds() -> None:
    graph = {"2": node("B", noise_seed=1, seed=2, text="ü", cfg=1.0), "10": node("A", x=["2", 0])}
    first = '"10":{"class_type":"A","inputs":{"x":["2",0]}}'
    second = '"2":{"class_type":"B","inputs":{"cfg":1.0,"text":"ü"}}'
    assert comfyui.workflow_hash(graph) == canonical_hash(f"{{{first},{second}}}")
    assert graph["2"]["inputs"]["seed"] == 2


def test_pictures_of_one_batch_share_the_hash_and_others_do_not() -> None:
    assert comfyui.workflow_hash(basic(_3=sampler(seed=1))) == comfyui.workflow_hash(basic(_3=sampler(seed=2)))
    assert comfyui.workflow_hash(basic(_3=sampler(steps=21))) != comfyui.workflow_hash(basic())


def test_a_ui_graph_is_hashed_whole() -> None:
    graph = ui_basic()
    generation = read_texts({"workflow": json.dumps(graph, indent=1)})
    assert generation is not None
    text = json.dumps(graph, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert generation.workflow_hash == comfyui.workflow_hash(graph) == canonical_hash(text)


def test_nan_in_a_graph_is_hashed_and_never_reported() -> None:
    graph = basic(_3=sampler(cfg=math.nan))
    graph["4"]["is_changed"] = [math.nan]
    generation = read_texts({"prompt": json.dumps(graph)})
    assert generation is not None
    assert '"is_changed": [NaN]' in json.dumps(graph)
    assert generation.inputs["cfg"] is None
    assert generation.workflow_hash == comfyui.workflow_hash(graph)
    json.dumps(generation.inputs, allow_nan=False)


def test_a_lone_surrogate_is_hashed_and_replaced_in_the_inputs() -> None:
    text = json.dumps(basic(_6=node("CLIPTextEncode", text="a \ud83d cat \ud83d\ude00", clip=["4", 1])))
    generation = read_texts({"prompt": text})
    assert generation is not None and generation.workflow_hash is not None
    assert generation.inputs["positive"] == "a \ufffd cat \U0001f600"


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"parameters": "a cat\nSteps: 20"},
        {"prompt": "a plain text"},
        {"prompt": "{"},
        {"prompt": "[1, 2]"},
        {"prompt": "{}"},
        {"prompt": '{"3": {"class_type": "KSampler"}}'},
        {"prompt": '{"3": 1, "4": {"class_type": "A", "inputs": {}}}'},
        {"workflow": '{"nodes": [], "links": []}'},
        {"workflow": '{"nodes": [{"id": 1, "type": "A"}], "edges": []}'},
        {"prompt": "[" * 100_000},
        {"prompt": '{"1": {"class_type": "A", "inputs": {"a": ' + "[" * 500 + "]" * 500 + "}}}"},
        {"prompt": '{"1": {"class_type": "A", "inputs": {"a": ' + "9" * 5000 + "}}}"},
        {"prompt": json.dumps(basic()) + " " * comfyui.LONGEST_TEXT},
    ],
    ids=lambda texts: str(texts)[:60],
)
def test_what_is_no_graph_is_no_generation(texts: dict[str, str]) -> None:
    assert read_generation(texts) is None


def test_a_broken_text_leaves_the_other_one() -> None:
    generation = read_texts({"prompt": json.dumps(basic()), "workflow": "{"})
    assert generation is not None and generation.workflow is None
    generation = read_texts({"prompt": "{", "workflow": json.dumps(ui_basic())})
    assert generation is not None and generation.inputs["graph"] == "workflow"


def test_graphs_from_a_file_are_read_like_those_of_a_picture() -> None:
    prompt, workflow = basic(), ui_basic()
    before = copy.deepcopy((prompt, workflow))
    generation = comfyui.from_graphs(comfyui.parse(json.dumps(prompt)), workflow)
    assert generation == Reading("comfyui", comfyui.workflow_hash(prompt), inputs_of(prompt), prompt, workflow)
    assert (prompt, workflow) == before
    assert comfyui.from_graphs(workflow, prompt) is None


def test_a_generator_is_imported_only_for_texts_with_its_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, comfyui.__name__)
    assert read_generation({"Software": "paint"}) is None
    assert comfyui.__name__ not in sys.modules


# the UI graph


def test_a_ui_graph_is_read_where_there_is_no_api_graph() -> None:
    expected = {
        "seed": 99,
        "model": "dream",
        "sampler": "euler",
        "scheduler": "normal",
        "steps": 20,
        "cfg": 7,
    }
    expected |= {
        "denoise": 1,
        "positive": "cat",
        "negative": "bad",
        "loras": [{"name": "a", "strength": 0.5}],
    }
    assert ui_of(ui_basic()) == {**expected, "images": []}


def test_both_graphs_of_a_picture_say_the_same() -> None:
    prompt = media.comfy_prompt()
    assert ui_of(media.comfy_workflow(prompt)) == inputs_of(prompt)


def test_a_link_may_be_an_object() -> None:
    graph = ui_basic()
    graph["links"] = [
        {"id": link[0], "origin_id": link[1], "origin_slot": link[2], "type": link[5]} for link in graph["links"]
    ]
    assert ui_of(graph) == ui_of(ui_basic())


def test_a_bypassed_node_hands_on_and_a_muted_one_does_not() -> None:
    graph = ui_basic()
    ui_node(graph, 12)["mode"] = 4
    found = ui_of(graph)
    assert (found["model"], found["loras"]) == ("dream", [])
    ui_node(graph, 12)["mode"] = 2
    found = ui_of(graph)
    assert (found["model"], found["loras"], found["seed"]) == (None, None, 99)


def test_a_muted_output_does_not_count() -> None:
    graph = ui_basic()
    graph["nodes"].append({"id": 20, "type": "SaveImage", "mode": 2, "inputs": []})
    graph["nodes"].append({"id": 21, "type": "KSampler", "widgets_values": [5, "fixed", 9, 1, "lcm", "beta", 1]})
    ui_node(graph, 9)["type"] = "PreviewImage"
    assert ui_of(graph)["seed"] == 99


def test_widget_values_of_an_unknown_order_are_not_read() -> None:
    graph = ui_basic()
    ui_node(graph, 3)["widgets_values"] = [1, 20, 7, "euler", "normal", 1]  # without the menu after the seed
    ui_node(graph, 4)["type"] = "SomebodysCheckpointLoader"
    found = ui_of(graph)
    assert [found[key] for key in ("steps", "cfg", "sampler", "scheduler", "denoise", "model")] == [None] * 6
    assert (found["seed"], found["positive"]) == (99, "cat")


def test_widget_values_with_names_are_read() -> None:
    graph = ui_basic()
    ui_node(graph, 4).update(type="SomebodysCheckpointLoader", widgets_values={"ckpt_name": "named"})
    assert ui_of(graph)["model"] == "named"


# rubbish

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
links = st.tuples(st.sampled_from("0123456789") | st.integers(0, 9), st.integers(-1, 3)).map(list)
jsonish = st.recursive(
    scalars | links,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
KINDS = [
    "KSampler",
    "SamplerCustomAdvanced",
    "SaveImage",
    "PreviewImage",
    "Reroute",
    "LoraLoader",
    "LoadImage",
    "X",
]
KINDS += [
    "CLIPTextEncode",
    "ConditioningCombine",
    "ControlNetApplyAdvanced",
    "CheckpointLoaderSimple",
    "BasicScheduler",
]
KINDS += ["PrimitiveInt", "PrimitiveNode", "SplitSigmas", "CFGGuider", "Power Lora Loader (rgthree)"]
NAMES = [
    "seed",
    "noise_seed",
    "model",
    "positive",
    "negative",
    "conditioning",
    "text",
    "clip",
    "sigmas",
    "guider",
]
NAMES += [
    "sampler",
    "steps",
    "cfg",
    "lora_name",
    "strength_model",
    "ckpt_name",
    "image",
    "images",
    "value",
    "samples",
]
graphs = st.dictionaries(
    st.sampled_from("0123456789"),
    jsonish
    | st.fixed_dictionaries(
        {
            "class_type": st.sampled_from(KINDS),
            "inputs": st.dictionaries(st.sampled_from(NAMES), links | jsonish, max_size=8),
        }
    ),
    max_size=10,
)
ui_nodes = st.fixed_dictionaries(
    {"id": st.integers(0, 9) | jsonish, "type": st.sampled_from(KINDS) | jsonish},
    optional={
        "mode": st.sampled_from([0, 2, 4]) | jsonish,
        "widgets_values": st.lists(scalars, max_size=8) | jsonish,
        "inputs": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(NAMES), "link": st.integers(0, 9) | jsonish, "type": jsonish}
            ),
            max_size=4,
        )
        | jsonish,
    },
)
ui_links = st.lists(st.integers(0, 9) | jsonish, min_size=3, max_size=6)
ui_graphs = st.fixed_dictionaries(
    {"nodes": st.lists(ui_nodes | jsonish, max_size=8), "links": st.lists(ui_links | jsonish, max_size=9)}
)


def check_sound(generation: Reading | None) -> None:
    if generation is None:
        return
    assert [key for key in generation.inputs if key not in ("graph", *MORE)] == KEYS
    assert generation.workflow_hash is not None and len(generation.workflow_hash) == 64
    json.dumps(generation.inputs, allow_nan=False, ensure_ascii=False).encode()
    for key in ("seed", "steps"):
        assert generation.inputs[key] is None or type(generation.inputs[key]) is int
    for key in ("model", "sampler", "scheduler", "positive", "negative"):
        assert generation.inputs[key] is None or isinstance(generation.inputs[key], str)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(graphs)
def test_any_api_graph_is_read_without_raising(graph: Graph) -> None:
    check_sound(read_generation({"prompt": json.dumps(graph)}))


@given(ui_graphs)
def test_any_ui_graph_is_read_without_raising(graph: Graph) -> None:
    check_sound(read_generation({"workflow": json.dumps(graph)}))


@given(jsonish, jsonish)
def test_any_json_is_read_without_raising(prompt: Any, workflow: Any) -> None:
    check_sound(read_generation({"prompt": json.dumps(prompt), "workflow": json.dumps(workflow)}))


@given(st.integers(0, 1200), st.text(max_size=4))
def test_a_truncated_text_is_read_without_raising(length: int, tail: str) -> None:
    check_sound(read_generation({"prompt": json.dumps(basic())[:length] + tail, "workflow": tail}))
