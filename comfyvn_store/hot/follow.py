"""Following HEAD: after a commit, switch, merge or rewrite the index and the sidecars on disk are brought to it."""

from __future__ import annotations

import os
import sqlite3
import sys

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.hot import heal
from comfyvn_store.index import catchup, questions
from comfyvn_store.index.database import Index
from comfyvn_store.vcs.git import scrubbed_environment
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import AUTO

WORKER = "comfyvn_store.previews.worker"


def follow(repository: Repository, *, ends_sequence: bool = False, fetches: bool = False) -> None:
    """Catches up as a hook may: what cannot be done now (a locked index, a full disk) is left to the next command.

    `fetches`: what was checked out may lack its bytes, and `comfyvn.fetch=auto` is heeded.
    """
    try:
        repository.ensure_store_link()
        with catchup.open_index(repository) as index:
            catchup.catch_up(index, repository)
            heal.heal(index, repository, is_hook=True, ends_sequence=ends_sequence)
            wants_previews = questions.lacks_previews(index)
            wants_bytes = fetches and repository.settings.fetch == AUTO and _lacks_bytes(index, repository)
    except (ComfyvnError, sqlite3.Error, OSError) as error:
        sys.stderr.write(f"comfyvn-store: the index is not up to date ({error}); the next command brings it there\n")
        return
    if wants_bytes:
        _pull(repository)
    if wants_previews:
        start_worker(repository)


def _lacks_bytes(index: Index, repository: Repository) -> bool:
    """Whether some asset's object is not here."""
    return any(not repository.store.has(hash_) for hash_ in {hash_ for _, hash_, _ in questions.sized_hashes(index)})


def _pull(repository: Repository) -> None:
    """Fetches what the checkout lacks, in one go, and waits for it; a remote that fails is told of and stops nothing."""
    import subprocess

    try:
        subprocess.run(
            [sys.executable, "-P", "-X", "utf8", "-m", "comfyvn_store", "pull"],
            cwd=repository.top,
            env=_own_environment(repository),
            stdin=subprocess.DEVNULL,
            stdout=2,
            check=False,
        )
    except OSError:
        return


def _own_environment(repository: Repository) -> dict[str, str]:
    """Gives an environment for a process of ours in this work tree."""
    environment = scrubbed_environment()
    if repository.git.environment.get("GIT_WORK_TREE"):
        environment["GIT_DIR"], environment["GIT_WORK_TREE"] = repository.git_dir, repository.top
    return environment


def start_worker(repository: Repository) -> None:
    """Starts the preview worker, detached: no git command waits for it. Linked work trees have none."""
    if repository.is_linked or os.environ.get("COMFYVN_PREVIEWS") == "off":
        return
    import subprocess

    try:
        subprocess.Popen(
            [sys.executable, "-P", "-X", "utf8", "-c", f"from {WORKER} import run; run()"],
            cwd=repository.top,
            env=_own_environment(repository),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=True,
        )
    except OSError:
        return
