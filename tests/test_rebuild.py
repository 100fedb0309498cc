"""`rebuild`: the index from nothing, and every finding named; nothing of the user's is touched."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, png, wav
from tests.templates import copied

A, B, V = "assets/characters/a.png", "assets/characters/b.png", "assets/voice/v.wav"
SEED_QUERY = """SELECT p.id, a.uid, p.source, p.workflow_hash, p.created_at FROM provenance p
    JOIN assets_registry a ON a.id = p.asset_id ORDER BY p.id DESC LIMIT 10;"""


def make_art(repo: GitRepo) -> None:
    """Two commits: two pictures and a sound, then another version of the first picture."""
    repo.write(A, comfy_png(1))
    repo.write(B, comfy_png(2))
    repo.write(V, wav())
    repo.git("add", "assets")
    repo.commit("art")
    repo.write(A, comfy_png(3))
    repo.git("add", "assets")
    repo.commit("another alice")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    """A copy of the repository of `make_art`, without a preview worker."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def rebuild(repo: GitRepo, *words: str, code: int = 0, previews: bool = False, cwd: str = ".") -> dict[str, Any]:
    done = repo.tool("rebuild", "--json", *words, *(() if previews else ("--no-previews",)), check=False, cwd=cwd)
    assert done.code == code, done.err + done.out
    found: dict[str, Any] = done.json()
    return found


def content(repo: GitRepo, path: str | None = None) -> dict[str, list[Any]]:
    """What the index says, without local row ids and previews."""
    index = sqlite3.connect(path or repo.tool("db").out)
    try:
        return {
            "assets": index.execute(
                "SELECT path, uid, hash, type, bytes, mime, source_hash, license, tags, meta, created_at, commit_hash"
                " FROM assets_registry ORDER BY path"
            ).fetchall(),
            "provenance": index.execute(
                "SELECT p.id, a.path, p.hash, p.path, p.source, p.workflow_hash, p.commit_hash, p.inputs, p.parent"
                " FROM provenance p LEFT JOIN assets_registry a ON a.id = p.asset_id ORDER BY p.id"
            ).fetchall(),
            "commits": index.execute("SELECT * FROM commits ORDER BY hash").fetchall(),
            "changes": index.execute("SELECT * FROM commit_assets ORDER BY commit_hash, path").fetchall(),
        }
    finally:
        index.close()


def test_everything_derived_comes_back_after_it_was_deleted(art: GitRepo) -> None:
    art.tool("rebuild")
    before, ledger = content(art), art.tool("provenance", "--json").json()
    mirror = art.read("assets/_meta/characters/a.json")
    thumbs = sorted(path.name for path in (art.path / "cache/thumbs").iterdir())
    shutil.rmtree(art.path / "cache")
    shutil.rmtree(art.path / "assets" / "_meta")
    for path in Path(art.path / ".git" / "comfyvn").glob("index.db*"):
        path.unlink()
    found = rebuild(art, previews=True)
    assert (found["assets"], found["records"], found["commits"], found["previews"]) == (3, 4, 2, 3)
    assert content(art) == before and art.tool("provenance", "--json").json() == ledger
    assert art.read("assets/_meta/characters/a.json") == mirror == art.read(f"{A}.asset.json")
    assert sorted(path.name for path in (art.path / "cache/thumbs").iterdir()) == thumbs
    assert art.status() == []


def test_a_second_rebuild_changes_nothing(art: GitRepo) -> None:
    art.tool("rebuild")
    before = content(art)
    times = {path: path.lstat().st_mtime_ns for path in art.path.glob("[ac]*/**/*") if not path.is_dir()}
    index = (art.path / ".git" / "index").read_bytes()
    found = rebuild(art, previews=True)
    assert found["previews"] == 0 and found["removed"] == 0
    assert content(art) == before and (art.path / ".git" / "index").read_bytes() == index
    assert {path: path.lstat().st_mtime_ns for path in times} == times


def test_the_index_answers_the_question_of_old(art: GitRepo) -> None:
    index = sqlite3.connect(art.tool("db").out)
    rows = index.execute(SEED_QUERY).fetchall()
    index.close()
    ledger = [each for each in art.tool("provenance", "--json").json() if each["parent"] or each["path"] != "a.png"]
    newest = art.sidecar(A)["provenance"]
    assert rows[0] == (newest["id"], art.sidecar(A)["uid"], "comfyui", newest["workflow_hash"], newest["created_at"])
    assert len(rows) == 3 and len(ledger) == 4


def test_text_names_every_asset_with_verbose_only(art: GitRepo) -> None:
    assert A not in art.tool("rebuild", "--no-previews").out
    done = art.tool("rebuild", "--no-previews", "--verbose")
    assert all(path in done.out for path in (A, B, V)) and art.sidecar(A)["uid"] in done.out
    assert done.out.splitlines()[-1] == "3 assets, 4 provenance records, 2 commits"


def test_without_previews_none_is_made(art: GitRepo) -> None:
    assert rebuild(art)["previews"] == 0
    assert not (art.path / "cache").exists()


# -- where the index is --------------------------------------------------------------------------------------------


def test_the_old_form_of_the_command_works_and_git_stays_clean(art: GitRepo) -> None:
    found = rebuild(art, "--assets-dir", "assets", "--db-path", "comfyvn/data/comfyvn.db")
    assert found["assets"] == 3
    place = art.path / "comfyvn" / "data" / "comfyvn.db"
    assert content(art, str(place)) == content(art)
    assert art.status() == []
    art.tool("init")
    art.tool("rebuild", "--db-path", "comfyvn/data/comfyvn.db")
    assert art.status() == []


def test_options_are_relative_to_where_one_stands(art: GitRepo) -> None:
    found = rebuild(art, "--assets-dir", ".", "--db-path", "../other.db", cwd="assets")
    assert found["assets"] == 3 and (art.path / "other.db").is_file()


def test_another_assets_dir_has_other_assets(art: GitRepo) -> None:
    assert rebuild(art, "--assets-dir", "elsewhere", "--db-path", ".git/other.db")["assets"] == 0
    assert art.tool("rebuild", "--assets-dir", "..", check=False).code == 20


def foreign_database(path: Path, version: int, table: str = "bookmarks") -> bytes:
    index = sqlite3.connect(path)
    index.execute(f"CREATE TABLE {table}(url)")
    index.execute(f"INSERT INTO {table} VALUES ('https://example.com')")
    index.execute(f"PRAGMA user_version = {version}")
    index.commit()
    index.close()
    return path.read_bytes()


@pytest.mark.parametrize("version", [0, 1, 5, 99])
def test_another_programs_database_is_refused_and_untouched(art: GitRepo, version: int) -> None:
    place = art.path / ".git" / "theirs.sqlite"
    before = foreign_database(place, version)
    done = art.tool("rebuild", "--no-previews", "--db-path", str(place), check=False)
    assert done.code == 20 and "another program's database" in done.err
    assert place.read_bytes() == before


@pytest.mark.parametrize("data", [png(64, 64, noise=True), b"", b"notes\n" * 100, b"SQLite format 3\0" + b"\0" * 200])
def test_a_file_that_is_no_database_is_never_destroyed(art: GitRepo, data: bytes) -> None:
    folder = art.path / ".git" / "derived"
    folder.mkdir()
    (folder / "index.db").write_bytes(data)
    art.tool("rebuild", "--no-previews", "--db-path", str(folder / "index.db"), check=False)
    assert not data or data in [path.read_bytes() for path in folder.iterdir()]


@pytest.mark.parametrize("data", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\0" * 4096])
def test_a_damaged_index_is_made_anew_and_it_says_so(art: GitRepo, data: bytes) -> None:
    before = content(art)
    place = Path(art.tool("db").out)
    for path in place.parent.glob("index.db*"):
        path.unlink()
    place.write_bytes(data)
    done = art.tool("list", "--json")
    assert len(done.json()) == 3 and content(art) == before
    assert "Traceback" not in done.err and ("anew" in done.err) == bool(data)


def test_a_truncated_index_is_made_anew(art: GitRepo) -> None:
    before = content(art)
    place = Path(art.tool("db").out)
    for path in place.parent.glob("index.db-*"):
        path.unlink()
    with open(place, "r+b") as stream:
        stream.truncate(place.stat().st_size // 2)
    for _ in range(2):
        done = art.tool("rebuild", check=False)
        assert done.code == 0, done.err
    assert content(art) == before


# -- objects -------------------------------------------------------------------------------------------------------


def flip_a_byte(path: Path) -> None:
    """Changes an object as nothing but its bytes can show: same size, mode and time."""
    info = path.stat()
    path.chmod(0o644)
    with open(path, "r+b") as stream:
        stream.seek(info.st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(info.st_size // 2)
        stream.write(bytes([byte ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_verify_finds_a_flipped_byte_and_names_the_asset(art: GitRepo) -> None:
    rebuild(art)
    flip_a_byte(art.object_path(art.sidecar(B)["hash"]))
    assert rebuild(art)["problems"] == []
    found = rebuild(art, "--verify", code=1)
    assert found["verified"] == 4
    assert [each["path"] for each in found["problems"]] == [B]
    assert "damaged" in found["problems"][0]["reason"]
    done = art.tool("rebuild", "--verify", check=False)
    assert done.code == 1 and B in done.out


def test_verify_hashes_the_objects_of_older_versions_too(art: GitRepo) -> None:
    old = art.tool("provenance", "--json", A).json()[1]
    flip_a_byte(art.object_path(old["hash"]))
    found = rebuild(art, "--verify", code=1)
    assert len(found["problems"]) == 1 and A in found["problems"][0]["path"]


def test_a_missing_object_is_named(art: GitRepo) -> None:
    art.object_path(art.sidecar(V)["hash"]).unlink()
    found = rebuild(art, code=1)
    assert [each["path"] for each in found["problems"]] == [V] and found["assets"] == 3
    assert art.tool("show", "--json", V).json()["present"] is False


# -- what is gone, what is new -------------------------------------------------------------------------------------


def test_rows_of_vanished_files_go_and_their_sidecars_stay(art: GitRepo) -> None:
    (art.path / B).unlink()
    assert [each["view"] for each in art.tool("list", "--json").json()] == [A, V]
    rebuild(art)
    assert (art.path / f"{B}.asset.json").is_file()
    assert art.tool("status", "--json").json()["vanished"] == [B]
    art.git("checkout", "--", B)
    assert len(art.tool("list", "--json").json()) == 3


def test_rows_of_files_that_vanished_since_are_counted(art: GitRepo) -> None:
    art.tool("list")
    (art.path / B).unlink()
    assert rebuild(art)["removed"] == 1
    assert rebuild(art)["removed"] == 0


def test_sidecars_missing_on_disk_are_restored_from_git(art: GitRepo) -> None:
    text = art.read(f"{A}.asset.json")
    for path in (A, V):
        (art.path / f"{path}.asset.json").unlink()
    art.tool("list")
    assert not (art.path / f"{A}.asset.json").exists(), "deleting it may be an edit"
    rebuild(art)
    assert art.read(f"{A}.asset.json") == text and art.status() == []


def test_a_sidecar_that_cannot_be_restored_now_is_named(art: GitRepo) -> None:
    (art.path / f"{A}.asset.json").unlink()
    lock = art.path / ".git" / "index.lock"
    lock.touch()
    found = rebuild(art, code=1)
    assert [each["path"] for each in found["problems"]] == [f"{A}.asset.json"]
    lock.unlink()
    assert rebuild(art)["problems"] == [] and art.status() == []


def test_no_sidecar_is_made_for_an_asset_that_git_has_without_one(art: GitRepo) -> None:
    art.write("assets/ui/u.png", png())
    art.git("add", "assets")
    art.git("commit", "-q", "--no-verify", "-m", "no hooks")
    assert rebuild(art)["assets"] == 4
    assert not (art.path / "assets/ui/u.png.asset.json").exists()
    assert art.tool("show", "--json", "assets/ui/u.png").json()["provenance"] is None


def test_files_not_added_yet_are_named_and_left_alone(art: GitRepo) -> None:
    with open(art.path / "assets" / ".gitattributes", "a") as stream:
        stream.write("*.txt -filter\n")
    art.write("assets/new/n.png", png())
    art.write("assets/new/notes.txt", b"mine")
    art.write("assets/new/empty.png", b"")
    art.write("assets/new/.hidden", b"x")
    found = rebuild(art)
    assert found["untracked"] == ["assets/new/n.png"] and found["assets"] == 3
    assert art.read("assets/new/n.png") == png()
    assert "assets/new/n.png" in art.tool("rebuild").out


def test_register_takes_them_in_and_names_what_it_could_not_take(art: GitRepo) -> None:
    art.write("assets/new/n.png", png())
    art.write("assets/new/o.png", png(seed=2))
    art.write("assets/new/o.png.asset.json", b"{ broken")
    art.write("assets/new/" + "l" * 250, png(seed=3))
    found = rebuild(art, "--register", code=1)
    assert found["registered"] == ["assets/new/n.png"] and found["assets"] == 4
    assert {each["path"] for each in found["problems"]} == {"assets/new/o.png", "assets/new/" + "l" * 250}
    assert (art.path / "assets/new/n.png").is_symlink() and not (art.path / "assets/new/o.png").is_symlink()
    assert art.read("assets/new/o.png.asset.json") == b"{ broken"
    assert art.sidecar("assets/new/n.png")["provenance"]["source"] == "manual"


def test_register_has_nothing_to_do_the_second_time(art: GitRepo) -> None:
    art.write("assets/new/n.png", png())
    rebuild(art, "--register")
    assert rebuild(art, "--register")["registered"] == []


# -- sidecars that are broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"{ broken", b"[]", b"\xff\xfe", b"{}", b'{"schema": 2}'])
def test_a_sidecar_broken_on_disk_is_named_and_left_untouched(art: GitRepo, text: bytes) -> None:
    art.write(f"{A}.asset.json", text)
    found = rebuild(art, code=1)
    assert [each["path"] for each in found["problems"]] == [f"{A}.asset.json"]
    assert art.read(f"{A}.asset.json") == text and found["assets"] == 3
    assert len(art.tool("list", "--json").json()) == 3
    assert art.tool("status", "--json").json()["problems"][0]["path"] == A


def test_a_sidecar_broken_in_git_is_named_and_left_untouched(art: GitRepo) -> None:
    art.write(f"{A}.asset.json", b'{"schema": 1, "tags": "no list"}')
    art.git("add", "assets")
    done = art.git("commit", "-m", "broken")
    assert f"{A}" in done.err, "the hook names it and does not stop the commit"
    found = rebuild(art, code=1)
    assert len(found["problems"]) == 1 and A in found["problems"][0]["path"]
    assert art.read(f"{A}.asset.json") == b'{"schema": 1, "tags": "no list"}'
    assert art.blob(f"HEAD:{A}.asset.json") == b'{"schema": 1, "tags": "no list"}'
    shown = art.tool("show", "--json", A).json()
    assert shown["provenance"] is None and "broken" in shown["problem"]


# -- at the same time ----------------------------------------------------------------------------------------------


def start(repo: GitRepo, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "comfyvn_store", *words]
    return subprocess.Popen(command, cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_rebuilds_at_once_both_succeed(art: GitRepo) -> None:
    before = content(art)
    running = [start(art, "rebuild", "--json") for _ in range(3)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode() + out.decode()
    assert content(art) == before and art.status() == []


def test_readers_during_a_rebuild_see_all_or_nothing_missing(art: GitRepo) -> None:
    art.tool("list")
    running = [start(art, *words) for words in (("rebuild",), ("list", "--json"), ("rebuild",), ("list", "--json"))]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        if out.startswith(b"["):
            assert len(json.loads(out)) == 3


def test_a_reader_is_not_stopped_by_a_write_that_takes_long(art: GitRepo) -> None:
    art.tool("list")
    index = sqlite3.connect(art.tool("db").out, isolation_level=None)
    index.execute("BEGIN IMMEDIATE")
    index.execute("DELETE FROM assets_registry")
    assert len(art.tool("list", "--json").json()) == 3
    index.execute("ROLLBACK")
    index.close()
