"""The merge driver for sidecars (gitattributes, "Defining a custom merge driver"): merges by field."""

from __future__ import annotations

import subprocess
import sys

from comfyvn_store.asset import merge, sidecar
from comfyvn_store.asset.sidecar import BrokenSidecar, Sidecar
from comfyvn_store.base import names
from comfyvn_store.vcs.repository import open_repository


def run(base: str, ours: str, theirs: str, path: str) -> int:
    """Merges into the file `ours` (%A); 0 if all went together, 1 for a conflict.

    What is no sidecar on some side is merged as text, with git's usual markers.
    """
    mine, other = _read(ours), _read(theirs)
    if mine is None or other is None:
        return (
            subprocess.run(
                ["git", "merge-file", "-L", "ours", "-L", "base", "-L", "theirs", ours, base, theirs],
                check=False,
            ).returncode
            and 1
        )
    inside = open_repository().inside(path)
    result = merge.merge(_read(base), mine, other)
    card = result.sidecar.moved(inside.removesuffix(names.SIDECAR_SUFFIX)) if inside else result.sidecar
    with open(ours, "wb") as stream:
        stream.write(sidecar.encode(card))
    if result.conflicts:
        what = ", ".join(result.conflicts)
        sys.stderr.write(f"comfyvn-store: {names.printable(path)}: both sides changed {what}; ours is kept\n")
    return 1 if result.conflicts else 0


def _read(place: str) -> Sidecar | None:
    try:
        with open(place, "rb") as stream:
            return sidecar.decode(stream.read())
    except (BrokenSidecar, OSError):
        return None
