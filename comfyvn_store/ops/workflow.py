"""`workflow`: the generator's graph that an asset carries, as it was embedded."""

from __future__ import annotations

import json
from typing import NamedTuple

from comfyvn_store.asset.readers import comfyui
from comfyvn_store.asset.readers.collecting import collect
from comfyvn_store.base import media, names
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import Session


class NoWorkflow(ComfyvnError):
    """The asset carries no graph."""

    slug = "no-workflow"
    exit_code = 1


class Graph(NamedTuple):
    """The graph's text, and whether it is the API form (`prompt`) rather than the editor's (`workflow`)."""

    text: str
    is_api: bool


def workflow(session: Session, name: str, *, api: bool) -> Graph:
    """Gives the graph of the asset (or `REV:PATH`) called `name`.

    The editor's graph if there is one, else the API graph, which ComfyUI loads too; with `api` only that. Raises
    NoWorkflow, UnknownAsset, ObjectMissing, ObjectCorrupt.
    """
    found = naming.version(session, name)
    session.repository.store.vouch(found.hash)
    with session.repository.store.open(found.hash) as stream:
        prompt, editors = comfyui.graph_texts(collect(stream, media.describe(stream).mime))
    texts = {key: text for key, text in (("prompt", prompt), ("workflow", editors)) if text is not None}
    for key in ("prompt",) if api else ("workflow", "prompt"):
        if key in texts and _is_object(texts[key]):
            return Graph(texts[key], key == "prompt")
    stated = (found.record.get("provenance") or {}).get("workflow")
    if isinstance(stated, dict) and not (api and isinstance(stated.get("nodes"), list)):
        return Graph(json.dumps(stated, ensure_ascii=False, indent=2), not isinstance(stated.get("nodes"), list))
    what = "API graph" if api else "ComfyUI graph"
    raise NoWorkflow(
        f"'{names.printable(found.inside)}' carries no {what}",
        hint="leave --api out for the editor's graph" if api and "workflow" in texts else None,
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
