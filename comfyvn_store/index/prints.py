"""Fingerprints of pictures and sounds, in a SQLite file of their own: which objects have the same pixels, which may look alike.

Owns what is kept and how it is found; the file itself is `printfile`'s, how a fingerprint comes about `previews.likeness`'s
affair. Fingerprints are derived from objects, which never change, so none is ever stale.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Final, NamedTuple

from comfyvn_store.index.printfile import NAME, PrintFile
from comfyvn_store.vcs.repository import Repository

_WIDE: Final = 1024  # a place is y * _WIDE + x
_AT_ONCE: Final = 500
# A key that more prints have tells nothing; nor is more read for one view than these rows.
_MOST_OF_A_KEY: Final = 400
_MOST_ROWS: Final = 20_000
_LEAST_VOTES: Final = 4
_MOST_AWAY: Final = 18  # bits of an outline; two pictures have 32, more or less
# Places that differ by less agree, in the pixels of a print's frame.
_GRAIN: Final = 10
_BIAS: Final = 250 * _GRAIN  # no place is farther


class Mark(NamedTuple):
    """A spot that stands out, by what is around it (`key`), and where it is in the picture's frame."""

    key: int
    x: int
    y: int


class Print(NamedTuple):
    """What an object looks like: the hash of its decoded pixels (or samples), a hash of its outline (64 bits), a small picture
    (WebP) and its marks. What a kind of media does not have is None or empty."""

    pixels: str | None
    whole: int | None = None
    small: bytes = b""
    marks: Sequence[Mark] = ()


class View(NamedTuple):
    """A picture that is looked for, as if its frame were `scale` times that of the one that is found.

    `marks` are the keys that a spot may have, with its place.
    """

    scale: float
    flipped: bool
    whole: int
    marks: Sequence[tuple[Sequence[int], int, int]]


class Candidate(NamedTuple):
    """A print that may be of the same picture: how many marks agree, or how many bits of its outline do not (`away`), and where
    the picture lies in its frame: `scale`, `x`, `y` (None: the two fill each other)."""

    hash: str
    flipped: bool
    votes: int
    away: int | None = None
    scale: float = 1.0
    x: float | None = None
    y: float | None = None


class Prints(PrintFile):
    """The open file."""

    # -- what is known ----------------------------------------------------------------------------------------------

    def lacking(self, hashes: Iterable[str]) -> list[str]:
        """Gives those of the objects that have no print, and of which it is not known either that they give none."""
        wanted = list(dict.fromkeys(hashes))
        there: set[str] = set()
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            query = f"SELECT hash FROM prints WHERE hash IN ({','.join('?' * len(part))})"
            there.update(row[0] for row in self._rows(query, part))
        return [hash_ for hash_ in wanted if hash_ not in there]

    def of(self, hash_: str) -> Print | None:
        """Gives an object's print, without its marks."""
        query = "SELECT pixels, whole, small FROM prints WHERE hash = ? AND reason IS NULL"
        for pixels, whole, small in self._rows(query, [hash_]):
            return Print(pixels, _unsigned(whole), small or b"")
        return None

    def why_none(self, hash_: str) -> str | None:
        """Says why an object has no print, where it was tried."""
        return next((row[0] for row in self._rows("SELECT reason FROM prints WHERE hash = ?", [hash_])), None)

    def with_pixels(self, pixels: str) -> list[str]:
        """Gives the objects with these decoded pixels, or samples."""
        return [row[0] for row in self._rows("SELECT hash FROM prints WHERE pixels = ? ORDER BY id", [pixels])]

    def distance(self, one: str, other: str) -> tuple[float | None] | None:
        """Gives what was remembered of two objects: their distance, or that they have none; None if nothing was."""
        query = "SELECT distance FROM distances WHERE one = ? AND other = ?"
        return next(((row[0],) for row in self._rows(query, [one, other])), None)

    # -- what looks alike -------------------------------------------------------------------------------------------

    def candidates(self, views: Iterable[View], most: int = 12) -> Iterator[Candidate]:
        """Gives prints that may be of the picture so seen, each at most a few times: `most` by their marks, `most` by their
        outline. Which of them are is for `previews.nearness` to say."""
        seen = list(views)
        found = [*self._by_marks(seen, most), *self._by_outline(seen, most)]
        names: dict[int, str] = {}
        ids = list({each[0] for each in found})
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            query = f"SELECT id, hash FROM prints WHERE id IN ({','.join('?' * len(part))}) AND reason IS NULL"
            names.update(self._rows(query, part))
        for id_, candidate in found:
            if isinstance(names.get(id_), str):
                yield candidate._replace(hash=names[id_])

    def _by_marks(self, views: Sequence[View], most: int) -> list[tuple[int, Candidate]]:
        best: dict[int, Candidate] = {}
        for view in views:
            for id_, (count, across, down) in self._votes(view).items():
                if id_ not in best or count > best[id_].votes:
                    x, y = across / count, down / count
                    best[id_] = Candidate("", view.flipped, count, None, view.scale, x, y)
        chosen = nsmallest(most, best.items(), key=lambda each: -each[1].votes)
        least = max(_LEAST_VOTES, chosen[0][1].votes // 6) if chosen else 0
        return [each for each in chosen if each[1].votes >= least]

    def _votes(self, view: View) -> dict[int, tuple[int, int, int]]:
        """Gives for each print the most marks that agree on one place, and the sums of where they say it is."""
        votes: dict[int, list[int]] = {}
        left = _MOST_ROWS
        for keys, x, y in view.marks:
            agreeing: dict[int, tuple[int, int]] = {}
            for id_, place in self._with_keys(keys):
                across, down = place % _WIDE - x, place // _WIDE - y
                column, row = (across + _BIAS) // (_GRAIN // 2), (down + _BIAS) // (_GRAIN // 2)
                # Bins overlap by half, so that what lies at an edge of one is in the middle of another.
                bin_ = id_ << 20 | column << 10 | row
                for each in (bin_, bin_ - 1, bin_ - (1 << 10), bin_ - (1 << 10) - 1):
                    agreeing[each] = (across, down)
                left -= 1
            for each, (across, down) in agreeing.items():
                sums = votes.get(each)
                if sums is None:
                    votes[each] = [1, across, down]
                else:
                    sums[0] += 1
                    sums[1] += across
                    sums[2] += down
            if left < 0:
                break
        best: dict[int, tuple[int, int, int]] = {}
        for each, (count, across, down) in votes.items():
            if count >= _LEAST_VOTES and count > best.get(each >> 20, (0, 0, 0))[0]:
                best[each >> 20] = (count, across, down)
        return best

    def _with_keys(self, keys: Sequence[int]) -> list[tuple[int, int]]:
        query = f"SELECT print, place FROM marks WHERE key IN ({','.join('?' * len(keys))}) LIMIT {_MOST_OF_A_KEY + 1}"
        found = list(self._rows(query, keys))
        if len(found) <= _MOST_OF_A_KEY:
            return found
        if len(keys) == 1:
            return []
        return [row for key in keys for row in self._with_keys([key])]

    def _by_outline(self, views: Sequence[View], most: int) -> list[tuple[int, Candidate]]:
        wanted = {(view.whole, view.flipped) for view in views}
        if not wanted:
            return []
        rows = (
            (min(((whole ^ _signed(each)) & _MASK).bit_count() * 2 + flipped for each, flipped in wanted), id_)
            for id_, whole in self._rows("SELECT id, whole FROM prints WHERE whole IS NOT NULL", [])
        )
        chosen = nsmallest(most, (row for row in rows if row[0] >> 1 <= _MOST_AWAY))
        return [(id_, Candidate("", bool(score & 1), 0, score >> 1)) for score, id_ in chosen]

    # -- what becomes known -----------------------------------------------------------------------------------------

    def add(self, made: Iterable[tuple[str, Print | str]]) -> bool:
        """Remembers prints, or why there are none, each with its object's hash; tells whether that could be written."""
        rows = list(made)

        def write(db: sqlite3.Connection) -> None:
            for hash_, found in rows:
                if isinstance(found, str):
                    db.execute("INSERT OR IGNORE INTO prints(hash, reason) VALUES (?, ?)", (hash_, found))
                    continue
                before = db.execute("SELECT id, reason FROM prints WHERE hash = ?", (hash_,)).fetchone()
                if before and before[1] is None:
                    continue
                db.execute("DELETE FROM prints WHERE hash = ?", (hash_,))
                id_ = db.execute(
                    "INSERT INTO prints(hash, pixels, whole, small) VALUES (?, ?, ?, ?)",
                    (hash_, found.pixels, None if found.whole is None else _signed(found.whole), found.small or None),
                ).lastrowid
                marks = ((mark.key, id_, mark.y * _WIDE + mark.x) for mark in found.marks)
                db.executemany("INSERT OR IGNORE INTO marks VALUES (?, ?, ?)", marks)

        return not rows or self._write(write)

    def remember_distance(self, one: str, other: str, distance: float | None) -> bool:
        """Remembers how far two objects are from each other; None: they do not look alike."""
        query = "INSERT OR REPLACE INTO distances VALUES (?, ?, ?)"
        return self._write(lambda db: db.execute(query, (one, other, distance)))

    def forget_failures(self) -> bool:
        """Forgets which objects gave no print, so that they are tried again."""
        return self._write(lambda db: db.execute("DELETE FROM prints WHERE reason IS NOT NULL"))


_MASK: Final = (1 << 64) - 1


def dumped(found: Print) -> bytes:
    """Gives a print as bytes, for its way from one process to another."""
    small = base64.b64encode(found.small).decode("ascii")
    return json.dumps([found.pixels, found.whole, small, [list(mark) for mark in found.marks]]).encode("ascii")


def loaded(data: bytes) -> Print:
    """Reads a print. Raises ValueError."""
    try:
        pixels, whole, small, marks = json.loads(data)
        return Print(pixels, whole, base64.b64decode(small), [Mark(*mark) for mark in marks])
    except (TypeError, KeyError) as error:
        raise ValueError("no print") from error


def open_prints(repository: Repository) -> Prints:
    """Opens the fingerprints of a repository, and makes the file where there is none. Never raises for a bad file."""
    return Prints(os.path.join(repository.home.path, NAME), repository.settings.sharing)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _unsigned(value: int | None) -> int | None:
    return None if value is None else value & _MASK
