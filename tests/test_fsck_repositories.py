"""`fsck` in repositories of other kinds: partial, shallow, with work trees, of SHA-256, with a store that several share."""

import os
import sys
from pathlib import Path

import pytest

from tests import media
from tests.fsckrepo import BELL, CLUB, HERO, flipped, hash_of, look, make_art, mend, object_of, overwrite, snapshot
from tests.gitrepo import GitRepo, run
from tests.templates import copied


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    repo = copied(tmp_path_factory, make_art, tmp_path / "repo")
    repo.tool("list")
    return repo


def clone(art: GitRepo, target: Path, *options: str) -> GitRepo:
    run(["git", "clone", "-q", *options, art.path.as_uri(), str(target)], cwd=art.path)
    made = GitRepo(target)
    made.tool("init")
    made.tool("pull")
    made.tool("list")
    return made


def check_damage(repo: GitRepo) -> None:
    """Nothing is found; a damaged and a missing object are, and come back; the disk is as it was."""
    assert look(repo).kinds == []
    hero, bell = object_of(repo, HERO), object_of(repo, BELL)
    data = hero.read_bytes(), bell.read_bytes()
    overwrite(hero, flipped(data[0]))
    bell.unlink()
    assert look(repo).kinds == ["object-corrupt", "object-missing"]
    said = mend(repo)
    assert said.kinds == [], said.value
    assert (hero.read_bytes(), bell.read_bytes()) == data
    assert look(repo).kinds == []
    assert repo.status() == []


@pytest.mark.parametrize("options", [("--filter=blob:none",), ("--filter=tree:0",), ("--depth=1",), ()])
def test_clones_that_lack_a_part_of_history(art: GitRepo, tmp_path: Path, options: tuple[str, ...]) -> None:
    art.git("config", "uploadpack.allowFilter", "true")
    made = clone(art, tmp_path / "clone", *options)
    check_damage(made)
    if "--depth=1" not in options:
        found = made.tool("fsck", "HEAD~1", "--json", check=False).json()["findings"]
        assert [(each["kind"], each["paths"]) for each in found] == [("object-missing", [HERO])]


def test_a_bare_repository_with_work_trees(art: GitRepo, tmp_path: Path) -> None:
    run(["git", "clone", "-q", "--bare", str(art.path), str(tmp_path / "bare.git")], cwd=tmp_path)
    run(["git", "worktree", "add", "-q", str(tmp_path / "one"), "main"], cwd=tmp_path / "bare.git")
    made = GitRepo(tmp_path / "one")
    made.tool("init")
    made.tool("pull")
    made.tool("list")
    check_damage(made)
    done = run(["git", "comfyvn", "fsck"], cwd=tmp_path / "bare.git", check=False)
    assert (done.code, "is a bare repository" in done.err) == (20, True)


def test_a_linked_work_tree(art: GitRepo, tmp_path: Path) -> None:
    art.git("worktree", "add", "-q", str(tmp_path / "other"), "HEAD~1")
    other = GitRepo(tmp_path / "other")
    other.tool("list")
    assert look(other).kinds == []
    place = object_of(art, HERO, "HEAD~1")
    data = place.read_bytes()
    overwrite(place, flipped(data))
    assert look(other).kinds == ["object-corrupt"]
    assert look(art).kinds == []
    mend(other)
    assert look(other).kinds == ["object-missing"]
    (other.path / "assets/keep.png").write_bytes(data)  # a copy in a work tree
    assert mend(other).kinds == []
    assert place.read_bytes() == data


def test_sha256(tmp_path: Path) -> None:
    repo = GitRepo.create(tmp_path / "repo", "--object-format=sha256")
    repo.tool("init")
    make_art(repo)
    run(["git", "clone", "-q", str(repo.path), str(tmp_path / "clone")], cwd=tmp_path)
    made = GitRepo(tmp_path / "clone")
    made.tool("init")
    made.tool("pull")
    made.tool("list")
    check_damage(made)
    assert look(made, "HEAD").kinds == []


def test_a_store_that_several_share(art: GitRepo, tmp_path: Path) -> None:
    art.git("config", "comfyvn.store", str(tmp_path / "shared"))
    art.tool("init")
    art.tool("list")
    before = snapshot(tmp_path / "shared")
    assert look(art).kinds == []
    assert look(art, "--full").kinds == []
    assert snapshot(tmp_path / "shared") == before
    art.tool("fsck", "--incremental")
    assert (art.path / ".git/comfyvn/fsck").exists()
    assert not (tmp_path / "shared/fsck").exists()
    hash_ = hash_of(art, HERO)
    place = tmp_path / "shared/objects" / hash_[:2] / hash_[2:]
    overwrite(place, flipped(place.read_bytes()))
    assert look(art).kinds == ["object-corrupt"]
    (tmp_path / "shared/users").write_text("")
    assert look(art).kinds == ["object-corrupt", "store-users"]
    mend(art)
    assert str(art.path) in (tmp_path / "shared/users").read_text()
    (tmp_path / "shared").rename(tmp_path / "unplugged")
    found = art.tool("fsck", "--json", check=False)
    assert [each["kind"] for each in found.json()["findings"]] == ["store-unreachable"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have two users")
def test_objects_of_another_user_are_not_blamed_for_their_times(art: GitRepo) -> None:
    place = object_of(art, HERO)
    os.utime(place, ns=(1_700_000_000_000_000_007, 1_700_000_000_000_000_007))
    os.chown(place, 65534, 65534)
    assert look(art).kinds == []


def test_a_sparse_checkout_lacks_nothing(art: GitRepo) -> None:
    art.git("sparse-checkout", "set", "--no-cone", "/assets/bg/", "/assets/.gitattributes")
    art.tool("list")
    assert look(art).kinds == []


def test_a_conflict_is_no_finding(art: GitRepo) -> None:
    art.git("switch", "-q", "-c", "side", "HEAD~1")
    art.write(HERO, media.comfy_png(44))
    art.git("add", "-A")
    art.commit("side")
    art.git("merge", "main", check=False)
    art.tool("list", check=False)
    kinds = look(art).kinds
    assert [kind for kind in kinds if kind.startswith(("sidecar", "link", "view", "object"))] == []


def test_an_empty_repository_has_no_finding(store_repo: GitRepo) -> None:
    assert look(store_repo).kinds == []
    store_repo.tool("list")
    assert look(store_repo).kinds == []


def test_what_commands_leave_in_our_folders_is_no_stray(art: GitRepo, tmp_path: Path) -> None:
    """Journal, list of what is kept, trash, notes of what was sent, of a migration, and of users."""
    remote = tmp_path / "remote"
    art.tool("remote", "add", "--local", "disk", str(remote))
    art.tool("push")
    art.tool("keep", HERO)
    art.tool("annotate", HERO, CLUB, "--tag", "night")
    art.git("commit", "-q", "-am", "tags")
    art.tool("edit", CLUB)
    art.tool("undo")
    art.write("assets/bg/loose.png", media.png(seed=70))
    art.git("add", "assets/bg/loose.png")
    art.git("rm", "-q", "-f", "assets/bg/loose.png")
    for place in (art.path / ".git/comfyvn/objects").glob("??/*"):
        os.utime(place, (10**9, 10**9))
    assert art.tool("gc", "--prune", "--json").json()["objects"] >= 1
    art.tool("drop", BELL)
    art.tool("pull")
    note = art.path / ".git/comfyvn/tmp" / f"used-{hash_of(art, HERO)}"
    note.write_bytes(b"")
    art.write("old.psd", b"8BPS" * 50)
    art.git("add", "old.psd")
    art.git("commit", "-q", "-m", "not ours yet")
    art.tool("migrate", "raw", "old.psd", check=False)
    for words in (
        ["lock", HERO],
        ["unlock", HERO],
        ["rebuild"],
        ["status"],
        ["usage"],
        ["doctor"],
        ["fsck", "--incremental"],
    ):
        art.tool(*words, check=False)
    folders = {each.name for each in (art.path / ".git/comfyvn").iterdir()}
    assert {"operations", "keep", "trash", "fsck"} <= folders
    assert list((art.path / ".git/comfyvn/trash").iterdir())
    assert look(art).kinds == []
    assert look(art, "--full").kinds == []


def test_a_demo_is_in_order(tmp_path: Path) -> None:
    run([sys.executable, "-P", "-m", "comfyvn_store", "demo", str(tmp_path / "demo")], cwd=tmp_path)
    assert look(GitRepo(tmp_path / "demo"), "--full").kinds == []
