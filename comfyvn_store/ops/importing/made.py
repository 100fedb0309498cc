"""What an import made, for its undo: a line for each asset, beside the journal's entry, written before the view is in place.

All of them stood where nothing was. So undoing takes no more than to remove what still is as the import left it; what somebody
changed since stays, and is named. However many there are, a few thousand are held at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from comfyvn_store.base import durable, links, names
from comfyvn_store.ops import journal, snapshots
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.snapshots import Lies, State
from comfyvn_store.ops.taking import Taking
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.repository import Repository

VERB = "import"
_BATCH = 2000


class Line(NamedTuple):
    """An asset: its path relative to the top, its object, and git's blob of its sidecar."""

    path: str
    hash: str
    card: str


class Made:
    """The list as it is written."""

    def __init__(self, repository: Repository, origin: str) -> None:
        self._repository = repository
        self._origin = origin
        self._entry: journal.Entry | None = None
        self._count = 0

    def note(self, takings: Sequence[Taking]) -> None:
        """Notes what is about to be put where nothing is, durably. Raises OSError, MachineError."""
        fresh = [each for each in takings if _is_fresh(each)]
        if not fresh:
            return
        repository = self._repository
        if self._entry is None:
            self._entry = journal.begin(repository, VERB, f"import from {self._origin}", made=True)
        place = journal.made_list(repository, self._entry.id)
        with open(place, "a", encoding="ascii") as stream:
            for each in fresh:
                card = blobs.blob_id(each.text, repository.object_format)
                stream.write(json.dumps([each.full, each.card.hash, card]) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        repository.settings.sharing.adjust(place)
        durable.sync_folder(os.path.dirname(place))
        self._count += len(fresh)

    def finish(self) -> str | None:
        """Notes that the import came to its end, and gives the operation's id. Raises OSError."""
        if self._entry is None:
            return None
        number = f"{self._count} {'file' if self._count == 1 else 'files'}"
        entry = replace(self._entry, summary=f"import {number} from {self._origin}")
        return journal.finish(self._repository, entry).id


def _is_fresh(each: Taking) -> bool:
    """Whether nothing stands at the place, in git's index or the work tree, but what a run that was cut short put there."""
    if each.taken.staged_hash is not None or each.taken.file is not None:
        return False
    return each.taken.link is None or links.parse_link(each.taken.link) == each.card.hash


def lines(repository: Repository, id_: str) -> Iterator[Line]:
    """Gives what an import made, as it is listed; a line that was cut short, or is none, is left out."""
    try:
        with open(journal.made_list(repository, id_), encoding="ascii", errors="replace") as stream:
            for text in stream:
                if (found := _line(text)) is not None:
                    yield found
    except FileNotFoundError:
        return


def _line(text: str) -> Line | None:
    try:
        path, hash_, card = json.loads(text)
    except (ValueError, TypeError):
        return None
    if not all(isinstance(each, str) for each in (path, hash_, card)):
        return None
    return Line(path, hash_, card) if snapshots.is_path(path) and links.is_hash(hash_) else None


def is_anything_left(repository: Repository, id_: str) -> bool:
    """Tells whether anything that an import made is still there."""
    return any(os.path.lexists(repository.absolute(line.path)) for line in lines(repository, id_))


def take_back(session: Session, id_: str, *, dry_run: bool) -> tuple[list[str], list[str]]:
    """Removes what an import made and nobody changed since, from the work tree and git's index; gives those paths, and those
    that stay because they are something else now. The caller holds `worktree.alone`. Raises Refused, LockTimeout, OSError.
    """
    gone: list[str] = []
    kept: list[str] = []
    for batch in _batches(lines(session.repository, id_)):
        paths = [path for line in batch for path in (line.path, names.sidecar_path(line.path))]
        now = snapshots.take(session.repository, paths, keep=False)
        wanted: dict[str, State] = {}
        for line in batch:
            card = names.sidecar_path(line.path)
            if now[line.path] == now[card] == State():
                continue
            if _is_as_made(session.repository, line, now[line.path], now[card]):
                wanted |= {line.path: State(), card: State()}
            else:
                kept.append(line.path)
        if not dry_run:
            snapshots.put_back(session, {path: now[path] for path in wanted}, wanted)
        gone += [path for path in wanted if not names.is_sidecar(path)]
    return gone, kept


def _batches(found: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in found:
        batch.append(line)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_as_made(repository: Repository, line: Line, view: State, card: State) -> bool:
    """Whether view and sidecar are what the import made, in the work tree and in git's index, as far as it came to that and an
    undo that was cut short did not take it away."""
    from comfyvn_store.ops.standing import object_of

    link = blobs.blob_id(links.link_text(line.path, line.hash).encode("ascii"), repository.object_format)
    is_view = _is_going(line.path, view) or object_of(view.lies) == line.hash
    text = Lies(snapshots.TEXT, line.card)
    is_card = _is_going(names.sidecar_path(line.path), card) or card.lies == text
    oids = {oid for _, oid, _ in view.entries} - {link} | {oid for _, oid, _ in card.entries} - {line.card}
    return is_view and is_card and not oids


def _is_going(path: str, state: State) -> bool:
    """Whether nothing lies at a path any more, or what stands there just before."""
    return state.lies is None or state.lies == Lies(snapshots.LINK, snapshots.going_text(path))
