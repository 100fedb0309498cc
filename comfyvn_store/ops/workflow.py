"""`workflow`: the generator's graph that an asset carries, as it was embedded."""

from __future__ import annotations

import json
import os
from typing import BinaryIO, NamedTuple

from comfyvn_store.asset.readers import comfyui
from comfyvn_store.asset.readers.collecting import collect
from comfyvn_store.base import media, names
from comfyvn_store.errors import ComfyvnError, UnknownAsset
from comfyvn_store.ops import naming
from comfyvn_store.ops.named import opened
from comfyvn_store.ops.session import Session


class NoWorkflow(ComfyvnError):
    """The asset carries no graph."""

    slug = "no-workflow"
    exit_code = 1


class Graph(NamedTuple):
    """The graph's text, and whether it is the API form (`prompt`) rather than the editor's (`workflow`)."""

    text: str
    is_api: bool


def best(session: Session | None, name: str) -> Graph:
    """Gives the API graph, or else the editor's. Raises what `workflow` does."""
    try:
        return workflow(session, name, api=True)
    except NoWorkflow:
        return workflow(session, name, api=False)


def workflow(session: Session | None, name: str, *, api: bool) -> Graph:
    """Gives the graph of the asset (or `REV:PATH`) called `name`, or of the file there if it is no asset.

    The editor's graph if there is one, else the API graph, which ComfyUI loads too; with `api` only that. Raises
    NoWorkflow, UnknownAsset, UnknownFile, ObjectMissing, ObjectCorrupt.
    """
    if session is None:
        return _of_file(name, api=api)
    try:
        found = naming.version(session, name)
    except UnknownAsset:
        if not os.path.isfile(name):
            raise
        return _of_file(name, api=api)
    session.repository.store.vouch(found.hash)
    with session.repository.store.open(found.hash) as stream:
        graph, others = _embedded(stream, api=api)
    if graph is not None:
        return graph
    stated = (found.record.get("provenance") or {}).get("workflow")
    if isinstance(stated, dict) and not (api and isinstance(stated.get("nodes"), list)):
        return Graph(json.dumps(stated, ensure_ascii=False, indent=2), not isinstance(stated.get("nodes"), list))
    raise _none(found.inside, api=api, others=others)


def _of_file(name: str, *, api: bool) -> Graph:
    """Gives the graph that any file carries. Raises NoWorkflow, UnknownFile."""
    with opened(name) as stream:
        graph, others = _embedded(stream, api=api)
    if graph is None:
        raise _none(name, api=api, others=others)
    return graph


def _embedded(stream: BinaryIO, *, api: bool) -> tuple[Graph | None, bool]:
    """Gives the graph in a file, and whether it has one in another form than was asked for."""
    prompt, editors = comfyui.graph_texts(collect(stream, media.describe(stream).mime))
    texts = {key: text for key, text in (("prompt", prompt), ("workflow", editors)) if text is not None}
    for key in ("prompt",) if api else ("workflow", "prompt"):
        if key in texts and _is_object(texts[key]):
            return Graph(texts[key], key == "prompt"), False
    return None, bool(texts)


def _none(name: str, *, api: bool, others: bool) -> NoWorkflow:
    what = "API graph" if api else "ComfyUI graph"
    return NoWorkflow(
        f"'{names.printable(name)}' carries no {what}",
        hint="leave --api out for the editor's graph" if api and others else None,
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
