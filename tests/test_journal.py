"""The journal of operations: what is written before anything changes, what is listed, and what is forgotten."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.errors import UsageError
from comfyvn_store.ops import journal
from comfyvn_store.vcs.repository import Repository, open_repository
from tests import media, oracle
from tests.collecting import HERO, Loose, age, begun, collect, home
from tests.gitrepo import GitRepo, run
from tests.templates import copied

DAY = 86400
OTHER = "assets/ui/door.png"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, begun, tmp_path / "game")


def opened(repo: GitRepo) -> Repository:
    return open_repository(str(repo.path))


def log(repo: GitRepo) -> list[dict[str, object]]:
    found: list[dict[str, object]] = repo.tool("log", "--operations", "--json").json()
    return found


def test_log_without_operations_says_where_commits_are(art: GitRepo) -> None:
    done = art.tool("log", check=False)
    assert done.code == 2 and "hint: `git log` shows commits; `comfyvn-store log --operations`" in done.err
    assert "log needs the path of an asset, or --operations" in done.err
    assert art.tool("log", "--operations").out == "no operations"


def test_an_entry_says_what_was_done_where_and_by_whom(art: GitRepo) -> None:
    art.tool("edit", HERO)
    (entry,) = log(art)
    assert (entry["verb"], entry["state"], entry["branch"], entry["head"]) == ("edit", "done", "main", art.head())
    assert (entry["user"], entry["work_tree"]) == ("Test Artist <artist@example.com>", str(art.path))
    assert entry["summary"] == f"edit {HERO}" and entry["undone_by"] is None
    hash_ = oracle.linked_hash(art.blob(f":{HERO}").decode())
    before, after = entry["before"], entry["after"]
    assert isinstance(before, dict) and isinstance(after, dict)
    assert before[HERO]["file"] == {"link": oracle.link_text(HERO, hash_ or "")}
    assert after[HERO]["file"] == {"object": hash_}
    assert before[HERO]["index"] == after[HERO]["index"] == [["120000", art.staged(HERO)[1], 0]]  # type: ignore[index]
    line, hint = art.tool("log", "--operations").out.splitlines()
    assert line.startswith(str(entry["id"])[-12:]) and line.endswith(f"edit {HERO}  (can be undone)")
    assert hint.startswith("to undo one: comfyvn-store undo ID")


def test_an_entry_is_one_canonical_file(art: GitRepo) -> None:
    art.tool("edit", HERO)
    (place,) = (home(art) / "operations").iterdir()
    text = place.read_text()
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
    assert place.name == f"{json.loads(text)['id']}.json" and json.loads(text)["schema"] == 1


def test_newest_first_and_no_more_than_asked(art: GitRepo) -> None:
    for _ in range(3):
        art.tool("edit", HERO)
        art.git("checkout", "-q", "--", HERO)
    found = log(art)
    assert [each["id"] for each in found] == sorted((str(each["id"]) for each in found), reverse=True)
    assert len(found) == 3
    assert art.tool("log", "--operations", "--limit", "2", "--json").json() == found[:2]


def test_what_changed_nothing_leaves_no_entry(art: GitRepo) -> None:
    art.tool("register", "--type", "characters", "--replace", "--name", "hero.png", HERO)
    assert log(art) == []
    art.write(OTHER, media.png(seed=2))
    art.git("add", "assets")
    art.commit("second")
    art.tool("annotate", HERO, OTHER, "--tag", "x")
    assert [each["verb"] for each in log(art)] == ["annotate"]
    art.tool("annotate", HERO, OTHER, "--tag", "x")
    assert len(log(art)) == 1


def test_what_recover_does_is_one_entry(art: GitRepo) -> None:
    place = art.object_path(oracle.linked_hash(art.link(HERO)) or "")
    copy = art.path / "assets/backup"
    copy.write_bytes(place.read_bytes())
    place.chmod(0o644)
    place.write_bytes(media.png(seed=3))
    art.tool("recover", HERO)
    assert [each["verb"] for each in log(art)] == ["recover"]


# -- cut short ---------------------------------------------------------------------------------------------------------

CUT = """
import os, signal, sys
from comfyvn_store.ops import journal
real = journal.write
def dying(repository, entry):
    if entry.state == "done":
        os.kill(os.getpid(), signal.SIGKILL)
    real(repository, entry)
journal.write = dying
from comfyvn_store.cli.main import run
run(sys.argv[1:])
"""


def cut(repo: GitRepo, *words: str) -> None:
    """Runs a command that is killed when all is done but the note of it."""
    done = subprocess.run([sys.executable, "-P", "-c", CUT, *words], cwd=repo.path, capture_output=True)
    assert done.returncode == -signal.SIGKILL


def test_what_was_cut_short_is_shown_and_can_be_undone(art: GitRepo) -> None:
    art.write(OTHER, media.png(seed=2))
    art.git("add", "assets")
    art.commit("second")
    cut(art, "annotate", HERO, OTHER, "--tag", "x")
    (entry,) = log(art)
    assert (entry["state"], entry["after"]) == ("begun", {})
    assert "cut short" in art.tool("log", "--operations").out
    assert len(art.status()) == 2
    art.tool("undo")
    assert art.status() == []
    oracle.check_all(art)


def test_an_edit_after_what_was_cut_short_is_not_touched(art: GitRepo) -> None:
    cut(art, "edit", HERO)
    art.write(HERO, b"my own work")
    done = art.tool("undo", check=False)
    assert done.code == 20 and "may have been edited" in done.err
    assert art.read(HERO) == b"my own work"


def test_it_is_written_before_anything_changes(art: GitRepo) -> None:
    """Where it cannot be written, nothing is done."""
    (home(art) / "operations").write_text("in the way")
    before = art.link(HERO)
    done = art.tool("edit", HERO, check=False)
    assert done.code == 16 and art.link(HERO) == before and art.status() == []


# -- bounds ------------------------------------------------------------------------------------------------------------


def fake(repo: GitRepo, seconds: float) -> str:
    """An entry of so long ago, with what it keeps."""
    id_ = uuid7(int((time.time() - seconds) * 1000))
    entry = journal.Entry(id_, "edit", "edit x", "2020-01-01T00:00:00Z", "done", work_tree=str(repo.path))
    journal.write(opened(repo), entry)
    repo.git("update-ref", f"refs/comfyvn/operations/{id_}", "HEAD^{tree}")
    return id_


def test_old_entries_are_forgotten_with_what_they_keep(art: GitRepo) -> None:
    old, young = fake(art, 15 * DAY), fake(art, 12 * DAY)
    journal.prune(opened(art), time.time() - DAY)
    assert journal.ids(opened(art)) == [old, young]  # it is noted, and a later run believes it
    art.tool("edit", HERO)
    kept = journal.ids(opened(art))
    assert old not in kept and young in kept and len(kept) == 2
    refs = art.git("for-each-ref", "--format=%(refname)", "refs/comfyvn/operations").out
    assert old not in refs and young in refs


def test_a_clock_that_jumps_forgets_nothing(art: GitRepo) -> None:
    entries = [fake(art, DAY), fake(art, 1)]
    for days in (365, 365, 0, 1):
        journal.prune(opened(art), time.time() + days * DAY)
        assert journal.ids(opened(art)) == entries


def test_a_collection_is_not_forgotten_while_something_is_in_the_trash(
    art: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST", 5)
    art.git("config", "core.logAllRefUpdates", "false")
    loose = Loose(art)
    age(loose.store)
    operation = collect(art).operation
    assert operation is not None
    for number in range(7):
        fake(art, -1 - number)
    for days in (20, 40):
        journal.prune(opened(art), time.time() + days * DAY)
    assert operation in journal.ids(opened(art))
    art.tool("undo", operation)
    assert loose.is_there
    for days in (41, 43):
        journal.prune(opened(art), time.time() + days * DAY)
    assert operation not in journal.ids(opened(art))


@pytest.mark.parametrize("where", ["entry", "ref"])
def test_names_that_are_no_ids_are_left_alone(art: GitRepo, where: str) -> None:
    name = "zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz"
    art.tool("edit", HERO)
    place = home(art) / "operations" / f"{name}.json"
    if where == "entry":
        place.write_text("{}")
    else:
        art.git("update-ref", f"refs/comfyvn/operations/{name}", "HEAD^{tree}")
    assert len(log(art)) == 1
    art.tool("gc", "--prune")
    assert place.exists() if where == "entry" else name in art.git("for-each-ref").out


def test_there_are_never_more_than_a_thousand(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST", 5)
    made = [fake(art, 100 - number) for number in range(7)]
    journal.prune(opened(art))
    assert journal.ids(opened(art)) == made[-4:]  # and one more that is about to be written


def test_refs_without_an_entry_go_with_the_next_collection(art: GitRepo) -> None:
    old, young = fake(art, 15 * DAY), fake(art, 13 * DAY)
    for id_ in (old, young):
        (home(art) / "operations" / f"{id_}.json").unlink()
    art.tool("gc", "--prune")
    refs = art.git("for-each-ref", "--format=%(refname)", "refs/comfyvn/operations").out
    assert refs == f"refs/comfyvn/operations/{young}"
    assert art.git("log", "--all", "--format=%H").out == art.head()
    art.git("fsck", "--strict")


def test_files_that_are_no_entries_are_left_alone(art: GitRepo) -> None:
    art.tool("edit", HERO)
    folder = home(art) / "operations"
    (folder / "notes.txt").write_text("mine")
    (folder / f"{uuid7()}.json").write_text("{}")
    (folder / f"{uuid7()}.json").write_text('{"schema": 99}')
    assert len(log(art)) == 1
    assert os.path.exists(folder / "notes.txt")


@pytest.mark.parametrize("name", ["abc", "zzzz", "01a2"])
def test_an_id_that_means_nothing_or_several(art: GitRepo, name: str) -> None:
    if name == "01a2":
        name = fake(art, 1)[:4]
        fake(art, 2)
    with pytest.raises(UsageError, match="the id"):
        journal.find(opened(art), name)


def spoiled(repo: GitRepo, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the only entry as somebody might who can write there."""
    (place,) = (home(repo) / "operations").glob("*.json")
    value = json.loads(place.read_text())
    change(value)
    place.write_text(json.dumps(value))


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "above": lambda value: value["before"].update({"../victim": {"index": [], "file": None, "unstaged": False}}),
    "absolute": lambda value: value["before"].update({"/victim": {"index": [], "file": None, "unstaged": False}}),
    "inside git": lambda value: value["before"].update({".git/x": {"index": [], "file": None, "unstaged": False}}),
    "a mode": lambda value: value["before"][HERO]["index"].append(["100777", "a" * 40, 0]),
    "an id": lambda value: value["before"][HERO]["index"].append(["100644", "--help", 0]),
    "a stage": lambda value: value["before"][HERO]["index"].append(["100644", "a" * 40, 7]),
    "a kind": lambda value: value["before"][HERO].update(file={"device": "x"}),
    "an object": lambda value: value["before"][HERO].update(file={"object": "../../x"}),
    "a type": lambda value: value.update(summary=7),
    "a list": lambda value: value.update(before=[]),
    "a stranger": lambda value: value.update(more=1),
    "an object that left": lambda value: value.update(objects=[{"hash": "../x", "trash": None, "remotes": []}]),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_an_entry_that_says_what_none_can_say_is_none(art: GitRepo, what: str) -> None:
    art.tool("edit", HERO)
    spoiled(art, HOSTILE[what])
    assert log(art) == []
    done = art.tool("undo", check=False)
    assert done.code == 2 and "nothing to undo" in done.err
    assert not (art.path.parent / "victim").exists()


def test_an_entry_nested_beyond_measure_is_none(art: GitRepo) -> None:
    art.tool("edit", HERO)
    (place,) = (home(art) / "operations").glob("*.json")
    place.write_text("[" * 200_000)
    assert log(art) == [] and art.tool("undo", check=False).code == 2


def test_undo_does_not_write_through_a_folder_that_leads_elsewhere_now(art: GitRepo, tmp_path: Path) -> None:
    remove = f"comfyvn_store.AssetRegistry().remove_asset({HERO.removeprefix('assets/')!r})"
    run([sys.executable, "-P", "-c", f"import comfyvn_store; {remove}"], cwd=art.path)
    folder = (art.path / HERO).parent
    shutil.rmtree(folder, ignore_errors=True)
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    done = art.tool("undo", check=False)
    assert done.code == 20 and list((tmp_path / "elsewhere").iterdir()) == []
