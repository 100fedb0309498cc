"""`fsck` looks at objects: damaged, cut off, missing, under another name, of another mode; and brings them back."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests import media
from tests.fsckrepo import BELL, CLUB, HERO, flipped, hash_of, look, make_art, mend, object_of, overwrite, snapshot
from tests.gitrepo import GitRepo, run
from tests.templates import copied


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    repo = copied(tmp_path_factory, make_art, tmp_path / "repo")
    repo.tool("list")
    return repo


def keep_copy(repo: GitRepo, folder: Path) -> None:
    """A folder remote that has every version."""
    repo.tool("remote", "add", "--local", "disk", str(folder))
    repo.tool("push")


def test_a_repository_in_order_has_no_finding(art: GitRepo) -> None:
    for words in ([], ["--full"], ["assets"], ["HEAD"], ["HEAD~1..HEAD"], [HERO, BELL]):
        assert (words, look(art, *words).kinds) == (words, [])
    said = art.tool("fsck").out
    assert said == "4 objects, 3 read: nothing wrong"
    assert art.tool("fsck", "--full").out == "4 objects, 4 read: nothing wrong"
    assert art.status() == []


def test_rot_is_found_though_mode_and_times_are_as_they_were(art: GitRepo) -> None:
    place = object_of(art, BELL)
    overwrite(place, flipped(place.read_bytes()))
    said = look(art)
    (found,) = said.of("object-corrupt")
    assert said.kinds == ["object-corrupt"]
    assert (found["hash"], found["paths"], found["is_repairable"]) == (hash_of(art, BELL), [BELL], True)


def test_rot_in_an_older_version_is_found_by_full_and_by_its_revision(art: GitRepo) -> None:
    place = object_of(art, HERO, "HEAD~1")
    overwrite(place, flipped(place.read_bytes()))
    assert look(art).kinds == []
    assert look(art, "--full").kinds == ["object-corrupt"]
    assert look(art, "HEAD~1").kinds == ["object-corrupt"]
    assert look(art, "HEAD~1", BELL).kinds == []
    assert look(art, "HEAD~1..HEAD").kinds == []


@pytest.mark.parametrize("length", [0, 20])
def test_an_object_that_was_cut_off_is_called_so(art: GitRepo, length: int) -> None:
    place = object_of(art, BELL)
    overwrite(place, place.read_bytes()[:length])
    said = look(art)
    assert said.kinds == ["object-truncated"]
    assert f"{length} of {len(media.marked(media.wav()))} bytes" in said.of("object-truncated")[0]["message"]


def test_missing_objects_are_those_that_somebody_needs(art: GitRepo) -> None:
    object_of(art, HERO, "HEAD~1").unlink()
    assert look(art).kinds == []
    said = look(art, "--full").of("object-missing")
    assert [(each["paths"], "no remote is set up" in each["remedy"]) for each in said] == [([HERO], True)]
    assert look(art, "HEAD~1").kinds == ["object-missing"]
    object_of(art, CLUB).unlink()
    assert [each["paths"] for each in look(art).of("object-missing")] == [[CLUB]]
    assert look(art, HERO).kinds == []
    assert look(art, "assets/bg").kinds == ["object-missing"]


def test_older_versions_that_a_remote_may_have_are_counted(art: GitRepo, tmp_path: Path) -> None:
    art.tool("remote", "add", "disk", str(tmp_path / "disk"))
    object_of(art, HERO, "HEAD~1").unlink()
    done = art.tool("fsck", "--full")
    assert done.code == 0 and "1 older version not here: `comfyvn-store pull --all`" in done.out
    assert art.tool("fsck", "--full", "--json").json()["absent"] == 1


def test_what_to_type_for_missing_bytes_depends_on_who_needs_them(art: GitRepo, tmp_path: Path) -> None:
    art.tool("remote", "add", "disk", str(tmp_path / "disk"))
    art.tool("push")
    object_of(art, HERO, "HEAD~1").unlink()
    (said,) = look(art, "HEAD~1").of("object-missing")
    assert said["remedy"] == "comfyvn-store pull --rev 'HEAD~1'"
    art.tool("pull", "--rev", "HEAD~1")
    assert look(art, "HEAD~1").kinds == []
    art.git("rm", "-q", "--cached", CLUB, f"{CLUB}.asset.json")
    object_of(art, CLUB, "HEAD").unlink()
    (said,) = look(art).of("object-missing")
    assert said["remedy"] == "comfyvn-store pull --rev HEAD" and "that HEAD has" in said["message"]
    art.tool("pull", "--rev", "HEAD")
    assert "object-missing" not in look(art).kinds


def test_an_object_of_a_folder_a_pipe_or_a_link_is_missing_and_named(art: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(object_of(art, HERO).read_bytes())
    for path in (HERO, BELL, CLUB):
        object_of(art, path).unlink()
    object_of(art, HERO).symlink_to(tmp_path / "elsewhere")
    os.mkfifo(object_of(art, BELL))
    object_of(art, CLUB).mkdir()
    said = look(art)
    assert said.kinds == ["object-foreign"] * 3 + ["object-missing"] * 3
    assert sorted(each["message"].split(" has")[0] for each in said.of("object-foreign")) == [
        "a folder",
        "a pipe",
        "a symlink",
    ]


def test_a_pipe_under_an_objects_name_holds_up_no_other_command(art: GitRepo) -> None:
    object_of(art, BELL).unlink()
    os.mkfifo(object_of(art, BELL))
    run(
        ["timeout", "30", sys.executable, "-P", "-m", "comfyvn_store", "rebuild", "--verify"], cwd=art.path, check=False
    )
    done = art.tool("show", BELL, check=False)
    assert done.code in (0, 12)


def test_what_is_misplaced_is_told_from_what_is_foreign(art: GitRepo) -> None:
    objects = art.path / ".git/comfyvn/objects"
    hero, bell, club = (object_of(art, path) for path in (HERO, BELL, CLUB))
    (objects / "zz").mkdir()
    hero.rename(objects / "zz" / hero.name)
    (objects / bell.parent.name.upper()).mkdir(exist_ok=True)
    bell.rename(objects / bell.parent.name.upper() / bell.name.upper())
    shutil.copy2(club, objects / "loose")
    (objects / "zz" / "notes.txt").write_text("what is this?")
    (objects / "zz" / "folder").mkdir()
    (objects / "zz" / "pipe").touch()
    (objects / "zz" / "pipe").unlink()
    os.mkfifo(objects / "zz" / "pipe")
    said = look(art)
    assert said.kinds == ["object-foreign"] * 3 + ["object-misplaced"] * 3 + ["object-missing"] * 2
    assert {each["hash"] for each in said.of("object-misplaced")} == {hash_of(art, path) for path in (HERO, BELL, CLUB)}
    said = mend(art)
    assert said.kinds == ["object-foreign"] * 3
    assert hashlib.sha256(hero.read_bytes()).hexdigest() == hash_of(art, HERO)
    assert hero.stat().st_mode & 0o777 == 0o444
    assert (objects / "zz" / "notes.txt").read_text() == "what is this?"
    assert not (objects / "loose").exists()


def test_an_object_with_the_bytes_of_another_gives_them_back(art: GitRepo) -> None:
    hero, bell = object_of(art, HERO), object_of(art, BELL)
    data = hero.read_bytes()
    overwrite(bell, data)
    hero.unlink()
    art.write("elsewhere.wav", media.wav())
    assert look(art).kinds == ["object-corrupt", "object-missing"]
    said = mend(art)
    assert said.kinds == ["object-missing"]
    assert said.of("object-missing")[0]["paths"] == [BELL]
    assert hero.read_bytes() == data


def test_modes_and_times_are_set_right(art: GitRepo) -> None:
    hero, bell = object_of(art, HERO), object_of(art, BELL)
    hero.chmod(0o644)
    os.utime(bell, ns=(1_700_000_000_000_000_007, 1_700_000_000_000_000_007))
    assert look(art).kinds == ["object-mode", "object-time"]
    said = mend(art)
    assert (said.kinds, said.repaired) == ([], ["object-mode", "object-time"])
    assert hero.stat().st_mode & 0o777 == 0o444
    assert bell.stat().st_mtime_ns % 1_000_000_000 == 0
    assert look(art).kinds == []


def test_a_disk_without_modes_is_not_blamed(art: GitRepo) -> None:
    for place in (art.path / ".git/comfyvn/objects").glob("??/*"):
        place.chmod(0o644)
    assert look(art).kinds == ["object-mode"] * 4
    art.git("config", "core.fileMode", "false")
    assert look(art).kinds == []


def test_repair_brings_bytes_back_from_a_remote_and_keeps_the_damaged_ones(art: GitRepo, tmp_path: Path) -> None:
    keep_copy(art, tmp_path / "disk")
    places = {path: object_of(art, path) for path in (HERO, BELL, CLUB)}
    good = {path: place.read_bytes() for path, place in places.items()}
    overwrite(places[HERO], flipped(good[HERO]))
    overwrite(places[BELL], b"")
    places[CLUB].unlink()
    said = mend(art)
    assert said.kinds == []
    assert said.repaired == ["object-corrupt"] + ["object-missing"] * 3 + ["object-truncated"]
    assert {path: place.read_bytes() for path, place in places.items()} == good
    aside = sorted(each.read_bytes() for each in (art.path / ".git/comfyvn/bad").iterdir())
    assert aside == sorted([flipped(good[HERO]), b""])
    assert look(art).kinds == []  # what lies in quarantine is no finding
    assert art.status() == []
    again = snapshot(art.path)
    assert mend(art).repaired == []
    assert snapshot(art.path) == again


def test_repair_finds_copies_on_this_machine(art: GitRepo, tmp_path: Path) -> None:
    run(["git", "clone", "-q", str(art.path), str(tmp_path / "clone")], cwd=tmp_path)
    clone = GitRepo(tmp_path / "clone")
    clone.tool("init")
    assert look(clone).kinds == ["object-missing"] * 3
    said = mend(clone)
    assert (said.kinds, said.repaired) == ([], ["object-missing"] * 3)
    assert clone.read(HERO) == art.read(HERO)


def test_what_nobody_has_remains_a_finding(art: GitRepo) -> None:
    place = object_of(art, BELL)
    overwrite(place, flipped(place.read_bytes()))
    said = mend(art)
    assert said.kinds == ["object-missing"]
    assert said.repaired == ["object-corrupt"]
    assert not place.exists()
    done = art.tool("fsck", check=False)
    assert (done.code, "no remote is set up" in done.out) == (1, True)


def test_bytes_written_through_a_view_are_left_to_recover(art: GitRepo, tmp_path: Path) -> None:
    keep_copy(art, tmp_path / "disk")
    place, mine = object_of(art, HERO), media.png(seed=99)
    overwrite(place, mine, like_rot=False)
    said = look(art)
    assert said.kinds == ["object-written"]
    assert said.of("object-written")[0]["remedy"] == f"comfyvn-store recover '{HERO}'"
    for words in ([], ["--full"], [HERO]):
        assert mend(art, *words).kinds == ["object-written"]
        assert place.read_bytes() == mine
    assert list((art.path / ".git/comfyvn/bad").iterdir()) == []
    art.tool("recover", HERO)
    assert look(art).kinds == []
    assert media.png(seed=99)[:40] == art.read(HERO)[:40]


def test_what_was_written_into_an_older_version_is_an_object_before_that_makes_way(
    art: GitRepo, tmp_path: Path
) -> None:
    keep_copy(art, tmp_path / "disk")
    place, mine = object_of(art, HERO, "HEAD~1"), media.png(seed=98)
    good = place.read_bytes()
    overwrite(place, mine, like_rot=False)
    said = mend(art)
    assert said.kinds == []
    assert art.object_path(hashlib.sha256(mine).hexdigest()).read_bytes() == mine
    assert place.read_bytes() == good


def test_words_that_mean_nothing_are_refused(art: GitRepo) -> None:
    done = art.tool("fsck", "no-such-thing", "--json", check=False)
    assert (done.code, done.json()["error"]) == (2, "unknown-revision")
    (art.path / "empty").mkdir()
    done = art.tool("fsck", "empty", "--json", check=False)
    assert (done.code, done.json()["error"]) == (2, "unknown-asset")


def test_before_init_there_is_nothing_to_check(repo: GitRepo) -> None:
    assert repo.tool("fsck", check=False).code == 10


def test_a_newer_store_is_left_alone(art: GitRepo) -> None:
    (art.path / ".git/comfyvn/format").write_text("2\n")
    before = snapshot(art.path)
    assert art.tool("fsck", "--repair", check=False).code == 17
    assert snapshot(art.path) == before
