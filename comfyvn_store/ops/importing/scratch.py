"""What an import has to remember, in a SQLite file without a name that goes with the process: so memory stays flat however many
files there are. It knows which bytes are assets already, where, and what became of each file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

from comfyvn_store.ops.session import Session

# What became of a file. It may be a duplicate of another one besides.
BYTES, PIXELS, PERCEPTUAL = "hash", "pixels", "perceptual"
ADDED, REPLACED, KNOWN, LEFT, PASSED = "added", "replaced", "known", "left", "passed"

# The tables and columns of assets: those of the index, and of its copy.
_WHERE = {False: ("assets_registry", "path", "source_hash"), True: ("assets", "inside", "source")}
_SCHEMA = (
    "CREATE TABLE assets(inside TEXT PRIMARY KEY, hash TEXT, source TEXT) WITHOUT ROWID",
    "CREATE TABLE files(inside TEXT PRIMARY KEY, whole TEXT, bare TEXT, shown TEXT) WITHOUT ROWID",
    """CREATE TABLE outcomes(id INTEGER PRIMARY KEY, what TEXT NOT NULL, file TEXT NOT NULL, line INTEGER, path TEXT,
        type TEXT, bytes INTEGER, reason TEXT, wanted TEXT, hash TEXT)""",
    """CREATE TABLE twins(id INTEGER PRIMARY KEY, file TEXT NOT NULL, path TEXT, other TEXT NOT NULL, how TEXT NOT NULL,
        distance REAL)""",
    "CREATE INDEX assets_by_hash ON assets(hash)",
    "CREATE INDEX assets_by_source ON assets(source)",
    "CREATE INDEX files_by_whole ON files(whole)",
    "CREATE INDEX files_by_bare ON files(bare)",
    "CREATE INDEX outcomes_by_what ON outcomes(what)",
)


class Outcome(NamedTuple):
    """What became of a file: its path as people know it, the line that names it, the asset it became (relative to the top),
    the asset's type, its size, why it was left, the name that it would have had where another took its place, its object."""

    what: str
    file: str
    line: int | None = None
    path: str | None = None
    type: str | None = None
    bytes: int | None = None
    reason: str | None = None
    wanted: str | None = None
    hash: str | None = None


class Twin(NamedTuple):
    """Two files that are the same, or look alike: a file of the import, what it became or would (None: it was left), the other
    asset, how that is known (by bytes, by pixels, by looks), and how far apart they look."""

    file: str
    path: str | None
    other: str
    how: str = BYTES
    distance: float | None = None


class Scratch:
    """The file."""

    def __init__(self, session: Session, *, copies_index: bool) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -4096"):
            self._db.execute(f"PRAGMA {pragma}")
        for statement in _SCHEMA:
            self._db.execute(statement)
        # One transaction, which nobody ends: the file goes with us.
        self._db.execute("BEGIN")
        # The index knows no asset by its source's hash; looking all through it pays for a few files only.
        self._known = (self._db if copies_index else session.index.db, *_WHERE[copies_index])
        if copies_index:
            rows = session.index.db.execute("SELECT path, hash, source_hash FROM assets_registry")
            self._db.executemany("INSERT OR REPLACE INTO assets VALUES (?, ?, ?)", rows)

    def asset_at(self, inside: str) -> set[str] | None:
        """Gives the hashes that the asset at a place goes by, or None if there is none."""
        database, table, path, source = self._known
        row = database.execute(f"SELECT hash, {source} FROM {table} WHERE {path} = ?", (inside,)).fetchone()
        return {each for each in row if each} if row else None

    def file_at(self, inside: str) -> tuple[str, set[str]] | None:
        """Gives which file of this import goes to a place, and its hashes."""
        row = self._db.execute("SELECT shown, whole, bare FROM files WHERE inside = ?", (inside,)).fetchone()
        return (row[0], {row[1], row[2]}) if row else None

    def twin_of(self, hashes: Collection[str], inside: str) -> tuple[bool, str] | None:
        """Gives another place with the same bytes: whether it is an asset already (or a file of this import), and which."""
        marks = ",".join("?" * len(hashes))
        database, table, path, source = self._known
        places = [(database, table, path, each) for each in ("hash", source)]
        places += [(self._db, "files", "inside", each) for each in ("whole", "bare")]
        for number, (where, name, path, column) in enumerate(places):
            row = where.execute(
                f"SELECT {path} FROM {name} WHERE {column} IN ({marks}) AND {path} != ? LIMIT 1", (*hashes, inside)
            ).fetchone()
            if row:
                return number < 2, row[0]
        return None

    def expect(self, inside: str, whole: str, bare: str, shown: str) -> None:
        """Notes which file goes to a place."""
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (inside, whole, bare, shown))

    def forget(self, inside: str) -> None:
        """Takes that back: the file was not taken after all."""
        self._db.execute("DELETE FROM files WHERE inside = ?", (inside,))

    def note(self, outcome: Outcome) -> None:
        """Notes what became of a file."""
        self._db.execute(
            f"INSERT INTO outcomes({', '.join(Outcome._fields)}) VALUES ({','.join('?' * len(outcome))})", outcome
        )

    def note_twin(self, twin: Twin) -> None:
        """Notes that two files look alike."""
        self._db.execute("INSERT INTO twins(file, path, other, how, distance) VALUES (?, ?, ?, ?, ?)", twin)

    def count(self, *what: str) -> int:
        """Gives how many files came to that."""
        marks = ",".join("?" * len(what))
        found: int = self._db.execute(f"SELECT count(*) FROM outcomes WHERE what IN ({marks})", what).fetchone()[0]
        return found

    def types(self) -> list[tuple[str, int, int]]:
        """Gives, for each type, how many files came in and how many bytes they have."""
        return self._db.execute(
            "SELECT type, count(*), sum(bytes) FROM outcomes WHERE what IN (?, ?) GROUP BY type ORDER BY type",
            (ADDED, REPLACED),
        ).fetchall()

    def outcomes(self, *what: str, limit: int = -1) -> Iterator[Outcome]:
        """Gives what became of files, in the order of the import."""
        marks = ",".join("?" * len(what))
        columns = ", ".join(Outcome._fields)
        for row in self._db.execute(
            f"SELECT {columns} FROM outcomes WHERE what IN ({marks}) ORDER BY id LIMIT ?", (*what, limit)
        ):
            yield Outcome(*row)

    def renamed(self, limit: int = -1) -> Iterator[Outcome]:
        """Gives the files that came in under another name than theirs."""
        columns = ", ".join(Outcome._fields)
        for row in self._db.execute(
            f"SELECT {columns} FROM outcomes WHERE what = ? AND wanted IS NOT NULL ORDER BY id LIMIT ?", (ADDED, limit)
        ):
            yield Outcome(*row)

    def count_renamed(self) -> int:
        """Gives how many those are."""
        condition = "what = ? AND wanted IS NOT NULL"
        found: int = self._db.execute(f"SELECT count(*) FROM outcomes WHERE {condition}", (ADDED,)).fetchone()[0]
        return found

    def reasons(self, what: str) -> list[tuple[str, int]]:
        """Gives why files came to that, and how many of each, most first."""
        return self._db.execute(
            "SELECT reason, count(*) FROM outcomes WHERE what = ? GROUP BY reason ORDER BY 2 DESC, 1", (what,)
        ).fetchall()

    def twins(self, *, exact: bool, limit: int = -1) -> Iterator[Twin]:
        """Gives the files that are the same, or look alike."""
        condition = "distance IS NULL" if exact else "distance IS NOT NULL"
        for row in self._db.execute(
            f"SELECT file, path, other, how, distance FROM twins WHERE {condition} ORDER BY id LIMIT ?", (limit,)
        ):
            yield Twin(*row)

    def count_twins(self, *, exact: bool) -> int:
        """Gives how many there are of those."""
        condition = "distance IS NULL" if exact else "distance IS NOT NULL"
        found: int = self._db.execute(f"SELECT count(*) FROM twins WHERE {condition}").fetchone()[0]
        return found

    def close(self) -> None:
        """Ends it; nothing is left."""
        self._db.close()
