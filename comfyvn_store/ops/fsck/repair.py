"""`fsck --repair`: what can be put right without a decision of a person's, in an order in which no byte is ever without a
name: objects first, then links and sidecars, then what is derived, and leftovers last, once nothing is looked for in them.

No commit is made or changed, nothing is staged, and no file of the work tree with an edit is touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from comfyvn_store.asset import worktree
from comfyvn_store.base.telling import Progress
from comfyvn_store.errors import GitFailed
from comfyvn_store.index import catchup
from comfyvn_store.ops import init, rebuild
from comfyvn_store.ops.fsck import ground, restore, sidecars, strays, views
from comfyvn_store.ops.fsck.finding import (
    CARD_BROKEN,
    CARD_MISSING,
    INDEX_DAMAGED,
    INDEX_DIFFERS,
    LINK_DEPTH,
    LINK_OTHER,
    LINK_TEXT,
    STRAY_MIRROR,
    STRAY_PART,
    STRAY_PREVIEW,
    STRAY_TEMP,
    Finding,
    Repaired,
)
from comfyvn_store.ops.fsck.scope import Scope
from comfyvn_store.ops.session import open_session
from comfyvn_store.previews import worker
from comfyvn_store.vcs.repository import Repository, open_repository

_LINKS = (LINK_DEPTH, LINK_OTHER, LINK_TEXT)
_CARDS = (CARD_BROKEN, CARD_MISSING)
_DERIVED = (INDEX_DAMAGED, INDEX_DIFFERS, STRAY_MIRROR)


def repair(repository: Repository, scope: Scope, findings: Sequence[Finding], tell: Progress) -> Iterator[Repaired]:
    """Repairs what is repairable and says each thing done. Running it again does what was left.

    Raises MachineError, LockTimeout (another process is at work on views and sidecars), OSError.
    """
    due = [finding for finding in findings if finding.is_repairable]
    kinds = {finding.kind for finding in due}
    if kinds & ground.BY_INIT:
        init.init(repository)
        repository = open_repository(repository.top, environment=repository.git.environment)
        for finding in due:
            if finding.kind in ground.BY_INIT:
                yield Repaired(finding.kind, "made anew by init", finding.paths)
    yield from restore.restore(repository, due, scope.needed, tell)
    if kinds.intersection(_LINKS):
        yield from _links(repository, scope)
    if kinds.intersection(_CARDS):
        yield from _cards(repository, due)
    if kinds.intersection(_DERIVED) or kinds.intersection(_CARDS):
        yield from _derived(repository, due, tell)
    yield from _leftovers(repository, due, scope)


def _links(repository: Repository, scope: Scope) -> Iterator[Repaired]:
    with worktree.alone(repository, worktree.PATIENCE):
        try:
            done = views.mend(repository, views.tracked(repository, scope))
        except GitFailed:
            return  # another git is at work here; what is left stays a finding
    for path in done:
        yield Repaired("link", "is what git has again", [path])


def _cards(repository: Repository, due: Sequence[Finding]) -> Iterator[Repaired]:
    """Brings sidecars back from git's index; `rebuild` names their commits afterwards."""
    paths = [path for finding in due if finding.kind in _CARDS for path in finding.paths]
    if repository.is_index_locked or repository.in_sequence:
        return
    with worktree.alone(repository, worktree.PATIENCE):
        for path in sidecars.restore(repository, paths):
            yield Repaired("sidecar", "is back, from git's index", [path])


def _derived(repository: Repository, due: Sequence[Finding], tell: Progress) -> Iterator[Repaired]:
    """Makes the index, and what hangs on it, as `rebuild` does."""
    with open_session(repository.top, environment=repository.git.environment, fresh=False) as session:
        gone = [
            repository.inside(path) or "" for finding in due if finding.kind == STRAY_MIRROR for path in finding.paths
        ]
        if gone:
            with session.index.writing():
                catchup.add_pending(session.index, gone)
        rebuild.rebuild(session, previews=not repository.is_linked, progress=tell)
        if gone:
            with session.index.writing():
                catchup.add_pending(session.index, gone)
            session.catch_up_if_free()
    for finding in due:
        if finding.kind in _DERIVED:
            yield Repaired(finding.kind, "made anew", finding.paths)


def _leftovers(repository: Repository, due: Sequence[Finding], scope: Scope) -> Iterator[Repaired]:
    wanted = {finding.kind: finding for finding in due}
    if STRAY_PREVIEW in wanted:
        for finding in due:
            if finding.kind == STRAY_PREVIEW:
                for path in finding.paths:
                    if worker.discard(repository, os.path.basename(path)):
                        yield Repaired(finding.kind, "removed", [path])
    # Bytes of an object that is nowhere else may lie in them.
    if not {STRAY_TEMP, STRAY_PART} & wanted.keys():
        return
    if not all(map(repository.store.has, scope.needed)):
        return
    repository.store.sweep(age=strays.AGE)
    for finding in due:
        if finding.kind in (STRAY_TEMP, STRAY_PART) and not any(map(os.path.lexists, finding.paths)):
            yield Repaired(finding.kind, "removed", finding.paths)
