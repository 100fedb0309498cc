"""Raw times in a folder, a file for each row, so that rows may be measured one after another and told together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Spent

Found = dict[str, dict[str, list[Spent]]]


def save(folder: Path, found: Mapping[str, Mapping[str, Sequence[Spent]]], facts: Mapping[str, Any]) -> None:
    """Writes what was found, over what is there of the same rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, columns in found.items():
        told = {column: [each._asdict() for each in runs] for column, runs in columns.items()}
        _write(folder / f"{key}.times.json", told)
    for key, fact in facts.items():
        _write(folder / f"{key}.facts.json", fact)


def load(folder: Path) -> tuple[Found, dict[str, Any]]:
    """Gives all that is in the folder."""
    found: Found = {}
    for path in sorted(folder.glob("*.times.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        found[path.name.partition(".")[0]] = {column: [Spent(**each) for each in runs] for column, runs in told.items()}
    facts = {
        path.name.partition(".")[0]: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.facts.json"))
    }
    return found, facts


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
