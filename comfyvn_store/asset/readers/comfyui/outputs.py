"""What a ComfyUI graph saves: the nodes that may have written the file, and the samplers that lead to each.

Owns the choice among the ends of a graph. A file does not say which node wrote it; where several may have, each counts.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.graph import Nodes
from comfyvn_store.asset.readers.comfyui.latents import is_sampler

_LONGEST_NAME = 1024
_MOST_NAMES = 500
_LOADED = ("image", "video", "audio", "file")  # how loaders of pictures, movies and sounds call what they load
_SAVED = ("image", "images", "video", "audio", "frames", "samples", "latent", "pixels", "mask", "gif")
# What ComfyUI's own nodes write; of a file of another kind they are not the ones that wrote it.
_WRITTEN: Mapping[str, tuple[str, ...]] = {
    "SaveAnimatedPNG": ("image/png", "image/apng"),
    "SaveAnimatedWEBP": ("image/webp",),
    "SaveAudio": ("audio/flac",),
    "SaveAudioMP3": ("audio/mpeg",),
    "SaveAudioOpus": ("audio/ogg", "audio/opus"),
    "SaveImage": ("image/png",),
    "SaveLatent": (),
    "SaveVideo": ("video/mp4",),
    "SaveWEBM": ("video/webm",),
}


class Output(NamedTuple):
    """Nodes that may have made a file, and the last samplers before them."""

    ends: tuple[str, ...]
    samplers: tuple[str, ...]


def outputs(nodes: Nodes, mime: str | None) -> list[Output]:
    """Gives the outputs of which each may be the file, whose kind is given where it is known.

    What saves comes before what only shows, or is taken by nothing. An output to which a switch leads whose choice is
    not known is several: one for each way.
    """
    taken = graph.consumed(nodes)
    saving = [name for name, node in nodes.items() if _saves(node.kind, name in taken)]
    if saving:
        media = [name for name in saving if any(graph.link(nodes[name].inputs.get(place)) for place in _SAVED)]
        return [each for name in _of_kind(nodes, media or saving, mime) for each in _ways(nodes, name)]
    ends = [name for name, node in nodes.items() if name not in taken or "Preview" in node.kind]
    shown = any("Preview" in nodes[name].kind for name in ends)
    if shown:  # what nothing takes and is no output is never run
        ends = [name for name in ends if not is_sampler(nodes[name]) and not nodes[name].kind.startswith("VAEDecode")]
    found = [each for name in ends for each in _ways(nodes, name)]
    return [each for each in found if each.samplers] or [Output(tuple(ends), ())]


def images(nodes: Nodes, ends: Iterable[str]) -> tuple[str, ...]:
    """Gives the names of the loaded pictures, movies and sounds that feed an output; some nodes hold the data instead."""
    feeding = graph.ancestry(nodes, ends).union(ends)
    names: list[str] = []
    for key in sorted(feeding, key=lambda name: nodes[name].place):
        node = nodes[key]
        kind = node.kind.lower()
        if "load" in kind and "base64" not in kind:
            place = next((place for place in _LOADED if place in node.inputs), "image")
            name = graph.value_of(nodes, node, place, reading.text)
            if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and len(names) < _MOST_NAMES:
                names.append(name)
    return tuple(dict.fromkeys(names))


def _saves(kind: str, is_consumed: bool) -> bool:
    return kind.startswith("Save") or "VideoCombine" in kind or ("save" in kind.lower() and not is_consumed)


def _of_kind(nodes: Nodes, saving: list[str], mime: str | None) -> list[str]:
    """Those that can have written a file of this kind; all if none of them can, as of a picture that was converted."""
    return [name for name in saving if mime is None or mime in _WRITTEN.get(nodes[name].kind, (mime,))] or saving


def _ways(nodes: Nodes, end: str) -> list[Output]:
    samplers, switches = _nearest(nodes, [end])
    found = [Output((end,), samplers)]
    for name in switches:
        links = filter(None, map(graph.link, nodes[name].inputs.values()))
        ways = [Output((link.node,), _nearest(nodes, [link.node])[0]) for link in links if link.node in nodes]
        if any(way.samplers for way in ways):
            found += ways
    return found


def _nearest(nodes: Nodes, ends: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The samplers first met on the way up, and the unclear switches on it.

    Of the samplers those count that feed no other of them: the second pass, not the first that is put beside it.
    """
    found: list[str] = []
    switches: list[str] = []
    seen: set[str] = set()
    level = ends
    while level:
        seen.update(level)
        found.extend(name for name in level if is_sampler(nodes[name]))
        onward = [name for name in level if not is_sampler(nodes[name])]
        switches.extend(name for name in onward if graph.is_unclear_switch(nodes, nodes[name]))
        level = [name for name in graph.above(nodes, onward) if name not in seen]
    earlier = graph.ancestry(nodes, found) if len(found) > 1 else set()
    return tuple(name for name in found if name not in earlier) or tuple(found), switches
