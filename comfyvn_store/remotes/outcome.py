"""What became of a transfer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from comfyvn_store.errors import ComfyvnError


class Quarantined(NamedTuple):
    """Bytes that a remote gave for an object and that are others: where they lie now."""

    hash: str
    remote: str
    path: str


@dataclass
class Outcome:
    """What became of a transfer.

    `sources` names the remote from which an object came, or to which it went; `absent` are objects that nobody had; `failed`
    those that some remote has and none gave (or took); `down` are remotes that could not be asked to the end.
    """

    moved: list[str] = field(default_factory=list)
    bytes: int = 0
    sources: dict[str, str] = field(default_factory=dict)
    there: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: dict[str, ComfyvnError] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    down: dict[str, ComfyvnError] = field(default_factory=dict)
    seconds: float = 0.0
