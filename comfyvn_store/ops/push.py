"""`push`: sends objects to remotes, so that whoever clones the repository finds the bytes of its art."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyvn_store.errors import ComfyvnError, ObjectMissing, RemoteUnreachable, UsageError
from comfyvn_store.ops import moving, remotes, versions
from comfyvn_store.ops.versions import Version
from comfyvn_store.remotes import transfer
from comfyvn_store.remotes.outcome import Outcome
from comfyvn_store.remotes.progress import Tell
from comfyvn_store.remotes.remote import Item, Remote
from comfyvn_store.vcs.repository import Repository


@dataclass
class Pushed:
    """What was to be sent (objects, with the paths at which they are or were), and what became of it at each remote."""

    paths: dict[str, list[str]]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def unsafe(self) -> list[str]:
        """The objects that no remote is known to hold now."""
        held = {hash_ for outcome in self.outcomes.values() for hash_ in (*outcome.there, *outcome.moved)}
        return [hash_ for hash_ in self.paths if hash_ not in held]

    def as_dict(self) -> dict[str, Any]:
        """Gives plain data."""
        return {
            "objects": len(self.paths),
            "remotes": [
                {"remote": name, **moving.as_dict(outcome, self.paths)} for name, outcome in self.outcomes.items()
            ],
            "unsafe": [{"hash": hash_, "paths": self.paths[hash_]} for hash_ in self.unsafe],
        }


def wanted(repository: Repository, revisions: Sequence[str]) -> list[Version]:
    """Gives every version in the history of HEAD, or in that of the revisions and ranges given. Raises UnknownRevision."""
    if not revisions:
        return (
            versions.in_history(repository, ["HEAD"])
            if repository.git.succeeds("rev-parse", "-q", "--verify", "HEAD")
            else []
        )
    found: dict[Version, None] = {}
    for revision in revisions:
        if ".." in revision or revision.startswith("^"):
            found.update(dict.fromkeys(versions.at_revision(repository, revision)))
        else:
            found.update(dict.fromkeys(versions.in_history(repository, [revision])))
    return list(found)


def push(
    repository: Repository,
    chosen: Sequence[Version],
    opened: Sequence[Remote],
    *,
    jobs: int | None = None,
    dry_run: bool = False,
    tell: Tell | None = None,
) -> Pushed:
    """Sends versions to each of the remotes, which are closed then. Raises UsageError where there is no remote.

    What one remote does not take stands in its outcome.
    """
    if not opened:
        if repository.settings.remotes:
            raise remotes.none_trusted(repository, "there is no remote that this clone may write to")
        raise UsageError("there is no remote to send to", hint="comfyvn-store remote add NAME URL")
    paths: dict[str, list[str]] = {}
    for version in chosen:
        paths.setdefault(version.hash, []).append(version.path)
    pushed = Pushed(paths)
    items = versions.items(chosen)
    for remote in opened:
        try:
            if dry_run:
                pushed.outcomes[remote.name] = _would_send(repository, remote, items)
            else:
                count = jobs or repository.settings.jobs
                pushed.outcomes[remote.name] = transfer.send(repository.store, remote, items, jobs=count, tell=tell)
        except ComfyvnError as error:
            pushed.outcomes[remote.name] = Outcome(down={remote.name: error})
        finally:
            remote.close()
    return pushed


def _would_send(repository: Repository, remote: Remote, items: Sequence[Item]) -> Outcome:
    """Asks a remote what it holds, and says what would be sent as if it had been."""
    held = remote.has(items)
    outcome = Outcome(there=[item.hash for item in items if item.hash in held])
    for item in items:
        info = repository.store.stat(item.hash)
        if item.hash in held:
            continue
        if info is None:
            outcome.absent.append(item.hash)
        else:
            outcome.moved.append(item.hash)
            outcome.bytes += info.st_size
    return outcome


def error_of(pushed: Pushed, *, needs_all: bool = True) -> ComfyvnError | None:
    """Gives the error that a push ends with, None if every remote has everything.

    Without `needs_all` what is neither here nor on a remote is no error.
    """
    for name, outcome in pushed.outcomes.items():
        if outcome.down:
            down = next(iter(outcome.down.values()))
            if isinstance(down, RemoteUnreachable) or not outcome.failed:
                return type(down)(f"not everything was sent to '{name}'", hint=down.hint)
        if outcome.failed:
            error = next(iter(outcome.failed.values()))
            what = moving.listed(list(outcome.failed), pushed.paths)
            return type(error)(f"{what} not sent to '{name}'", hint=error.hint)
    for name, outcome in pushed.outcomes.items() if needs_all else ():
        if outcome.absent:
            return ObjectMissing(
                f"versions of {moving.listed(outcome.absent, pushed.paths)} are neither here nor on '{name}'",
                hint="comfyvn-store pull --all fetches what another remote has; whoever has the rest: comfyvn-store push",
            )
    return None


def to_writable(repository: Repository, names: Sequence[str], rate: int | None) -> list[Remote]:
    """Opens the remotes that a push sends to (see `remotes.for_writing`)."""
    return remotes.for_writing(repository, names, limit=moving.limit(repository, rate))
