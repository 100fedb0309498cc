"""The filter driver `comfyvn-sidecar`: takes `provenance.commit` out of sidecars on the way into git, and puts it in again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from comfyvn_store.asset import sidecar
from comfyvn_store.base import canonical
from comfyvn_store.errors import ComfyvnError
from comfyvn_store.hot.driver import Driver

if TYPE_CHECKING:
    from comfyvn_store.hot.commits import CommitNames
    from comfyvn_store.vcs.repository import Repository


class Sidecars(Driver):
    """Answers for sidecars."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._commits: CommitNames | None = None

    def end(self) -> None:
        # Not before: `git stash pop` of a stash of everything brings a `.comfyvn` of its own, and stops at another.
        if self._commits is not None:
            _put_store_link(self.repository)

    def _clean(self, path: str, blocks: Iterator[bytes]) -> None:
        data, is_whole = _small(blocks)
        self._give(sidecar.strip_commit(data) if is_whole else data)

    def _smudge(self, path: str, blocks: Iterator[bytes], words: dict[str, str]) -> None:
        data, is_whole = _small(blocks)
        self._give(sidecar.fill_commit_of(data, self._commit_of) if is_whole else data)

    def _commit_of(self, id_: str) -> str | None:
        if self._commits is None:
            from comfyvn_store.hot.commits import CommitNames  # SQLite is for checkouts; `git add` does without

            self._commits = CommitNames(self.repository)
        return self._commits.commit_of(id_)


def _put_store_link(repository: Repository) -> None:
    """Sees to it that views which git checks out lead somewhere where no hook runs: in a new work tree without hooks, after
    `git clean -fdx`. What stands in its way the next command tells."""
    with contextlib.suppress(ComfyvnError, OSError):
        if repository.is_initialised and repository.is_at_home:
            repository.ensure_store_link()


def _small(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Gives all bytes, and whether they are few enough to be a sidecar."""
    data = b"".join(blocks)
    return data, len(data) <= canonical.LONGEST_JSON
