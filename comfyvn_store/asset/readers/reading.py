"""What a reader answers, and the helpers by which readers keep their answers clean and small.

Owns the keys of `inputs` and of `embedded`, and their bounds: an answer goes into a sidecar, which is a page of text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

from comfyvn_store.base import canonical

LONGEST_VALUE = 64 * 1024  # characters of a prompt; a longer one is unknown, because part of it would pass for all
LONGEST_INPUTS = 1024 * 1024  # bytes of all values together, as they are written
LONGEST_STATED = 64 * 1024  # bytes of one thing that a file states, as they are written
LONGEST_WORDS = 2000  # of a title, a name, a licence
MOST_TAGS = 200
DEEPEST_NESTING = 200
# Of JSON that is parsed: real graphs reach 1 MB. A value of three bytes may need two hundred in memory.
LONGEST_JSON = canonical.LONGEST_JSON
MOST_CONTAINERS = 100_000
MOST_VALUES = 300_000

INPUTS = (
    *("seed", "model", "loras", "sampler", "scheduler", "steps", "cfg", "denoise"),
    *("positive", "negative", "images"),
)
EMBEDDED = ("title", "author", "copyright", "license", "software", "created", "description", "tags", "url", "c2pa")


class Reading(NamedTuple):
    """What a file's metadata says; None is unknown.

    `source` is the program that generated it. `inputs` has the keys of `INPUTS` where there is a source and none
    otherwise: clean JSON, without NaN, infinities or lone surrogates. `prompt` and `workflow` are ComfyUI's graphs as
    parsed; they may hold NaN. `embedded` is what the file states of itself (`EMBEDDED`), unverified.
    """

    source: str | None
    workflow_hash: str | None
    inputs: dict[str, Any]
    prompt: Any = None
    workflow: Any = None
    embedded: Mapping[str, Any] = MappingProxyType({})


def unknown_inputs() -> dict[str, Any]:
    """Gives `inputs` of which nothing is known."""
    return {key: [] if key in ("loras", "images") else None for key in INPUTS}


def bounded(inputs: dict[str, Any]) -> dict[str, Any]:
    """Gives `inputs` as they are, or with nothing known where they are too large for a sidecar."""
    return inputs if written_size(inputs) <= LONGEST_INPUTS else {**inputs, **dict.fromkeys(INPUTS)}


def written_size(value: Any) -> int:
    """Gives how many bytes a value takes as JSON in UTF-8. A control character takes six."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def integer(value: Any) -> int | None:
    """Accepts an integer of 64 bits, signed or not; a bool is none."""
    return value if type(value) is int and -(1 << 63) <= value < 1 << 64 else None


def number(value: Any) -> int | float | None:
    """Accepts an integer or a finite float; a bool is neither."""
    if type(value) is float:
        return value if isfinite(value) else None
    return integer(value)


def text(value: Any) -> str | None:
    """Accepts a text of at most `LONGEST_VALUE`; lone surrogates, which UTF-8 cannot hold, become U+FFFD. A text without any
    is given itself, not a copy: thousands of nodes may share one."""
    if not isinstance(value, str) or len(value) > LONGEST_VALUE:
        return None
    return value if value.isascii() else _without_surrogates(value)


@lru_cache(maxsize=16)
def _without_surrogates(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def written_integer(value: Any) -> int | None:
    """Accepts an integer, or the decimal digits of one."""
    if isinstance(value, str):
        digits = value.strip()
        is_number = len(digits) <= 20 and digits.isascii() and digits.removeprefix("-").isdigit()
        return integer(int(digits)) if is_number else None
    return integer(value)


def written_number(value: Any) -> int | float | None:
    """Accepts a number, or the text of one. A whole one without a point is an integer."""
    whole = written_integer(value)
    if whole is not None or not isinstance(value, str) or len(value) > 40 or "_" in value:
        return number(value) if whole is None else whole
    try:
        return number(float(value))
    except ValueError:
        return None


def words(value: Any) -> str | None:
    """Accepts a short text that says something, without white space or NULs around it and control characters in it."""
    cleaned = text(value)
    if cleaned is None:
        return None
    cleaned = "".join(" " if each < " " or each == "\x7f" else each for each in cleaned.strip("\0 \t\r\n")).strip()
    return cleaned if 0 < len(cleaned) <= LONGEST_WORDS else None


def tags(value: Any) -> list[str]:
    """Accepts a list of short texts, or a text in which they stand between commas or semicolons."""
    if isinstance(value, str):
        value = value.replace(";", ",").split(",") if len(value) <= LONGEST_VALUE else []
    if not isinstance(value, list):
        return []
    found = dict.fromkeys(filter(None, (words(each) for each in value[: MOST_TAGS * 2])))
    return list(found)[:MOST_TAGS]


def embedded(**said: Any) -> dict[str, Any]:
    """Gives what a file states, as clean words under `EMBEDDED`'s keys; what says nothing is left out."""
    found: dict[str, Any] = {}
    for key in EMBEDDED:
        value = said.get(key)
        clean = tags(value) if key == "tags" else value if key == "c2pa" else words(value)
        if clean and (isinstance(clean, str) or written_size(clean) <= LONGEST_STATED):
            found[key] = clean
    return found


def joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Brings several such statements together; of two that say the same thing differently the first counts."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            merged.setdefault(key, value)
    return {key: merged[key] for key in EMBEDDED if key in merged}


def parse_json(value: str | None, longest: int = LONGEST_JSON) -> Any:
    """Parses JSON of somebody else's; None if it is none, too long, too deep or in too many parts. NaN is read as programs
    write it."""
    longest = min(longest, LONGEST_JSON)
    if not isinstance(value, str) or len(value) > longest:
        return None
    if not value.isascii() and len(value.encode("utf-8", "surrogatepass")) > longest:
        return None
    if value.count("{") + value.count("[") > MOST_CONTAINERS or value.count(",") > MOST_VALUES:
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return None if is_deep(parsed) else parsed


def is_deep(value: Any, most: int = DEEPEST_NESTING) -> bool:
    """Whether lists and objects stand in one another more than so many times."""
    level = [value]
    for _ in range(most):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True
