"""What a picture's own metadata says about how it was generated: one module per generator program.

Owns the choice of the module. A generator's module has `read(texts) -> Generation | None` and stands in
`_GENERATORS` with the keywords that it reads, so that it is imported only for a file that has one of them.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

_GENERATORS = {"comfyui": ("prompt", "workflow")}


class Generation(NamedTuple):
    """How a file was generated, as its metadata states it.

    `prompt` and `workflow` are the graphs as parsed, where the generator has such; they may hold NaN.
    `inputs` is clean JSON: no NaN or infinity, no lone surrogate; what could not be read is None.
    """

    source: str
    workflow_hash: str | None
    inputs: dict[str, Any]
    prompt: Any
    workflow: Any


def read_generation(texts: Mapping[str, str]) -> Generation | None:
    """Reads the text entries of a media file (keyword to text); None if no generator is recognised.

    Never raises, whatever the texts hold.
    """
    for name, keywords in _GENERATORS.items():
        if any(keyword in texts for keyword in keywords):
            read: Callable[[Mapping[str, str]], Generation | None] = import_module(f"{__name__}.{name}").read
            generation = read(texts)
            if generation is not None:
                return generation
    return None
