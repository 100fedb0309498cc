"""Any history of git commands leaves every promise kept: no raw blob, no lost byte, no dirty tree, no wrong commit.

`TEST_HISTORIES=N` runs N histories, `TEST_HISTORIES_STEPS=N` makes them longer, `TEST_HISTORIES_SEED=N` draws others,
`TEST_HISTORIES_SHRINK=1` looks for a shorter one that fails, too, and `TEST_HISTORIES_VIEWS=copy` runs them where views
are copies.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import media, templates
from tests.gitrepo import GitRepo
from tests.histories import Histories
from tests.histories.copies import Copies
from tests.histories.machine import PATHS

_MANY = os.environ.get("TEST_HISTORIES")
_SEED = os.environ.get("TEST_HISTORIES_SEED")


def begun(repo: GitRepo) -> None:
    """Three branches that changed the same and other things."""
    repo.git("add", ".")
    repo.commit("attributes")
    for branch, seed_ in (("main", 0), ("left", 1), ("right", 2)):
        if branch != "main":
            repo.git("switch", "-q", "-c", branch)
        repo.write(PATHS[0], media.comfy_png(seed_))
        repo.write(PATHS[seed_ + 1], media.wav(0.02, frequency=300.0))
        repo.git("add", ".")
        repo.commit(f"art of {branch}")
        repo.git("switch", "-q", "main")


def test_any_history_keeps_every_promise(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("histories")))
    monkeypatch.setattr(Histories, "template", templates.shared(tmp_path_factory, begun).path, raising=False)
    if os.environ.get("TEST_HISTORIES_VIEWS") == "copy":
        monkeypatch.setattr(Histories, "views", Copies)
    machine = seed(int(_SEED))(Histories) if _SEED else Histories
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if os.environ.get("TEST_HISTORIES_SHRINK") else [])]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(_MANY or "8"),
            stateful_step_count=int(os.environ.get("TEST_HISTORIES_STEPS", "12")),
            deadline=None,
            derandomize=not _MANY,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )
