"""How answers look: terse, aligned, coloured on a terminal only; JSON where asked for; progress where it takes time."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from comfyvn_store.base import names
from comfyvn_store.errors import UsageError


def line(text: str = "") -> None:
    """Prints a line; colours go away where nobody sees them."""
    raw(f"{text}\n")


def raw(text: str) -> None:
    """Prints text as it is, without a line's end of ours."""
    _write(sys.stdout, text)


def _write(stream: TextIO | None, text: str) -> None:
    """Writes at once, so that answers and messages keep their order; nowhere where a program has no such stream."""
    if stream is not None:
        stream.write(text if stream.isatty() else _unstyled(text))
        stream.flush()


def exact(path: str) -> None:
    """Prints a path for a program: byte for byte, whatever it holds."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")
        sys.stdout.flush()


# Those that JSON does not escape itself. Outside of texts there are none of them.
_CONTROLS = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def as_json(value: Any) -> None:
    """Prints a value as JSON. What the output's encoding cannot say (a name that is no UTF-8) is escaped, and so is what
    controls a terminal or the direction of what it shows."""
    import json

    text = re.sub(_CONTROLS, _escaped, json.dumps(value, ensure_ascii=False, indent=2))
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    line(text)


def require_text(*words: str) -> None:
    """Refuses words from the command line that are not UTF-8, which no sidecar can hold. Raises UsageError."""
    for word in words:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"'{names.printable(word)}' is not UTF-8") from None


def message(text: str) -> None:
    """Prints a line that is not the answer."""
    _write(sys.stderr, f"{text}\n")


def note(text: str) -> None:
    """Says something that is not the answer."""
    message(f"note: {text}")


def notes(lines: Iterable[str]) -> None:
    """Says several such things."""
    for text in lines:
        note(text)


def warning(text: str) -> None:
    """Says something that may cost a person work."""
    message(f"{_coloured('warning:', _YELLOW, _BOLD)} {text}")


def error(text: str, hint: str | None) -> None:
    """Prints an error and what to do about it."""
    message(f"{_coloured('error:', _RED, _BOLD)} {text}")
    if hint:
        message(f"{_coloured('hint:', _YELLOW)} {hint}")


def hint(text: str) -> None:
    """Says what can be done."""
    message(f"{_coloured('hint:', _YELLOW)} {text}")


def path(text: str) -> str:
    """Gives a path as it may be printed."""
    return names.printable(text)


def strong(text: str) -> str:
    """Gives text that stands out."""
    return _coloured(text, _BOLD)


def dim(text: str) -> str:
    """Gives text that stands back."""
    return _coloured(text, _DIM)


def good(text: str) -> str:
    """Gives text in green."""
    return _coloured(text, _GREEN)


def bad(text: str) -> str:
    """Gives text in red."""
    return _coloured(text, _RED)


def commit(text: str | None, none: str) -> str:
    """Gives a commit as git shows it, short; `none` stands where there is none to show."""
    return _coloured(text[:10], _YELLOW) if text else dim(none)


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Prints aligned columns; the last one is as long as it is."""
    if not rows:
        return
    shown = [[len(_unstyled(cell)) for cell in row[:-1]] for row in rows]
    widths = [max(column) for column in zip(*shown, strict=True)]
    lines = []
    for row, lengths in zip(rows, shown, strict=True):
        cells = [cell + " " * (w - n) for cell, w, n in zip(row[:-1], widths, lengths, strict=True)]
        lines.append(indent + "  ".join([*cells, row[-1]]).rstrip() + "\n")
    raw("".join(lines))


def size(count: int | None) -> str:
    """Gives a number of bytes as people read it."""
    if count is None:
        return "?"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{int(amount)} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("not reached")


def count(number: int, one: str, many: str | None = None) -> str:
    """Gives a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


# Select Graphic Rendition (ECMA-48, 8.3.117).
_BOLD, _DIM, _RED, _GREEN, _YELLOW = 1, 2, 31, 32, 33
_STYLE = r"\033\[[0-?]*[ -/]*[@-~]"


def _coloured(text: str, *codes: int) -> str:
    """Gives text in a style, which goes away on its way out if nobody sees it."""
    return text if os.environ.get("NO_COLOR") else "".join(f"\033[{code}m" for code in codes) + f"{text}\033[0m"


def _unstyled(text: str) -> str:
    return re.sub(_STYLE, "", text) if "\033" in text else text


class Progress:
    """A bar on a terminal for what takes over a second; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._started: dict[str, float] = {}
        self._drawn = 0.0
        self._dirty = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Takes a step."""
        if not self._shown:
            return
        now = time.monotonic()
        begun = self._started.setdefault(what, now)
        if now - begun < 1.0 or (now - self._drawn < 0.1 and done < total):
            return
        self._drawn = now
        share = done / total if total else 1.0
        bar = "#" * int(24 * share)
        left = (now - begun) / share * (1 - share) if share > 0.02 else 0.0
        eta = f", {left:.0f} s left" if left >= 1 else ""
        sys.stderr.write(f"\r\033[K{what}: [{bar:<24}] {done}/{total}{eta}")
        sys.stderr.flush()
        self._dirty = True

    def close(self) -> None:
        """Clears the line."""
        if self._dirty:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
