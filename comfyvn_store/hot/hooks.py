"""The hooks by name. Only pre-commit and pre-push can stop git; every other one does what it can and ends with 0."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from comfyvn_store.base import names
from comfyvn_store.errors import Refused, StoreUnreachable, UsageError
from comfyvn_store.hot import follow
from comfyvn_store.vcs import leftovers, staging
from comfyvn_store.vcs.repository import Repository, open_repository

HOOKS = ("pre-commit", "pre-merge-commit", "post-commit", "post-checkout", "post-merge", "post-rewrite", "pre-push")


def run(name: str, arguments: Sequence[str]) -> int:
    """Runs one hook in the current repository; gives its exit status."""
    if name not in HOOKS:
        raise UsageError(f"'{name}' is no hook of comfyvn-store")
    if _is_within(name):
        return 0
    repository = open_repository()
    if not repository.is_initialised:
        return 0
    try:
        repository.require_store()
        staging.require_bounded(repository.git, repository.index_path, repository.root)
    except (StoreUnreachable, Refused) as error:
        if name == "pre-commit":
            raise
        rest = error.hint if isinstance(error, Refused) else "what is due here the next command does"
        sys.stderr.write(f"comfyvn-store: {error}; {rest}\n")
        return 0
    repository.git.keep_answering()
    leftovers.settle(repository)
    if name == "pre-commit":
        from comfyvn_store.hot import precommit

        return precommit.run(repository)
    if name == "pre-push":
        from comfyvn_store.hot import prepush

        return prepush.run(repository, *arguments[:2])
    if name == "pre-merge-commit":
        return _before_merge(repository)
    if name == "post-commit":
        from comfyvn_store.hot import postcommit

        return postcommit.run(repository)
    if name == "post-checkout" and repository.in_sequence:
        return 0
    # The pre-commit framework hands over in its environment what git gave as a word.
    rewrite = arguments[0] if arguments else os.environ.get("PRE_COMMIT_REWRITE_COMMAND")
    if name == "post-rewrite" and rewrite == "amend":
        return 0
    follow.follow(repository, ends_sequence=name == "post-rewrite", fetches=True)
    return 0


def _is_within(name: str) -> bool:
    """Whether a hook manager calls us that our own shim called first: the shim comes to us itself when that is done."""
    outer, _, folder = os.environ.get("COMFYVN_WITHIN", "").partition(" ")
    return outer == name and os.path.isdir(folder) and os.path.samefile(folder, os.curdir)


def _before_merge(repository: Repository) -> int:
    """Says what a clean merge brings that the next commit will put right; its tree is written already."""
    waiting = [
        change.path
        for change in staging.staged_changes(repository.git, "HEAD", repository.root)
        if change.new_mode == staging.FILE and repository.is_asset_path(change.path)
    ]
    if waiting:
        first = names.printable(waiting[0])
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        sys.stderr.write(f"comfyvn-store: '{first}'{more} came as a file; the next commit of art makes it a link\n")
    return 0
