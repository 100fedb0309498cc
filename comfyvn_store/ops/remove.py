"""Removing an asset from the work tree and from git's index; its bytes stay in the store and in history."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from comfyvn_store.base import files, links, names
from comfyvn_store.errors import Refused
from comfyvn_store.index import rows
from comfyvn_store.ops import cards, naming
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.staging import Entry


def remove(session: Session, name: str) -> dict[str, Any]:
    """Removes a view and its sidecar and stages that; gives the asset's last record.

    Raises UnknownAsset, AmbiguousAsset, Refused where the view is a file that may hold an edit.
    """
    repository = session.repository
    inside = naming.resolve(session, name)
    last = cards.printed(session, inside)
    full = repository.full(inside)
    place = repository.absolute(full)
    if files.lstat(place) is not None and links.parse_link(files.read_link(place) or "") is None:
        raise Refused(f"'{names.printable(full)}' is a file that may hold an edit", hint="`git add` it first")
    known = staging.entries(repository.git, [full, names.sidecar_path(full)])
    gone = [Entry(entry.path, staging.GONE, "0" * len(entry.oid)) for entry in known]
    staging.write_entries(repository.git, gone, patience=staging.PATIENCE)
    for path in (place, repository.absolute(names.sidecar_path(full))):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    files.remove_empty_folders(os.path.dirname(place), repository.absolute(repository.root))
    listed = rows.read_unstaged(repository)
    if inside in listed:
        rows.write_unstaged(repository, [path for path in listed if path != inside])
    session.catch_up()
    return last
