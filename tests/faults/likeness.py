"""Which states of a world are one and the same, but for what differs at each run: ids, times, processes, random names.

From one such state a verb need be completed once, however many faults led there. What is compared: every name, kind and
mode; the bytes of every file; of an object also whether its time says that it is doubted; git's index by its entries, and
whether each is what git noted of the file; the SQLite index, which is derived, by its rows.
"""

import hashlib
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests import oracle
from tests.faults import invariants
from tests.faults.worlds import World
from tests.oracle import digest

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|[+-]\d\d:?\d\d)|\b1[6-9]\d{8}(\.\d+)?\b|\b1[6-9]\d{17}\b")
_HASH = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{2}/[0-9a-f]{62}")
# How the index notes a file, inode first, and a process that began at some time.
_NOTE = re.compile(rb"\b\d+:\d+:TIME|\bTIME \d+\b")
_OID = re.compile(rb"\b[0-9a-f]{40}\b")
_RANDOM = re.compile(rb"\b\d+-[0-9a-f]{8,12}\b|tmp_obj_\w+|-[0-9a-f]{8}\Z")
_NOTED = re.compile(r"  mtime: (\d+):(\d+)\n.*\n.*\n  size: (\d+)\tflags: (\w+)")


class Likeness:
    """Describes states of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mine = world.verb.mine
        self._known = {digest(data).encode() for data in self._mine}
        self._marked: dict[bytes, bytes] = {}

    def of(self) -> str:
        """A digest of the state that the world is in now."""
        self._marked = dict(self._of_objects())
        found = hashlib.sha256()
        for line in sorted(self._lines()):
            found.update(line + b"\0")
        return found.hexdigest()

    def _of_objects(self) -> Iterator[tuple[bytes, bytes]]:
        """Objects that are the user's bytes with a marker, whose hash is another at each run, and a name for each."""
        for store in self._world.stores:
            for place in invariants.objects(store):
                name = (place.parent.name + place.name).encode()
                data = place.read_bytes()
                for number, mine in enumerate(self._mine):
                    if name not in self._known and invariants.is_of(data, mine):
                        yield name, b"marked-%d" % number

    def _lines(self) -> Iterator[bytes]:
        for folder, names, files in os.walk(self._world.folder):
            inside = os.path.relpath(folder, self._world.folder)
            if ".git/objects" in inside:
                continue
            for name in [*names, *files]:
                place = Path(folder, name)
                about = f"{inside}/{name}".encode()
                if name == "index" and inside.endswith(".git"):
                    yield from self._git_index(place.parent.parent)
                elif name.startswith("index.db"):
                    if name == "index.db":
                        yield from self._rows(place)
                else:
                    yield self._plain(about) + b" " + self._file(place)

    def _file(self, place: Path) -> bytes:
        info = place.lstat()
        mode = b"%o " % info.st_mode
        if stat.S_ISLNK(info.st_mode):
            return mode + self._plain(os.readlink(os.fsencode(place)))
        if not stat.S_ISREG(info.st_mode):
            return mode
        doubt = b"%d %d " % (
            info.st_mtime_ns % 1_000_000_000 // 100_000_000 if "/objects/" in str(place) else 0,
            info.st_nlink,
        )
        data = place.read_bytes()
        for number, mine in enumerate(self._mine):
            if data and invariants.is_of(data, mine):
                return mode + doubt + b"mine %d" % number
        return mode + doubt + hashlib.sha256(self._plain(data)).hexdigest().encode()

    def _git_index(self, top: Path) -> Iterator[bytes]:
        done = self._world.repo.git("-C", str(top), "ls-files", "--stage", "--debug", "-v", check=False)
        yield b"index " + str(done.code).encode()
        entries = re.split(r"^(?=[A-Za-z?] \d{6} )", done.out, flags=re.MULTILINE)
        oids = [entry.split(" ")[2] for entry in entries if entry]
        texts = oracle.read_blobs(self._world.repo, oids)
        for entry, oid in zip(filter(None, entries), oids, strict=True):
            head = entry.split("\n")[0].encode()
            noted, path = _NOTED.search(entry), top / entry.split("\n")[0].split("\t")[1]
            info = path.lstat() if os.path.lexists(path) else None
            said = (int(noted[1]), int(noted[2]), int(noted[3])) if noted else None
            is_as_noted = info and said == (*divmod(info.st_mtime_ns, 1_000_000_000), info.st_size)
            text = self._plain(texts.get(oid, b"none"))
            yield (
                head.replace(oid.encode(), b"")
                + hashlib.sha256(text).digest()
                + repr((is_as_noted, said and said[2] == 0, noted and noted[4])).encode()
            )

    def _rows(self, place: Path) -> Iterator[bytes]:
        copy = self._world.folder.parent / "likeness"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for part in place.parent.glob("index.db*"):
            shutil.copy(part, copy)
        try:
            with closing(sqlite3.connect(copy / "index.db")) as db:
                for line in db.iterdump():
                    yield b"row " + self._plain(line.encode())
        except sqlite3.Error as error:
            yield b"no rows: " + str(error).encode()

    def _plain(self, text: bytes) -> bytes:
        """Text without what differs at each run."""
        text = _HASH.sub(self._hash, text)
        text = _UUID.sub(b"UUID", text)
        text = _TIME.sub(b"TIME", text)
        text = _NOTE.sub(b"NOTE", text)
        text = _OID.sub(b"OID", text)
        return _RANDOM.sub(b"RANDOM", text)

    def _hash(self, found: re.Match[bytes]) -> bytes:
        hash_ = found[0].replace(b"/", b"")
        return b"<" + (hash_ if hash_ in self._known else self._marked.get(hash_, b"other")) + b">"
