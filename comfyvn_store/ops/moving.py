"""What moving objects has in common, whichever way they go: limits, what to say of an outcome, which error it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, ObjectCorrupt, ObjectMissing, RemoteUnreachable
from comfyvn_store.remotes.limit import Bucket
from comfyvn_store.remotes.outcome import Outcome
from comfyvn_store.vcs.repository import Repository

ADD = "comfyvn-store remote add NAME URL names a place that has them"


def limit(repository: Repository, rate: int | None) -> Bucket | None:
    """Gives the limit that a person asked for, or `comfyvn.limitRate` (bytes a second)."""
    wanted = rate or repository.settings.limit_rate
    return Bucket(float(wanted)) if wanted else None


def as_dict(outcome: Outcome, paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Gives plain data; `paths` names where an object is used."""
    return {
        "moved": outcome.moved,
        "bytes": outcome.bytes,
        "seconds": round(outcome.seconds, 3),
        "there": outcome.there,
        "absent": [{"hash": hash_, "paths": list(paths.get(hash_, ()))} for hash_ in outcome.absent],
        "failed": [
            {"hash": hash_, "paths": list(paths.get(hash_, ())), "error": error.slug, "message": error.message}
            for hash_, error in outcome.failed.items()
        ],
        "quarantined": [each._asdict() for each in outcome.quarantined],
        "down": [
            {"remote": name, "error": error.slug, "message": error.message} for name, error in outcome.down.items()
        ],
    }


def fetch_error(outcome: Outcome, paths: Mapping[str, Sequence[str]], asked: Sequence[str]) -> ComfyvnError | None:
    """Gives the error that a fetch ends with, None if everything is here."""
    missing = [*outcome.failed, *outcome.absent]
    if not missing:
        return None
    what = f"the bytes of {listed(missing, paths)} are not here"
    if outcome.down:
        name, down = next(iter(outcome.down.items()))
        return RemoteUnreachable(f"{what}: {_told(name, down)}", hint=down.hint)
    corrupt = [error for error in outcome.failed.values() if isinstance(error, ObjectCorrupt)]
    if corrupt:
        return ObjectCorrupt(f"{what}: {corrupt[0].message}", hint="whoever has the right bytes: comfyvn-store push")
    if outcome.failed:
        error = next(iter(outcome.failed.values()))
        kind = RemoteUnreachable if isinstance(error, RemoteUnreachable) else type(error)
        return kind(f"{what}: {error.message}", hint=error.hint)
    if not asked:
        return ObjectMissing(f"{what}, and there is no remote to ask", hint=ADD)
    remotes = "remote" if len(asked) == 1 else "remotes"
    return ObjectMissing(
        f"{what}; {remotes} asked: {', '.join(asked)}", hint="whoever added them can send them: comfyvn-store push"
    )


def listed(hashes: Sequence[str], paths: Mapping[str, Sequence[str]]) -> str:
    """Gives a few of the objects by their paths, and how many more there are."""
    places = list(dict.fromkeys(paths[hash_][0] if paths.get(hash_) else hash_[:16] for hash_ in hashes))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return ", ".join(f"'{names.printable(place)}'" for place in places[:3]) + more


def _told(name: str, error: ComfyvnError) -> str:
    return error.message if name in error.message else f"remote '{name}': {error.message}"
