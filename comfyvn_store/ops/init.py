"""`init`: ties a git repository to the store. Running it again changes nothing."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import comfyvn_store
from comfyvn_store.asset import worktree
from comfyvn_store.asset.worktree import Staged
from comfyvn_store.base import files, links, names
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.errors import Refused
from comfyvn_store.hot import heal
from comfyvn_store.index import catchup, questions
from comfyvn_store.ops import shims
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.settings import CONFIG_FILE, DEFAULT_ROOT

BEGIN = "# comfyvn-store: begin (made by `comfyvn-store init`)"
END = "# comfyvn-store: end"


class Initialised(NamedTuple):
    """What `init` found and did; every list holds top-relative paths or names."""

    repository: Repository
    was_there: bool
    kept_hooks: list[str]
    raw_art: int
    missing_objects: int
    assets: int


def init(repository: Repository) -> Initialised:
    """Sets the repository up: store, link, filters, attributes, hooks, excludes, index. Raises Refused, MachineError."""
    folder = shims.folder_of(repository)
    was_there = repository.is_initialised
    repository.store.check_format()
    _refuse_tracked_link(repository)
    _refuse_without_symlinks(repository)
    _refuse_unsuitable_root(repository)
    shims.require_folder(folder)
    repository.ensure_store_link()
    repository.store.create()
    was_retired = repository.store.is_retired
    repository.store.retire(False)
    repository.make_own_dir()
    _compile()
    _write_excludes(repository)
    _configure(repository)
    _write_attributes(repository)
    _write_root(repository)
    kept = shims.install(repository, folder, sys.executable, main_path())
    with catchup.open_index(repository) as index:
        catchup.catch_up(index, repository, in_process=True)
        heal.heal(index, repository, restore=True)
        rows = questions.sized_hashes(index)
    if was_retired:
        _link_again(repository, rows)
    missing = sum(1 for _, hash_, _ in rows if not repository.store.has(hash_))
    return Initialised(repository, was_there, kept, _raw_art(repository), missing, len(rows))


def _link_again(repository: Repository, rows: list[tuple[str, str, int | None]]) -> None:
    """Puts the views back that `uninstall` made ordinary files, where git still has links and the files are the same."""
    linked = {entry.path for entry in staging.entries(repository.git, [repository.root]) if entry.mode == staging.LINK}
    views = [Staged(repository.full(path), hash_, False) for path, hash_, _ in rows if repository.full(path) in linked]
    here = [view for view in views if repository.store.has(view.hash)]
    repository.store.sync([view.hash for view in here])
    placed = worktree.replace_by_links(repository, here)
    staging.refresh(repository.git, placed, filters=False, patience=staging.PATIENCE)


def _refuse_tracked_link(repository: Repository) -> None:
    if staging.entries(repository.git, [links.STORE_LINK]):
        raise Refused(
            f"'{links.STORE_LINK}' is tracked by git, and a clone must not decide where your store is",
            hint=f"run `git rm --cached -r {links.STORE_LINK}`, commit, then `comfyvn-store init`",
        )


def _refuse_unsuitable_root(repository: Repository) -> None:
    """Refuses an assets root that is not a folder of this work tree itself. Raises Refused."""
    root = names.printable(repository.root)
    folders = _folders(repository.root)
    for entry in staging.entries(repository.git, folders[:1]):
        if entry.mode == staging.GITLINK and entry.path in folders:
            raise Refused(
                f"the assets root '{root}' lies in the submodule '{names.printable(entry.path)}'",
                hint="run `comfyvn-store init` inside the submodule, or set comfyvn.assetsRoot to another folder",
            )
    for folder in map(repository.absolute, folders):
        if os.path.islink(folder):
            raise Refused(
                f"the assets root '{root}' leads through a symlink, which git does not follow",
                hint=f"make '{names.printable(folder)}' a real folder",
            )
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise Refused(
                f"the assets root '{root}' cannot be made: '{names.printable(folder)}' is a file",
                hint="move it elsewhere, or set comfyvn.assetsRoot to another folder",
            )


def _folders(path: str) -> list[str]:
    """Gives a folder's path and those of its parents below the top, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _refuse_without_symlinks(repository: Repository) -> None:
    """Views are symlinks; where git may make none, it would write their text into small files."""
    if repository.git.text("config", "--type=bool", "--get", "core.symlinks", check=False) == "false":
        raise Refused(
            "this work tree has no symlinks (core.symlinks is false), and views are symlinks",
            hint="on Windows switch developer mode on, then: git config core.symlinks true, git checkout -- .",
        )


# -- git's configuration -------------------------------------------------------------------------------------------


def configuration(python: str, main: str) -> dict[str, str]:
    """Gives the git config keys that make git call us."""
    gone = (
        "echo 'error: comfyvn-store is not installed any more, so art cannot be added' >&2; "
        "echo 'hint: install it again (pipx install comfyvn-store), then run: comfyvn-store init' >&2; exit 1"
    )
    # Without the tool sidecars pass as they are: a server that offers nothing is asked for nothing, once.
    nothing = r"printf '0016git-filter-server\n000eversion=2\n00000000'; exec cat >/dev/null"
    return {
        "filter.comfyvn.process": _either(python, main, "filter comfyvn", gone),
        "filter.comfyvn.required": "true",
        "filter.comfyvn-sidecar.process": _either(python, main, "filter comfyvn-sidecar", nothing),
        "merge.comfyvn-sidecar.name": "comfyvn-store sidecars, merged by field",
        "merge.comfyvn-sidecar.driver": _merge_driver(python, main, "merge-sidecar"),
        # What git calls when it makes one ancestor of several, in criss-cross merges.
        "merge.comfyvn-sidecar.recursive": "comfyvn-ancestor",
        "merge.comfyvn-ancestor.name": "comfyvn-store sidecars, an ancestor made of several",
        "merge.comfyvn-ancestor.driver": _merge_driver(python, main, "merge-ancestor"),
    }


def _merge_driver(python: str, main: str, name: str) -> str:
    # git replaces what follows a %-sign in the command of a merge driver, so a path's own are doubled.
    return _either(python.replace("%", "%%"), main.replace("%", "%%"), f"{name} %O %A %B %P", "exit 1")


def _either(python: str, main: str, words: str, otherwise: str) -> str:
    """Gives the command that runs us from where `init` found us, else from the PATH, else says or does `otherwise`."""
    start = f"exec {quoted(python)} -P -c 'from comfyvn_store.hot.main import run; run()' {words}"
    usable = f"test -x {quoted(python)} && test -f {quoted(main)}"
    other = "command -v comfyvn-store-hook >/dev/null 2>&1"
    return f"if {usable}; then {start}; elif {other}; then exec comfyvn-store-hook {words}; else {otherwise}; fi"


def quoted(text: str) -> str:
    """Gives a word in single quotes for `sh`."""
    return "'" + text.replace("'", "'\\''") + "'"


def _configure(repository: Repository) -> None:
    for key, value in configuration(sys.executable, main_path()).items():
        if repository.git.text("config", "--local", "--get", key, check=False) != value:
            repository.git.run("config", "--local", key, value)


def main_path() -> str:
    """Gives the file whose absence says that the tool is gone although its interpreter is there."""
    return os.path.join(os.path.dirname(os.path.abspath(comfyvn_store.__file__)), "hot", "main.py")


def _compile() -> None:
    """Compiles what git starts, where nobody did: with PYTHONDONTWRITEBYTECODE every hook would do it anew (twice the
    time)."""
    import compileall

    package = os.path.dirname(os.path.dirname(main_path()))
    for name in ("", "base", "store", "vcs", "asset", "asset/generators", "index", "hot"):
        compileall.compile_dir(os.path.join(package, name), maxlevels=0, quiet=2)


# -- files ---------------------------------------------------------------------------------------------------------


def attributes_block() -> list[str]:
    """Gives the lines of `<assets root>/.gitattributes`."""
    return [
        BEGIN,
        "* filter=comfyvn -text",
        "*.asset.json filter=comfyvn-sidecar merge=comfyvn-sidecar diff=comfyvn-sidecar text",
        ".* !filter !text",
        "Thumbs.db !filter !text",
        "desktop.ini !filter !text",
        END,
    ]


def _write_attributes(repository: Repository) -> None:
    """Puts our block first, so that lines of the user's (`*.txt -filter`) come later and win; stages the file."""
    path = repository.full(".gitattributes")
    place = repository.absolute(path)
    if edit_block(place, attributes_block(), first=True) or not staging.entries(repository.git, [path]):
        _stage(repository, path)


def _write_root(repository: Repository) -> None:
    """Writes an assets root that differs from the default where a clone finds it."""
    place = repository.absolute(CONFIG_FILE)
    said = repository.git.text("config", "--file", place, "--get", "comfyvn.assetsRoot", check=False)
    if repository.root == (said or DEFAULT_ROOT):
        return
    repository.git.run("config", "--file", place, "comfyvn.assetsRoot", repository.root)
    _stage(repository, CONFIG_FILE)


def _stage(repository: Repository, path: str) -> None:
    # Older than git's index, so that no `git add` reads it again: `core.safecrlf` would refuse its LF.
    files.settle(repository.absolute(path))
    repository.git.run("-c", "core.safecrlf=false", "update-index", "--add", "--", path)


def exclude_lines(repository: Repository) -> list[str]:
    """Gives what git shall not see: the store link, derived files, our temporary files."""
    root = _pattern(repository.root)
    lines = [
        f"/{links.STORE_LINK}",
        f"/{root}/**/{links.STORE_LINK}",
        f"/{root}/{names.META_FOLDER}/",
        f"{names.TEMP_PREFIX}*",
    ]
    for place, suffix in ((repository.settings.thumbs_root, "/"), (repository.settings.db_path, "*")):
        relative = os.path.relpath(place, repository.top).replace(os.sep, "/")
        if not relative.startswith(("../", ".git/")):
            lines.append(f"/{_pattern(relative)}{suffix}")
    return [BEGIN, *lines, *_hook_lines(repository), END]


def _hook_lines(repository: Repository) -> list[str]:
    """Gives our hooks where `core.hooksPath` leads into the work tree: they name this machine's Python."""
    folder = os.path.relpath(os.path.realpath(shims.folder_of(repository)), os.path.realpath(repository.top))
    if folder == ".." or folder.startswith(("../", ".git/")):
        return []
    place = "" if folder == "." else f"/{_pattern(folder)}"
    return [f"{place}/{name}{suffix}" for name in shims.HOOKS for suffix in ("", shims.KEPT_SUFFIX)]


def _pattern(path: str) -> str:
    """Gives a path as a gitignore pattern that means just this path."""
    return "".join("\\" + c if c in "*?[]\\!# " else c for c in path)


def _write_excludes(repository: Repository) -> None:
    place = os.path.join(repository.common_dir, "info", "exclude")
    edit_block(place, exclude_lines(repository), first=False, sharing=repository.settings.sharing)


def edit_block(place: str, block: list[str], *, first: bool, sharing: Sharing = PRIVATE) -> bool:
    """Puts our block of lines into a text file, in place of the one that is there; tells whether that changed it.

    An empty `block` takes it out.
    """
    try:
        with open(place, "rb") as stream:
            before = stream.read()
    except FileNotFoundError:
        before = b""
    rest, old = split_block(before)
    new = "".join(f"{line}\n" for line in block).encode("utf-8", "surrogateescape")
    if old == new:
        return False
    if rest and not rest.endswith(b"\n") and not first and new:
        rest += b"\n"
    after = new + rest if first else rest + new
    if after == before:
        return False
    files.write_atomic(place, after, sharing=sharing)
    return True


def split_block(text: bytes) -> tuple[bytes, bytes]:
    """Splits a file into what is not ours and our block."""
    lines = text.splitlines(keepends=True)
    bare = [line.strip() for line in lines]
    begin, end = BEGIN.encode(), END.encode()
    if begin not in bare or end not in bare[bare.index(begin) :]:
        return text, b""
    start = bare.index(begin)
    stop = bare.index(end, start) + 1
    return b"".join(lines[:start] + lines[stop:]), b"".join(lines[start:stop])


def _raw_art(repository: Repository) -> int:
    """Counts the files under the assets root that git holds as ordinary files."""
    found = [
        entry
        for entry in staging.filtered_entries(repository.git, repository.root, "comfyvn")
        if entry.mode in (staging.FILE, staging.EXECUTABLE) and repository.is_asset_path(entry.path)
    ]
    sizes = blobs.sizes(repository.git, (entry.oid for entry in found))
    small = blobs.read_small_blobs(repository.git, (entry.oid for entry in found), links.LONGEST)
    linked = {oid for oid, data in small.items() if links.parse_link_bytes(data)}
    return sum(1 for entry in found if entry.oid not in linked and sizes[entry.oid].size)
