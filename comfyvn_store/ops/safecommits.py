"""Commits whose art is known to be on the remotes, so that a push need not ask for all of their history again.

One small file for each set of places, in the repository's own folder. A note is made when every one of those places has
everything; deleting the notes costs questions and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from comfyvn_store.base import files, links
from comfyvn_store.vcs.repository import Repository

# Commits that one file keeps, the newest; and its size in bytes, at most.
_MOST = 200
_LONGEST = 1 << 16


class SafeCommits:
    """The notes for the remotes at these places."""

    def __init__(self, repository: Repository, places: Sequence[str]) -> None:
        key = hashlib.sha256("\n".join(sorted(places)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._path = os.path.join(repository.home.path, "sent", key)
        self._sharing = repository.settings.sharing

    def read(self) -> list[str]:
        """Gives the commits, which may be gone by now."""
        try:
            words = files.read_small(self._path, _LONGEST).decode("ascii", "replace").split()
        except OSError:
            return []
        return [word for word in words if len(word) in (40, 64) and links.is_hex(word)]

    def add(self, commits: Sequence[str]) -> None:
        """Notes more of them; where that cannot be written, the next push asks again."""
        known = self.read()
        after = list(dict.fromkeys([*known, *commits]))[-_MOST:]
        if after != known:
            try:
                files.write_atomic(self._path, "".join(f"{oid}\n" for oid in after).encode(), sharing=self._sharing)
            except OSError:
                return
