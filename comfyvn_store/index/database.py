"""Opens the index: makes it where there is none, replaces what is damaged or of another version, waits for writers."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import LockTimeout, MachineError, Refused
from comfyvn_store.index import schema

# Seconds to wait for another process that writes the index.
PATIENCE = 10.0


class Index:
    """An open index. `notes` says what had to be done to it; `in_memory` that it could not be written."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        notes: list[str],
        *,
        in_memory: bool = False,
        disposable: bool = False,
        patience: float = PATIENCE,
        sharing: Sharing = PRIVATE,
    ) -> None:
        self.db = connection
        self.path = path
        self.notes = notes
        self.in_memory = in_memory
        self._disposable = disposable
        self._patience = patience
        self._sharing = sharing

    def close(self) -> None:
        """Closes the file."""
        self.db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_over(self, reason: str) -> None:
        """Puts an empty index in the place of one that proved useless; catching up fills it. Raises MachineError."""
        self.db.close()
        self.notes.append(f"the index {reason}; making it anew")
        if self.in_memory:
            self.db = _new_in_memory()
            return
        _remove(self.path, self._disposable, self.notes)
        self.db = _open(self.path, self._patience, self._disposable, self._sharing)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction; all of it or nothing. Raises LockTimeout, MachineError (disk full)."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self._roll_back()
                raise
            self.db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._roll_back()
            if is_damage(error):
                raise
            raise _refusal(error, self.path) from error

    def _roll_back(self) -> None:
        # SQLite has done it already where the file is damaged or the disk is full.
        with contextlib.suppress(sqlite3.Error):
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    def state(self, key: str) -> str | None:
        """Gives a remembered value."""
        row = self.db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def remember(self, key: str, value: str) -> None:
        """Remembers a value, within a write transaction."""
        self.db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))


def open_index(path: str, *, disposable: bool, patience: float = PATIENCE, sharing: Sharing = PRIVATE) -> Index:
    """Opens the index at `path` for reading and writing.

    A file that is no index, is damaged or has another version is replaced by an empty one, and `notes` says so: the
    next catching up fills it. Unless the place is ours alone (`disposable`) the old file is kept under another name,
    and another program's database is refused. Where the file cannot be written, the result is a copy in memory.
    Raises MachineError, Refused.
    """
    notes: list[str] = []
    for attempt in (0, 1):
        try:
            sharing.make_folders(os.path.dirname(path) or ".")
            opened = _open(path, patience, disposable, sharing)
            return Index(opened, path, notes, disposable=disposable, patience=patience, sharing=sharing)
        except _Unusable as unusable:
            if attempt:
                raise MachineError(f"cannot make the index '{path}': {unusable}") from None
            if unusable.reason:
                notes.append(f"the index {unusable.reason}; making it anew")
            _remove(path, disposable, notes)
        except (sqlite3.OperationalError, OSError) as error:
            copy = _copy_in_memory(path, notes)
            if copy is not None:
                return copy
            raise _refusal(error, path) from error
    raise AssertionError("not reached")


def is_damage(error: sqlite3.Error) -> bool:
    """Tells whether an error means that the file's content is damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or any(sign in str(error) for sign in _DAMAGE)


# What SQLite says of damaged content under its general error code.
_DAMAGE = ("no such table", "no such column", "malformed", "vtable constructor failed")


def check(index: Index) -> str | None:
    """Says what is wrong with the index's file, None if it is whole; reads all of it."""
    try:
        said: str = index.db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)
    return None if said == "ok" else said.splitlines()[-1]


def _open(path: str, patience: float, disposable: bool, sharing: Sharing) -> sqlite3.Connection:
    if not disposable:
        _refuse_foreign(path)
    if sharing.bits and not os.path.exists(path):
        # SQLite gives the file, and with it `-wal` and `-shm`, what the umask leaves; one that is there keeps its mode.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))
    sharing.adjust(path)
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
    try:
        is_new = _is_new(connection)
        if is_new:  # first of all, and into the file itself: it tells our file from anybody else's
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if is_new:
            _create(connection)
        connection.execute("SELECT 1 FROM state LIMIT 1").fetchone()
        connection.execute("SELECT 1 FROM assets_registry LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError) and not is_damage(error):
            raise
        raise _Unusable(f"is damaged ({error})") from None
    except (_Unusable, Refused):
        connection.close()
        raise
    return connection


# SQLite's file header: its name, and the application id in four bytes at offset 68 (Database File Format, 1.3).
_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = 68


def _refuse_foreign(path: str) -> None:
    """Raises Refused for a file with something in it that is not an index of ours, however damaged."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_APPLICATION_AT + 4)
    except OSError:
        return
    is_database = head.startswith(_MAGIC)
    if head and not (is_database and int.from_bytes(head[_APPLICATION_AT:], "big") == schema.APPLICATION):
        what = "another program's database" if is_database else "a file of another kind, not an index"
        raise Refused(f"'{path}' is {what}", hint="choose another path for the index")


def _is_new(connection: sqlite3.Connection) -> bool:
    """Tells whether there is nothing in the file yet; only reads it."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return True
    if version != schema.VERSION:
        raise _Unusable(f"was made by {'a newer' if version > schema.VERSION else 'an older'} version")
    return False


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        for statement in (*schema.TABLES, *schema.INDEXES):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute("COMMIT")


# What stands for itself in a URI, and the slash (RFC 3986, section 2.3).
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def open_read_only(path: str, *options: str) -> sqlite3.Connection:
    """Opens an index for one who must not write; `options` are those of SQLite's URI file names. Raises sqlite3.Error."""
    escaped = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in os.fsencode(path))
    return sqlite3.connect(f"file:{escaped}?{'&'.join(['mode=ro', *options])}", uri=True, timeout=1.0)


def _copy_in_memory(path: str, notes: list[str]) -> Index | None:
    """Gives a copy in memory of an index that can be read but not written (or an empty one if there is none)."""
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        if os.path.exists(path):
            source = open_read_only(path, "immutable=1")
            try:
                source.backup(memory)
            finally:
                source.close()
        if memory.execute("PRAGMA user_version").fetchone()[0] != schema.VERSION:
            raise sqlite3.DatabaseError("no index of this version")
    except sqlite3.Error:
        memory.close()
        memory = _new_in_memory()
    memory.execute("PRAGMA foreign_keys = ON")
    notes.append(f"the index '{path}' cannot be written; answering from memory")
    return Index(memory, path, notes, in_memory=True)


def open_scratch(source: str | None = None) -> Index:
    """Opens an index in a nameless file that is gone with it, and that memory need not hold: empty, or with the content of
    the one at `source`, beside which nothing is written. Raises sqlite3.Error, also where that is damaged."""
    scratch = sqlite3.connect("", isolation_level=None)
    try:
        if source is None:
            scratch.execute(f"PRAGMA application_id = {schema.APPLICATION}")
            _create(scratch)
        else:
            _copy_still(source, scratch)
        scratch.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        scratch.close()
        raise
    return Index(scratch, ":scratch:", [], in_memory=True)


def _copy_still(source: str, target: sqlite3.Connection) -> None:
    """Copies an index. SQLite makes files beside one whose log is not empty, so that is read elsewhere."""
    import shutil
    import tempfile

    log = f"{source}-wal"
    with contextlib.ExitStack() as stack:
        option = "immutable=1"
        if os.path.exists(log) and os.path.getsize(log):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            for place in (source, log):
                shutil.copyfile(place, os.path.join(folder, os.path.basename(place)))
            source, option = os.path.join(folder, os.path.basename(source)), "cache=private"
        connection = stack.enter_context(contextlib.closing(open_read_only(source, option)))
        connection.backup(target)


def _new_in_memory() -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    memory.execute(f"PRAGMA application_id = {schema.APPLICATION}")
    _create(memory)
    return memory


def _remove(path: str, disposable: bool, notes: list[str]) -> None:
    """Takes a useless index, and what SQLite keeps beside it, out of the way."""
    aside = None if disposable else f"{path}.damaged-{os.urandom(3).hex()}"
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            if aside is not None:
                os.rename(path + suffix, aside + suffix)
                if not suffix:
                    notes.append(f"the old file is kept as '{aside}'")
            else:
                os.unlink(path + suffix)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise MachineError(
                f"cannot replace the index '{path}': {(error.strerror or str(error)).lower()}", hint="remove it by hand"
            ) from error


def empty(index: Index) -> None:
    """Throws the content away, within a write transaction."""
    # Not row by row, as DELETE does where there are words to be searched or keys that refer to others.
    index.db.execute("DROP VIEW IF EXISTS ingredients")
    for table in schema.CONTENT:
        index.db.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in (*schema.TABLES, *schema.INDEXES):
        index.db.execute(statement)


class _Unusable(Exception):
    """The file is there but is no index that we can use; `reason` is None for one that only has to be made."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


def _refusal(error: Exception, path: str) -> MachineError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return LockTimeout("another process is writing the index", hint="wait for it to end and run the command again")
    if "full" in text:
        return MachineError(f"cannot write the index '{path}': no space left", hint="free some space")
    return MachineError(f"cannot use the index '{path}': {text}", hint="check the folder's permissions and space")
