"""`doctor`: what is wrong with an installation, what mends each thing, and mending what needs no decision of a person's.

Mending makes no commit and touches no edit: it runs `init` again, and stages what a commit with hooks would have staged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.errors import NotInitialised
from comfyvn_store.hot import live, precommit
from comfyvn_store.ops import init
from comfyvn_store.ops.doctor import art, installation, machine
from comfyvn_store.ops.doctor.finding import Finding
from comfyvn_store.vcs.repository import Repository, open_repository

# What running `init` again mends.
_BY_INIT = frozenset(
    (
        "hooks-missing",
        "hooks-outdated",
        "hooks-not-executable",
        "hooks-foreign",
        "interpreter",
        "config",
        "attributes",
        "excludes",
        "link-missing",
        "link-wrong",
        "store-folders",
        "store-place",
        "store-leftovers",
        "store-users",
        "index",
    )
)
# What is staged when it is mended.
_STAGED = frozenset(("attributes", "raw", "unflipped", "misplaced", "no-sidecar", "other-sidecar"))


@dataclass
class Diagnosis:
    """What was found; after mending `findings` is what remains and `mended` what does not."""

    assets: int = 0
    findings: list[Finding] = field(default_factory=list)
    mended: list[Finding] = field(default_factory=list)
    is_to_commit: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "assets": self.assets,
            "findings": [_plain(finding) for finding in self.findings],
            "mended": [_plain(finding) for finding in self.mended],
            "commit": self.is_to_commit,
        }


def _plain(finding: Finding) -> dict[str, Any]:
    return {**finding._asdict(), "paths": list(finding.paths)}


def examine(repository: Repository) -> Diagnosis:
    """Looks at everything and changes nothing. Raises NotInitialised where `init` never ran, NewerStore."""
    if not repository.home.exists:
        raise NotInitialised("comfyvn-store is not set up in this repository", hint="run `comfyvn-store init`")
    gone = list(machine.store_gone(repository))
    if gone:
        return Diagnosis(findings=gone)  # of the art nothing else can be told
    repository.require_store()
    findings = [*machine.git_version(repository), *machine.git_index(repository), *machine.store(repository)]
    kinds = {finding.kind for finding in findings}
    if "git-index" in kinds or "retired" in kinds:
        return Diagnosis(
            findings=findings
        )  # without git's index nothing else can be told; a retired store needs nothing
    findings += machine.store_place(repository)
    staged = art.look(repository)
    findings += _rest(repository, staged)
    return Diagnosis(len(staged.hashes), findings)


def _rest(repository: Repository, staged: art.Art) -> Iterator[Finding]:
    yield from installation.store_link(repository)
    yield from installation.hooks(repository)
    yield from installation.config(repository)
    yield from machine.conflicts(repository)
    yield from installation.attributes(repository)
    yield from installation.excludes(repository)
    yield from machine.symlinks(repository)
    yield from machine.live_commit(repository)
    yield from machine.own_index(repository)
    yield from art.staged_art(repository, staged)
    yield from art.stored_pointers(repository, staged)
    yield from art.objects(repository, staged)


def mend(repository: Repository) -> Diagnosis:
    """Mends what can be mended without a person, then looks again. A second run changes nothing. Raises ComfyvnError."""
    before = examine(repository)
    due = {finding.kind for finding in before.findings if finding.is_mendable}
    if not due:
        return before
    if due & _BY_INIT and not any(finding.kind in ("link-tracked", "link-blocked") for finding in before.findings):
        init.init(repository)
        repository = open_repository(repository.top, environment=repository.git.environment)
    if "commit-note" in due:
        live.end(repository)
    if "touched" in due:
        _settle_objects(repository)
    staged = art.look(repository)
    if staged.mendable and not repository.in_sequence:
        precommit.prepare(repository, staged.mendable)
    after = examine(repository)
    remaining = {(finding.kind, path) for finding in after.findings for path in finding.paths or ("",)}
    after.mended = [
        finding._replace(paths=paths)
        for finding in before.findings
        if (paths := [path for path in finding.paths or ("",) if (finding.kind, path) not in remaining])
    ]
    after.is_to_commit = any(finding.kind in _STAGED for finding in after.mended)
    return after


def _settle_objects(repository: Repository) -> None:
    """Gives objects that hold what they should their mode and time back."""
    store = repository.store
    for hash_ in dict.fromkeys(art.look(repository).hashes.values()):
        info = store.stat(hash_)
        if info is not None and store.is_touched(info) and store.is_sound(hash_):
            store.sync([hash_])
            store.settle(hash_)
