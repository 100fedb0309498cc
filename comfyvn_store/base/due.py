"""What is due to be deleted: noted by one run, deleted by a later one.

A clock that is wrong for a while makes everything look old. So nothing is deleted by the run that first finds it due: a
file beside it says since when it was seen to be, and only a run that comes a day later, or more, believes it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping

from comfyvn_store.base import files
from comfyvn_store.base.sharing import PRIVATE, Sharing

NAME = "due"
WAIT = 86400.0
_FIRST = "due 1"
_LONGEST = 64 << 20


def read(place: str) -> dict[str, float]:
    """Gives what a file notes: since when each name is due (seconds since 1970). One that is damaged notes nothing."""
    try:
        lines = files.read_small(place, _LONGEST).decode("ascii").split("\n")
    except (OSError, ValueError):
        return {}
    if lines[0] != _FIRST or lines[-1]:
        return {}
    found = {}
    for line in lines[1:-1]:
        name, _, since = line.partition(" ")
        if since.isdigit() and len(since) < 16:
            found[name] = float(since)
    return found


def ripe(noted: Mapping[str, float], names: Iterable[str], now: float, grace: float) -> set[str]:
    """Gives those of the names that are due, and were noted so at least a day ago (or `grace` seconds, if that is less).

    A note from a time that is still to come was made by a clock that was ahead, and does not count.
    """
    wait = min(WAIT, grace)
    return {name for name in names if name in noted and noted[name] + wait <= now}


def note(place: str, names: Iterable[str], now: float, sharing: Sharing = PRIVATE) -> None:
    """Notes the names that are due, and no others; those that were noted before keep their time. Raises OSError."""
    before = read(place)
    after = {name: min(before.get(name, now), now) // 1 for name in names}
    if not after:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
    elif after != before:
        lines = [_FIRST, *(f"{name} {int(since)}" for name, since in sorted(after.items()))]
        files.write_atomic(place, "".join(f"{line}\n" for line in lines).encode("ascii"), sharing=sharing)
