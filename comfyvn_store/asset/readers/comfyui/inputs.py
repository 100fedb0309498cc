"""The inputs of a ComfyUI graph: what the samplers were told that made what it saves, and what was loaded.

Owns the keys of `inputs`.
"""

from collections.abc import Mapping
from typing import Any

from comfyvn_store.asset.readers import reading
from comfyvn_store.asset.readers.comfyui import graph
from comfyvn_store.asset.readers.comfyui.loras import union
from comfyvn_store.asset.readers.comfyui.outputs import Output, images, outputs
from comfyvn_store.asset.readers.comfyui.sampler import Settings, agreed, read_settings

_MOST_SAMPLERS = 16  # whose pictures are joined into one; more are not read
_MORE = ("guidance", "refiner")


def read_inputs(api: Mapping[str, Any], mime: str | None = None) -> dict[str, Any]:
    """Gives an API graph's inputs: always these keys in this order, None for what is unknown, and two more if known.

    They are those of the last sampler before what the graph saves. Where several samplers that do not feed one another
    lead there, a value on which they differ is unknown, and `loras` are those of all of them. Where several outputs may
    be the file, of the kind `mime` if it is known, only that is known on which they do not differ. A LoRA whose name
    or strength cannot be resolved has None for it. Of a graph that is too large to walk nothing is known.
    """
    nodes = graph.read_nodes(api)
    if not nodes:
        return dict.fromkeys(reading.INPUTS)
    try:
        known: dict[str, Settings] = {}
        found = outputs(nodes, mime)
        settings = agreed(_settings(nodes, output, known) for output in found)
        loaded = {images(nodes, output.ends) for output in found}
    except graph.Exhausted:
        return dict.fromkeys(reading.INPUTS)
    values = settings._asdict()
    if settings.loras is not None:
        values["loras"] = [lora._asdict() for lora in settings.loras]
    values["images"] = list(loaded.pop()) if len(loaded) == 1 else None
    more = {key: values[key] for key in _MORE if values[key] is not None}
    return {**{key: values[key] for key in reading.INPUTS}, **more}


def _settings(nodes: graph.Nodes, output: Output, known: dict[str, Settings]) -> Settings:
    """What the samplers of one output were told; of each it is read once."""
    if not 0 < len(output.samplers) <= _MOST_SAMPLERS:
        return Settings()
    for name in output.samplers:
        if name not in known:
            known[name] = read_settings(nodes, nodes[name])
    found = [known[name] for name in output.samplers]
    return agreed(found)._replace(loras=union(*(each.loras for each in found)))
