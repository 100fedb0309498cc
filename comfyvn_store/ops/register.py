"""`register`: takes a file from anywhere into the store and gives it a place among the assets, with its sidecar."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from comfyvn_store.asset import ingest, record, sidecar, worktree
from comfyvn_store.asset.generators import comfyui
from comfyvn_store.asset.known import KnownSidecars
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import canonical, files, links, names
from comfyvn_store.errors import Refused, UnknownFile, UsageError, from_os_error
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.index import rows
from comfyvn_store.ops import cards
from comfyvn_store.ops.session import Session
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


def place_for(repository: Repository, source: str, type_: str, name: str | None, *, copy: bool) -> str:
    """Gives the place (relative to the assets root) a file is registered at. Raises Refused, UsageError.

    `name` may have folders below the type. Without copying, the file stays where it is, and that must be in the type.
    """
    names.check_inside(type_, "type")
    if "/" in type_ or not names.is_asset_name(f"{type_}/x"):
        raise Refused(
            f"'{names.printable(type_)}' cannot be a type",
            hint="a type is one folder name, such as 'characters'",
        )
    if copy:
        inside = f"{type_}/{name if name is not None else os.path.basename(source)}"
    else:
        inside = _inside_root(repository, source)
        if name is not None and f"{type_}/{name}" != inside:
            raise Refused("a file that is not copied keeps its name", hint="leave the name out, or let it be copied")
        if names.asset_type(inside) != type_:
            raise Refused(
                f"'{names.printable(inside)}' lies in the type '{names.asset_type(inside)}', not '{type_}'",
                hint=f"give --type {names.asset_type(inside)}, or move the file first",
            )
    check_place(repository, inside)
    return inside


def check_place(repository: Repository, inside: str) -> None:
    """Refuses a place that escapes the assets root, cannot hold an asset, or that git's attributes exclude."""
    names.check_inside(inside, "name")
    shown = names.printable(inside)
    if not names.is_asset_name(inside):
        raise Refused(f"'{shown}' cannot be an asset's name", hint="dot-files, sidecars and '_meta' are kept apart")
    full = repository.full(inside)
    folder = os.path.dirname(repository.absolute(full))
    top = os.path.realpath(repository.top)
    if not os.path.realpath(folder).startswith(top + os.sep):
        raise Refused(f"'{shown}' leads outside the work tree through a link", hint="make it a real folder")
    said = repository.git.run("check-attr", "-z", "--stdin", "filter", data=os.fsencode(full) + b"\0").split(b"\0")
    if len(said) > 2 and said[2] != b"comfyvn":
        raise Refused(
            f"a line in .gitattributes keeps '{shown}' out of the assets (filter={os.fsdecode(said[2])})",
            hint="change that line, or use another name",
        )


def register(session: Session, wishes: Sequence[Wish]) -> list[dict[str, Any]]:
    """Registers files and gives their records, in order.

    All of them are checked before the first is taken in. Raises UnknownFile, Refused, MachineError; a file that was
    registered before a later one failed stays registered.
    """
    repository = session.repository
    for wish in wishes:
        check_source(wish.source)
    _check_twice(wishes)
    done = []
    with HistoryLookup(repository) as history:
        for wish in wishes:
            try:
                done.append(_register(session, wish, history))
            except OSError as error:
                raise from_os_error(error, f"register '{names.printable(wish.source)}'") from error
    session.catch_up()
    session.make_previews_later()
    return [cards.printed(session, inside) for inside in done]


class HistoryLookup(HistoryRecords):
    """The history lookup as a context."""

    def __enter__(self) -> HistoryLookup:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    """Refuses what is no readable ordinary file. Raises UnknownFile, Refused, MachineError."""
    shown = names.printable(typed if typed is not None else source)
    try:
        info = os.stat(source)
    except FileNotFoundError:
        raise UnknownFile(f"there is no file '{shown}'", hint="check the spelling and the folder you are in") from None
    except OSError as error:
        raise from_os_error(error, "look at the file") from None
    if stat.S_ISDIR(info.st_mode):
        raise UnknownFile(f"'{shown}' is a folder", hint=f"name the files in it, as in '{shown}/*.png'")
    if not stat.S_ISREG(info.st_mode):
        raise UnknownFile(f"'{shown}' is no ordinary file (a pipe, socket or device)")
    if info.st_size == 0:
        raise Refused(f"'{shown}' is empty", hint="an empty file holds no art")
    if not os.access(source, os.R_OK):
        raise from_os_error(PermissionError(errno.EACCES, "Permission denied", source), "read")


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


def _register(session: Session, wish: Wish, history: HistoryRecords) -> str:
    repository = session.repository
    full = repository.full(wish.inside)
    taken = _Taken.look(repository, full)
    broken = cards.broken_on_disk(repository, full)
    if broken:
        raise Refused(
            f"the sidecar of '{names.printable(full)}' is broken ({broken}) and is left as it is",
            hint="mend or remove it, then register again",
        )
    hash_ = _store(repository, wish)
    _refuse_taken(wish, taken, full, hash_)
    known = KnownSidecars(repository, [full], history.newest_blob)
    said = cards.staged(repository, full) or known.find(full, hash_)
    if said is not None and said.hash == hash_:
        card = said.moved(wish.inside)
    else:
        facts = record.read_facts(repository.store, hash_)
        origin = replace(wish.origin, user=wish.origin.user or repository.settings.user)
        card = record.new_sidecar(wish.inside, hash_, facts, origin, said or known.previous(full))
    card = _with_notes(card, wish)
    repository.store.sync([hash_])
    _place_view(repository, full, hash_, taken)
    _write_card(session, wish, full, card)
    return wish.inside


def _with_notes(card: Sidecar, wish: Wish) -> Sidecar:
    tags = (*card.tags, *(tag for tag in dict.fromkeys(wish.tags) if tag not in card.tags))
    return replace(card, tags=tags, license=wish.license or card.license, meta={**card.meta, **wish.meta})


# -- bytes ---------------------------------------------------------------------------------------------------------


def _store(repository: Repository, wish: Wish) -> str:
    """Takes the bytes into the store, by copy or by adopting the file itself."""
    stated = ingest.Stated(wish.origin.source, wish.origin.workflow_hash)
    if not wish.copy and not os.path.islink(wish.source):
        adopted = _adopt(repository, wish.source)
        if adopted is not None:
            return adopted
    mark = repository.settings.marker and wish.copy
    with open(wish.source, "rb") as stream:
        return ingest.ingest(repository.store, ingest.file_blocks(stream), mark=mark, stated=stated).hash


def _adopt(repository: Repository, source: str) -> str | None:
    """Makes the file itself an object, bytes untouched; None where it has other hard links or cannot be linked."""
    if os.lstat(source).st_nlink > 1:
        return None
    before = files.print_of(os.lstat(source))
    digest = hashlib.sha256()
    with open(source, "rb") as stream:
        for block in ingest.file_blocks(stream):
            digest.update(block)
    if files.print_of(os.lstat(source)) != before:
        raise Refused(
            f"'{names.printable(source)}' changed while it was read",
            hint="wait until it is saved, then try again",
        )
    return digest.hexdigest() if repository.store.adopt(source, digest.hexdigest()) else None


def _inside_root(repository: Repository, source: str) -> str:
    """Gives a file's place relative to the assets root. Raises Refused for one elsewhere."""
    folder, name = os.path.split(os.path.abspath(source))
    real = os.path.join(os.path.realpath(folder), name)
    root = os.path.realpath(repository.absolute(repository.root))
    if not real.startswith(root + os.sep):
        raise Refused(
            f"'{names.printable(source)}' lies outside the assets root '{root}', so it cannot be adopted in place",
            hint="let it be copied (leave --no-copy out), or move it there first",
        )
    return os.path.relpath(real, root).replace(os.sep, "/")


# -- the place -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    """What is at the place now: in the work tree, and in git's index."""

    link: str | None
    file: files.Print | None
    is_other: bool
    staged_hash: str | None

    @classmethod
    def look(cls, repository: Repository, full: str) -> _Taken:
        place = repository.absolute(full)
        info = files.lstat(place)
        link = files.read_link(place)
        regular = info is not None and stat.S_ISREG(info.st_mode)
        entry = next((e for e in staging.entries(repository.git, [full]) if e.path == full), None)
        staged = None
        if entry is not None:
            text = blobs.read_small_blobs(repository.git, [entry.oid], links.LONGEST).get(entry.oid, b"")
            staged = links.parse_link_bytes(text) or "raw"
        file = files.print_of(info) if info is not None and regular else None
        return cls(link, file, info is not None and not regular and link is None, staged)


def _refuse_taken(wish: Wish, taken: _Taken, full: str, hash_: str) -> None:
    shown = names.printable(full)
    if taken.is_other:
        raise Refused(f"'{shown}' is a folder or no ordinary file")
    if taken.link is not None and links.parse_link(taken.link) is None:
        raise Refused(f"'{shown}' is a link of yours, not a view", hint="choose another name")
    held = links.parse_link(taken.link) if taken.link is not None else taken.staged_hash
    if wish.replace or not wish.copy:
        return
    if (held is not None and held != hash_) or (taken.file is not None and not _is_same_file(wish.source, full, taken)):
        raise Refused(f"the name '{shown}' is taken by other bytes", hint="choose another --name, or --replace them")


def _is_same_file(source: str, full: str, taken: _Taken) -> bool:
    """Whether the file at the place is the very file that is registered."""
    assert taken.file is not None
    info = os.stat(source)
    return (info.st_ino, info.st_size) == (taken.file.inode, taken.file.size)


def _place_view(repository: Repository, full: str, hash_: str, taken: _Taken) -> None:
    """Puts the view in place; a file that is replaced is in the store before."""
    place = repository.absolute(full)
    text = links.link_text(full, hash_)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if taken.link == text:
        return
    if taken.file is None:
        files.place_symlink(place, text)
        return
    with open(place, "rb") as stream:
        replaced = ingest.ingest(repository.store, ingest.file_blocks(stream), mark=False).hash
    repository.store.sync([replaced])
    current = worktree.print_at(place)
    # Adopting gives the file the object's mode and time, so its fingerprint is taken anew; its bytes are in the store.
    if current is None or not files.swap_for_link(place, text, current):
        raise Refused(f"'{names.printable(full)}' changed while it was registered", hint="run the command again")


def _write_card(session: Session, wish: Wish, full: str, card: Sidecar) -> None:
    """Writes the sidecar and stages both, or remembers that they are not staged."""
    repository = session.repository
    text = sidecar.encode(card)
    link_text = links.link_text(full, card.hash).encode("ascii")
    if not wish.stage:
        cards.write(repository, full, text, None)
        rows.write_unstaged(repository, [*rows.read_unstaged(repository), wish.inside])
        return
    link, oid = blobs.write_blobs(repository.git, repository.object_format, [link_text, text])
    entries = [Entry(full, staging.LINK, link), Entry(names.sidecar_path(full), staging.FILE, oid)]
    current = {entry.path: entry for entry in staging.entries(repository.git, [entry.path for entry in entries])}
    if any(current.get(entry.path) != entry for entry in entries):
        staging.write_entries(repository.git, entries, patience=staging.PATIENCE)
    cards.write(repository, full, text, cards.commit_of(session, wish.inside, card))
    staging.refresh(repository.git, [entry.path for entry in entries], filters=True, patience=staging.PATIENCE)
    left = [path for path in rows.read_unstaged(repository) if path != wish.inside]
    if len(left) != len(rows.read_unstaged(repository)):
        rows.write_unstaged(repository, left)
