"""Files and what they say, for comparing before with after."""

import json
import os
from pathlib import Path
from typing import Any

from comfyvn_store.base import png

# What git leaves in its folder while a verb waits for us; the first that is there tells the verb. A pick of several that
# was refused leaves `sequencer` alone.
SEQUENCES = {
    "rebase-merge": "rebase",
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick",
}


def unmarked(data: bytes) -> bytes:
    """The bytes without our marker, of the formats that histories have: PNG, and WAV that had no tag."""
    if data.startswith(b"RIFF") and b"comfyvn_provenance" in data:
        data = data[: data.rindex(b"id3 ")]
        return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
    if not data.startswith(png.SIGNATURE):
        return data
    parts, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if not data[at + 4 :].startswith(b"iTXtcomfyvn_provenance\0"):
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


def without_commit(data: bytes) -> Any:
    """What a sidecar says, its commit apart."""
    said = json.loads(data)
    said["provenance"].pop("commit", None)
    return said


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """Time and bytes (or link text) of every file below a folder, the index's own files apart."""
    found = {}
    for folder, _, files in os.walk(top):
        for name in files:
            place = os.path.join(folder, name)
            if name.startswith("index.db"):
                continue
            data = os.fsencode(os.readlink(place)) if os.path.islink(place) else Path(place).read_bytes()
            found[os.path.relpath(place, top)] = (os.lstat(place).st_mtime_ns, data)
    return found


def differences(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> list[str]:
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
