"""The diff driver for sidecars (gitattributes, "Performing text diffs of binary files"): lines that people can read.

git starts it once for each side of each sidecar that `git diff`, `git log -p` and `git show` print, so it imports little.
"""

from __future__ import annotations

import sys

from comfyvn_store.asset import portrait, sidecar
from comfyvn_store.base import canonical

_BLOCK = 1 << 16


def run(place: str) -> int:
    """Prints the sidecar in a file as lines; what is none goes through as it is."""
    out = sys.stdout.buffer
    with open(place, "rb") as stream:
        data = stream.read(canonical.LONGEST_JSON + 1)
        out.write(_readable(data))
        while len(data) > canonical.LONGEST_JSON and (block := stream.read(_BLOCK)):
            out.write(block)
    out.flush()
    return 0


def _readable(data: bytes) -> bytes:
    try:
        card = sidecar.decode(data)
        return "".join(f"{line}\n" for line in portrait.lines(card)).encode("utf-8", "backslashreplace")
    except Exception:  # whatever a colleague's sidecar holds, `git diff` must show it
        return data
