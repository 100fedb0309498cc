"""The other repositories that use our store: who they are, whether that is known, and saying that one is gone for good."""

from __future__ import annotations

import os
import shlex

from comfyvn_store.base import names
from comfyvn_store.errors import Refused, UsageError
from comfyvn_store.store import users
from comfyvn_store.vcs.home import Home, store_root
from comfyvn_store.vcs.repository import Repository

# How a reason ends not to remove what a clone may need that is not there.
AWAY = "may need it, is not there, and shares this store"
_FORGET = "comfyvn-store gc --forget-clone"


def others(repository: Repository) -> list[str]:
    """Gives the git common folders of the other repositories that use the store, also those that are not there. Raises
    OSError."""
    if not repository.store.is_apart:
        return []
    return [user for user in users.users(repository.store) if not _is_own(user, repository)]


def absent(repository: Repository) -> list[str]:
    """Gives those of them that are not where they were, so that nobody can tell what they need. Raises OSError."""
    return [user for user in others(repository) if users.is_gone(user)]


def require_known(repository: Repository) -> None:
    """Raises Refused where it is not known who uses a store outside, or one of them is not there to be asked."""
    if not repository.store.is_apart:
        return
    noted = users.users(repository.store)
    away = absent(repository)
    if not noted or users.UNKNOWN in away:
        raise Refused(
            f"it is not known which repositories use the store '{names.printable(repository.store.root)}': "
            f"it has objects, and the list of those that need them, the file '{users.NAME}', was lost or never made",
            hint=f"run `comfyvn-store init` in each clone that uses it; when all are noted: {_FORGET} '{users.UNKNOWN}'",
        )
    if away:
        more = f" and {len(away) - 1} more" if len(away) > 1 else ""
        raise Refused(
            f"'{names.printable(away[0])}'{more} uses this store and is not there, so nobody can tell what it needs",
            hint=f"mount it or put it back; if it is gone for good: {_FORGET} {shlex.quote(names.printable(away[0]))}",
        )
    if not any(_is_own(user, repository) for user in noted):
        raise Refused(
            f"the store '{names.printable(repository.store.root)}' does not know this repository, and may not know others",
            hint="run `comfyvn-store status` here, and in each clone that was moved or copied",
        )


def doubt(repository: Repository) -> str | None:
    """Gives why nobody can tell what other clones need of the store; None where all can be asked. Raises OSError."""
    if not repository.store.is_apart:
        return None
    away = absent(repository)
    if users.UNKNOWN in away or not users.users(repository.store):
        return f"a clone that is not noted {AWAY}"
    return f"'{names.printable(away[0])}' {AWAY}" if away else None


def forget(repository: Repository, said: str) -> str:
    """Strikes a clone that is gone for good off the list of those that use the store; gives its line.

    `said` is its folder, or git's in it. Raises UsageError for one that is not noted, Refused for one that uses the store,
    LockTimeout, OSError.
    """
    noted = others(repository)
    place = os.path.abspath(said)
    wanted = {said, place, os.path.join(place, ".git"), os.path.realpath(place), os.path.realpath(place) + "/.git"}
    found = next((user for user in noted if user in wanted), None)
    if found is None and said == users.UNKNOWN and repository.store.is_apart and not noted:
        found = users.UNKNOWN  # it was lost, and nobody noted it since
    if found is None:
        listed = ", ".join(map(names.printable, noted))
        raise UsageError(
            f"no other clone '{names.printable(said)}' uses this store",
            hint=f"those that do: {listed}" if listed else None,
        )
    if _is_using(found, repository):
        raise Refused(
            f"'{names.printable(found)}' is there and uses this store",
            hint="run `comfyvn-store uninstall` there, or move its objects out of this store (`comfyvn-store init`)",
        )
    users.forget(repository.store, found, repository.common_dir)
    return found


def _is_own(user: str, repository: Repository) -> bool:
    return user == repository.common_dir or (
        not users.is_gone(user) and os.path.realpath(user) == repository.common_dir
    )


def _is_using(common_dir: str, repository: Repository) -> bool:
    """Whether a repository is there, with this store, and not uninstalled."""
    if users.is_gone(common_dir):
        return False
    home = Home(os.path.join(common_dir, "comfyvn"))
    if not home.exists and os.access(common_dir, os.R_OK | os.X_OK):
        return False
    is_same = os.path.realpath(store_root(common_dir)) == os.path.realpath(repository.store.root)
    return is_same and not home.is_retired
