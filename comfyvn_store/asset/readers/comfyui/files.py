"""The files that a ComfyUI graph names: models of every kind, and input images, sounds and films.

Every node counts, whether the walk to the sampler knows it or not: without one of these files ComfyUI refuses the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

MODEL: Final = "model"
INPUT: Final = "input"
MODEL_ENDINGS: Final = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf", ".onnx")
_INPUT_ENDINGS: Final = (
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"),
    *(".wav", ".mp3", ".flac", ".ogg", ".opus", ".mp4", ".webm", ".mov", ".mkv"),
)
# What the server appends to a name to say in which of its folders the file lies.
_PLACES: Final = (" [input]", " [output]", " [temp]")
_LONGEST: Final = 1000
_MOST: Final = 1000
_MOST_OTHERS: Final = 100
_MOST_VALUES: Final = 200_000


class NamedFile(NamedTuple):
    """A file that a graph names: `kind` is MODEL or INPUT, `nodes` the classes of the nodes that name it."""

    kind: str
    name: str
    nodes: tuple[str, ...]


def named_files(prompt: Mapping[str, Any] | None, workflow: Mapping[str, Any] | None) -> list[NamedFile]:
    """Gives each file that the API graph names, or else the UI graph, in the order of the graph. Bounded; never raises."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for number, (kind, value) in enumerate(_of_api(prompt) if prompt else _of_ui(workflow or {})):
        if number >= _MOST_VALUES or len(found) >= _MOST:
            break
        what = _kind(kind, value)
        if what is not None:
            found.setdefault((what, _plain(value)), {})[kind] = None
    return [NamedFile(what, name, tuple(nodes)) for (what, name), nodes in found.items()]


def with_others(
    inputs: dict[str, Any], prompt: Mapping[str, Any] | None, workflow: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Adds `other_models` to a graph's inputs: the models that it names besides those that are known to have made the picture,
    such as VAEs, ControlNets, hypernetworks, upscalers, and what could not be followed. No key where there are none."""
    known = {inputs.get("model"), inputs.get("refiner")}
    known.update(lora.get("name") for lora in inputs.get("loras") or () if isinstance(lora, dict))
    named = (file.name for file in named_files(prompt, workflow) if file.kind == MODEL)
    others = sorted({name for name in named if name not in known})[:_MOST_OTHERS]
    return {**inputs, "other_models": others} if others else inputs


def classes(prompt: Mapping[str, Any] | None, workflow: Mapping[str, Any] | None) -> list[str]:
    """Gives the classes of the nodes in a graph, sorted."""
    nodes: Iterable[Any] = prompt.values() if prompt else (workflow or {}).get("nodes") or ()
    key = "class_type" if prompt else "type"
    return sorted({node[key] for node in nodes if isinstance(node, dict) and isinstance(node.get(key), str)})


def _kind(node: str, value: str) -> str | None:
    lower = _plain(value).lower()
    if len(value) > _LONGEST or "\n" in value:
        return None
    if lower.endswith(MODEL_ENDINGS):
        return MODEL
    return INPUT if "load" in node.lower() and lower.endswith(_INPUT_ENDINGS) else None


def _plain(value: str) -> str:
    for place in _PLACES:
        value = value.removesuffix(place)
    return value


def _of_api(prompt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for node in prompt.values():
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict) and isinstance(node.get("class_type"), str):
            yield from ((node["class_type"], text) for text in _texts(node["inputs"].values()))


def _of_ui(workflow: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The nodes that are neither muted (mode 2) nor bypassed (4), those of subgraphs among them."""
    definitions = workflow.get("definitions")
    inner = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for part in (workflow, *(inner if isinstance(inner, list) else ())):
        nodes = part.get("nodes") if isinstance(part, dict) else None
        for node in nodes if isinstance(nodes, list) else ():
            if isinstance(node, dict) and isinstance(node.get("type"), str) and node.get("mode") not in (2, 4):
                values = node.get("widgets_values")
                held = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
                yield from ((node["type"], text) for text in _texts(held))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """The texts among values, and those in an object a level down, as LoRA stackers have them; switched off ones not."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict) and value.get("on") is not False:
            yield from (text for text in value.values() if isinstance(text, str))
