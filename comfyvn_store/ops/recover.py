"""`recover`: what a program wrote through a view becomes a new version, and the bytes that were there before come back.

The order keeps every byte at every moment: the edited bytes become an object of their own, durably; the view, git's
index and the sidecar follow; only then the damaged object leaves its name, in one step in which a good copy takes its
place if one was found. A run that was cut short is completed by the next one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from comfyvn_store.asset import ingest, record
from comfyvn_store.asset.known import KnownSidecars, on_disk
from comfyvn_store.base import files, links, names
from comfyvn_store.base.files import Print
from comfyvn_store.errors import ObjectCorrupt, ObjectMissing, Refused, from_os_error
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.index import questions
from comfyvn_store.ops import cards, copies, cutoff, journal, naming, register, remotes, status, taking
from comfyvn_store.ops.copies import Wanted
from comfyvn_store.ops.places import check_folders
from comfyvn_store.ops.session import Session
from comfyvn_store.remotes.remote import Item
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

WHOLE, RECOVERED, LOST = "whole", "recovered", "lost"
# How often a file that is being written is read before we say so.
_ATTEMPTS = 3


@dataclass
class Recovered:
    """What became of one asset (`view`, relative to the top) and of the bytes (`hash`) it had.

    `is_present` says that the asset still had them, rather than having been given a new version by an earlier run.
    `state` is "whole" (nothing was wrong), "recovered" (the bytes are back) or "lost" (no copy was found). `new` is the
    hash of the version made of the edited bytes, `copy` the place where the old ones were found, `quarantine` where the
    damaged object lies. `others` are assets with the same old bytes, `commits` those that hold them.
    """

    view: str
    hash: str
    is_present: bool = True
    state: str = WHOLE
    new: str | None = None
    copy: str | None = None
    quarantine: str | None = None
    others: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return asdict(self)


@dataclass
class _Edited:
    """The bytes found under a damaged object's name: the object they became, and the file as it was when read."""

    new: str | None
    seen: Print | None
    note: str | None = None


def recover(session: Session, targets: Sequence[str]) -> list[Recovered]:
    """Recovers assets and gives what became of each version that was not as it should be; a whole asset is said to be.

    A folder stands for the assets in it that `status` calls missing or damaged. Raises UnknownAsset, AmbiguousAsset,
    Refused (a conflict, a broken sidecar, a file that is being written), MachineError; whatever was done until then
    holds, and running it again does the rest.
    """
    insides = list(dict.fromkeys(inside for target in targets for inside in _named(session, target)))
    _refuse_conflicts(session.repository, insides)
    edited: dict[str, _Edited] = {}
    found: list[Recovered] = []
    wanted: dict[str, Wanted] = {}
    try:
        for inside in insides:
            found += _look(session, inside, wanted)
        views = [item.view for item in found if item.hash in wanted]
        noted = [path for view in views for path in (view, names.sidecar_path(view))]
        more = f" and {len(views) - 1} more" if len(views) > 1 else ""
        summary = f"recover {views[0] if views else ''}{more}"
        with journal.recording(session.repository, "recover", noted, summary):
            for item in found:
                if item.hash in wanted and session.repository.store.has(item.hash):
                    _make_version(session, item, wanted[item.hash], edited)
            for hash_ in wanted:
                _restore(session, wanted[hash_], [item for item in found if item.hash == hash_], edited.get(hash_))
    except OSError as error:
        raise from_os_error(error, "recover") from error
    found = [item if item.new or item.is_present or item.copy else _still_lost(item) for item in found]
    session.catch_up_if_free()
    for item in found:
        _name_references(session, item)
    return found


def _named(session: Session, target: str) -> list[str]:
    """Gives the assets that a target means, relative to the assets root."""
    repository = session.repository
    path = naming.to_top(repository, target) if naming.is_text(target) else None
    place = repository.absolute(path) if path is not None else ""
    if path is None or os.path.islink(place) or not os.path.isdir(place):
        return [naming.resolve(session, target)]
    folder = "" if path == "." else f"{path}/"
    return [
        inside
        for inside, hash_, size in questions.sized_hashes(session.index)
        if repository.full(inside).startswith(folder) and status.object_state(repository, hash_, size) != "whole"
    ]


def _refuse_conflicts(repository: Repository, insides: Sequence[str]) -> None:
    conflicts = staging.unmerged(repository.git, repository.root)
    for full in map(repository.full, insides):
        check_folders(repository, full)
        if full in conflicts or names.sidecar_path(full) in conflicts:
            raise Refused(f"'{names.printable(full)}' is in conflict", hint="resolve it first, then recover it")


# -- what is wrong -----------------------------------------------------------------------------------------------------


def _look(session: Session, inside: str, wanted: dict[str, Wanted]) -> list[Recovered]:
    """Checks the versions of an asset that a person may mean; gives those that are wrong, else the present one."""
    repository = session.repository
    full = repository.full(inside)
    row = questions.asset_at(session.index, repository, inside)
    shown = links.parse_link(files.read_link(repository.absolute(full)) or "")
    present = list(dict.fromkeys(filter(None, (shown, row["hash"] if row else None))))
    found = []
    with closing(HistoryRecords(repository)) as history:
        known = KnownSidecars(repository, [full], history.newest_blob)
        for hash_ in [*present, *_former(repository, full, known, present)]:
            if _is_whole(repository, hash_):
                continue
            if hash_ not in wanted:
                said = known.find(full, hash_)
                wanted[hash_] = _wanted(hash_, said.bytes if said else None, said.provenance if said else None)
            found.append(Recovered(full, hash_, hash_ in present or repository.store.has(hash_), LOST))
    return found or [Recovered(full, hash_) for hash_ in present[:1]]


def _former(repository: Repository, full: str, known: KnownSidecars, present: list[str]) -> list[str]:
    """Gives the versions before the present one that a run which was cut short may have left undone."""
    said = (on_disk(repository, full), cards.staged(repository, full), known.previous(full))
    former = dict.fromkeys(hash_ for card in said if card for hash_ in (card.hash, card.provenance.parent) if hash_)
    store = repository.store
    return [hash_ for hash_ in former if hash_ not in present and (store.has(hash_) or store.quarantined(hash_))]


def _wanted(hash_: str, size: int | None, said: Any) -> Wanted:
    if said is None:
        return Wanted(hash_, size)
    inferred = (record.MANUAL, record.GIT, "import")
    stated = ingest.Stated(None if said.source in inferred else said.source, said.workflow_hash)
    return Wanted(hash_, size, said.source_hash, stated)


def _is_whole(repository: Repository, hash_: str) -> bool:
    try:
        repository.store.verify(hash_)
    except (ObjectMissing, ObjectCorrupt):
        return False
    return True


# -- the edited bytes --------------------------------------------------------------------------------------------------


def _make_version(session: Session, item: Recovered, wanted: Wanted, edited: dict[str, _Edited]) -> None:
    """Makes what was written through the view a new version there, as `git add` and our hooks would."""
    repository = session.repository
    place = repository.absolute(item.view)
    if item.hash not in edited:
        edited[item.hash] = _take_in(repository, item, wanted)
    taken = edited[item.hash]
    if taken.note:
        item.notes.append(taken.note)
    if taken.new in (None, item.hash):
        return
    assert taken.new is not None
    # It leads to the new version already where an earlier run could not stage it.
    if links.parse_link(files.read_link(place) or "") not in (item.hash, taken.new):
        item.notes.append(
            f"'{names.printable(item.view)}' is no link to those bytes and stays as it is; "
            f"what was written is kept as the object {taken.new[:16]}"
        )
        return
    inside = repository.inside(item.view) or ""
    origin = record.Origin(default_source=record.GIT)
    register.register(session, [taking.Wish(repository.store.path(taken.new), inside, replace=True, origin=origin)])
    item.new = taken.new
    if cutoff.ends_early(repository, taken.new):
        item.notes.append("what was written ends too early for what it is: programs may not open the new version")


def _take_in(repository: Repository, item: Recovered, wanted: Wanted) -> _Edited:
    """Stores the bytes under a damaged object's name as an object of their own, durably; but what lost its end is none."""
    store = repository.store
    place = store.path(item.hash)
    cut = cutoff.why_no_version(repository, wanted)
    if cut:
        return _Edited(None, files.print_of(os.stat(place)), cut)
    for _ in range(_ATTEMPTS):
        before = files.print_of(os.stat(place))
        with open(place, "rb") as stream:
            head = stream.read(links.LONGEST + 1)
            if not head:
                return _Edited(None, before, "it was cut to nothing, so there is no new version")
            if links.parse_link_bytes(head) is not None:
                return _Edited(None, before, "it holds the text of a link, so there is no new version")
            stream.seek(0)
            new = ingest.ingest(store, ingest.file_blocks(stream), mark=repository.settings.marker).hash
        store.sync([new])
        if new == item.hash or files.print_of(os.stat(place)) == before:
            return _Edited(new, before)
    raise Refused(
        f"a program is writing to '{names.printable(item.view)}'", hint="close it, then run the command again"
    )


# -- the old bytes -----------------------------------------------------------------------------------------------------


def _restore(session: Session, wanted: Wanted, items: list[Recovered], edited: _Edited | None) -> None:
    """Brings one object back from where a copy is; a damaged one leaves its name in any case."""
    store = session.repository.store
    if edited is not None and edited.new == wanted.hash:
        copy: str | None = "the edited bytes themselves, once marked"
    else:
        copy = copies.bring_back(session.repository, wanted)
    if copy is None and store.has(wanted.hash):
        store.quarantine(wanted.hash)
    if copy is None:
        copy = remotes.bring_back(session.repository, Item(wanted.hash, wanted.size))
    aside = store.quarantined(wanted.hash)
    for item in items:
        item.copy = copy
        item.state = RECOVERED if copy else LOST
        item.quarantine = aside[-1] if aside else None
        if edited is not None and item.quarantine and files.print_of(os.lstat(item.quarantine)) != edited.seen:
            item.notes.append(f"a program wrote once more meanwhile; those bytes are in {item.quarantine}")
        elif copy and item.new and item.quarantine and cutoff.is_beginning(item.quarantine, store.path(wanted.hash)):
            item.notes.append(
                "the new version is no more than the beginning of the old bytes, so it may be damage and no edit; "
                "to have the old version back: comfyvn-store undo"
            )


def _still_lost(item: Recovered) -> Recovered:
    """Gives what to say of an asset that is whole, whose version before an earlier run did not find either."""
    note = f"the bytes it had before ({item.hash[:16]}) are still nowhere to be found"
    return Recovered(item.view, item.hash, False, notes=[note])


def _name_references(session: Session, item: Recovered) -> None:
    """Fills in what else has the old bytes."""
    db, repository = session.index.db, session.repository
    rows = db.execute("SELECT path FROM assets_registry WHERE hash = ? ORDER BY path", (item.hash,))
    item.others = [full for (path,) in rows if (full := repository.full(path)) != item.view]
    history = db.execute(
        "SELECT DISTINCT a.commit_hash FROM commit_assets a JOIN commits c ON c.hash = a.commit_hash"
        " WHERE a.hash = ? AND a.change <> 'D' ORDER BY c.committed_at",
        (item.hash,),
    )
    item.commits = [commit for (commit,) in history]
    if item.state == WHOLE:
        aside = session.repository.store.quarantined(item.hash)
        item.quarantine = aside[-1] if aside else None
