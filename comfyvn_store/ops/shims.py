"""The hook files of a repository: our shims, and the hooks that were there before, kept beside them and called first."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

import comfyvn_store
from comfyvn_store.base import files, names
from comfyvn_store.base.sharing import PRIVATE
from comfyvn_store.errors import Refused
from comfyvn_store.hot.hooks import HOOKS as HOOKS
from comfyvn_store.vcs.repository import Repository

KEPT_SUFFIX = ".before-comfyvn"
_IDENTITY = "# comfyvn-store hook: "


def folder_of(repository: Repository) -> str:
    """Gives the folder from which git runs hooks, `core.hooksPath` respected."""
    return repository.git.text("rev-parse", "--path-format=absolute", "--git-path", "hooks")


def is_own(place: str) -> bool:
    """Tells whether a hook is one of our shims."""
    try:
        with open(place, "rb") as stream:
            return _IDENTITY.encode() in stream.read(512)
    except OSError:
        return False


def require_folder(folder: str) -> None:
    """Raises Refused if the folder for hooks is none (`core.hooksPath=/dev/null` turns them off)."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Refused(
            f"git runs no hooks here: core.hooksPath is '{names.printable(folder)}', which is no folder",
            hint="let core.hooksPath name a folder (`git config core.hooksPath FOLDER`), or take it out",
        )


def install(repository: Repository, folder: str, python: str, main: str) -> list[str]:
    """Installs the shims; a hook that is there is kept beside ours and called by it. Gives the names of those."""
    # Hooks in git's own folder are for all who share it; another folder is the business of whoever made it.
    sharing = repository.settings.sharing if folder.startswith(repository.common_dir + os.sep) else PRIVATE
    sharing.make_folders(folder)
    kept = []
    for name in HOOKS:
        place = os.path.join(folder, name)
        text = _shim(name, repository.root, python, main)
        if os.path.lexists(place) and not is_own(place):
            os.rename(place, _free_name(place + KEPT_SUFFIX))
        if os.path.lexists(place + KEPT_SUFFIX):
            kept.append(name)
        if not _has(place, text):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)  # its mode, which would be kept, may be what is wrong
            files.write_atomic(place, text, mode=0o777, sharing=sharing)
        sharing.adjust(place)
    return kept


def _shim(name: str, root: str, python: str, main: str) -> bytes:
    """Gives the text of a shim for this repository."""
    with open(os.path.join(_shims_folder(), name), encoding="utf-8") as stream:
        text = stream.read()
    # The root stands in double quotes inside ${…:-…}, the others in single quotes.
    safe_root = "".join("\\" + c if c in '\\"$`}' else c for c in root)
    fill: Callable[[str], str] = lambda word: word.replace("'", "'\\''")  # noqa: E731
    text = text.replace("@ROOT@", safe_root).replace("@PYTHON@", fill(python)).replace("@MAIN@", fill(main))
    return text.encode("utf-8", "surrogateescape")


def _shims_folder() -> str:
    """Gives the folder of the shims: inside the installed package, or at the top of a checkout."""
    package = os.path.dirname(os.path.abspath(comfyvn_store.__file__))
    inside = os.path.join(package, "hooks")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "hooks")


def _free_name(place: str) -> str:
    """Gives `place` for a hook to be kept, after moving an older one that is kept there out of the way."""
    if os.path.lexists(place):
        number = 1
        while os.path.lexists(f"{place}.{number}"):
            number += 1
        os.rename(place, f"{place}.{number}")
    return place


def _has(place: str, text: bytes) -> bool:
    try:
        with open(place, "rb") as stream:
            return stream.read() == text and bool(os.fstat(stream.fileno()).st_mode & stat.S_IXUSR)
    except OSError:
        return False
