"""What ComfyUI's history says of a prompt: the files that it saved, which of them a node made anew, and the graph."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from comfyvn_store.asset import record
from comfyvn_store.base import canonical, names
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.ops import register
from comfyvn_store.ops.importing import walking

_MOST = 10_000


class Output(NamedTuple):
    """A file as the history names it, and why it is not fetched (or None). `is_cached`: its node did not run, so the file is
    one of an earlier prompt."""

    filename: str
    subfolder: str
    is_cached: bool
    refusal: str | None = None

    @property
    def inside(self) -> str:
        """Its path below the output folder."""
        folder = self.subfolder.replace("\\", "/").strip("/")
        return f"{folder}/{self.filename}" if folder else self.filename

    @property
    def query(self) -> dict[str, str]:
        """What the server is asked for."""
        return {"filename": self.filename, "subfolder": self.subfolder, "type": "output"}


def of_prompt(entry: Mapping[str, Any]) -> Iterator[Output]:
    """Gives each file that a prompt saved, once. What the server keeps for itself (`temp`) is none."""
    outputs = entry.get("outputs")
    cached = _cached(entry)
    seen: set[tuple[str, str]] = set()
    for node, said in outputs.items() if isinstance(outputs, dict) else ():
        for value in said.values() if isinstance(said, dict) else ():
            for each in value if isinstance(value, list) else ():
                if len(seen) >= _MOST:
                    return
                found = _output(each, str(node) in cached)
                if found is not None and found[:2] not in seen:
                    seen.add(found[:2])
                    yield found


def _output(said: Any, is_cached: bool) -> Output | None:
    if not isinstance(said, dict) or said.get("type") != "output" or "filename" not in said:
        return None
    filename, subfolder = said["filename"], said.get("subfolder", "")
    if not isinstance(filename, str) or not isinstance(subfolder, str):
        return Output(str(filename)[:100], "", is_cached, "its name is no text")
    found = Output(filename, subfolder, is_cached)
    return found._replace(refusal=_refusal(found))


def _refusal(found: Output) -> str | None:
    """Says why a name is none that a file below the output folder has."""
    parts = found.inside.split("/")
    if "/" in found.filename or "\\" in found.filename or not found.filename:
        return "its name is no file's"
    if found.subfolder.startswith(("/", "\\")) or ":" in found.inside or "\0" in found.inside:
        return "its name leads out of the output folder"
    if any(part in ("", ".", "..") for part in parts):
        return "its name leads out of the output folder"
    if not names.is_utf8(found.inside) or walking.is_unfinished(found.filename):
        return "its name is none that is taken"
    return None


def _cached(entry: Mapping[str, Any]) -> set[str]:
    """Gives the nodes that did not run because nothing had changed for them."""
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, dict) else None
    found: set[str] = set()
    for each in messages if isinstance(messages, list) else ():
        if isinstance(each, list) and len(each) == 2 and each[0] == "execution_cached" and isinstance(each[1], dict):
            nodes = each[1].get("nodes")
            found |= {str(node) for node in nodes} if isinstance(nodes, list) else set()
    return found


def origin(entry: Mapping[str, Any]) -> record.Origin | None:
    """Gives the origin that a prompt's graph states, or None where there is no graph that can be kept."""
    prompt = entry.get("prompt")
    graph = prompt[2] if isinstance(prompt, list) and len(prompt) > 2 else None
    try:
        graph = canonical.parse(json.dumps(graph, ensure_ascii=False).encode("utf-8"))
        return register.with_workflow(record.Origin(default_source=record.IMPORT), graph)
    except (ComfyvnError, ValueError, RecursionError):
        return None
