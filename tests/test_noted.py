"""What `git add` notes of the files it stored, so that the commit need not read them again: the same, or nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.asset import noted, record
from comfyvn_store.vcs.repository import Repository, open_repository
from tests import media
from tests.gitrepo import GitRepo
from tests.oracle import check_all

SAMPLES = Path(__file__).resolve().parents[2] / "shared/samples"
HERO = "assets/characters/hero.png"
KINDS = {
    "comfy": media.comfy_png(7),
    "no workflow": media.comfy_png(8, workflow=False),
    "automatic1111": media.png(texts={"parameters": "a girl\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5"}),
    "card": media.png(texts={"chara": "eyJkYXRhIjogeyJuYW1lIjogIk1pcmEifX0="}),
    "plain": media.png(),
    "rubbish in it": media.png(texts={"prompt": "{", "workflow": '{"nodes": [1]}', "parameters": "\0"}),
    "NaN": media.png(texts={"prompt": '{"1": {"class_type": "KSampler", "inputs": {"seed": NaN, "cfg": 1e999}}}'}),
    "large numbers": media.comfy_png((1 << 63) + 1),
}


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def repository(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(repo.path)
    return open_repository()


def notes_in(repo: GitRepo) -> list[Path]:
    folder = repo.path / ".git/comfyvn/noted"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def said(repo: GitRepo, path: str = HERO) -> dict[str, Any]:
    """The sidecar, without what is new each time."""
    found: dict[str, Any] = json.loads(repo.blob(f"HEAD:{path}.asset.json"))
    del found["provenance"]["id"], found["provenance"]["created_at"]
    return found


def add(repo: GitRepo, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        repo.write(f"assets/characters/{name}.png", data)
    repo.git("add", "-A")


def samples() -> dict[str, bytes]:
    return {each.stem: each.read_bytes() for each in SAMPLES.glob("**/*.png")}


@pytest.mark.parametrize("files", [KINDS, samples()], ids=["made", "real"])
def test_what_is_noted_is_what_the_object_says(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    if not files:
        pytest.skip("the samples are not here")
    add(store_repo, files)
    opened = repository(store_repo, monkeypatch)
    notes = noted.Notes(opened)
    hashes = {
        line.split(b" ")[0].decode() for each in notes_in(store_repo) for line in each.read_bytes().splitlines()[1:]
    }
    assert len(hashes) == len(set(files.values())), "each has a note"
    for hash_ in hashes:
        assert notes.facts(hash_) == record.read_facts(opened.store, hash_)


def test_the_commit_takes_the_notes_and_removes_them(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    store_repo.write(HERO, media.comfy_png(3))
    store_repo.git("add", "-A")
    note = notes_in(store_repo)[0]
    # Told apart from what the object says, so that one sees where the sidecar has it from.
    note.write_bytes(note.read_bytes().replace(b'"comfyui"', b'"notes"'))
    store_repo.commit("hero")
    assert said(store_repo)["provenance"]["source"] == "notes"
    assert notes_in(store_repo) == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"comfyvn-store ", b"comfyvn-store 9", 1),
        lambda data: b"\0" * len(data),
        lambda data: data.replace(b"[", b"{", 1),
        lambda data: data.replace(b" [", b" [1,2,", 1),
        lambda data: data.splitlines(keepends=True)[0] + os.urandom(2000),
    ],
)
def test_a_harmed_note_is_as_none(store_repo: GitRepo, harm: Any) -> None:
    store_repo.write(HERO, media.comfy_png(3))
    store_repo.git("add", "-A")
    notes_in(store_repo)[0].write_bytes(harm(notes_in(store_repo)[0].read_bytes()))
    store_repo.commit("hero")
    assert said(store_repo)["provenance"]["inputs"]["seed"] == 3
    assert notes_in(store_repo) == []
    check_all(store_repo)


def test_bytes_that_somebody_wrote_to_since_are_not_noted(store_repo: GitRepo) -> None:
    store_repo.write(HERO, media.comfy_png(3))
    store_repo.git("add", "-A")
    hash_ = notes_in(store_repo)[0].read_bytes().splitlines()[1].split(b" ")[0].decode()
    store_repo.object_path(hash_).unlink()
    (store_repo.path / HERO).unlink()
    done = store_repo.git("commit", "-qm", "gone", check=False)
    assert done.code == 1 and "hint: " in done.err, done.err


def test_nothing_is_noted_without_room(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noted, "_MOST", 100)
    noted.write(repository(store_repo, monkeypatch), [b"x" * 200])
    assert notes_in(store_repo) == []
