"""`annotate`: tags, licence and notes in sidecars, staged; provenance is not touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from comfyvn_store.asset import record, sidecar, worktree
from comfyvn_store.asset.known import KnownSidecars, on_disk
from comfyvn_store.asset.sidecar import Sidecar
from comfyvn_store.base import names
from comfyvn_store.errors import GitFailed, LockTimeout, MachineError, Refused, from_os_error
from comfyvn_store.hot.lookup import HistoryRecords
from comfyvn_store.ops import cards, journal, naming
from comfyvn_store.ops.places import check_folders
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry


def annotate(
    session: Session,
    targets: Sequence[str],
    *,
    tags: Sequence[str] = (),
    untags: Sequence[str] = (),
    license_: str | None = None,
    meta: Mapping[str, Any] | None = None,
    stage: bool = True,
) -> list[dict[str, Any]]:
    """Changes what people say of assets and gives their records. An empty `license_` removes the licence, a null
    value a meta key.

    All targets are checked first. Raises UnknownAsset, AmbiguousAsset, LockTimeout, Refused for a broken sidecar.
    """
    repository = session.repository
    insides = [naming.resolve(session, target) for target in targets]
    conflicts = staging.unmerged(repository.git, repository.root)
    for inside in insides:
        check_folders(repository, repository.full(inside))
        if names.sidecar_path(repository.full(inside)) in conflicts:
            raise Refused(
                f"the sidecar of '{names.printable(repository.full(inside))}' is in conflict",
                hint="settle it first: `comfyvn-store conflicts`, `comfyvn-store resolve`",
            )
        broken = cards.broken_on_disk(repository, repository.full(inside))
        if broken:
            raise Refused(
                f"the sidecar of '{names.printable(repository.full(inside))}' is broken ({broken}) and is left as it is",
                hint="mend it in an editor, or restore it: git checkout -- <the sidecar>",
            )
    with worktree.alone(repository, worktree.PATIENCE):  # two that add a tag each must see each other's
        changed: dict[str, Sidecar] = {}
        for inside in dict.fromkeys(insides):
            card = _current(session, inside)
            kept = [tag for tag in card.tags if tag not in untags]
            changed[inside] = card._replace(
                tags=(*kept, *(tag for tag in dict.fromkeys(tags) if tag not in kept)),
                license=card.license if license_ is None else (license_ or None),
                meta={key: value for key, value in {**card.meta, **(meta or {})}.items() if value is not None},
            )
        texts = {repository.full(inside): sidecar.encode(card) for inside, card in changed.items()}
        noted = [names.sidecar_path(full) for full in texts]
        what = f"{len(texts)} assets" if len(texts) > 1 else "".join(texts)
        with journal.recording(repository, "annotate", noted, f"annotate {what}"):
            try:
                for card in changed.values():
                    full = repository.full(card.path)
                    cards.write(repository, full, texts[full], cards.commit_of(session, card))
            except OSError as error:
                raise from_os_error(error, "write the sidecar") from error
            if stage:
                _stage(repository, texts)
    session.catch_up_if_free()
    return [cards.printed(session, changed[inside]) for inside in insides]


def _current(session: Session, inside: str) -> Sidecar:
    """Gives the sidecar to change: the one on disk, with edits of the user's, else the staged one, else a new full one."""
    repository = session.repository
    full = repository.full(inside)
    hash_ = naming.version(session, full if naming.to_inside(repository, full) == inside else inside).hash
    said = on_disk(repository, full)
    if said is None or said.hash != hash_:
        said = cards.staged(repository, full) or said
    if said is not None and said.hash == hash_:
        return said.moved(inside)
    with closing(HistoryRecords(repository)) as history:
        known = KnownSidecars(repository, [full], history.newest_blob)
        found = known.find(full, hash_)
        if found is not None:
            return found.moved(inside)
        facts = record.read_facts(repository.store, hash_)
        origin = record.Origin(default_source=record.GIT, user=repository.settings.user)
        return record.new_sidecar(inside, hash_, facts, origin, said or known.previous(full))


def _stage(repository: Repository, texts: Mapping[str, bytes]) -> None:
    try:
        oids = blobs.write_blobs(repository.git, repository.object_format, list(texts.values()))
        entries = [Entry(names.sidecar_path(full), staging.FILE, oid) for full, oid in zip(texts, oids, strict=True)]
        staging.write_entries(repository.git, entries, patience=staging.PATIENCE)
        staging.refresh(repository.git, [entry.path for entry in entries], filters=True, patience=staging.PATIENCE)
    except GitFailed as error:
        raise MachineError(
            f"the sidecars are changed but not staged: {error.message}",
            hint="run `git add` on them when git can write again",
        ) from error
    except LockTimeout as error:
        raise LockTimeout(f"the sidecars are changed but not staged: {error.message}", hint=error.hint) from error
