"""ComfyUI: the graphs that it writes into what it saves, `prompt` and `workflow`.

Owns where the graphs stand, their parsing and the workflow hash. `prompt` is the API graph, what the server ran:
`{id: {"class_type": …, "inputs": {name: value or [id, output's place]}}}`. `workflow` is the UI graph, what
the editor showed: lists of `nodes` and `links`. What the graphs say is read by `inputs` and `widgets`.

PNG, APNG, FLAC, MP3, Opus, MP4 and WebM have them as texts of these names. WebP and JPEG have them in EXIF, as
`prompt:{…}` under the tags of the camera's model, maker and so on downwards; node packs write an object with both
into the comment of a video or a picture.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from comfyvn_store.asset.readers.comfyui import files, inputs, widgets
from comfyvn_store.asset.readers.entries import USER_COMMENT, Entries
from comfyvn_store.asset.readers.reading import Reading, bounded, parse_json
from comfyvn_store.base import canonical

# Real graphs have kilobytes and a dozen levels; what is far beyond must not cost memory or the stack.
LONGEST_TEXT = 4 * 1024 * 1024

_SEEDS = ("seed", "noise_seed")


def read(entries: Entries) -> Reading | None:
    """Reads the graphs that a file carries; None if it has no ComfyUI graph. Never raises."""
    prompt, workflow = (parse(text) for text in graph_texts(entries))
    return from_graphs(prompt, workflow, entries.mime)


def read_origin(entries: Entries) -> Reading | None:
    """Does the same without reading the inputs, and the UI graph only where it counts."""
    for text, is_graph in zip(graph_texts(entries), (is_api_graph, is_ui_graph), strict=True):
        graph = parse(text)
        if is_graph(graph):
            return Reading("comfyui", workflow_hash(graph), {})
    return None


def graph_texts(entries: Entries) -> tuple[str | None, str | None]:
    """Gives the texts of the API graph and the UI graph, as far as there are entries that could be those."""
    found: dict[str, str] = {}
    for name, text in _candidates(entries):
        if name not in found and text.lstrip()[:1] == "{":
            found[name] = text
    return found.get("prompt"), found.get("workflow")


def _candidates(entries: Entries) -> Iterator[tuple[str, str]]:
    for name in ("prompt", "workflow"):
        if name in entries.texts:
            yield name, entries.texts[name]
    for value in entries.exif.values():
        if isinstance(value, str):
            name, colon, text = value.partition(":")
            if colon and name.strip().lower() in ("prompt", "workflow"):
                yield name.strip().lower(), text
    for both in (entries.texts.get("comment"), entries.exif.get(USER_COMMENT)):
        if isinstance(both, str) and both.lstrip()[:1] == "{" and ('"prompt"' in both or '"workflow"' in both):
            yield from _of_object(parse(both))


def _of_object(value: Any) -> Iterator[tuple[str, str]]:
    for name in ("prompt", "workflow"):
        graph = value.get(name) if isinstance(value, dict) else None
        if isinstance(graph, str):
            yield name, graph
        elif isinstance(graph, dict):
            yield name, canonical.dump_compact(graph).decode("utf-8", "replace")


def from_graphs(prompt: Any, workflow: Any, mime: str | None = None) -> Reading | None:
    """Makes a generation of an API graph, a UI graph or both, each as `parse` gives it.

    What is no such graph counts as absent; None if both are. The API graph is what ran, so the UI graph is
    read only without it, and `inputs["graph"]` says so. The kind of the file, if it is known, tells which of several nodes
    can have written it.
    """
    prompt = prompt if is_api_graph(prompt) else None
    workflow = workflow if is_ui_graph(workflow) else None
    if prompt is not None:
        found = bounded(files.with_others(inputs.read_inputs(prompt, mime), prompt, None))
        return Reading("comfyui", workflow_hash(prompt), found, prompt, workflow)
    if workflow is not None:
        found = bounded(files.with_others(inputs.read_inputs(widgets.api_graph(workflow), mime), None, workflow))
        return Reading("comfyui", workflow_hash(workflow), {**found, "graph": "workflow"}, None, workflow)
    return None


def parse(text: str | None) -> Any:
    """Parses a graph's JSON text; None if it is no JSON, too long or too deep.

    ComfyUI writes NaN into the graph (in `is_changed`), which is no JSON but is read as one. Of a key that stands twice
    the last counts, as in ComfyUI.
    """
    return parse_json(text, LONGEST_TEXT)


def workflow_hash(workflow: Any) -> str:
    """Gives the SHA-256, in hex, of a parsed graph's canonical JSON (sorted keys, no spaces, UTF-8).

    Of an API graph without the inputs named `seed` and `noise_seed`, so that all pictures of a batch share
    it; of any other value, whole. NaN and infinities stand in it as Python's json writes them, lone
    surrogates in the bytes that UTF-8 would give them.
    """
    if is_api_graph(workflow):
        workflow = {key: _without_seeds(node) for key, node in workflow.items()}
    return hashlib.sha256(canonical.dump_compact(workflow)).hexdigest()


def is_api_graph(value: Any) -> bool:
    """Whether a parsed value has the shape of an API graph: nodes only, and at least one that is complete."""
    return (
        isinstance(value, dict)
        and all(isinstance(node, dict) for node in value.values())
        and any(
            isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict) for node in value.values()
        )
    )


def is_ui_graph(value: Any) -> bool:
    """Whether a parsed value has the shape of a UI graph: `links`, and `nodes` of which one has a type."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("links"), list)
        and isinstance(value.get("nodes"), list)
        and any(isinstance(node, dict) and isinstance(node.get("type"), str) for node in value["nodes"])
    )


def _without_seeds(node: dict[str, Any]) -> dict[str, Any]:
    given = node.get("inputs")
    if not isinstance(given, dict):
        return node
    return {**node, "inputs": {name: value for name, value in given.items() if name not in _SEEDS}}
