"""`fsck` looks at the index, at what lies where it should not, and keeps note of what it verified."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyvn_store.base.sharing import PRIVATE
from comfyvn_store.ops.fsck.verified import Verified
from tests.fsckrepo import BELL, HERO, flipped, look, make_art, mend, object_of, overwrite, snapshot
from tests.gitrepo import GitRepo
from tests.templates import copied

DAY = 86400


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    repo = copied(tmp_path_factory, make_art, tmp_path / "repo")
    repo.tool("list")
    return repo


def store_of(repo: GitRepo) -> Path:
    return repo.path / ".git/comfyvn"


def edit_index(repo: GitRepo, statement: str) -> None:
    with sqlite3.connect(store_of(repo) / "index.db") as db:
        assert db.execute(statement).rowcount > 0, statement
    db.close()


def aged(place: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(place, (then, then))
    return place


# -- the index ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("assets_registry", "UPDATE assets_registry SET license = 'CC0' WHERE path = 'sfx/bell.wav'"),
        ("provenance", "UPDATE provenance SET source = 'somebody' WHERE path = 'sfx/bell.wav'"),
        ("commits", "UPDATE commits SET author = 'nobody'"),
        ("commit_assets", "DELETE FROM commit_assets WHERE path = 'sfx/bell.wav'"),
        ("introductions", "DELETE FROM introductions WHERE path = 'sfx/bell.wav'"),
        ("assets_fts", "DELETE FROM assets_fts WHERE path = 'sfx/bell.wav'"),
    ],
)
def test_each_table_is_compared_with_git(art: GitRepo, table: str, statement: str) -> None:
    edit_index(art, statement)
    said = look(art)
    assert {each["paths"][0].rpartition(":")[2] for each in said.of("index-differs")} == {table}
    assert set(said.kinds) == {"index-differs"}
    if table not in ("commits",):
        assert "bell.wav" in said.value["findings"][0]["message"] or table == "provenance"
    assert mend(art).kinds == []
    assert look(art).kinds == []


def test_rows_that_git_has_not_are_told(art: GitRepo) -> None:
    edit_index(art, "INSERT INTO commits VALUES ('" + "f" * 40 + "', 'x', 'x', 'x')")
    assert "f" * 40 + " is too much" in look(art).of("index-differs")[0]["message"]


def test_an_index_that_is_only_behind_is_no_finding(art: GitRepo) -> None:
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--allow-empty", "-m", "without hooks")
    assert look(art).kinds == []
    (store_of(art) / "index.db").unlink()
    assert look(art).kinds == []


def test_thumbs_and_ids_are_left_apart(art: GitRepo) -> None:
    edit_index(art, "UPDATE assets_registry SET thumb = 'x'")
    edit_index(art, "UPDATE assets_registry SET id = id + 1000 WHERE path = 'bg/club.png'")
    kinds = look(art).kinds
    assert set(kinds) <= {"index-differs"}
    edit_index(art, "UPDATE assets_registry SET id = id - 1000 WHERE path = 'bg/club.png'")
    assert look(art).kinds == []


def test_a_damaged_index_is_made_anew(art: GitRepo) -> None:
    place = store_of(art) / "index.db"
    data = bytearray(place.read_bytes())
    data[4096:8192] = os.urandom(4096)
    place.write_bytes(data)
    assert look(art).kinds == ["index-damaged"]
    assert mend(art).kinds == []
    assert len(art.tool("list", "--json").json()) == 3


def test_an_index_with_a_log_beside_it_is_read_as_it_is(art: GitRepo) -> None:
    place = store_of(art) / "index.db"
    db = sqlite3.connect(place)
    db.execute("UPDATE assets_registry SET license = 'CC0'")
    db.commit()
    assert (store_of(art) / "index.db-wal").stat().st_size
    assert look(art).kinds == ["index-differs"]
    db.close()


# -- strays ------------------------------------------------------------------------------------------------------------


def test_leftovers_are_told_once_they_are_a_day_old_and_removed(art: GitRepo) -> None:
    tmp = store_of(art) / "tmp"
    young, old = tmp / "in-1-aa", tmp / "in-1-bb"
    part, older = tmp / ("part-" + "a" * 64), tmp / ("part-" + "b" * 64)
    for place in (young, old, part, older):
        place.write_bytes(b"x")
    assert look(art).kinds == []
    aged(young, DAY - 600)
    aged(old, DAY + 600)
    aged(part, DAY + 600)
    aged(older, 15 * DAY)
    said = look(art)
    assert said.kinds == ["stray-part", "stray-part", "stray-temp"]
    assert mend(art).kinds == ["stray-part"]
    assert sorted(each.name for each in tmp.iterdir()) == sorted([young.name, part.name])


def test_leftovers_stay_while_an_object_is_missing(art: GitRepo) -> None:
    old = store_of(art) / "tmp/in-1-bb"
    old.write_bytes(b"x")
    aged(old, DAY + 600)
    object_of(art, BELL).unlink()
    assert mend(art).kinds == ["object-missing", "stray-temp"]
    assert old.exists()


def test_files_of_nobody_in_the_store_are_told_and_stay(art: GitRepo) -> None:
    (store_of(art) / "notes.txt").write_text("mine")
    (store_of(art) / "bad/x").write_text("quarantine is no finding")
    (store_of(art) / "trash/y").write_text("nor is the trash")
    said = look(art)
    assert [each["paths"] for each in said.value["findings"]] == [[str(store_of(art) / "notes.txt")]]
    assert mend(art).kinds == ["stray-file"]
    assert (store_of(art) / "notes.txt").read_text() == "mine"


def test_previews_and_mirrors_of_nothing_are_removed(art: GitRepo) -> None:
    thumbs = art.path / "cache/thumbs"
    thumbs.mkdir(parents=True, exist_ok=True)
    (thumbs / ("e" * 64 + ".webp")).write_bytes(b"x")
    (thumbs / "holiday.jpg").write_bytes(b"x")
    card = art.read(f"{BELL}.asset.json").replace(b"sfx/bell.wav", b"sfx/gong.wav")
    (art.path / "assets/_meta/sfx/gong.json").write_bytes(card)
    said = look(art)
    assert said.kinds == ["stray-mirror", "stray-preview", "stray-preview"]
    assert mend(art).kinds == ["stray-preview"]
    assert (thumbs / "holiday.jpg").exists()
    assert not (thumbs / ("e" * 64 + ".webp")).exists()
    assert len(list(thumbs.iterdir())) == 5  # rebuild made those of the art: two thumbnails, a waveform and its picture
    assert not (art.path / "assets/_meta/sfx/gong.json").exists()
    assert (art.path / "assets/_meta/sfx/bell.json").exists()


def test_what_init_makes_is_made_anew(art: GitRepo) -> None:
    (art.path / ".comfyvn").unlink()
    (store_of(art) / "trash").rmdir()
    (art.path / ".git/info/exclude").write_text("")
    said = look(art)
    assert said.kinds == ["excludes", "link-missing", "store-folders"]
    assert mend(art).kinds == []
    assert art.status() == []


# -- incremental -------------------------------------------------------------------------------------------------------


def test_a_second_incremental_run_reads_nothing_again(art: GitRepo) -> None:
    words = ("--full", "--incremental")
    assert art.tool("fsck", *words).out == "4 objects, 4 read: nothing wrong"
    assert art.tool("fsck", *words).out == "4 objects, 0 read, 4 verified before: nothing wrong"
    place = object_of(art, HERO)
    os.utime(place, ns=(1_600_000_000_000_000_000, 1_600_000_000_000_000_000))
    assert art.tool("fsck", *words).out == "4 objects, 1 read, 3 verified before: nothing wrong"
    assert art.tool("fsck", "--full").out == "4 objects, 4 read: nothing wrong"
    assert art.tool("fsck").out == "4 objects, 3 read: nothing wrong"


def test_rot_that_leaves_no_trace_is_for_full_and_any_trace_for_incremental(art: GitRepo) -> None:
    words = ("--full", "--incremental")
    art.tool("fsck", *words)
    place = object_of(art, BELL)
    overwrite(place, flipped(place.read_bytes()))  # mode, size and mtime are as before; the ctime is not
    assert art.tool("fsck", *words, check=False).code == 1
    assert art.tool("fsck", *words, check=False).code == 1
    assert look(art, "--full").kinds == ["object-corrupt"]


def test_only_the_note_is_written(art: GitRepo) -> None:
    before = snapshot(art.path)
    art.tool("fsck", "--incremental")
    after = snapshot(art.path)
    changed = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    assert {Path(place).name for place in changed} == {"fsck", "comfyvn"}
    assert look(art).kinds == []


def test_a_note_that_is_damaged_or_of_another_store_is_not_believed(art: GitRepo) -> None:
    note = store_of(art) / "fsck"
    art.tool("fsck", "--incremental")
    good = note.read_bytes()
    for content in (
        b"",
        b"\xff\0\n",
        good.replace(b"comfyvn-store fsck 1", b"comfyvn-store fsck 9"),
        good[:-200] + b"z",
    ):
        note.write_bytes(content)
        assert art.tool("fsck", "--incremental").code == 0
    assert "3 verified before" in art.tool("fsck", "--incremental").out
    note.write_bytes(good.replace(str(store_of(art)).encode(), b"/elsewhere"))
    assert "3 read" in art.tool("fsck", "--incremental").out


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    info = (tmp_path / "x").stat()
    note = str(tmp_path / "note")
    first = Verified(note, "/store", PRIVATE)
    first.note("a" * 64, info)
    first.close()
    with open(note, "a") as stream:
        stream.write("b" * 30)
    second = Verified(note, "/store", PRIVATE)
    assert (second.holds("a" * 64, info), second.holds("b" * 64, info)) == (True, False)
    second.note("c" * 64, info)
    second.close()
    third = Verified(note, "/store", PRIVATE)
    assert (third.holds("a" * 64, info), third.holds("c" * 64, info)) == (True, True)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_interrupted_goes_on(store_repo: GitRepo, sent: signal.Signals) -> None:
    for number in range(40):
        store_repo.write(f"assets/bg/{number}.bin", bytes([number]) * (6 << 20))
    store_repo.git("add", "-A")
    store_repo.commit("many")
    command = [sys.executable, "-P", "-c", _SLOW, "fsck", "--incremental"]
    with subprocess.Popen(command, cwd=store_repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        note = store_repo.path / ".git/comfyvn/fsck"
        wait_for(note.exists)
        process.send_signal(sent)
        process.wait(30)
    assert process.returncode in (130, -sent)
    done = store_repo.tool("fsck", "--incremental", "--json").json()
    assert done["objects"] == 40
    assert 0 < done["skipped"] < 40
    assert done["hashed"] + done["skipped"] == 40


# Each object takes a while, and what was verified is written down after each.
_SLOW = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests behind itself has it ignored
from comfyvn_store.ops.fsck import verified
plain = verified.Verified.note
def note(self, hash_, info):
    plain(self, hash_, info)
    self.flush()
    time.sleep(0.2)
verified.Verified.note = note
from comfyvn_store.cli.main import run
run()
"""


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
