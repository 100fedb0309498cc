"""What people want kept whatever git says: the file `keep` in the repository's own folder.

The first line says how many follow, so that a file that was emptied or cut is known as such. Then one object a line: its hash,
when it was put there, and what was typed for it. Whoever writes it holds the store's lock, so that collection, which holds
it too, sees each line or is done before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from comfyvn_store.base import files, links, names
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import MachineError, Refused

NAME = "keep"
_FIRST = "comfyvn-store keep 1 "


class Kept(NamedTuple):
    """An object that is kept: since when (ISO 8601, UTC), and the words by which it was named."""

    hash: str
    at: str
    words: str


def read(home: str) -> list[Kept]:
    """Gives the lines of the file in a repository's own folder; those of before have no first line of the kind.

    Raises MachineError, Refused for a file that is not whole, OSError: never "nothing" for what cannot be understood.
    """
    place = os.path.join(home, NAME)
    try:
        with open(place, "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return []
    is_whole = len(lines) > 1 and not lines[-1]
    lines = list(filter(None, lines))
    if is_whole and lines and lines[0].startswith(_FIRST):
        is_whole = lines.pop(0)[len(_FIRST) :] == str(len(lines))
    if not is_whole:
        raise Refused(
            f"'{names.printable(place)}' is not whole, so nobody can tell what is to be kept",
            hint=f"take it from a backup, or make it anew with `comfyvn-store keep` once '{NAME}' is removed; where its lines "
            "are right, put their number into the first one",
        )
    found = []
    for line in lines:
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
    text = "".join([f"{_FIRST}{len(lines)}\n", *(lines[hash_] for hash_ in sorted(lines))])
    files.write_atomic(os.path.join(home, NAME), text.encode("utf-8"), durable=True, sharing=sharing)
