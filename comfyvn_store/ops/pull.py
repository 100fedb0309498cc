"""`pull`: brings the bytes of assets from the remotes that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.ops import moving, remotes, versions
from comfyvn_store.ops.session import Session
from comfyvn_store.remotes import transfer
from comfyvn_store.remotes.outcome import Outcome
from comfyvn_store.remotes.progress import Tell


@dataclass
class Pulled:
    """What was wanted (objects, with a path of each), what became of it, and where it would come from in a dry run (a
    remote's name for an object's hash)."""

    paths: dict[str, list[str]]
    outcome: Outcome
    asked: list[str] = field(default_factory=list)
    plan: dict[str, str] | None = None

    @property
    def missing(self) -> list[str]:
        """The objects that are still not here."""
        return [*self.outcome.absent, *self.outcome.failed]

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        found = moving.as_dict(self.outcome, self.paths)
        if self.plan is not None:
            found["plan"] = [{"hash": hash_, "remote": name} for hash_, name in self.plan.items()]
        return found


def pull(
    session: Session,
    targets: Sequence[str] = (),
    *,
    revision: str | None = None,
    whole: bool = False,
    type_: str | None = None,
    names: Sequence[str] = (),
    jobs: int | None = None,
    rate: int | None = None,
    dry_run: bool = False,
    tell: Tell | None = None,
) -> Pulled:
    """Fetches what git's index holds (or a revision's tree, or all versions of a range, or with `whole` of all of HEAD's
    history), of one type, at or below targets.

    Views that wait for their bytes get them. Raises UnknownAsset, UnknownRevision, UsageError, MachineError (our own
    disk); that a remote cannot be reached stands in the outcome.
    """
    repository = session.repository
    found = versions.present(session) if revision is None else versions.at_revision(repository, revision)
    if whole:
        found += versions.in_history(repository, [revision or "HEAD"])
    chosen = versions.chosen(session, found, targets, type_)
    paths: dict[str, list[str]] = {}
    for version in chosen:
        paths.setdefault(version.hash, []).append(version.path)
    items = versions.items(chosen)
    if all(repository.store.has(item.hash) for item in items):
        return Pulled(paths, Outcome(there=[item.hash for item in items]), plan={} if dry_run else None)
    opened = remotes.for_reading(repository, names, limit=moving.limit(repository, rate))
    try:
        pulled = Pulled(paths, Outcome(), [remote.name for remote in opened])
        if dry_run:
            pulled.plan, pulled.outcome = transfer.locate(repository.store, opened, items)
            return pulled
        repository.store.sweep()
        jobs = jobs or repository.settings.jobs
        pulled.outcome = transfer.fetch(repository.store, opened, items, jobs=jobs, tell=tell)
    finally:
        for remote in opened:
            remote.close()
        if not dry_run:
            session.catch_up_if_free()
            session.make_previews_later()
    return pulled
