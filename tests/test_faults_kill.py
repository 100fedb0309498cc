"""Our process is killed at a call that changes a file: nothing is lost, nothing is half done, and the verb can be run again."""

from pathlib import Path

import pytest

from tests.faults import injection, trial
from tests.faults.worlds import VERBS, Verb


@pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])
def test_killed_anywhere(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    injection.required()
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    trial.run_all(tmp_path, verb, ["KILL"])
