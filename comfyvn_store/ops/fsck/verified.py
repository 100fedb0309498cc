"""Which objects were read and found right, when, and what their stat said then: `<home>/fsck`, so that a run that was
interrupted goes on, and the next one reads only what is new.

A text file: a first line with the format and the store's path, then a line for each object: hash, size, mtime and ctime
in nanoseconds, the time of reading in seconds. Lines are appended as a run goes on; a line that was cut off is no line,
and of two of one object the later one holds. Lines of a second kind, `state NAME DIGEST`, say how things were when links and
sidecars ("tree/WORK TREE"), or the index ("index/WORK TREE"), were found in order (`unchanged`). Nothing depends on the
file: without it everything is read again.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

from comfyvn_store.base import files, links
from comfyvn_store.base.sharing import Sharing

NAME = "fsck"
_FORMAT = "comfyvn-store fsck 1"
# Seconds after which what was verified is written down, so that a killed run loses no more.
_INTERVAL = 2.0


class _Print(NamedTuple):
    """What tells that nobody changed a file since it was read."""

    size: int
    mtime_ns: int
    ctime_ns: int
    when: int


class Verified:
    """What was verified; `path` None keeps it for this run alone."""

    def __init__(self, path: str | None, store: str, sharing: Sharing) -> None:
        self._path = path
        self._head = f"{_FORMAT} {store.encode('unicode_escape', 'surrogatepass').decode('ascii')}\n"
        self._sharing = sharing
        self._known: dict[bytes, _Print] = {}
        self._states: dict[str, str] = {}
        self._due: list[str] = []
        self._written = time.monotonic()
        self._lines = 0
        self._is_same = False
        if path is not None:
            self._read(path)

    def holds(self, hash_: str, info: os.stat_result) -> bool:
        """Tells whether an object was verified and has not been touched since."""
        known = self._known.get(bytes.fromhex(hash_))
        return known is not None and known[:3] == (info.st_size, info.st_mtime_ns, info.st_ctime_ns)

    def note(self, hash_: str, info: os.stat_result) -> None:
        """Notes that an object is right; `info` is its stat from before it was read."""
        now = _Print(info.st_size, info.st_mtime_ns, info.st_ctime_ns, int(time.time()))
        self._known[bytes.fromhex(hash_)] = now
        if self._path is not None:
            self._due.append(f"{hash_} {' '.join(map(str, now))}\n")
            if time.monotonic() - self._written > _INTERVAL:
                self.flush()

    def holds_state(self, name: str, digest: str) -> bool:
        """Tells whether something was found in order when it was as `digest` says."""
        return self._states.get(name) == digest

    def note_state(self, name: str, digest: str | None) -> None:
        """Notes that something is in order as it is, or (None) that it is not."""
        if self._states.get(name) != digest:
            self._states[name] = digest or "-"
            self._due.append(f"state {name} {digest or '-'}\n")

    def forget(self, hash_: str) -> None:
        """Forgets an object that proved wrong."""
        self._known.pop(bytes.fromhex(hash_), None)

    def flush(self) -> None:
        """Writes down what was verified until now. Raises OSError."""
        self._written = time.monotonic()
        if self._path is None or not self._due:
            return
        if not self._is_same:
            self._write_anew()
            return
        with open(self._path, "a", encoding="ascii") as stream:
            stream.write("".join(self._due))
        self._lines += len(self._due)
        self._due = []

    def close(self) -> None:
        """Writes the rest; where most lines are of before, all of it anew. Raises OSError."""
        if self._path is not None and (self._due or self._lines):
            self.flush()
            if self._lines > 2 * len(self._known) + 100:
                self._write_anew()

    def keep_only(self, hashes: frozenset[bytes]) -> None:
        """Forgets what is not in the store any more."""
        gone = self._known.keys() - hashes
        for key in gone:
            del self._known[key]

    def _write_anew(self) -> None:
        assert self._path is not None
        lines = [f"state {name} {digest}\n" for name, digest in self._states.items()]
        lines += [f"{key.hex()} {' '.join(map(str, known))}\n" for key, known in self._known.items()]
        files.write_atomic(self._path, (self._head + "".join(lines)).encode("ascii"), sharing=self._sharing)
        self._is_same, self._lines, self._due = True, len(lines), []

    def _read(self, path: str) -> None:
        with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as stream:
            if stream.readline() != self._head:
                return
            is_cut = False
            for line in stream:
                self._lines += 1
                is_cut = not line.endswith("\n")
                words = line.split()
                if not is_cut and len(words) == 3 and words[0] == "state":
                    self._states[words[1]] = words[2]
                if not is_cut and len(words) == 5 and links.is_hash(words[0]) and all(map(_is_number, words[1:])):
                    self._known[bytes.fromhex(words[0])] = _Print(*map(int, words[1:]))
            # What is appended to a line that was cut off would be lost with it.
            self._is_same = not is_cut


def _is_number(word: str) -> bool:
    return word.lstrip("-").isdigit() and len(word) < 24
