"""Which nodes sample, and from which one of them a latent comes.

Owns the way from a sampler up to the one before it. It leads only through nodes that take one latent and make no noise
of their own; anything else leaves open which sampler made the noise.
"""

from typing import Any, NamedTuple

from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Node, Nodes

_SAMPLERS = frozenset(("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"))
_TAKEN = ("latent_image", "samples", "latent")


class Before(NamedTuple):
    """The sampler that made a latent, and its id; with neither none did. Only an empty sampler is one that is unclear."""

    name: str
    sampler: Node | None


_NONE, _UNCLEAR = Before("", None), Before("?", None)


def is_sampler(node: Node) -> bool:
    """By name, or by what samplers have: the node packs have dozens (detailers, upscalers that sample).

    What saves is none: some of those nodes are told the same, to write it down.
    """
    has = node.inputs.keys()
    if node.kind in _SAMPLERS or "save" in node.kind.lower():
        return node.kind in _SAMPLERS
    return {"seed", "steps", "cfg"} <= has or {"noise_seed", "steps", "cfg"} <= has or {"sampler", "sigmas"} <= has


def taken(sampler: Node) -> Any:
    """Gives what a sampler has as the latent that it begins with."""
    return next((sampler.inputs[name] for name in _TAKEN if graph.link(sampler.inputs.get(name))), None)


def before(nodes: Nodes, value: Any) -> Before:
    """Gives the sampler that a latent comes from."""
    for _ in range(graph.MOST_HOPS):
        source = graph.source_of(nodes, value)
        if source is None:
            return _NONE if value is None else _UNCLEAR
        node = nodes[source.node]
        if is_sampler(node):
            return Before(source.node, node)
        links = _latents(node)
        if len(links) != 1 or not _only_hands_on(node):
            feeding = graph.ancestry(nodes, [source.node])
            return _UNCLEAR if any(is_sampler(nodes[name]) for name in feeding) else _NONE
        value = links[0]
    return _UNCLEAR


def _latents(node: Node) -> list[Any]:
    return [
        value
        for name, value in node.inputs.items()
        if graph.link(value) and ("latent" in name.lower() or name.startswith("samples") or name == "noise")
    ]


def _only_hands_on(node: Node) -> bool:
    is_noisy = "noise" in node.kind.lower() and node.kind != "SetLatentNoiseMask"
    return not is_noisy and "seed" not in node.inputs and "noise_seed" not in node.inputs
