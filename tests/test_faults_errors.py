"""A call that changes a file fails, because the disk is full or broken: one line says so, nothing is lost, and the verb can be
run again."""

from pathlib import Path

import pytest

from tests.faults import injection, trial
from tests.faults.worlds import VERBS, Verb


@pytest.mark.parametrize("kind", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])
def test_a_failing_disk(verb: Verb, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    injection.required()
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    trial.run_all(tmp_path, verb, [kind])
