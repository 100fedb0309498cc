"""Linked work trees and submodules, with hooks, without them, and with the hooks gone: cases of `tests/verbs.py`."""

import shutil
from pathlib import Path

import pytest

from tests import media, oracle, verbs
from tests.gitrepo import GitRepo
from tests.verbs import BELL, RIVAL, WIND, Cases, Scene, picture, sound

NEW = "assets/characters/new.png"

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def linked(scene: Scene, *words: str, name: str = "linked") -> GitRepo:
    """Adds a linked work tree. Its views lead somewhere at once, whatever hooks there are."""
    place = scene.scratch / name
    scene.git("worktree", "add", "-q", *words[:-1], str(place), words[-1])
    tree = GitRepo(place)
    assert tree.status() == []
    oracle.check_views(tree)
    return tree


def check_tree(scene: Scene, tree: GitRepo, without_record: tuple[str, ...] = ()) -> None:
    """Holds another work tree against what git and the disk say."""
    before = tree.status()
    tree.tool("list")
    assert tree.status() == before
    oracle.check_commits(tree, without_record=without_record)
    oracle.check_index(tree, scene.scratch)
    assert tree.status() == before


def git_in(scene: Scene, tree: GitRepo, *words: str, check: bool = True) -> None:
    tree.git(*words, check=check, env=scene.env)


# -- linked work trees ---------------------------------------------------------------------------------------------


@case("worktree add")
def add(scene: Scene) -> None:
    tree = linked(scene, "other")
    check_tree(scene, tree)
    assert tree.read(WIND) == media.marked(sound(15))


@case("worktree add -b, switch and edit there")
def add_branch(scene: Scene) -> None:
    tree = linked(scene, "-b", "mine", "first")
    tree.write(BELL, sound(41))
    git_in(scene, tree, "switch", "-q", "third")
    assert tree.status() in ([f" T {BELL}"], [f" M {BELL}"])
    assert tree.read(BELL) == sound(41)
    check_tree(scene, tree)
    assert tree.read(BELL) == sound(41)


@case("worktree add --no-checkout, reset --hard")
def add_empty(scene: Scene) -> None:
    scene.git("worktree", "add", "-q", "--no-checkout", str(scene.scratch / "linked"), "other")
    tree = GitRepo(scene.scratch / "linked")
    git_in(scene, tree, "reset", "-q", "--hard")
    oracle.check_views(tree)
    check_tree(scene, tree)


@case("commit in a linked work tree, merge it")
def commit_there(scene: Scene) -> None:
    tree = linked(scene, "third")
    tree.write(NEW, picture(41))
    git_in(scene, tree, "add", ".")
    git_in(scene, tree, "commit", "-q", "-m", "new")
    check_tree(scene, tree, (NEW,) if scene.mode != "on" else ())
    if scene.mode == "absent":
        scene.tool("init")
    tree.write(RIVAL, picture(42))
    tree.git("add", ".")
    tree.commit("rival")
    oracle.check_all(tree)
    scene.git("merge", "-q", "--no-edit", "third")


@case("worktree move")
def move(scene: Scene) -> None:
    tree = linked(scene, "other")
    tree.tool("list")
    (scene.scratch / "far/away").mkdir(parents=True)
    scene.git("worktree", "move", str(tree.path), str(scene.scratch / "far/away/tree"))
    tree = GitRepo(scene.scratch / "far/away/tree")
    assert tree.status() == []
    oracle.check_views(tree)
    check_tree(scene, tree)


@case("worktree repair")
def repair(scene: Scene) -> None:
    tree = linked(scene, "other")
    tree.tool("list")
    (scene.scratch / "far").mkdir()
    tree.path.rename(scene.scratch / "far/tree")
    scene.git("worktree", "repair", str(scene.scratch / "far/tree"))
    tree = GitRepo(scene.scratch / "far/tree")
    oracle.check_views(tree)
    check_tree(scene, tree)


@case("worktree remove")
def remove(scene: Scene) -> None:
    tree = linked(scene, "other")
    tree.tool("rebuild")
    tree.tool("status")
    git_in(scene, tree, "switch", "-q", "--detach", "third")
    scene.git("worktree", "remove", str(tree.path))
    assert not tree.path.exists()


@case("worktree prune")
def prune(scene: Scene) -> None:
    tree = linked(scene, "other")
    tree.tool("list")
    shutil.rmtree(tree.path)
    scene.git("worktree", "prune")
    assert scene.repo.git("worktree", "list", "--porcelain").out.count("worktree ") == 1
    scene.git("switch", "-q", "other")


# -- submodules ----------------------------------------------------------------------------------------------------


def submodule(scene: Scene) -> GitRepo:
    """Adds the repository itself, as it is now, as a submodule with a store of its own, and commits that."""
    source = scene.scratch / "library"
    shutil.copytree(scene.repo.path, source, symlinks=True)
    scene.git("submodule", "--quiet", "add", str(source), "vendor/library")
    inner = GitRepo(scene.repo.path / "vendor/library")
    inner.tool("init")
    objects = inner.object_path("0" * 64).parent.parent
    shutil.copytree(GitRepo(source).object_path("0" * 64).parent.parent, objects, dirs_exist_ok=True)
    if scene.mode == "absent":
        for name in verbs.HOOKS:
            Path(inner.git("rev-parse", "--path-format=absolute", "--git-path", f"hooks/{name}").out).unlink()
    scene.commit("a library")
    oracle.check_views(inner)
    return inner


@case("submodule add, deinit, update")
def update(scene: Scene) -> None:
    inner = submodule(scene)
    check_tree(scene, inner)
    scene.git("submodule", "--quiet", "deinit", "-f", "vendor/library")
    scene.git("submodule", "--quiet", "update", "--init")
    assert inner.status() == []
    oracle.check_views(inner)
    check_tree(scene, inner)


@case("commit in a submodule, then around it")
def commit_inside(scene: Scene) -> None:
    inner = submodule(scene)
    inner.write(NEW, picture(41))
    git_in(scene, inner, "add", ".")
    git_in(scene, inner, "commit", "-q", "-m", "new")
    assert scene.repo.status() == [" M vendor/library"]
    scene.git("add", "vendor")
    scene.commit("a newer library")
    check_tree(scene, inner, (NEW,) if scene.mode != "on" else ())
    inner.tool("init")
    inner.write(RIVAL, picture(42))
    inner.git("add", ".")
    inner.commit("rival")
    oracle.check_all(inner)
    scene.git("submodule", "--quiet", "update")


@case("switch and reset with submodule.recurse")
def recurse(scene: Scene) -> None:
    inner = submodule(scene)
    newer = inner.head()
    scene.git("config", "submodule.recurse", "true")
    git_in(scene, inner, "checkout", "-q", "first")
    first = inner.head()
    scene.git("add", "vendor")
    scene.commit("the first library")
    scene.git("switch", "-q", "--detach", "main~1")
    assert inner.head() == newer
    oracle.check_views(inner)
    check_tree(scene, inner)
    scene.git("reset", "-q", "--hard", "main")
    assert inner.head() == first
    oracle.check_views(inner)
    check_tree(scene, inner)
    scene.git("switch", "-q", "main")


@case.matrix(every=4)
def test_trees(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
