"""Settings that travel with the repository: `.comfyvnconfig`, written and staged."""

from __future__ import annotations

import os

from comfyvn_store.base import files
from comfyvn_store.errors import Refused
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import CONFIG_FILE


def read(repository: Repository, key: str) -> str | None:
    """Gives what the repository's own file says of a key; a symlink in its place is heeded nowhere."""
    place = repository.absolute(CONFIG_FILE)
    if os.path.islink(place):
        return None
    return repository.git.text("config", "--no-includes", "--file", place, "--get", key, check=False) or None


def write(repository: Repository, key: str, value: str | None) -> bool:
    """Sets a key (None: takes it out, with its section if that is empty then) and stages the file; tells whether that
    changed it. Raises Refused where the file is a symlink, GitFailed."""
    place = repository.absolute(CONFIG_FILE)
    if os.path.islink(place):
        raise Refused(
            f"'{CONFIG_FILE}' is a symlink, through which nothing is written", hint="make it an ordinary file"
        )
    if read(repository, key) == value:
        return False
    words = ("--replace-all", key, value) if value is not None else ("--unset-all", key)
    repository.git.run("config", "--file", place, *words)
    if os.path.getsize(place) == 0:
        os.unlink(place)
        repository.git.run("update-index", "--force-remove", "--", CONFIG_FILE)
    else:
        stage(repository, CONFIG_FILE)
    return True


def stage(repository: Repository, path: str) -> None:
    """Stages a text file of ours."""
    # Older than git's index, so that no `git add` reads it again: `core.safecrlf` would refuse its LF.
    files.settle(repository.absolute(path))
    repository.git.run("-c", "core.safecrlf=false", "update-index", "--add", "--", path)
