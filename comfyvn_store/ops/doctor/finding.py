"""What `doctor` may find: a kind, what is wrong, where, and the one command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

INIT = "comfyvn-store init"
FIX = "comfyvn-store doctor --fix"


class Finding(NamedTuple):
    """One thing that is wrong. `paths` are relative to the work tree's top, or absolute where they lie elsewhere.

    `is_mendable` says that `--fix` mends it; `remedy` is what a person types instead, or has to.
    """

    kind: str
    message: str
    remedy: str
    paths: Sequence[str] = ()
    is_mendable: bool = False
