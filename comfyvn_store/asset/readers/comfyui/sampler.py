"""What one ComfyUI sampler was told: its numbers, and what its model and its prompts come from.

Owns the meaning of the nodes above a sampler. What cannot be resolved is None, never a guess.
"""

from typing import Any, NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes, Value

_MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "model", "model_path")
_TEXT_NAMES = (
    *("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "bert", "mt5xl"),
    *("prompt", "user_prompt", "tags", "lyrics"),
)
# Nodes with these inputs bundle more than conditionings, and the places of their outputs are their own.
_BUNDLES = frozenset(("base_ctx", "basic_pipe", "clip", "context", "ctx", "model", "pipe"))
_SAME_STEPS = frozenset(("FlipSigmas", "SetFirstSigma", "SplitSigmas", "SplitSigmasDenoise"))
_SAME_DENOISE = frozenset(("FlipSigmas", "SetFirstSigma"))


class Lora(NamedTuple):
    """A LoRA as the graph names it, and the strength with which it changes the model."""

    name: Value
    strength: Value


class Settings(NamedTuple):
    """What a sampler was told; None is unknown."""

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


def read_settings(nodes: Nodes, sampler: Node) -> Settings:
    """Reads a sampler's inputs; SamplerCustom and SamplerCustomAdvanced have nodes of their own for some."""
    guider = _linked(nodes, sampler, "guider")
    noise = _linked(nodes, sampler, "noise")
    chosen = _linked(nodes, sampler, "sampler")
    schedule, has_steps, has_denoise = _schedule(nodes, sampler)

    def read(name: str, accept: graph.Accept, *candidates: Node | None) -> Value:
        return graph.value_of(nodes, _having(name, *candidates), name, accept)

    is_seeded = "seed" in sampler.inputs
    model, loras = _model(nodes, _given("model", sampler, guider))
    return Settings(
        seed=read("seed" if is_seeded else "noise_seed", reading.integer, sampler, noise),
        model=model,
        loras=loras,
        sampler=read("sampler_name", reading.text, sampler, chosen),
        scheduler=read("scheduler", reading.text, sampler, schedule),
        steps=read("steps", reading.integer, sampler, schedule if has_steps else None),
        cfg=read("cfg", reading.number, sampler, guider),
        denoise=read("denoise", reading.number, sampler, schedule if has_denoise else None),
        positive=_prompt(nodes, _given("positive", sampler, guider) or _given("conditioning", guider)),
        negative=_prompt(nodes, _given("negative", sampler, guider)),
    )


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


def _model(nodes: Nodes, value: Any) -> tuple[Value, tuple[Lora, ...]]:
    """The name in the loader at the end of the chain, and the LoRAs in the order in which they are applied.

    A node with one `model` input changes the model and is passed; one that merges several ends the walk.
    """
    loras: list[Lora] = []
    seen = set()
    source = graph.source_of(nodes, value)
    while source is not None and source.node not in seen:
        seen.add(source.node)
        node = nodes[source.node]
        loras.extend(reversed(_loras(nodes, node)))
        source = graph.source_of(nodes, node.inputs.get("model"))
        if source is None and "load" in node.kind.lower():
            name = next((name for name in _MODEL_NAMES if name in node.inputs), "")
            return graph.value_of(nodes, node, name, reading.text), tuple(reversed(loras))
    return None, tuple(reversed(loras))


def _loras(nodes: Nodes, node: Node) -> list[Lora]:
    if "model" not in node.inputs:
        return []
    if "lora_name" in node.inputs:
        strength = "strength_model" if "strength_model" in node.inputs else "strength"
        name = graph.value_of(nodes, node, "lora_name", reading.text)
        return [Lora(name, graph.value_of(nodes, node, strength, reading.number))]
    # Power Lora Loader (rgthree) has an object for each row of its list.
    rows = [row for row in node.inputs.values() if isinstance(row, dict) and row.get("on") is True]
    return [Lora(reading.text(row["lora"]), reading.number(row.get("strength"))) for row in rows if "lora" in row]


def _prompt(nodes: Nodes, value: Any) -> str | None:
    """The texts that make a conditioning, in the order of the graph, each once, joined by newlines.

    None if any part of it cannot be resolved: half of a prompt would pass for all of it.
    """
    texts: list[tuple[int, int, str]] = []
    seen = set()
    pending = [value]
    while pending:
        source = graph.source_of(nodes, pending.pop())
        if source is None:
            return None
        node, output = nodes[source.node], min(source.slot, 2)
        if (source.node, output) in seen or "ZeroOut" in node.kind:  # zeroed: no text of it remains
            continue
        seen.add((source.node, output))
        own = _own_texts(nodes, node)
        onward = _conditionings(node, output)
        if not own and not onward:
            return None
        for number, text in enumerate(own):
            if not isinstance(text, str):
                return None
            texts.append((node.place, number, text))
        pending.extend(onward)
    distinct = dict.fromkeys(text for _, _, text in sorted(texts))
    if not distinct:
        return None
    return "\n".join(text for text in distinct if text)


def _own_texts(nodes: Nodes, node: Node) -> list[Value]:
    if "TextEncode" not in node.kind and "clip" not in node.inputs:
        return []
    return [graph.value_of(nodes, node, name, reading.text) for name in _TEXT_NAMES if name in node.inputs]


def _conditionings(node: Node, slot: int) -> list[Any]:
    """The inputs that an output's conditioning is made of.

    A node with `positive` and `negative` inputs has outputs for both, in this order, then others.
    """
    links = {name: value for name, value in node.inputs.items() if graph.link(value)}
    single = [value for name, value in links.items() if name.startswith("cond")]
    if single or slot > 1 or not _BUNDLES.isdisjoint(node.inputs):
        return single
    side = ("positive", "negative")[slot]
    return [value for name, value in links.items() if name.startswith(side)]
