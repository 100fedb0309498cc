"""Ways to add and commit, with hooks, without them, and with the hooks gone: the cases of `tests/verbs.py`."""

from pathlib import Path

import pytest

from tests import verbs
from tests.verbs import HERO, NO_PRE_COMMIT, Cases, Limit, Scene, picture

NEW = "assets/characters/new.png"

case = Cases()


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@case("commit", Limit(NO_PRE_COMMIT, unfinished=(HERO, NEW)))
def commit(scene: Scene) -> None:
    scene.add(HERO, picture(21))
    scene.add(NEW, picture(22))
    scene.commit("art")


@case.matrix()
def test_commit(case: verbs.Case, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    verbs.check(case, mode, tmp_path_factory, tmp_path)
