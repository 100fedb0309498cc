"""`import` of manifests: what columns say, and what a hostile or broken one is answered, with the line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.gitrepo import GitRepo
from tests.media import png
from tests.test_import import bring, put


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return put(tmp_path / "pack", {"a.png": png(8, 8, 1), "sub/b.png": png(8, 8, 2), "c.png": png(8, 8, 3)})


def left(report: dict[str, Any]) -> dict[int, str]:
    return {each["line"]: each["reason"] for each in report["left"]}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("parted", [",", ";", "\t"])
def test_a_table(store_repo: GitRepo, pack: Path, mark: str, parted: str) -> None:
    rows = [
        ["path", "type", "name", "tags", "license", "source", "meta.mood", "input.seed", "artist"],
        ["a.png", "characters", "mira/happy.png", '"heroine,school"', "CC-BY-4.0", "krita", "glad", "42", "Mika"],
        ["sub/b.png", "backgrounds", "", "", "", "", "", "", ""],
    ]
    put(pack, {"list.csv": mark + "\r\n".join(parted.join(row) for row in rows)})
    report = bring(store_repo, pack / "list.csv")
    assert report["counts"]["added"] == 2 and report["sources"][0]["as"] == "manifest"
    card = store_repo.sidecar("assets/characters/mira/happy.png")
    assert (card["tags"], card["license"]) == (["heroine", "school"], "CC-BY-4.0")
    assert card["meta"] == {"mood": "glad", "artist": "Mika"}
    assert card["provenance"]["source"] == "krita" and card["provenance"]["inputs"] == {"seed": 42}
    bare = store_repo.sidecar("assets/backgrounds/sub/b.png")
    assert (bare["tags"], bare["license"], bare["meta"]) == ([], None, {})


@pytest.mark.parametrize("form", ["list", "object", "lines"])
def test_a_list(store_repo: GitRepo, pack: Path, form: str) -> None:
    items: list[Any] = [
        {"path": "a.png", "type": "t", "tags": ["x", "y"], "meta": {"deep": [1, {"k": None}]}, "inputs": {"seed": 7}},
        {"path": "c.png", "type": 7},
    ]
    name = "list.jsonl" if form == "lines" else "list.json"
    if form == "lines":
        text = "\n".join(map(json.dumps, items))
    else:
        text = json.dumps({"pack": 1, "assets": items} if form == "object" else items, indent=1)
    put(pack, {name: text})
    report = bring(store_repo, pack / name, code=1)
    card = store_repo.sidecar("assets/t/a.png")
    assert card["tags"] == ["x", "y"] and card["meta"] == {"deep": [1, {"k": None}]}
    assert card["provenance"]["inputs"] == {"seed": 7}
    (line, reason), *_ = left(report).items()
    assert reason == "its type is a int" and text.splitlines()[line - 1].lstrip().startswith("{")


HOSTILE = [
    ("../secret.png", "leads out"),
    ("sub/../../secret.png", "leads out"),
    ("/etc/passwd", "absolute"),
    ("C:\\art\\x.png", "backslash"),
    ("C:x.png", "absolute"),
    ("out.png", "a link leads out"),
    ("folder/x.png", "a link leads out"),
    ("sub", "a folder"),
    ("gone.png", "no such file"),
    ("", "names no path"),
    ("pipe.png", "ordinary file"),
]


@pytest.mark.parametrize(("path", "reason"), HOSTILE)
def test_a_path_that_leads_elsewhere_is_left_with_its_line(
    store_repo: GitRepo, pack: Path, tmp_path: Path, path: str, reason: str
) -> None:
    put(tmp_path, {"secret.png": png(8, 8, 9), "elsewhere/x.png": png(8, 8, 8)})
    (pack / "out.png").symlink_to(tmp_path / "secret.png")
    (pack / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(pack / "pipe.png")
    put(pack, {"list.csv": f"path,type,tags\na.png,t,x\n{path},t,x\nsub/b.png,t,\n"})
    report = bring(store_repo, pack / "list.csv", code=1)
    assert list(left(report)) == [3] and reason in left(report)[3]
    assert report["counts"]["added"] == 2


@pytest.mark.parametrize(
    "name",
    ["CON.png", "aux", "nul.tar.gz", "a:b.png", "x?.png", "dot.", "space ", "folder./x.png", "../x.png", "_meta/../x"],
)
def test_a_name_that_not_every_system_has_is_left(store_repo: GitRepo, pack: Path, name: str) -> None:
    put(pack, {"list.csv": f"path,type,name\na.png,t,{name}\n"})
    report = bring(store_repo, pack / "list.csv", code=1)
    assert list(left(report)) == [2] and report["counts"]["added"] == 0


def test_nul_and_what_is_no_utf_8_are_said_with_their_lines(store_repo: GitRepo, pack: Path) -> None:
    text = b"path,type\na.png,t\nx\xff.png,t\nsub/b.png,t\nc.png,t\xe9\n"
    (pack / "list.csv").write_bytes(text)
    report = bring(store_repo, pack / "list.csv", code=1)
    assert left(report) == {3: "it is not UTF-8", 5: "it is not UTF-8"} and report["counts"]["added"] == 2
    put(pack, {"nul.json": '[{"path": "a\\u0000.png", "type": "t"}]'})
    assert left(bring(store_repo, pack / "nul.json", code=1)) == {1: "its path holds a NUL"}


def test_rows_that_say_the_same_file_twice(store_repo: GitRepo, pack: Path) -> None:
    put(pack, {"list.csv": "path,type\na.png,t\n./a.png,t\na.png,other\n"})
    report = bring(store_repo, pack / "list.csv", code=1)
    assert "line 2 says the same file" in left(report)[3]
    assert report["counts"]["added"] == 2 and len(report["duplicates"]) == 1


def test_a_cell_with_lines_in_it_keeps_the_count_of_lines(store_repo: GitRepo, pack: Path) -> None:
    put(pack, {"list.csv": 'path,type,meta.note\na.png,t,"one\ntwo\nthree"\ngone.png,t,\n'})
    report = bring(store_repo, pack / "list.csv", code=1)
    assert list(left(report)) == [5]
    assert store_repo.sidecar("assets/t/a.png")["meta"] == {"note": "one\ntwo\nthree"}


def test_a_row_without_a_type(store_repo: GitRepo, pack: Path) -> None:
    put(pack, {"list.csv": "path,type\na.png,\nc.png,t\n"})
    report = bring(store_repo, pack / "list.csv", code=1)
    assert list(left(report)) == [2] and "--type" in left(report)[2]
    assert bring(store_repo, pack / "list.csv", "--type", "u")["counts"]["added"] == 2


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("list.csv", b"", "list.csv:1: the manifest is empty"),
        ("list.csv", b"name,kind\nx,y\n", "list.csv:1: there is no column 'path' (columns: name, kind)"),
        ("list.csv", b"path,type,path\nx,y,z\n", "the column 'path' is there twice"),
        ("list.csv", "path,type\na.png,t\n".encode("utf-16"), "is in UTF-16"),
        ("list.json", b"{}", "holds no list of assets"),
        ("list.json", b'[\n{"path": "a.png", "type": "t"},\n{"path": ]', "list.json:3: the manifest is no JSON"),
        ("list.json", b'[\n{"path": "\xff.png"}]', "list.json:2: the manifest is not UTF-8"),
        ("list.json", b"[" * 100_000, "no JSON"),
    ],
)
def test_a_manifest_that_is_none(store_repo: GitRepo, pack: Path, name: str, data: bytes, said: str) -> None:
    (pack / name).write_bytes(data)
    done = store_repo.tool("import", str(pack / name), check=False)
    assert done.code == 2 and said in done.err and "Traceback" not in done.err


def test_lines_that_are_no_json_are_left_and_others_read(store_repo: GitRepo, pack: Path) -> None:
    put(pack, {"list.jsonl": '{"path": "a.png", "type": "t"}\n{\n\n[1]\n{"path": "c.png", "type": "t", "path": "x"}\n'})
    report = bring(store_repo, pack / "list.jsonl", code=1)
    assert set(left(report)) == {2, 4, 5} and report["counts"]["added"] == 1
