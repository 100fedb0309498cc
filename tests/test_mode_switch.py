"""Switching views between links and copies: on a clean tree, on a dirty one, and when the process dies half-way."""

import os
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, wav
from tests.oracle import check_all, check_index, digest
from tests.templates import copied
from tests.test_copies import SOUND, A, B, check_copies, digest_at, fill, modes

C = "assets/characters/c.png"


@pytest.fixture
def linked(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    return copied(tmp_path_factory, fill, tmp_path / "repo")


def switch(repo: GitRepo, views: str) -> None:
    repo.git("config", "comfyvn.views", views)
    repo.tool("init")


def symlinks(repo: GitRepo) -> str:
    return repo.git("config", "--get", "core.symlinks", check=False).out


def test_there_and_back_again(linked: GitRepo, tmp_path: Path) -> None:
    before = linked.git("config", "--local", "--list").out
    switch(linked, "copy")
    assert symlinks(linked) == "false"
    check_copies(linked)
    linked.write(C, comfy_png(5))
    linked.git("add", "assets")
    linked.commit("art of a copy")
    assert modes(linked)[C] == "100644"
    switch(linked, "link")
    assert (symlinks(linked), linked.status()) == ("", [])
    assert os.path.islink(linked.path / A)
    assert linked.tool("status", "--json").json()["unflipped"] == [C]
    linked.tool("annotate", C, "--tag", "flip")
    linked.commit("the next commit makes it a link")
    check_all(linked)
    check_index(linked, tmp_path)
    linked.git("config", "--unset", "comfyvn.views")
    assert linked.git("config", "--local", "--list").out == before


def test_init_says_what_views_are_where_that_changed(linked: GitRepo) -> None:
    for views, said in (("copy", "ordinary files"), ("link", "links")):
        linked.git("config", "comfyvn.views", views)
        assert f"\n  views are {said} now" in linked.tool("init").out
        done = linked.tool("init", "--json").json()
        assert (done["views"], done["were_views_switched"]) == (views, False)
        assert "views are" not in linked.tool("init").out


def test_a_setting_of_symlinks_comes_back(linked: GitRepo) -> None:
    linked.git("config", "core.symlinks", "true")
    switch(linked, "copy")
    switch(linked, "link")
    assert symlinks(linked) == "true"
    linked.git("config", "core.symlinks", "false")
    switch(linked, "link")  # not ours to change
    assert symlinks(linked) == "false"
    linked.tool("list")
    check_copies(linked)


def test_until_init_commands_say_what_to_type(linked: GitRepo) -> None:
    linked.git("config", "comfyvn.views", "copy")
    assert "run `comfyvn-store init`" in linked.tool("list").err
    assert linked.status() == []
    linked.tool("init")
    assert "init" not in linked.tool("list").err
    linked.git("config", "comfyvn.views", "link")
    assert "run `comfyvn-store init`" in linked.tool("list").err
    linked.git("config", "comfyvn.views", "hardlink")
    assert linked.tool("list", check=False).code == 2


def test_a_repository_may_ask_for_copies(linked: GitRepo, tmp_path: Path) -> None:
    (linked.path / ".comfyvnconfig").write_text("[comfyvn]\n\tviews = copy\n")
    linked.git("add", ".comfyvnconfig")
    linked.commit("copies for everybody")
    linked.tool("clone", "--no-pull", str(linked.path), str(tmp_path / "clone"))
    clone = GitRepo(tmp_path / "clone")
    assert symlinks(clone) == "false"
    assert os.path.islink(clone.path / A)  # no bytes are here yet
    for hash_ in (digest_at(linked, "HEAD", path) or "" for path in (A, B, SOUND)):
        place = clone.object_path(hash_)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(linked.object_path(hash_), place)
    clone.tool("list")
    check_copies(clone)


def dirty(repo: GitRepo) -> dict[str, bytes]:
    """Makes a work tree with all that may be lost: a conflict, an unstaged edit, a staged one, what git does not know."""
    repo.git("switch", "-q", "-c", "theirs")
    repo.write(B, comfy_png(31))
    repo.commit("theirs", "-a")
    repo.git("switch", "-q", "main")
    repo.write(B, comfy_png(32))
    repo.commit("ours", "-a")
    repo.git("merge", "theirs", check=False)
    edits = {A: comfy_png(33), "assets/characters/new.png": comfy_png(34), "notes.txt": b"mine"}
    for path, data in edits.items():
        repo.write(path, data)
    repo.write(C, comfy_png(35))
    repo.git("add", C)
    return edits


@pytest.mark.parametrize("to", ["copy", "link"])
def test_a_dirty_tree_loses_nothing(linked: GitRepo, to: str) -> None:
    if to == "link":
        switch(linked, "copy")
    edits = dirty(linked)
    stages = linked.git("ls-files", "-u", "assets").out
    staged = linked.staged(C)
    assert stages.count("\n") == 5
    ours = digest_at(linked, "HEAD", B)
    switch(linked, to)
    assert linked.git("ls-files", "-u", "assets").out == stages
    assert linked.staged(C) == staged
    assert {path: linked.read(path) for path in edits} == edits
    assert digest(linked.read(B)) == ours
    assert digest(linked.read(SOUND)) == digest_at(linked, "HEAD", SOUND)
    assert os.path.islink(linked.path / SOUND) == (to == "link")
    changed = [each for each in linked.status() if each[3:] not in (B, f"{B}.asset.json", C, f"{C}.asset.json")]
    assert sorted(line[3:] for line in changed) == sorted(edits)
    linked.git("checkout", "--theirs", "--", B, f"{B}.asset.json")
    linked.git("add", "assets")
    linked.commit("merged")
    linked.tool("list")
    assert digest(linked.read(B)) == digest_at(linked, "HEAD", B) == digest_at(linked, "theirs", B)
    assert linked.status() == ["?? notes.txt"]


@pytest.mark.parametrize("to", ["copy", "link"])
def test_a_switch_that_died_is_completed(linked: GitRepo, to: str, tmp_path: Path) -> None:
    if to == "link":
        switch(linked, "copy")
    linked.git("config", "comfyvn.views", to)
    # A disk on which nothing more can be written to the second folder: the switch dies there.
    script = (
        "import comfyvn_store.base.swapping as f, sys; real = {n: getattr(f, n) for n in ('swap_for_file', 'swap_for_link')}\n"
        "def dying(name):\n"
        "    def swap(path, *rest):\n"
        "        if 'sounds' in path: import os; os._exit(9)\n"
        "        return real[name](path, *rest)\n"
        "    return swap\n"
        "f.swap_for_file, f.swap_for_link = dying('swap_for_file'), dying('swap_for_link')\n"
        "from comfyvn_store.cli.main import run; run(['init'])\n"
    )
    import subprocess
    import sys

    assert subprocess.run([sys.executable, "-P", "-c", script], cwd=linked.path).returncode == 9
    assert linked.status() == []
    linked.tool("list")
    assert linked.status() == []
    linked.tool("init")
    if to == "copy":
        check_copies(linked)
    else:
        check_all(linked)


def test_other_work_trees_follow(linked: GitRepo, tmp_path: Path) -> None:
    linked.git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")
    tree = GitRepo(tmp_path / "tree")
    switch(linked, "copy")
    assert tree.status() == []
    tree.tool("list")
    check_copies(tree)
    tree.write(SOUND, wav(seconds=3))
    switch(linked, "link")
    assert (linked.status(), tree.status()) == ([], [f" T {SOUND}"])
    assert os.path.islink(tree.path / A)
    assert tree.read(SOUND) == wav(seconds=3)
