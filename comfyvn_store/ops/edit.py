"""`edit`: a writable copy in place of the link, to be taken in by the next `git add`."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from comfyvn_store.asset import views, worktree
from comfyvn_store.base import durable, files, links, names, swapping
from comfyvn_store.errors import Refused, from_os_error
from comfyvn_store.ops import journal, naming
from comfyvn_store.ops.places import check_folders
from comfyvn_store.ops.session import Session


class Editable(NamedTuple):
    """A view that is an ordinary file now; `was_link` is False if it was one before."""

    view: str
    was_link: bool


def edit(session: Session, target: str) -> Editable:
    """Makes a view a writable file with the object's bytes (sharing blocks where the file system can).

    Raises UnknownAsset, ObjectMissing, ObjectCorrupt, Refused, MachineError. The link stays until the copy is whole.
    """
    repository = session.repository
    full = repository.full(naming.resolve(session, target))
    check_folders(repository, full)
    place = repository.absolute(full)
    info = files.lstat(place)
    shown = names.printable(full)
    if info is not None and stat.S_ISREG(info.st_mode):
        _fill(session, full)
        return Editable(full, False)
    text = files.read_link(place)
    hash_ = links.parse_link(text or "")
    if text is None or hash_ is None:
        raise Refused(f"'{shown}' is no view", hint=f"bring it back: git checkout -- '{shown}'")
    try:
        temp = worktree.copy_object(repository, hash_, full)
        try:
            durable.sync_files([temp])
        except OSError:
            os.unlink(temp)
            raise
    except OSError as error:
        raise from_os_error(error, f"copy '{shown}'") from error
    with journal.recording(repository, "edit", [full], f"edit {full}"):
        if not swapping.swap_for_file(place, temp, text):
            raise Refused(f"'{shown}' changed meanwhile", hint="run the command again")
        os.utime(place)
    return Editable(full, True)


def _fill(session: Session, full: str) -> None:
    """Puts the bytes where a file holds link text only. Raises ObjectMissing, MachineError."""
    repository = session.repository
    hash_ = naming.version(session, full).hash
    found = views.stand_in(repository, full, hash_, links_too=False)
    if found is None:
        return
    try:
        if not views.place_copy(repository, full, hash_, None, found.file):
            raise Refused(f"'{names.printable(full)}' changed meanwhile", hint="run the command again")
    except OSError as error:
        raise from_os_error(error, f"copy '{names.printable(full)}'") from error
