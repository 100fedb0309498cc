"""`register`: takes a file from anywhere into the store and gives it a place among the assets, with its sidecar."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from comfyvn_store.asset import ingest, readers, record, sidecar, views, worktree
from comfyvn_store.asset.known import KnownSidecars, on_disk
from comfyvn_store.asset.readers import comfyui
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, digest, files, links, names, pointers
from comfyvn_store.errors import ComfyvnError, LockTimeout, Refused, UnknownFile, UsageError, from_os_error
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.index import sight
from comfyvn_store.ops import cards, journal
from comfyvn_store.ops.places import Taken, place_view
from comfyvn_store.ops.session import Session
from comfyvn_store.store import adoption
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


@dataclass(frozen=True)
class Wish:
    """What the caller wants for one file. `inside` is its place relative to the assets root."""

    source: str
    inside: str
    copy: bool = True
    replace: bool = False
    stage: bool = True
    tags: tuple[str, ...] = ()
    license: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    origin: record.Origin = field(default_factory=lambda: record.Origin(default_source=record.MANUAL))


def register(
    session: Session, wishes: Sequence[Wish], *, failed: Callable[[Wish, ComfyvnError], None] | None = None
) -> list[dict[str, Any]]:
    """Registers files and gives their records, in order.

    All of them are checked before anything is kept or taken in. Raises UnknownFile, Refused, MachineError; a file that was
    registered before a later one failed stays registered. With `failed` a file that fails is told to it and left out.
    """
    _check_twice(wishes)
    wishes = _checked(wishes, failed)
    # One at a time: of two that register the same bytes at one place the second finds the record of the first.
    replaced = [session.repository.full(wish.inside) for wish in wishes if wish.replace]
    noted = [path for full in replaced for path in (full, names.sidecar_path(full))]
    more = f" and {len(replaced) - 1} more" if len(replaced) > 1 else ""
    with (
        worktree.alone(session.repository, worktree.PATIENCE),
        journal.recording(session.repository, "register", noted, f"replace {replaced[0] if replaced else ''}{more}"),
    ):
        done = _register_all(session, wishes, failed)
    session.catch_up_if_free()
    session.make_previews_later()
    return [cards.printed(session, item.card) for item in done]


def _checked(wishes: Sequence[Wish], failed: Callable[[Wish, ComfyvnError], None] | None) -> list[Wish]:
    fit: list[Wish] = []
    for wish in wishes:
        try:
            check_source(wish.source)
        except ComfyvnError as error:
            if failed is None:
                raise
            failed(wish, error)
        else:
            fit.append(wish)
    return fit


def _register_all(
    session: Session, wishes: Sequence[Wish], failed: Callable[[Wish, ComfyvnError], None] | None
) -> list[_Registered]:
    done: list[_Registered] = []
    try:
        with closing(HistoryRecords(session.repository)) as history:
            for wish in wishes:
                try:
                    done.append(_register_one(session, wish, history))
                except ComfyvnError as error:
                    if failed is None:
                        raise
                    failed(wish, error)
    finally:
        _stage(session.repository, done)
    return done


class _Registered(NamedTuple):
    """A file that is in the store, with its view and its sidecar in place: the asset's path, sidecar and git's text."""

    wish: Wish
    full: str
    card: Sidecar
    text: bytes


def with_workflow(origin: record.Origin, graph: Any) -> record.Origin:
    """Gives an origin that also states a ComfyUI graph: its hash, what it says of the inputs, and the graph itself.

    Raises UsageError if it is no ComfyUI graph.
    """
    is_api = comfyui.is_api_graph(graph)
    found = comfyui.from_graphs(graph if is_api else None, None if is_api else graph)
    if found is None or found.workflow_hash is None:
        raise UsageError("this is no ComfyUI graph", hint="save it from ComfyUI with 'Save' or 'Export (API)'")
    return replace(
        origin,
        source=origin.source or found.source,
        workflow_hash=origin.workflow_hash or found.workflow_hash,
        inputs={**found.inputs, **(origin.inputs or {})},
        extra={**(origin.extra or {}), "workflow": graph},
    )


def read_graph(place: str) -> Any:
    """Reads a graph from a file that the caller names. Raises UnknownFile, UsageError."""
    try:
        with open(place, "rb") as stream:
            data = stream.read(canonical.LONGEST_JSON + 1)
        return canonical.parse(data)
    except OSError as error:
        raise UnknownFile(f"cannot read the workflow '{names.printable(place)}': {error.strerror}") from None
    except canonical.NotCanonical as error:
        raise UsageError(f"the workflow '{names.printable(place)}' is no JSON: {error}") from None


def check_source(source: str, typed: str | None = None) -> None:
    """Refuses what is no readable ordinary file with bytes of its own. Raises UnknownFile, Refused, MachineError."""
    shown = names.printable(typed if typed is not None else source)
    try:
        info = os.stat(source)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno in (
            errno.ELOOP,
            errno.ENAMETOOLONG,
        ):
            hint = "check the spelling and the folder you are in"
            raise UnknownFile(f"there is no file '{shown}'", hint=hint) from None
        raise from_os_error(error, "look at the file") from None
    if stat.S_ISDIR(info.st_mode):
        raise UnknownFile(f"'{shown}' is a folder", hint=f"name the files in it, as in '{shown}/*.png'")
    if not stat.S_ISREG(info.st_mode):
        raise UnknownFile(f"'{shown}' is no ordinary file (a pipe, socket or device)")
    if info.st_size == 0:
        raise Refused(f"'{shown}' is empty", hint="an empty file holds no art")
    if not os.access(source, os.R_OK):
        raise from_os_error(PermissionError(errno.EACCES, "Permission denied", source), "read")
    try:
        with open(source, "rb") as stream:
            head = stream.read(max(links.LONGEST_BENT, pointers.LONGEST) + 1)
    except OSError as error:
        raise from_os_error(error, "read") from None
    _refuse_stand_in(head, shown)


def _refuse_stand_in(head: bytes, shown: str) -> None:
    """Refuses the text of a pointer or of a link: it stands for bytes that are elsewhere."""
    pointer = pointers.parse(head)
    if pointer is not None:
        program = pointers.PROGRAMS[pointer.program]
        raise Refused(
            f"'{shown}' is a pointer of {program}, not the bytes it stands for",
            hint=f"get the bytes with {program}, or take over what it keeps in this repository: "
            f"comfyvn-store migrate {pointer.program}",
        )
    if links.is_bent(head) or links.parse_written(head) is not None:
        raise Refused(
            f"'{shown}' holds the text of a link, not the bytes it stands for",
            hint="get the bytes from whoever has them; `comfyvn-store list` shows what is missing here",
        )


def _check_twice(wishes: Sequence[Wish]) -> None:
    seen: dict[str, str] = {}
    for wish in wishes:
        other = seen.setdefault(wish.inside, wish.source)
        if other != wish.source:
            raise Refused(
                f"'{names.printable(other)}' and '{names.printable(wish.source)}' would share the name "
                f"'{names.printable(wish.inside)}'",
                hint="register them one by one with --name",
            )


def _register_one(session: Session, wish: Wish, history: HistoryRecords) -> _Registered:
    check_source(wish.source)
    try:
        return _register(session, wish, history)
    except OSError as error:
        raise from_os_error(error, f"register '{names.printable(wish.source)}'") from error


def _register(session: Session, wish: Wish, history: HistoryRecords) -> _Registered:
    repository = session.repository
    full = repository.full(wish.inside)
    taken = Taken.look(repository, full)
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
    card = _with_notes(_card(repository, wish, hash_, history), wish)
    if not record.is_readable(card):
        raise Refused(
            f"the sidecar of '{names.printable(full)}' would be too large or too deep to be read again",
            hint="state less: a shorter workflow, fewer inputs, tags or meta",
        )
    text = sidecar.encode(card)
    repository.store.sync([hash_])
    place_view(repository, full, hash_, taken, replace=wish.replace)
    cards.write(repository, full, text, cards.commit_of(session, card))
    return _Registered(wish, full, card, text)


def _card(repository: Repository, wish: Wish, hash_: str, history: HistoryRecords) -> Sidecar:
    """Gives the sidecar for these bytes at this place: the known one, or a new one that keeps what people said."""
    full = repository.full(wish.inside)
    # The one on disk first: it may have an edit of the user's that git does not know yet.
    said = on_disk(repository, full) or cards.staged(repository, full)
    if said is not None and said.hash == hash_:
        return said.moved(wish.inside)
    known = KnownSidecars(repository, [full], history.newest_blob)
    found = known.find(full, hash_)
    if found is not None:
        card = found.moved(wish.inside)
        return replace(card, tags=said.tags, license=said.license, meta=said.meta, extra=said.extra) if said else card
    facts = record.read_facts(repository.store, hash_, [reader for _, reader in readers.installed()])
    origin = replace(wish.origin, user=wish.origin.user or repository.settings.user)
    return record.new_sidecar(wish.inside, hash_, facts, origin, said or known.previous(full))


def _with_notes(card: Sidecar, wish: Wish) -> Sidecar:
    tags = (*card.tags, *(tag for tag in dict.fromkeys(wish.tags) if tag not in card.tags))
    return replace(card, tags=tags, license=wish.license or card.license, meta={**card.meta, **wish.meta})


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
        return ingest.ingest(repository.store, ingest.file_blocks(stream), mark=mark, stated=stated).hash


def _adopt(repository: Repository, source: str) -> str | None:
    """Makes the file itself an object, bytes untouched; None where it has other hard links or cannot be linked."""
    info = files.look(source)
    if info is None or info.st_nlink > 1:
        return None
    seen = files.print_of(info)
    with open(source, "rb") as stream:
        hash_ = digest.sha256(stream)
    if files.print_of(os.lstat(source)) != seen:
        raise Refused(
            f"'{names.printable(source)}' changed while it was read",
            hint="wait until it is saved, then try again",
        )
    return hash_ if adoption.adopt(repository.store, source, hash_, seen) else None


# -- git -----------------------------------------------------------------------------------------------------------


def _stage(repository: Repository, done: Sequence[_Registered]) -> None:
    """Stages views and sidecars, all in a few calls of git, or remembers those that are not to be staged."""
    staged = [item for item in done if item.wish.stage]
    contents = [links.link_text(item.full, item.card.hash).encode("ascii") for item in staged]
    oids = blobs.write_blobs(repository.git, repository.object_format, [*contents, *(item.text for item in staged)])
    before = {entry.path: entry for entry in staging.entries(repository.git, [item.full for item in staged])}
    wanted = [
        Entry(item.full, views.mode_of(repository, before.get(item.full)), oid)
        for item, oid in zip(staged, oids, strict=False)
    ]
    wanted += [
        Entry(names.sidecar_path(item.full), staging.FILE, oid)
        for item, oid in zip(staged, oids[len(staged) :], strict=True)
    ]
    current = {entry.path: entry for entry in staging.entries(repository.git, [entry.path for entry in wanted])}
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
