"""What `doctor` and `check` say already of the store's folders, the link to it, and links and sidecars in git: asked here,
so that there is one judgement of each. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from comfyvn_store.ops import check
from comfyvn_store.ops.doctor import art, installation, machine
from comfyvn_store.ops.doctor.finding import Finding as Diagnosed
from comfyvn_store.ops.fsck.finding import CARD_BROKEN, CARD_MISSING, CARD_OTHER, LINK_DEPTH, REPAIR, Finding
from comfyvn_store.ops.fsck.scope import Scope
from comfyvn_store.vcs.repository import Repository

# What is one thing has one name, whichever of us finds it.
_KINDS = {
    "misplaced": LINK_DEPTH,
    "no-sidecar": CARD_MISSING,
    "other-sidecar": CARD_OTHER,
    "broken-sidecar": CARD_BROKEN,
}
# What `init` makes anew.
BY_INIT = frozenset(
    ("store-folders", "store-place", "store-leftovers", "store-users", "link-missing", "link-wrong", "excludes")
)


def store_gone(repository: Repository) -> list[Finding]:
    """A store outside the repository that is not where it was: nothing else can be told then."""
    return [_ours(each) for each in machine.store_gone(repository)]


def store(repository: Repository) -> Iterator[Finding]:
    """The folders of the store, who may write to them, who uses it, and the link to it."""
    for each in (
        *machine.store(repository),
        *machine.store_place(repository),
        *installation.store_link(repository),
        *installation.excludes(repository),
    ):
        yield _ours(each)


def staged(repository: Repository, scope: Scope) -> Iterator[Finding]:
    """Links and sidecars in git's index that are not as a commit with hooks leaves them: for `doctor --fix` to stage."""
    found = art.look(repository)
    for each in (*art.staged_art(repository, found), *art.stored_pointers(repository, found)):
        paths = [path for path in each.paths if scope.covers(path)]
        if paths:
            yield _ours(each)._replace(paths=paths, is_repairable=False)


def committed(repository: Repository, scope: Scope) -> Iterator[Finding]:
    """The same of revisions and ranges."""
    for revision in scope.revisions:
        done = check.check([revision], repository.top, repository.git.environment)
        for each in done.findings:
            if scope.covers(each.path):
                message = f"{each.commit[:10]}: {each.message}"
                yield Finding(_KINDS.get(each.kind, each.kind), message, each.remedy, [each.path])


def _ours(each: Diagnosed) -> Finding:
    is_ours = each.kind in BY_INIT and each.is_mendable
    kind = _KINDS.get(each.kind, each.kind)
    return Finding(kind, each.message, REPAIR if is_ours else each.remedy, list(each.paths), None, is_ours)
