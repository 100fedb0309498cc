"""The file that is asked about: its bytes, its marker, what it says of itself, and what it looks like once that is asked."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from comfyvn_store.asset import sidecar
from comfyvn_store.base import names
from comfyvn_store.errors import ComfyvnError, ObjectMissing, UnknownAsset, UnknownFile, from_os_error
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import Session
from comfyvn_store.store.objects import open_file

if TYPE_CHECKING:
    from comfyvn_store.previews.fingerprints import Look

STDIN = "-"


class _Scratch:
    """A folder that is made when something is to be put there, and is gone with `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    @cached_property
    def folder(self) -> str:
        """Where it is."""
        import tempfile

        return self._stack.enter_context(tempfile.TemporaryDirectory(prefix="comfyvn-whence-"))


class Asked:
    """The file at `path` (None: only its hash is known). `source_hashes` are those that its bytes had before they were marked,
    or have; `claims` are what a marker says that the bytes do not prove; `said` is what it says of what generated it."""

    def __init__(self, path: str | None, hash: str, media: Mapping[str, Any], scratch: _Scratch) -> None:
        self.path = path
        self.hash = hash
        self.media = dict(media)
        self.source_hashes: list[str] = [hash] if path is not None else []
        self.claims: list[str] = []
        self.said: Mapping[str, Any] = {}
        self.why: str | None = None
        self._scratch = scratch

    @property
    def mime(self) -> str:
        """Its media type."""
        from comfyvn_store.base.media import UNKNOWN

        found: str = self.media.get("mime", UNKNOWN)
        return found

    @cached_property
    def look(self) -> Look | None:
        """What it looks like; None where it is neither picture, film nor sound. It is decoded when this is asked."""
        if self.path is None or self.mime not in sidecar.previewable():
            self.why = (
                None if self.path is None else f"{self.mime} is neither a picture nor a sound that can be compared"
            )
            return None
        from comfyvn_store.previews import fingerprints

        try:
            return fingerprints.look(self.path, self.mime, self._scratch.folder)
        except (OSError, ComfyvnError) as error:
            return fingerprints.Look(reason=f"it could not be looked at: {error}")


@contextmanager
def asked(session: Session, name: str) -> Iterator[Asked]:
    """Reads the file, standard input (`-`) or asset of that name. Raises UnknownFile, UnknownAsset, MachineError."""
    try:
        with ExitStack() as stack:
            scratch = _Scratch(stack)
            path, hash_ = _found(session, name, scratch)
            if path is None:
                yield Asked(None, hash_ or "", {}, scratch)
                return
            with _opened(path, name) as stream:
                found = _read(stream, path, scratch)
            yield found
    except OSError as error:
        raise from_os_error(error, f"look at '{names.printable(name)}'") from error


def _found(session: Session, name: str, scratch: _Scratch) -> tuple[str | None, str | None]:
    """Gives where the bytes are, or of an object that is not here its hash."""
    if name == STDIN:
        import shutil

        path = os.path.join(scratch.folder, "stdin")
        with open(path, "xb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        return path, None
    if os.path.isfile(name):
        return os.path.realpath(name), None
    shown = names.printable(name)
    if os.path.isdir(name):
        raise UnknownFile(f"'{shown}' is a folder", hint="name the files in it")
    try:
        version = naming.version(session, name)
    except UnknownAsset:
        what = "is no ordinary file, or its bytes are not here" if os.path.lexists(name) else "is not there"
        raise UnknownFile(f"'{shown}' {what}") from None
    try:
        session.repository.store.vouch(version.hash)
    except ObjectMissing:
        return None, version.hash
    return session.repository.store.path(version.hash), None


def _opened(path: str, name: str) -> BinaryIO:
    try:
        stream = open_file(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnknownFile(f"'{names.printable(name)}' cannot be read: {reason}") from None
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise UnknownFile(f"'{names.printable(name)}' is no ordinary file")
    return stream


def _read(stream: BinaryIO, path: str, scratch: _Scratch) -> Asked:
    from comfyvn_store.asset import marking, readers
    from comfyvn_store.base import digest, media

    hash_ = digest.sha256(stream)
    described = media.describe(stream)
    found = Asked(path, hash_, described.as_dict(), scratch)
    marked = marking.look(stream)
    if marked is not None and marked.payloads:
        stripped = marking.digest(stream, marked.without()).hexdigest()
        found.source_hashes.append(stripped)
        said = marked.said
        if said is not None and said["source_hash"] != stripped:
            found.claims.append(said["source_hash"])
    others = [reader for _, reader in readers.installed()]
    reading = readers.read_stream(stream, described.mime, others)
    if reading is not None and reading.source is not None:
        found.said = {"source": reading.source, "workflow_hash": reading.workflow_hash, **reading.inputs}
    return found
