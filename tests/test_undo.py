"""`undo`: every operation there and back, and what is in its way."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyvn_store.base import files
from comfyvn_store.errors import MachineError
from comfyvn_store.ops import snapshots, undo
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle
from tests.collecting import HERO, begun, home, objects
from tests.gitrepo import GitRepo, run
from tests.team import ALICE, Team, hashes, present
from tests.templates import copied

DOOR, SONG = "assets/ui/door.png", "assets/music/song.wav"
SUFFIX = ".asset.json"


def furnished(repo: GitRepo) -> None:
    begun(repo)
    repo.write(DOOR, media.png(seed=2))
    repo.write(SONG, media.wav())
    repo.git("add", "assets")
    repo.commit("more")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, furnished, tmp_path / "game")


def remove(repo: GitRepo, name: str = HERO) -> None:
    code = f"import comfyvn_store; comfyvn_store.AssetRegistry().remove_asset({name!r})"
    run([sys.executable, "-P", "-c", code], cwd=repo.path)


def replace(repo: GitRepo) -> None:
    repo.write("new.png", media.png(seed=9))
    repo.tool("register", "--type", "characters", "--name", "hero.png", "--replace", "new.png")
    (repo.path / "new.png").unlink()


def damage(repo: GitRepo) -> None:
    """A program wrote through the view; a backup lies about. `recover` makes a version of it."""
    place = repo.object_path(oracle.linked_hash(repo.link(HERO)) or "")
    (place.parent / f"{place.name}.bak").write_bytes(place.read_bytes())
    place.chmod(0o644)
    place.write_bytes(media.png(seed=9))
    repo.tool("recover", HERO)
    (place.parent / f"{place.name}.bak").unlink()


OPERATIONS: dict[str, Callable[[GitRepo], object]] = {
    "edit": lambda repo: repo.tool("edit", HERO),
    "remove": remove,
    "replace": replace,
    "recover": damage,
    "annotate": lambda repo: repo.tool("annotate", HERO, DOOR, SONG, "--tag", "night", "--license", "CC0"),
}


def picture(repo: GitRepo) -> dict[str, object]:
    """All of git's index, and all that lies in the work tree."""
    repo.tool("list")
    found: dict[str, object] = {"index": repo.git("ls-files", "-s").out}
    for place in sorted((repo.path / "assets").rglob("*")):
        name = str(place.relative_to(repo.path))
        if place.is_symlink():
            found[name] = os.readlink(place)
        elif place.is_file() and "_meta" not in place.parts:
            found[name] = place.read_bytes()
    return found


@pytest.mark.parametrize("verb", list(OPERATIONS))
def test_there_and_back_and_there_again(art: GitRepo, verb: str) -> None:
    before = picture(art)
    OPERATIONS[verb](art)
    after = picture(art)
    assert after != before
    done = art.tool("undo", "--json").json()
    assert done["undone"]["verb"] in (verb, "register") and done["paths"]
    assert picture(art) == before and art.status() == []
    oracle.check_all(art)
    art.tool("undo", done["by"])
    assert picture(art) == after
    again = art.tool("undo", "--json").json()
    assert again["undone"]["id"] == done["undone"]["id"]
    assert picture(art) == before
    oracle.check_all(art)


@pytest.mark.parametrize("verb", list(OPERATIONS))
def test_an_undo_that_was_cut_short_is_completed_by_the_next(
    art: GitRepo, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(art)
    OPERATIONS[verb](art)
    index = art.git("ls-files", "-s").out
    monkeypatch.chdir(art.path)

    def breaks(*_: object) -> None:
        raise OSError(errno.EIO, "the disk failed")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "_put_index", breaks)
        with pytest.raises(MachineError, match="the disk failed"):
            undo.undo()
    assert art.git("ls-files", "-s").out == index
    art.tool("undo")
    assert picture(art) == before and art.status() == []
    oracle.check_all(art)


def test_a_sidecar_that_cannot_be_read_is_not_kept_as_no_text(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.read_small

    def fails(path: str, limit: int) -> bytes:
        if path.endswith(SUFFIX):
            raise OSError(errno.EIO, "the disk failed", path)
        return real(path, limit)

    monkeypatch.setattr(files, "read_small", fails)
    with pytest.raises(OSError, match="the disk failed"):
        snapshots.take(open_repository(str(art.path)), [HERO + SUFFIX], keep=True)


def test_an_edit_after_an_undo_that_was_cut_short_is_in_the_way(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    OPERATIONS["annotate"](art)
    monkeypatch.chdir(art.path)

    def breaks(*_: object) -> None:
        raise OSError(errno.EIO, "the disk failed")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "_put_index", breaks)
        with pytest.raises(MachineError):
            undo.undo()
    mine = art.read(HERO + SUFFIX).replace(b'"tags": []', b'"tags": ["mine"]')
    art.write(HERO + SUFFIX, mine)
    done = art.tool("undo", check=False)
    assert done.code == 20 and HERO + SUFFIX in done.err
    assert art.read(HERO + SUFFIX) == mine


@pytest.mark.parametrize("verb", list(OPERATIONS))
def test_a_dry_run_changes_nothing(art: GitRepo, verb: str) -> None:
    OPERATIONS[verb](art)
    after = picture(art)
    files = sorted(home(art).rglob("*"))
    done = art.tool("undo", "-n", "--json").json()
    assert done["paths"] and done["by"] is None and done["dry_run"]
    assert picture(art) == after and sorted(home(art).rglob("*")) == files


@pytest.mark.parametrize("verb", ["remove", "replace", "annotate", "recover"])
def test_what_was_committed_is_undone_for_the_next_commit(art: GitRepo, verb: str) -> None:
    OPERATIONS[verb](art)
    tree, head = art.git("rev-parse", "HEAD^{tree}").out, art.commit("done", "-a")
    art.tool("undo")
    assert art.head() == head and art.status() != []
    art.commit("undone")
    assert art.git("rev-parse", "HEAD^{tree}").out == tree
    oracle.check_all(art)


def test_several_are_undone_one_after_the_other(art: GitRepo) -> None:
    before = picture(art)
    OPERATIONS["annotate"](art)
    remove(art, DOOR)
    art.tool("edit", SONG)
    for verb in ("edit", "remove", "annotate"):
        assert art.tool("undo", "--json").json()["undone"]["verb"] == verb
    assert picture(art) == before
    done = art.tool("undo", check=False)
    assert done.code == 2 and "there is nothing to undo" in done.err


# -- what is in the way ------------------------------------------------------------------------------------------------


def test_an_edit_is_never_touched(art: GitRepo) -> None:
    art.tool("edit", HERO)
    (art.path / HERO).write_bytes(b"an hour of work")
    done = art.tool("undo", check=False)
    assert done.code == 20 and f"'{HERO}' was changed since, and undo would overwrite that" in done.err
    assert art.read(HERO) == b"an hour of work"


def test_an_edited_sidecar_is_never_touched(art: GitRepo) -> None:
    OPERATIONS["annotate"](art)
    place = art.path / (DOOR + SUFFIX)
    text = place.read_text().replace('"night"', '"day"')
    place.write_text(text)
    before = picture(art)
    done = art.tool("undo", check=False)
    assert done.code == 20 and DOOR + SUFFIX in done.err
    assert place.read_text() == text and picture(art) == before


def test_what_was_staged_since_is_not_touched(art: GitRepo) -> None:
    remove(art)
    art.write(HERO, media.png(seed=30))
    art.git("add", "assets")
    before = picture(art)
    assert art.tool("undo", check=False).code == 20
    assert picture(art) == before


def test_a_folder_in_the_way_is_not_touched(art: GitRepo) -> None:
    remove(art)
    art.write(f"{HERO}/note", "mine")
    assert art.tool("undo", check=False).code == 20
    assert art.read(f"{HERO}/note") == b"mine"


def test_what_is_undone_is_not_undone_twice(art: GitRepo) -> None:
    remove(art)
    done = art.tool("undo", "--json").json()
    again = art.tool("undo", done["undone"]["id"], check=False)
    assert again.code == 20 and f"comfyvn-store undo {done['by']}" in again.err


def test_another_work_tree_is_told_where(art: GitRepo, tmp_path: Path) -> None:
    tree = GitRepo(tmp_path / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    art.tool("edit", HERO)
    done = tree.tool("undo", check=False)
    assert done.code == 20 and str(art.path) in done.err


def test_bytes_that_are_lost_are_not_brought_back_as_a_dangling_link(art: GitRepo) -> None:
    hash_ = oracle.linked_hash(art.link(HERO)) or ""
    replace(art)
    place = art.object_path(hash_)
    place.rename(art.path / "elsewhere")
    before = picture(art)
    done = art.tool("undo", check=False)
    assert done.code == 20 and hash_[:16] in done.err and picture(art) == before
    (art.path / "elsewhere").rename(place)
    art.tool("undo")
    oracle.check_all(art)


# -- conflicts ---------------------------------------------------------------------------------------------------------


def conflict(art: GitRepo) -> None:
    art.git("switch", "-q", "-c", "topic")
    art.write(HERO, media.png(seed=20))
    art.git("commit", "-q", "-am", "theirs")
    art.git("switch", "-q", "main")
    art.write(HERO, media.png(seed=21))
    art.git("commit", "-q", "-am", "ours")
    assert art.git("merge", "topic", check=False).code


@pytest.mark.parametrize("choice", ["--ours", "--theirs", "--both"])
def test_a_settled_conflict_comes_back(art: GitRepo, choice: str) -> None:
    conflict(art)
    before = picture(art)
    assert " 3\t" in str(before["index"])
    art.tool("resolve", HERO, choice)
    after = picture(art)
    art.tool("undo")
    assert picture(art) == before
    art.tool("resolve", HERO, choice)
    assert picture(art) == after
    art.git("commit", "-q", "--no-edit")
    oracle.check_all(art)


def test_a_conflict_of_a_merge_that_ended_does_not(art: GitRepo) -> None:
    conflict(art)
    art.tool("resolve", HERO, "--theirs")
    art.git("commit", "-q", "--no-edit")
    done = art.tool("undo", check=False)
    assert done.code == 20 and "a merge, pick or rebase that has ended" in done.err
    oracle.check_all(art)


# -- copies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["remove", "replace", "annotate"])
def test_where_views_are_copies(art: GitRepo, verb: str) -> None:
    art.git("config", "comfyvn.views", "copy")
    art.tool("init")
    before = picture(art)
    OPERATIONS[verb](art)
    assert picture(art) != before
    art.tool("undo")
    assert picture(art) == before and art.status() == []


def test_a_view_that_was_not_staged_comes_back(art: GitRepo) -> None:
    art.write("new.png", media.png(seed=9))
    art.tool("register", "--type", "ui", "--no-stage", "new.png")
    before = picture(art)
    listed = art.tool("list", "--json").json()
    remove(art, "ui/new.png")
    art.tool("undo")
    assert picture(art) == before and art.tool("list", "--json").json() == listed


def test_a_file_that_was_replaced_comes_back(art: GitRepo) -> None:
    """A program had saved over the view, and nobody had added that."""
    art.write(HERO, media.png(seed=50))
    before = art.read(HERO)
    replace(art)
    art.tool("undo")
    assert art.read(HERO) == before and art.status() == [f" T {HERO}"]


# -- objects -----------------------------------------------------------------------------------------------------------


def test_what_was_dropped_is_fetched(tmp_path: Path) -> None:
    team = Team(tmp_path)
    repo = team.begin()
    repo.git("push", "-q", "origin", "main")
    repo.tool("drop", ALICE)
    assert ALICE not in present(repo)
    (entry,) = repo.tool("log", "--operations", "--json").json()
    assert [each["remotes"] for each in entry["objects"]] == [["origin"]]
    assert repo.tool("undo", "-n", "--json").json()["objects"] == [hashes(repo)[ALICE]]
    assert ALICE not in present(repo)
    repo.tool("undo")
    assert ALICE in present(repo)


def test_what_was_dropped_and_is_gone_is_said(tmp_path: Path) -> None:
    team = Team(tmp_path)
    repo = team.begin()
    repo.git("push", "-q", "origin", "main")
    repo.tool("drop", ALICE)
    team.hub.rename(tmp_path / "away")
    done = repo.tool("undo", check=False)
    assert done.code in (12, 15)
    (tmp_path / "away").rename(team.hub)
    repo.tool("undo")
    assert ALICE in present(repo)


# -- the installation --------------------------------------------------------------------------------------------------


def test_uninstall_is_undone_by_setting_up_again(art: GitRepo) -> None:
    before, stored = picture(art), objects(home(art))
    art.tool("uninstall")
    assert not (art.path / HERO).is_symlink()
    assert "uninstall" in art.tool("log", "--operations").out
    art.tool("undo")
    assert picture(art) == before and art.status() == [] and objects(home(art)) == stored
    assert art.tool("doctor", "--json").json()["findings"] == []


def test_of_two_at_once_each_takes_back_one(art: GitRepo) -> None:
    art.tool("annotate", HERO, "--tag", "night")
    art.tool("annotate", DOOR, "--tag", "day")
    command = [sys.executable, "-P", "-m", "comfyvn_store", "undo", "--json"]
    running = [subprocess.Popen(command, cwd=art.path, stdout=subprocess.PIPE) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len({each["undone"]["id"] for each in said}) == 2
    assert {path for each in said for path in each["paths"]} == {f"{HERO}{SUFFIX}", f"{DOOR}{SUFFIX}"}
