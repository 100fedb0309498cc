"""How answers look: terse, aligned, coloured on a terminal only; JSON where asked for; progress where it takes time."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click

from comfyvn_store.base import names
from comfyvn_store.errors import UsageError


def line(text: str = "") -> None:
    """Prints a line; colours go away where nobody sees them."""
    click.echo(text)


def exact(path: str) -> None:
    """Prints a path for a program: byte for byte, whatever it holds."""
    click.echo(os.fsencode(path))


# Those that JSON does not escape itself. Outside of texts there are none of them.
_CONTROLS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def as_json(value: Any) -> None:
    """Prints a value as JSON. What the output's encoding cannot say (a name that is no UTF-8) is escaped, and so is what
    controls a terminal or the direction of what it shows."""
    text = _CONTROLS.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=2))
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    click.echo(text)


def require_text(*words: str) -> None:
    """Refuses words from the command line that are not UTF-8, which no sidecar can hold. Raises UsageError."""
    for word in words:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"'{names.printable(word)}' is not UTF-8") from None


def note(text: str) -> None:
    """Says something that is not the answer."""
    click.echo(f"note: {text}", err=True)


def notes(lines: Iterable[str]) -> None:
    """Says several such things."""
    for text in lines:
        note(text)


def warning(text: str) -> None:
    """Says something that may cost a person work."""
    click.echo(f"{_styled('warning:', sys.stderr, fg='yellow', bold=True)} {text}", err=True)


def error(message: str, hint: str | None) -> None:
    """Prints an error and what to do about it."""
    click.echo(f"{_styled('error:', sys.stderr, fg='red', bold=True)} {message}", err=True)
    if hint:
        click.echo(f"{_styled('hint:', sys.stderr, fg='yellow')} {hint}", err=True)


def hint(text: str) -> None:
    """Says what can be done."""
    click.echo(f"{_styled('hint:', sys.stderr, fg='yellow')} {text}", err=True)


def path(text: str) -> str:
    """Gives a path as it may be printed."""
    return names.printable(text)


def strong(text: str) -> str:
    """Gives text that stands out."""
    return _coloured(text, bold=True)


def dim(text: str) -> str:
    """Gives text that stands back."""
    return _coloured(text, dim=True)


def good(text: str) -> str:
    """Gives text in green."""
    return _coloured(text, fg="green")


def bad(text: str) -> str:
    """Gives text in red."""
    return _coloured(text, fg="red")


def commit(text: str | None, none: str) -> str:
    """Gives a commit as git shows it, short; `none` stands where there is none to show."""
    return _coloured(text[:10], fg="yellow") if text else dim(none)


def table(rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Prints aligned columns; the last one is as long as it is."""
    if not rows:
        return
    widths = [max(len(click.unstyle(row[n])) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = [cell + " " * (widths[n] - len(click.unstyle(cell))) for n, cell in enumerate(row[:-1])]
        line(indent + "  ".join([*cells, row[-1]]).rstrip())


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


def _coloured(text: str, **style: Any) -> str:
    """Gives text for standard output, where `line` takes the colours away if nobody sees them."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def _styled(text: str, stream: Any, **style: Any) -> str:
    return click.style(text, **style) if stream.isatty() and not os.environ.get("NO_COLOR") else text


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
