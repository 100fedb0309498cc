"""ComfyUI: the graphs that it writes into a picture's text entries `prompt` and `workflow`.

Owns the parsing of those texts and the workflow hash. `prompt` is the API graph, what the server ran:
`{id: {"class_type": …, "inputs": {name: value or [id, output's place]}}}`. `workflow` is the UI graph, what
the editor showed: lists of `nodes` and `links`. What the graphs say is read by `inputs` and `widgets`.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from comfyvn_store.asset.generators import Generation, inputs, widgets
from comfyvn_store.base import canonical

# Real graphs have kilobytes and a dozen levels; what is far beyond must not cost memory or the stack.
LONGEST_TEXT = 16 * 1024 * 1024
DEEPEST_NESTING = 200

_SEEDS = ("seed", "noise_seed")


def read(texts: Mapping[str, str]) -> Generation | None:
    """Reads the entries `prompt` and `workflow`; None if neither holds a ComfyUI graph. Never raises."""
    return from_graphs(parse(texts.get("prompt")), parse(texts.get("workflow")))


def from_graphs(prompt: Any, workflow: Any) -> Generation | None:
    """Makes a generation of an API graph, a UI graph or both, each as `parse` gives it.

    What is no such graph counts as absent; None if both are. The API graph is what ran, so the UI graph is
    read only without it, and `inputs["graph"]` says so.
    """
    prompt = prompt if is_api_graph(prompt) else None
    workflow = workflow if is_ui_graph(workflow) else None
    if prompt is not None:
        return Generation("comfyui", workflow_hash(prompt), inputs.read_inputs(prompt), prompt, workflow)
    if workflow is not None:
        found = inputs.read_inputs(widgets.api_graph(workflow))
        return Generation("comfyui", workflow_hash(workflow), {**found, "graph": "workflow"}, None, workflow)
    return None


def parse(text: str | None) -> Any:
    """Parses a graph's JSON text; None if it is no JSON, too long or too deep.

    ComfyUI writes NaN into the graph (in `is_changed`), which is no JSON but is read as one.
    """
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if _is_deep(value) else value


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


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST_NESTING):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True
