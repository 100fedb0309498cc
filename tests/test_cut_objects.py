"""Objects that lost their end: damage, and no edit of anybody's."""

import os
from pathlib import Path

import pytest

from tests import oracle
from tests.gitrepo import GitRepo
from tests.media import png
from tests.templates import copied
from tests.test_recover import (
    HERO,
    PLAIN,
    TWIN,
    all_bytes,
    beside,
    make_art,
    recover,
    write_through,
)

DATA = "assets/data/notes.bin"


def make(repo: GitRepo) -> None:
    """Pictures, and a file whose format says neither its length nor its end."""
    make_art(repo)
    repo.write(DATA, b"\0\1\2\3" * 500)
    repo.git("add", "assets")
    repo.commit("data")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make, tmp_path / "repo")


def cut(repo: GitRepo, path: str, length: int, *, is_touched: bool) -> bytes:
    """Cuts an object, as a disk or a copy that broke off does; gives what is left."""
    place = Path(os.path.realpath(repo.path / path))
    info = place.stat()
    place.chmod(0o644)
    os.truncate(place, length)
    place.chmod(0o444)
    when = info.st_mtime_ns + 1 if is_touched else info.st_mtime_ns
    os.utime(place, ns=(when, when))
    return place.read_bytes()


@pytest.mark.parametrize("is_touched", [False, True])
def test_a_picture_that_is_cut_short_is_no_new_version(art: GitRepo, tmp_path: Path, is_touched: bool) -> None:
    old, before = art.sidecar(HERO)["hash"], art.read(HERO)
    place = art.object_path(old)
    beside(art, place, tmp_path)
    left = cut(art, HERO, len(before) - 100, is_touched=is_touched)
    assert art.tool("status", "--json").json()["cut"] == [HERO, TWIN]
    said = art.tool("status").out
    assert "damaged: the bytes are cut short" in said and "fsck --repair" in said and "wrote through" not in said
    assert "cut short" in art.tool("show", HERO).out
    (found,) = recover(art, HERO)
    assert (found["state"], found["new"]) == ("recovered", None)
    assert f"{len(left)} of {len(before)} bytes were left" in found["notes"][0]
    assert Path(found["quarantine"]).read_bytes() == left and art.read(HERO) == before
    assert art.status() == [] and art.sidecar(HERO)["hash"] == old
    oracle.check_all(art)


def test_without_a_copy_the_stump_is_kept_and_nothing_is_staged(art: GitRepo) -> None:
    left = cut(art, HERO, 300, is_touched=True)
    (found,) = recover(art, HERO, code=12)
    assert (found["state"], found["new"]) == ("lost", None)
    assert left in all_bytes(art) and [line for line in art.status() if line[:2] != "??"] == []


def test_a_smaller_picture_that_somebody_saved_is_a_new_version(art: GitRepo, tmp_path: Path) -> None:
    small = png(seed=5, width=2, height=2)
    before = art.read(HERO)
    beside(art, art.object_path(art.sidecar(HERO)["hash"]), tmp_path)
    assert len(small) < len(before)
    write_through(art, HERO, small)
    found = art.tool("status", "--json").json()
    assert found["damaged"] == [HERO, TWIN] and found["cut"] == []
    assert recover(art, HERO)[0]["new"] == art.sidecar(HERO)["hash"]
    assert small in all_bytes(art)


def test_a_format_that_says_nothing_goes_by_who_wrote(art: GitRepo) -> None:
    cut(art, DATA, 1000, is_touched=False)
    assert art.tool("status", "--json").json()["cut"] == [DATA]
    assert recover(art, DATA, code=12)[0]["new"] is None


def test_a_format_that_says_nothing_is_compared_with_a_copy(art: GitRepo, tmp_path: Path) -> None:
    beside(art, art.object_path(art.sidecar(DATA)["hash"]), tmp_path)
    left = cut(art, DATA, 1000, is_touched=True)
    assert art.tool("status", "--json").json()["cut"] == []
    (found,) = recover(art, DATA)
    assert (found["state"], found["new"]) == ("recovered", None) and "no more than the beginning" in found["notes"][0]
    assert left in all_bytes(art) and art.status() == []


def test_a_shorter_edit_of_such_a_format_is_a_new_version(art: GitRepo, tmp_path: Path) -> None:
    beside(art, art.object_path(art.sidecar(DATA)["hash"]), tmp_path)
    write_through(art, DATA, b"\0\1\2\4" * 100)
    (found,) = recover(art, DATA)
    assert found["new"] == art.sidecar(DATA)["hash"] and art.read(DATA) == b"\0\1\2\4" * 100


def test_a_new_version_that_cannot_be_opened_is_said(art: GitRepo) -> None:
    longer = png(width=200, height=200, seed=9, noise=True)[:-12]
    assert len(longer) > len(art.read(PLAIN))
    write_through(art, PLAIN, longer)
    (found,) = recover(art, PLAIN, code=12)
    assert found["new"] and any("ends too early" in note for note in found["notes"])


def test_what_a_remote_shows_to_be_a_beginning_is_said(art: GitRepo, tmp_path: Path) -> None:
    """A copy that comes from afar is seen only once the version is made."""
    hash_ = art.sidecar(DATA)["hash"]
    art.tool("remote", "add", "--local", "usb", str(tmp_path / "usb"))
    art.tool("push")
    cut(art, DATA, 1000, is_touched=True)
    (found,) = recover(art, DATA)
    assert (found["state"], found["hash"]) == ("recovered", hash_) and found["new"]
    assert any("comfyvn-store undo" in note for note in found["notes"])
    art.tool("undo")
    assert art.sidecar(DATA)["hash"] == hash_ and art.status() == []
