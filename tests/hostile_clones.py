"""Repositories that somebody made to harm whoever clones them: built with git's plumbing, past all checks of its porcelain.

Each builder changes the tree of an ordinary repository with art. `outside` is a folder beside the clone that nothing may
read or write; what leads there does so as seen from the clone, which lies beside it.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests import media
from tests.gitrepo import GitRepo

ALICE, SONG = "assets/characters/alice.png", "assets/music/song.wav"
LINK, FILE, EXECUTABLE, GITLINK, TREE = "120000", "100644", "100755", "160000", "40000"
# How many files the crowded folder has: watched, each call that a program makes takes ten times as long.
FEW = 300
CROWD = int(os.environ.get("COMFYVN_TEST_CROWD", "4000"))

Entries = dict[bytes, tuple[str, bytes]]


class Hostile(NamedTuple):
    """What one is called, and what it adds to the tree (path → mode, content); `outside` is seen from the clone's top."""

    name: str
    make: Callable[[Path], Entries]


def make_art(repo: GitRepo) -> None:
    """What is good in each of them."""
    repo.write(ALICE, media.comfy_png(1))
    repo.write(SONG, media.wav())
    repo.git("add", "-A")
    repo.commit("art")


def spoil(repo: GitRepo, added: Entries) -> None:
    """Commits a tree with these entries, whatever git's porcelain thinks of their names."""
    entries: dict[bytes, tuple[str, str]] = {}
    for item in repo.git("ls-tree", "-r", "-z", "HEAD").stdout.split(b"\0"):
        if item:
            head, _, path = item.partition(b"\t")
            mode, _, oid = head.decode().split(" ")
            entries[path] = (mode, oid)
    oids: dict[bytes, str] = {}
    folders = {folder for path in entries for folder in _above(path)}
    for path, (mode, data) in added.items():
        for folder in _above(path):
            entries.pop(folder, None)
        if path in folders:
            for below in [each for each in entries if each.startswith(path + b"/")]:
                del entries[below]
        folders.update(_above(path))
        if mode == GITLINK:
            entries[path] = (mode, data.decode())
            continue
        if data not in oids:
            oids[data] = repo.git("hash-object", "-w", "--stdin", "-t", "blob", "--no-filters", input=data).out
        entries[path] = (mode, oids[data])
    tree = _write_tree(repo, entries)
    commit = repo.git("commit-tree", tree, "-p", "HEAD", "-m", "hostile").out
    repo.git("update-ref", "refs/heads/main", commit)


def _above(path: bytes) -> list[bytes]:
    """The folders on the way to a path."""
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


def _write_tree(repo: GitRepo, entries: dict[bytes, tuple[str, str]]) -> str:
    here: dict[bytes, tuple[str, str]] = {}
    below: dict[bytes, dict[bytes, tuple[str, str]]] = {}
    for path, about in entries.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            below.setdefault(name, {})[rest] = about
        else:
            here[name] = about
    for name, inner in below.items():
        here[name] = (TREE, _write_tree(repo, inner))
    # git sorts a tree's name as if it ended with a slash (gitformat: tree objects).
    order = sorted(here, key=lambda name: name + (b"/" if here[name][0] == TREE else b""))
    data = b"".join(here[name][0].encode() + b" " + name + b"\0" + bytes.fromhex(here[name][1]) for name in order)
    return repo.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", input=data).out


def _card(view: str, hash_: str, **changes: object) -> bytes:
    said: dict[str, object] = {
        "schema": 1,
        "uid": hash_[:16],
        "hash": hash_,
        "type": view.split("/")[1],
        "path": view.removeprefix("assets/"),
        "bytes": 5,
        "media": {"mime": "image/png", "width": 1, "height": 1},
        "tags": [],
        "license": None,
        "meta": {},
        "preview": {"kind": "thumbnail", "path": f"cache/thumbs/{hash_}.webp"},
        "provenance": {"id": f"id-{view}", "source": "manual", "inputs": {}},
    }
    return (json.dumps({**said, **changes}, indent=2) + "\n").encode()


def _view(path: str, hash_: str) -> bytes:
    return ("../" * path.count("/") + f".comfyvn/objects/{hash_[:2]}/{hash_[2:]}").encode()


# -- links -------------------------------------------------------------------------------------------------------------


def links(outside: Path) -> Entries:
    """Links that leave the store: by an absolute path, by too many steps, to git's own files, through another link."""
    texts = {
        "absolute.png": str(outside / "secret.png"),
        "up.png": "../../../outside/secret.png",
        "passwd.png": "/etc/passwd",
        "config.png": "../../.git/config",
        "through.png": "folder/secret.png",
        "folder": "../../../outside",
        "loop.png": "loop.png",
        "long.png": "../" * 1000 + "x",
        "deep.png": "../../../outside/" + ".comfyvn/objects/aa/" + "a" * 62,
        "steps.png": "../" * 6 + ".comfyvn/objects/bb/" + "b" * 62,
        "upper.png": "../../.comfyvn/objects/AA/" + "A" * 62,
        "dots.png": "../../.comfyvn/objects/../../../outside/secret.png",
        "newline.png": "../../.comfyvn/objects/cc/" + "c" * 62 + "\n",
    }
    entries: Entries = {}
    for name, text in texts.items():
        path = f"assets/characters/{name}"
        entries[path.encode()] = (LINK, text.encode())
        entries[f"{path}.asset.json".encode()] = (FILE, _card(path, "d" * 64))
    return entries


# -- sidecars ----------------------------------------------------------------------------------------------------------


def sidecars(outside: Path) -> Entries:
    """Sidecars that speak of other places, are no sensible JSON, or of other types than they should be."""
    deep = b"[" * 100_000 + b"]" * 100_000
    good = "assets/characters/x.png"
    texts: dict[str, bytes] = {
        "updots": _card(good, "1" * 64, path="../../outside/x.png"),
        "absolute": _card(good, "1" * 64, path=str(outside / "x.png")),
        "empty-path": _card(good, "1" * 64, path=""),
        "newline-path": _card(good, "1" * 64, path="a\nb\0c"),
        "type": _card(good, "1" * 64, type="../../outside"),
        "preview": _card(good, "1" * 64, preview={"kind": "thumbnail", "path": "../outside/x.webp"}),
        "hash": _card(good, "../../../outside/" + "1" * 47),
        "huge": _card(good, "1" * 64, meta={"x": "y" * (5 << 20)}),
        "deep": b'{"schema": 1, "meta": ' + deep + b"}",
        "deep-meta": _card(good, "1" * 64).replace(b'"meta": {}', b'"meta": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000),
        "nan": _card(good, "1" * 64).replace(b'"bytes": 5', b'"bytes": NaN'),
        "infinity": _card(good, "1" * 64).replace(b'"bytes": 5', b'"bytes": 1e999'),
        "big-number": _card(good, "1" * 64).replace(b'"bytes": 5', b'"bytes": ' + b"9" * 4000),
        "beyond-sqlite": _card(good, "1" * 64, bytes=1 << 70),
        "negative": _card(good, "1" * 64, bytes=-5),
        "twice": _card(good, "1" * 64).replace(b'"bytes": 5', b'"bytes": 5, "bytes": 6'),
        "list": b"[]",
        "text": b'"x"',
        "not-utf8": b'{"schema": 1, "x": "\xff"}',
        "surrogate": _card(good, "1" * 64, license="\ud800"),
        "nul": _card(good, "1" * 64, license="a\0b", tags=["\0"]),
        "void": b"",
        "terminal": _card(good, "1" * 64, license="\x1b]0;pwned\x07\x1b[2J", tags=["\x1b[31m"]),
        **{
            f"type-{key}": _card(good, "1" * 64, **{key: value})
            for key in ("schema", "hash", "path", "bytes", "media", "tags", "license", "meta", "preview", "provenance")
            for value in ([[1]] if key != "tags" else [{"a": 1}])
        },
        "mime": _card(good, "1" * 64, media={"mime": ["image/png"], "width": {"x": 1}}),
        "inputs": _card(good, "1" * 64, provenance={"id": "x", "inputs": {"loras": [1, {"name": []}], "positive": 5}}),
        "id": _card(good, "1" * 64, provenance={"id": "../../x\n", "inputs": {}}),
    }
    entries: Entries = {}
    for number, (name, text) in enumerate(texts.items()):
        path = f"assets/characters/{name}.png"
        hash_ = f"{number:02x}" * 32
        entries[path.encode()] = (LINK, _view(path, hash_))
        entries[f"{path}.asset.json".encode()] = (FILE, text.replace(b"1" * 64, hash_.encode()))
    return entries


def sidecars_that_are_links(outside: Path) -> Entries:
    """A sidecar that is a symlink, to a file outside and to git's own config, and one that is a folder."""
    entries: Entries = {}
    targets = {"out": b"../../../outside/card.asset.json", "config": b"../../.git/config"}
    for name, target in targets.items():
        path = f"assets/characters/{name}.png"
        entries[path.encode()] = (LINK, _view(path, "a" * 64))
        entries[f"{path}.asset.json".encode()] = (LINK, target)
    entries[b"assets/characters/dir.png"] = (LINK, _view("assets/characters/dir.png", "b" * 64))
    entries[b"assets/characters/dir.png.asset.json/x"] = (FILE, b"x")
    return entries


# -- folders that are links ---------------------------------------------------------------------------------------------


def _led(path: str, target: str) -> Callable[[Path], Entries]:
    return lambda outside: {path.encode(): (LINK, target.replace("OUTSIDE", str(outside)).encode())}


# -- the link to the store, and the settings -----------------------------------------------------------------------------


def store_file(outside: Path) -> Entries:
    """A file in the place of the link to the store."""
    return {b".comfyvn": (FILE, b"x")}


def store_folder(outside: Path) -> Entries:
    """A whole store in the place of the link, with an object of wrong bytes."""
    return {
        b".comfyvn/format": (FILE, b"1\n"),
        b".comfyvn/objects/aa/" + b"a" * 62: (FILE, b"other bytes"),
        b"assets/bg/a.png": (LINK, _view("assets/bg/a.png", "a" * 64)),
    }


def _config(text: str) -> Callable[[Path], Entries]:
    return lambda outside: {b".comfyvnconfig": (FILE, text.replace("OUTSIDE", str(outside)).encode())}


def config_that_commands(outside: Path) -> Entries:
    """Settings that name commands, places outside, and other files of settings."""
    touch = f"touch {outside}/pwned"
    text = f"""[comfyvn]
\tstore = {outside}/store
\tdbPath = {outside}/index.db
\tthumbsRoot = {outside}/thumbs
\tpython = "{touch}"
\tuser = "x\\ny"
\tviews = copy
[include]
\tpath = {outside}/gitconfig
[includeIf "gitdir:/"]
\tpath = {outside}/gitconfig
[core]
\thooksPath = {outside}/hooks
\tfsmonitor = "{touch}"
\tsshCommand = "{touch}"
\tpager = "{touch}"
[filter "comfyvn"]
\tprocess = "{touch}"
[alias]
\tcomfyvn = "!{touch}"
[comfyvn "remote.ext"]
\turl = "ext::{touch}"
[comfyvn "remote.up"]
\turl = ../outside/remote
[comfyvn "remote.host"]
\turl = "sftp://-oProxyCommand={touch}/x"
"""
    return {b".comfyvnconfig": (FILE, text.encode())}


# -- names -------------------------------------------------------------------------------------------------------------


def names(outside: Path) -> Entries:
    """Names that collide where case or Unicode's forms do not count, that control a terminal, that are options or globs."""
    odd = [
        "Alice.png",
        "ALICE.PNG",
        "caf\u00e9.png",
        "cafe\u0301.png",
        "new\nline.png",
        "tab\t.png",
        "\x1b[2Jclear.png",
        "\x07bell.png",
        "--help.png",
        "-rf",
        ":(top)x.png",
        "*.png",
        "[a].png",
        "$(touch pwned).png",
        "`touch pwned`.png",
        "'quote\".png",
        " space .png",
        "CON.png",
        "right\u202egnp.exe.png",
        "zero\u200bwidth.png",
        "x" * 244,
        "x" * 255,
        "y.asset.json.asset.json",
        ".asset.json",
        "a.comfyvn-tmp-1",
    ]
    entries: Entries = {}
    for number, name in enumerate(odd):
        path = f"assets/characters/{name}"
        hash_ = f"{number:02x}" * 32
        entries[path.encode()] = (LINK, _view(path, hash_))
        if len(name.encode()) <= 244:
            entries[f"{path}.asset.json".encode()] = (FILE, _card(path, hash_))
    entries[b"assets/characters/\xff\xfe.png"] = (LINK, _view("assets/characters/x", "e" * 64))
    entries[b"assets/Characters/alice.png"] = (LINK, _view("assets/characters/x", "e" * 64))
    return entries


def _named(*paths: bytes) -> Callable[[Path], Entries]:
    """Files of such names, some of which git itself refuses to check out."""
    return lambda outside: dict.fromkeys(paths, (EXECUTABLE, b"#!/bin/sh\ntouch pwned\n"))


# -- what others put where we write --------------------------------------------------------------------------------------


def mirror_files(outside: Path) -> Entries:
    """A mirror that git tracks: a file that is none of ours, one that looks like ours, a link."""
    return {
        b"assets/_meta/readme.txt": (FILE, b"theirs"),
        b"assets/_meta/characters/alice.json": (FILE, b'{"mine": true}'),
        b"assets/_meta/music": (LINK, b"../../../outside"),
        b"assets/_meta/gone.json": (FILE, _card("assets/x/gone.png", "a" * 64, path="gone.png")),
    }


def hooks(outside: Path) -> Entries:
    """Folders of hooks in the tree, as hook managers have them, that leave a trace when they run."""
    touch = f"#!/bin/sh\ntouch '{outside}/pwned'\n".encode()
    folders = (b"hooks", b".husky", b".husky/_", b".githooks", b"assets/hooks", b"comfyvn/hooks")
    kinds = (b"pre-commit", b"post-commit", b"post-checkout", b"pre-push", b"post-merge")
    entries: Entries = {folder + b"/" + kind: (EXECUTABLE, touch) for folder in folders for kind in kinds}
    entries[b"lefthook.yml"] = (FILE, f"pre-commit:\n  commands:\n    x:\n      run: touch {outside}/pwned\n".encode())
    entries[b"comfyvn_store.py"] = (FILE, f"open('{outside}/pwned', 'w')\n".encode())
    entries[b"comfyvn_store/__init__.py"] = (FILE, f"open('{outside}/pwned', 'w')\n".encode())
    entries[b"sitecustomize.py"] = (FILE, f"open('{outside}/pwned', 'w')\n".encode())
    entries[b"json.py"] = (FILE, f"open('{outside}/pwned', 'w')\n".encode())
    return entries


def gitlinks(outside: Path) -> Entries:
    """Submodules among the art, one with a sidecar, one in the place of a type, and their settings."""
    module = '[submodule "x"]\n\tpath = assets/sub\n\turl = ext::sh -c touch% pwned\n'
    return {
        b"assets/sub": (GITLINK, b"1" * 40),
        b"assets/characters/module.png": (GITLINK, b"2" * 40),
        b"assets/characters/module.png.asset.json": (FILE, _card("assets/characters/module.png", "a" * 64)),
        b".gitmodules": (FILE, module.encode()),
    }


def modules_that_command(outside: Path) -> Entries:
    """Settings of submodules with a command, which git refuses as a whole (git-submodule, `update`)."""
    module = f'[submodule "x"]\n\tpath = assets/sub\n\turl = ./x\n\tupdate = !touch {outside}/pwned\n'
    return {b"assets/sub": (GITLINK, b"1" * 40), b".gitmodules": (FILE, module.encode())}


def attributes(outside: Path) -> Entries:
    """Attributes that hand the art to other filters and drivers."""
    text = b"* filter=evil diff=evil merge=evil\n*.png filter=comfyvn-sidecar\n*.asset.json filter=comfyvn\n"
    return {b"assets/characters/.gitattributes": (FILE, text), b"assets/.gitattributes": (FILE, text)}


def crowd(count: int) -> Callable[[Path], Entries]:
    """A folder with very many assets whose bytes are nowhere."""
    same = _view("assets/crowd/x", "a" * 64)
    return lambda outside: {f"assets/crowd/{number:07}.png".encode(): (LINK, same) for number in range(count)}


CORPUS = (
    Hostile("links", links),
    Hostile("sidecars", sidecars),
    Hostile("sidecars-that-are-links", sidecars_that_are_links),
    Hostile("assets-outside", _led("assets", "OUTSIDE")),
    Hostile("assets-up", _led("assets", "../outside")),
    Hostile("assets-git", _led("assets", ".git")),
    Hostile("assets-store", _led("assets", ".git/comfyvn")),
    Hostile("type-outside", _led("assets/characters", "OUTSIDE")),
    Hostile("own-type-outside", _led("assets/own", "OUTSIDE")),
    Hostile("type-git", _led("assets/own", "../.git/hooks")),
    Hostile("assets-file", lambda outside: {b"assets": (FILE, b"x")}),
    Hostile("store-file", store_file),
    Hostile("store-folder", store_folder),
    Hostile("store-link", _led(".comfyvn", "OUTSIDE")),
    Hostile("store-link-git", _led(".comfyvn", ".git")),
    Hostile("config-link", _led(".comfyvnconfig", "OUTSIDE/gitconfig")),
    Hostile("config-commands", config_that_commands),
    Hostile("config-root-up", _config("[comfyvn]\n\tassetsRoot = ../outside\n")),
    Hostile("config-root-absolute", _config("[comfyvn]\n\tassetsRoot = OUTSIDE\n")),
    Hostile("config-root-git", _config("[comfyvn]\n\tassetsRoot = .GIT/hooks\n")),
    Hostile("config-root-store", _config("[comfyvn]\n\tassetsRoot = .comfyvn\n")),
    Hostile("config-root-inside-store", _config("[comfyvn]\n\tassetsRoot = .comfyvn/objects\n")),
    Hostile("config-broken", _config("[comfyvn\n\0\xff")),
    Hostile("names", names),
    Hostile("names-git", _named(b"assets/.git/hooks/pre-commit", b"assets/.GIT/config")),
    Hostile("names-git-short", _named(b"git~1/hooks/pre-commit")),
    Hostile("names-git-unicode", _named(b".g\xe2\x80\x8cit/hooks/pre-commit", b"assets/.git\xe2\x80\x8b/config")),
    Hostile("names-dots", _named(b"assets/../../outside/pwned")),
    Hostile("cache-link", _led("cache", "OUTSIDE")),
    Hostile("thumbs-link", _led("cache/thumbs", "../../outside/thumbs")),
    Hostile("thumbs-link-git", _led("cache/thumbs", "../.git/hooks")),
    Hostile("mirror-files", mirror_files),
    Hostile("mirror-link", _led("assets/_meta", "../../outside")),
    Hostile("mirror-file", lambda outside: {b"assets/_meta": (FILE, b"x")}),
    Hostile("hooks", hooks),
    Hostile("gitlinks", gitlinks),
    Hostile("gitlink-root", lambda outside: {b"assets": (GITLINK, b"1" * 40)}),
    Hostile("modules-that-command", modules_that_command),
    Hostile("attributes", attributes),
    Hostile("attributes-link", _led("assets/.gitattributes", "../../outside/attributes")),
    Hostile("attributes-folder", lambda outside: {b"assets/.gitattributes/x": (FILE, b"x")}),
    Hostile("crowd", crowd(FEW)),
)
