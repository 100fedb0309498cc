"""What values in a query mean: sizes, ranges, times."""

from __future__ import annotations

import math
import re
import time

from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.history import iso_time

# What SQLite can hold.
MOST = (1 << 63) - 1
_NUMBER = re.compile(r"(\d{1,19}(?:\.\d{1,19})?)\s*(?:([kmgt])(?:i?b)?|b)?\Z", re.IGNORECASE | re.ASCII)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\Z", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LAST = 253_402_300_799  # the end of the year 9999


def amount(text: str, *, is_size: bool) -> float | None:
    """Gives a number, with a unit of 1024 behind it if it is a size; None if it is none."""
    found = _NUMBER.match(text.strip())
    if not found or (not is_size and not found[1].isdigit()) or (not is_size and found[1] != text.strip()):
        return None
    return float(found[1]) * 1024.0 ** _POWERS[(found[2] or "").lower()]


def bounds(sign: str, text: str, *, is_size: bool) -> tuple[int, int] | None:
    """Gives the smallest and the largest integer that a comparison, a number or a range `A..B` lets through; None if it does
    not parse."""
    first, dots, last = text.partition("..")
    if dots and sign == ":":
        low = amount(first, is_size=is_size) if first else 0.0
        high = amount(last, is_size=is_size) if last else float(MOST)
        return None if low is None or high is None or not (first or last) else _clamped(low, high)
    value = amount(text, is_size=is_size)
    if value is None:
        return None
    if sign == ">":
        return _clamped(math.floor(value) + 1, MOST)
    if sign == ">=":
        return _clamped(value, MOST)
    if sign == "<":
        return _clamped(0, math.ceil(value) - 1)
    return _clamped(0, value) if sign == "<=" else _clamped(value, value)


def _clamped(low: float, high: float) -> tuple[int, int]:
    return min(math.ceil(low), MOST), min(math.floor(high), MOST)


def moment(git: Git, text: str) -> str | None:
    """Gives a time as the index keeps it; None for what is none. A date alone is the day's first moment here, all else is what
    git makes of it."""
    day = _DAY.match(text.strip())
    try:
        if day:
            year, month, number = map(int, day.groups())
            seconds = int(time.mktime(time.strptime(f"{year:04}-{month:02}-{number:02}", "%Y-%m-%d")))
        else:
            # Of git's readers of dates the one that says when it understands nothing.
            words = ("-c", f"comfyvn.when={text}", "config", "--type=expiry-date", "--get", "comfyvn.when")
            done = git.outcome(*words, check=False)
            if done.returncode != 0:
                return None
            seconds = int(done.stdout)
            if seconds > _LAST:  # git says so of "now"
                seconds = int(time.time())
        return iso_time(seconds)
    except (ValueError, OverflowError, OSError):
        return None
