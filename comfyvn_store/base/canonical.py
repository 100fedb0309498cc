"""JSON text in exactly one form, and a reader that refuses what it could not write back unchanged in meaning."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable
from json.encoder import encode_basestring as _quoted
from typing import Any

# A sidecar is a page of text; what is larger is no sidecar and is never parsed.
LONGEST_JSON = 4 * 1024 * 1024
# The writer needs three Python frames a level and has a thousand in all; real graphs nest some twenty levels.
DEEPEST = 100


class NotCanonical(ValueError):
    """The text is no JSON, or JSON that would lose something on the way through (duplicate keys, NaN, 1e999)."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotCanonical("a key stands twice")
    return result


def _constant(name: str) -> Any:
    raise NotCanonical(f"{name} is no JSON")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise NotCanonical(f"the number {text} is too large")
    return value


def parse(data: bytes) -> Any:
    """Parses JSON strictly.

    Raises NotCanonical for everything that cannot be read and written again without loss: bad UTF-8, duplicate keys,
    NaN and infinities, lone surrogates, more than DEEPEST levels, more than LONGEST_JSON bytes.
    """
    if len(data) > LONGEST_JSON:
        raise NotCanonical(f"{len(data)} bytes is too long for a sidecar")
    try:
        text = data.decode("utf-8")
        found = _plain(text)
        if found is not None:
            return found
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_number)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        if data.count(b"[") + data.count(b"{") > DEEPEST and _depth(value) > DEEPEST:
            raise NotCanonical("nested too deeply")
        return value
    except NotCanonical:
        raise
    except RecursionError:
        raise NotCanonical("nested too deeply") from None
    except (ValueError, UnicodeError) as error:
        raise NotCanonical(str(error)) from None


# The scanner of `json.loads` without what the strict reader hangs into it, which calls Python for each object and number.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _plain(text: str) -> dict[str, Any] | None:
    """Parses an object in which nothing is unusual, in half of the time; None leaves it to the strict reader.

    In JSON a colon stands behind each key, and within texts: a key that stood twice would leave one too many.
    """
    if text[:1] != "{" or ("\\" in text and "\\u" in text):
        return None
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError, RecursionError):
        return None
    if end != len(text) and text[end:] != "\n":
        return None
    colons = text.count(":")
    containers: list[Any] = [value]
    for each in containers:  # which grows while it is gone through
        if type(each) is dict:
            colons -= len(each)
            each = each.values()
        for item in each:
            kind = type(item)
            if kind is str:
                colons -= item.count(":")
            elif kind is dict or kind is list:
                containers.append(item)
            elif kind is float and item - item != 0.0:  # NaN, or infinite
                return None
    return None if colons or len(containers) > DEEPEST else value


def _depth(value: Any) -> int:
    """Gives how many lists and objects stand in one another, counted no further than just beyond DEEPEST."""
    level, depth = [value], 0
    while depth <= DEEPEST:
        level = [
            item
            for each in level
            if isinstance(each, (dict, list))
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (dict, list))
        ]
        depth += 1
        if not level:
            break
    return depth


def dump_pretty(value: Any) -> bytes:
    """Gives the sidecar form: UTF-8, two spaces, keys in the order they stand in, a newline at the end."""
    try:
        text = _pretty(value, "\n")
    except _Unusual:
        text = json.dumps(value, ensure_ascii=False, indent=2)
    return (text + "\n").encode("utf-8")


class _Unusual(Exception):
    """A value that plain JSON does not give."""


def _pretty(value: Any, line: str) -> str:
    """Does what the json module does with `indent=2`, which it does not do in C, in a third of the time. Raises _Unusual."""
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is dict:
        if not value:
            return "{}"
        inner = f"{line}  "
        parts = []
        for key, item in value.items():
            if type(key) is not str:
                raise _Unusual
            parts.append(f"{_quoted(key)}: {_quoted(item) if type(item) is str else _pretty(item, inner)}")
        return f"{{{inner}{f',{inner}'.join(parts)}{line}}}"
    if kind is list:
        if not value:
            return "[]"
        inner = f"{line}  "
        return f"[{inner}{f',{inner}'.join([_pretty(item, inner) for item in value])}{line}]"
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int or (kind is float and value - value == 0.0):
        return repr(value)
    raise _Unusual


def dump_compact(value: Any) -> bytes:
    """Gives the form that is hashed: UTF-8, sorted keys, no spaces, no newline."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _line_encoder() -> Callable[[Any], str]:
    """Gives what writes a line, made once: `json.dumps` makes it anew for each value."""
    made = getattr(json.encoder, "c_make_encoder", None)
    if made is None:
        return json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    encoder = made(None, _unknown, json.encoder.encode_basestring, None, ": ", ", ", False, False, True)
    return lambda value: "".join(encoder(value, 0))


def _unknown(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is no JSON")


_line = _line_encoder()


def dump_line(value: Any) -> str:
    """Gives a value as one line for a database column, keys in the order they stand in."""
    return _line(value)
