"""Art that git itself holds, as ordinary blobs below the assets root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from comfyvn_store.base import links, pointers
from comfyvn_store.ops.migrate.claims import Claim, Found, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

# Texts of DVC that may lie beside the art.
_DVC = ("/dvc.yaml", "/dvc.lock")
_BATCH = 4000
_LONGEST = max(links.LONGEST_BENT, pointers.LONGEST)


class Raw:
    """Ordinary blobs in one repository."""

    name = "raw"
    fetch: str | None = None
    writes_in_place = False
    names_hashes = False

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def read(self, entries: Iterable[Entry]) -> Found:
        """Reads files below the assets root that are neither links nor pointers of other programs."""
        wanted = [
            entry
            for entry in entries
            if entry.mode in (staging.FILE, staging.EXECUTABLE)
            and self._repository.is_asset_path(entry.path)
            and not f"/{entry.path}".endswith(_DVC)
        ]
        found = Found([], [])
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            sizes = blobs.sizes(self._repository.git, (entry.oid for entry in part))
            small = [oid for oid, about in sizes.items() if about.kind == "blob" and about.size <= _LONGEST]
            others = {oid for oid, data in blobs.read_blobs(self._repository.git, small) if data and _is_pointer(data)}
            for entry in part:
                about = sizes.get(entry.oid)
                if about is not None and about.size and entry.oid not in others:
                    found.claims.append(
                        Claim(entry, entry.path, Version(entry.oid, None, about.size, ("blob", entry.oid)))
                    )
        return found

    def places(self, version: Version) -> Iterator[str]:
        """Gives nothing: git keeps its blobs packed."""
        return iter(())

    def blocks(self, version: Version) -> Iterator[bytes] | None:
        """Gives a blob's bytes."""
        return blobs.stream_blob(self._repository.git, version.key)


def _is_pointer(data: bytes) -> bool:
    if links.parse_written(data) is not None or links.is_bent(data) or links.is_conflict(data):
        return True
    return pointers.parse(data) is not None
