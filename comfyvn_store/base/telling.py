"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

# Hears what is being done, how many are done, and of how many (0: nobody knows).
Progress = Callable[[str, int, int], None]


def quietly(what: str, done: int, total: int) -> None:
    """Tells nobody."""
