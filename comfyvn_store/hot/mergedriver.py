"""The merge driver for sidecars (gitattributes, "Defining a custom merge driver"): merges by field."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from comfyvn_store.asset import merge, sidecar
from comfyvn_store.asset.merge import Clash, Favour
from comfyvn_store.asset.sidecar import BrokenSidecar, Sidecar
from comfyvn_store.base import canonical, names
from comfyvn_store.vcs.repository import open_repository

_LONGEST_VALUE = 60


def run(base: str, ours: str, theirs: str, path: str, *, makes_ancestor: bool = False) -> int:
    """Merges into the file `ours` (%A); 0 if all went together, 1 for a conflict.

    What is no sidecar on some side is merged as text, with git's usual markers. With `makes_ancestor` git merges two
    common ancestors into one to compare with: a field in conflict has their ancestor's value there, so that two people
    who settled the same conflict differently are told so, whoever merges.
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
    favour: Favour = "base" if makes_ancestor else "ours"
    result = merge.merge(_read(base), mine, other, favour)
    inside = open_repository().inside(path)
    card = result.sidecar.moved(inside.removesuffix(names.SIDECAR_SUFFIX)) if inside else result.sidecar
    with open(ours, "wb") as stream:
        stream.write(sidecar.encode(card))
    if result.clashes and not makes_ancestor:
        sys.stderr.write(explain(path, result.clashes))
    return 1 if result.clashes else 0


def explain(path: str, clashes: Sequence[Clash]) -> str:
    """Says which fields are in conflict, what each side has there, and what to type."""
    shown = names.printable(path)
    lines = [
        f"comfyvn-store: {shown}: both sides changed {', '.join(names.printable(c.field) for c in clashes)}; ours is kept"
    ]
    for clash in clashes:
        ours, theirs = clash.ours, clash.theirs
        if clash.field == merge.BYTES:
            ours, theirs = ours[:16], theirs[:16]
        lines.append(f"  {names.printable(clash.field)}: ours {_value(ours)}, theirs {_value(theirs)}")
    asset = shlex.quote(shown.removesuffix(names.SIDECAR_SUFFIX))
    sides = "`--ours`, `--theirs` or `--both`" if clashes[0].field == merge.BYTES else "`--ours` or `--theirs`"
    lines.append(
        f"hint: `comfyvn-store conflicts` shows both sides; `comfyvn-store resolve {asset}` with {sides} decides"
    )
    return "".join(f"{line}\n" for line in lines)


def _value(value: Any) -> str:
    if value is merge.ABSENT:
        return repr(value)
    text = names.printable(canonical.dump_line(value))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _read(place: str) -> Sidecar | None:
    try:
        with open(place, "rb") as stream:
            return sidecar.decode(stream.read())
    except (BrokenSidecar, OSError):
        return None
