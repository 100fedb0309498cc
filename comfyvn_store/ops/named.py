"""What people name where any file will do: a file by its path, in a repository or not, or an asset in any of its ways."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from comfyvn_store.base import names
from comfyvn_store.errors import NotInitialised, UnknownAsset, UnknownFile, from_os_error
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import open_session
from comfyvn_store.store.objects import open_file


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Opens the file of that path, else the object of the asset (or `REV:PATH`) of that name.

    Raises UnknownFile, UnknownAsset, UnknownRevision, ObjectMissing, ObjectCorrupt, MachineError.
    """
    shown = names.printable(name)
    if os.path.isfile(name):
        if not os.access(name, os.R_OK):
            raise UnknownFile(f"'{shown}' cannot be read: permission denied")
        try:
            stream = open_file(os.path.realpath(name))
        except OSError as error:
            raise from_os_error(error, f"read '{shown}'") from error
        with stream:
            yield stream
        return
    if os.path.isdir(name):
        raise UnknownFile(f"'{shown}' is a folder", hint="name the files in it")
    with _object(name) as stream:
        yield stream


@contextmanager
def _object(name: str) -> Iterator[BinaryIO]:
    shown = names.printable(name)
    try:
        session = open_session()
    except NotInitialised:
        raise UnknownFile(f"there is no file '{shown}'") from None
    with session:
        try:
            version = naming.version(session, name)
        except UnknownAsset:
            if os.path.lexists(name):
                raise UnknownFile(f"'{shown}' is no ordinary file, or its bytes are not here") from None
            if ":" not in name and any(sign in name for sign in "/."):
                raise UnknownFile(f"there is no file '{shown}', and no asset of that name") from None
            raise
        session.repository.store.vouch(version.hash)
        with session.repository.store.open(version.hash) as stream:
            yield stream
