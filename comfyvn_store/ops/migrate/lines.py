"""Lines that other programs need in files of attributes and of ignored names, and that nothing needs any more.

Only those of Git LFS and DVC are ever taken out, and only for what was migrated; every other byte of such a file stays.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence

from comfyvn_store.base import files
from comfyvn_store.vcs import attributes, blobs, staging
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

IGNORE = ".gitignore"
LONGEST = 1 << 20
# What `git lfs track` writes behind a pattern.
_LFS = ("filter=lfs", "diff=lfs", "merge=lfs")
_LINE = re.compile(rb'\s*(?P<pattern>"(?:[^"\\]|\\.)*"|[^\s"]\S*)(?P<rest>\s.*)?\Z', re.DOTALL)


def without_lfs(git: Git, object_format: str, path: str, text: bytes, remaining: Collection[str]) -> bytes:
    """Gives a file of attributes without what Git LFS put into lines that no `remaining` pointer (top-relative) needs.

    Other attributes of such a line stay. Which line a path needs, git itself says.
    """
    lines = text.splitlines(keepends=True)
    found = [number for number, line in enumerate(lines) if _is_lfs(line)]
    if not found:
        return text
    folder = posixpath.dirname(path)
    below = [other for other in remaining if not folder or other.startswith(folder + "/")]
    patterns = [_match(lines[number])["pattern"] for number in found]
    needed = _needed(git, object_format, path, patterns, below) if below else set()
    for number, pattern in zip(found, patterns, strict=True):
        if pattern not in needed:
            lines[number] = _without(lines[number])
    return b"".join(lines)


def lfs_off(root: str, texts: Mapping[str, Collection[bytes]], pointers: Collection[str]) -> list[bytes]:
    """Gives lines for the attributes of the assets root that keep Git LFS away from art that is git's own again.

    `texts` are the files of attributes in that folder and above it (top-relative paths, every version), `pointers` the files
    of the root (relative to it) that Git LFS keeps all the same.
    """
    patterns: dict[bytes, None] = {}
    for path, versions in texts.items():
        folder = posixpath.dirname(path)
        below = os.fsencode(posixpath.relpath(root, folder or ".")) + b"/" if folder != root else b""
        for text in versions:
            found = (_match(line)["pattern"] for line in text.splitlines() if _is_lfs(line))
            patterns.update((_seen_from(pattern, below), None) for pattern in found)
    if not patterns:
        return []
    off = [pattern + b" !filter !diff !merge" for pattern in patterns]
    kept = (b'"/' + escaped(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' for path in sorted(pointers))
    return off + [pattern + b" " + b" ".join(word.encode() for word in (*_LFS, "-text")) for pattern in kept]


def _seen_from(pattern: bytes, below: bytes) -> bytes:
    """Gives a pattern for a folder that lies `below` the one it was written for: itself, or `*` where that is not plain."""
    bare = pattern.lstrip(b"/")
    if not below or (b"/" not in pattern and not pattern.startswith(b'"')):
        return pattern
    return b"/" + bare.removeprefix(below) if bare.startswith(below) else b"*"


def _match(line: bytes) -> re.Match[bytes]:
    found = _LINE.match(line)
    assert found is not None
    return found


def _is_lfs(line: bytes) -> bool:
    found = _LINE.match(line)
    if found is None or found["pattern"].startswith((b"#", b"[attr]")):
        return False
    return _LFS[0].encode() in (found["rest"] or b"").split()


def _without(line: bytes) -> bytes:
    """Gives what is left of a line: nothing, or its pattern with the attributes that are not Git LFS's."""
    found = _match(line)
    theirs = {*(word.encode() for word in _LFS), b"-text"}
    kept = [word for word in (found["rest"] or b"").split() if word not in theirs]
    ending = b"\r\n" if line.endswith(b"\r\n") else b"\n"
    return b" ".join([found["pattern"], *kept]) + ending if kept else b""


def _needed(git: Git, object_format: str, path: str, patterns: Sequence[bytes], below: Sequence[str]) -> set[bytes]:
    """Gives those of the patterns that match one of the paths, in a file of attributes at `path`."""
    text = b"".join(b"%s comfyvn-probe-%d\n" % (pattern, number) for number, pattern in enumerate(patterns))
    oid = blobs.write_blobs(git, object_format, [text])[0]
    with tempfile.TemporaryDirectory(prefix="comfyvn-migrate-") as folder:
        environment = {
            **git.environment,
            "GIT_INDEX_FILE": os.path.join(folder, "index"),
            "GIT_DIR": git.text("rev-parse", "--absolute-git-dir"),
            "GIT_WORK_TREE": folder,
        }
        own = Git(folder, environment)
        staging.write_entries(own, [Entry(path, staging.FILE, oid)])
        probes = [f"comfyvn-probe-{number}" for number in range(len(patterns))]
        data = b"".join(os.fsencode(other) + b"\0" for other in below)
        fields = own.run("check-attr", "--cached", "--stdin", "-z", *probes, data=data).split(b"\0")
    said = {name for name, value in zip(fields[1::3], fields[2::3], strict=False) if value == b"set"}
    return {pattern for number, pattern in enumerate(patterns) if b"comfyvn-probe-%d" % number in said}


def without_ignored(path: str, text: bytes, gone: Collection[str]) -> bytes:
    """Gives a file of ignored names without the lines that DVC wrote for what is in git now: `/NAME` for each path in
    `gone` (top-relative: files and folders that DVC kept)."""
    folder = posixpath.dirname(path)
    theirs = {b"/" + escaped(posixpath.basename(other)) for other in gone if posixpath.dirname(other) == folder}
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if line.rstrip(b"\r\n") not in theirs)


def escaped(name: str) -> bytes:
    """Gives a name as DVC writes it as a pattern."""
    text = re.sub(r"([#!*?\[\]\\])", r"\\\1", name)
    return os.fsencode(text)


# -- git-annex ------------------------------------------------------------------------------------------------------

_ANNEX = re.compile(rb"^\s*\*\s+filter=annex\s*$|^\s*\.\*\s+!filter\s*$")


def info_attributes(repository: Repository) -> str:
    """Gives the file of attributes that only this clone has, which overrides every other."""
    return os.path.join(repository.common_dir, "info", "attributes")


def info_without_annex(repository: Repository, *, is_needed: bool) -> bytes | None:
    """Gives what is to stand in that file so that git-annex's filter leaves the art to ours, None if it may stay as it is.

    `is_needed`: files that git-annex keeps remain elsewhere. Then its lines stay, and behind them follows what the assets
    root's own file of attributes says of filters.
    """
    try:
        text = files.read_small(info_attributes(repository), LONGEST)
    except OSError:
        return None
    lines = text.splitlines(keepends=True)
    if not any(_ANNEX.match(line) and b"annex" in line for line in lines):
        return None
    marks = (attributes.BEGIN.encode(), attributes.END.encode())
    bare = [line.strip() for line in lines]
    if marks[0] in bare and marks[1] in bare:
        start, stop = bare.index(marks[0]), bare.index(marks[1])
        lines = lines[:start] + lines[stop + 1 :]
    if not is_needed:
        after = b"".join(line for line in lines if not _ANNEX.match(line)).lstrip(b"\n")
    else:
        after = b"".join(lines)
        after += b"" if after.endswith(b"\n") else b"\n"
        after += b"\n".join([marks[0], *_restated(repository), marks[1], b""])
    return after if after != text else None


def _restated(repository: Repository) -> list[bytes]:
    """Gives what the assets root's file of attributes says of filters, for a file at the top."""
    place = repository.absolute(repository.full(attributes.NAME))
    try:
        text = files.read_small(place, LONGEST)
    except OSError:
        text = "\n".join(attributes.BLOCK).encode()
    root = os.fsencode(repository.root)
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match["pattern"].startswith((b"#", b'"', b"[")):
            continue
        words = [word for word in (match["rest"] or b"").split() if b"filter" in word]
        pattern = match["pattern"]
        inside = pattern.lstrip(b"/") if b"/" in pattern else b"**/" + pattern
        if words:
            found.append(b"/" + root + b"/" + inside + b" " + b" ".join(words))
    return found
