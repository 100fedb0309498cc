"""`migrate`: art that Git LFS, git-annex, DVC or git itself keeps becomes assets, without a second copy of its bytes.

One module for each program (`lfs`, `annex`, `dvc`, `raw`); `choosing` says which files, `adopting` and `gathering` bring
their bytes into the store, `current` does it for git's index, `history` for all commits, `reversal` gives them back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.ops.migrate import current
from comfyvn_store.ops.migrate.annex import Annex
from comfyvn_store.ops.migrate.choosing import top_relative
from comfyvn_store.ops.migrate.claims import Kind
from comfyvn_store.ops.migrate.dvc import Dvc
from comfyvn_store.ops.migrate.lfs import Lfs
from comfyvn_store.ops.migrate.outcome import Migrated
from comfyvn_store.ops.migrate.raw import Raw
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

KINDS: dict[str, type[Lfs] | type[Annex] | type[Dvc] | type[Raw]] = {"lfs": Lfs, "annex": Annex, "dvc": Dvc, "raw": Raw}


class Recognised(NamedTuple):
    """How many files below the assets root another program keeps, and how many ordinary files there stand for them."""

    files: int
    pointers: int


def recognised(repository: Repository) -> dict[str, Recognised]:
    """Gives what other programs keep, as git's index says; programs that keep nothing are left out."""
    entries = staging.all_entries(repository.git)
    found = {}
    for name in ("lfs", "annex", "dvc"):
        claims = [
            claim for claim in KINDS[name](repository).read(entries).claims if repository.is_asset_path(claim.path)
        ]
        carriers = {claim.carrier for claim in claims if claim.carrier.mode != staging.LINK}
        pointers = sum(1 for entry in carriers if repository.is_asset_path(entry.path))
        if claims:
            found[name] = Recognised(len(claims), pointers)
    return found


def migrate(
    session: Session,
    kind: str,
    paths: Sequence[str] = (),
    *,
    history: bool = False,
    is_trial: bool = False,
    clears_cache: bool = False,
    progress: Progress | None = None,
    here: str | None = None,
) -> Migrated:
    """Migrates files of one kind: those in git's index, staged; or with `history` those of all branches and tags.

    `paths`, as typed in the folder `here`, choose some. Raises Refused, UsageError, MachineError, OSError.
    """
    repository = session.repository
    tell = progress or quietly
    asked = top_relative(repository, paths, here or os.getcwd())
    program: Kind = KINDS[kind](repository)
    if history:
        from comfyvn_store.ops.migrate import history as past

        done = past.migrate(session, program, asked, is_trial=is_trial, clears_cache=clears_cache, progress=tell)
    else:
        done = current.migrate(session, program, asked, is_trial=is_trial, clears_cache=clears_cache, progress=tell)
    if not is_trial:
        session.catch_up_if_free()
        session.make_previews_later()
    return done
