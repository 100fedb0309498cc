"""`resolve`: settles assets in conflict, link and sidecar together, staged and in the work tree.

Bytes that stand in the work tree and nowhere else are durable in the store before anything takes their place. The work tree
is written first and git's index last: a run that was cut short leaves the conflict, and the next one does the rest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from comfyvn_store.asset import ingest, merge, record, worktree
from comfyvn_store.asset.known import KnownSidecars, on_disk
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import files, links, names, pointers
from comfyvn_store.errors import ObjectMissing, Refused, UsageError, from_os_error
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.ops import journal, naming, unmerged
from comfyvn_store.ops.session import Session
from comfyvn_store.ops.settling import Place, Settling
from comfyvn_store.ops.unmerged import Conflict, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository

Choice = Literal["ours", "theirs", "both"]


@dataclass
class Resolved:
    """What became of one conflict: the views that are there now and those that are gone, relative to the top.

    `kept` names files of the work tree that were neither side's, and the hash under which the store has their bytes.
    """

    view: str
    choice: str
    views: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What was settled, what is left (top-relative paths), and what to type then."""

    resolved: list[Resolved]
    left: list[str]
    proceed: str


def resolve(session: Session, targets: Sequence[str], choice: Choice) -> Outcome:
    """Settles the conflicts that `targets` (assets, sidecars, folders) name. All are checked before anything is written.

    Raises UsageError for a path that is not in conflict, Refused, LockTimeout, MachineError.
    """
    repository = session.repository
    with worktree.alone(repository, worktree.PATIENCE):
        under_way, found = unmerged.find(repository)
        chosen = _named(repository, targets, found)
        with closing(HistoryRecords(repository)) as history:
            paths = [version.path for item in chosen for version in (item.ours, item.theirs) if version]
            choosing = _Choosing(repository, choice, KnownSidecars(repository, paths, history.newest_blob))
            plans = [(item, [replace(place, mode=_mode(item)) for place in choosing.places(item)]) for item in chosen]
        settling = Settling(session)
        for item, places in plans:
            settling.check(item, places)
        try:
            with journal.recording(repository, "resolve", _touched(plans), _summary(plans, choice)):
                done = _settle(settling, plans, choice)
        except OSError as error:
            raise from_os_error(error, "settle the conflict") from error
    session.catch_up_if_free()
    return Outcome(done, sorted(staging.unmerged(repository.git, "")), under_way.proceed)


def _settle(settling: Settling, plans: Sequence[tuple[Conflict, list[Place]]], choice: Choice) -> list[Resolved]:
    done = []
    for item, places in plans:
        gone = [path for path in item.places if path not in {place.path for place in places}]
        kept = settling.settle(item, places, gone)
        views = [place.path if place.hash else names.sidecar_path(place.path) for place in places]
        done.append(Resolved(item.name, choice, views, sorted(gone), kept))
    settling.stage()
    return done


def _touched(plans: Sequence[tuple[Conflict, list[Place]]]) -> list[str]:
    """Gives the paths that settling may change: views and sidecars."""
    paths = {path for item, places in plans for path in (*item.places, *(place.path for place in places))}
    return [name for path in sorted(paths) for name in (path, names.sidecar_path(path))]


def _summary(plans: Sequence[tuple[Conflict, list[Place]]], choice: Choice) -> str:
    more = f" and {len(plans) - 1} more" if len(plans) > 1 else ""
    return f"resolve --{choice} {plans[0][0].name if plans else ''}{more}"


def _named(repository: Repository, targets: Sequence[str], found: Sequence[Conflict]) -> list[Conflict]:
    chosen: dict[str, Conflict] = {}
    for target in targets:
        path = naming.to_top(repository, target) if naming.is_text(target) else None
        asset = path.removesuffix(names.SIDECAR_SUFFIX) if path else None
        hits = [item for item in found if asset in item.places]
        if not hits and path is not None and os.path.isdir(repository.absolute(path)):
            folder = "" if path == "." else f"{path}/"
            hits = [item for item in found if any(place.startswith(folder) for place in item.places)]
        if not hits:
            raise UsageError(
                f"'{names.printable(target)}' is not in conflict",
                hint="`comfyvn-store conflicts` shows what is" if found else "no art is in conflict",
            )
        chosen |= {item.path: item for item in hits}
    return list(chosen.values())


class _Choosing:
    """Works out what shall stand where."""

    def __init__(self, repository: Repository, choice: Choice, known: KnownSidecars) -> None:
        self._repository = repository
        self._choice = choice
        self._known = known
        self._taken: set[str] = set()

    def places(self, item: Conflict) -> list[Place]:
        """Gives the views that the choice leaves. Raises Refused."""
        ours, theirs = item.ours, item.theirs
        if ours is None or theirs is None:
            return self._of_one(item)
        if self._choice == "both":
            return self._of_both(item, ours, theirs)
        version = ours if self._choice == "ours" else theirs
        card = self._merged(item, version)
        if card is None:
            return [Place(version.path, self._hash(version), None, version.card_entry)]
        return [Place(version.path, card.hash, card.moved(self._inside(version.path)))]

    def _of_one(self, item: Conflict) -> list[Place]:
        side = "ours" if item.ours is not None else "theirs"
        version = item.ours or item.theirs
        if version is None:
            return []
        if self._choice not in (side, "both"):
            if item.base is None:
                raise Refused(
                    f"'{names.printable(item.path)}' is new; the other side does not have it",
                    hint=f"keep it (--{side}), or move or remove it with git mv, git rm",
                )
            return []
        return [self._own(version)]

    def _of_both(self, item: Conflict, ours: Version, theirs: Version) -> list[Place]:
        if item.is_rename:
            return [self._own(ours), self._own(theirs)]
        if not item.has_two or self._hash(ours) is None or self._hash(theirs) is None:
            raise Refused(
                f"the sides of '{names.printable(item.path)}' do not have two versions of the file to keep",
                hint="only what is said of it differs: --ours or --theirs decides",
            )
        first = self._own(ours)
        other = self._own(theirs)
        assert other.hash is not None
        path = self._variant(item.path, other.hash)
        card = other.card.moved(self._inside(path)) if other.card else None
        return [replace(first, path=item.path), replace(other, path=path, card=card)]

    def _own(self, version: Version) -> Place:
        """Gives one side's version with its own sidecar."""
        hash_ = self._hash(version)
        if hash_ is None:
            return Place(version.path, None, None, version.card_entry)
        card = self._with_record(version, hash_, version.card)
        return Place(version.path, hash_, card.moved(self._inside(version.path)))

    def _merged(self, item: Conflict, version: Version) -> Sidecar | None:
        """Gives the sidecar in which one side decides what is in conflict and all else is merged; None for no art."""
        assert item.ours is not None and item.theirs is not None and self._choice != "both"
        base = item.base.card if item.base else None
        mine, yours = item.ours.card, item.theirs.card
        merged = merge.merge(base, mine, yours, self._choice).sidecar if mine and yours else None
        hash_ = self._hash(version)
        if merged is not None and not item.has_two and not item.is_rename:
            hash_ = item.settled or merged.hash
        if hash_ is None:
            return None
        if merged is not None and merged.hash == hash_:
            return merged
        if not item.has_two and item.base is not None and version.hash == item.base.hash:
            version = item.theirs if version is item.ours else item.ours  # only that one changed the bytes
            hash_ = self._hash(version) or hash_
        notes = merged or version.card or mine or yours
        return self._with_record(version, hash_, notes)

    def _with_record(self, version: Version, hash_: str, notes: Sidecar | None) -> Sidecar:
        """Gives a sidecar with the record of these bytes, known or new, and the tags, licence and meta of `notes`."""
        own = version.card if version.card is not None and version.card.hash == hash_ else None
        own = own or self._known.find(version.path, hash_)
        notes = notes or own
        if own is None:
            origin = record.Origin(default_source=record.GIT, user=self._repository.settings.user)
            previous = notes or self._known.previous(version.path)
            return record.new_sidecar(self._inside(version.path), hash_, self._facts(hash_), origin, previous)
        assert notes is not None
        return own._replace(tags=notes.tags, license=notes.license, meta=notes.meta, extra=notes.extra)

    def _facts(self, hash_: str) -> record.Facts:
        try:
            return record.read_facts(self._repository.store, hash_)
        except ObjectMissing:
            return record.Facts(None, {}, None, None, None, {})

    def _hash(self, version: Version) -> str | None:
        """Gives a version's hash; raw bytes that passed no filter are taken from git into the store."""
        if version.hash is not None or version.link is None:
            return version.hash
        if version.link.mode not in (staging.FILE, staging.EXECUTABLE):
            raise Refused(
                f"'{names.printable(version.path)}' is a link of yours, no art",
                hint="settle it with git checkout --ours or --theirs, git add",
            )
        git, oid = self._repository.git, version.link.oid
        text = blobs.read_small_blobs(git, [oid], pointers.LONGEST).get(oid)
        pointer = pointers.parse(text) if text is not None else None
        if pointer is not None:
            program = pointers.PROGRAMS[pointer.program]
            raise Refused(
                f"'{names.printable(version.path)}' is a pointer of {program} there, not the bytes it stands for",
                hint="settle it with git checkout --ours or --theirs, git add",
            )
        stream = blobs.stream_blob(git, oid)
        return ingest.ingest(self._repository.store, stream, mark=self._repository.settings.marker).hash

    def _inside(self, path: str) -> str:
        return self._repository.inside(path) or path

    # -- the name of the other version ------------------------------------------------------------------------------

    def _variant(self, path: str, hash_: str) -> str:
        """Gives a free name for the other version: `name.variant-<hash8>.ext`, cut where it would be too long."""
        for number in range(1, 1000):
            candidate = variant_path(path, hash_, number)
            if candidate not in self._taken and self._is_free(candidate, hash_):
                self._taken.add(candidate)
                return candidate
        raise Refused(f"there are too many variants of '{names.printable(path)}'", hint="rename some with git mv")

    def _is_free(self, path: str, hash_: str) -> bool:
        """Whether nothing has that name, but for what an earlier run put there before it was cut short."""
        repository, card = self._repository, names.sidecar_path(path)
        if any(entry.path in (path, card) for entry in staging.entries(repository.git, [path, card])):
            return False
        said = on_disk(repository, path)
        if files.read_link(repository.absolute(path)) == links.link_text(path, hash_):
            return said is None or said.hash == hash_
        wanted = {os.path.basename(name).casefold() for name in (path, card)}
        try:
            return not any(name.casefold() in wanted for name in os.listdir(os.path.dirname(repository.absolute(path))))
        except OSError:
            return True


def _mode(item: Conflict) -> str | None:
    """Gives the mode that git has for the asset: a link where any version is one, so that no merge turns it back."""
    modes = {version.link.mode for version in (item.base, item.ours, item.theirs) if version and version.link}
    return staging.LINK if staging.LINK in modes else min(modes, default=None)


def variant_path(path: str, hash_: str, number: int = 1) -> str:
    """Gives the name under which the other of two versions is kept; from the second on with a number."""
    folder, _, name = path.rpartition("/")
    stem, ext = os.path.splitext(name)
    if len(ext.encode("utf-8", "surrogateescape")) > 32:
        stem, ext = name, ""
    tail = f".variant-{hash_[:8]}" + (f"-{number}" if number > 1 else "") + ext
    room = names.LONGEST_NAME - len(tail.encode("utf-8", "surrogateescape"))
    stem = stem.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore")
    return f"{folder}/{stem}{tail}" if folder else stem + tail
