"""Healing where another process is at work: what it notes meanwhile is not taken for done."""

import pytest

from comfyvn_store.asset import worktree
from comfyvn_store.hot import heal
from comfyvn_store.index import catchup
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle
from tests.gitrepo import GitRepo

HERO = "assets/characters/hero.png"


@pytest.mark.parametrize("other", ["a second commit", "a rebuild"])
def test_what_another_process_notes_while_this_one_heals_stays_due(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.git("add", ".")
    store_repo.commit("first")
    without_hooks = ("-c", "core.hooksPath=/dev/null")
    store_repo.git(*without_hooks, "commit", "-q", "--amend", "-m", "amended")
    repository = open_repository(str(store_repo.path))
    write = worktree.write_sidecars

    def write_late(*arguments: object, **options: object) -> bool:
        done = write(*arguments, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(worktree, "write_sidecars", write)
        # Its own healing has to stand back: the lock for repairs is ours.
        if other == "a rebuild":
            store_repo.tool("rebuild", "--no-previews")
        else:
            store_repo.git(*without_hooks, "commit", "-q", "--amend", "-m", "amended again")
            store_repo.tool("list")
        return done

    monkeypatch.setattr(worktree, "write_sidecars", write_late)
    with catchup.open_index(repository) as index:
        catchup.catch_up(index, repository)
        heal.heal(index, repository)
        assert catchup.pending(index) == {"characters/hero.png"}
    oracle.check_all(store_repo)
    with catchup.open_index(repository) as index:
        assert catchup.pending(index) == set()


def test_while_filters_run_a_person_may_add(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mending a sidecar asks its filter, which takes its time; git's index is not locked meanwhile."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.git("add", ".")
    store_repo.commit("first")
    store_repo.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-m", "amended")
    usual = store_repo.git("config", "filter.comfyvn-sidecar.process").out
    adds = "touch .git/asked; echo 1 >game.rpy; env -u GIT_INDEX_FILE git add game.rpy"
    store_repo.git("config", "filter.comfyvn-sidecar.process", f"test -e .git/asked || {{ {adds}; }} >&2; {usual}")
    said = store_repo.tool("list", "--json")
    assert said.json()[0]["commit"] == store_repo.sidecar(HERO)["provenance"]["commit"] == store_repo.head()
    assert (store_repo.path / ".git/asked").exists()
    assert store_repo.status() == ["A  game.rpy"]
    # What git notes of the sidecar vouches for it, so that it asks no filter.
    store_repo.git("config", "filter.comfyvn-sidecar.process", "false")
    store_repo.git("config", "filter.comfyvn-sidecar.required", "true")
    assert store_repo.git("diff-files", "--name-only").out == ""
    assert [each.name for each in (store_repo.path / ".git").glob("index*")] == ["index"]
