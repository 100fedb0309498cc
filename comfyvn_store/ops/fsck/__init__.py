"""`fsck`: whether every byte of a project's art is here and right, and whether links, sidecars, index and the store's own
folders agree with it. Looking changes nothing, not even a time; repairing is a step of its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import NotInitialised, from_os_error
from comfyvn_store.ops.fsck import (
    ground,
    index,
    objects,
    older,
    repair,
    scope,
    sidecars,
    strays,
    unchanged,
    verified,
    views,
)
from comfyvn_store.ops.fsck.finding import Finding, Repaired
from comfyvn_store.ops.fsck.objects import Look
from comfyvn_store.ops.fsck.scope import Scope
from comfyvn_store.ops.fsck.verified import Verified
from comfyvn_store.vcs import aside
from comfyvn_store.vcs.repository import Repository, open_repository

_TRY_AGAIN = {
    errno.ENOSPC: "free some space and run the command again",
    errno.EROFS: "the file system is mounted read-only",
}


@dataclass
class Checked:
    """What a run found; after a repair `findings` is what remains and `repaired` what was done.

    `objects` were seen, `hashed` of them read, `skipped` not read because an earlier incremental run did; `absent` are older
    versions that are not here, and that remotes may have.
    """

    objects: int = 0
    hashed: int = 0
    skipped: int = 0
    absent: int = 0
    findings: list[Finding] = field(default_factory=list)
    repaired: list[Repaired] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "objects": self.objects,
            "hashed": self.hashed,
            "skipped": self.skipped,
            "absent": self.absent,
            "findings": [{**each._asdict(), "paths": list(each.paths)} for each in self.findings],
            "repaired": [{**each._asdict(), "paths": list(each.paths)} for each in self.repaired],
        }


def fsck(
    repository: Repository,
    words: Sequence[str] = (),
    *,
    full: bool = False,
    incremental: bool = False,
    mends: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Checks everything, or what paths and revisions name, and with `mends` repairs it and looks again.

    Reads what git's index and HEAD need (or those revisions) and what somebody wrote to; with `full` every object. With
    `incremental` what an earlier such run verified is believed while its stat is the same, and so are links, sidecars and the
    index while nothing that they hang on has changed. Raises NotInitialised,
    NewerStore, StoreUnreachable, UnknownRevision, UnknownAsset, MachineError.
    """
    if not repository.is_initialised:
        raise NotInitialised("comfyvn-store is not set up in this repository", hint="run `comfyvn-store init`")
    tell = progress or quietly
    gone = ground.store_gone(repository)
    if gone:
        return Checked(findings=gone)
    repository.require_store()
    if mends:
        aside.release_abandoned(repository.git)
    store = repository.store
    place = os.path.join(repository.home.path, verified.NAME) if incremental else None
    seen = Verified(place, store.root, repository.settings.sharing)
    found = scope.read(repository, words)
    look = Look(repository, found, seen, full, incremental, tell)
    look.state = unchanged.look(repository) if incremental and found.is_whole else None
    try:
        checked = _examine(look)
        if mends and any(finding.is_repairable for finding in checked.findings):
            checked = _mend(look, words, checked)
    finally:
        seen.close()
    return checked


def _examine(look: Look) -> Checked:
    findings = [*dict.fromkeys(_freeze(finding) for finding in _findings(look))]
    if look.state is not None:
        # One finding may hide another (of a sidecar's size nothing can be said while the object is missing).
        is_right = all(finding.kind in strays.KINDS for finding in findings)
        for name, digest in (("tree", look.state.tree), ("index", look.state.database)):
            look.verified.note_state(f"{name}/{look.state.place}", digest if is_right else None)
    return Checked(look.seen, look.hashed, look.skipped, look.absent, findings)


def _freeze(finding: Finding) -> Finding:
    return finding._replace(paths=tuple(finding.paths))


def _findings(look: Look) -> Iterator[Finding]:
    repository, found = look.repository, look.scope
    if found.is_whole:
        yield from ground.store(repository)
    yield from objects.examine(look)
    if found.is_whole and look.is_full:
        yield from older.examine(look)
    if found.revisions:
        yield from ground.committed(repository, found)
        return
    yield from _of_work_tree(look)
    if found.is_whole:
        yield from strays.examine(repository, found.needed)
        if not look.knows_index:
            yield from index.examine(repository, look.tell)


def _of_work_tree(look: Look) -> Iterator[Finding]:
    repository, found = look.repository, look.scope
    if look.knows_tree and look.state is not None:
        tracked = views.tracked(repository, found, look.state.touched) if look.state.touched else []
        yield from views.examine(repository, tracked)
        yield from sidecars.examine(repository, tracked, look.tell)
    else:
        tracked = views.tracked(repository, found)
        yield from views.examine(repository, tracked)
        yield from ground.staged(repository, found)
        yield from sidecars.examine(repository, tracked, look.tell)
        yield from sidecars.alone_in_git(repository, found)
    yield from sidecars.alone_on_disk(repository, found)


def _mend(look: Look, words: Sequence[str], before: Checked) -> Checked:
    """Repairs and looks again; what was read and right before is not read once more."""
    scope.complete(look.repository, look.scope)
    done = []
    try:
        for each in repair.repair(look.repository, look.scope, before.findings, look.tell):
            done.append(each)
    except OSError as error:
        failure = from_os_error(error, "repair that")
        failure.hint = f"what is put right by now stays; {_TRY_AGAIN.get(error.errno or 0, 'run the command again')}"
        raise failure from error
    repository = open_repository(look.repository.top, environment=look.repository.git.environment)
    again = Look(repository, scope.read(repository, words), look.verified, look.is_full, True, look.tell)
    after = _examine(again)
    remaining = {finding.key for finding in after.findings}
    touched = {hash_ for each in done for hash_ in [each.hash] if hash_}
    unsaid = [
        Repaired(finding.kind, "is in order again", finding.paths, finding.hash)
        for finding in before.findings
        if finding.key not in remaining
        and finding.hash not in touched
        and not any(each.kind == finding.kind or set(each.paths) & set(finding.paths) for each in done)
    ]
    # On a disk that cannot be written to nothing is made anew, whatever was tried.
    kept = {(finding.kind, tuple(finding.paths)) for finding in after.findings}
    done = [each for each in done if (each.kind, tuple(each.paths)) not in kept]
    return Checked(after.objects, before.hashed, before.skipped, after.absent, after.findings, [*done, *unsaid])


__all__ = ["Checked", "Finding", "Repaired", "Scope", "fsck"]
