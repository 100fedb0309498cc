"""The hook files of a repository: our shims, and the hooks that were there before, kept beside them and called first.

A shim is the same text everywhere. It finds the interpreter in the clone's own git config and leaves where there is none, so
a folder of hooks may be shared by many repositories, or tracked.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import NamedTuple

import comfyvn_store
from comfyvn_store.base import files, names
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import Refused
from comfyvn_store.hot.hooks import HOOKS as HOOKS
from comfyvn_store.ops import managers
from comfyvn_store.vcs.repository import Repository

KEPT_SUFFIX = ".before-comfyvn"
# Where the pre-commit framework keeps, and calls, a hook that it found; where lefthook leaves one.
CHAINED_SUFFIX, ASIDE_SUFFIX = ".legacy", ".old"
# In a folder of hooks outside the repository: the repositories that use our shims there, one git folder a line.
USERS = "comfyvn-store.repositories"
_IDENTITY = "# comfyvn-store hook: "
# How one of our hooks is.
CURRENT, MISSING, OUTDATED, NOT_EXECUTABLE, FOREIGN = "current", "missing", "outdated", "not executable", "foreign"


def folder_of(repository: Repository) -> str:
    """Gives the folder from which git runs hooks, `core.hooksPath` respected."""
    return repository.git.text("rev-parse", "--path-format=absolute", "--git-path", "hooks")


def own_folder(repository: Repository) -> str:
    """Gives the folder of the shims that hook managers call, inside the repository's own."""
    return os.path.join(repository.home.path, "hooks")


def is_own(place: str) -> bool:
    """Tells whether a hook is one of our shims."""
    try:
        with open(place, "rb") as stream:
            return _IDENTITY.encode() in stream.read(512)
    except OSError:
        return False


def is_chained(place: str) -> bool:
    """Tells whether the pre-commit framework's hook stands there and calls ours, which it found."""
    return managers.maker_of(place) == managers.FRAMEWORK and is_own(place + CHAINED_SUFFIX)


def is_shared(repository: Repository, folder: str) -> bool:
    """Tells whether hooks lie outside the repository, so that others may use them, too."""
    return not any(_is_below(folder, place) for place in (repository.common_dir, repository.git_dir, repository.top))


def is_tracked(repository: Repository, folder: str) -> bool:
    """Tells whether git tracks files in the folder of hooks: then they are the project's, and to be committed."""
    relative = os.path.relpath(os.path.realpath(folder), os.path.realpath(repository.top))
    if relative == os.pardir or relative.startswith((os.pardir + os.sep, ".git" + os.sep)):
        return False
    return bool(repository.git.run("ls-files", "-z", "--", f":(top,literal){relative}"))


def require_folder(folder: str) -> None:
    """Raises Refused if the folder for hooks is none (`core.hooksPath=/dev/null` turns them off)."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Refused(
            f"git runs no hooks here: core.hooksPath is '{names.printable(folder)}', which is no folder",
            hint="let core.hooksPath name a folder (`git config core.hooksPath FOLDER`), or take it out",
        )


class Hook(NamedTuple):
    """One of git's hook files as it is: `state` says what stands there, `place` where our shim is or belongs."""

    name: str
    place: str
    state: str
    maker: str | None = None
    is_kept: bool = False


def look(folder: str) -> list[Hook]:
    """Gives how each of our hooks is: CURRENT, MISSING, FOREIGN (another's), or ours and OUTDATED or NOT_EXECUTABLE."""
    hooks = []
    for name in HOOKS:
        place = os.path.join(folder, name)
        is_kept = os.path.lexists(place + KEPT_SUFFIX)
        if is_chained(place):
            hooks.append(
                Hook(
                    name, place + CHAINED_SUFFIX, _state_of_own(place + CHAINED_SUFFIX, name), managers.FRAMEWORK, True
                )
            )
        elif is_own(place):
            hooks.append(Hook(name, place, _state_of_own(place, name), None, is_kept))
        elif os.path.lexists(place):
            hooks.append(Hook(name, place, FOREIGN, managers.maker_of(place), is_kept))
        else:
            hooks.append(Hook(name, place, MISSING, None, is_kept))
    return hooks


def _state_of_own(place: str, name: str) -> str:
    with open(place, "rb") as stream:
        if stream.read() != text_of(name):
            return OUTDATED
        return CURRENT if os.fstat(stream.fileno()).st_mode & stat.S_IXUSR else NOT_EXECUTABLE


def install(repository: Repository, folder: str) -> list[str]:
    """Installs the shims; a hook that is there is kept beside ours and called by it, unless it is a manager's that was told
    to call ours. Gives the names of those kept."""
    for where in (folder, own_folder(repository)):
        _sharing(repository, where).make_folders(where)
        _sharing(repository, where).adjust(where)
    kept = []
    callers = managers.callers(repository)
    for hook in [*look(folder), *look(own_folder(repository))]:
        is_called = hook.name in callers.get(hook.maker or "", ())
        if is_called and hook.state == FOREIGN:
            continue
        if is_called and hook.place.endswith(CHAINED_SUFFIX):
            os.unlink(hook.place)  # else it would run twice
            continue
        if hook.state == FOREIGN:
            _keep(hook.place)
        if is_own(hook.place + ASIDE_SUFFIX):
            os.unlink(hook.place + ASIDE_SUFFIX)  # lefthook puts none aside where one lies already
        if hook.is_kept or hook.state == FOREIGN:
            kept.append(hook.name)
        if hook.state != CURRENT:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hook.place)  # its mode, which would be kept, may be what is wrong
            files.write_atomic(hook.place, text_of(hook.name), mode=0o777, sharing=_sharing(repository, hook.place))
        _sharing(repository, hook.place).adjust(hook.place)
    if is_shared(repository, folder):
        _note_users(folder, [*_users(folder), repository.common_dir])
    return kept


def _sharing(repository: Repository, place: str) -> Sharing:
    """Hooks in git's own folder are for all who share it; another folder is the business of whoever made it."""
    return repository.settings.sharing if _is_below(place, repository.common_dir) else PRIVATE


def remove(repository: Repository, folder: str) -> tuple[list[str], bool]:
    """Takes the shims out and puts the previous hooks back; gives the names of those, and whether the shims stay because
    other repositories use them, too."""
    for name in HOOKS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(own_folder(repository), name))
    with contextlib.suppress(OSError):
        os.rmdir(own_folder(repository))
    if is_shared(repository, folder):
        others = [user for user in _users(folder) if user != repository.common_dir and _is_using(user)]
        _note_users(folder, others)
        if others:
            return [], True
    return [name for name in HOOKS if _give_back(os.path.join(folder, name))], False


def _give_back(place: str) -> bool:
    """Puts one hook back as it was; tells whether there was one."""
    for spot in (place, place + CHAINED_SUFFIX, place + ASIDE_SUFFIX):
        if is_own(spot):
            os.unlink(spot)
    kept = place + KEPT_SUFFIX
    if not os.path.lexists(kept):
        return False
    if not os.path.lexists(place):
        os.rename(kept, place)
        return True
    maker = managers.maker_of(place)
    if maker is not None and maker == managers.maker_of(kept):
        os.unlink(kept)  # the manager has written its hook anew
    elif maker == managers.FRAMEWORK and not os.path.lexists(place + CHAINED_SUFFIX):
        os.rename(kept, place + CHAINED_SUFFIX)  # as if the framework had found it itself
        return True
    return False


def _keep(place: str) -> None:
    """Puts a hook aside, to be called by ours; the same one, written anew by its manager, takes the place of the last."""
    kept = place + KEPT_SUFFIX
    maker = managers.maker_of(place)
    if maker is None or maker != managers.maker_of(kept):
        _free_name(kept)
    os.replace(place, kept)


def text_of(name: str) -> bytes:
    """Gives the text of a shim: from inside the installed package, or from the top of a checkout."""
    package = os.path.dirname(os.path.abspath(comfyvn_store.__file__))
    inside = os.path.join(package, "hooks")
    folder = inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "hooks")
    with open(os.path.join(folder, name), "rb") as stream:
        return stream.read()


def _free_name(place: str) -> None:
    """Moves an older hook that is kept at `place` out of the way."""
    if os.path.lexists(place):
        number = 1
        while os.path.lexists(f"{place}.{number}"):
            number += 1
        os.rename(place, f"{place}.{number}")


def _is_below(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return path == folder or path.startswith(folder + os.sep)


# -- a folder that several repositories share ----------------------------------------------------------------------


def _users(folder: str) -> list[str]:
    try:
        with open(os.path.join(folder, USERS), "rb") as stream:
            return [os.fsdecode(line) for line in stream.read().split(b"\n") if line]
    except FileNotFoundError:
        return []


def _note_users(folder: str, users: list[str]) -> None:
    place = os.path.join(folder, USERS)
    lines = b"".join(os.fsencode(user) + b"\n" for user in sorted(set(users)))
    if not lines:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
    elif sorted(set(users)) != _users(folder):
        files.write_atomic(place, lines)


def _is_using(common_dir: str) -> bool:
    """Whether `init` is in force in that repository."""
    store = os.path.join(common_dir, "comfyvn")
    return os.path.isfile(os.path.join(store, "format")) and not os.path.exists(os.path.join(store, "uninstalled"))
