"""What `git add` read of the files that it stored, noted until their commit, which would else read each object again.

Derived and never needed: a note that is lost, cut off or of another version is as none. `noted/` in the work tree's own
folder has a file for each run; its first line names the version that wrote it, each other one an object and its facts.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable

from comfyvn_store import __version__
from comfyvn_store.asset.record import Facts
from comfyvn_store.base import files
from comfyvn_store.vcs.repository import Repository

FOLDER = "noted"
_HEAD = f"comfyvn-store {__version__} facts 1\n".encode()
# Bytes of one note, and of all that lie there: who adds very much and commits nothing finds the rest read again.
_LONGEST = 1 << 18
_MOST = 1 << 26


def line(hash_: str, facts: Facts) -> bytes | None:
    """Gives the note of an object's facts; None for what JSON would not give back as it is, or is very long."""
    value = [*facts[:-1], dict(facts.embedded)]
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        if len(text) > _LONGEST or json.loads(text) != value:
            return None
    except (ValueError, TypeError, RecursionError):
        return None
    return f"{hash_} {text}\n".encode("ascii")


def write(repository: Repository, lines: Iterable[bytes]) -> None:
    """Writes the notes of one run; none where there is no room, or too much lies there already."""
    data = b"".join([_HEAD, *lines])
    folder = os.path.join(repository.own_dir, FOLDER)
    with contextlib.suppress(OSError):
        if len(data) > len(_HEAD) and len(data) + _size(folder) <= _MOST:
            name = f"{os.getpid()}-{os.urandom(6).hex()}"
            files.write_atomic(os.path.join(folder, name), data, sharing=repository.settings.sharing)


def _size(folder: str) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except FileNotFoundError:
        return 0


class Notes:
    """All notes that lie in a work tree's own folder when this is made."""

    def __init__(self, repository: Repository) -> None:
        self._read: list[str] = []
        self._texts: dict[str, bytes] = {}
        folder = os.path.join(repository.own_dir, FOLDER)
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                place = os.path.join(folder, name)
                data = files.read_small(place, _MOST)
                self._read.append(place)
                if data.startswith(_HEAD):
                    lines = (each.partition(b" ") for each in data[len(_HEAD) :].splitlines())
                    self._texts.update((hash_.decode("ascii", "replace"), text) for hash_, _, text in lines)

    def facts(self, hash_: str) -> Facts | None:
        """Gives what was noted of an object."""
        text = self._texts.get(hash_)
        if text is None:
            return None
        try:
            return Facts(*json.loads(text))
        except (ValueError, TypeError):
            return None

    def forget(self) -> None:
        """Removes the notes that were read."""
        for place in self._read:
            with contextlib.suppress(OSError):
                os.unlink(place)
        for folder in {os.path.dirname(place) for place in self._read}:
            with contextlib.suppress(OSError):  # another run's notes came
                os.rmdir(folder)
