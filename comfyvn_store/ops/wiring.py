"""What ties a repository to us, as text: git config, attributes, excludes. `init` writes it, `doctor` compares it."""

from __future__ import annotations

import os

import comfyvn_store
from comfyvn_store.base import files, links, names
from comfyvn_store.base.sharing import PRIVATE, Sharing
from comfyvn_store.ops import shims
from comfyvn_store.vcs import attributes
from comfyvn_store.vcs.attributes import BEGIN, END
from comfyvn_store.vcs.repository import Repository

# The command of a filter or hook: `-P`, so that a repository shadows no module; UTF-8 names whatever the locale says.
_START = "-P -X utf8 -c 'from comfyvn_store.hot.main import run; run()'"


def configuration(python: str, main: str) -> dict[str, str]:
    """Gives the git config keys that make git call us; the first two are what the hooks read."""
    gone = (
        "echo 'error: comfyvn-store is not installed any more, so art cannot be added' >&2; "
        "echo 'hint: install it again (pipx install comfyvn-store), then run: comfyvn-store init' >&2; exit 1"
    )
    # Without the tool sidecars pass as they are: a server that offers nothing is asked for nothing, once.
    nothing = r"printf '0016git-filter-server\n000eversion=2\n00000000'; exec cat >/dev/null"
    return {
        "comfyvn.python": python,
        "comfyvn.main": main,
        "filter.comfyvn.process": _either(python, main, "filter comfyvn", gone),
        "filter.comfyvn.required": "true",
        "filter.comfyvn-sidecar.process": _either(python, main, "filter comfyvn-sidecar", nothing),
        "merge.comfyvn-sidecar.name": "comfyvn-store sidecars, merged by field",
        "merge.comfyvn-sidecar.driver": _merge_driver(python, main, "merge-sidecar"),
        # What git calls when it makes one ancestor of several, in criss-cross merges.
        "merge.comfyvn-sidecar.recursive": "comfyvn-ancestor",
        "merge.comfyvn-ancestor.name": "comfyvn-store sidecars, an ancestor made of several",
        "merge.comfyvn-ancestor.driver": _merge_driver(python, main, "merge-ancestor"),
        "diff.comfyvn-sidecar.textconv": _text_driver(python, main),
    }


def _text_driver(python: str, main: str) -> str:
    # git puts the file's name behind the command; without the tool the file is shown as it is.
    command = _either(python, main, 'textconv "$1"', 'exec cat "$1"')
    return f"show() {{ {command}; }}; show"


def _merge_driver(python: str, main: str, name: str) -> str:
    # git replaces what follows a %-sign in the command of a merge driver, so a path's own are doubled.
    return _either(python.replace("%", "%%"), main.replace("%", "%%"), f"{name} %O %A %B %P", "exit 1")


def _either(python: str, main: str, words: str, otherwise: str) -> str:
    """Gives the command that runs us from where `init` found us, else from the PATH, else says or does `otherwise`."""
    start = f"exec {quoted(python)} {_START} {words}"
    usable = f"test -x {quoted(python)} && test -f {quoted(main)}"
    other = "command -v comfyvn-store-hook >/dev/null 2>&1"
    return f"if {usable}; then {start}; elif {other}; then exec comfyvn-store-hook {words}; else {otherwise}; fi"


def quoted(text: str) -> str:
    """Gives a word in single quotes for `sh`."""
    return "'" + text.replace("'", "'\\''") + "'"


def is_plain(text: str) -> bool:
    """Tells whether a path means itself to every shell, without quotes."""
    return all(c.isalnum() or c in "/._-" for c in text)


def typed(path: str) -> str:
    """Gives a path for a line that is to be typed."""
    return path if is_plain(path) else quoted(path)


def main_path() -> str:
    """Gives the file whose absence says that the tool is gone although its interpreter is there."""
    return os.path.join(os.path.dirname(os.path.abspath(comfyvn_store.__file__)), "hot", "main.py")


def attributes_block() -> list[str]:
    """Gives the lines of `<assets root>/.gitattributes`."""
    return list(attributes.BLOCK)


def exclude_file(repository: Repository) -> str:
    """Gives the file of patterns that only this clone has."""
    return os.path.join(repository.common_dir, "info", "exclude")


def exclude_lines(repository: Repository) -> list[str]:
    """Gives what git shall not see: the store link, derived files, our temporary files."""
    root = _pattern(repository.root)
    parts = repository.root.split("/")
    # Links that were made under another root may lead between the top and this one.
    above = [_pattern("/".join(parts[:count])) for count in range(1, len(parts))]
    lines = [
        f"/{links.STORE_LINK}",
        *(f"/{folder}/{links.STORE_LINK}" for folder in above),
        f"/{root}/**/{links.STORE_LINK}",
        f"/{root}/{names.META_FOLDER}/",
        f"{names.TEMP_PREFIX}*",
    ]
    for place, suffix in ((repository.settings.thumbs_root, "/"), (repository.settings.db_path, "*")):
        relative = os.path.relpath(place, repository.top).replace(os.sep, "/")
        if not relative.startswith(("../", ".git/")):
            lines.append(f"/{_pattern(relative)}{suffix}")
    return [BEGIN, *lines, *hook_lines(repository), END]


def hook_lines(repository: Repository) -> list[str]:
    """Gives our hooks where `core.hooksPath` leads into the work tree; where git tracks hooks there ours belong to them."""
    hooks = shims.folder_of(repository)
    folder = os.path.relpath(os.path.realpath(hooks), os.path.realpath(repository.top))
    if folder == ".." or folder.startswith(("../", ".git/")) or shims.is_tracked(repository, hooks):
        return []
    place = "" if folder == "." else f"/{_pattern(folder)}"
    return [f"{place}/{name}{suffix}" for name in shims.HOOKS for suffix in ("", shims.KEPT_SUFFIX)]


def _pattern(path: str) -> str:
    """Gives a path as a gitignore pattern that means just this path."""
    return "".join("\\" + c if c in "*?[]\\!# " else c for c in path)


def local_config(repository: Repository) -> dict[str, str]:
    """Gives the repository's own git config, the last value of each key."""
    listing = repository.git.outcome("config", "--local", "--includes", "-z", "--list", check=False).stdout
    pairs = (os.fsdecode(item).partition("\n") for item in listing.split(b"\0") if item)
    return {key: value for key, _, value in pairs}


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


def free_foreign_lines(place: str) -> bool:
    """Moves lines of attributes that somebody wrote between our markers behind them, where they stay and win; tells
    whether there were any."""
    try:
        with open(place, "rb") as stream:
            rest, block = split_block(stream.read())
    except FileNotFoundError:
        return False
    ours = {line.encode() for line in attributes_block()}
    # One that names our filters is an older form of ours, or ours edited.
    foreign = [
        line for line in map(bytes.strip, block.splitlines()) if line and line not in ours and b"comfyvn" not in line
    ]
    if foreign:
        ending = b"" if not rest or rest.endswith(b"\n") else b"\n"
        block = b"".join(line.encode() + b"\n" for line in attributes_block())
        files.write_atomic(place, block + rest + ending + b"".join(line + b"\n" for line in foreign))
    return bool(foreign)


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
