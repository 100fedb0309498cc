"""What people want kept whatever git says: the file `keep` in the repository's own folder.

One object a line: its hash, when it was put there, and what was typed for it. Whoever writes it holds the store's lock, so
that collection, which holds it too, sees each line or is done before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from comfyvn_store.base import files, links, names
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import MachineError

NAME = "keep"


class Kept(NamedTuple):
    """An object that is kept: since when (ISO 8601, UTC), and the words by which it was named."""

    hash: str
    at: str
    words: str


def read(home: str) -> list[Kept]:
    """Gives the lines of the file in a repository's own folder. Raises MachineError, OSError: never "nothing" for a file
    that cannot be understood."""
    place = os.path.join(home, NAME)
    try:
        with open(place, "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return []
    found = []
    for line in filter(None, lines):
        hash_, _, rest = line.partition(" ")
        at, _, words = rest.partition(" ")
        if not links.is_hash(hash_):
            raise MachineError(
                f"'{names.printable(place)}' has a line that names no object: {names.printable(line[:80])}",
                hint="mend the line in an editor: HASH TIME WORDS",
            )
        found.append(Kept(hash_, at, words))
    return found


def write(home: str, kept: Iterable[Kept], sharing: Sharing = PRIVATE) -> None:
    """Writes the file, durably; each object once. Raises OSError."""
    lines = {each.hash: f"{each.hash} {each.at} {names.printable(each.words)}\n" for each in kept}
    text = "".join(lines[hash_] for hash_ in sorted(lines)).encode("utf-8")
    files.write_atomic(os.path.join(home, NAME), text, durable=True, sharing=sharing)
