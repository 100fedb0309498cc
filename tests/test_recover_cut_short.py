"""`recover` that dies on the way: every byte is somewhere at every moment, and the next run does the rest."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import oracle
from tests.templates import copied
from tests.test_recover import HERO, NEW, TWIN, all_bytes, make_art, recover, store, write_through

DIE = """
import os, sys
STAGING = "1000000"
left = int(sys.argv[1])
def dying(call):
    def step(*words, **options):
        global left
        left -= 1
        if left < 0 or (sys.argv[1] == STAGING and "update-index" in words):
            os._exit(99)
        return call(*words, **options)
    return step
for name in ("rename", "replace", "link", "unlink", "symlink", "utime", "chmod", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
from comfyvn_store.base import files, swapping
swapping._exchange = dying(swapping._exchange)
from comfyvn_store.vcs.git import Git
Git.outcome = dying(Git.outcome)
from comfyvn_store.cli.main import run
run(sys.argv[2:])
"""


def test_nothing_is_lost_wherever_it_dies_and_the_next_run_does_the_rest(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    step, survived = 12, False
    while not survived:
        repo = copied(tmp_path_factory, make_art, tmp_path / str(step))
        before, old = repo.read(HERO), repo.sidecar(HERO)["hash"]
        shutil.copy(repo.object_path(old), store(repo) / "trash" / "copy")
        write_through(repo, HERO, NEW)
        words = [sys.executable, "-P", "-c", DIE, str(step), "recover", HERO]
        survived = subprocess.run(words, cwd=repo.path, capture_output=True).returncode == 0
        assert {before, NEW} <= all_bytes(repo), step
        (repo.path / ".git/index.lock").unlink(missing_ok=True)
        recover(repo, HERO)
        repo.git("commit", "-qm", "recovered")
        assert repo.object_path(old).read_bytes() == before == repo.read(TWIN), step
        assert repo.sidecar(HERO)["provenance"]["parent"] == old, step
        assert repo.sidecar(HERO)["provenance"]["inputs"]["seed"] == 77 and repo.status() == [], step
        shutil.rmtree(repo.path)
        step += 9
    assert step > 40, "it has more steps than that"


def test_what_could_not_be_staged_is_staged_by_the_next_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    art = copied(tmp_path_factory, make_art, tmp_path / "repo")
    shutil.copy(art.object_path(art.sidecar(HERO)["hash"]), store(art) / "trash" / "copy")
    write_through(art, HERO, NEW)
    done = subprocess.run([sys.executable, "-P", "-c", DIE, "1000000", "recover", HERO], cwd=art.path)
    assert done.returncode == 99 and art.status() == [f" M {HERO}", f" M {HERO}.asset.json"]
    assert recover(art, HERO)[0]["new"] == oracle.digest(art.read(HERO))
    assert art.status() == [f"M  {HERO}", f"M  {HERO}.asset.json"]
