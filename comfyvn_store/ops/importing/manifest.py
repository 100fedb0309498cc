"""A manifest: a table or a list of files with what is to be said of them. Paths are relative to its folder and never lead out.

Columns: `path`, `type`, `name` (the place below the type), `tags` (between `;` or `,`), `license`, `source`, `user`,
`workflow_hash`, `meta.KEY`, `input.KEY`. Others become notes, under their own name.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from comfyvn_store.asset import record
from comfyvn_store.base import files, names
from comfyvn_store.ops.importing import rows, walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "manifest"
HAS_TYPES = True
_OWN = frozenset(
    (
        *("path", "file", "filename", "type", "name", "tags", "license", "licence", "source", "user", "workflow_hash"),
        *("meta", "inputs", "input"),
    )
)
# Names that Windows cannot have, whatever the ending; and characters that it cannot.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\..*)?\Z", re.IGNORECASE)
_CHARACTERS = re.compile(r'[<>:"|?*\x00-\x1f]')
_HASH = re.compile(r"[0-9a-f]{64}\Z")


def looks(place: str) -> bool:
    """A file whose name ends as a table's or a list's."""
    return os.path.isfile(place) and place.lower().endswith(rows.ENDINGS)


def read(place: str) -> Iterator[Item | Left]:
    """Gives an item for each row."""
    folder = os.path.dirname(os.path.abspath(place))
    seen: dict[tuple[str, str], int] = {}
    for row in rows.read(place):
        yield _row(folder, names.printable(place), row, seen)


def _row(folder: str, manifest: str, row: rows.Row, seen: dict[tuple[str, str], int]) -> Item | Left:
    path = next((row.said[key] for key in ("path", "file", "filename") if row.said.get(key)), None)
    shown = names.printable(path) if isinstance(path, str) else manifest
    problem = row.problem or ("it names no path" if path is None else _path_problem(folder, path))
    if problem:
        return Left(shown, problem, row.line)
    said = row.said
    name = said.get("name") or os.path.normpath(str(path))
    problem = _name_problem(name)
    try:
        item = _item(folder, str(path), str(name), row)
    except ValueError as error:
        problem = problem or str(error)
    if problem:
        return Left(shown, problem, row.line)
    earlier = seen.setdefault((os.path.normpath(str(path)), f"{item.type}/{item.name}"), row.line)
    if earlier != row.line:
        return Left(shown, f"line {earlier} says the same file at the same place", row.line)
    return item


def _path_problem(folder: str, path: Any) -> str | None:
    """Says why a path does not name a file that lies at or below the manifest's folder."""
    if not isinstance(path, str):
        return f"its path is a {type(path).__name__}"
    if "\0" in path:
        return "its path holds a NUL"
    if not names.is_utf8(path):
        return "its path is not UTF-8"
    if "\\" in path:
        return "its path holds a backslash; write '/' between folders"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "its path is absolute; paths are relative to the manifest"
    if ".." in path.split("/"):
        return "its path leads out of the manifest's folder"
    place = os.path.join(folder, path)
    info = files.lstat(place)
    if info is None:
        return "there is no such file"
    if stat.S_ISDIR(info.st_mode):
        return "it is a folder; name the files in it"
    real = os.path.realpath(place)
    if not real.startswith(os.path.realpath(folder).rstrip(os.sep) + os.sep):
        return "a link leads out of the manifest's folder"
    return walking.link_refusal(place, os.path.realpath(folder)) if stat.S_ISLNK(info.st_mode) else None


def _name_problem(name: Any) -> str | None:
    """Says why a place below a type is none that every system can have; other rules are those of any asset."""
    if not isinstance(name, str):
        return f"its name is a {type(name).__name__}"
    for part in name.split("/"):
        if _DEVICES.match(part) or _CHARACTERS.search(part) or part != part.rstrip(" ."):
            return f"'{names.printable(part)}' is a name that Windows cannot have"
    return None


def _item(folder: str, path: str, name: str, row: rows.Row) -> Item:
    """Makes an item of a row. Raises ValueError for what a column cannot say."""
    said = row.said
    workflow = _text(said, "workflow_hash")
    if workflow is not None and not _HASH.match(workflow):
        raise ValueError("its workflow_hash is no SHA-256")
    return Item(
        os.path.join(folder, path),
        path,
        name,
        type=_text(said, "type"),
        tags=_tags(said.get("tags")),
        license=_text(said, "license") or _text(said, "licence"),
        meta={**_below(said, "meta"), **{key: value for key, value in said.items() if _is_note(key)}},
        origin=record.Origin(
            default_source=record.IMPORT,
            source=_text(said, "source"),
            workflow_hash=workflow,
            inputs={**_below(said, "input"), **_below(said, "inputs")},
            user=_text(said, "user"),
        ),
        line=row.line,
    )


def _is_note(key: str) -> bool:
    return key not in _OWN and key.partition(".")[0] not in ("meta", "input", "inputs")


def _text(said: dict[str, Any], key: str) -> str | None:
    value = said.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its {key} is a {type(value).__name__}")
    return value.strip() or None if value else None


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"[;,]", value)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("its tags are no list of text")
    return tuple(dict.fromkeys(each.strip() for each in value if each.strip()))


def _below(said: dict[str, Any], name: str) -> dict[str, Any]:
    """Gives what stands under `name` as an object, or in columns called `name.KEY`; of those a number is one."""
    whole = said.get(name)
    if whole is not None and not isinstance(whole, dict):
        raise ValueError(f"its {name} is a {type(whole).__name__}, not an object")
    found = {key.removeprefix(f"{name}."): value for key, value in said.items() if key.startswith(f"{name}.")}
    return {**(whole or {}), **{key: _value(value) for key, value in found.items()}}


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return value
