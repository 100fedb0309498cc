"""Folders of hooks that are tracked or shared hold nothing of one machine; `init --print` shows what goes where."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from comfyvn_store.ops.shims import HOOKS
from tests import media
from tests.gitrepo import GitRepo
from tests.hookspy import SH, begin, commit_art, said, theirs_alone, use_git


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def test_tracked_hooks_are_the_projects_and_hold_nothing_of_this_machine(repo: GitRepo, tmp_path: Path) -> None:
    for name in HOOKS:
        repo.write(f".githooks/{name}", SH.format(name=name)).chmod(0o755)
    begin(repo)
    repo.git("config", "core.hooksPath", ".githooks")
    assert repo.tool("init", "--print", "--json").json()["are_hooks_tracked"]
    repo.tool("init")
    assert "?? .githooks/pre-commit.before-comfyvn" in repo.status() and " M .githooks/pre-commit" in repo.status()
    repo.git("add", "-A")
    repo.commit("hooks of comfyvn-store")
    assert repo.status() == []
    for place in (repo.path / ".githooks").iterdir():
        assert str(tmp_path).encode() not in place.read_bytes() and sys.executable.encode() not in place.read_bytes()
    use_git(repo)
    # a colleague without init: theirs run, ours leave at once
    clone = GitRepo(tmp_path / "clone")
    repo.git("clone", "-q", ".", str(clone.path))
    clone.git("config", "core.hooksPath", ".githooks")
    clone.write("readme.txt", b"y")
    clone.git("commit", "-qam", "words")
    assert said(clone, "theirs") == ["pre-commit", "post-commit"]
    clone.tool("init")
    assert clone.status() == []
    commit_art(clone)


def test_a_folder_shared_by_repositories_serves_each_and_the_last_one_clears_it(hermetic: Path, tmp_path: Path) -> None:
    folder = hermetic / "hooks"
    folder.mkdir()
    for name in HOOKS:
        (folder / name).write_text(SH.format(name=name))
        (folder / name).chmod(0o755)
    before = {place.name: place.read_bytes() for place in folder.iterdir()}
    one, two, other = (GitRepo.create(tmp_path / name) for name in ("one", "two", "other"))
    one.git("config", "--global", "core.hooksPath", "~/hooks")
    two.git("config", "comfyvn.assetsRoot", "game/art")
    for repo in (one, two, other):
        begin(repo)
    one.tool("init")
    two.tool("init")
    two.write("game/art/a.png", media.png())
    two.git("add", "-A")
    two.commit("art")
    assert (two.path / "game/art/a.png").is_symlink() and two.status() == []
    one.commit("set up")
    commit_art(one)
    said(two, "theirs")
    other.write("assets/a.png", media.png())
    other.git("add", "-A")
    assert other.commit("not ours") and said(other, "theirs") == ["pre-commit", "post-commit"]
    assert not (other.path / ".git/comfyvn").exists()
    assert "the hooks stay" in two.tool("uninstall").out
    two.git("commit", "-q", "--allow-empty", "-m", "plain")
    assert said(two, "theirs") == ["pre-commit", "post-commit"]
    commit_art(one)
    theirs_alone(one)
    assert {place.name: place.read_bytes() for place in folder.iterdir()} == before


def test_print_writes_nothing_and_tells_all(repo: GitRepo) -> None:
    repo.write(".git/hooks/pre-commit", SH.format(name="pre-commit")).chmod(0o755)
    (repo.path / ".husky").mkdir()
    before = {str(path): path.read_bytes() for path in repo.path.rglob("*") if path.is_file()}
    text = repo.tool("init", "--print").out
    plan = repo.tool("init", "--print", "--json").json()
    assert {str(path): path.read_bytes() for path in repo.path.rglob("*") if path.is_file()} == before
    assert plan["config"]["comfyvn.python"] == sys.executable and plan["is_store_new"]
    assert plan["hooks"][0] == {
        "name": "pre-commit",
        "path": str(repo.path / ".git/hooks/pre-commit"),
        "action": "written, after the one there",
        "kept_as": str(repo.path / ".git/hooks/pre-commit.before-comfyvn"),
    }
    for word in ("comfyvn.python", "pre-commit.before-comfyvn", ".gitattributes", "/.comfyvn", ".husky/pre-commit"):
        assert word in text, word
    repo.tool("init")
    for key, value in plan["config"].items():
        assert repo.git("config", "--local", key).out == value
    for path in (plan["attributes"]["path"], plan["excludes"]["path"], *(each["path"] for each in plan["hooks"])):
        assert Path(path).is_file()
    assert os.readlink(plan["link"]["path"]) == plan["link"]["text"]
    shutil.rmtree(repo.path / ".husky")
    assert repo.tool("init", "--print").out == "nothing to write: this repository is set up"
    repo.git("config", "core.hooksPath", "/dev/null")
    assert repo.tool("init", "--print", check=False).code == 20
