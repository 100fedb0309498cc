"""Following HEAD: after a commit, switch, merge or rewrite the index and the sidecars on disk are brought to it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.hot import heal
from comfyvn_store.index import catchup, questions
from comfyvn_store.vcs.git import scrubbed_environment
from comfyvn_store.vcs.repository import Repository

WORKER = "comfyvn_store.previews.worker"


def follow(repository: Repository, *, ends_sequence: bool = False) -> None:
    """Catches up as a hook may: what cannot be done now (a locked index, a full disk) is left to the next command."""
    try:
        repository.ensure_store_link()
        with catchup.open_index(repository) as index:
            catchup.catch_up(index, repository)
            heal.heal(index, repository, is_hook=True, ends_sequence=ends_sequence)
            wants_previews = questions.lacks_previews(index)
    except (ComfyvnError, sqlite3.Error, OSError) as error:
        sys.stderr.write(f"comfyvn-store: the index is not up to date ({error}); the next command brings it there\n")
        return
    if wants_previews:
        start_worker(repository)


def start_worker(repository: Repository) -> None:
    """Starts the preview worker, detached: no git command waits for it. Linked work trees have none."""
    if repository.is_linked or os.environ.get("COMFYVN_PREVIEWS") == "off":
        return
    environment = scrubbed_environment()
    if repository.git.environment.get("GIT_WORK_TREE"):
        environment["GIT_DIR"], environment["GIT_WORK_TREE"] = repository.git_dir, repository.top
    try:
        subprocess.Popen(
            [sys.executable, "-P", "-X", "utf8", "-c", f"from {WORKER} import run; run()"],
            cwd=repository.top,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=True,
        )
    except OSError:
        return
