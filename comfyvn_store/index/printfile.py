"""The SQLite file of fingerprints: opened, read and written so that nothing that is wrong with it is an error for anybody.

Owns `prints.db` in the repository's own folder, which all its work trees share. All in it is derived: it may be deleted, cut
off or filled with rubbish at any moment, which costs the time to make it again. Where it cannot be read or written there is
less to compare with, and `note` says so.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, Self

from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.index.database import PATIENCE, is_damage, open_read_only

NAME: Final = "prints.db"
# Another number, or another way of computing, makes all of it anew.
VERSION: Final = 1
# KiB of pages that are kept: marks go all over the file, and each page that is not there is read and written anew.
_CACHE: Final = 32768
APPLICATION: Final = 0x63766E70  # "cvnp"

_TABLES: Final = (
    "CREATE TABLE prints(id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, pixels TEXT, whole INTEGER, small BLOB,"
    " reason TEXT)",
    "CREATE INDEX prints_by_pixels ON prints(pixels) WHERE pixels IS NOT NULL",
    "CREATE TABLE marks(key INTEGER NOT NULL, print INTEGER NOT NULL, place INTEGER NOT NULL,"
    " PRIMARY KEY(key, print, place)) WITHOUT ROWID",
    "CREATE TABLE distances(one TEXT NOT NULL, other TEXT NOT NULL, distance REAL, PRIMARY KEY(one, other)) WITHOUT ROWID",
)


class PrintFile:
    """The open file. `note` says what people should know: that it could not be read or written."""

    def __init__(self, path: str, sharing: Sharing = PRIVATE, patience: float = PATIENCE) -> None:
        self.path = path
        self.note: str | None = None
        self._sharing = sharing
        self._patience = patience
        self._is_writable = True
        self._db = self._opened()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, query: str, values: Collection[object]) -> Iterator[tuple[Any, ...]]:
        """Gives rows; of a file that proves damaged none, and it is made anew."""
        try:
            yield from self._db.execute(query, tuple(values))
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._start_over()
            elif self.note is None:
                self.note = f"fingerprints cannot be read: {error}"

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> bool:
        for _ in range(2):
            if not self._is_writable:
                break
            try:
                self._db.execute("BEGIN IMMEDIATE")
                work(self._db)
                self._db.execute("COMMIT")
                return True
            except sqlite3.DatabaseError as error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                if not is_damage(error):
                    self.note = f"fingerprints cannot be kept: {error}"
                    return False
                self._start_over()
        return False

    def _opened(self) -> sqlite3.Connection:
        try:
            self._sharing.make_folders(os.path.dirname(self.path))
            return self._connected()
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                with contextlib.suppress(sqlite3.Error, OSError):
                    self._remove()
                    return self._connected()
        except OSError:
            pass
        return self._read_only()

    def _connected(self) -> sqlite3.Connection:
        if self._sharing.bits and not os.path.exists(self.path):
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666))
        self._sharing.adjust(self.path)
        db = sqlite3.connect(self.path, timeout=self._patience, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA cache_size = -{_CACHE}")
            if not _is_ours(db):
                db.execute("BEGIN IMMEDIATE")
                if not _is_ours(db):
                    _create(db)
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def _read_only(self) -> sqlite3.Connection:
        """Gives what is there, or nothing, to who must not write."""
        self._is_writable = False
        if os.path.exists(self.path):
            for option in ("cache=private", "immutable=1"):
                with contextlib.suppress(sqlite3.Error):
                    db = open_read_only(self.path, option)
                    if _is_ours(db):
                        return db
                    db.close()
        self.note = "fingerprints cannot be kept here"
        memory = sqlite3.connect(":memory:", isolation_level=None)
        _create(memory)
        self._is_writable = True  # for as long as this process lasts
        return memory

    def _start_over(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        with contextlib.suppress(OSError):
            self._remove()
        self._db = self._opened()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path + suffix)


def _is_ours(db: sqlite3.Connection) -> bool:
    """Tells whether the file is complete and of this version; an empty one is not yet."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION and db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION:
        for table in ("prints", "marks", "distances"):
            db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
        return True
    if version or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise sqlite3.DatabaseError("malformed: of another version")
    return False


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    db.execute(f"PRAGMA user_version = {VERSION}")
