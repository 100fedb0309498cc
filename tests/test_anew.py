"""Filling an index from nothing and following one change: quick ways that end where the careful ones do."""

import copy
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyvn_store.asset import sidecar
from comfyvn_store.asset.sidecar import BrokenSidecar
from comfyvn_store.base import canonical
from comfyvn_store.errors import GitFailed
from comfyvn_store.index import catchup, columns, crew, rows
from comfyvn_store.vcs import blobs
from comfyvn_store.vcs.repository import open_repository
from tests.gitrepo import GitRepo
from tests.media import comfy_png, png, wav
from tests.oracle import check_all, index_content, index_path
from tests.templates import copied

A, B, V = "assets/characters/a.png", "assets/characters/b.png", "assets/voice/v.wav"


def make_art(repo: GitRepo) -> None:
    """Versions, two paths with the same bytes, a deleted asset, labels, a merge that brought a record twice."""
    repo.write(A, comfy_png(1))
    repo.write(B, comfy_png(2))
    repo.write(V, wav())
    repo.git("add", "assets")
    repo.commit("art")
    repo.tool("annotate", A, "--tag", "hero", "--license", "CC0-1.0")
    repo.git("add", "assets")
    repo.commit("labelled")
    repo.write(A, comfy_png(3))
    repo.write("assets/characters/copy.png", comfy_png(2))
    repo.git("add", "assets")
    repo.commit("another one")
    repo.git("switch", "-q", "-c", "side", "HEAD~1")
    repo.git("cherry-pick", "main")
    repo.git("switch", "-q", "main")
    repo.git("rm", "-q", V, f"{V}.asset.json")
    repo.write("assets/plain.png", png())
    repo.git("add", "assets")
    repo.commit("silence")
    repo.tool("list")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def rebuild_here(repo: GitRepo) -> set[str]:
    """Makes the index anew in this process; gives the assets whose files proved up to date."""
    repository = open_repository(str(repo.path))
    with catchup.open_index(repository) as index:
        return catchup.rebuild(index, repository)


@pytest.mark.parametrize("program", ["as it is", "/bin/false", "/nowhere", "/bin/sh says something else"])
def test_processes_that_help_change_nothing_and_may_die(
    art: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    art.tool("list")
    place = index_path(art)
    before = index_content(place)
    with monkeypatch.context() as patch:
        patch.setattr(crew, "_WORTH_PROCESSES", 1)
        patch.setattr(crew, "_BATCH", 2)
        if program == "as it is":
            patch.delattr(crew.Crew, "_take")  # nothing is left to be done here
        else:
            other = tmp_path / "other"
            other.write_text("#!/bin/sh\necho 'this is no answer, and it is longer than sixteen bytes'; exec cat >&2\n")
            other.chmod(0o755)
            patch.setattr(sys, "executable", program if program in ("/bin/false", "/nowhere") else str(other))
        rebuild_here(art)
    assert index_content(place) == before


def test_files_that_are_as_they_have_to_be_are_not_looked_at_again(art: GitRepo) -> None:
    art.tool("list")
    art.git("status")
    names = {"characters/a.png", "characters/b.png", "characters/copy.png", "plain.png"}
    card = art.path / f"{A}.asset.json"
    assert rebuild_here(art) == names
    mirror = art.path / "assets/_meta/characters/b.json"
    mirror.write_text("{}")
    text = card.read_text()
    commit = json.loads(text)["provenance"]["commit"]
    card.write_text(text.replace(commit, "0" * 40))
    assert rebuild_here(art) == names - {"characters/a.png", "characters/b.png"}
    art.tool("rebuild", "--no-previews")
    assert card.read_text() == text
    assert mirror.read_bytes() == (art.path / f"{B}.asset.json").read_bytes()
    check_all(art)


def test_a_folder_that_went_is_noticed(art: GitRepo) -> None:
    before = {each["path"] for each in art.tool("list", "--json").json()}
    shutil.rmtree(art.path / "assets/characters")
    left = {each["path"] for each in art.tool("list", "--json").json()}
    assert left == {path for path in before if not path.startswith("characters/")} != before
    assert not (art.path / "assets/_meta/characters").exists()
    art.git("checkout", "-q", "--", "assets/characters")
    assert {each["path"] for each in art.tool("list", "--json").json()} == before
    check_all(art)


def test_a_change_of_one_asset_looks_at_no_other(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    art.tool("list")
    for suffix in ("", ".asset.json"):
        art.git("mv", f"{B}{suffix}", f"assets/characters/moved.png{suffix}")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "moved")

    def forbidden(*_: object) -> None:
        raise AssertionError("looked at everything")

    monkeypatch.setattr(rows, "_look_at_all", forbidden)
    repository = open_repository(str(art.path))
    with catchup.open_index(repository) as index:
        catchup.catch_up(index, repository)
        paths = {path for (path,) in index.db.execute("SELECT path FROM assets_registry")}
    stepwise = index_content(index_path(art))
    assert paths == {"characters/a.png", "characters/copy.png", "characters/moved.png", "plain.png"}
    monkeypatch.undo()
    rebuild_here(art)
    assert index_content(index_path(art)) == stepwise


def test_attributes_that_change_are_heeded_whatever_changed_besides(art: GitRepo) -> None:
    art.tool("list")
    art.write("assets/characters/.gitattributes", b"b.png -filter\n")
    art.write("assets/other.png", comfy_png(9))
    art.git("add", "assets/other.png")
    art.commit("other")
    art.tool("list")
    stepwise = index_content(index_path(art))
    rebuild_here(art)
    assert index_content(index_path(art)) == stepwise
    assert "characters/b.png" not in {dict(row)["path"] for row in stepwise["assets_registry"]}


# -- columns ---------------------------------------------------------------------------------------------------------

_CARD = {
    "schema": 1,
    "hash": "ab" * 32,
    "type": "ui",
    "path": "ui/a.png",
    "bytes": 5,
    "media": {"mime": "image/png", "width": 512, "height": 2},
    "tags": ["x", "y"],
    "license": "MIT",
    "meta": {"take": 1},
    "provenance": {
        "id": "1",
        "source": "comfyui",
        "inputs": {
            "seed": 7,
            "model": "m.safetensors",
            "loras": [{"name": "l", "strength": 0.5}, "odd"],
            "images": ["i.png"],
            "positive": "p",
            "negative": "n",
        },
        "parent": None,
    },
}
_VALUES = st.sampled_from(
    [None, True, False, 0, 1, -1, 2.0, 1 << 63, 1 << 70, "", "ab", "é", [], ["a"], [1], {}, {"a": 1}, 0.1, "1"]
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(value, key) for key, _ in items]
    return found + [place for _, item in items for place in _places(item)]


def _outcome(work: Any, data: bytes) -> object:
    try:
        return repr(work(data))
    except BrokenSidecar as error:
        return f"refused: {error}"


@settings(max_examples=500)
@given(st.data())
def test_the_quick_way_to_the_columns_is_the_careful_one(draw: st.DataObject) -> None:
    card = json.loads(json.dumps(_CARD))
    for _ in range(draw.draw(st.integers(0, 3))):
        parent, key = draw.draw(st.sampled_from(_places(card)))
        if draw.draw(st.booleans()):
            parent[key] = copy.deepcopy(draw.draw(_VALUES))
        elif isinstance(parent, dict) and draw.draw(st.booleans()):
            parent[draw.draw(st.sampled_from(["extra", "commit", "uid", "refiner", "sampler"]))] = copy.deepcopy(
                draw.draw(_VALUES)
            )
        else:
            del parent[key]
    data = canonical.dump_pretty(card)
    assert _outcome(columns.of, data) == _outcome(lambda text: columns._of(sidecar.decode(text)), data)


def test_a_git_that_ends_amid_its_answers_lacks_no_blobs(store_repo: GitRepo) -> None:
    repository = open_repository(str(store_repo.path))
    oids = [store_repo.git("hash-object", "-w", "--stdin", input=os.urandom(3000)).out for _ in range(4)]
    loose = store_repo.path / ".git/objects" / oids[1][:2] / oids[1][2:]
    loose.chmod(0o644)
    loose.write_bytes(loose.read_bytes()[:1500])
    with pytest.raises(GitFailed):
        list(blobs.read_few(repository.git, oids, 4999))
    assert len(list(blobs.read_few(repository.git, [oids[0], *oids[2:]], 4999))) == 3


def test_a_few_blobs_are_read_whatever_stands_between_them(store_repo: GitRepo) -> None:
    git = open_repository(str(store_repo.path)).git
    texts = {f"{number}\n".encode() * number: None for number in range(5)} | {b"x" * 5000: None}
    oids = [store_repo.git("hash-object", "-w", "--stdin", input=text).out for text in texts]
    asked = [oids[0], oids[5], "0" * 40, oids[3], oids[5], oids[1]]
    found = list(blobs.read_few(git, asked, 4999))
    assert found == [
        (asked[0], b""),
        (oids[5], None),
        ("0" * 40, None),
        (oids[3], b"3\n" * 3),
        (oids[5], None),
        (oids[1], b"1\n"),
    ]
