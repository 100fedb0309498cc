"""`export`: a revision as a plain tree, for a build of the game: art as ordinary files, without links, sidecars and store.

What goes in and how its lines end is `git archive`'s word, read twice: once to see which objects are needed and whether
they are whole, once to write. The tree is built beside its place and renamed, so it is whole or not there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from comfyvn_store.asset import sidecar, worktree
from comfyvn_store.base import canonical, durable, files, links, names
from comfyvn_store.base.telling import Progress, quietly
from comfyvn_store.errors import (
    GitFailed,
    MachineError,
    ObjectCorrupt,
    ObjectMissing,
    Refused,
    from_os_error,
)
from comfyvn_store.hot.commits import CommitNames
from comfyvn_store.ops import naming
from comfyvn_store.ops.session import Session
from comfyvn_store.vcs.git import WITHOUT_FILTERS
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import CONFIG_FILE

_BLOCK = 1 << 20


class Exported(NamedTuple):
    """What was written where: the number of files, how many of them are art, and their bytes."""

    folder: str
    commit: str
    files: int
    assets: int
    bytes: int


@dataclass
class _Survey:
    """What a revision holds: the object of each piece of art, the user's symlinks, what is left out, and how many files."""

    art: dict[str, str] = field(default_factory=dict)
    symlinks: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    total: int = 0


def export(
    session: Session, folder: str, *, revision: str = "HEAD", sidecars: bool = False, progress: Progress | None = None
) -> Exported:
    """Writes the tree of `revision` into `folder`, which must not be there or be empty.

    Raises UnknownRevision, Refused (the place, or what would lead out of it), ObjectMissing, ObjectCorrupt, MachineError.
    Nothing is written before all objects were found and hashed; on any failure `folder` is as it was.
    """
    repository = session.repository
    commit = naming.commit(repository, revision)
    target = _check_place(repository, folder)
    survey = _survey(repository, commit, sidecars)
    tell = progress or quietly
    _check_objects(repository, survey, tell)
    temp = files.temp_beside(target)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.mkdir(temp)
        size = _write(repository, commit, survey, temp, tell)
        _place_symlinks(survey, temp)
        with contextlib.suppress(FileNotFoundError):
            durable.sync_files([os.path.join(temp, path) for path in survey.art])
        os.rename(temp, target)
    except OSError as error:
        raise from_os_error(error, f"export to '{names.printable(folder)}'") from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return Exported(target, commit, survey.total - len(survey.left_out), len(survey.art), size)


def _check_place(repository: Repository, folder: str) -> str:
    """Gives the folder's real path. Raises Refused where something is there or nothing should be put."""
    target = os.path.realpath(folder)
    shown = names.printable(folder)
    hint = "name a folder that is not there yet"
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise Refused(f"'{shown}' exists and is not an empty folder", hint=hint)
    if target == os.path.realpath(os.getcwd()):
        raise Refused("the folder you stand in would be replaced", hint=hint)
    for place, what in (
        (repository.absolute(repository.root), "the assets root"),
        (repository.common_dir, "git's folder"),
    ):
        if (target + os.sep).startswith(os.path.realpath(place) + os.sep):
            raise Refused(f"'{shown}' lies in {what}", hint="name a folder elsewhere")
    return target


# -- what is in the revision ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _archive(repository: Repository, commit: str) -> Iterator[tarfile.TarFile]:
    """Gives what `git archive` makes of a commit, our own filters left out. Raises GitFailed."""
    # In a sparse checkout git (2.39) heeds no .gitattributes of folders that are left out, not even for another tree.
    words = (*WITHOUT_FILTERS, "-c", "core.sparseCheckout=false", "archive", "--format=tar", commit)
    process = repository.git.start(*words)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    finished = False
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
            yield archive
        while process.stdout.read(_BLOCK):
            pass
        finished = True
    except tarfile.TarError as error:
        raise GitFailed("git archive", 1, str(error)) from None
    finally:
        process.stdout.close()
        status = process.wait()
    if finished and status:
        raise GitFailed("git archive", status, "")


def _survey(repository: Repository, commit: str, sidecars: bool) -> _Survey:
    """Sees what there is. Raises Refused for paths and symlinks that lead out of the tree."""
    survey = _Survey()
    with _archive(repository, commit) as archive:
        for member in archive:
            path = _checked(member.name)
            if member.isdir() or not path:
                continue
            survey.total += 1
            if _is_ours(repository, path, sidecars):
                survey.left_out.add(path)
                continue
            hash_ = _object_of(repository, archive, member, path)
            if hash_ is not None:
                survey.art[path] = hash_
            elif member.issym():
                survey.symlinks[path] = _checked_link(path, member.linkname)
    return survey


def _checked(name: str) -> str:
    """Gives a member's path. Raises Refused for one that no checkout would have."""
    path = name.rstrip("/")
    parts = path.split("/")
    if path and any(part in ("", ".", "..") or part.casefold() == ".git" for part in parts):
        raise Refused(f"this revision has a path that leads astray: '{names.printable(name)}'")
    return path


def _checked_link(path: str, text: str) -> str:
    """Gives a symlink's text. Raises Refused if it leads out of the tree."""
    inside = os.path.normpath(os.path.join(os.path.dirname(path), text))
    if os.path.isabs(text) or inside == ".." or inside.startswith("../"):
        raise _astray(path, text)
    return text


def _astray(path: str, text: str) -> Refused:
    return Refused(
        f"the symlink '{names.printable(path)}' leads out of the tree, to '{names.printable(text)}'",
        hint=f"leave it out with a line in .gitattributes: {names.printable(path)} export-ignore",
    )


def _is_ours(repository: Repository, path: str, sidecars: bool) -> bool:
    """Whether a path is for the store and git only, and not for a game."""
    if path in (CONFIG_FILE, repository.full(".gitattributes")):
        return True
    return not sidecars and repository.inside(path) is not None and names.is_sidecar(path)


def _object_of(repository: Repository, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> str | None:
    """Gives the object that a member stands for: a view, as link or as its text."""
    if member.issym():
        text = member.linkname
    elif member.size > links.LONGEST + 2:
        return None
    else:
        stream = archive.extractfile(member)
        text = stream.read().strip(b"\r\n").decode("ascii", "replace") if stream is not None else ""
    hash_ = links.parse_link(text)
    if hash_ is None or (repository.inside(path) is None and text != links.link_text(path, hash_)):
        return None
    return hash_


def _check_objects(repository: Repository, survey: _Survey, tell: Progress) -> None:
    """Finds and hashes all objects. Raises ObjectMissing or ObjectCorrupt, naming the files."""
    by_hash: dict[str, list[str]] = {}
    for path, hash_ in survey.art.items():
        by_hash.setdefault(hash_, []).append(path)
    missing = [path for hash_, paths in by_hash.items() if not repository.store.has(hash_) for path in paths]
    if missing:
        raise ObjectMissing(
            f"the bytes of {_listed(missing)} are not in the store",
            hint="`comfyvn-store recover` looks for copies; or copy the objects from a colleague's store",
        )
    corrupt = []
    for number, (hash_, paths) in enumerate(by_hash.items()):
        try:
            repository.store.verify(hash_)
        except ObjectCorrupt:
            repository.store.suspect(hash_)
            corrupt += paths
        tell("checking objects", number + 1, len(by_hash))
    if corrupt:
        raise ObjectCorrupt(
            f"the bytes of {_listed(corrupt)} are damaged", hint="`comfyvn-store recover` brings them back from a copy"
        )


def _listed(paths: list[str]) -> str:
    shown = ", ".join(f"'{names.printable(path)}'" for path in paths[:8])
    return shown + (f" and {len(paths) - 8} more" if len(paths) > 8 else "")


# -- writing -------------------------------------------------------------------------------------------------------


def _write(repository: Repository, commit: str, survey: _Survey, folder: str, tell: Progress) -> int:
    """Writes folders and files, no symlinks yet: nothing can lead out of `folder` while it is filled. Gives the bytes."""
    commits = CommitNames(repository)
    size = done = 0
    with _archive(repository, commit) as archive:
        for member in archive:
            path = _checked(member.name)
            place = os.path.join(folder, path)
            if member.isdir() or not path:
                os.makedirs(place, exist_ok=True)
                continue
            done += 1
            if path in survey.left_out or path in survey.symlinks:
                continue
            os.makedirs(os.path.dirname(place), exist_ok=True)
            try:
                if path in survey.art:
                    _write_art(repository, survey.art[path], place)
                else:
                    _write_file(repository, archive, member, path, place, commits)
            except FileExistsError:
                raise Refused(
                    f"'{names.printable(path)}' has the same name as another file on this disk",
                    hint="export to a disk that tells upper and lower case apart, or rename one of them",
                ) from None
            os.utime(place, (member.mtime, member.mtime))
            size += os.path.getsize(place)
            tell("writing files", done, survey.total)
    return size


def _write_art(repository: Repository, hash_: str, place: str) -> None:
    if os.path.lexists(place):
        raise FileExistsError(errno.EEXIST, "File exists", place)
    os.rename(worktree.copy_object(repository, hash_, place), place)


def _write_file(
    repository: Repository,
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: str,
    place: str,
    commits: CommitNames,
) -> None:
    source = archive.extractfile(member)
    if source is None:
        raise MachineError(f"git archive gives '{names.printable(path)}', which is no file")
    mode = 0o777 if member.mode & 0o100 else 0o666
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        if names.is_sidecar(path) and repository.inside(path) is not None and member.size <= canonical.LONGEST_JSON:
            data = source.read()
            stream.write(sidecar.fill_commit_of(data, commits.commit_of))
        else:
            shutil.copyfileobj(source, stream, _BLOCK)


def _place_symlinks(survey: _Survey, folder: str) -> None:
    """Makes the user's symlinks, last of all. Raises Refused if one leads out by way of another."""
    real = os.path.realpath(folder)
    for path, text in survey.symlinks.items():
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        try:
            os.symlink(text, place)
        except OSError as error:
            source = os.path.join(os.path.dirname(place), text)
            if error.errno not in (errno.ENOSYS, errno.EPERM, errno.ENOTSUP) or not os.path.isfile(source):
                raise
            shutil.copyfile(source, place)  # a disk without symlinks
    for path, text in survey.symlinks.items():
        if not (os.path.realpath(os.path.join(folder, path)) + os.sep).startswith(real + os.sep):
            raise _astray(path, text)
