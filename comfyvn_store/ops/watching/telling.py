"""What a watch tells whoever looks on, one event at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

# Kinds of events beside those of a file (`importing.scratch`).
WATCHING, WAITING, GONE, BACK, ENDED = "watching", "waiting", "gone", "back", "ended"


class Event(NamedTuple):
    """Something that happened; `said` are its details, as plain data."""

    kind: str
    said: dict[str, Any]


Tell = Callable[[Event], None]
