"""Ways to bring single commits in or take them back, with hooks, without them, and with the hooks gone: the cases of
`tests/verbs.py`."""

from pathlib import Path

import pytest

from tests import verbs
from tests.verbs import (
    HERO,
    INN,
    MODES,
    MOON,
    NO_PRE_COMMIT,
    RAIN,
    Cases,
    Limit,
    Scene,
    picture,
)

NEW = "assets/characters/new.png"
CARD = ".asset.json"
CLASH = [f"UU {HERO}", f"UU {HERO}{CARD}"]

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def waits(*paths: str, modes: tuple[str, ...] = verbs.WITHOUT_HOOKS) -> Limit:
    return Limit(NO_PRE_COMMIT, unfinished=paths, modes=modes)


def seed(scene: Scene, path: str = HERO) -> int:
    found: int = scene.repo.sidecar(path)["provenance"]["inputs"]["seed"]
    return found


def take(scene: Scene, side: str) -> None:
    """Resolves a conflict by a side, as git.md tells people to."""
    scene.git("checkout", f"--{side}", "--", HERO, f"{HERO}{CARD}")
    scene.git("add", "assets")


# -- cherry-pick and revert ----------------------------------------------------------------------------------------


@case("cherry-pick")
def pick(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.git("cherry-pick", "other^")
    return [f" M {INN}"]


@case("cherry-pick of several")
def pick_several(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.git("cherry-pick", "first..other", "third")
    return [f" M {INN}"]


@case("cherry-pick -n")
def pick_no_commit(scene: Scene) -> list[str]:
    scene.git("cherry-pick", "-n", "third")
    return [f"A  {MOON}", f"A  {MOON}{CARD}"]


@case("cherry-pick -n, commit")
def pick_no_commit_commit(scene: Scene) -> None:
    scene.git("cherry-pick", "-n", "third")
    scene.commit("the moon")


@case("cherry-pick, conflict, --continue")
def pick_continue(scene: Scene) -> None:
    scene.fails("cherry-pick", "third", "clash", "other^")
    scene.pause(*CLASH)
    take(scene, "theirs")
    scene.git("cherry-pick", "--continue")
    assert scene.git("rev-list", "--count", "main@{1}..HEAD").out


@case("cherry-pick, conflict, aborted")
def pick_aborted(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.fails("cherry-pick", "third", "clash", "other^")
    scene.pause(*CLASH, f" M {INN}")
    scene.git("cherry-pick", "--abort")
    return [f" M {INN}"]


@case("cherry-pick, conflict, --skip")
def pick_skip(scene: Scene) -> None:
    scene.fails("cherry-pick", "third", "clash", "other^")
    scene.git("cherry-pick", "--skip")


@case("cherry-pick, conflict, new art, commit", waits(HERO, NEW))
def pick_commit(scene: Scene) -> None:
    scene.fails("cherry-pick", "clash")
    scene.add(HERO, picture(22))
    scene.add(NEW, picture(21))
    scene.git("add", "assets")
    scene.git("commit", "-q", "--no-edit")


@case("cherry-pick -m 1")
def pick_merge(scene: Scene) -> None:
    scene.repo.git("merge", "-q", "--no-edit", "other")
    scene.repo.git("branch", "merged")
    scene.git("reset", "-q", "--hard", "HEAD^")
    scene.git("cherry-pick", "-m", "1", "merged")


@case("cherry-pick of a commit without hooks", waits(RAIN, modes=MODES))
def pick_plain(scene: Scene) -> None:
    scene.git("cherry-pick", "plain")


@case("revert")
def revert(scene: Scene) -> list[str]:
    scene.keep(INN, picture(21))
    scene.git("revert", "--no-edit", "HEAD^")
    assert seed(scene) == 1
    return [f" M {INN}"]


@case("revert of a range")
def revert_range(scene: Scene) -> None:
    scene.git("revert", "--no-edit", "first..HEAD")
    assert scene.git("rev-parse", "HEAD^{tree}").out == scene.git("rev-parse", "first^{tree}").out


@case("revert -n")
def revert_no_commit(scene: Scene) -> list[str]:
    scene.git("revert", "-n", "HEAD^")
    return [f"M  {HERO}", f"M  {HERO}{CARD}"]


@case("revert, conflict, aborted")
def revert_aborted(scene: Scene) -> None:
    scene.fails("revert", "--no-edit", "clash")
    scene.pause(*CLASH)
    scene.git("revert", "--abort")


@case("revert of a merge")
def revert_merge(scene: Scene) -> None:
    scene.git("merge", "-q", "--no-edit", "other")
    scene.git("revert", "--no-edit", "-m", "1", "HEAD")


# -- am ------------------------------------------------------------------------------------------------------------


def mailbox(scene: Scene, revisions: str) -> str:
    """Makes a mailbox of commits as `git format-patch` writes them."""
    place = scene.scratch / "mailbox"
    place.write_bytes(scene.repo.git("format-patch", "--stdout", revisions).stdout)
    return str(place)


@case("am")
def am(scene: Scene) -> None:
    scene.git("am", "-q", mailbox(scene, "first..third"))


@case("am -3")
def am_three_way(scene: Scene) -> None:
    scene.git("am", "-q", "-3", mailbox(scene, "first..other"))


@case("am -3, conflict, --continue")
def am_continue(scene: Scene) -> None:
    scene.fails("am", "-q", "-3", mailbox(scene, "first..clash"))
    scene.pause(*CLASH)
    take(scene, "theirs")
    scene.git("am", "--continue")


@case("am, aborted")
def am_aborted(scene: Scene) -> None:
    scene.fails("am", "-q", mailbox(scene, "first..clash"))
    scene.pause()
    scene.git("am", "--abort")


@case("am of a commit without hooks", waits(RAIN, modes=MODES))
def am_plain(scene: Scene) -> None:
    scene.git("am", "-q", mailbox(scene, "first..plain"))


@case("apply --index, commit")
def apply(scene: Scene) -> None:
    scene.git("apply", "--index", mailbox(scene, "first..third"))
    scene.commit("the moon")


@case.matrix()
def test_pick(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
