"""Files on their way to becoming assets, many at once: what stands at their places is looked up in few calls of git, objects
and sidecars are synced together, and all of it is staged in one write of git's index.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from comfyvn_store.asset import ingest, readers, record, sidecar, views
from comfyvn_store.asset.known import KnownSidecars, on_disk, parse_all
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, digest, files, links, names
from comfyvn_store.errors import ComfyvnError, LockTimeout, Refused, from_os_error
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.index import sight
from comfyvn_store.ops import cards
from comfyvn_store.ops.places import RAW, Taken, place_view
from comfyvn_store.ops.session import Session
from comfyvn_store.store import adoption
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


@dataclass(frozen=True)
class Wish:
    """What the caller wants for one file. `inside` is its place relative to the assets root; `expected` are the hashes that its
    bytes, or those without a marker, may have, where the caller has read it before."""

    source: str
    inside: str
    copy: bool = True
    replace: bool = False
    stage: bool = True
    tags: tuple[str, ...] = ()
    license: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    origin: record.Origin = field(default_factory=lambda: record.Origin(default_source=record.MANUAL))
    expected: frozenset[str] = frozenset()


class Taking(NamedTuple):
    """A file whose bytes are in the store: the asset's path, its sidecar, git's text of that, and what stands at the place."""

    wish: Wish
    full: str
    card: Sidecar
    text: bytes
    taken: Taken


# Told of a file that fails, with the reason; without it, the first that fails ends the work.
Failed = Callable[[Wish, ComfyvnError], None]


def take(
    session: Session,
    wishes: Sequence[Wish],
    failed: Failed | None = None,
    *,
    check: Callable[[str], None],
    ready: Callable[[Sequence[Taking]], None] = lambda takings: None,
) -> list[Taking]:
    """Makes files assets and gives those that are. The caller holds `worktree.alone`, and has noted what is replaced.

    `check` refuses a source that cannot become one; `ready` hears of all that are about to be put in place, when their bytes
    are durable. What was put in place before an error is staged. Raises Refused, MachineError.
    """
    work = _Work(session, failed)
    try:
        with closing(HistoryRecords(session.repository)) as history:
            fulls = [session.repository.full(wish.inside) for wish in wishes]
            ground = Ground(session.repository, fulls, history)
            for wish in wishes:
                work.attempt(wish, work.prepare, wish, ground, check)
        session.repository.store.sync(list(dict.fromkeys(each.card.hash for each in work.prepared)))
        ready(work.prepared)
        work.place()
    except OSError as error:
        raise from_os_error(error, "register the files") from error
    finally:
        stage(session.repository, work.done)
    if work.error is not None:
        raise work.error
    return work.done


class _Work:
    """Files on their way, and how far they are."""

    def __init__(self, session: Session, failed: Failed | None) -> None:
        self._session = session
        self._repository = session.repository
        self._failed = failed
        self.error: ComfyvnError | None = None
        self.prepared: list[Taking] = []
        self.done: list[Taking] = []

    def attempt(self, wish: Wish, step: Callable[..., None], *arguments: Any) -> None:
        """Takes a step of one file, unless an earlier one failed and nobody hears of that."""
        if self.error is not None:
            return
        try:
            step(*arguments)
        except (ComfyvnError, OSError) as raised:
            doing = f"register '{names.printable(wish.source)}'"
            error = from_os_error(raised, doing) if isinstance(raised, OSError) else raised
            if self._failed is None:
                self.error = error
            else:
                self._failed(wish, error)

    def prepare(self, wish: Wish, ground: Ground, check: Callable[[str], None]) -> None:
        """Takes the bytes in, and makes the sidecar."""
        check(wish.source)
        repository, full = self._repository, self._repository.full(wish.inside)
        taken = ground.taken(full)
        taken.refuse_other(full)
        broken = cards.broken_on_disk(repository, full)
        if broken:
            raise Refused(
                f"the sidecar of '{names.printable(full)}' is broken ({broken}) and is left as it is",
                hint="mend or remove it, then register again",
            )
        hash_ = _store(repository, wish)
        if wish.copy and not wish.replace:
            taken.refuse_other_bytes(repository, full, wish.source, hash_)
        card = _with_notes(_card(repository, wish, hash_, ground), wish)
        if not record.is_readable(card):
            raise Refused(
                f"the sidecar of '{names.printable(full)}' would be too large or too deep to be read again",
                hint="state less: a shorter workflow, fewer inputs, tags or meta",
            )
        self.prepared.append(Taking(wish, full, card, sidecar.encode(card), taken))

    def place(self) -> None:
        """Puts views in place, then sidecars. Raises OSError."""
        placed: list[Taking] = []
        error, self.error = self.error, None
        for each in self.prepared:
            self.attempt(each.wish, self._place, each, placed)
        self.error = error or self.error
        session = self._session
        cards.write_all(
            self._repository, [(each.full, each.text, cards.commit_of(session, each.card)) for each in placed]
        )
        self.done = placed

    def _place(self, each: Taking, placed: list[Taking]) -> None:
        place_view(self._repository, each.full, each.card.hash, each.taken, replace=each.wish.replace)
        placed.append(each)


class Ground:
    """What git has at the places of files, in its index and in its history, looked up for all of them at once."""

    def __init__(self, repository: Repository, fulls: Sequence[str], history: HistoryRecords) -> None:
        self._repository = repository
        paths = [path for full in fulls for path in (full, names.sidecar_path(full))]
        entries = staging.entries_at(repository.git, repository.root, paths)
        self._entries = {entry.path: entry for entry in entries if entry.stage in (0, 2)}
        oids = {entry.oid for path, entry in self._entries.items() if not names.is_sidecar(path)}
        self._links = blobs.read_links(repository.git, oids)
        texts = {entry.oid for path, entry in self._entries.items() if names.is_sidecar(path)}
        self._cards = parse_all(blobs.read_small_blobs(repository.git, texts, canonical.LONGEST_JSON))
        self.known = KnownSidecars(repository, fulls, history.newest_blob)

    def taken(self, full: str) -> Taken:
        """Gives what is at a place now."""
        entry = self._entries.get(full)
        return Taken.with_staged(self._repository, full, None if entry is None else self._links.get(entry.oid, RAW))

    def staged(self, full: str) -> Sidecar | None:
        """Gives the sidecar that git's index has for an asset, if it parses."""
        entry = self._entries.get(names.sidecar_path(full))
        return self._cards.get(entry.oid) if entry else None


def _card(repository: Repository, wish: Wish, hash_: str, ground: Ground) -> Sidecar:
    """Gives the sidecar for these bytes at this place: the known one, or a new one that keeps what people said."""
    full = repository.full(wish.inside)
    # The one on disk first: it may have an edit of the user's that git does not know yet.
    said = on_disk(repository, full) or ground.staged(full)
    if said is not None and said.hash == hash_:
        return said.moved(wish.inside)
    found = ground.known.find(full, hash_)
    if found is not None:
        card = found.moved(wish.inside)
        return card._replace(tags=said.tags, license=said.license, meta=said.meta, extra=said.extra) if said else card
    facts = record.read_facts(repository.store, hash_, [reader for _, reader in readers.installed()])
    origin = wish.origin._replace(user=wish.origin.user or repository.settings.user)
    return record.new_sidecar(wish.inside, hash_, facts, origin, said or ground.known.previous(full))


def _with_notes(card: Sidecar, wish: Wish) -> Sidecar:
    tags = (*card.tags, *(tag for tag in dict.fromkeys(wish.tags) if tag not in card.tags))
    return card._replace(tags=tags, license=wish.license or card.license, meta={**card.meta, **wish.meta})


# -- bytes ---------------------------------------------------------------------------------------------------------


def _store(repository: Repository, wish: Wish) -> str:
    """Takes the bytes into the store, by copy or by adopting the file itself."""
    stated = ingest.Stated(wish.origin.source, wish.origin.workflow_hash)
    # A copy stays in place as it is, and one inode cannot be both the object and a file that people write to.
    if not wish.copy and not os.path.islink(wish.source) and not repository.copies_views:
        adopted = _adopt(repository, wish.source)
        if adopted is not None:
            return adopted
    mark = repository.settings.marker and wish.copy
    with open(wish.source, "rb") as stream:
        done = ingest.ingest(repository.store, ingest.file_blocks(stream), mark=mark, stated=stated)
    if wish.expected and not wish.expected & {done.hash, done.source_hash}:
        raise _torn(wish.source)
    return done.hash


def _adopt(repository: Repository, source: str) -> str | None:
    """Makes the file itself an object, bytes untouched; None where it has other hard links or cannot be linked."""
    info = files.look(source)
    if info is None or info.st_nlink > 1:
        return None
    seen = files.print_of(info)
    with open(source, "rb") as stream:
        hash_ = digest.sha256(stream)
    if files.print_of(os.lstat(source)) != seen:
        raise _torn(source)
    return hash_ if adoption.adopt(repository.store, source, hash_, seen) else None


def _torn(source: str) -> Refused:
    return Refused(
        f"'{names.printable(source)}' changed while it was read", hint="wait until it is saved, then try again"
    )


# -- git -----------------------------------------------------------------------------------------------------------


def stage(repository: Repository, done: Sequence[Taking]) -> None:
    """Stages views and sidecars, all in a few calls of git, or remembers those that are not to be staged."""
    staged = [item for item in done if item.wish.stage]
    contents = [links.link_text(item.full, item.card.hash).encode("ascii") for item in staged]
    oids = blobs.write_blobs(repository.git, repository.object_format, [*contents, *(item.text for item in staged)])
    paths = [path for item in staged for path in (item.full, names.sidecar_path(item.full))]
    current = {entry.path: entry for entry in staging.entries_at(repository.git, repository.root, paths)}
    wanted = [
        Entry(item.full, views.mode_of(repository, current.get(item.full)), oid)
        for item, oid in zip(staged, oids, strict=False)
    ]
    wanted += [
        Entry(names.sidecar_path(item.full), staging.FILE, oid)
        for item, oid in zip(staged, oids[len(staged) :], strict=True)
    ]
    try:
        staging.write_entries(
            repository.git, [entry for entry in wanted if current.get(entry.path) != entry], patience=staging.PATIENCE
        )
        staging.refresh(repository.git, [entry.path for entry in wanted], filters=True, patience=staging.PATIENCE)
    except LockTimeout as error:
        raise LockTimeout(f"the files are registered but not staged: {error.message}", hint=error.hint) from error
    unstaged = sight.read_unstaged(repository)
    after = {*unstaged, *(item.wish.inside for item in done)} - {item.wish.inside for item in staged}
    if after != set(unstaged):
        sight.write_unstaged(repository, after)
