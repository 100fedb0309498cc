"""What records name, models, LoRAs, pictures and so on, and what assets are labelled with: each name once, with who has it.

Also how names are compared: those of models and pictures with or without folder and extension, all of them whatever the case.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MODEL, REFINER, LORA, IMAGE = "model", "refiner", "lora", "image"
OTHER = "other model"
SAMPLER, SCHEDULER, SOURCE = "sampler", "scheduler", "source"
TAG, LICENSE = "tag", "license"
# Kinds whose names are those of files.
FILES = frozenset((MODEL, REFINER, LORA, OTHER, IMAGE))

_WEIGHTS = ("safetensors", "ckpt", "pt", "pth", "bin", "gguf", "sft", "onnx")
MEDIA = (
    *("png", "apng", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "psd", "mp4", "webm", "mov", "mkv"),
    *("wav", "mp3", "flac", "ogg", "opus"),
)
_EXTENSIONS = frozenset((*_WEIGHTS, *MEDIA))
# ComfyUI says behind a picture's name in which of its folders that lies.
_FOLDER = re.compile(r"\s*\[(?:input|output|temp)\]\s*\Z")


class Part(NamedTuple):
    """One thing that a record names."""

    kind: str
    name: str
    strength: float | None = None


class Named(NamedTuple):
    """A name that some record or asset has."""

    id: int
    kind: str
    name: str


class FileName(NamedTuple):
    """A file's name in the parts by which names are compared, folded to one case; what is not there is empty."""

    folder: str
    stem: str
    extension: str

    def agrees(self, other: FileName) -> bool:
        """Tells whether both may mean the same file: what both of them say is the same."""
        if self.stem != other.stem or (self.extension and other.extension and self.extension != other.extension):
            return False
        one, two = f"/{self.folder}", f"/{other.folder}"
        return not self.folder or not other.folder or one.endswith(two) or two.endswith(one)


def file_name(name: str) -> FileName:
    """Takes a name apart. Only well-known extensions are taken for one: in `sd_xl_base_1.0` there is none."""
    path = _FOLDER.sub("", name).replace("\\", "/").casefold().strip("/")
    folder, _, base = path.rpartition("/")
    stem, dot, extension = base.rpartition(".")
    return (
        FileName(folder, stem, extension) if dot and stem and extension in _EXTENSIONS else FileName(folder, base, "")
    )


def stem_of(kind: str, name: str) -> str:
    """Gives the form in which names of a kind are looked up."""
    return file_name(name).stem if kind in FILES else name.casefold()


def parts(source: str | None, inputs: Mapping[str, Any]) -> Iterator[Part]:
    """Gives what a record names."""
    for kind in (MODEL, REFINER, SAMPLER, SCHEDULER):
        name = inputs.get(kind)
        if isinstance(name, str):
            yield Part(kind, name)
    for lora in _listed(inputs, "loras"):
        if isinstance(lora, dict) and isinstance(lora.get("name"), str):
            yield Part(LORA, lora["name"], _number(lora.get("strength")))
    for name in _listed(inputs, "other_models"):
        if isinstance(name, str):
            yield Part(OTHER, name)
    for image in _listed(inputs, "images"):
        if isinstance(image, str):
            yield Part(IMAGE, image)
    if source is not None:
        yield Part(SOURCE, source)


def seed(inputs: Mapping[str, Any]) -> str | None:
    """Gives the seed as text, in which no digit of it is lost."""
    found = inputs.get("seed")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None


class Writer:
    """Writes who has which name, within a write transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._ids: dict[tuple[str, str], int] = {}

    def use(self, record: int, found: Iterable[Part]) -> None:
        """Notes what a record names, in place of what was noted of it."""
        self._db.execute("DELETE FROM uses WHERE record = ?", (record,))
        self._db.executemany(
            "INSERT INTO uses VALUES (?, ?, ?, ?)",
            [(self._id(part.kind, part.name), record, place, part.strength) for place, part in enumerate(found)],
        )

    def label(self, owner: int, tags: Iterable[str], license_: str | None) -> None:
        """Notes tags and licence of an asset, or with the owner below 0 of a record, in place of what was noted."""
        self._db.execute("DELETE FROM labels WHERE owner = ?", (owner,))
        ids = {self._id(TAG, tag) for tag in tags}
        if license_ is not None:
            ids.add(self._id(LICENSE, license_))
        self._db.executemany("INSERT INTO labels VALUES (?, ?)", [(id_, owner) for id_ in ids])

    def _id(self, kind: str, name: str) -> int:
        found = self._ids.get((kind, name))
        if found is None:
            self._db.execute(
                "INSERT OR IGNORE INTO names(kind, name, stem) VALUES (?, ?, ?)", (kind, name, stem_of(kind, name))
            )
            row = self._db.execute("SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone()
            found = self._ids[kind, name] = int(row[0])
        return found


def matching(db: sqlite3.Connection, kinds: Sequence[str], wanted: str) -> list[Named]:
    """Gives the names of some kinds that a person may mean by `wanted`, in which `*` stands for anything."""
    marks = ",".join("?" * len(kinds))
    if "*" in wanted:
        rows = db.execute(f"SELECT id, kind, name, stem FROM names WHERE kind IN ({marks})", tuple(kinds))
        like = glob(wanted.replace("\\", "/") if FILES.issuperset(kinds) else wanted)
        return [Named(*row[:3]) for row in rows if like(_whole(row[1], row[2])) or like(row[3])]
    rows = db.execute(
        f"SELECT id, kind, name FROM names WHERE stem = ? AND kind IN ({marks})",
        (stem_of(kinds[0], wanted), *kinds),
    )
    found = [Named(*row) for row in rows]
    if FILES.issuperset(kinds):
        asked = file_name(wanted)
        found = [each for each in found if asked.agrees(file_name(each.name))]
    return found


def glob(pattern: str) -> Callable[[str], bool]:
    """Gives a test for texts, whatever their case, in which `*` stands for anything."""
    first, *others = pattern.casefold().split("*")
    if not others:
        return lambda text: text.casefold() == first
    *middle, last = others

    def test(text: str) -> bool:
        folded = text.casefold()
        at, end = len(first), len(folded) - len(last)
        if not folded.startswith(first) or not folded.endswith(last) or at > end:
            return False
        for piece in middle:
            found = folded.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return test


def _whole(kind: str, name: str) -> str:
    return name.replace("\\", "/") if kind in FILES else name


def _listed(inputs: Mapping[str, Any], key: str) -> list[Any]:
    found = inputs.get(key)
    return found if isinstance(found, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
