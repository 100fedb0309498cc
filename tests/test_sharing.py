"""The bytes of art travel between clones: push, pull, drop and sync, through folders and git remotes that are folders."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo, run
from tests.team import ALICE, CLUB, SONG, Team, hashes, leftovers, objects_below, present

ALL = {ALICE, CLUB, SONG}


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def mika(team: Team) -> GitRepo:
    """A clone with art, pushed with git and so with its bytes."""
    repo = team.begin()
    repo.git("push", "-q")
    return repo


def refused(repo: GitRepo, *words: str, code: int) -> str:
    """Runs a command that ends with this code, one error line and no traceback; gives what it says."""
    done = repo.tool(*words, check=False)
    assert done.code == code, (done.code, done.out, done.err)
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in done.err
    return done.err


# -- a clone finds its art ---------------------------------------------------------------------------------------------


def repainted_and_cloned(team: Team, mika: GitRepo) -> GitRepo:
    """Mika repaints Alice and pushes; Noor's clone, which this gives, pulls what git's index holds and no older version."""
    mika.write(ALICE, media.comfy_png(7))
    mika.commit("repainted", "-a")
    mika.git("push", "-q")
    noor = team.clone("noor")
    noor.tool("pull")
    return noor


def test_clone_init_pull_is_enough(team: Team, mika: GitRepo) -> None:
    other = team.clone("noor")
    assert present(other) == set()
    done = other.tool("pull")
    assert done.out.startswith("fetched 3 objects, ")
    assert present(other) == ALL and other.status() == [] and leftovers(other) == []
    oracle.check_all(other)
    assert other.tool("pull").out == "everything is here (3 objects)"


def test_clone_of_the_tool_brings_everything(team: Team, mika: GitRepo) -> None:
    run([sys.executable, "-P", "-m", "comfyvn_store", "clone", str(team.hub), "noor"], cwd=team.folder)
    assert present(GitRepo(team.folder / "noor")) == ALL


def test_a_clone_of_a_clone(team: Team, mika: GitRepo) -> None:
    other = team.clone("noor", f"file://{mika.path}")
    other.tool("pull")
    assert present(other) == ALL


def test_pull_fetches_what_is_named(team: Team, mika: GitRepo) -> None:
    other = team.clone("noor")
    other.tool("pull", "assets/bg")
    assert present(other) == {CLUB}
    other.tool("pull", hashes(other)[SONG][:12])
    assert present(other) == {CLUB, SONG}
    other.tool("pull", "--type", "characters")
    assert present(other) == ALL
    assert "no asset" in refused(other, "pull", "assets/nothing.png", code=2)
    assert refused(other, "pull", "--rev", "nowhere", code=2)


def test_pull_of_a_revision_and_of_a_range(team: Team, mika: GitRepo) -> None:
    old = hashes(mika)[ALICE]
    for seed in (11, 12):
        mika.write(ALICE, media.comfy_png(seed))
        mika.commit(f"alice {seed}", "-a")
    mika.git("push", "-q")
    other = team.clone("noor")
    other.tool("pull", "--rev", "HEAD~2", ALICE)
    assert objects_below(other.path / ".git/comfyvn") == {old}
    other.tool("pull", "--rev", "HEAD~2..HEAD")
    assert len(objects_below(other.path / ".git/comfyvn")) == 3


def test_a_dry_run_says_where_from_and_fetches_nothing(team: Team, mika: GitRepo) -> None:
    other = team.clone("noor")
    done = other.tool("pull", "--dry-run", "--json").json()
    assert {each["remote"] for each in done["plan"]} == {"origin"} and len(done["plan"]) == 3
    assert objects_below(other.path / ".git/comfyvn") == set()
    assert "would fetch 3 objects from origin" in other.tool("pull", "-n").out


def test_json(team: Team, mika: GitRepo) -> None:
    other = team.clone("noor")
    done = other.tool("pull", "--json").json()
    assert sorted(done["moved"]) == sorted(hashes(other).values())
    assert done["error"] is None and done["absent"] == done["failed"] == done["down"] == []
    sent = mika.tool("push", "--json").json()
    assert [(each["remote"], len(each["there"])) for each in sent["remotes"]] == [("origin", 3)]


def test_a_missing_object_stops_no_checkout(team: Team, mika: GitRepo) -> None:
    other = team.clone("noor")
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    mika.git("push", "-q")
    other.git("pull", "-q")
    assert other.status() == [] and not (other.path / ALICE).exists()
    said = other.tool("status")
    assert "pull" in said.out and ALICE in said.out
    assert sorted(other.tool("status", "--json").json()["missing"]) == sorted(ALL)
    other.git("switch", "-q", "-c", "side", "HEAD^")
    other.tool("pull", ALICE)
    assert present(other) == {ALICE} and other.status() == []


def test_copies_get_their_bytes(team: Team, mika: GitRepo) -> None:
    run(["git", "clone", "-q", str(team.hub), "noor"], cwd=team.folder)
    other = GitRepo(team.folder / "noor")
    other.git("config", "comfyvn.views", "copy")
    other.tool("init")
    other.tool("pull")
    assert (other.path / ALICE).read_bytes() == mika.read(ALICE) and not (other.path / ALICE).is_symlink()
    assert other.status() == []


def test_nobody_has_it(team: Team, mika: GitRepo) -> None:
    lost = hashes(mika)[ALICE]
    (team.hub / "comfyvn/objects" / lost[:2] / lost[2:]).unlink()
    other = team.clone("noor")
    said = refused(other, "pull", code=12)
    assert ALICE in said and "asked: origin" in said
    assert present(other) == {CLUB, SONG}
    answer = other.tool("pull", "--json", check=False)
    assert answer.code == 12 and json.loads(answer.out)["absent"] == [{"hash": lost, "paths": [ALICE]}]


def test_no_remote_at_all(store_repo: GitRepo) -> None:
    store_repo.write(ALICE, media.png())
    store_repo.git("add", "-A")
    store_repo.commit("art")
    assert store_repo.tool("pull").out == "everything is here (1 object)"
    shutil.rmtree(store_repo.path / ".git/comfyvn/objects")
    assert "remote add" in refused(store_repo, "pull", code=12)
    assert "remote add" in refused(store_repo, "push", code=2)


# -- push --------------------------------------------------------------------------------------------------------------


def test_push_sends_every_version_in_history(team: Team, mika: GitRepo) -> None:
    usb = team.folder / "usb"
    mika.write(ALICE, media.comfy_png(7))
    mika.commit("repainted", "-a")
    mika.git("rm", "-q", SONG)
    mika.commit("silence")
    mika.tool("remote", "add", "usb", str(usb))
    mika.tool("push", "--remote", "usb")
    assert objects_below(usb) == objects_below(mika.path / ".git/comfyvn") and len(objects_below(usb)) == 4
    assert "usb: up to date (4 objects)" in mika.tool("push").out


def test_push_of_a_range_and_of_a_branch(team: Team, mika: GitRepo) -> None:
    usb = team.folder / "usb"
    mika.write(ALICE, media.comfy_png(7))
    mika.commit("repainted", "-a")
    mika.git("switch", "-q", "-c", "side", "HEAD^")
    mika.write(CLUB, media.png(seed=8))
    mika.commit("club", "-a")
    mika.tool("remote", "add", "usb", str(usb))
    mika.tool("push", "--remote", "usb", "main~1..main")
    assert len(objects_below(usb)) == 1
    assert "would send 3 objects" in mika.tool("push", "--remote", "usb", "main", "-n").out
    mika.tool("push", "--remote", "usb", "side")
    assert len(objects_below(usb)) == 5
    assert refused(mika, "push", "nowhere", code=2)
    assert refused(mika, "push", "--remote", "nobody", code=2)


def test_push_says_what_is_neither_here_nor_there(team: Team, mika: GitRepo) -> None:
    usb = team.folder / "usb"
    mika.tool("remote", "add", "usb", str(usb))
    lost = hashes(mika)[ALICE]
    mika.object_path(lost).unlink()
    # origin has it
    assert ALICE in refused(mika, "push", code=12)
    assert len(objects_below(usb)) == 2
    assert ALICE in refused(mika, "push", "--remote", "usb", code=12)
    mika.tool("pull")
    mika.tool("push")


def test_what_a_clone_has_not_is_no_secret_and_pull_all_mends_it(team: Team, mika: GitRepo) -> None:
    noor = repainted_and_cloned(team, mika)
    usb = team.folder / "usb"
    noor.tool("remote", "add", "--local", "usb", str(usb))
    said = refused(noor, "push", code=12)
    assert f"versions of '{ALICE}' are neither here nor on 'usb'" in said and "pull --all" in said
    assert len(objects_below(usb)) == 3
    noor.tool("pull", "--all")
    noor.tool("push")
    assert len(objects_below(usb)) == 4


def test_naming_a_remote_sends_all_history_with_the_commit_that_names_it(team: Team) -> None:
    mika = team.begin(url=team.hidden())
    mika.git("push", "-q", "-u", "origin", "HEAD")
    assert "nowhere but here" in mika.tool("status").out
    mika.tool("remote", "add", "usb", str(team.folder / "usb"))
    mika.commit("where the art is")
    assert "sent 3 objects" in mika.git("push").err
    assert "nowhere but here" not in mika.tool("status").out


# -- drop --------------------------------------------------------------------------------------------------------------


def test_drop_and_pull_again(team: Team, mika: GitRepo) -> None:
    before = mika.read(ALICE)
    assert "would drop 1 object" in mika.tool("drop", "-n", ALICE).out and mika.read(ALICE) == before
    mika.tool("drop", "assets/characters")
    assert present(mika) == {CLUB, SONG} and mika.status() == []
    assert "nothing to drop" in mika.tool("drop", ALICE).out
    mika.tool("pull")
    assert mika.read(ALICE) == before
    oracle.check_all(mika)


def test_drop_keeps_what_is_nowhere_else(team: Team, mika: GitRepo) -> None:
    mika.write("assets/new.png", media.png(seed=9))
    mika.git("add", "-A")
    assert "not committed" in mika.tool("drop", "assets/new.png", check=False).out
    mika.commit("new")
    said = refused(mika, "drop", "assets", code=20)
    assert "comfyvn-store push" in said
    assert present(mika) == {"assets/new.png"}
    mika.tool("pull")
    assert "1 remote holds it, and 2 wanted" in mika.tool("drop", ALICE, "--copies", "2", check=False).out
    assert ALICE in present(mika)
    mika.tool("remote", "add", "usb", str(team.folder / "usb"))
    mika.tool("push")
    mika.tool("drop", ALICE, "--copies", "2")
    assert ALICE not in present(mika)


def test_drop_believes_no_damaged_copy(team: Team, mika: GitRepo) -> None:
    hash_ = hashes(mika)[ALICE]
    there = team.hub / "comfyvn/objects" / hash_[:2] / hash_[2:]
    info = there.stat()
    there.chmod(0o644)
    there.write_bytes(b"x" * info.st_size)
    refused(mika, "drop", ALICE, code=20)
    # As a disk rots: nothing shows it but the bytes.
    there.chmod(0o444)
    os.utime(there, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert "holds other bytes" in mika.tool("drop", ALICE, check=False).out
    assert ALICE in present(mika)


def test_drop_keeps_what_was_written_through_a_view(team: Team, mika: GitRepo) -> None:
    place = mika.object_path(hashes(mika)[ALICE])
    place.chmod(0o644)
    with place.open("r+b") as stream:
        stream.write(b"painted over")
    refused(mika, "drop", ALICE, code=20)
    assert "recover" in mika.tool("drop", ALICE, check=False).out
    assert place.read_bytes().startswith(b"painted over")


@pytest.mark.parametrize("views", ["link", "copy"])
def test_in_a_folder_that_was_copied_nothing_is_being_edited(tmp_path: Path, mika: GitRepo, views: str) -> None:
    """git's notes of times are wrong there until somebody asks git."""
    mika.git("config", "comfyvn.views", views)
    mika.tool("init")
    there = GitRepo(tmp_path / "copied")
    shutil.copytree(mika.path, there.path, symlinks=True)
    for place in (there.path / "assets").rglob("*"):
        os.utime(place, (2_000_000_000, 2_000_000_000), follow_symlinks=False)
    place = there.object_path(hashes(there)[ALICE])
    assert place.exists()
    there.tool("drop", ALICE)
    assert not place.exists()


def test_drop_keeps_what_is_being_edited(team: Team, mika: GitRepo) -> None:
    mika.tool("edit", ALICE)
    with (mika.path / ALICE).open("ab") as stream:
        stream.write(b"painted on")
    assert "being edited" in mika.tool("drop", ALICE, check=False).out
    mika.git("checkout", "--", ALICE)
    assert present(mika) == ALL


def test_drop_in_a_store_that_clones_share(team: Team, mika: GitRepo) -> None:
    shared = team.folder / "shared"
    for repo in (mika, noor := team.clone("noor")):
        repo.git("config", "comfyvn.store", str(shared))
        repo.tool("init")
    assert present(noor) == ALL
    assert "--force" in refused(mika, "drop", ALICE, code=20) and present(noor) == ALL
    noor.git("rm", "-q", ALICE)
    mika.tool("drop", ALICE)
    assert "shares this store" in mika.tool("drop", CLUB, check=False).out
    mika.tool("drop", "--force", CLUB)
    assert present(mika) == present(noor) == {SONG}
    mika.tool("pull")
    assert present(mika) == ALL


# -- remotes -----------------------------------------------------------------------------------------------------------


def test_remote_add_list_remove(team: Team, mika: GitRepo) -> None:
    usb = team.folder / "my usb"
    mika.tool("remote", "add", "usb", "../my usb")
    assert mika.read(".comfyvnconfig").decode() == f'[comfyvn "remote.usb"]\n\turl = {usb.as_uri()}\n'
    assert mika.status() == ["A  .comfyvnconfig"]
    before = mika.git("ls-files", "-s").out
    mika.tool("remote", "add", "usb", str(usb))
    assert mika.git("ls-files", "-s").out == before
    assert "is there already" in refused(mika, "remote", "add", "usb", "/elsewhere", code=2)
    listed = mika.tool("remote", "list", "--json").json()
    assert [(each["name"], each["set_in"], each["is_writable"]) for each in listed] == [
        ("usb", "repository", True),
        ("origin", "git", True),
    ]
    assert mika.tool("remote", "test").code == 0
    mika.tool("remote", "remove", "usb")
    assert mika.status() == [] and not (mika.path / ".comfyvnconfig").exists() and (usb / "format").exists()
    assert "git remote remove" in refused(mika, "remote", "remove", "origin", code=2)
    assert refused(mika, "remote", "remove", "usb", code=2)


def test_a_remote_only_for_this_clone(team: Team, mika: GitRepo) -> None:
    mika.tool("remote", "add", "--local", "usb", str(team.folder / "usb"))
    assert mika.status() == [] and not (mika.path / ".comfyvnconfig").exists()
    assert mika.tool("push").out.splitlines()[-1].startswith("usb: sent 3 objects")
    mika.tool("remote", "remove", "usb")
    assert [each["name"] for each in mika.tool("remote", "list", "--json").json()] == ["origin"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://key:secret@bucket/x", "password"),
        ("sftp://mika:geheim@host/x", "password"),
        ("lfs:https://mika:geheim@host/x.git", "password"),
        ("s3://bucket/x?aws_secret_access_key=geheim", "aws_secret_access_key"),
        ("s3://bucket/x?regoin=eu-central-1", "'regoin' is nothing"),
        ("s3://bucket/x?region", "no value"),
        ("s3://bucket/../x", "no address"),
        ("ftp://host/x", "no address"),
        ("https://host/x", "no address"),
        ("file://host/share", "another machine"),
        ("file:", "names no folder"),
        ("s3:///x", "no address"),
    ],
)
def test_addresses_that_are_none(mika: GitRepo, url: str, says: str) -> None:
    said = refused(mika, "remote", "add", "x", url, code=2)
    assert says in said and "geheim" not in said and "secret@" not in said
    assert mika.status() == []


@pytest.mark.parametrize("name", ["-x", "a/b", "a b", "", "..", "x.lock", "ä"])
def test_names_that_are_none(mika: GitRepo, name: str) -> None:
    assert mika.tool("remote", "add", "--", name, "/tmp", check=False).code == 2


def test_a_folder_whose_disk_is_not_there(team: Team, mika: GitRepo) -> None:
    refused(mika, "remote", "add", "usb", str(team.folder / "media/stick/art"), code=15)
    assert mika.status() == []
    mika.tool("remote", "add", "usb", str(team.folder / "usb"))
    mika.tool("push")
    (team.folder / "usb").rename(team.folder / "unplugged")
    said = refused(mika, "push", "--remote", "usb", code=15)
    assert "plugged in" in said and not (team.folder / "usb").exists()
    assert mika.tool("remote", "test", check=False).code == 15
    # What is elsewhere is fetched all the same.
    mika.tool("drop", ALICE)
    assert mika.tool("pull").code == 0 and present(mika) == ALL


def test_a_clone_reads_a_folder_it_does_not_trust_and_writes_nothing(team: Team) -> None:
    usb = team.folder / "usb"
    mika = team.begin(url=team.hidden())
    mika.tool("remote", "add", "usb", str(usb))
    mika.commit("where the art is")
    mika.git("push", "-q", "-u", "origin", "HEAD")
    assert len(objects_below(usb)) == 3
    noor = team.clone("noor", team.hidden())
    noor.tool("pull")
    assert present(noor) == ALL
    noor.write(ALICE, media.comfy_png(31))
    noor.commit("repainted", "-a")
    assert "remote trust usb" in refused(noor, "push", "--remote", "usb", code=20)
    assert "remote trust usb" in refused(noor, "push", code=20)
    done = noor.git("push", "-q", check=False)
    assert done.code != 0 and "no remote that this clone may write to" in done.err and "remote trust usb" in done.err
    assert len(objects_below(usb)) == 3
    noor.tool("remote", "trust", "usb")
    noor.git("push", "-q")
    assert len(objects_below(usb)) == 4
    # Trust is for the address as it was.
    mika.git("pull", "-q")
    mika.git("config", "--file", ".comfyvnconfig", "comfyvn.remote.usb.url", (team.folder / "other").as_uri())
    mika.commit("moved", "-a")
    mika.git("push", "-q", "--no-verify")
    noor.git("pull", "-q")
    assert [each["is_writable"] for each in noor.tool("remote", "list", "--json").json()] == [False]


def test_a_hostile_settings_file_is_read_and_no_more(team: Team, mika: GitRepo) -> None:
    outside = team.folder / "outside"
    outside.mkdir()
    (outside / "objects/ab").mkdir(parents=True)
    (outside / "format").write_text("1\n")
    (outside / "objects/ab" / ("c" * 62)).write_text("not what its name says")
    config = (
        f'[comfyvn "remote.a"]\n\turl = {outside.as_uri()}\n'
        '[comfyvn "remote.b"]\n\turl = "ext::sh -c touch% /tmp/owned"\n'
        '[comfyvn "remote.c"]\n\turl = s3://u:p@bucket/x\n\ttrusted = yes\n'
        '[comfyvn "remote.../../d"]\n\turl = file:///\n'
        "[comfyvn]\n\tprePush = off\n\tstore = /tmp/x\n\tlimitRate = 1\n"
    )
    mika.write(".comfyvnconfig", config)
    mika.git("add", "-A")
    mika.commit("settings")
    mika.git("push", "-q")
    noor = team.clone("noor")
    before = sorted(str(each) for each in outside.rglob("*"))
    assert noor.tool("pull").code == 0 and present(noor) == ALL
    noor.tool("remote", "list")
    noor.tool("remote", "test", check=False)
    noor.tool("push")
    assert sorted(str(each) for each in outside.rglob("*")) == before
    listed = {each["name"]: each for each in noor.tool("remote", "list", "--json").json()}
    assert not listed["a"]["is_writable"] and "u:p@" not in json.dumps(listed)
    noor.write(ALICE, media.comfy_png(3))
    noor.commit("repainted", "-a")
    assert noor.git("push", "-q", check=False).code == 0, "origin has the bytes"


# -- pre-push ----------------------------------------------------------------------------------------------------------


def test_git_push_sends_the_bytes_first(team: Team, mika: GitRepo) -> None:
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    done = mika.git("push")
    assert "comfyvn-store: sent 1 object" in done.err
    assert hashes(mika)[ALICE] in objects_below(team.hub / "comfyvn")
    assert "comfyvn-store" not in mika.git("push").err


def test_git_push_is_refused_where_the_bytes_would_stay_behind(team: Team) -> None:
    usb = team.folder / "usb"
    mika = team.begin(url=team.hidden())
    mika.tool("remote", "add", "usb", str(usb))
    mika.commit("where the art is")
    usb.rename(team.folder / "unplugged")
    done = mika.git("push", "-q", "-u", "origin", "HEAD", check=False)
    assert done.code != 0 and "--no-verify" in done.err and "plugged" in done.err
    assert run(["git", "-C", str(team.hub), "for-each-ref"], cwd=team.folder).out == ""
    (team.folder / "unplugged").rename(usb)
    mika.git("push", "-q", "-u", "origin", "HEAD")
    assert len(objects_below(usb)) == 3


def test_one_remote_that_fails_is_no_matter_while_another_has_all(team: Team, mika: GitRepo) -> None:
    mika.tool("remote", "add", "usb", str(team.folder / "usb"))
    mika.commit("where the art is")
    (team.folder / "usb").rename(team.folder / "unplugged")
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    done = mika.git("push")
    assert "warning: remote 'usb'" in done.err and "sent 1 object" in done.err


@pytest.mark.parametrize("key", ["prePush", "jobs", "limitRate", "fetch", "locks"])
def test_a_slip_in_a_setting_stops_no_git_add(team: Team, mika: GitRepo, key: str) -> None:
    mika.git("config", f"comfyvn.{key}", "bogus")
    mika.write("assets/new.png", media.png(seed=3))
    mika.git("add", "-A")
    assert mika.tool("status").code == 0
    if key not in ("fetch", "locks"):
        mika.commit("new")
        assert f"comfyvn.{key} is 'bogus'" in mika.git("push", check=False).err or key == "limitRate"


def test_refuse_and_off(team: Team) -> None:
    usb = team.folder / "usb"
    mika = team.begin(url=team.hidden())
    mika.tool("remote", "add", "usb", str(usb))
    mika.commit("where the art is")
    mika.git("config", "comfyvn.prePush", "refuse")
    done = mika.git("push", "-q", "-u", "origin", "HEAD", check=False)
    assert done.code != 0 and "first: comfyvn-store push" in done.err and objects_below(usb) == set()
    mika.tool("push")
    mika.git("push", "-q", "-u", "origin", "HEAD")
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    mika.git("config", "comfyvn.prePush", "off")
    mika.git("push", "-q")
    assert len(objects_below(usb)) == 3


def test_nothing_is_asked_where_there_is_no_remote(team: Team) -> None:
    mika = team.begin(url=team.hidden())
    mika.git("config", "comfyvn.python", "/bin/false")
    mika.git("push", "-q", "-u", "origin", "HEAD")


@pytest.mark.parametrize("what", ["text", "delete", "lock ref"])
def test_a_push_without_art_starts_no_python(team: Team, mika: GitRepo, what: str) -> None:
    mika.git("push", "-q", "origin", "HEAD:side")
    mika.write("story.txt", "once upon a time")
    mika.git("add", "-A")
    mika.commit("text")
    mika.git("config", "comfyvn.python", "/bin/false")
    if what == "text":
        mika.git("push", "-q")
    elif what == "delete":
        mika.git("push", "-q", "origin", ":side")
    else:
        mika.git("update-ref", "refs/comfyvn/locks", "HEAD")
        mika.git("push", "-q", "origin", "refs/comfyvn/locks")


def test_a_hook_of_the_users_gets_its_input_and_can_stop(team: Team) -> None:
    mika = team.begin()
    mika.tool("uninstall")
    hook = mika.path / ".git/hooks/pre-push"
    hook.write_text('#!/bin/sh\ncat >"$(git rev-parse --git-dir)/pushed"\ntest "$1" != stop\n')
    hook.chmod(0o755)
    mika.tool("init")
    mika.git("checkout", "--", "assets", check=False)
    mika.git("remote", "add", "stop", str(team.hub))
    assert mika.git("push", "-q", "stop", "HEAD", check=False).code != 0
    assert not (team.hub / "comfyvn/objects").exists()
    mika.git("push", "-q", "origin", "HEAD")
    assert (mika.path / ".git/pushed").read_text().split()[1] == mika.head()
    assert len(objects_below(team.hub / "comfyvn")) == 3


def test_pushing_to_an_address_without_a_name(team: Team) -> None:
    mika = team.begin(url=team.hidden())
    mika.git("push", "-q", str(team.hub), "HEAD:main")
    assert len(objects_below(team.hub / "comfyvn")) == 3


# -- fetch=auto and sync -----------------------------------------------------------------------------------------------


def test_auto_fetches_what_a_checkout_needs(team: Team, mika: GitRepo) -> None:
    noor = team.clone("noor")
    noor.git("config", "comfyvn.fetch", "auto")
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    mika.git("push", "-q")
    noor.git("pull", "-q")
    assert present(noor) == ALL
    mika.write(ALICE, media.comfy_png(6))
    mika.commit("again", "-a")
    mika.git("push", "-q")
    noor.git("fetch", "-q")
    noor.git("switch", "-q", "--detach", "origin/main")
    assert present(noor) == ALL and noor.status() == []


def test_auto_for_everybody_and_init_is_enough(team: Team, mika: GitRepo) -> None:
    mika.write(".comfyvnconfig", "[comfyvn]\n\tfetch = auto\n")
    mika.git("add", "-A")
    mika.commit("art comes by itself")
    mika.git("push", "-q")
    noor = team.clone("noor")
    assert present(noor) == ALL and noor.status() == []


def test_auto_never_fails_a_checkout(team: Team, mika: GitRepo) -> None:
    noor = team.clone("noor")
    noor.git("config", "comfyvn.fetch", "auto")
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    mika.git("push", "-q")
    noor.git("fetch", "-q")
    (team.hub / "comfyvn").rename(team.folder / "gone")
    done = noor.git("switch", "-q", "--detach", "origin/main")
    assert done.code == 0 and "not here" in done.err
    assert noor.status() == []


def test_sync_brings_both_to_the_same_state(team: Team, mika: GitRepo) -> None:
    noor = team.clone("noor")
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("alice", "-a")
    mika.tool("sync")
    noor.write("assets/bg/sky.png", media.png(seed=77))
    noor.git("add", "-A")
    noor.commit("sky")
    noor.git("config", "pull.rebase", "true")
    noor.tool("sync")
    mika.tool("sync")
    assert noor.head() == mika.head() and present(noor) == present(mika) == {*ALL, "assets/bg/sky.png"}
    assert noor.tool("sync", "--json").json()["error"] is None
    oracle.check_all(noor)


def test_sync_stops_at_a_conflict_and_goes_on_after_it(team: Team, mika: GitRepo) -> None:
    noor = team.clone("noor")
    noor.tool("pull")
    for repo, seed in ((mika, 5), (noor, 6)):
        repo.write(ALICE, media.comfy_png(seed))
        repo.commit("alice", "-a")
    mika.tool("sync")
    noor.git("config", "pull.rebase", "false")
    assert "comfyvn-store conflicts" in refused(noor, "sync", code=20)
    assert "fetched 1 object" in noor.tool("pull").out
    noor.tool("resolve", ALICE, "--theirs")
    assert noor.read(ALICE) == mika.read(ALICE)
    noor.git("commit", "-q", "--no-edit")
    noor.tool("sync")
    mika.tool("sync")
    assert noor.head() == mika.head() and hashes(mika) == hashes(noor)


def test_sync_merges_where_nobody_told_git_how(team: Team, mika: GitRepo) -> None:
    noor = team.clone("noor")
    noor.tool("pull")
    for repo, path in ((mika, ALICE), (noor, CLUB)):
        repo.write(path, media.comfy_png(5))
        repo.commit("repainted", "-a")
    mika.tool("sync")
    noor.tool("sync")
    mika.tool("sync")
    assert noor.head() == mika.head() and hashes(mika) == hashes(noor)


def test_sync_sends_new_commits_though_old_art_is_lost(team: Team, mika: GitRepo) -> None:
    old = hashes(mika)[ALICE]
    mika.write(ALICE, media.comfy_png(5))
    mika.commit("repainted", "-a")
    mika.git("push", "-q")
    for place in (mika.object_path(old), team.hub / "comfyvn/objects" / old[:2] / old[2:]):
        place.unlink()
    mika.write(CLUB, media.png(seed=6))
    mika.commit("club", "-a")
    done = mika.tool("sync")
    assert "1 object neither here nor there" in done.out
    assert run(["git", "-C", str(team.hub), "rev-parse", "main"], cwd=team.folder).out == mika.head()
    assert ALICE in refused(mika, "push", code=12)


def test_the_first_sync_of_a_branch(team: Team) -> None:
    mika = team.begin()
    mika.git("switch", "-q", "-c", "night")
    mika.tool("sync")
    assert run(["git", "-C", str(team.hub), "rev-parse", "night"], cwd=team.folder).out == mika.head()
    assert len(objects_below(team.hub / "comfyvn")) == 3


# -- broken on purpose -------------------------------------------------------------------------------------------------


def many(team: Team, count: int = 60, size: int = 200_000) -> GitRepo:
    """A clone whose pushed art takes a moment to fetch."""
    mika = team.clone("mika")
    for number in range(count):
        mika.write(f"assets/noise/{number}.bin", os.urandom(size))
    mika.git("add", "-A")
    mika.commit("noise")
    mika.git("push", "-q")
    return mika


def start(repo: GitRepo, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "comfyvn_store", *words]
    return subprocess.Popen(command, cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_pulls_at_once(team: Team) -> None:
    many(team)
    noor = team.clone("noor")
    running = [start(noor, "pull", "--limit-rate", "20m") for _ in range(3)]
    said = [each.communicate(timeout=120) for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], said
    assert len(present(noor)) == 60 and leftovers(noor) == [] and noor.status() == []


def test_a_pull_that_is_killed_is_taken_up(team: Team) -> None:
    many(team, 12, 1_000_000)
    noor = team.clone("noor")
    store = noor.path / ".git/comfyvn"
    for round_ in range(4):
        running = start(noor, "pull", "--limit-rate", "4m")
        time.sleep(0.9 + 0.13 * round_)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)
        objects_below(store)  # whatever has an object's name is whole
    before = sum(each.stat().st_size for each in (store / "tmp").iterdir())
    done = noor.tool("pull", "--json").json()
    assert done["bytes"] <= 12_000_000 - len(done["there"]) * 1_000_000 - before
    assert len(present(noor)) == 12 and leftovers(noor) == []


def test_a_push_that_is_killed_leaves_nothing_half_written(team: Team) -> None:
    mika = many(team, 12, 1_000_000)
    usb = team.folder / "usb"
    mika.tool("remote", "add", "usb", str(usb))
    for round_ in range(3):
        running = start(mika, "push", "--remote", "usb", "--limit-rate", "4m")
        time.sleep(0.8 + 0.17 * round_)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)
        objects_below(usb)
    mika.tool("push", "--remote", "usb")
    assert len(objects_below(usb)) == 12


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small disk")
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_full_disk(team: Team, tmp_path: Path, whose: str) -> None:
    mika = many(team, 20, 300_000)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        if whose == "theirs":
            mika.tool("remote", "add", "usb", str(disk / "art"))
            done = mika.tool("push", "--remote", "usb", check=False)
            assert done.code == 16 and "is full" in done.out and "make room there" in done.err
            assert 0 < len(objects_below(disk / "art")) < 20
            assert list((disk / "art/tmp").iterdir()) == []
        else:
            run(["git", "clone", "-q", str(team.hub), str(disk / "noor")], cwd=tmp_path)
            noor = GitRepo(disk / "noor")
            noor.tool("init")
            said = refused(noor, "pull", code=16)
            assert "no space" in said
            got = objects_below(noor.path / ".git/comfyvn")
            assert 0 < len(got) < 20
            subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
            noor.tool("pull")
            assert len(present(noor)) == 20 and leftovers(noor) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_switching_away_during_a_pull(team: Team) -> None:
    mika = many(team)
    mika.git("switch", "-q", "-c", "other")
    mika.git("rm", "-rq", "assets/noise")
    mika.write(ALICE, media.png())
    mika.git("add", "-A")
    mika.commit("no noise")
    mika.git("push", "-q", "-u", "origin", "other")
    noor = team.clone("noor")
    running = start(noor, "pull", "--limit-rate", "10m")
    time.sleep(0.7)
    noor.git("switch", "-q", "other")
    running.communicate(timeout=120)
    assert running.returncode == 0 and noor.status() == []
    noor.tool("pull")
    oracle.check_all(noor)


def test_recover_asks_the_remotes_in_the_end(team: Team) -> None:
    usb = team.folder / "usb"
    mika = team.begin(url=team.hidden())
    mika.tool("remote", "add", "usb", str(usb))
    mika.tool("push")
    before, place = mika.read(ALICE), mika.object_path(hashes(mika)[ALICE])
    place.chmod(0o644)
    place.write_bytes(media.png(seed=99))
    said = mika.tool("recover", ALICE)
    assert "remote 'usb'" in said.out
    assert place.read_bytes() == before and mika.read(ALICE) != before
    mika.commit("recovered")
    oracle.check_all(mika)


# -- what others tried ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file:.", "file:.git", "alias", "objects", "git remote"])
def test_drop_takes_our_own_store_for_no_second_copy(store_repo: GitRepo, tmp_path: Path, way: str) -> None:
    store_repo.write(ALICE, media.png())
    store = store_repo.path / ".git/comfyvn"
    url = way
    if way == "alias":
        (tmp_path / "usb").symlink_to(store)
        url = (tmp_path / "usb").as_uri()
    elif way == "objects":
        (tmp_path / "usb").mkdir()
        (tmp_path / "usb/format").write_text("1\n")
        (tmp_path / "usb/objects").symlink_to(store / "objects")
        url = (tmp_path / "usb").as_uri()
    elif way == "git remote":
        store_repo.git("remote", "add", "me", str(store_repo.path))
    if way != "git remote":
        store_repo.write(".comfyvnconfig", f'[comfyvn "remote.x"]\n\turl = {url}\n')
    store_repo.git("add", "-A")
    store_repo.commit("art")
    refused(store_repo, "drop", ALICE, code=20)
    assert present(store_repo) == {ALICE}


def test_drop_takes_another_name_of_the_same_file_for_no_second_copy(team: Team, mika: GitRepo) -> None:
    hash_ = hashes(mika)[ALICE]
    there = team.hub / "comfyvn/objects" / hash_[:2] / hash_[2:]
    there.unlink()
    os.link(mika.object_path(hash_), there)
    assert "this very store" in mika.tool("drop", ALICE, check=False).out and ALICE in present(mika)


def test_two_clones_that_rely_on_each_other_drop_one_after_the_other(team: Team) -> None:
    one = many(team, 12, 300_000)
    shutil.rmtree(team.hub / "comfyvn")
    two = team.clone("two")
    two.git("remote", "set-url", "origin", str(one.path))
    two.tool("pull")
    one.git("remote", "set-url", "origin", str(two.path))
    running = [start(repo, "drop", "assets") for repo in (one, two)]
    for each in running:
        each.communicate(timeout=120)
    left = objects_below(one.path / ".git/comfyvn") | objects_below(two.path / ".git/comfyvn")
    assert len(left) == 12


def test_one_server_under_two_names_is_one_copy(team: Team, mika: GitRepo) -> None:
    for name in ("usb", "disk"):
        mika.tool("remote", "add", name, str(team.folder / "usb"))
    mika.tool("push")
    mika.git("remote", "remove", "origin")
    mika.git("commit", "-qm", "remotes")
    refused(mika, "drop", ALICE, "--copies", "2", code=20)
    refused(mika, "drop", ALICE, "--copies", "2", "--remote", "usb", "--remote", "disk", code=20)
    mika.tool("drop", ALICE)


@pytest.mark.parametrize("branch", ["新しい\u3000絵", "a\u00a0b", "a\u2028b", "quote'd"])
def test_any_name_of_a_branch(team: Team, branch: str) -> None:
    mika = team.begin()
    mika.git("switch", "-q", "-c", branch)
    mika.git("push", "-q", "origin", branch)
    assert len(objects_below(team.hub / "comfyvn")) == 3


def test_what_is_pushed_may_be_named_with_spaces(team: Team) -> None:
    mika = team.begin()
    mika.git("push", "-q", "origin", "HEAD^{/art}:refs/heads/x")
    assert len(objects_below(team.hub / "comfyvn")) == 3


def test_more_tags_than_words_fit_on_a_command_line(team: Team) -> None:
    mika = team.begin()
    head = mika.head()
    lines = "".join(f"create refs/tags/t{number} {head}\n" for number in range(40_000))
    mika.git("update-ref", "--stdin", input=lines)
    mika.git("push", "-q", "origin", "main", "--tags")
    assert len(objects_below(team.hub / "comfyvn")) == 3


def test_art_under_another_root(team: Team) -> None:
    mika = team.begin()
    mika.git("switch", "-q", "-c", "other")
    mika.git("config", "--file", ".comfyvnconfig", "comfyvn.assetsRoot", "art")
    mika.git("mv", "assets", "art")
    mika.git("add", "-A")
    mika.commit("another root")
    mika.git("push", "-q", "origin", "main")
    assert len(objects_below(team.hub / "comfyvn")) == 3


def test_copies_under_a_root_of_before(team: Team) -> None:
    mika = team.clone("mika")
    mika.git("config", "comfyvn.views", "copy")
    mika.tool("init")
    mika.write(ALICE, media.png(seed=1))
    mika.git("add", "-A")
    mika.commit("one")
    mika.write(ALICE, media.png(seed=2))
    mika.git("config", "--file", ".comfyvnconfig", "comfyvn.assetsRoot", "art")
    mika.git("mv", "assets", "art")
    mika.tool("init")
    mika.git("add", "-A")
    mika.commit("two")
    mika.git("push", "-q")
    assert len(objects_below(team.hub / "comfyvn")) == 2


def test_the_branch_that_is_pushed_says_where_its_art_goes(team: Team) -> None:
    usb = team.folder / "usb"
    mika = team.begin(url=team.hidden())
    mika.git("switch", "-q", "-c", "named")
    mika.tool("remote", "add", "usb", str(usb))
    mika.commit("where the art is")
    mika.git("switch", "-q", "main")
    assert not (mika.path / ".comfyvnconfig").exists()
    mika.git("push", "-q", "origin", "named")
    assert len(objects_below(usb)) == 3


def test_a_push_of_nothing_from_a_branch_without_commits(team: Team, mika: GitRepo) -> None:
    mika.git("switch", "-q", "--orphan", "new")
    assert "Everything up-to-date" in mika.git("push", "origin", "main").err


@pytest.mark.parametrize("way", ["another address", "two addresses", "nested name"])
def test_what_was_seen_of_a_remote_is_not_believed_of_another_place(team: Team, mika: GitRepo, way: str) -> None:
    other = team.folder / "other.git"
    run(["git", "init", "-q", "--bare", str(other)], cwd=team.folder)
    if way == "another address":
        mika.git("remote", "set-url", "origin", str(other))
        mika.git("push", "-q")
    elif way == "two addresses":
        mika.git("remote", "set-url", "--add", "--push", "origin", str(team.hub))
        mika.git("remote", "set-url", "--add", "--push", "origin", str(other))
        mika.git("push", "-q")
    else:
        mika.git("remote", "add", "ori", str(other))
        mika.git("update-ref", "refs/remotes/ori/gin/main", "HEAD")
        mika.git("push", "-q", "ori", "HEAD")
    assert len(objects_below(other / "comfyvn")) == 3


@pytest.mark.parametrize("damage", ["truncated", "longer", "zeros"])
def test_a_broken_copy_at_a_remote_is_replaced_by_a_push(team: Team, mika: GitRepo, damage: str) -> None:
    hash_ = hashes(mika)[ALICE]
    there = team.hub / "comfyvn/objects" / hash_[:2] / hash_[2:]
    whole = there.read_bytes()
    there.chmod(0o644)
    there.write_bytes({"truncated": b"", "longer": whole + b"x", "zeros": b"\0" * len(whole)}[damage])
    assert "sent 1 object" in mika.tool("push").out
    assert there.read_bytes() == whole


def test_the_last_setting_counts(team: Team) -> None:
    mika = team.begin()
    mika.git("config", "--global", "comfyvn.prePush", "off")
    mika.git("config", "comfyvn.prePush", "push")
    mika.git("push", "-q")
    assert len(objects_below(team.hub / "comfyvn")) == 3


@pytest.mark.parametrize("what", ["fifo", "folder", "link", "device"])
def test_what_stands_in_the_place_of_a_part_file(team: Team, mika: GitRepo, what: str) -> None:
    noor = team.clone("noor")
    place = noor.path / f".git/comfyvn/tmp/part-{hashes(noor)[ALICE]}"
    outside = team.folder / "outside"
    outside.write_text("mine")
    if what == "fifo":
        os.mkfifo(place)
    elif what == "folder":
        place.mkdir()
    elif what == "link":
        place.symlink_to(outside)
    else:
        place.symlink_to("/dev/zero")
    command = [sys.executable, "-P", "-m", "comfyvn_store", "pull"]
    assert subprocess.run(command, cwd=noor.path, timeout=60, capture_output=True).returncode == 0
    assert present(noor) == ALL and outside.read_text() == "mine"


def test_the_same_wrong_bytes_lie_in_quarantine_once(team: Team, mika: GitRepo) -> None:
    hash_ = hashes(mika)[ALICE]
    there = team.hub / "comfyvn/objects" / hash_[:2] / hash_[2:]
    size = there.stat().st_size
    noor = team.clone("noor")
    info = there.stat()
    there.chmod(0o644)
    there.write_bytes(b"x" * size)
    there.chmod(0o444)
    os.utime(there, ns=(info.st_atime_ns, info.st_mtime_ns))
    for _ in range(3):
        refused(noor, "pull", code=13)
    assert len(list((noor.path / ".git/comfyvn/bad").iterdir())) == 1


def test_a_remote_of_the_repositorys_hides_no_git_remote(team: Team, mika: GitRepo) -> None:
    mika.write(
        ".comfyvnconfig",
        '[comfyvn "remote.origin"]\n\turl = file:///nowhere\n[comfyvn "remote.\\033x;y"]\n\turl = lfs:\n',
    )
    mika.git("add", "-A")
    mika.commit("names")
    mika.git("push", "-q", "--no-verify")
    noor = team.clone("noor")
    noor.tool("pull")
    assert present(noor) == ALL
    assert [each["name"] for each in noor.tool("remote", "list", "--json").json()] == ["origin", "git:origin"]
    assert "\033" not in noor.tool("remote", "list").out


def test_pushing_to_a_second_place_what_only_the_first_has(team: Team, mika: GitRepo) -> None:
    noor = repainted_and_cloned(team, mika)
    other = team.folder / "other.git"
    run(["git", "init", "-q", "--bare", str(other)], cwd=team.folder)
    noor.git("push", "-q", str(other), "main")
    assert len(objects_below(other / "comfyvn")) == 4


def test_a_folder_reached_by_a_link_is_that_folder(team: Team, mika: GitRepo) -> None:
    dots = GitRepo.create(team.folder / "dots")
    (dots.path / "art").mkdir()
    (team.folder / "artlink").symlink_to(dots.path / "art")
    mika.tool("remote", "add", "--local", "usb", str(team.folder / "artlink"))
    mika.tool("push")
    assert len(objects_below(dots.path / "art")) == 3 and not (dots.path / ".git/comfyvn").exists()


def test_a_second_push_of_the_same_asks_for_nothing_new(team: Team, mika: GitRepo) -> None:
    """What was found safe once is not walked through again, though the branch is new over there."""
    mika.git("push", "-q", "origin", "HEAD:another")
    assert len(list((mika.path / ".git/comfyvn/sent").iterdir())) == 1
    shutil.rmtree(mika.path / ".git/comfyvn/sent")
    mika.git("push", "-q", "origin", "HEAD:third")


@pytest.mark.parametrize("region", ["x@127.0.0.1:8443/%3f", "a.b", "", "A"])
def test_a_region_is_no_host(mika: GitRepo, region: str) -> None:
    assert refused(mika, "remote", "add", "x", f"s3://bucket/p?region={region}", code=2)
