"""From claims to objects: each version is taken in once, and what is not here is named."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence

from comfyvn_store.base import durable, files
from comfyvn_store.base.telling import Progress
from comfyvn_store.ops import keep
from comfyvn_store.ops.migrate.adopting import Intake, Taken
from comfyvn_store.ops.migrate.choosing import Chosen
from comfyvn_store.ops.migrate.claims import Claim, Kind, Left, Version
from comfyvn_store.ops.migrate.outcome import MISSING, Migrated, Moved
from comfyvn_store.vcs.repository import Repository

_BATCH = 1000


class Gathered:
    """The objects of claims. After `gather`, `claims` are those that become assets."""

    def __init__(self, repository: Repository, kind: Kind, chooser: Chosen, done: Migrated) -> None:
        self._repository = repository
        self._kind = kind
        self._chooser = chooser
        self._done = done
        self._intake = Intake(repository, kind)
        self.taken: dict[str, Taken] = {}
        self._ways: dict[str, str | None] = {}  # how bytes would come, in a trial run
        self.claims: list[Claim] = []

    def gather(self, claims: Sequence[Claim], progress: Progress) -> None:
        """Takes in all bytes, durably; only looks for them in a trial run. Raises OSError, Refused."""
        spare: dict[str, list[str]] = {}
        for claim in claims:
            spare.setdefault(claim.version.key, []).append(self._repository.absolute(claim.path))
        versions = {claim.version.key: claim.version for claim in claims}
        here: dict[str, bool] = {}
        fresh: list[str] = []
        for number, (key, version) in enumerate(versions.items()):
            places = list(dict.fromkeys(spare[key]))
            if self._done.is_trial:
                self._ways[key] = self._intake.would(version, places)
                here[key] = self._ways[key] is not None
            else:
                taken = self._intake.take(version, places)
                here[key] = taken is not None
                if taken is not None:
                    self.taken[key] = taken
                    fresh.append(taken.hash)
            if len(fresh) >= _BATCH:
                self._sync(fresh)
            progress("taking in files", number + 1, len(versions))
        self._sync(fresh)
        self._done.damaged = [os.path.relpath(place, self._repository.top) for place in self._intake.damaged]
        self._sort(claims, here)

    def _sync(self, fresh: list[str]) -> None:
        if fresh:
            self._repository.store.sync(list(dict.fromkeys(fresh)))
            durable.sync_folder(os.path.join(self._repository.store.root, "objects"))
            fresh.clear()

    def _sort(self, claims: Sequence[Claim], here: dict[str, bool]) -> None:
        """Finds the claims that can be met: all of a carrier's, each with its bytes or at least the name of its object."""
        unmet = {claim.carrier[:3] for claim in claims if not here[claim.version.key] and claim.version.hash is None}
        reported = set()
        for claim in claims:
            key = claim.version.key
            if claim.carrier[:3] in unmet:
                self._chooser.remaining.add(claim.carrier.path)
                if not here[key] and (claim.path, key) not in reported:
                    reported.add((claim.path, key))
                    hint = f"`{self._kind.fetch}` fetches them; then migrate again" if self._kind.fetch else None
                    self._done.left.append(Left(claim.path, "its bytes are not here", hint))
                continue
            self.claims.append(claim)

    def hash_of(self, version: Version) -> str | None:
        """Gives the object of a version: its bytes' hash, else what its name says."""
        taken = self.taken.get(version.key)
        return taken.hash if taken is not None else version.hash

    def size_of(self, version: Version) -> int | None:
        """Gives an object's size, as counted or as the pointer says."""
        taken = self.taken.get(version.key)
        return taken.size if taken is not None else version.size

    def report(self, here: Iterable[Claim]) -> None:
        """Notes the files that become assets, each path and version once."""
        seen = set()
        for claim in here:
            version = claim.version
            if (claim.path, version.key) in seen:
                continue
            seen.add((claim.path, version.key))
            taken = self.taken.get(version.key)
            how = taken.how if taken is not None else MISSING
            if self._done.is_trial:
                how = self._ways[version.key] or MISSING
            self._done.files.append(Moved(claim.path, self.hash_of(version), self.size_of(version), how))

    def remove_cache(self, linked: Iterable[str] = ()) -> int:
        """Removes the other program's files that were taken in, and those of objects that are assets already (`linked`), which
        a run that was cut short left; gives how many there were. Raises OSError, LockTimeout.

        The store has each object, durable and hashed, and keeps it whatever becomes of what is staged (`keep`). A cache
        outside the repository stays: others may use it.
        """
        found: dict[str, str] = {}
        for claim in self.claims:
            taken = self.taken.get(claim.version.key)
            # Not one that has other bytes than its name says.
            if taken is not None and taken.place and taken.place in self._kind.places(claim.version):
                found[taken.place] = taken.hash
        # Where its names do not tell hashes nothing is found.
        for hash_ in sorted(set(linked)) if self._kind.names_hashes else ():
            places = self._kind.places(Version(hash_, hash_))
            found |= {place: hash_ for place in places if self._intake.is_object(place, hash_)}
        spare = {
            place: hash_
            for place, hash_ in found.items()
            if self._is_inside(place) and files.lstat(place) is not None and self._intake.is_spare(place, hash_)
        }
        if not spare:
            return 0
        self._repository.store.sync(sorted(set(spare.values())))
        keep.add(self._repository, spare.values(), f"migrate {self._kind.name}: cache removed")
        return sum(_remove(place) for place in spare)

    def _is_inside(self, place: str) -> bool:
        folders = (self._repository.common_dir, self._repository.top)
        return os.path.realpath(place).startswith(tuple(os.path.realpath(folder) + os.sep for folder in folders))


def _remove(place: str) -> int:
    """Removes a file and the folders that are empty then; git-annex takes the write permission from those of its keys."""
    if files.lstat(place) is None:
        return 0
    folder = os.path.dirname(place)
    with contextlib.suppress(OSError):
        os.chmod(folder, os.stat(folder).st_mode | 0o200)
    os.unlink(place)
    files.remove_empty_folders(folder, os.path.dirname(os.path.dirname(os.path.dirname(folder))))
    return 1
