"""Links that lie deeper or higher than they say: who commits next mends them, and looks only where one can be."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from comfyvn_store.hot import plan, precommit
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.git import Git
from comfyvn_store.vcs.repository import open_repository
from tests import media
from tests.gitrepo import GitRepo
from tests.oracle import check_all

NAMES = [f"assets/bg/{number}.png" for number in range(6)]
WITHOUT_HOOKS = ("-c", "core.hooksPath=/dev/null")


@pytest.fixture
def art(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    for number, name in enumerate(NAMES):
        store_repo.write(name, media.comfy_png(number))
    store_repo.git("add", ".")
    store_repo.commit("art")
    return store_repo


def looked_at(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> int:
    """Prepares a commit of what is staged; gives how many links were looked at for their length."""
    asked: list[int] = []

    class Counted(plan.Depths):
        def __init__(self, *arguments: object) -> None:
            def counted(git: Git, oids: Iterable[str]) -> dict[str, blobs.Found]:
                names = list(oids)
                asked.append(len(names))
                return sizes(git, names)

            sizes = blobs.sizes
            with monkeypatch.context() as patch:
                patch.setattr(blobs, "sizes", counted)
                super().__init__(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(plan, "Depths", Counted)
        precommit.prepare(open_repository(str(art.path)))
    (found,) = asked
    return found


def commit_one(art: GitRepo, name: str, seed: int) -> None:
    art.write(name, media.comfy_png(seed))
    art.git("add", ".")
    art.commit(name)


def test_only_what_changed_since_a_commit_that_was_right_is_looked_at(
    art: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_one(art, "assets/bg/more.png", 10)
    art.write("assets/bg/last.png", media.comfy_png(11))
    art.git("add", ".")
    assert looked_at(art, monkeypatch) == 2  # `more` since the first commit, and `last`
    art.commit("last")
    art.write(NAMES[0], media.comfy_png(12))
    art.git("add", ".")
    assert looked_at(art, monkeypatch) == 2  # `last`, and what stands at the changed path now
    art.commit("changed")
    art.write(NAMES[0], media.comfy_png(13))
    art.git("add", ".")
    assert looked_at(art, monkeypatch) == 2  # before and after, because the last commit has not been looked at
    art.commit("changed again")
    (art.path / "assets/.gitattributes").open("a").write("*.txt text\n")
    art.git("add", ".")
    assert looked_at(art, monkeypatch) == len(NAMES) + 2
    art.commit("attributes")
    check_all(art)


@pytest.mark.parametrize("between", ["nothing", "another commit", "a rebuild", "history that is gone"])
def test_what_moved_without_us_is_mended_by_the_next_commit(art: GitRepo, between: str) -> None:
    commit_one(art, "assets/bg/more.png", 10)
    commit_one(art, "assets/bg/again.png", 11)
    (art.path / "assets/bg/deep").mkdir()
    for suffix in ("", ".asset.json"):
        art.git("mv", f"{NAMES[1]}{suffix}", f"assets/bg/deep/1.png{suffix}")
    art.git(*WITHOUT_HOOKS, "commit", "-qm", "moved")
    if between == "another commit":
        art.write("words.txt", b"words\n")
        art.git("add", "words.txt")
        art.git(*WITHOUT_HOOKS, "commit", "-qm", "words")
    elif between == "a rebuild":
        Path(art.tool("db").out).unlink()
    elif between == "history that is gone":
        art.git("checkout", "-q", "--orphan", "fresh")
        art.git(*WITHOUT_HOOKS, "commit", "-qm", "all")
        art.git("branch", "-D", "main")
        shutil.rmtree(art.path / ".git/logs")
        art.git("gc", "-q", "--prune=now")
    commit_one(art, "assets/bg/next.png", 12)
    link = art.blob("HEAD:assets/bg/deep/1.png")
    assert link.startswith(b"../../../.comfyvn/") and art.link("assets/bg/deep/1.png").encode() == link
    assert art.status() == []
    check_all(art)
