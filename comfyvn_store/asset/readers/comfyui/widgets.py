"""ComfyUI's UI graph, translated as far as it is soundly known to an API graph.

Owns the tables of widgets: a UI graph lists a node's widget values by position, and only the node's program
knows their names. Of a node that is not in the table the links are kept and the values are not.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from comfyvn_store.asset.readers.comfyui import graph, subgraphs
from comfyvn_store.asset.readers.comfyui.prompts import TEXT_NAMES

# LiteGraph's node modes: never run (muted), and passed by (its inputs go straight to its outputs).
_MUTED = 2
_BYPASSED = 4

_CONTROL = "+"

# What the editor makes something else of when it sends a text: one of {several|words}, comments, escaped braces.
_DYNAMIC = re.compile(r"\{|\\\}|/\*|//")
_TEXTS = frozenset((*TEXT_NAMES, "negative", "positive", "string", "string_a", "string_b", "value"))

# Names in the order of the node's definition (ComfyUI's nodes.py and comfy_extras), with a space between; `+` stands for
# the menu that the editor puts after a seed (what becomes of it after each run). A node that gained widgets over the years
# gained them at the end, so a shorter list of values is a shorter list of names.
_WIDGETS: Mapping[str, str] = {
    "AlignYourStepsScheduler": "model_type steps denoise",
    "BasicScheduler": "scheduler steps denoise",
    "BetaSamplingScheduler": "steps alpha beta",
    "CFGGuider": "cfg",
    "CLIPTextEncode": "text",
    "CLIPTextEncodeControlnet": "text",
    "CLIPTextEncodeFlux": "clip_l t5xxl guidance",
    "CLIPTextEncodeHiDream": "clip_l clip_g t5xxl llama",
    "CLIPTextEncodeHunyuanDiT": "bert mt5xl",
    "CLIPTextEncodeLumina2": "system_prompt user_prompt",
    "CLIPTextEncodePixArtAlpha": "width height text",
    "CLIPTextEncodeSD3": "clip_l clip_g t5xxl empty_padding",
    "CLIPTextEncodeSDXL": "width height crop_w crop_h target_width target_height text_g text_l",
    "CLIPTextEncodeSDXLRefiner": "ascore width height text",
    "CR LoRA Stack": (
        "switch_1 lora_name_1 model_weight_1 clip_weight_1 switch_2 lora_name_2 "
        "model_weight_2 clip_weight_2 switch_3 lora_name_3 model_weight_3 clip_weight_3"
    ),
    "CheckpointLoader": "config_name ckpt_name",
    "CheckpointLoaderNF4": "ckpt_name",
    "CheckpointLoaderSimple": "ckpt_name",
    "DiffusersLoader": "model_path",
    "DualCFGGuider": "cfg_conds cfg_cond2_negative style",
    "ExponentialScheduler": "steps sigma_max sigma_min",
    "FloatConstant": "value",
    "Flux2Scheduler": "steps width height",
    "FluxGuidance": "guidance",
    "INTConstant": "value",
    "ImageOnlyCheckpointLoader": "ckpt_name",
    "KSampler": "seed + steps cfg sampler_name scheduler denoise",
    "KSamplerAdvanced": (
        "add_noise noise_seed + steps cfg sampler_name scheduler start_at_step end_at_step return_with_leftover_noise"
    ),
    "KSamplerSelect": "sampler_name",
    "KarrasScheduler": "steps sigma_max sigma_min rho",
    "LTXVScheduler": "steps max_shift base_shift stretch terminal",
    "LaplaceScheduler": "steps sigma_max sigma_min mu beta",
    "LoadAudio": "audio",
    "LoadImage": "image",
    "LoadImageMask": "image channel",
    "LoadImageOutput": "image",
    "LoadVideo": "file",
    "Lora Loader Stack (rgthree)": ("lora_01 strength_01 lora_02 strength_02 lora_03 strength_03 lora_04 strength_04"),
    "LoraLoader": "lora_name strength_model strength_clip",
    "LoraLoaderModelOnly": "lora_name strength_model",
    "PerpNegGuider": "cfg neg_scale",
    "PolyexponentialScheduler": "steps sigma_max sigma_min rho",
    "PrimitiveFloat": "value",
    "PrimitiveInt": "value +",
    "PrimitiveString": "value",
    "PrimitiveStringMultiline": "value",
    "RandomNoise": "noise_seed +",
    "SDTurboScheduler": "steps denoise",
    "SamplerCustom": "add_noise noise_seed + cfg",
    "SamplerDPMPP_2M_SDE": "solver_type eta s_noise noise_device",
    "SamplerDPMPP_3M_SDE": "eta s_noise noise_device",
    "SamplerDPMPP_SDE": "eta s_noise r noise_device",
    "Seed (rgthree)": "seed",
    "StringConcatenate": "string_a string_b delimiter",
    "StringConstant": "string",
    "StringConstantMultiline": "string strip_newlines",
    "TextEncodeAceStepAudio": "tags lyrics lyrics_strength",
    "TextEncodeQwenImageEdit": "prompt",
    "TextEncodeQwenImageEditPlus": "prompt",
    "UNETLoader": "unet_name weight_dtype",
    "UnetLoaderGGUF": "unet_name",
    "VPScheduler": "steps beta_d beta_min eps_s",
    "unCLIPCheckpointLoader": "ckpt_name",
}


class _Socket(NamedTuple):
    """An input that is wired: its place among the node's inputs, where its link comes from, and its type."""

    place: int
    node: str
    slot: int
    kind: object


def api_graph(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Translates a UI graph; nodes keep their order.

    Muted nodes are left out, links lead past bypassed nodes and reroutes, a primitive's value is put in.
    Tolerates any shape: what cannot be understood is left out, or None where only its value is unknown, as of a text that
    the editor replaces parts of. Subgraphs are opened. A graph with more links than `graph.MOST_INPUTS` gives no nodes,
    nor does one that takes too long to walk.
    """
    try:
        return _api_graph(subgraphs.opened(workflow))
    except graph.Exhausted:
        return {}


def _api_graph(workflow: Mapping[str, Any]) -> dict[str, Any]:
    nodes = {_key(node["id"]): node for node in _dicts(workflow.get("nodes")) if "id" in node}
    links = _links(workflow.get("links"))
    wired = {key: _sockets(node, links) for key, node in nodes.items()}
    if sum(len(sockets) for sockets in wired.values()) > graph.MOST_INPUTS:
        return {}
    result = {}
    budget = graph.Budget()
    for key, node in nodes.items():
        kind = node.get("type")
        if isinstance(kind, str) and node.get("mode") not in (_MUTED, _BYPASSED):
            inputs = _widget_values(kind, node.get("widgets_values"))
            for name, socket in wired[key].items():
                value = _origin(nodes, wired, socket, budget)
                # The widget of a wired input leaves its last value in the list.
                if value is not None or name in inputs:
                    inputs[name] = value
            result[key] = {"class_type": kind, "inputs": {n: _sent(n, value) for n, value in inputs.items()}}
    return result


def _sent(name: str, value: Any) -> Any:
    is_dynamic = name in _TEXTS and isinstance(value, str) and _DYNAMIC.search(value)
    return None if is_dynamic else value


def _origin(
    nodes: Mapping[str, Any], wired: Mapping[str, Mapping[str, _Socket]], socket: _Socket, budget: graph.Budget
) -> Any:
    """What an input gets: a link to the node that really gives it, a primitive's value, or None."""
    current: _Socket | None = socket
    for _ in range(graph.MOST_HOPS):
        node = nodes.get(current.node) if current is not None else None
        if current is None or node is None or node.get("mode") == _MUTED:
            return None
        budget.spend()
        if node.get("mode") == _BYPASSED:
            budget.spend(min(len(wired[current.node]), graph.MOST_HOPS))
            current = _beyond(wired[current.node], current)
        elif node.get("type") == "Reroute":
            current = next(iter(wired[current.node].values()), None)
        elif node.get("type") == "PrimitiveNode":
            values = node.get("widgets_values")
            value = values[0] if isinstance(values, list) and values else None
            return value if isinstance(value, str | int | float) else None
        else:
            return [current.node, current.slot]
    return None


def _beyond(sockets: Mapping[str, _Socket], wanted: _Socket) -> _Socket | None:
    """The input that a bypassed node hands on: of its type, the one at the output's place, else the first."""
    same = [socket for socket in islice(sockets.values(), graph.MOST_HOPS) if socket.kind == wanted.kind]
    return next((socket for socket in same if socket.place == wanted.slot), same[0] if same else None)


def _sockets(node: Mapping[str, Any], links: Mapping[str, tuple[str, int]]) -> dict[str, _Socket]:
    sockets = {}
    for place, entry in enumerate(_dicts(node.get("inputs"))):
        origin = links.get(_key(entry.get("link")))
        if origin is not None:
            name = entry.get("name")
            key = name if isinstance(name, str) else str(place)
            sockets[key] = _Socket(place, *origin, entry.get("type"))
    return sockets


def _links(links: Any) -> dict[str, tuple[str, int]]:
    """Link id to origin node and slot. A link is a list (format 0.4) or an object (format 1.0)."""
    origins = {}
    for link in links if isinstance(links, list) else ():
        if isinstance(link, list) and len(link) >= 3:
            number, node, slot = link[:3]
        elif isinstance(link, dict):
            number, node, slot = link.get("id"), link.get("origin_id"), link.get("origin_slot")
        else:
            continue
        if isinstance(slot, int) and slot >= 0:
            origins[_key(number)] = (_key(node), slot)
    origins.pop("", None)
    return origins


def _widget_values(kind: str, values: Any) -> dict[str, Any]:
    if isinstance(values, dict):  # some node packs write names
        return {name: value for name, value in values.items() if isinstance(value, str | int | float)}
    if kind == "Power Lora Loader (rgthree)" and isinstance(values, list):  # an object for each row, and others
        rows = [value for value in values if isinstance(value, dict) and "lora" in value]
        return {f"lora_{number}": row for number, row in enumerate(rows, start=1)}
    names = _WIDGETS.get(kind)
    if names is None or not isinstance(values, list):
        return {}
    named = dict(zip(names.split(), values, strict=False))
    # The oldest graphs have no such menu: every value after it would be off by one.
    control = named.pop(_CONTROL, "fixed")
    return named if isinstance(control, str | bool) else {}


def _key(identifier: Any) -> str:
    """Ids are numbers or texts, and a link may name as one what the node has as the other."""
    return str(identifier) if isinstance(identifier, str | int | float) else ""


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
