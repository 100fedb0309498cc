"""What one ComfyUI sampler was told: its numbers, and what its model and its prompts come from.

Owns the meaning of the nodes above a sampler. What cannot be resolved is None, never a guess.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value
from comfyvn_store.asset.readers.comfyui.models import Lora, model
from comfyvn_store.asset.readers.comfyui.prompts import guidance, prompt

_SAME_STEPS = frozenset(("FlipSigmas", "SetFirstSigma", "SplitSigmas", "SplitSigmasDenoise"))
_SAME_DENOISE = frozenset(("FlipSigmas", "SetFirstSigma"))

# Nodes that are one sampler or one schedule, by the name under which ComfyUI's lists have it (nodes_custom_sampler.py).
_SAMPLER_NODES: Mapping[str, str] = {
    "SamplerDPMAdaptative": "dpm_adaptive",
    "SamplerDPMPP_2S_Ancestral": "dpmpp_2s_ancestral",
    "SamplerER_SDE": "er_sde",
    "SamplerEulerAncestral": "euler_ancestral",
    "SamplerEulerAncestralCFGPP": "euler_ancestral_cfg_pp",
    "SamplerLMS": "lms",
    "SamplerSASolver": "sa_solver",
    "SamplerSEEDS2": "seeds_2",
}
# Those that have one name for each device on which the noise is made.
_ON_A_DEVICE: Mapping[str, str] = {
    "SamplerDPMPP_2M_SDE": "dpmpp_2m_sde",
    "SamplerDPMPP_3M_SDE": "dpmpp_3m_sde",
    "SamplerDPMPP_SDE": "dpmpp_sde",
}
_SCHEDULE_NODES: Mapping[str, str] = {
    "BetaSamplingScheduler": "beta",
    "ExponentialScheduler": "exponential",
    "KarrasScheduler": "karras",
}


class Settings(NamedTuple):
    """What a sampler was told; None is unknown. `refiner` is the model of the sampler that went on with its work."""

    seed: Value
    model: Value
    loras: tuple[Lora, ...]
    sampler: Value
    scheduler: Value
    steps: Value
    cfg: Value
    denoise: Value
    positive: Value
    negative: Value
    guidance: Value = None
    refiner: Value = None


def read_settings(nodes: Nodes, sampler: Node) -> Settings:
    """Reads what a sampler was told, together with those before it whose noise it only goes on to remove.

    Such parts are one run, as with SDXL's refiner or Wan's two models: the seed is that of the part that made the noise,
    the model that of the first part, and the other values stand where all parts agree.
    """
    parts = [_settings(nodes, sampler)]
    current = sampler
    for _ in range(graph.MOST_HOPS):
        before = _linked(nodes, current, "latent_image")
        if (
            before is None
            or before is current
            or not _adds_no_noise(nodes, current)
            or "latent_image" not in before.inputs
        ):
            break
        current = before
        parts.insert(0, _settings(nodes, current))
    return parts[0] if len(parts) == 1 else _run(parts)


def _run(parts: list[Settings]) -> Settings:
    first, last = parts[0], parts[-1]
    loras = tuple(dict.fromkeys(lora for part in parts for lora in part.loras))
    agreed = {
        name: value if all(getattr(part, name) == value for part in parts) else None
        for name, value in first._asdict().items()
        if name not in ("seed", "model", "loras", "refiner", "denoise")
    }
    refiner = last.model if last.model != first.model else None
    return first._replace(**agreed, loras=loras, refiner=refiner)


def _adds_no_noise(nodes: Nodes, sampler: Node) -> bool:
    noise = _linked(nodes, sampler, "noise")
    return sampler.inputs.get("add_noise") in ("disable", False) or (noise is not None and noise.kind == "DisableNoise")


def _settings(nodes: Nodes, sampler: Node) -> Settings:
    """Reads one sampler's inputs; SamplerCustom and SamplerCustomAdvanced have nodes of their own for some."""
    guider = _linked(nodes, sampler, "guider")
    noise = _linked(nodes, sampler, "noise")
    chosen = _linked(nodes, sampler, "sampler")
    schedule, has_steps, has_denoise = _schedule(nodes, sampler)

    def read(name: str, accept: graph.Accept, *candidates: Node | None) -> Value:
        return graph.value_of(nodes, _having(name, *candidates), name, accept)

    is_seeded = "seed" in sampler.inputs
    name, loras = model(nodes, _given("model", sampler, guider))
    texts = _linked(nodes, sampler, "text_embeds")  # Wan's wrapper has both prompts in one node
    positive = _given("positive", sampler, guider) or _given("conditioning", guider) or _given("cond1", guider)
    return Settings(
        seed=read("seed" if is_seeded else "noise_seed", reading.integer, sampler, noise),
        model=name,
        loras=loras,
        sampler=read("sampler_name", reading.text, sampler, chosen) or _sampler_of(chosen),
        scheduler=read("scheduler", reading.text, sampler, schedule) or _scheduler_of(schedule),
        steps=read("steps", reading.integer, sampler, schedule if has_steps else None),
        cfg=read("cfg", reading.number, sampler, guider),
        denoise=read("denoise", reading.number, sampler, schedule if has_denoise else None),
        positive=prompt(nodes, positive) if texts is None else read("positive_prompt", reading.text, texts),
        negative=prompt(nodes, _given("negative", sampler, guider))
        if texts is None
        else read("negative_prompt", reading.text, texts),
        guidance=guidance(nodes, positive),
    )


def _sampler_of(node: Node | None) -> str | None:
    if node is None:
        return None
    device = {"gpu": "_gpu", "cpu": ""}.get(str(node.inputs.get("noise_device")))
    if node.kind in _ON_A_DEVICE and device is not None:
        return _ON_A_DEVICE[node.kind] + device
    return _SAMPLER_NODES.get(node.kind)


def _scheduler_of(node: Node | None) -> str | None:
    return _SCHEDULE_NODES.get(node.kind) if node is not None else None


def _linked(nodes: Nodes, node: Node, name: str) -> Node | None:
    source = graph.source_of(nodes, node.inputs.get(name))
    return nodes[source.node] if source else None


def _having(name: str, *candidates: Node | None) -> Node | None:
    return next((node for node in candidates if node is not None and name in node.inputs), None)


def _given(name: str, *candidates: Node | None) -> Any:
    node = _having(name, *candidates)
    return None if node is None else node.inputs[name]


def _schedule(nodes: Nodes, sampler: Node) -> tuple[Node | None, bool, bool]:
    """The node that made the sigmas, and whether its steps and its denoise still hold.

    Nodes between may split, turn or stretch them. A split leaves the schedule's steps what they are, as
    KSamplerAdvanced does with `start_at_step`, but no longer its denoise.
    """
    node = _linked(nodes, sampler, "sigmas")
    has_steps = has_denoise = True
    for _ in range(graph.MOST_HOPS):
        if node is None or "sigmas" not in node.inputs:
            return node, has_steps, has_denoise
        has_steps = has_steps and node.kind in _SAME_STEPS
        has_denoise = has_denoise and node.kind in _SAME_DENOISE
        node = _linked(nodes, node, "sigmas")
    return None, False, False
