"""A folder of assets that somebody replaced by a symlink: git sees nothing beyond it, and nothing is written there."""

import os
from pathlib import Path

import pytest

from tests import media, templates
from tests.gitrepo import GitRepo

ALICE, BELL = "assets/characters/alice.png", "assets/characters/bell.wav"


def make_art(repo: GitRepo) -> None:
    repo.write(ALICE, media.comfy_png(1))
    repo.write(BELL, media.wav())
    repo.git("add", "-A")
    repo.commit("art")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return templates.copied(tmp_path_factory, make_art, tmp_path / "repo")


def lead_outside(repo: GitRepo, outside: Path) -> None:
    """Moves the characters outside the work tree as ordinary files, and leaves a symlink to them."""
    folder = repo.path / "assets/characters"
    outside.mkdir()
    for each in folder.iterdir():
        (outside / each.name).write_bytes(each.read_bytes())
        each.unlink()
    folder.rmdir()
    folder.symlink_to(outside)


def content(folder: Path) -> dict[str, bytes | str]:
    """Every file below a folder, and the text of every symlink."""
    files = [each for each in folder.rglob("*") if each.is_symlink() or each.is_file()]
    return {str(each): os.readlink(each) if each.is_symlink() else each.read_bytes() for each in files}


@pytest.mark.parametrize("views", ["link", "copy"])
def test_nothing_is_written_where_a_symlink_leads(art: GitRepo, tmp_path: Path, views: str) -> None:
    art.git("config", "comfyvn.views", views)
    art.tool("init")
    lead_outside(art, tmp_path / "outside")
    before, status = content(tmp_path / "outside"), art.status()
    for words in (["annotate", ALICE, "--tag", "x"], ["edit", ALICE], ["recover", BELL]):
        refused = art.tool(*words, check=False)
        assert (refused.code, "leads through 'assets/characters', which is a link" in refused.err) == (20, True), words
    assert art.status() == status
    for words in (["status"], ["rebuild"], ["doctor", "--fix"]):
        art.tool(*words, check=False)
    art.git("config", "comfyvn.views", "copy" if views == "link" else "link")
    art.tool("init")
    art.tool("status")
    art.git("commit", "-q", "--allow-empty", "-m", "more")
    assert content(tmp_path / "outside") == before
    assert art.status() == status


def test_sidecars_that_are_brought_up_to_date_are_not_made_there(art: GitRepo, tmp_path: Path) -> None:
    lead_outside(art, tmp_path / "outside")
    (tmp_path / "outside/bell.wav.asset.json").unlink()
    before = content(tmp_path / "outside")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-m", "another name for the commit")
    art.tool("rebuild")
    assert art.tool("list", "--json").json()[0]["commit"] == art.head()
    assert content(tmp_path / "outside") == before


def test_a_mirror_that_a_clone_leads_elsewhere_stays_empty(art: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    meta = art.path / "assets/_meta"
    if meta.is_dir():
        for each in sorted(meta.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        meta.rmdir()
    meta.symlink_to(tmp_path / "victim")
    art.tool("annotate", ALICE, "--tag", "x")
    art.tool("rebuild")
    art.commit("noted")
    assert content(tmp_path / "victim") == {}


def test_a_conflict_beyond_a_symlink_is_refused(art: GitRepo, tmp_path: Path) -> None:
    art.git("branch", "side")
    for branch, seed in (("main", 2), ("side", 3)):
        art.git("switch", "-q", branch)
        art.write(ALICE, media.comfy_png(seed))
        art.git("add", "-A")
        art.commit(branch)
    assert art.git("merge", "main", check=False).code == 1
    lead_outside(art, tmp_path / "outside")
    before = content(tmp_path / "outside")
    refused = art.tool("resolve", "assets", "--theirs", check=False)
    assert (refused.code, "which is a link" in refused.err) == (20, True)
    assert content(tmp_path / "outside") == before
