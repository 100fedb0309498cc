"""Our process is killed at a call that changes a file, or the call fails because the disk is full or broken: nothing is lost,
nothing is half done, one line says what failed, and the verb can be run again."""

from pathlib import Path

import pytest

from tests.faults import injection, trial
from tests.faults.verbs import VERBS
from tests.faults.worlds import Verb


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of all worlds of this process."""
    return tmp_path_factory.mktemp("faults")


@pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])
def test_whatever_call_is_the_last_or_fails(verb: Verb, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    injection.required()
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    trial.run_all(folder, verb)
