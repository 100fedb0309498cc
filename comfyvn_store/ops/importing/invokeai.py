"""InvokeAI's folder: pictures in `outputs/images`, which board a picture is on and whether it is starred in
`databases/invokeai.db`. The names of boards, and `starred`, become tags.

What InvokeAI made on the way (intermediate pictures, masks, control images) and its thumbnails are passed over. The database is
opened for reading only; without it, or where it has another form, all pictures are taken and nothing is known of boards.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from urllib.parse import quote

from comfyvn_store.ops.importing import walking
from comfyvn_store.ops.importing.items import Item, Left

NAME = "invokeai"
HAS_TYPES = False
_DATABASE = os.path.join("databases", "invokeai.db")
_IMAGES = os.path.join("outputs", "images")
_ASK = """SELECT i.image_category, i.is_intermediate, i.starred, b.board_name FROM images i
    LEFT JOIN board_images x ON x.image_name = i.image_name LEFT JOIN boards b ON b.board_id = x.board_id
    WHERE i.image_name = ?"""


def looks(place: str) -> bool:
    """InvokeAI's own folder, its `outputs`, or the folder of pictures with that of thumbnails in it."""
    if os.path.isfile(os.path.join(place, _DATABASE)) or os.path.isfile(os.path.join(place, "invokeai.yaml")):
        return True
    return any(os.path.isdir(os.path.join(place, *path, "thumbnails")) for path in ((), ("images",)))


def read(place: str) -> Iterator[Item | Left]:
    """Gives the pictures that people made."""
    top = next((each for path in (_IMAGES, "images") if os.path.isdir(each := os.path.join(place, path))), place)
    with contextlib.closing(_Database(place)) as database:
        for folder, seen in walking.each(top, enters):
            yield _one(folder, seen, database)


def enters(inside: str) -> bool:
    """All folders but those of thumbnails."""
    return os.path.basename(inside) != "thumbnails"


def one(top: str, seen: walking.Seen) -> Item | Left:
    """Gives one picture."""
    with contextlib.closing(_Database(top)) as database:
        return _one(top, seen, database)


def _one(top: str, seen: walking.Seen, database: _Database) -> Item | Left:
    shown, name = walking.shown(top, seen.inside), os.path.basename(seen.inside)
    if seen.refusal:
        return Left(shown, seen.refusal)
    if reason := walking.kind_refusal(name):
        return Left(shown, reason, is_due=False)
    skipped, tags = database.ask(name)
    if skipped:
        return Left(shown, skipped, is_due=False)
    return Item(os.path.abspath(seen.place), shown, seen.inside, tags=tags)


class _Database:
    """What InvokeAI notes of its pictures, or nothing."""

    def __init__(self, place: str) -> None:
        self._db: sqlite3.Connection | None = None
        folder = os.path.abspath(place)
        for _ in range(3):  # the pictures lie two folders below it
            found = os.path.join(folder, _DATABASE)
            if os.path.isfile(found):
                with contextlib.suppress(sqlite3.Error):
                    self._db = sqlite3.connect(f"file:{quote(found)}?mode=ro", uri=True, timeout=1.0)
                return
            folder = os.path.dirname(folder)

    def ask(self, name: str) -> tuple[str | None, tuple[str, ...]]:
        """Gives why a picture is passed over, or None, and its tags."""
        try:
            rows = self._db.execute(_ASK, (name,)).fetchall() if self._db else []
        except sqlite3.Error:
            self.close()
            rows = []
        if not rows:
            return None, ()
        category, is_intermediate, is_starred, _ = rows[0]
        if is_intermediate:
            return "InvokeAI made it on the way to another", ()
        if category not in ("general", "user", None):
            return f"InvokeAI calls it a picture of the kind '{category}'", ()
        boards = (row[3].strip() for row in rows if isinstance(row[3], str))
        return None, tuple(dict.fromkeys([*filter(None, boards), *(["starred"] if is_starred else [])]))

    def close(self) -> None:
        """Closes the database."""
        if self._db is not None:
            self._db.close()
        self._db = None
