"""Which of the files that another program keeps are migrated, and why the others stay."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence

from comfyvn_store.base import names
from comfyvn_store.errors import UsageError
from comfyvn_store.ops.migrate.claims import Claim, Left
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import Repository

# Filters whose files these are: ours, and those that give way.
_DRIVERS = frozenset(("comfyvn", "lfs", "annex"))


class Chosen:
    """The claims that hold, by what carries them, and what is left.

    A carrier (a `.dvc` file of a folder) that stands for several files is taken as a whole or not at all.
    """

    def __init__(self, repository: Repository, kind_name: str, asked: Sequence[str]) -> None:
        self._repository = repository
        self._kind = kind_name
        self._asked = asked
        self._drivers: dict[str, str] = {}
        self.left: list[Left] = []
        # Top-relative paths of carriers that stay what they are for the other program.
        self.remaining: set[str] = set()

    def choose(self, claims: Iterable[Claim]) -> list[Claim]:
        """Gives the claims that can be met, of any number of trees."""
        found = list(claims)
        self._look_up({claim.path for claim in found} - self._drivers.keys())
        by_carrier: dict[tuple[str, str, str], list[Claim]] = {}
        for claim in found:
            by_carrier.setdefault(claim.carrier[:3], []).append(claim)
        chosen = []
        for parts in by_carrier.values():
            if self._kind == "raw" and self._is_excluded(parts[0].path):
                continue  # that git keeps it is what its line in .gitattributes is for
            reasons = [self._reason(claim) for claim in parts]
            if not any(reasons) and any(self._is_asked(claim) for claim in parts):
                chosen += parts
                continue
            self.remaining.add(parts[0].carrier.path)
            for claim, reason in zip(parts, reasons, strict=True):
                if reason is not None and self._is_asked(claim):
                    self.left.append(reason)
        return chosen

    def _look_up(self, paths: set[str]) -> None:
        inside = sorted(path for path in paths if self._repository.is_asset_path(path))
        self._drivers.update(staging.filter_drivers(self._repository.git, inside))

    def _is_asked(self, claim: Claim) -> bool:
        if not self._asked:
            return True
        return any(
            path == wanted or path.startswith(wanted + "/") or wanted == "."
            for path in (claim.path, claim.carrier.path)
            for wanted in self._asked
        )

    def _is_excluded(self, path: str) -> bool:
        return path in self._drivers and self._drivers[path] not in _DRIVERS

    def _reason(self, claim: Claim) -> Left | None:
        repository, path = self._repository, claim.path
        if repository.inside(path) is None:
            return outside(repository.root, path)
        refusal = names.refusal(path)
        if refusal is not None or not repository.is_asset_path(path):
            return Left(path, refusal or "its name can be no asset's", "rename it, and migrate again")
        if self._is_excluded(path):
            return Left(path, f"a line in .gitattributes keeps it out of the assets (filter={self._drivers.get(path)})")
        if self._kind != "raw" and repository.is_beyond_link(path):
            return Left(path, "a folder on the way to it is a symlink")
        return None


def outside(root: str, path: str) -> Left:
    """Says of a file outside the assets root what can be done; the top itself can be no root."""
    shown = names.printable(root)
    above = posixpath.commonpath([root, posixpath.dirname(path)])
    hint = f"git mv it below '{shown}'"
    if above:
        hint += f", or set comfyvn.assetsRoot to '{names.printable(above)}' and run `comfyvn-store init`"
    return Left(path, f"it lies outside the assets root '{shown}'", hint)


def top_relative(repository: Repository, typed: Sequence[str], here: str) -> list[str]:
    """Gives the top-relative paths of what people typed, standing in `here`. Raises UsageError for one outside."""
    top = os.path.realpath(repository.top)
    found = []
    for word in typed:
        folder, name = os.path.split(os.path.normpath(os.path.join(here, word)))
        place = os.path.join(os.path.realpath(folder), name)
        relative = os.path.relpath(place, top).replace(os.sep, "/")
        if relative == ".." or relative.startswith("../"):
            raise UsageError(f"'{names.printable(word)}' lies outside the work tree")
        found.append(relative)
    return found
