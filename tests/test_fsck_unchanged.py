"""`fsck --incremental` believes links, sidecars and the index while nothing changed, and nothing that did."""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fsckrepo import BELL, CLUB, HERO, Said, make_art, object_of
from tests.gitrepo import GitRepo
from tests.templates import copied

CARD = f"{HERO}.asset.json"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    repo = copied(tmp_path_factory, make_art, tmp_path / "repo")
    repo.tool("list")
    return repo


def run(repo: GitRepo) -> tuple[Said, str]:
    """What an incremental run said, and the git commands that it gave."""
    trace = repo.path.parent / "trace"
    trace.unlink(missing_ok=True)
    said = Said(repo.tool("fsck", "--json", "--incremental", check=False, env={"GIT_TRACE": str(trace)}))
    return said, trace.read_text("utf-8", "replace")


def is_long(commands: str) -> bool:
    """Whether the run looked at history (to compare the index) and at what is staged (to judge links and sidecars)."""
    seen = ("diff-tree --stdin" in commands, "ls-files -u" in commands)
    assert seen[0] == seen[1], commands
    return seen[0]


def edit_card(repo: GitRepo, **changes: object) -> None:
    said = json.loads(repo.read(CARD))
    repo.write(CARD, json.dumps({**said, **changes}, indent=2) + "\n")


def stage_card(repo: GitRepo) -> None:
    """Commits, past our hooks, a sidecar that says another type."""
    said = json.loads(repo.blob(f":{CARD}"))
    oid = repo.git("hash-object", "-w", "--stdin", "--no-filters", input=json.dumps({**said, "type": "x"})).out
    repo.git("update-index", "--cacheinfo", f"100644,{oid},{CARD}")
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "by hand")
    repo.git("checkout", "-q", "--", CARD)


def edit_index(repo: GitRepo) -> None:
    with sqlite3.connect(repo.path / ".git/comfyvn/index.db") as db:
        db.execute("UPDATE assets_registry SET license = 'CC0'")
    db.close()


def relink(repo: GitRepo) -> None:
    place = repo.path / CLUB
    text = os.readlink(place)
    place.unlink()
    place.symlink_to("../" + text)


def test_a_run_after_one_without_findings_is_short(art: GitRepo) -> None:
    first, commands = run(art)
    assert first.kinds == []
    assert is_long(commands)
    again, commands = run(art)
    assert again.kinds == []
    assert not is_long(commands)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda repo: edit_card(repo, type="x"), "sidecar-disagrees"),
        (lambda repo: (repo.path / CARD).unlink(), "sidecar-missing"),
        (stage_card, "sidecar-disagrees"),
        (relink, "link-depth"),
        (lambda repo: (repo.path / BELL).unlink(), "view-missing"),
        (edit_index, "index-differs"),
        (lambda repo: object_of(repo, HERO).unlink(), "object-missing"),
        (lambda repo: repo.write("assets/bg/gone.png.asset.json", repo.read(CARD)), "sidecar-orphaned"),
    ],
)
def test_what_changed_is_looked_at(art: GitRepo, change: Callable[[GitRepo], object], kind: str) -> None:
    run(art)
    assert not is_long(run(art)[1])
    change(art)
    plain = Said(art.tool("fsck", "--json", check=False))
    assert kind in plain.kinds
    assert run(art)[0].kinds == plain.kinds
    assert run(art)[0].kinds == plain.kinds  # a finding is told again as long as it is there


def test_an_edit_that_git_was_told_to_overlook_is_looked_at(art: GitRepo) -> None:
    art.git("update-index", "--assume-unchanged", CARD)
    run(art)
    edit_card(art, type="x")
    assert run(art)[0].kinds == ["sidecar-disagrees"]


def test_what_a_finding_hid_is_looked_at_once_that_is_gone(art: GitRepo) -> None:
    place = object_of(art, HERO)
    away = place.rename(art.path.parent / "away")
    assert run(art)[0].kinds == ["object-missing"]
    away.rename(place)
    said, commands = run(art)
    assert said.kinds == []
    assert is_long(commands)


def test_an_edit_does_not_make_the_next_run_long(art: GitRepo) -> None:
    edit_card(art, tags=["mine"])
    art.tool("list")
    assert is_long(run(art)[1])
    assert "diff-tree --stdin" not in run(art)[1]
