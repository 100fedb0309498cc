"""Rebasing, with hooks, without them, and with the hooks gone: cases of `tests/verbs.py`."""

from pathlib import Path

import pytest

from tests import verbs
from tests.gitrepo import Result
from tests.verbs import BELL, DOOR, HERO, INN, NO_PRE_COMMIT, RIVAL, WIND, Cases, Limit, Scene, picture, sound

MIXED = (
    "a commit without hooks holds a file where the other side has a link, which git calls distinct types: "
    "it keeps both, the other side's under a name of its own"
)

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def edited(scene: Scene, script: str, *words: str, check: bool = True) -> Result:
    """Runs `git rebase -i` with its list edited by a sed script."""
    env = {"GIT_SEQUENCE_EDITOR": f"sed -i -e '{script}'"}
    return scene.git("rebase", "-q", "-i", *words, check=check, env=env)


def subjects(scene: Scene, count: int) -> list[str]:
    return scene.repo.git("log", "--format=%s", f"-{count}").out.splitlines()


@case("rebase")
def rebase(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    scene.git("rebase", "-q", "main")
    assert scene.repo.sidecar(DOOR)["tags"] == ["loud", "wood"]


@case("rebase (fast-forward)")
def rebase_forward(scene: Scene) -> None:
    scene.git("switch", "-q", "behind")
    scene.git("rebase", "-q", "main")


@case("rebase --apply")
def rebase_apply(scene: Scene) -> None:
    scene.git("switch", "-q", "third")
    scene.git("rebase", "-q", "--apply", "main")


@case("rebase --onto")
def rebase_onto(scene: Scene) -> None:
    scene.git("rebase", "-q", "--onto", "main", "other~1", "other")
    assert scene.repo.staged(WIND) is None and scene.repo.staged(BELL) is None


@case("rebase --root")
def rebase_root(scene: Scene) -> None:
    scene.git("rebase", "-q", "-f", "--root")


@case("rebase --autostash")
def rebase_autostash(scene: Scene) -> list[str]:
    scene.git("switch", "-q", "third")
    scene.keep(BELL, sound(41))
    scene.git("rebase", "-q", "--autostash", "main")
    return [f" M {BELL}"]


@case("rebase --rebase-merges")
def rebase_merges(scene: Scene) -> None:
    scene.git("switch", "-q", "third")
    scene.git("merge", "-q", "--no-edit", "other")
    scene.git("rebase", "-q", "--rebase-merges", "main")
    assert len(scene.repo.git("rev-list", "--parents", "-n1", "HEAD").out.split()) == 3


@case("rebase --update-refs")
def rebase_update_refs(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    scene.git("branch", "half", "other~1")
    scene.git("rebase", "-q", "--update-refs", "main")
    assert scene.repo.git("rev-parse", "half").out == scene.repo.git("rev-parse", "other~1").out


@case("rebase -i: edit, amend", Limit(NO_PRE_COMMIT, unfinished=(HERO,)))
def rebase_edit(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    edited(scene, "1s/^pick/edit/", "first")
    scene.pause()
    scene.add(HERO, picture(40))
    scene.git("commit", "-q", "--amend", "--no-edit")
    scene.pause()
    scene.git("rebase", "--continue")


@case("rebase -i: edit, split", Limit(NO_PRE_COMMIT, unfinished=(HERO,)))
def rebase_split(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    edited(scene, "1s/^pick/edit/", "first")
    scene.git("reset", "-q", "HEAD^")
    scene.git("add", "assets/sfx")
    scene.commit("the wind")
    scene.git("add", "assets")
    scene.commit("the rival")
    scene.add(HERO, picture(40))
    scene.commit("and a hero")
    scene.git("rebase", "--continue")
    assert subjects(scene, 4) == ["other art", "and a hero", "the rival", "the wind"]


@case("rebase -i: squash")
def rebase_squash(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    edited(scene, "2s/^pick/squash/", "first")
    assert scene.repo.git("rev-parse", "HEAD^").out == scene.repo.git("rev-parse", "first").out


@case("rebase -i: fixup, exec")
def rebase_fixup(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    edited(scene, "3s/^pick/fixup/", "main", "--exec", 'comfyvn-store list && test -z "$(git status --porcelain)"')
    assert subjects(scene, 2) == ["wind.wav", "a loud door"]


@case("rebase -i: reorder")
def rebase_reorder(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    edited(scene, "1{h;d};2G", "first")
    assert subjects(scene, 2) == ["wind.wav", "other art"]


@case("rebase -i: drop, reword")
def rebase_drop(scene: Scene) -> None:
    scene.git("switch", "-q", "other")
    edited(scene, "1s/^pick/drop/;2s/^pick/reword/", "first")
    assert scene.repo.staged(WIND) is None


@case("rebase -i: break, with an edit", Limit(NO_PRE_COMMIT, unfinished=(INN,)))
def rebase_break(scene: Scene) -> list[str]:
    scene.git("switch", "-q", "other")
    edited(scene, "1a break", "main")
    scene.keep(HERO, picture(42))
    scene.pause(f" M {HERO}")
    scene.add(INN, picture(43))
    scene.commit("an inn")
    scene.git("stash")
    del scene.edits[HERO]
    scene.git("rebase", "--continue")
    scene.git("stash", "pop")
    scene.edits[HERO] = scene.repo.read(HERO)
    return [f" M {HERO}"]


@case("rebase, aborted")
def rebase_abort(scene: Scene) -> None:
    scene.git("switch", "-q", "clash")
    scene.fails("rebase", "-q", "main")
    scene.pause(f"UU {HERO}", f"UU {HERO}.asset.json")
    scene.git("rebase", "--abort")


@case("rebase, conflict, --continue")
def rebase_continue(scene: Scene) -> None:
    scene.git("switch", "-q", "clash")
    scene.fails("rebase", "-q", "main")
    scene.git("checkout", "--theirs", "--", "assets/characters")
    scene.git("add", "assets")
    scene.git("rebase", "--continue")
    assert scene.repo.sidecar(HERO)["provenance"]["inputs"]["seed"] == 13


@case("rebase, conflict, --skip")
def rebase_skip(scene: Scene) -> None:
    scene.git("switch", "-q", "clash")
    scene.fails("rebase", "-q", "main")
    scene.git("rebase", "--skip")
    assert scene.repo.head() == scene.repo.git("rev-parse", "main").out


@case("rebase of a commit without hooks, conflict", Limit(MIXED, unfinished=(RIVAL,)))
def rebase_mixed(scene: Scene) -> None:
    scene.git("switch", "-q", "-c", "mixed", "first")
    scene.add(RIVAL, picture(44))
    scene.commit("rival")
    scene.fails("rebase", "-q", "other")
    scene.tool("list")
    scene.git("rm", "-q", "--cached", "--ignore-unmatch", "-r", "assets/characters")
    scene.git("checkout", "-f", "mixed", "--", RIVAL, f"{RIVAL}.asset.json", HERO, f"{HERO}.asset.json")
    scene.git("clean", "-qfd")
    scene.git("rebase", "--continue")


@case.matrix(every=4)
def test_rebase(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
