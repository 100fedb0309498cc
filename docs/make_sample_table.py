"""Prints, of each file of a folder, which fields its ComfyUI graph holds and which were read: the table in docs/readers.md.

What a graph holds is told without walking it: a field counts as held if any node has a value under one of its names. So
a field that is held and was not read is either another sampler's, or one that the walk could not resolve.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comfyvn_store.asset import readers
from comfyvn_store.asset.readers.reading import INPUTS
from comfyvn_store.base import media

_HELD: Mapping[str, tuple[str, ...]] = {
    "seed": ("seed", "noise_seed"),
    "model": ("ckpt_name", "unet_name"),
    "loras": ("lora_name",),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "steps": ("steps",),
    "cfg": ("cfg",),
    "denoise": ("denoise",),
    "positive": ("text", "prompt"),
    "negative": ("text", "prompt"),
    "images": ("image",),
}


def rows(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Gives name, what generated it, fields held and fields read of each file that says something."""
    for place in sorted(folder.rglob("*")):
        if not place.is_file():
            continue
        with open(place, "rb") as stream:
            found = readers.read_stream(stream, media.describe(stream).mime)
        if found is None:
            continue
        read = [key for key in INPUTS if found.inputs.get(key) not in (None, [])]
        held = list(_held(found.prompt)) if found.prompt is not None else []
        missing = [key for key in held if key not in read]
        more = [key for key in found.inputs if key not in INPUTS]
        said = f"{len(read)} of {len(held)}" + (f", null: {', '.join(missing)}" if missing else "")
        said += f"; also {', '.join(more)}" if more else ""
        stated = ", ".join(found.embedded) or "-"
        yield place.relative_to(folder).as_posix(), found.source or "-", said if held else "-", stated


def _held(prompt: Any) -> Iterator[str]:
    nodes = [node["inputs"] for node in prompt.values() if isinstance(node.get("inputs"), dict)]
    for field, names in _HELD.items():
        values = [node[name] for node in nodes for name in names if name in node]
        if any(not isinstance(value, list) for value in values):
            yield field


def main() -> None:
    """Prints the table of the folder that is named."""
    print("| file | made by | fields read of those in its graph | states of itself |")
    print("|---|---|---|---|")
    for name, source, said, stated in rows(Path(sys.argv[1])):
        print(f"| `{name}` | {source} | {said} | {stated} |")


if __name__ == "__main__":
    main()
