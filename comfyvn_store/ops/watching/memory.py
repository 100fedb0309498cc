"""What a watch knows from before, in a small SQLite file in the work tree's own folder, and the lock that keeps it alone. The
file may be deleted at any moment: what is known already is found again by its bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator

from comfyvn_store.base import files, names
from comfyvn_store.errors import LockTimeout, Refused
from comfyvn_store.store.lock import locked
from comfyvn_store.vcs.repository import Repository

FOLDER = "watching"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files(path TEXT PRIMARY KEY, print TEXT NOT NULL, took TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS prompts(id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
)
_MOST_PROMPTS = 50_000


@contextlib.contextmanager
def alone(repository: Repository, what: str) -> Iterator[str]:
    """Keeps a second watch of the same thing out; gives the path of the memory's file. Raises Refused, OSError."""
    folder = os.path.join(repository.own_dir, FOLDER)
    sharing = repository.settings.sharing
    sharing.make_folders(folder)
    place = os.path.join(folder, hashlib.sha256(os.fsencode(what)).hexdigest()[:16])
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(f"{place}.lock", 0.0, sharing))
        except LockTimeout:
            raise Refused(
                f"'{names.printable(what)}' is watched already{_holder(place)}",
                hint="one watch is enough: end that one first, or let it be",
            ) from None
        said = {"process": os.getpid(), "since": int(time.time()), "what": what}
        files.write_atomic(f"{place}.json", json.dumps(said).encode("ascii"), sharing=sharing)
        try:
            yield f"{place}.db"
        finally:
            with contextlib.suppress(OSError):
                os.unlink(f"{place}.json")


def _holder(place: str) -> str:
    try:
        said = json.loads(files.read_small(f"{place}.json", 65536))
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(said["since"]))
        return f", by process {int(said['process'])} since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class Memory:
    """The file. `files` has what was seen of each, and where it went; `prompts` what a server's history was asked for."""

    def __init__(self, place: str) -> None:
        try:
            self._db = self._opened(place)
        except sqlite3.DatabaseError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)
            self._db = self._opened(place)

    def _opened(self, place: str) -> sqlite3.Connection:
        found = sqlite3.connect(place, isolation_level=None)
        found.execute("PRAGMA synchronous = OFF")
        for statement in _SCHEMA:
            found.execute(statement)
        return found

    def prints(self) -> dict[str, str]:
        """Gives what was seen of each file when it was dealt with."""
        return dict(self._db.execute("SELECT path, print FROM files"))

    def took(self, path: str) -> str | None:
        """Gives the asset that a file became, or None."""
        row = self._db.execute("SELECT took FROM files WHERE path = ?", (path,)).fetchone()
        return row[0] if row else None

    def note(self, path: str, print_: str, took: str | None) -> None:
        """Notes that a file was dealt with, and which asset it became."""
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (path, print_, took))

    def is_done(self, prompt: str) -> bool:
        """Tells whether the outputs of a prompt were dealt with."""
        return self._db.execute("SELECT 1 FROM prompts WHERE id = ?", (prompt,)).fetchone() is not None

    def note_prompt(self, prompt: str) -> None:
        """Notes that. Of very many the oldest are forgotten; a server forgets them before."""
        self._db.execute("INSERT OR REPLACE INTO prompts VALUES (?, ?)", (prompt, time.time()))
        self._db.execute(
            "DELETE FROM prompts WHERE id IN (SELECT id FROM prompts ORDER BY at DESC LIMIT -1 OFFSET ?)",
            (_MOST_PROMPTS,),
        )

    def close(self) -> None:
        """Closes the file."""
        self._db.close()
