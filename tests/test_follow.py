"""Whatever git does: views, sidecars on disk and the index are those of the commit that is checked out."""

from pathlib import Path

import pytest

from comfyvn_store.index import catchup, sight
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle
from tests.gitrepo import GitRepo
from tests.oracle import check_all, digest

HERO = "assets/characters/hero.png"
DOOR = "assets/sfx/door.wav"
WIND = "assets/sfx/wind.wav"


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    """Two versions of a picture and a sound on main, a second sound on `side`, which leaves main at the first."""
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write(DOOR, media.wav(frequency=200))
    store_repo.git("add", ".")
    store_repo.commit("first art")
    store_repo.git("tag", "first")
    store_repo.git("switch", "-q", "-c", "side")
    store_repo.write(WIND, media.wav(frequency=500))
    store_repo.git("add", ".")
    store_repo.commit("wind")
    store_repo.git("switch", "-q", "main")
    store_repo.write(HERO, media.comfy_png(2))
    store_repo.commit("repainted", "-a")
    return store_repo


def repaint(repo: GitRepo, seed: int, path: str = HERO) -> str:
    repo.write(path, media.comfy_png(seed))
    repo.git("add", path)
    return repo.commit(f"{path} {seed}")


def tag(repo: GitRepo, path: str, *tags: str) -> str:
    repo.tool("annotate", path, *(word for each in tags for word in ("--tag", each)))
    return repo.commit(f"tags {' '.join(tags)}")


def seed_of(repo: GitRepo, path: str = HERO) -> int:
    seed: int = repo.sidecar(path)["provenance"]["inputs"]["seed"]
    return seed


def editor(script: str) -> dict[str, str]:
    """An environment in which the list of a rebase is edited by a sed script."""
    return {"GIT_SEQUENCE_EDITOR": f"sed -i -e '{script}'"}


# -- checking out --------------------------------------------------------------------------------------------------


def test_switch(art: GitRepo) -> None:
    check_all(art)
    art.git("switch", "-q", "side")
    assert seed_of(art) == 1
    assert art.read(WIND) == media.marked(media.wav(frequency=500))
    check_all(art)
    art.git("switch", "-q", "main")
    assert seed_of(art) == 2
    assert not (art.path / WIND).exists()
    check_all(art)


def test_switch_to_a_branch_without_art(art: GitRepo) -> None:
    assert art.git("switch", "-q", "--orphan", "empty").err == ""
    art.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert art.tool("list", "--json").json() == []
    art.git("switch", "-q", "main")
    check_all(art)


def test_art_on_a_branch_without_attributes_is_named_and_init_takes_it_in(art: GitRepo) -> None:
    art.git("switch", "-q", "--orphan", "before-init")
    art.write(DOOR, media.wav(frequency=5))
    art.git("add", "assets")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "raw, as before init")
    art.write(HERO, media.comfy_png(5))
    art.git("add", "assets")
    assert "no 'assets/.gitattributes' on this branch" in art.git("commit", "-q", "-m", "raw").err
    art.tool("init")
    art.git("add", "--renormalize", "assets")
    art.commit("art into the store")
    check_all(art)
    assert oracle.raw_blobs(art) == []


def test_checkout_of_an_old_commit(art: GitRepo) -> None:
    first = art.git("rev-parse", "first").out
    art.git("checkout", "-q", "first")
    assert seed_of(art) == 1
    assert art.sidecar(HERO)["provenance"]["commit"] == first
    check_all(art)
    repaint(art, 9)
    check_all(art)
    art.git("checkout", "-q", "main")
    check_all(art)


def test_a_detached_head_at_an_unborn_record_shows_null_for_what_is_staged(art: GitRepo) -> None:
    art.git("checkout", "-q", "first")
    art.git("checkout", "side", "--", "assets/sfx")
    record = art.tool("show", WIND, "--json").json()
    assert record["commit"] is None
    assert art.sidecar(WIND)["provenance"]["commit"] is None
    check_all(art, [f"A  {WIND}", f"A  {WIND}.asset.json"])


def test_checkout_of_deleted_files(art: GitRepo) -> None:
    for path in (HERO, f"{HERO}.asset.json", DOOR, f"{DOOR}.asset.json"):
        (art.path / path).unlink()
    art.git("checkout", "--", "assets")
    check_all(art)


def test_checkout_of_a_file_from_another_commit(art: GitRepo) -> None:
    art.git("checkout", "-q", "first", "--", "assets/characters")
    assert seed_of(art) == 1
    check_all(art, [f"M  {HERO}", f"M  {HERO}.asset.json"])
    head = art.commit("back to the first")
    assert art.sidecar(HERO)["provenance"]["commit"] == art.git("rev-parse", "first").out != head
    check_all(art)


def test_an_edited_view_is_restored_by_checkout(art: GitRepo) -> None:
    art.write(HERO, media.comfy_png(77))
    art.git("restore", HERO)
    check_all(art)


# -- merging -------------------------------------------------------------------------------------------------------


def test_merge_fast_forward(art: GitRepo) -> None:
    art.git("switch", "-q", "--detach", "first")
    art.git("merge", "-q", "--ff-only", "side")
    check_all(art)


def test_merge(art: GitRepo) -> None:
    art.git("merge", "-q", "--no-edit", "side")
    assert len(art.git("rev-list", "--parents", "-n1", "HEAD").out.split()) == 3
    assert art.sidecar(WIND)["provenance"]["commit"] == art.git("rev-parse", "side").out
    check_all(art)


def test_merge_squash(art: GitRepo) -> None:
    art.git("merge", "-q", "--squash", "side")
    check_all(art, [f"A  {WIND}", f"A  {WIND}.asset.json"])
    head = art.commit("squashed")
    assert art.sidecar(WIND)["provenance"]["commit"] == head
    check_all(art)


def test_merge_of_tags_from_both_sides(art: GitRepo) -> None:
    tag(art, DOOR, "wood", "loud")
    art.git("switch", "-q", "side")
    tag(art, DOOR, "creaks")
    art.git("switch", "-q", "main")
    art.git("merge", "-q", "--no-edit", "side")
    assert art.sidecar(DOOR)["tags"] == ["creaks", "loud", "wood"]
    check_all(art)


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_conflict_of_bytes_keeps_both_and_is_resolved_by_a_side(art: GitRepo, side: str) -> None:
    art.git("switch", "-q", "side")
    repaint(art, 3)
    art.git("switch", "-q", "main")
    done = art.git("merge", "-q", "--no-edit", "side", check=False)
    assert done.code == 1
    assert sorted(art.status()) == [f"A  {WIND}", f"A  {WIND}.asset.json", f"UU {HERO}", f"UU {HERO}.asset.json"]
    for stage in (2, 3):
        hash_ = oracle.linked_hash(art.blob(f":{stage}:{HERO}").decode())
        assert hash_ is not None
        assert digest(art.object_path(hash_).read_bytes()) == hash_
    assert art.link(HERO) == art.blob(f":2:{HERO}").decode()
    assert b"<<<<" not in art.read(f"{HERO}.asset.json")
    assert art.tool("show", HERO, "--json").json()["provenance"]["inputs"]["seed"] == 2
    art.git("checkout", f"--{side}", "--", "assets/characters")
    art.git("add", "assets")
    art.git("commit", "-q", "--no-edit")
    assert seed_of(art) == (2 if side == "ours" else 3)
    check_all(art)


def test_a_conflict_resolved_by_a_third_picture(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    theirs = repaint(art, 3)
    art.git("switch", "-q", "main")
    ours = art.sidecar(HERO)["hash"]
    art.git("merge", "-q", "--no-edit", "side", check=False)
    art.write(HERO, media.comfy_png(4))
    art.git("add", "assets")
    art.git("commit", "-q", "--no-edit")
    record = art.sidecar(HERO)["provenance"]
    assert (record["inputs"]["seed"], record["commit"], record["parent"]) == (4, art.head(), ours)
    assert art.git("rev-parse", "HEAD^2").out == theirs
    check_all(art)


def test_a_conflict_that_is_aborted(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    repaint(art, 3)
    art.git("switch", "-q", "main")
    art.git("merge", "-q", "--no-edit", "side", check=False)
    art.tool("list")
    art.git("merge", "--abort")
    assert seed_of(art) == 2
    check_all(art)


def test_art_added_to_a_folder_that_the_other_branch_renamed(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    (art.path / "assets/cast").mkdir()
    art.git("mv", "assets/characters", "assets/cast/characters")
    art.commit("renamed")
    art.git("switch", "-q", "main")
    repaint(art, 60, "assets/characters/friend.png")
    record = art.sidecar("assets/characters/friend.png")["provenance"]["id"]
    if art.git("merge", "--no-edit", "side", check=False).code:
        art.git("add", "-A")
        art.git("commit", "-q", "--no-edit")
    moved = art.git("ls-files", "*friend.png").out
    assert art.sidecar(moved)["provenance"]["id"] == record
    check_all(art)


def test_a_move_to_another_depth_meets_tags_of_the_other_side(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    (art.path / "assets/cast/main").mkdir(parents=True)
    art.git("mv", DOOR, "assets/cast/main/door.wav")
    art.commit("moved")
    art.git("switch", "-q", "main")
    tag(art, DOOR, "wood")
    art.git("merge", "-q", "--no-edit", "side")
    assert art.sidecar("assets/cast/main/door.wav")["tags"] == ["wood"]
    check_all(art)


def test_the_same_picture_added_on_both_branches(art: GitRepo) -> None:
    for branch in ("side", "main"):
        art.git("switch", "-q", branch)
        repaint(art, 50, "assets/cg/ending.png")
    art.git("merge", "--no-edit", "side")
    check_all(art)


# -- rewriting -----------------------------------------------------------------------------------------------------


def test_rebase(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    repaint(art, 6, "assets/characters/friend.png")
    art.git("rebase", "-q", "main")
    assert art.sidecar(WIND)["provenance"]["commit"] == art.git("rev-parse", "HEAD^").out
    assert art.sidecar("assets/characters/friend.png")["provenance"]["commit"] == art.head()
    check_all(art)


def test_rebase_fast_forward(art: GitRepo) -> None:
    art.git("switch", "-q", "-c", "behind", "first")
    art.git("rebase", "-q", "main")
    check_all(art)


def test_rebase_that_squashes(art: GitRepo) -> None:
    repaint(art, 3)
    repaint(art, 4)
    art.git("rebase", "-q", "-i", "HEAD~2", env=editor("2s/^pick/squash/"))
    assert art.git("rev-list", "--count", "HEAD").out == "3"
    assert art.sidecar(HERO)["provenance"]["commit"] == art.head()
    check_all(art)


def test_rebase_that_stops_to_edit(art: GitRepo) -> None:
    repaint(art, 3)
    repaint(art, 4, "assets/characters/friend.png")
    art.git("rebase", "-q", "-i", "HEAD~2", env=editor("1s/^pick/edit/"))
    assert art.status() == []
    assert art.tool("show", HERO, "--json").json()["commit"] == art.head()
    assert art.status() == []
    art.write(HERO, media.comfy_png(30))
    art.git("add", "assets")
    art.git("commit", "-q", "--amend", "--no-edit")
    art.git("rebase", "--continue")
    assert seed_of(art) == 30
    assert art.sidecar(HERO)["provenance"]["commit"] == art.git("rev-parse", "HEAD^").out
    check_all(art)


def test_rebase_that_splits_a_commit(art: GitRepo) -> None:
    art.write(HERO, media.comfy_png(3))
    art.write(DOOR, media.wav(frequency=201))
    art.commit("both", "-a")
    repaint(art, 4, "assets/characters/friend.png")
    art.git("rebase", "-q", "-i", "HEAD~2", env=editor("1s/^pick/edit/"))
    art.git("reset", "-q", "HEAD^")
    art.git("add", "assets/sfx")
    art.commit("the door")
    art.git("add", "assets")
    art.commit("the hero")
    art.git("rebase", "--continue")
    assert art.git("log", "--format=%s", "-3").out.splitlines() == [
        "assets/characters/friend.png 4",
        "the hero",
        "the door",
    ]
    check_all(art)


def test_a_path_committed_where_a_rebase_stopped(art: GitRepo) -> None:
    repaint(art, 3)
    repaint(art, 4)
    art.git("rebase", "-q", "-i", "HEAD~2", env=editor("1s/^pick/edit/"))
    friend = "assets/characters/friend.png"
    art.write(friend, media.comfy_png(9))
    art.git("add", friend)
    art.commit("a friend", friend)
    assert art.status() == []
    art.git("rebase", "--continue")
    assert seed_of(art, friend) == 9
    check_all(art)


def test_rebase_with_a_conflict(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    repaint(art, 3)
    tag(art, WIND, "cold")
    assert art.git("rebase", "-q", "main", check=False).code != 0
    art.git("checkout", "--theirs", "--", "assets/characters")
    art.git("add", "assets")
    art.git("rebase", "--continue")
    assert seed_of(art) == 3
    assert art.sidecar(WIND)["tags"] == ["cold"]
    check_all(art)


def test_rebase_that_is_aborted(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    repaint(art, 3)
    art.git("rebase", "-q", "main", check=False)
    art.git("rebase", "--abort")
    assert seed_of(art) == 3
    check_all(art)


def test_rebase_with_autostash(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    art.write(DOOR, media.wav(frequency=999))
    art.git("rebase", "-q", "--autostash", "main")
    assert art.read(DOOR) == media.marked(media.wav(frequency=999))
    assert art.status() == [f" T {DOOR}"] or art.status() == [f" M {DOOR}"]
    art.git("add", "assets")
    art.commit("the new door")
    check_all(art)


def test_rebase_onto_with_the_apply_backend(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    repaint(art, 6, "assets/characters/friend.png")
    art.git("rebase", "-q", "--apply", "main")
    check_all(art)


def test_cherry_pick(art: GitRepo) -> None:
    art.git("cherry-pick", "side")
    assert art.sidecar(WIND)["provenance"]["commit"] == art.head()
    check_all(art)
    art.git("merge", "-q", "--no-edit", "side")
    check_all(art)


def test_cherry_pick_of_several(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    for number in range(3):
        repaint(art, 20 + number, "assets/characters/friend.png")
    art.git("switch", "-q", "main")
    art.git("cherry-pick", "main..side")
    assert seed_of(art, "assets/characters/friend.png") == 22
    check_all(art)


def test_revert(art: GitRepo) -> None:
    art.git("revert", "--no-edit", "HEAD")
    assert seed_of(art) == 1
    assert art.sidecar(HERO)["provenance"]["commit"] == art.git("rev-parse", "first").out
    check_all(art)


def test_am(art: GitRepo, tmp_path: Path) -> None:
    art.git("format-patch", "-q", "-o", str(tmp_path), "first..side")
    art.git("am", "-q", *(str(each) for each in sorted(tmp_path.glob("*.patch"))))
    assert art.sidecar(WIND)["provenance"]["commit"] is not None
    check_all(art)


@pytest.mark.parametrize("how", ["--soft", "--mixed", "--hard"])
def test_reset(art: GitRepo, how: str) -> None:
    art.git("reset", "-q", how, "first")
    if how == "--hard":
        assert seed_of(art) == 1
        check_all(art)
        return
    art.tool("list")
    assert seed_of(art) == 2
    marks = "M " if how == "--soft" else " M"
    assert art.status() == [f"{marks} {HERO}", f"{marks} {HERO}.asset.json"]
    art.git("add", "assets")
    head = art.commit("again")
    assert art.sidecar(HERO)["provenance"]["commit"] == head
    check_all(art)


def test_reset_to_the_other_branch_and_back(art: GitRepo) -> None:
    main = art.head()
    art.git("reset", "-q", "--hard", "side")
    check_all(art)
    art.git("reset", "-q", "--hard", main)
    check_all(art)


def test_stash_of_an_edited_file(art: GitRepo) -> None:
    art.write(HERO, media.comfy_png(3))
    art.git("stash")
    check_all(art)
    art.git("stash", "pop")
    assert art.status() == [f" T {HERO}"] or art.status() == [f" M {HERO}"]
    art.commit("after the stash", "-a")
    assert seed_of(art) == 3
    check_all(art)


def test_stash_of_staged_art(art: GitRepo) -> None:
    art.write(WIND, media.wav(frequency=501))
    art.git("add", ".")
    art.tool("annotate", DOOR, "--tag", "wood")
    art.git("stash")
    check_all(art)
    art.git("stash", "pop", "--index")
    assert art.read(WIND) == media.marked(media.wav(frequency=501))
    art.commit("after the stash")
    assert art.sidecar(DOOR)["tags"] == ["wood"]
    check_all(art)


def test_a_linked_work_tree(art: GitRepo, tmp_path: Path) -> None:
    art.git("worktree", "add", "-q", str(tmp_path / "linked"), "side")
    linked = GitRepo(tmp_path / "linked")
    check_all(linked)
    check_all(art)
    linked.git("switch", "-q", "--detach", "main")
    check_all(linked)
    art.git("worktree", "remove", str(tmp_path / "linked"))
    check_all(art)


def test_fetch_and_pull(art: GitRepo, tmp_path: Path) -> None:
    clone = GitRepo(tmp_path / "clone")
    art.tool("clone", str(art.path), str(clone.path))
    repaint(art, 5)
    art.git("switch", "-q", "side")
    art.tool("list")
    clone.git("pull", "-q")
    assert seed_of(clone) == 5
    assert clone.sidecar(HERO)["provenance"]["commit"] == clone.head()
    assert clone.status() == []
    clone.tool("list")
    assert clone.status() == []


def test_a_branch_that_another_git_moved(art: GitRepo) -> None:
    art.git("-c", "core.hooksPath=/dev/null", "switch", "-q", "side")
    check_all(art)
    art.git("-c", "core.hooksPath=/dev/null", "merge", "-q", "--no-edit", "main")
    check_all(art)


def test_sidecars_that_we_wrote_are_not_looked_at_again(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        store_repo.write(f"assets/characters/{number}.png", media.comfy_png(number))
    store_repo.git("add", ".")
    store_repo.commit("art")
    monkeypatch.chdir(store_repo.path)
    repository = open_repository()
    paths = [f"characters/{number}.png" for number in range(3)]
    changed = {"assets/characters": "another time"}
    with catchup.open_index(repository) as index:
        assert sight.rewritten(index, repository, paths, changed) == set()
        card = store_repo.path / "assets/characters/1.png.asset.json"
        card.write_bytes(card.read_bytes().replace(b'"tags": []', b'"tags":[] '))
        assert sight.rewritten(index, repository, paths, changed) == {"characters/1.png"}


UNFILTERED = (
    "-c",
    "filter.comfyvn.process=",
    "-c",
    "filter.comfyvn.required=false",
    "-c",
    "filter.comfyvn-sidecar.process=",
)


@pytest.mark.parametrize("count", [1, 6, 9])
def test_git_knows_the_sidecars_that_a_commit_wrote(store_repo: GitRepo, count: int) -> None:
    """It need not ask the filter: their times are noted."""
    for number in range(count):
        store_repo.write(f'assets/odd/{number} it\'s $(x) `y` %f "é" :0:.png', media.comfy_png(number))
    store_repo.git("add", ".")
    store_repo.commit("art")
    assert store_repo.git(*UNFILTERED, "diff-files").out == ""
    assert store_repo.status() == []
    check_all(store_repo)
