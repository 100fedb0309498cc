"""Which operations can be undone still: what plain `undo` passes over and why, what stops it, and what `log` says."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import media, oracle
from tests.collecting import HERO, Loose, age, home
from tests.gitrepo import GitRepo
from tests.team import ALICE, Team, present
from tests.templates import copied
from tests.test_undo import DOOR, SONG, SUFFIX, conflict, furnished, picture, replace


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, furnished, tmp_path / "game")


def collected(repo: GitRepo) -> Loose:
    """An older operation that `undo` can reach: a collection."""
    loose = Loose(repo)
    age(loose.store)
    assert repo.tool("gc", "--prune", "--grace", "0", "--json").json()["objects"] == 1
    return loose


def log(repo: GitRepo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = repo.tool("log", "--operations", "--json").json()
    return found


def paint(repo: GitRepo, path: str = HERO, seed: int = 60) -> None:
    repo.tool("edit", path)
    (repo.path / path).write_bytes(media.png(seed=seed))


# -- what is passed over -----------------------------------------------------------------------------------------------


def test_an_edit_that_was_committed_is_passed_over(art: GitRepo) -> None:
    loose = collected(art)
    paint(art)
    art.commit("painted", "-a")
    edit, gc = log(art)
    assert (edit["standing"], gc["standing"]) == ("past", "open")
    named = art.tool("undo", edit["id"], check=False)
    assert named.code == 20 and f"'{HERO}' was changed since, and that is committed" in named.err
    before = picture(art)
    done = art.tool("undo")
    assert "undone: gc --prune" in done.out and loose.is_there and picture(art) == before
    assert f"passed over {edit['id'][-12:]}, edit {HERO}: '{HERO}' was changed since" in done.err
    assert [each["standing"] for each in log(art)] == ["past", "past", "undone"]
    again = art.tool("undo", check=False)
    assert again.code == 20 and "nothing of what was done can be undone any more" in again.err


def test_where_views_are_copies_what_was_committed_is_passed_over_too(art: GitRepo) -> None:
    art.git("config", "comfyvn.views", "copy")
    art.tool("init")
    replace(art)
    art.write(HERO, media.comfy_png(61))  # the object has a marker more than the file
    assert log(art)[0]["standing"] == "blocked"
    art.commit("painted", "-a")
    assert log(art)[0]["standing"] == "past"


def test_an_edit_that_was_given_up_is_passed_over(art: GitRepo) -> None:
    loose = collected(art)
    art.tool("edit", HERO)
    art.git("checkout", "-q", "--", HERO)
    done = art.tool("undo")
    assert "all is as it was before it" in done.err and loose.is_there


def test_only_what_is_not_committed_stops_it(art: GitRepo) -> None:
    loose = collected(art)
    gc = log(art)[0]["id"]
    paint(art)
    for step in ("edited", "staged"):
        done = art.tool("undo", check=False)
        assert done.code == 20 and "undo would overwrite that" in done.err, step
        assert f"To undo 'gc --prune: 1 object' instead: comfyvn-store undo {gc[-12:]}" in done.err
        assert art.read(HERO) == media.png(seed=60) and not loose.is_there
        assert log(art)[0]["standing"] == "blocked"
        art.git("add", "assets")
    art.commit("painted")
    art.tool("undo")
    assert loose.is_there


def test_a_settled_conflict_is_passed_over_when_the_merge_has_ended(art: GitRepo) -> None:
    loose = collected(art)
    conflict(art)
    art.tool("resolve", HERO, "--theirs")
    art.git("commit", "-q", "--no-edit")
    done = art.tool("undo")
    assert "a merge, pick or rebase that has ended" in done.err and loose.is_there


def test_what_another_work_tree_did_is_passed_over(art: GitRepo, tmp_path: Path) -> None:
    tree = GitRepo(tmp_path / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    loose = collected(art)
    art.tool("edit", HERO)
    done = tree.tool("undo")
    assert str(art.path) in done.err and loose.is_there
    assert (art.path / HERO).is_file() and not (art.path / HERO).is_symlink()
    assert [each["standing"] for each in log(tree)][1:] == ["elsewhere", "undone"]
    art.tool("undo")
    assert (art.path / HERO).is_symlink()


def test_an_uninstall_after_which_init_was_run_is_passed_over(art: GitRepo) -> None:
    loose = collected(art)
    art.tool("uninstall")
    art.tool("init")
    done = art.tool("undo")
    assert "comfyvn-store is set up here again already" in done.err and loose.is_there


def test_a_collection_whose_trash_is_gone_is_passed_over(art: GitRepo) -> None:
    art.tool("edit", HERO)
    loose = collected(art)
    shutil.rmtree(loose.store / "trash")
    (loose.store / "trash").mkdir()
    done = art.tool("undo")
    assert "its objects are not in the trash any more" in done.err and (art.path / HERO).is_symlink()


def test_what_would_lead_to_lost_bytes_is_passed_over(art: GitRepo) -> None:
    loose = collected(art)
    place = art.object_path(oracle.linked_hash(art.link(HERO)) or "")
    place.chmod(0o644)
    place.write_bytes(media.png(seed=9))
    assert art.tool("recover", HERO, check=False).code == 12
    before = picture(art)
    done = art.tool("undo")
    assert f"the bytes that '{HERO}' had" in done.err and loose.is_there and picture(art) == before


def test_annotations_are_undone_one_after_the_other(art: GitRepo) -> None:
    first = picture(art)
    art.tool("annotate", HERO, DOOR, SONG, "--tag", "night")
    second = picture(art)
    art.tool("annotate", HERO, "--license", "CC0")
    assert art.tool("undo", "--json").json()["paths"] == [HERO + SUFFIX] and picture(art) == second
    art.tool("undo")
    assert picture(art) == first


# -- folders that moved ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["move", "copy"])
def test_a_project_that_moved_can_undo(art: GitRepo, tmp_path: Path, way: str) -> None:
    before = picture(art)
    art.tool("edit", HERO)
    there = GitRepo(tmp_path / "elsewhere" / "game")
    there.path.parent.mkdir()
    if way == "move":
        art.path.rename(there.path)
    else:
        shutil.copytree(art.path, there.path, symlinks=True)
    assert there.tool("undo", "--json").json()["paths"] == [HERO]
    assert picture(there) == before
    if way == "copy":
        assert not (art.path / HERO).is_symlink()


def test_a_linked_work_tree_that_moved_can_undo(art: GitRepo, tmp_path: Path) -> None:
    tree = GitRepo(tmp_path / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    tree.tool("edit", HERO)
    art.git("worktree", "move", str(tree.path), str(tmp_path / "moved"))
    moved = GitRepo(tmp_path / "moved")
    moved.tool("undo")
    assert (moved.path / HERO).is_symlink()


# -- undoing an undo ---------------------------------------------------------------------------------------------------


def test_an_undone_collection_names_the_command_that_does_it_again(art: GitRepo) -> None:
    loose = collected(art)
    done = art.tool("undo", "--json").json()
    for id_ in (done["undone"]["id"], done["by"]):
        again = art.tool("undo", id_, check=False)
        assert again.code == 20 and "comfyvn-store gc --prune" in again.err and "comfyvn-store undo" not in again.err
    age(loose.store)
    art.tool("gc", "--prune", "--grace", "0")
    assert not loose.is_there


def test_an_undone_uninstall_names_the_command_that_does_it_again(art: GitRepo) -> None:
    art.tool("uninstall")
    done = art.tool("undo", "--json").json()
    for id_ in (done["undone"]["id"], done["by"]):
        again = art.tool("undo", id_, check=False)
        assert again.code == 20 and "comfyvn-store uninstall" in again.err and "brought objects" not in again.err


def test_an_undo_of_drop_that_fails_is_one_line_that_says_so(tmp_path: Path) -> None:
    team = Team(tmp_path)
    repo = team.begin()
    repo.git("push", "-q", "origin", "main")
    repo.tool("drop", ALICE)
    assert "and no remote was asked now" in repo.tool("undo", "-n").err
    team.hub.rename(tmp_path / "away")
    for _ in range(2):
        done = repo.tool("undo", check=False)
        assert done.code in (12, 15) and "Older operations can be undone by their ids" in done.err
    failed, drop = log(repo)
    assert (failed["state"], failed["standing"], failed["objects"]) == ("failed", "failed", [])
    assert drop["undone_by"] is None and drop["standing"] == "open"
    assert "(failed, not done)" in repo.tool("log", "--operations").out
    assert repo.tool("undo", failed["id"], check=False).code == 20
    (tmp_path / "away").rename(team.hub)
    done = repo.tool("undo", "--json").json()
    assert ALICE in present(repo) and [each["state"] for each in log(repo)] == ["done", "done"]
    again = repo.tool("undo", done["undone"]["id"], check=False)
    assert again.code == 20 and f"comfyvn-store drop {ALICE}" in again.err


# -- the installation --------------------------------------------------------------------------------------------------


DIE = """
import os, signal, sys
from comfyvn_store.ops import uninstall
uninstall._remove_attributes = lambda repository: os.kill(os.getpid(), signal.SIGKILL)
from comfyvn_store.cli.main import run
run(sys.argv[1:])
"""


def test_an_uninstall_that_was_killed_is_undone(art: GitRepo) -> None:
    before = picture(art)
    done = subprocess.run([sys.executable, "-P", "-c", DIE, "uninstall"], cwd=art.path, capture_output=True)
    assert done.returncode == -signal.SIGKILL and not (art.path / HERO).is_symlink()
    assert "cut short" in art.tool("log", "--operations").out
    assert art.tool("undo", "--json").json()["undone"]["verb"] == "uninstall"
    assert art.tool("doctor", "--json").json()["findings"] == [] and art.status() == []
    assert (home(art) / "format").exists()
    assert picture(art) == before


def test_what_undoing_uninstall_does_not_bring_back_is_said(art: GitRepo) -> None:
    assert "comfyvn-store undo" in art.tool("uninstall").out
    ahead = art.tool("undo", "-n").err
    assert "hooks (" in ahead and "git config" in ahead and "files of 3 assets links again" in ahead
    assert "filter.comfyvn" not in art.git("config", "--local", "--list").out
    art.git("add", "-A")
    art.git("commit", "-q", "-m", "ordinary files")
    assert "3 files are in git as ordinary files and would stay that" in art.tool("undo", "-n").err
    done = art.tool("undo")
    assert "3 files are in git as ordinary files now" in done.err and "comfyvn-store migrate raw" in done.err
    art.tool("migrate", "raw")
    art.git("commit", "-q", "-m", "links again")
    assert (art.path / HERO).is_symlink() and art.status() == []
    oracle.check_all(art)


def test_history_that_was_rewritten_is_not_claimed_to_be_back(art: GitRepo) -> None:
    art.tool("uninstall", "--history")
    assert "uninstall --history" in art.tool("log", "--operations").out
    refs = art.git("for-each-ref", "--format=%(refname)", "refs/comfyvn/before-migration").out.split("\n")
    folder = refs[0].rpartition("/heads/")[0]
    for words in (("undo", "-n"), ("undo",)):
        said = art.tool(*words).err
        assert f"the former one is in {folder}/" in said and "docs/migrating.md" in said, words
    assert (home(art) / "format").exists() and "comfyvn-store migrate raw" in said
