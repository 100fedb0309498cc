"""DVC: `.dvc` files and its cache, whose names are MD5.

A `.dvc` file is YAML. Only the form that DVC itself writes is read (dvc.org, "`.dvc` Files"): a list of flat mappings below
`outs`, scalars on one line. Everything else (anchors, flow style, blocks of text, dependencies) is refused by name, so that
no YAML library is needed and no file can grow when it is read.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from comfyvn_store.base import canonical, files
from comfyvn_store.ops.migrate.claims import Claim, Found, Left, Version
from comfyvn_store.vcs import blobs, staging
from comfyvn_store.vcs.repository import Repository
from comfyvn_store.vcs.staging import Entry

SUFFIX = ".dvc"
LONGEST = 64 * 1024
_LONGEST_LISTING = 16 * 1024 * 1024
_MOST = 100_000
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?\Z")
_LINE = re.compile(r"(?P<indent> *)(?P<dash>- )?(?P<key>[a-z_0-9]+):(?: +(?P<value>\S.*?))? *\Z")
_OUT_KEYS = frozenset(("md5", "size", "hash", "path", "nfiles", "isexec", "cache", "persist", "desc", "remote", "push"))
_TOP_KEYS = frozenset(("outs", "md5", "wdir", "frozen", "desc"))
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "e": "\x1b", '"': '"', "\\": "\\", "/": "/", " ": " "}
_ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[ntre0"\\/ ])')


class NotRead(ValueError):
    """The text is no `.dvc` file in the form that is read; the message says why."""


class Out(NamedTuple):
    """One output: its path as written, the MD5 (with `.dir` for a folder), and its size."""

    path: str
    md5: str
    size: int | None


class Dvc:
    """DVC in one repository."""

    name = "dvc"
    fetch: str | None = "dvc pull"
    writes_in_place = False
    names_hashes = False

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._cache = _cache_folder(repository)
        # Nothing that came with the repository leads out of it, or into another project's cache.
        self._real_cache = os.path.realpath(self._cache) + os.sep

    def read(self, entries: Iterable[Entry]) -> Found:
        """Reads `.dvc` files, and the listings of the folders that they name, out of entries."""
        wanted = [
            entry
            for entry in entries
            if entry.path.endswith(SUFFIX) and entry.mode in (staging.FILE, staging.EXECUTABLE)
        ]
        texts = blobs.read_small_blobs(self._repository.git, (entry.oid for entry in wanted), LONGEST)
        found = Found([], [])
        for entry in wanted:
            try:
                text = texts.get(entry.oid)
                if text is None:
                    raise NotRead("it is too long for a .dvc file")
                found.claims.extend(self._claims(entry, text))
            except NotRead as error:
                found.left.append(Left(entry.path, str(error)))
        return found

    def _claims(self, entry: Entry, text: bytes) -> list[Claim]:
        """Gives all files that a `.dvc` file stands for. Raises NotRead if one of them cannot be told."""
        claims = []
        for out in parse(text):
            path = _joined(os.path.dirname(entry.path), out.path)
            if not out.md5.endswith(SUFFIX_OF_FOLDER):
                claims.append(Claim(entry, path, _version(out.md5, out.size)))
                continue
            for inside, md5 in self._listing(out.md5):
                claims.append(Claim(entry, _joined(path, inside), _version(md5, None)))
        if len({claim.path for claim in claims}) != len(claims):
            raise NotRead("it names a file twice")
        return claims

    def _listing(self, md5: str) -> list[tuple[str, str]]:
        for place in self._named(md5):
            try:
                data = files.read_small(place, _LONGEST_LISTING)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise NotRead(f"the list of its files cannot be read: {error.strerror}") from None
            return _parse_listing(data)
        raise NotRead("the list of its files is not in DVC's cache; `dvc pull` fetches it")

    def _named(self, md5: str) -> Iterator[str]:
        for layout in (("files", "md5"), ()):  # that of DVC 3, and that of its forerunners
            place = os.path.join(self._cache, *layout, md5[:2], md5[2:])
            if os.path.realpath(place).startswith(self._real_cache):
                yield place

    def places(self, version: Version) -> Iterator[str]:
        """Gives where DVC's cache keeps these bytes."""
        return self._named(version.key)

    def blocks(self, version: Version) -> Iterator[bytes] | None:
        """Gives nothing: the bytes are in files."""
        return None


SUFFIX_OF_FOLDER = ".dir"


def _version(md5: str, size: int | None) -> Version:
    return Version(md5, None, size, ("md5", md5))


def _joined(folder: str, path: str) -> str:
    """Gives the path of an output. Raises NotRead for one that is absolute or leads out of its folder."""
    parts = path.split("/")
    if (
        not path
        or path.startswith("/")
        or "\\" in path
        or "\0" in path
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise NotRead(f"it names a path that leads astray: '{path}'")
    if any(part.casefold() == ".git" for part in parts):
        raise NotRead(f"it names a path that leads astray: '{path}'")
    return posixpath.join(folder, path) if folder else path


def parse(text: bytes) -> list[Out]:
    """Reads a `.dvc` file. Raises NotRead for any form that DVC does not write for `dvc add`."""
    if len(text) > LONGEST:
        raise NotRead("it is too long for a .dvc file")
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise NotRead("it is not UTF-8") from None
    section = ""
    outs: list[dict[str, str]] = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise NotRead(f"a line in it is not understood: '{line[:60]}'")
        key, value = found["key"], found["value"]
        if not found["indent"] and not found["dash"]:
            section = key
            if key not in _TOP_KEYS or (key == "outs") != (value is None):
                raise NotRead(f"'{key}' in it is not understood: only what `dvc add` makes is")
            if key == "wdir" and _scalar(value or "") != ".":
                raise NotRead("it speaks of another folder (wdir)")
        elif section != "outs" or key not in _OUT_KEYS or value is None:
            raise NotRead(f"'{key}' in it is not understood: only what `dvc add` makes is")
        else:
            _add(outs, key, _scalar(value), is_new=bool(found["dash"]))
    return [_out(said) for said in outs]


def _add(outs: list[dict[str, str]], key: str, value: str, *, is_new: bool) -> None:
    if is_new:
        outs.append({})
    if not outs or key in outs[-1]:
        raise NotRead(f"'{key}' stands twice in it, or out of place")
    outs[-1][key] = value


def _out(said: dict[str, str]) -> Out:
    md5, path, size = said.get("md5", ""), said.get("path", ""), said.get("size", "")
    if said.get("hash", "md5") != "md5" or not _MD5.match(md5):
        raise NotRead("it names no MD5")
    if said.get("cache", "true") != "true":
        raise NotRead("it names a file that DVC does not cache")
    return Out(path, md5, int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None)


def _scalar(text: str) -> str:
    """Reads a scalar on one line (YAML 1.2, 7.3). Raises NotRead for other styles."""
    if text[0] == "'":
        if len(text) < 2 or text[-1] != "'" or "'" in text[1:-1].replace("''", ""):
            raise NotRead(f"a line in it is not understood: '{text[:60]}'")
        return text[1:-1].replace("''", "'")
    if text[0] == '"':
        inner = text[1:-1]
        if len(text) < 2 or text[-1] != '"' or re.search(r'["\\]', _ESCAPE.sub("", inner)):
            raise NotRead(f"a line in it is not understood: '{text[:60]}'")
        return _ESCAPE.sub(_unescaped, inner)
    if text[0] in "&*!|>%@`[]{},#?" or text.startswith("- ") or " #" in text or ": " in text:
        raise NotRead(f"a line in it is not understood: '{text[:60]}'")
    return text


def _unescaped(found: re.Match[str]) -> str:
    word = found[1]
    if word[0] not in "xuU":
        return _ESCAPES[word]
    try:
        return chr(int(word[1:], 16))
    except (ValueError, OverflowError):
        raise NotRead("it has a letter that does not exist") from None


def _parse_listing(data: bytes) -> list[tuple[str, str]]:
    """Reads what DVC keeps of a folder: a JSON list of MD5 and path."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise NotRead("the list of its files is no JSON") from None
    if not isinstance(said, list) or len(said) > _MOST:
        raise NotRead("the list of its files is no list, or too long")
    found = []
    for item in said:
        md5, path = (item.get("md5"), item.get("relpath")) if isinstance(item, dict) else (None, None)
        if not isinstance(md5, str) or not isinstance(path, str) or not re.fullmatch("[0-9a-f]{32}", md5):
            raise NotRead("the list of its files is damaged")
        found.append((path, md5))
    return found


def _cache_folder(repository: Repository) -> str:
    """Gives DVC's cache. What came with the repository, a setting or a symlink, may say only a place in the work tree."""
    own = os.path.join(repository.top, ".dvc")
    top = os.path.realpath(repository.top) + os.sep
    for name, is_trusted in (("config.local", True), ("config", False)):
        said = _cache_setting(os.path.join(own, name))
        if said:
            place = os.path.normpath(os.path.join(own, os.path.expanduser(said)))
            if is_trusted or os.path.realpath(place).startswith(top):
                return place
    place = os.path.join(own, "cache")
    is_own = not any(entry.mode == staging.LINK for entry in staging.entries(repository.git, [".dvc", ".dvc/cache"]))
    return place if is_own or os.path.realpath(place).startswith(top) else os.path.join(repository.own_dir, "no-cache")


def _cache_setting(place: str) -> str | None:
    """Gives `dir` of the section `[cache]`, as DVC writes it."""
    try:
        lines = files.read_small(place, canonical.LONGEST_JSON).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line
        elif section == "[cache]" and re.match(r"dir\s*=", line):
            return line.partition("=")[2].strip().strip("'\"") or None
    return None
