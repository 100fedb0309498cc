"""`workflow --verify`: what is needed to make a picture again, and what of it is at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from comfyvn_store.asset.readers.comfyui import files as named
from comfyvn_store.asset.readers.comfyui.files import NamedFile
from comfyvn_store.base import digest, files, names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import UnknownFile, from_os_error
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.workflow import Graph
from comfyvn_store.store.objects import open_file

# Files in the folders that are looked through, before looking is given up.
_MOST_FILES = 1_000_000
_HASHES = "model-hashes.json"


class Needed(NamedTuple):
    """A file that the graph names. `state` is "here" (`place` and, of models, `sha256` say which), "asset" (an asset of that
    file name: `place` is its path; inferred, since a graph holds no hash), "missing", or "not looked for"."""

    file: NamedFile
    state: str
    place: str | None = None
    sha256: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        basis = {"basis": "inferred", "how": "name"} if self.state in ("here", "asset") else {}
        return {
            "kind": self.file.kind,
            "name": self.file.name,
            "nodes": list(self.file.nodes),
            "state": self.state,
            "place": self.place,
            "sha256": self.sha256,
            **basis,
        }


class Verified(NamedTuple):
    """What a graph needs. `nodes` are the classes of its nodes; whether those are installed only ComfyUI itself can tell."""

    needed: list[Needed]
    nodes: list[str]
    is_api: bool

    @property
    def missing(self) -> list[Needed]:
        """What was looked for and is not there."""
        return [each for each in self.needed if each.state == "missing"]

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        return {
            "complete": all(each.state in ("here", "asset") for each in self.needed),
            "needed": [each.as_dict() for each in self.needed],
            "nodes": self.nodes,
            "graph": "prompt" if self.is_api else "workflow",
        }


def verify(
    graph: Graph,
    *,
    models: Sequence[str],
    inputs: Sequence[str],
    session: Session | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Looks for the files that a graph names: models below the folders `models`, input files below `inputs` and among
    the assets of `session`. Raises UnknownFile for a folder that is not there, MachineError."""
    value = json.loads(graph.text)
    prompt, workflow = (value, None) if graph.is_api else (None, value)
    wanted = named.named_files(prompt, workflow)
    found = {named.MODEL: _Folders(models), named.INPUT: _Folders(inputs)}
    hashes = _Hashes(session, progress or quietly)
    needed = []
    for file in wanted:
        place = found[file.kind].find(file.name)
        if place is not None:
            needed.append(Needed(file, "here", place, hashes.of(place) if file.kind == named.MODEL else None))
            continue
        asset = _asset(session, file.name) if file.kind == named.INPUT and session is not None else None
        if asset is not None:
            needed.append(Needed(file, "asset", asset))
        elif found[file.kind].is_empty and (file.kind == named.MODEL or session is None):
            needed.append(Needed(file, "not looked for"))
        else:
            needed.append(Needed(file, "missing"))
    hashes.write()
    return Verified(needed, named.classes(prompt, workflow), graph.is_api)


class _Folders:
    """Files at any depth below folders, by name; walked once, when the first is looked for."""

    def __init__(self, folders: Sequence[str]) -> None:
        for folder in folders:
            if not os.path.isdir(folder):
                raise UnknownFile(f"there is no folder '{names.printable(folder)}'")
        self._folders = folders
        self._places: dict[str, list[str]] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nowhere to look."""
        return not self._folders

    def find(self, name: str) -> str | None:
        """Gives the file of that name, which may begin with folders in either system's form. The whole name must fit; of
        several that do, the first in the order of their paths. Case counts only if it can."""
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or not parts[-1]:
            return None
        if self._places is None:
            self._places = {}
            for place in self._walk():
                self._places.setdefault(os.path.basename(place).lower(), []).append(place)
        fitting = [place for place in self._places.get(parts[-1].lower(), ()) if _ends_with(place, parts)]
        exact = [place for place in fitting if place.replace(os.sep, "/").endswith("/" + "/".join(parts))]
        return min(exact or fitting, default=None)

    def _walk(self) -> Iterator[str]:
        count = 0
        for folder in self._folders:
            for place, folders, found in os.walk(folder, followlinks=False):
                folders.sort()
                for name in found:
                    count += 1
                    if count > _MOST_FILES:
                        return
                    yield os.path.join(place, name)


def _ends_with(place: str, parts: Sequence[str]) -> bool:
    return [part.lower() for part in place.replace(os.sep, "/").split("/")[-len(parts) :]] == [p.lower() for p in parts]


class _Hashes:
    """SHA-256 of models, which are gigabytes: remembered by place, size and time of change."""

    def __init__(self, session: Session | None, progress: Progress) -> None:
        self._place = os.path.join(session.repository.own_dir, _HASHES) if session is not None else None
        self._sharing = session.repository.settings.sharing if session is not None else None
        self._progress = progress
        self._known = self._read()
        self._is_changed = False
        self._done = 0

    def of(self, place: str) -> str:
        """Gives the hash of a file. Raises MachineError."""
        absolute = os.path.abspath(place)
        try:
            with open_file(os.path.realpath(place)) as stream:
                info = os.fstat(stream.fileno())
                print_ = [info.st_size, info.st_mtime_ns, info.st_ino]
                known = self._known.get(absolute)
                if isinstance(known, list) and known[:3] == print_ and isinstance(known[3], str):
                    return known[3]
                self._done += 1
                self._progress("hashing models", self._done, self._done + 1)
                hash_ = digest.sha256(stream)
        except OSError as error:
            raise from_os_error(error, f"read '{names.printable(place)}'") from error
        self._known[absolute] = [*print_, hash_]
        self._is_changed = True
        return hash_

    def write(self) -> None:
        """Keeps what was hashed; where that cannot be written it is hashed again another time."""
        if not self._is_changed or self._place is None or self._sharing is None:
            return
        try:
            files.write_atomic(self._place, json.dumps(self._known).encode(), sharing=self._sharing)
        except OSError:
            return

    def _read(self) -> dict[str, Any]:
        if self._place is None:
            return {}
        try:
            with open(self._place, encoding="utf-8") as stream:
                found = json.load(stream)
        except (OSError, ValueError, RecursionError):
            return {}
        return {key: value for key, value in found.items() if len(value) == 4} if _is_sound(found) else {}


def _is_sound(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(value, list) for value in found.values())


def _asset(session: Session | None, name: str) -> str | None:
    """Gives the asset whose file has that name; None where there is none, or several."""
    if session is None:
        return None
    last = name.replace("\\", "/").rpartition("/")[2]
    rows = session.index.db.execute(
        "SELECT path FROM assets_registry WHERE path = ?1 OR substr(path, -length(?1) - 1) = '/' || ?1 LIMIT 2", (last,)
    ).fetchall()
    return session.repository.full(rows[0][0]) if len(rows) == 1 else None
