"""Objects that are in the repository's own folder though its store is elsewhere: what an `init` that was interrupted left,
and what a process wrote that had found the store before it moved."""

from __future__ import annotations

import os

from comfyvn_store.errors import ComfyvnError
from comfyvn_store.store.objects import Store
from comfyvn_store.vcs.repository import Repository


def are_there(repository: Repository) -> bool:
    """Tells whether there are such objects."""
    home = repository.home.path
    # The folder goes with the last of them, so this is one `stat` mostly.
    return repository.store.is_apart and os.path.isdir(os.path.join(home, "objects")) and _any(home)


def settle(repository: Repository) -> None:
    """Moves them to the store, if nobody else is about it; what cannot be done now the next command does."""
    if not are_there(repository):
        return
    from comfyvn_store.store import moving
    from comfyvn_store.store.lock import locked

    home = Store(repository.home.path, repository.home.sharing)
    try:
        with locked(repository.home.lock_path, 0.0, home.sharing):
            noted = repository.home.noted()
            if noted is not None and noted.root == repository.store.root and repository.store.exists:
                taken = moving.take_over(home, repository.store)
                moving.clear(home, repository.store, taken.hashes)
    except (ComfyvnError, OSError):
        return


def _any(home: str) -> bool:
    from comfyvn_store.store import moving

    return moving.holds_objects(Store(home))
