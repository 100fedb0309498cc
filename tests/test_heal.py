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
