"""The rows of a manifest, each with its line: CSV and TSV, a JSON list (alone, or under `assets`), and JSON lines.

A row that cannot be read is one, too: it says why, and the others are read all the same.
"""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from comfyvn_store.base import canonical, names
from comfyvn_store.errors import UsageError, from_os_error

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_LONGEST = 256 << 20
_LONGEST_CELL = 4 << 20
_BOMS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"))
_OTHER_BOMS = (*_BOMS, (codecs.BOM_UTF16_BE, "UTF-16"))
_PATHS = ("path", "file", "filename")


class Row(NamedTuple):
    """A row: its line, what it says by the names of the columns, and why it cannot be read (or None)."""

    line: int
    said: dict[str, Any]
    problem: str | None = None


def read(place: str) -> Iterator[Row]:
    """Gives the rows. Raises UsageError where the file as a whole is no manifest."""
    shown = names.printable(place)
    try:
        if os.path.getsize(place) > _LONGEST:
            raise UsageError(f"the manifest '{shown}' is longer than {_LONGEST >> 20} MiB", hint="divide it")
        with open(place, "rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise from_os_error(error, "read the manifest") from None
    for mark, encoding in _OTHER_BOMS:
        if head.startswith(mark):
            raise UsageError(f"{shown}:1: the manifest is in {encoding}", hint="save it as UTF-8")
    ending = os.path.splitext(place)[1].lower()
    if ending in (".jsonl", ".ndjson"):
        yield from _json_lines(place)
    elif ending == ".json":
        yield from _json(place, shown)
    else:
        yield from _csv(place, shown)


def _csv(place: str, shown: str) -> Iterator[Row]:
    # What is not UTF-8 becomes surrogates, so that its line can be told.
    with open(place, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        start = stream.read(65536)
        stream.seek(0)
        csv.field_size_limit(_LONGEST_CELL)
        reader = csv.reader(stream, delimiter=_delimiter(place, start))
        header = _header(reader, shown)
        while True:
            first = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(reader.line_num, {}, f"it is no CSV ({error})")
                continue
            if any(cells):
                yield _csv_row(first, header, cells)


def _delimiter(place: str, start: str) -> str:
    """Gives what parts the cells of the first line. Spreadsheets write `;` where the comma is in numbers."""
    if place.lower().endswith(".tsv"):
        return "\t"
    first = start.lstrip("\ufeff").partition("\n")[0]
    return max(",;\t", key=first.count)


def _header(reader: Any, shown: str) -> list[str]:
    try:
        header = [cell.strip().lower() for cell in next(reader)]
    except (StopIteration, csv.Error):
        raise UsageError(f"{shown}:1: the manifest is empty", hint="its first line names the columns") from None
    if not set(_PATHS) & set(header):
        found = ", ".join(filter(None, header)) or "none"
        raise UsageError(
            f"{shown}:1: there is no column 'path' (columns: {names.printable(found[:200])})",
            hint="the first line names the columns: path,type,name,tags,license,source,meta.mood",
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UsageError(f"{shown}:1: the column '{names.printable(twice[0])}' is there twice")
    return header


def _csv_row(line: int, header: list[str], cells: list[str]) -> Row:
    said = {name: cell for name, cell in zip(header, cells, strict=False) if name and cell != ""}
    if not all(names.is_utf8(cell) for cell in cells):
        return Row(line, said, "it is not UTF-8")
    if len(cells) > len(header) and any(cells[len(header) :]):
        return Row(line, said, f"it has {len(cells)} cells, and there are {len(header)} columns")
    return Row(line, said)


def _json_lines(place: str) -> Iterator[Row]:
    with open(place, "rb") as stream:
        for number, data in enumerate(stream, 1):
            text = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
            if text.strip():
                yield _parsed(number, text)


def _parsed(line: int, data: bytes) -> Row:
    try:
        value = canonical.parse(data)
    except canonical.NotCanonical as error:
        return Row(line, {}, f"it is no JSON ({error})")
    return _object(line, value)


def _object(line: int, value: Any) -> Row:
    if not isinstance(value, dict):
        return Row(line, {}, f"it holds a {type(value).__name__}, not an object")
    return Row(
        line, {str(key).lower() if str(key).lower() in _PATHS else str(key): each for key, each in value.items()}
    )


def _json(place: str, shown: str) -> Iterator[Row]:
    with open(place, "rb") as stream:
        data = stream.read(_LONGEST + 1).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{shown}:{line}: the manifest is not UTF-8", hint="save it as UTF-8") from None
    at = _beginning(text, shown)
    decoder, line, counted = json.JSONDecoder(), 1, 0
    while True:
        at = _behind(text, at, " \t\r\n,")
        if text[at : at + 1] == "]":
            return
        line, counted = line + text.count("\n", counted, at), at
        try:
            _, end = decoder.raw_decode(text, at)
            yield _parsed(line, text[at:end].encode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{shown}:{line}: the manifest is no JSON: {error}") from None
        at = end


def _beginning(text: str, shown: str) -> int:
    """Gives where the first element of the list begins, which may stand in an object under `assets`."""
    at = _behind(text, 0, " \t\r\n")
    if text[at : at + 1] == "{":
        key = text.find('"assets"', at)
        at = _behind(text, key + len('"assets"'), " \t\r\n:") if key >= 0 else -1
    if at < 0 or text[at : at + 1] != "[":
        raise UsageError(
            f"{shown}:1: the manifest holds no list of assets",
            hint='it is a list of objects, or {"assets": [{"path": "hero.png", "type": "characters"}]}',
        )
    return at + 1


def _behind(text: str, at: int, white: str) -> int:
    while at < len(text) and text[at] in white:
        at += 1
    return at
