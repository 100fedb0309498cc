"""`recover`: what was written through a view becomes a version, and the old bytes come back from wherever they are."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.gitrepo import GitRepo
from tests.media import comfy_png, png
from tests.oracle import digest
from tests.templates import copied

HERO, TWIN, PLAIN = "assets/characters/hero.png", "assets/ui/twin.png", "assets/ui/plain.png"
NEW = comfy_png(77)


def make_art(repo: GitRepo) -> None:
    """Two commits: a picture at two places, with a tag; and one that carried no metadata."""
    repo.write(HERO, comfy_png(1))
    repo.write(TWIN, comfy_png(1))
    repo.write(PLAIN, png(seed=3))
    repo.git("add", "assets")
    repo.commit("art")
    repo.tool("annotate", HERO, "--tag", "lead", "--license", "CC0-1.0", "--meta", "scene=2")
    repo.commit("tags")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def write_through(repo: GitRepo, path: str, data: bytes) -> None:
    """Writes as a program that follows the link and is not stopped by the mode."""
    place = Path(os.path.realpath(repo.path / path))
    place.chmod(0o644)
    place.write_bytes(data)


def recover(repo: GitRepo, *paths: str, code: int = 0) -> list[dict[str, Any]]:
    done = repo.tool("recover", "--json", *paths, check=False)
    assert done.code == code, (done.out, done.err)
    found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(done.out)[0]
    return found


def store(repo: GitRepo) -> Path:
    return repo.path / ".git/comfyvn"


def all_bytes(repo: GitRepo) -> set[bytes]:
    """The content of everything in the store and below the assets root."""
    found = set()
    for top in (store(repo), repo.path / "assets"):
        found |= {place.read_bytes() for place in top.rglob("*") if place.is_file() and place.suffix != ".db"}
    return found


# -- where copies are ----------------------------------------------------------------------------------------------


def beside(repo: GitRepo, place: Path, tmp: Path) -> None:
    shutil.copy(place, place.with_name(place.name + "~"))  # a backup of a program that follows links


def in_trash(repo: GitRepo, place: Path, tmp: Path) -> None:
    shutil.copy(place, store(repo) / "trash" / "anything")


def in_quarantine(repo: GitRepo, place: Path, tmp: Path) -> None:
    shutil.copy(place, store(repo) / "bad" / f"{'0' * 64}-00000000")


def in_another_work_tree(repo: GitRepo, place: Path, tmp: Path) -> None:
    repo.git("worktree", "add", "-q", "-b", "other", str(tmp / "other"))
    GitRepo(tmp / "other").tool("edit", HERO)


def in_a_remote(repo: GitRepo, place: Path, tmp: Path) -> None:
    shutil.copytree(repo.path, tmp / "remote", symlinks=True)
    repo.git("remote", "add", "origin", "../remote")


def in_a_bare_remote(repo: GitRepo, place: Path, tmp: Path) -> None:
    shutil.copytree(repo.path / ".git", tmp / "bare repo.git", symlinks=True)
    repo.git("--git-dir", str(tmp / "bare repo.git"), "config", "core.bare", "true")
    repo.git("remote", "add", "origin", f"file://{tmp}/bare%20repo.git")


def in_alternates(repo: GitRepo, place: Path, tmp: Path) -> None:
    shutil.copytree(repo.path, tmp / "mother", symlinks=True)
    (repo.path / ".git/objects/info/alternates").write_text(f"{tmp}/mother/.git/objects\n")


def in_git(repo: GitRepo, place: Path, tmp: Path) -> None:
    repo.git("hash-object", "-w", "--no-filters", str(place))


def unmarked_in_git(repo: GitRepo, place: Path, tmp: Path) -> None:
    repo.git("hash-object", "-w", "--stdin", "--no-filters", input=comfy_png(1))


def unmarked_among_the_art(repo: GitRepo, place: Path, tmp: Path) -> None:
    repo.write("assets/characters/.hero-original.png", comfy_png(1))


Source = Callable[[GitRepo, Path, Path], None]
SOURCES: list[Source] = [
    *(beside, in_trash, in_quarantine, in_another_work_tree, in_a_remote, in_a_bare_remote, in_alternates),
    *(in_git, unmarked_in_git, unmarked_among_the_art),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_old_bytes_come_back_and_new_ones_are_a_version(art: GitRepo, tmp_path: Path, source: Source) -> None:
    old, before = art.sidecar(HERO), art.read(HERO)
    place = art.object_path(old["hash"])
    source(art, place, tmp_path)
    write_through(art, HERO, NEW)
    (found,) = recover(art, HERO)
    assert (found["state"], found["hash"], found["others"]) == ("recovered", old["hash"], [TWIN])
    assert place.read_bytes() == before == art.read(TWIN) and place.stat().st_mode & 0o777 == 0o444
    assert Path(found["quarantine"]).read_bytes() == NEW
    card = art.sidecar(HERO)
    assert card["hash"] == found["new"] == oracle.digest(art.read(HERO)) != old["hash"]
    assert (card["tags"], card["license"], card["meta"]) == (["lead"], "CC0-1.0", {"scene": 2})
    assert card["provenance"]["parent"] == old["hash"] and card["provenance"]["inputs"]["seed"] == 77
    assert [line[:2] for line in art.status() if "hero.png" in line and line[:2] != "??"] == ["M ", "M "]


def test_after_the_commit_all_is_as_it_should_be(art: GitRepo, tmp_path: Path) -> None:
    old = art.sidecar(HERO)["hash"]
    in_git(art, art.object_path(old), tmp_path)
    write_through(art, HERO, NEW)
    recover(art, HERO)
    art.commit("recovered")
    oracle.check_all(art)
    assert art.tool("rebuild", "--verify", "--no-previews").code == 0
    assert [each["hash"] for each in art.tool("provenance", HERO, "--json").json()][1] == old
    before = {place: place.lstat().st_mtime_ns for place in store(art).rglob("*") if "index.db" not in place.name}
    (found,) = recover(art, HERO)
    assert (found["state"], found["new"], found["notes"]) == ("whole", None, [])
    assert "is not damaged" in art.tool("recover", HERO).out
    assert before == {
        place: place.lstat().st_mtime_ns for place in store(art).rglob("*") if "index.db" not in place.name
    }
    assert art.status() == []


# -- what is not believed, and what is not there -------------------------------------------------------------------


def test_without_a_copy_it_says_what_is_lost_and_keeps_the_edit(art: GitRepo, tmp_path: Path) -> None:
    old, before = art.sidecar(HERO)["hash"], art.read(HERO)
    in_a_remote(art, art.object_path(old), tmp_path)
    rotten = tmp_path / "remote/.git/comfyvn/objects" / old[:2] / old[2:]
    rotten.chmod(0o644)
    rotten.write_bytes(before[:-20] + b"x" * 20)
    write_through(art, HERO, NEW)
    (found,) = recover(art, HERO, code=12)
    commits = art.git("rev-list", "HEAD").out.split()
    assert (found["state"], found["others"], sorted(found["commits"])) == ("lost", [TWIN], sorted(commits))
    assert art.sidecar(HERO)["hash"] == found["new"] and not art.object_path(old).exists()
    assert art.tool("status", "--json").json()["missing"] == [TWIN]
    done = art.tool("recover", TWIN, check=False)
    assert done.code == 12 and done.err.startswith("error: no copy of ") and "hint: " in done.err
    assert recover(art, HERO)[0]["notes"], "what it shows is whole; the older bytes are still lost, and it says so"
    rotten.write_bytes(before)
    assert recover(art, HERO)[0]["state"] == "recovered" and art.read(TWIN) == before


def test_an_object_that_is_missing_is_only_brought_back(art: GitRepo, tmp_path: Path) -> None:
    in_git(art, art.object_path(art.sidecar(HERO)["hash"]), tmp_path)
    before = art.read(HERO)
    art.object_path(art.sidecar(HERO)["hash"]).unlink()
    (found,) = recover(art, HERO)
    assert (found["state"], found["new"], found["quarantine"]) == ("recovered", None, None)
    assert art.read(HERO) == before and art.status() == []


@pytest.mark.parametrize("data", [b"", b"../../.comfyvn/objects/ab/" + b"0" * 62])
def test_what_can_be_no_art_becomes_no_version(art: GitRepo, tmp_path: Path, data: bytes) -> None:
    before = art.read(HERO)
    in_git(art, art.object_path(art.sidecar(HERO)["hash"]), tmp_path)
    write_through(art, HERO, data)
    (found,) = recover(art, HERO)
    assert (found["state"], found["new"]) == ("recovered", None) and found["notes"]
    assert art.read(HERO) == before and art.status() == []


def test_a_program_that_only_took_the_marker_out_lost_nothing(art: GitRepo) -> None:
    before = art.read(PLAIN)
    write_through(art, PLAIN, png(seed=3))
    (found,) = recover(art, PLAIN)
    assert (found["state"], found["new"]) == ("recovered", None)
    assert art.read(PLAIN) == before and art.status() == []


def test_a_stale_marker_is_replaced(art: GitRepo) -> None:
    marker = art.read(HERO)[len(comfy_png(1)) - 12 : -12]
    write_through(art, PLAIN, comfy_png(9)[:-12] + marker + comfy_png(9)[-12:])
    (found,) = recover(art, PLAIN, code=12)
    said = art.sidecar(PLAIN)
    assert art.read(PLAIN).count(b"comfyvn_provenance") == 1
    assert said["provenance"]["source_hash"] == oracle.digest(comfy_png(9))
    assert found["new"] == oracle.digest(art.read(PLAIN)) == said["hash"]


def test_two_paths_of_one_object_both_get_the_new_version(art: GitRepo, tmp_path: Path) -> None:
    in_git(art, art.object_path(art.sidecar(HERO)["hash"]), tmp_path)
    write_through(art, TWIN, NEW)
    found = recover(art, HERO, TWIN)
    assert [each["view"] for each in found] == [HERO, TWIN] and len({each["new"] for each in found}) == 1
    assert art.read(HERO) == art.read(TWIN) and len(list((store(art) / "bad").iterdir())) == 1


def test_a_file_that_was_saved_at_the_place_meanwhile_stays(art: GitRepo, tmp_path: Path) -> None:
    old, before = art.sidecar(HERO)["hash"], art.read(HERO)
    in_git(art, art.object_path(old), tmp_path)
    write_through(art, HERO, NEW)
    mine = art.write(HERO, comfy_png(5))
    (found,) = recover(art, HERO)
    assert (found["state"], found["new"]) == ("recovered", None) and found["notes"]
    assert mine.read_bytes() == comfy_png(5) and art.read(TWIN) == before
    assert NEW in all_bytes(art) and art.status() == [f" T {HERO}"]


def test_a_folder_means_the_art_in_it_that_is_damaged_or_missing(art: GitRepo, tmp_path: Path) -> None:
    in_a_remote(art, art.path, tmp_path)
    write_through(art, HERO, NEW)
    art.object_path(art.sidecar(PLAIN)["hash"]).unlink()
    status = art.tool("status", "--json").json()
    assert (status["damaged"], status["missing"]) == ([HERO, TWIN], [PLAIN])
    assert [item["view"] for item in recover(art, "assets/characters")] == [HERO]
    found = recover(art, ".", "assets")
    assert [(item["view"], item["state"]) for item in found] == [(PLAIN, "recovered")]
    assert art.tool("recover", "assets").out == "nothing there is damaged or missing"
    assert art.tool("recover", "assets/nowhere", check=False).code == 2
    assert digest(art.read(PLAIN)) == art.sidecar(PLAIN)["hash"]


def test_it_is_seen_and_recovered_in_a_linked_work_tree(art: GitRepo, tmp_path: Path) -> None:
    in_git(art, art.object_path(art.sidecar(HERO)["hash"]), tmp_path)
    art.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    other = GitRepo(tmp_path / "other")
    write_through(art, HERO, NEW)
    assert other.tool("status", "--json").json()["damaged"] == [HERO, TWIN]
    before = other.sidecar(HERO)["hash"]
    assert recover(other, HERO)[0]["state"] == "recovered"
    assert other.sidecar(HERO)["provenance"]["parent"] == before and art.status() == []


def test_a_conflict_is_resolved_first(art: GitRepo) -> None:
    art.git("switch", "-qc", "other")
    for branch, seed in (("other", 8), ("main", 9)):
        art.git("switch", "-q", branch)
        art.write(HERO, comfy_png(seed))
        art.git("add", HERO)
        art.commit(branch)
    assert art.git("merge", "-q", "other", check=False).code == 1
    write_through(art, HERO, NEW)
    assert art.tool("recover", HERO, check=False).code == 20
    assert art.read(HERO) == NEW
