"""What one ComfyUI sampler was told: its numbers, and what its model and its prompts come from.

Owns the meaning of the nodes above a sampler. What cannot be resolved is None, never a guess.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph, latents
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value
from comfyvn_store.asset.readers.comfyui.loras import Loras, union
from comfyvn_store.asset.readers.comfyui.models import model
from comfyvn_store.asset.readers.comfyui.prompts import guidance, prompt, stage_c

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


_NOISE: Mapping[Value, bool] = {"enable": True, True: True, "disable": False, False: False}


class Settings(NamedTuple):
    """What a sampler was told; None is unknown. `refiner` is the model of the sampler that went on with its work."""

    seed: Value = None
    model: Value = None
    loras: Loras = None
    sampler: Value = None
    scheduler: Value = None
    steps: Value = None
    cfg: Value = None
    denoise: Value = None
    positive: Value = None
    negative: Value = None
    guidance: Value = None
    refiner: Value = None


def agreed(found: Iterable[Settings]) -> Settings:
    """Gives what several samplers were told alike; None for what they were told differently."""
    several = list(dict.fromkeys(found))
    values = zip(*several, strict=True)
    return Settings(*(each[0] if len(set(each)) == 1 else None for each in values))


def read_settings(nodes: Nodes, sampler: Node) -> Settings:
    """Reads what a sampler was told, together with those before it whose noise it only goes on to remove.

    Such parts are one run, as with SDXL's refiner or Wan's two models: the seed is that of the part that made the noise,
    the model that of the first part, and the other values stand where all parts agree. Of Stable Cascade's stages C and
    B the former makes the picture out of the prompt, and what it was told counts.
    """
    last = _read_run(nodes, sampler)
    links = stage_c(nodes, _positive(nodes, sampler))
    if not links:
        return last
    found = {before.name: before for before in (latents.before(nodes, each) for each in links)}
    stage = found.popitem()[1].sampler if len(found) == 1 else None
    first = Settings() if stage is None else _read_run(nodes, stage)
    return first._replace(loras=union(first.loras, last.loras), refiner=last.model)


def _read_run(nodes: Nodes, sampler: Node) -> Settings:
    parts: list[Settings] = []
    current: Node | None = sampler
    is_certain = True
    seen: set[int] = set()
    while current is not None:
        parts.insert(0, _settings(nodes, current))
        seen.add(current.place)
        noise = _adds_noise(nodes, current)
        if noise:
            break
        is_certain = is_certain and noise is False
        before = latents.before(nodes, latents.taken(current))
        current = before.sampler
        if current is None or current.place in seen or len(parts) > graph.MOST_HOPS:
            # Nothing made the noise, or a part that cannot be told, of which everything may be different.
            parts.insert(0, Settings() if before.name or current is not None else parts[0]._replace(seed=None))
            break
    run = parts[0] if len(parts) == 1 else _joined(parts)
    if is_certain:
        return run
    return agreed([run._replace(seed=None, refiner=None), parts[-1]._replace(seed=None)])


def _joined(parts: list[Settings]) -> Settings:
    first, last = parts[0], parts[-1]
    refiner = last.model if last.model != first.model else None
    return agreed(parts)._replace(
        seed=first.seed,
        model=first.model,
        loras=union(*(part.loras for part in parts)),
        denoise=first.denoise,
        refiner=refiner,
    )


def _adds_noise(nodes: Nodes, sampler: Node) -> bool | None:
    """Whether a sampler makes noise of its own, with its seed; None if that is unclear."""
    noise = _linked(nodes, sampler, "noise")
    if noise is not None and noise.kind == "DisableNoise":
        return False
    place = "add_noise"
    if sampler.kind == "WanVideoSampler" and graph.link(sampler.inputs.get("samples")):
        place = "add_noise_to_samples"
    if place not in sampler.inputs:
        return True
    return _NOISE.get(graph.value_of(nodes, sampler, place, _word))


def _word(value: Any) -> Value:
    return value if isinstance(value, str | bool) else None


def _settings(nodes: Nodes, sampler: Node) -> Settings:
    """Reads one sampler's inputs; SamplerCustom and SamplerCustomAdvanced have nodes of their own for some."""
    if graph.link(sampler.inputs.get("script")):  # Efficiency's scripts go through other values, or sample again
        return Settings()
    guider = _linked(nodes, sampler, "guider")
    noise = _linked(nodes, sampler, "noise")
    chosen = _linked(nodes, sampler, "sampler")
    schedule, has_steps, has_denoise = _schedule(nodes, sampler)

    def read(name: str, accept: graph.Accept, *candidates: Node | None) -> Value:
        return graph.value_of(nodes, _having(name, *candidates), name, accept)

    is_seeded = "seed" in sampler.inputs
    name, loras = nodes.once(model, _given("model", sampler, guider))
    texts = _linked(nodes, sampler, "text_embeds")  # Wan's wrapper has both prompts in one node
    has_wildcard = sampler.inputs.get("wildcard") not in (None, "")  # what a detailer puts in place of the prompt
    return Settings(
        seed=read("seed" if is_seeded else "noise_seed", _seed, sampler, noise),
        model=name,
        loras=None if has_wildcard else loras,
        sampler=read("sampler_name", reading.text, sampler, chosen) or _sampler_of(chosen),
        scheduler=read("scheduler", reading.text, sampler, schedule) or _scheduler_of(schedule),
        steps=read("steps", reading.integer, sampler, schedule if has_steps else None),
        cfg=read("cfg", reading.number, sampler, guider),
        denoise=read("denoise", reading.number, sampler, schedule if has_denoise else None),
        positive=None
        if has_wildcard
        else _positive_text(nodes, sampler, guider)
        if texts is None
        else read("positive_prompt", reading.text, texts),
        negative=nodes.once(prompt, _given("negative", sampler, guider))
        if texts is None
        else read("negative_prompt", reading.text, texts),
        guidance=nodes.once(guidance, _positive(nodes, sampler)),
    )


def _seed(value: Any) -> int | None:
    """Accepts a seed. What is below 0 stands for another one that the node packs make up when it is used."""
    seed = reading.integer(value)
    return seed if seed is not None and seed >= 0 else None


def _positive(nodes: Nodes, sampler: Node) -> Any:
    guider = _linked(nodes, sampler, "guider")
    return _given("positive", sampler, guider) or _given("conditioning", guider) or _given("cond1", guider)


def _positive_text(nodes: Nodes, sampler: Node, guider: Node | None) -> Value:
    """The prompt. Of a guider with two it is the first one, if the second says no more than that or the negative one."""
    text = nodes.once(prompt, _positive(nodes, sampler))
    if guider is None or "cond2" not in guider.inputs:
        return text
    others = (text, "", nodes.once(prompt, guider.inputs.get("negative")))
    second = nodes.once(prompt, guider.inputs["cond2"])
    return text if second is not None and second in others else None


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
