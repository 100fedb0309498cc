"""What `migrate` says: of what it would do, of one file and of several, of what lies elsewhere."""

import os
from pathlib import Path

import pytest

from comfyvn_store.ops.migrate.choosing import outside
from tests import media
from tests.gitrepo import GitRepo
from tests.migrants import commit_raw, init, lfs_text, put_lfs_object

ONE, TWO = "assets/bg/one.png", "assets/bg/two.png"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def test_a_kind_is_asked_for_in_one_line(repo: GitRepo) -> None:
    done = repo.tool("migrate", check=False)
    assert done.code == 2
    assert done.err == "error: missing argument '{lfs|annex|dvc|raw}'\nhint: choose from lfs, annex, dvc, raw"


def test_a_trial_run_says_what_will_be_copied_and_counts_as_the_real_one(repo: GitRepo, tmp_path: Path) -> None:
    data = media.png(seed=1)
    put_lfs_object(repo, data)
    commit_raw(repo, ONE, lfs_text(data))
    repo.git("tag", "-a", "v1", "-m", "one")
    init(repo)
    assert "copied" not in repo.tool("migrate", "lfs", "--dry-run").out
    [place] = [path for path in (repo.path / ".git/lfs/objects").rglob("*") if path.is_file()]
    os.link(place, tmp_path / "other name")
    said = "would have to be copied: another name leads to it, or it is another user's or on another disk"
    assert f"1 file {said}" in repo.tool("migrate", "lfs", "--dry-run").out
    trial = repo.tool("migrate", "lfs", "--history", "--dry-run").out
    assert "3 commits and tags in history" in trial and f"1 version {said}" in trial
    done = repo.tool("migrate", "lfs", "--history").out
    assert "3 of 3 commits and tags are made anew" in done
    assert "1 version had to be copied: another name leads to it" in done


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("assets", "art/x.png", "git mv it below 'assets'"),
        ("assets", "x.png", "git mv it below 'assets'"),
        (
            "game/images",
            "game/gui/x.png",
            "git mv it below 'game/images', or set comfyvn.assetsRoot to 'game' and run `comfyvn-store init`",
        ),
    ],
)
def test_what_can_be_done_of_a_file_elsewhere(root: str, path: str, expected: str) -> None:
    assert outside(root, path).hint == expected
