"""`strip`: a marked file's bytes as they came in, proven by the hash that its marker names. Objects are never changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from comfyvn_store.asset import marking
from comfyvn_store.asset.marking import Found, Unmarkable
from comfyvn_store.base import files, links, names, swapping
from comfyvn_store.errors import ComfyvnError, MachineError, Refused, from_os_error
from comfyvn_store.ops.named import opened


class Unproven(ComfyvnError):
    """Nothing proves which bytes a file was made from."""

    slug = "unproven"
    exit_code = 1


class Unmarked(Unproven):
    """The file carries no marker, so that there is nothing to take out."""


class Stripped(NamedTuple):
    """What a file was before it was marked: the hash and number of its bytes, what the marker says beyond that, and where
    the bytes were written (None: nowhere)."""

    file: str
    source_hash: str
    size: int
    source: str | None
    workflow_hash: str | None
    output: str | None

    def as_dict(self) -> dict[str, Any]:
        """Gives it as `--json` prints it."""
        return {"file": self.file, "stripped": True, **self._asdict()}


def strip(name: str, *, output: str | None = None, in_place: bool = False) -> Stripped:
    """Proves what a file (or an asset) was before it was marked, and writes that to `output`, which must not be there, or in
    the file's own place. Raises Unproven, Refused, UnknownFile, UnknownAsset, ObjectMissing, MachineError."""
    if in_place:
        _require_own_file(name)
    try:
        with opened(name) as stream:
            before = files.print_of(os.fstat(stream.fileno()))
            found = _found(stream, name)
            if not in_place and output is None:
                return _proven(stream, found, name, None, None)
            target = name if output is None else output
            temp = _temp(target, os.fstat(stream.fileno()).st_mode if in_place else 0o666)
            try:
                with open(temp, "r+b") as copy:
                    done = _proven(stream, found, name, copy, target)
                    if in_place:
                        _make_alike(copy.fileno(), stream.fileno())
                    os.fsync(copy.fileno())
                _place(temp, target, before if in_place else None)
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(temp)
            return done
    except OSError as error:
        raise from_os_error(error, f"strip '{names.printable(name)}'") from error


def files_in(folder: str) -> Iterator[str]:
    """Gives the files at and below a folder in order of their names, without sidecars, hidden ones and mirrors."""
    for place, folders, found in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each != names.META_FOLDER)
        for name in sorted(found):
            path = os.path.join(place, name)
            if not name.startswith(".") and not names.is_sidecar(name) and os.path.isfile(path):
                yield path


def target_in(folder: str, name: str) -> str:
    """Gives where the bytes of a file go whose original is to lie in a folder."""
    return os.path.join(folder, os.path.basename(name.rpartition(":")[2] if not os.path.lexists(name) else name))


def _require_own_file(name: str) -> None:
    """Raises Refused for what may not be written in its place: links, of which views are some, and objects."""
    info = files.lstat(name)
    shown = names.printable(name)
    if info is None or not stat.S_ISREG(info.st_mode):
        what = "is a link" if info is not None and stat.S_ISLNK(info.st_mode) else "is no file that lies here"
        raise Refused(f"'{shown}' {what}, and objects are never changed", hint="name a place: --output FILE")
    folder, last = os.path.split(os.path.realpath(name))
    if links.is_hash(os.path.basename(folder) + last):
        raise Refused(f"'{shown}' is an object, which never changes", hint="name a place: --output FILE")


def _found(stream: BinaryIO, name: str) -> Found:
    """Looks at a file that carries one marker that can be read. Raises Unproven, OSError."""
    stream.seek(0)
    format_ = marking.name_of(stream.read(marking.HEAD_SIZE))
    if format_ is None:
        raise _unmarked(name, "files of its format get none")
    try:
        found = marking.module(format_).look(stream)
    except Unmarkable as reason:
        raise _unmarked(name, str(reason)) from None
    if not found.payloads:
        raise _unmarked(name, None)
    if len(found.payloads) > 1:
        raise _unproven(name, f"it carries {len(found.payloads)} markers")
    if found.said is None:
        raise _unproven(name, "its marker cannot be read, or a newer version wrote it")
    return found


def _proven(stream: BinaryIO, found: Found, name: str, copy: BinaryIO | None, target: str | None) -> Stripped:
    """Hashes what is left without the marker, writing it to `copy`. Raises Unproven, OSError."""
    said = found.said or {}
    digest, size = hashlib.sha256(), 0
    for block in marking.blocks(stream, found.without()):
        digest.update(block)
        size += len(block)
        if copy is not None:
            copy.write(block)
    if digest.hexdigest() != said["source_hash"]:
        raise _unproven(name, "it was changed since it was marked")
    if copy is not None:
        copy.flush()
    source, workflow = said.get("source"), said.get("workflow_hash")
    return Stripped(
        name,
        said["source_hash"],
        size,
        source if isinstance(source, str) else None,
        workflow if isinstance(workflow, str) else None,
        target,
    )


def _unmarked(name: str, why: str | None) -> Unmarked:
    return Unmarked(f"'{names.printable(name)}' carries no marker" + (f": {why}" if why else ""))


def _unproven(name: str, why: str) -> Unproven:
    return Unproven(f"nothing proves what '{names.printable(name)}' was: {why}")


def _temp(target: str, mode: int) -> str:
    """Makes an empty temporary file beside the place where it goes. Raises Refused, OSError."""
    folder = os.path.dirname(target)
    if folder and not os.path.isdir(folder):
        raise Refused(f"there is no folder '{names.printable(folder)}'", hint="make it, or name another one")
    temp = files.temp_beside(target)
    os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IMODE(mode)))
    return temp


def _make_alike(copy: int, original: int) -> None:
    """Gives a file the owner, mode and extended attributes of another one, as far as the system lets us."""
    info = os.fstat(original)
    with contextlib.suppress(OSError):
        os.fchown(copy, info.st_uid, info.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(copy, stat.S_IMODE(info.st_mode))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for name in os.listxattr(original):
                with contextlib.suppress(OSError):
                    os.setxattr(copy, name, os.getxattr(original, name))


def _place(temp: str, target: str, before: files.Print | None) -> None:
    """Puts the bytes in their place. Raises Refused where something is there, or was saved there meanwhile."""
    if swapping.swap_for_file(target, temp, None, before):
        return
    shown = names.printable(target)
    if before is None:
        raise Refused(f"'{shown}' is there already", hint="name a place that is free")
    raise MachineError(f"'{shown}' was saved while it was read", hint="try again")
