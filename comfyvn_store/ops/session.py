"""A session: the repository with its index, caught up and healed, as every command but `init` finds it.

What only some sessions need (healing, a store that moved, the preview worker) is imported by those.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping

from comfyvn_store.base import files
from comfyvn_store.errors import LockTimeout, MachineError
from comfyvn_store.index import catchup, database
from comfyvn_store.index.database import Index
from comfyvn_store.vcs import leftovers, staging
from comfyvn_store.vcs.repository import Repository, open_repository
from comfyvn_store.vcs.settings import COPY, DEFAULT_THUMBS

# The keys of `.comfyvnconfig` that were not heeded are named once for each state of the file.
_SAID = "config-said"


class Session:
    """An initialised repository and its open index."""

    def __init__(self, repository: Repository, index: Index) -> None:
        self.repository = repository
        self.index = index
        self._notes = [*_ignored_config(repository), *_advice(repository)]

    @property
    def notes(self) -> list[str]:
        """Lines that people should see."""
        return [*self.index.notes, *self._notes]

    def catch_up(self) -> None:
        """Brings index and work tree to what is now."""
        catchup.catch_up(self.index, self.repository, in_process=True)
        if catchup.is_due(self.index, self.repository):
            from comfyvn_store.hot import heal

            heal.heal(self.index, self.repository)

    def catch_up_if_free(self) -> None:
        """Same as `catch_up`, but where another process writes the index, what is known has to do."""
        try:
            self.catch_up()
        except LockTimeout:
            self._notes.append("another process is writing the index; the answer may be a moment old")

    def make_previews_later(self) -> None:
        """Starts the preview worker if something is missing."""
        from comfyvn_store.hot import follow
        from comfyvn_store.index import questions

        if questions.lacks_previews(self.index):
            follow.start_worker(self.repository)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()


def start_over(error: sqlite3.DatabaseError) -> list[str]:
    """Replaces an index that proved damaged by an empty one, which the next session fills; gives what to say.

    Raises MachineError if the error is of another kind.
    """
    if not database.is_damage(error):
        raise MachineError(f"the index failed: {error}")
    with catchup.open_index(open_repository()) as index:
        index.start_over(f"is damaged ({error})")
        return index.notes


def open_session(
    folder: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    assets_root: str | None = None,
    db_path: str | None = None,
    thumbs_root: str | None = None,
    fresh: bool = True,
) -> Session:
    """Opens the repository around `folder` with its index; `fresh` brings both up to date first.

    Raises NotInitialised, NewerStore, Refused, MachineError (StoreUnreachable).
    """
    repository = open_repository(
        folder, environment=environment, assets_root=assets_root, db_path=db_path, thumbs_root=thumbs_root
    )
    repository.require_initialised()
    staging.require_bounded(repository.git, repository.index_path, repository.root)
    leftovers.settle(repository)
    if repository.store.is_apart:
        from comfyvn_store.ops import relocation

        relocation.keep_noted(repository)
    repository.ensure_store_link()
    _hide_from_git(repository)
    if repository.is_index_locked:
        from comfyvn_store.vcs import aside

        aside.release_abandoned(repository.git)
    session = Session(repository, catchup.open_index(repository))
    try:
        if fresh:
            session.catch_up_if_free()
    except BaseException:
        session.index.close()
        raise
    return session


def _advice(repository: Repository) -> Iterator[str]:
    """Says what to type where a setting was changed and what is there does not follow yet."""
    settings = repository.settings
    if repository.is_store_to_move:
        from comfyvn_store.ops import relocation

        yield from filter(None, [relocation.advice(repository)])
    if settings.views == COPY or settings.symlinks_before is not None:
        from comfyvn_store.ops import switching

        yield from filter(None, [switching.advice(repository)])


def _hide_from_git(repository: Repository) -> None:
    """Keeps git from seeing an index or previews that the caller puts into the work tree, as `init` does for its own.

    What a setting of before excluded stays excluded. Where that cannot be written, git shows the files as untracked.
    """
    settings = repository.settings
    usual = os.path.join(repository.top, DEFAULT_THUMBS)
    if settings.thumbs_root == usual and settings.db_path.startswith(repository.own_dir + os.sep):
        return
    from comfyvn_store.ops import wiring

    place = wiring.exclude_file(repository)
    try:
        with open(place, "rb") as stream:
            known = os.fsdecode(wiring.split_block(stream.read())[1]).splitlines()[1:-1]
    except OSError:
        known = []
    wanted = wiring.exclude_lines(repository)
    lines = [*dict.fromkeys([*known, *wanted[1:-1]])]
    if lines != known:
        try:
            wiring.edit_block(place, [wanted[0], *lines, wanted[-1]], first=False, sharing=settings.sharing)
        except OSError:
            return


def _ignored_config(repository: Repository) -> list[str]:
    ignored = repository.settings.ignored
    place = os.path.join(repository.own_dir, _SAID)
    text = "\n".join(ignored)
    try:
        with open(place, encoding="utf-8", errors="replace") as stream:
            if stream.read() == text:
                return []
    except OSError:
        if not ignored:
            return []
    try:
        files.write_atomic(place, text.encode("utf-8", "replace"), sharing=repository.settings.sharing)
    except OSError:
        pass
    if not ignored:
        return []
    return [f"not heeded in .comfyvnconfig (a repository may not set it): {', '.join(ignored)}"]
