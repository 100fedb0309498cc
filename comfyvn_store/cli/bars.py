"""A bar for bytes on their way: how far, how fast, how long still. On a terminal only."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from comfyvn_store.cli import output

if TYPE_CHECKING:
    from comfyvn_store.remotes.progress import Steps

# Seconds over which the speed is taken, and between two drawings.
_WINDOW = 5.0
_PAUSE = 0.1


class TransferBar:
    """Draws where a transfer is, once it takes over a second. Several threads may tell it."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._shown = sys.stderr.isatty()
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._past: deque[tuple[float, int]] = deque()
        self._is_dirty = False

    def __call__(self, steps: Steps) -> None:
        """Takes a step."""
        now = time.monotonic()
        if not self._shown or now - self._begun < 1.0 or now - self._drawn < _PAUSE:
            return
        self._drawn = now
        self._past.append((now, steps.bytes))
        while now - self._past[0][0] > _WINDOW:
            self._past.popleft()
        text = f"{self._verb}: {_text(steps, self._speed())}"
        # A line that wraps would not be drawn over.
        sys.stderr.write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()
        self._is_dirty = True

    def _speed(self) -> float:
        """Gives bytes a second over the last seconds."""
        (since, before), (now, after) = self._past[0], self._past[-1]
        if now - since < _PAUSE / 2:
            return after / (now - self._begun)
        return max(0.0, (after - before) / (now - since))

    def abandon(self) -> None:
        """Leaves the line as it is: somebody else writes on the terminal already."""
        self._shown = self._is_dirty = False

    def close(self) -> None:
        """Clears the line."""
        if self._is_dirty:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self._is_dirty = False


def _text(steps: Steps, speed: float) -> str:
    share = min(1.0, steps.bytes / steps.size if steps.size else steps.objects / max(1, steps.of))
    moved = output.size(steps.bytes) + (f" of {output.size(steps.size)}" if steps.size else "")
    left = ""
    if steps.size and speed > 0:
        seconds = (steps.size - steps.bytes) / speed
        if seconds >= 1:
            left = f", {int(seconds // 60)} min left" if seconds >= 120 else f", {seconds:.0f} s left"
    return f"[{'#' * int(20 * share):<20}] {steps.objects}/{steps.of}, {moved}, {output.size(int(speed))}/s{left}"
