"""The texts of sidecars out of git: of few, each is read once, whoever of one update asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from comfyvn_store.base import canonical
from comfyvn_store.vcs import blobs, history
from comfyvn_store.vcs.repository import Repository

# So many are read by one process, which is not asked for their sizes before.
_FEW = 32
# So many bytes are kept at most.
_MOST_KEPT = 4 * 1024 * 1024


class Texts:
    """Reads blobs that are small enough to be sidecars. `in_process` allows pygit2, which the hot path never does."""

    def __init__(self, repository: Repository, *, in_process: bool) -> None:
        self._repository = repository
        self._in_process = in_process
        self._kept: dict[str, bytes | None] = {}
        self._room = _MOST_KEPT

    def read(self, oids: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Gives each blob's bytes; None for one that git has not, or that is too large."""
        names = list(dict.fromkeys(oids))
        rest = [oid for oid in names if oid not in self._kept]
        yield from ((oid, self._kept[oid]) for oid in names if oid in self._kept)
        for oid, data in self._read(rest):
            size = len(data or b"")
            if size <= self._room:
                self._kept[oid] = data
                self._room -= size
            yield oid, data

    def _read(self, rest: list[str]) -> Iterator[tuple[str, bytes | None]]:
        if len(rest) <= _FEW and not self._repository.git.promisors:
            yield from blobs.read_few(self._repository.git, rest, canonical.LONGEST_JSON)
            return
        found = blobs.sizes(self._repository.git, rest)
        small = [oid for oid in rest if oid in found and found[oid].size <= canonical.LONGEST_JSON]
        yield from ((oid, None) for oid in set(rest).difference(small))
        yield from history.read_many(self._repository, small, in_process=self._in_process)
