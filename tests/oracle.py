"""What must hold of a repository with art, worked out from git and the disk alone, for comparing with what the tool says."""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from tests.gitrepo import GitRepo

SUFFIX = ".asset.json"
_LINK = re.compile(r"((?:\.\./)+)\.comfyvn/objects/([0-9a-f]{2})/([0-9a-f]{62})\Z")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def link_text(path: str, hash_: str) -> str:
    """The link of an asset at a top-relative path."""
    return "../" * path.count("/") + f".comfyvn/objects/{hash_[:2]}/{hash_[2:]}"


def linked_hash(text: str) -> str | None:
    """The hash that a link's text names."""
    found = _LINK.match(text)
    return found[2] + found[3] if found else None


def introductions(repo: GitRepo, *tips: str) -> dict[str, str]:
    """The commit of each provenance record: the first of `rev-list --topo-order --reverse` with a sidecar that has the
    record's id and differs from that of every parent."""
    if not repo.git("rev-parse", "--verify", "--quiet", "HEAD", check=False).out:
        return {}
    order = repo.git("rev-list", "--topo-order", "--reverse", *(tips or ("HEAD",))).out
    words = ["diff-tree", "--stdin", "-r", "-c", "--root", "--no-renames", "--no-abbrev", "-z"]
    listing = repo.git(*words, input=order + "\n")
    brought: list[tuple[str, str]] = []
    commit = ""
    fields = iter(listing.out.split("\0"))
    for field in fields:
        if not field.startswith(":"):
            commit = field
            continue
        path = next(fields)
        words = field.lstrip(":").split(" ")
        parents = len(field) - len(field.lstrip(":"))
        oid = words[2 * parents + 1]
        if path.endswith(SUFFIX) and oid.strip("0"):
            brought.append((oid, commit))
    texts = read_blobs(repo, (oid for oid, _ in brought))
    found: dict[str, str] = {}
    for oid, commit in brought:
        id_ = _record_id(texts[oid])
        if id_:
            found.setdefault(id_, commit)
    return found


def _record_id(data: bytes) -> str | None:
    try:
        value = json.loads(data)
        id_ = value["provenance"]["id"]
    except (ValueError, KeyError, TypeError):
        return None
    return id_ if isinstance(id_, str) else None


# An object's id tells its bytes, in whatever repository.
_READ: dict[str, bytes] = {}


def read_blobs(repo: GitRepo, oids: Iterable[str]) -> dict[str, bytes]:
    """The bytes of those of these objects that are blobs, in one process for all that were not read before."""
    wanted = set(oids)
    missing = sorted(wanted - _READ.keys())
    data = b""
    if missing:
        data = repo.git("cat-file", "--batch", "--buffer", input="".join(f"{oid}\n" for oid in missing)).stdout
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        oid, kind, size = data[at:end].decode("ascii").split(" ")
        if kind == "blob":
            _READ[oid] = data[end + 1 : end + 1 + int(size)]
        at = end + int(size) + 2
    return {oid: _READ[oid] for oid in wanted if oid in _READ}


def index_entries(repo: GitRepo, root: str = "assets") -> list[tuple[str, tuple[str, str, str]]]:
    """Path and (mode, object id, stage) of each entry below a folder in git's index."""
    found = []
    for item in repo.git("ls-files", "--stage", "-z", "--", root).out.split("\0")[:-1]:
        about, path = item.split("\t", 1)
        mode, oid, stage = about.split(" ")
        found.append((path, (mode, oid, stage)))
    return found


def assets(repo: GitRepo, root: str = "assets") -> dict[str, tuple[str, str, str]]:
    """Mode, blob text and object id of each entry below the assets root in git's index that holds a link."""
    entries = [
        (path, *about)
        for path, about in index_entries(repo, root)
        if about[2] == "0" and not path.endswith(SUFFIX) and not os.path.basename(path).startswith(".")
    ]
    texts = read_blobs(repo, (oid for _, _, oid, _ in entries))
    found = {}
    for path, mode, oid, _ in entries:
        text = texts[oid].decode("utf-8", "replace")
        if linked_hash(text):
            found[path] = (mode, text, oid)
    return found


def unfinished(repo: GitRepo) -> set[str]:
    """The assets in git's index that are no links yet, or have no sidecar that speaks of their bytes."""
    cards = {path: about[1] for path, about in index_entries(repo) if path.endswith(SUFFIX) and about[2] == "0"}
    texts = read_blobs(repo, cards.values())
    found = set()
    for path, (mode, text, _) in assets(repo).items():
        card = texts.get(cards.get(path + SUFFIX, ""))
        if mode != "120000" or card is None or json.loads(card)["hash"] != linked_hash(text):
            found.add(path)
    return found


def check_views(repo: GitRepo, edited: Collection[str] = ()) -> None:
    """Every link that git has leads to bytes with the hash that it names; of those `edited` or deleted on the disk, only
    what is staged counts."""
    for path, (mode, text, _) in assets(repo).items():
        assert mode == "120000", path
        assert text == link_text(path, linked_hash(text) or ""), path
        if path in edited:
            continue
        assert repo.link(path) == text
        assert digest(repo.read(path)) == linked_hash(text), path


def check_commits(
    repo: GitRepo, without_record: Collection[str] = (), deleted: Collection[str] = (), misplaced: Collection[str] = ()
) -> None:
    """The sidecars on disk, the index and git agree on the commit that brought each record.

    Assets `without_record` are those that git has without a sidecar of their bytes; nothing is said of them then. What is
    `deleted` on the disk alone, view or sidecar, is not listed, or has no sidecar to compare. The sidecar of a
    `misplaced` one says the path that it was moved away from.
    """
    expected = introductions(repo)
    listed = {each["view"]: each for each in repo.tool("list", "--json").json()}
    assert sorted(listed) == sorted(set(assets(repo)) - set(deleted))
    for path in listed:
        if path in without_record:
            assert (path, listed[path]["provenance"], listed[path]["commit"]) == (path, None, None)
            continue
        if path + SUFFIX in deleted:
            continue
        sidecar = repo.sidecar(path)
        inside = path.removeprefix("assets/")
        if path in misplaced:
            assert sidecar["path"] != inside
            inside = sidecar["path"]
        assert (sidecar["path"], sidecar["type"]) == (inside, inside.split("/")[0] if "/" in inside else "generic")
        on_disk = sidecar["provenance"]
        wanted = expected.get(on_disk["id"])
        assert (path, listed[path]["provenance"]["id"]) == (path, on_disk["id"])
        assert (path, listed[path]["commit"]) == (path, wanted), "the index"
        assert (path, on_disk["commit"]) == (path, wanted), "the sidecar on disk"


def check_all(repo: GitRepo, status: list[str] | None = None) -> None:
    """All of it, and a clean `git status` (or the one given) before and after the tool looked."""
    assert repo.status() == (status or [])
    check_views(repo)
    check_commits(repo)
    assert repo.status() == (status or [])


def raw_blobs(repo: GitRepo, tree: str = "HEAD", root: str = "assets") -> list[str]:
    """The paths below the assets root of a tree that are neither links, sidecars nor attributes."""
    found = []
    for item in repo.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", root).out.split("\0")[:-1]:
        about, path = item.split("\t", 1)
        data = read_blobs(repo, [oid := about.split(" ")[2]])[oid]
        if not path.endswith((SUFFIX, ".gitattributes")) and not linked_hash(data.decode("utf-8", "replace")):
            found.append(path)
    return found


def index_path(repo: GitRepo) -> Path:
    return Path(repo.tool("db").out)


def index_content(path: Path) -> dict[str, list[Any]]:
    """The rows of each table of an index, asset ids as paths, without local row ids and `thumb`."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        paths = dict(db.execute("SELECT id, path FROM assets_registry"))
        records = dict(db.execute("SELECT number, id FROM provenance"))
        tables = {}
        for name in ("assets_registry", "provenance", "commits", "commit_assets", "introductions", "repeated"):
            cursor = db.execute(f"SELECT * FROM {name}")
            columns = [each[0] for each in cursor.description]
            rows = [dict(zip(columns, row, strict=True)) for row in cursor]
            for row in rows:
                row.pop("thumb", None)
                if name == "assets_registry":
                    row.pop("id")
                    row["record"] = records.get(row["record"])
                row.pop("number", None)
                if "asset_id" in row:
                    row["asset_id"] = paths.get(row["asset_id"])
            tables[name] = sorted((sorted(row.items()) for row in rows), key=repr)
        search = db.execute("SELECT rowid, * FROM assets_fts").fetchall()
        tables["assets_fts"] = sorted(([paths[row[0]], *row[1:]] for row in search), key=repr)
        search = db.execute("SELECT rowid, * FROM past_fts").fetchall()
        tables["past_fts"] = sorted(([records[row[0]], *row[1:]] for row in search), key=repr)
        uses = db.execute(
            "SELECT u.record, u.place, n.kind, n.name, n.stem, u.strength FROM uses u JOIN names n ON n.id = u.name"
        )
        tables["uses"] = sorted(([records[row[0]], *row[1:]] for row in uses), key=repr)
        labels = db.execute("SELECT l.owner, n.kind, n.name FROM labels l JOIN names n ON n.id = l.name").fetchall()
        owners = {**paths, **{-number: id_ for number, id_ in records.items()}}
        tables["labels"] = sorted(([owners[row[0]], *row[1:]] for row in labels), key=repr)
        tables["ingredients"] = sorted(db.execute("SELECT * FROM ingredients").fetchall(), key=repr)
        return tables
    finally:
        db.close()


def check_index(repo: GitRepo, scratch: Path) -> None:
    """The index as it came about step by step has the content of one that is made from nothing."""
    repo.tool("list")
    usual = repo.path / ".git/comfyvn/index.db"
    stepwise = index_content(usual if usual.exists() else index_path(repo))
    other = scratch / "rebuilt.db"
    for old in scratch.glob("rebuilt.db*"):
        old.unlink()
    repo.tool("rebuild", "--db-path", str(other), "--no-previews", check=False)
    anew = index_content(other)
    for name in anew:
        assert stepwise[name] == anew[name], name
