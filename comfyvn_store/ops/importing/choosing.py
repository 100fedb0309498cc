"""Which adapter reads what a person named: found by a look, or chosen."""

from __future__ import annotations

import os
from importlib import import_module
from typing import cast

from comfyvn_store.base import names
from comfyvn_store.errors import UnknownFile, UsageError
from comfyvn_store.ops.importing.items import Adapter

# In the order in which they are asked: what looks most like itself first.
MODULES = {
    "manifest": "manifest",
    "comfyvn": "older",
    "renpy": "renpy",
    "invokeai": "invokeai",
    "automatic1111": "automatic1111",
    "comfyui": "comfyui",
    "plain": "plain",
}
# What must be named for these.
_NEEDS = {"manifest": "a file", "comfyvn": "a folder", "renpy": "a folder", "invokeai": "a folder"}


def adapter(name: str) -> Adapter:
    """Gives an adapter by name. Raises UsageError."""
    if name not in MODULES:
        raise UsageError(
            f"there is no way to import '{names.printable(name)}'", hint=f"choose from {', '.join(MODULES)}"
        )
    return cast(Adapter, import_module(f"comfyvn_store.ops.importing.{MODULES[name]}"))


def find(place: str, chosen: str | None) -> Adapter:
    """Gives the adapter for a folder or a file. Raises UnknownFile, UsageError, OSError."""
    if not os.path.exists(place):
        raise UnknownFile(
            f"there is no file or folder '{names.printable(place)}'",
            hint="check the spelling and the folder you are in",
        )
    if chosen is not None:
        if os.path.isdir(place) == (chosen == "manifest") and chosen in _NEEDS:
            raise UsageError(
                f"'{names.printable(place)}' cannot be read as {chosen}, which is {_NEEDS[chosen]}",
                hint="leave --as out, and it is found by looking",
            )
        return adapter(chosen)
    return next(found for found in map(adapter, MODULES) if found.looks(place))
