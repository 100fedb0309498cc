"""`gc`: what it says and does, its grace and its trash; adding, killing and collecting at the same time."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.base import due
from comfyvn_store.base.uuid7 import uuid7
from comfyvn_store.ops import gc
from comfyvn_store.ops.gc import Collected
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle
from tests.collecting import HERO, Loose, age, begun, collect, home, objects, trashed
from tests.gitrepo import GitRepo, run
from tests.processes import end, start, until
from tests.templates import copied

DAY = 86400


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, begun, tmp_path / "game")


# -- what it says ------------------------------------------------------------------------------------------------------


def test_it_only_says_what_it_would_do(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, 15 * DAY)
    size = art.object_path(loose.hash).stat().st_size
    before = sorted(path for path in loose.store.rglob("*") if "operations" not in path.parts)
    done = art.tool("gc")
    assert done.out.startswith(f"1 object, {size} B: would be moved to the trash\nkept by\n    branches, tags")
    assert done.out.endswith("nothing was changed; to do it: comfyvn-store gc --prune")
    found = art.tool("gc", "--json").json()
    assert (found["pruned"], found["objects"], found["bytes"]) == (False, 1, size)
    assert found["freed"] == [{"hash": loose.hash, "bytes": size}]
    assert found["kept"]["refs"]["objects"] == 1 and found["grace"] == 14 * DAY
    assert sorted(loose.store.rglob("*")) == before


def test_it_moves_to_the_trash_and_undo_brings_back(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, 15 * DAY)
    done = art.tool("gc", "--prune")
    assert "1 object" in done.out and "moved to the trash" in done.out
    assert not loose.is_there and trashed(loose.store) == {loose.hash}
    art.tool(*done.out.splitlines()[-1].removeprefix("to bring them back: comfyvn-store ").split())
    assert loose.is_there and trashed(loose.store) == set()
    assert oracle.digest(art.read(HERO)) == oracle.linked_hash(art.link(HERO))


def test_a_second_run_changes_nothing(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, 15 * DAY)
    art.tool("gc", "--prune")
    before = sorted(loose.store.rglob("*"))
    done = art.tool("gc", "--prune", "--json").json()
    assert (done["objects"], done["operation"]) == (0, None)
    assert sorted(loose.store.rglob("*")) == before


@pytest.mark.parametrize(("grace", "days"), [("14d", 13), ("2w", 13), ("0", 0), ("36h", 1), ("90000m", 60), ("9s", 0)])
def test_what_is_young_stays(art: GitRepo, grace: str, days: int) -> None:
    loose = Loose(art)
    if days:
        age(loose.store, days * DAY)
    else:
        age(loose.store, -2)  # added while it runs
    done = art.tool("gc", "--prune", "--grace", grace, "--json").json()
    assert done["kept"]["young"]["objects"] == 1
    assert loose.is_there
    age(loose.store, 100 * DAY)
    assert art.tool("gc", "--prune", "--grace", grace, "--json").json()["objects"] == 1


def test_times_that_are_still_to_come_are_young(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, -400 * DAY)
    assert collect(art).kept["young"].objects == 1 and loose.is_there


@pytest.mark.parametrize("words", ["14", "x", "-1d", "1y", "d", "1.5d", "99999999999d"])
def test_a_grace_that_is_none_is_refused(art: GitRepo, words: str) -> None:
    done = art.tool("gc", f"--grace={words}", check=False)
    assert done.code == 2 and f"--grace is '{words}'" in done.err


def test_no_grace_at_all_is_refused_and_the_one_given_is_named(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    done = art.tool("gc", "--grace", "", check=False)
    assert done.code == 2 and "--grace is empty" in done.err
    said = art.tool("gc", "--grace", "30m").out.splitlines()[-1]
    assert said == "nothing was changed; to do it: comfyvn-store gc --prune --grace 30m"
    art.tool(*said.partition(": comfyvn-store ")[2].split())
    assert not loose.is_there
    Loose(art, seed=8)
    age(loose.store, 15 * DAY)
    assert art.tool("gc").out.endswith("to do it: comfyvn-store gc --prune")


def test_adding_again_makes_young(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, 15 * DAY)
    art.write("assets/again.png", media.png(seed=7))
    art.git("hash-object", "-w", "--path", "assets/again.png", "assets/again.png")
    (art.path / "assets/again.png").unlink()
    art.git("gc", "-q", "--prune=now")
    assert art.tool("gc", "--prune", "--json").json()["kept"]["young"]["objects"] == 1
    assert loose.is_there


def test_what_a_program_wrote_to_stays(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    place = art.object_path(loose.hash)
    place.chmod(0o644)
    place.write_bytes(b"somebody's work")
    os.utime(place, ns=(10**18 + 1, 10**18 + 1))
    done = art.tool("gc", "--prune", "--grace", "0", "--json").json()
    assert done["kept"]["written"]["objects"] == 1 and place.read_bytes() == b"somebody's work"


def test_an_uninitialised_repository_is_refused(repo: GitRepo) -> None:
    assert repo.tool("gc", check=False).code == 10


# -- the trash ---------------------------------------------------------------------------------------------------------


def later(repo: GitRepo, days: float) -> Collected:
    """Collects when so many days have passed."""
    return gc.collect(open_repository(str(repo.path)), prune=True, grace=0, now=time.time() + days * DAY)


def test_the_trash_is_emptied_after_its_own_grace(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    collect(art)
    (place,) = (loose.store / "trash").iterdir()
    assert later(art, 13).waiting.objects == 1 and not (loose.store / "due").exists()
    found = later(art, 15)
    assert (found.emptied.objects, found.waiting.objects, found.due.objects) == (0, 1, 1)
    assert place.exists()
    found = gc.collect(open_repository(str(art.path)), now=time.time() + 16.5 * DAY)
    assert found.emptied.objects == 1 and place.exists()
    found = later(art, 16.5)
    assert (found.emptied.objects, found.waiting.objects, found.due.objects) == (1, 0, 0)
    assert not place.exists()
    art.tool("fsck")
    assert art.tool("undo", check=False).code in (2, 12, 20)


def test_the_grace_of_the_trash_is_a_setting(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    collect(art)
    art.git("config", "comfyvn.trashGrace", "0")
    time.sleep(1.1)  # what came in this second did not lie there for any time
    done = art.tool("gc", "--prune")
    assert "of that long enough; a later gc --prune deletes" in done.out
    assert art.tool("gc", "--json").json()["trash"]["emptied"]["objects"] == 1
    assert art.tool("gc", "--prune", "--json").json()["trash"]["emptied"]["objects"] == 1
    assert trashed(loose.store) == set()
    art.git("config", "comfyvn.trashGrace", "soon")
    assert "comfyvn.trashGrace is 'soon'" in art.tool("gc", check=False).err


def test_a_clock_that_is_wrong_for_one_run_empties_nothing(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    collect(art)
    (place,) = (loose.store / "trash").iterdir()
    place.rename(place.with_name(f"{place.name[:64]}-{uuid7(1_000_000_000_000)}"))  # it was behind
    assert (collect(art).emptied.objects, later(art, 2).emptied.objects) == (0, 0)
    assert later(art, 1000).emptied.objects == 0  # it is ahead
    assert collect(art).emptied.objects == 0
    assert trashed(loose.store) == {loose.hash}
    art.tool("undo")
    assert loose.is_there


def test_what_is_named_again_comes_back(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    collect(art)
    later(art, 15)
    art.git("update-ref", "refs/heads/topic", loose.commit)
    assert art.tool("gc", "--json").json()["trash"]["back"] == [loose.hash]
    assert not loose.is_there
    assert later(art, 17).back == [loose.hash]
    assert loose.is_there and trashed(loose.store) == set()


def test_the_only_good_copy_does_not_leave_the_trash_but_for_its_name(art: GitRepo) -> None:
    """The disk rotted the object: its size and time are as they were."""
    loose = Loose(art)
    age(loose.store)
    collect(art)
    later(art, 15)
    place = art.object_path(loose.hash)
    (good,) = (loose.store / "trash").iterdir()
    place.write_bytes(good.read_bytes()[:-1] + b"!")
    place.chmod(0o444)
    os.utime(place, (1_700_000_000, 1_700_000_000))
    art.git("update-ref", "refs/heads/topic", loose.commit)
    assert later(art, 17).back == [loose.hash]
    assert loose.is_there and len(list((loose.store / "bad").iterdir())) == 1


def test_what_is_named_and_damaged_everywhere_stays_in_the_trash(art: GitRepo) -> None:
    loose, other = Loose(art), Loose(art, 8)
    age(loose.store)
    collect(art)
    place = next(each for each in (loose.store / "trash").iterdir() if each.name.startswith(loose.hash))
    place.chmod(0o644)
    place.write_bytes(b"bad")
    for name, each in (("a", loose), ("b", other)):
        art.git("update-ref", f"refs/heads/{name}", each.commit)
    later(art, 15)
    found = later(art, 17)
    assert found.damaged == [loose.hash] and place.read_bytes() == b"bad" and other.is_there


def test_keep_and_recover_bring_back(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store)
    collect(art)
    art.tool("keep", loose.hash[:10])
    assert loose.is_there and trashed(loose.store) == set()


def test_what_is_damaged_in_the_trash_does_not_hinder_keep(art: GitRepo) -> None:
    hashes = sorted(Loose(art, seed).hash for seed in (7, 8))
    age(home(art))
    collect(art)
    place = next(each for each in (home(art) / "trash").iterdir() if each.name.startswith(hashes[0]))
    place.chmod(0o644)
    place.write_bytes(b"bad")
    done = art.tool("keep", *hashes, "--json").json()
    assert done["missing"] == [hashes[0]] and hashes[1] in objects(home(art)) and place.exists()


def test_quarantine_is_left_alone(art: GitRepo) -> None:
    place = home(art) / "bad" / f"{'a' * 64}-12345678"
    place.write_bytes(b"bad")
    os.utime(place, (1, 1))
    art.tool("gc", "--prune", "--grace", "0")
    assert place.read_bytes() == b"bad"


def test_unfinished_files_are_swept(art: GitRepo) -> None:
    old, young = home(art) / "tmp/in-1-a", home(art) / "tmp/in-2-b"
    for place in (old, young):
        place.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert art.tool("gc", "--prune", "--json").json()["swept"] == 1
    assert young.exists() and not old.exists()


# -- at the same time --------------------------------------------------------------------------------------------------

# Runs `gc --prune` that stops at a step until a file appears, as a process of its own. STEP names a function of ours; it
# stops before (or after) its N-th call.
STOPPING = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests behind itself has it ignored
import comfyvn_store.ops.roots as roots, comfyvn_store.store.trash as trash, comfyvn_store.ops.journal as journal
import comfyvn_store.ops.gc as gc, comfyvn_store.ops.gc.emptying as emptying
module, name, number, when, flag = sys.argv[1:6]
where = {"roots": roots, "trash": trash, "journal": journal, "gc": gc, "emptying": emptying}[module]
real, calls = getattr(where, name), [0]
def stop():
    open(flag + ".there", "w").close()
    while not os.path.exists(flag + ".go"):
        time.sleep(0.005)
def stopping(*words, **named):
    calls[0] += 1
    is_now = calls[0] == int(number)
    if is_now and when == "before":
        stop()
    found = real(*words, **named)
    if is_now and when == "after":
        stop()
    return found
setattr(where, name, stopping)
from comfyvn_store.cli.main import run
run(["gc", "--prune", "--grace", "0", "--json"])
"""
STEPS = [
    ("roots", "find", 1, "before"),
    ("roots", "find", 1, "after"),
    ("gc", "_candidates", 1, "after"),
    ("journal", "begin", 1, "after"),
    ("trash", "put", 1, "before"),
    ("trash", "_rename", 1, "before"),
    ("trash", "_rename", 1, "after"),
    ("trash", "put", 1, "after"),
    ("roots", "find", 2, "before"),
    ("roots", "find", 2, "after"),
    ("journal", "finish", 1, "before"),
    ("journal", "finish", 1, "after"),
]


class Stopped:
    """A gc that has come to a step."""

    def __init__(self, repo: GitRepo, flag: Path, step: tuple[str, str, int, str]) -> None:
        words = [sys.executable, "-P", "-c", STOPPING, *map(str, step), str(flag)]
        self.flag = flag
        self.process: Any = subprocess.Popen(words, cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until(lambda: Path(f"{flag}.there").exists() or self.process.poll() is not None)
        assert self.process.poll() is None, end(self.process)

    def go_on(self) -> None:
        Path(f"{self.flag}.go").touch()
        code, out, err = end(self.process)
        assert code == 0, (out, err)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step)))
def test_what_is_added_while_it_runs_survives(art: GitRepo, tmp_path: Path, step: tuple[str, str, int, str]) -> None:
    loose = Loose(art)
    age(loose.store)
    running = Stopped(art, tmp_path / "flag", step)
    art.write("assets/again.png", media.png(seed=7))
    art.git("add", "assets/again.png")
    running.go_on()
    assert oracle.linked_hash(art.blob(":assets/again.png").decode()) == loose.hash
    assert loose.is_there
    art.commit("again")
    oracle.check_all(art)


@pytest.mark.parametrize("step", STEPS[:10], ids=lambda step: "-".join(map(str, step)))
def test_what_is_named_while_it_runs_survives(art: GitRepo, tmp_path: Path, step: tuple[str, str, int, str]) -> None:
    """Nothing is added: an old commit gets a branch again."""
    loose = Loose(art)
    age(loose.store)
    running = Stopped(art, tmp_path / "flag", step)
    art.git("update-ref", "refs/heads/topic", loose.commit)
    running.go_on()
    if step[:3] != ("roots", "find", 2) or step[3] == "before":
        assert loose.is_there
    else:  # a moment too late: it waits in the trash, and the next run sees to it
        assert loose.hash in trashed(loose.store)
        assert collect(art).back == [loose.hash] and loose.is_there


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step)))
def test_a_kill_at_any_step_loses_nothing(art: GitRepo, tmp_path: Path, step: tuple[str, str, int, str]) -> None:
    first, second = Loose(art, 7), Loose(art, 8)
    age(first.store)
    running = Stopped(art, tmp_path / "flag", step)
    running.process.send_signal(signal.SIGKILL)
    end(running.process)
    there = objects(first.store)
    assert {first.hash, second.hash} <= there | trashed(first.store)
    log = art.tool("log", "--operations", "--json").json()
    if not {first.hash, second.hash} <= there:
        assert len(log) == 1 and log[0]["state"] == ("done" if step[:1] + step[3:] == ("journal", "after") else "begun")
        art.tool("undo")
        assert {first.hash, second.hash} <= objects(first.store)
    age(first.store)
    collect(art)
    assert trashed(first.store) == {first.hash, second.hash}
    oracle.check_all(art)


@pytest.mark.parametrize(
    "step", [("trash", "put", 1, "after"), ("roots", "find", 2, "before")], ids=["moving", "after"]
)
def test_an_interrupt_puts_everything_back(art: GitRepo, tmp_path: Path, step: tuple[str, str, int, str]) -> None:
    first, second = Loose(art, 7), Loose(art, 8)
    age(first.store)
    running = Stopped(art, tmp_path / "flag", step)
    running.process.send_signal(signal.SIGINT)
    assert end(running.process)[0] == 130
    assert {first.hash, second.hash} <= objects(first.store)
    assert trashed(first.store) == set()
    assert art.tool("log", "--operations", "--json").json() == []


def test_one_damaged_object_in_the_trash_holds_up_no_other(art: GitRepo) -> None:
    first, second = Loose(art, 7), Loose(art, 8)
    age(first.store)
    collect(art)
    (place,) = (first.store / "trash").glob(f"{first.hash}-*")
    place.chmod(0o644)
    place.write_bytes(b"rot")
    assert art.tool("fsck", "--full", "--json").json()["findings"] == []  # nobody needs it
    done = art.tool("undo", check=False)
    assert done.code != 0 and f"{first.hash[:16]} is damaged in the trash" in done.err
    assert second.is_there and not first.is_there and place.read_bytes() == b"rot"
    art.git("update-ref", "refs/heads/topic", first.commit)
    found = art.tool("gc", "--prune", "--json").json()
    assert found["trash"]["damaged"] == [first.hash] and place.read_bytes() == b"rot"
    missing = art.tool("fsck", "--json", "topic", check=False).json()["findings"]
    assert [(each["kind"], each["hash"]) for each in missing] == [("object-missing", first.hash)]


def test_two_at_once(art: GitRepo) -> None:
    hashes = {Loose(art, seed).hash for seed in range(20, 30)}
    store = home(art)
    age(store)
    running = [start(art, "gc", "--prune", "--grace", "0", "--json") for _ in range(3)]
    for process in running:
        code, out, err = end(process)
        assert code == 0, (out, err)
    assert trashed(store) == hashes and len(list((store / "trash").iterdir())) == len(hashes)
    oracle.check_all(art)


def test_adding_again_and_again_while_it_runs_again_and_again(art: GitRepo) -> None:
    """No step is chosen: whatever the two make of it, what git has is there in the end."""
    store = home(art)
    for number in range(6):
        path = f"assets/{number}.png"
        Loose(art, 40 + number)
        age(store)
        running = start(art, "gc", "--prune", "--grace", "0")
        art.write(path, media.png(seed=40 + number))
        art.git("add", path)
        assert end(running)[0] == 0
        assert oracle.linked_hash(art.blob(f":{path}").decode()) in objects(store)
    art.commit("all")
    oracle.check_all(art)


def test_a_failure_on_the_way_takes_everything_back(art: GitRepo, tmp_path: Path) -> None:
    loose = Loose(art)
    age(loose.store)
    running = Stopped(art, tmp_path / "flag", ("roots", "find", 2, "before"))
    broken = art.path / ".git/refs/heads/broken"
    broken.write_text("")
    Path(f"{running.flag}.go").touch()
    code, _, err = end(running.process)
    assert code == 20 and "broken ref" in err
    assert loose.is_there and trashed(loose.store) == set()
    assert art.tool("log", "--operations", "--json").json() == []


NAMING = [
    ("roots", "find", 1, "after"),
    ("emptying", "empty", 1, "before"),
    ("trash", "set_aside", 1, "before"),
    ("roots", "find", 2, "before"),
]


@pytest.mark.parametrize("step", NAMING, ids=lambda step: "-".join(map(str, step)))
def test_what_is_named_while_the_trash_is_emptied_comes_back(
    art: GitRepo, tmp_path: Path, step: tuple[str, str, int, str]
) -> None:
    loose = Loose(art)
    age(loose.store)
    art.git("config", "comfyvn.trashGrace", "0")
    collect(art)
    time.sleep(1.1)
    assert collect(art).due.objects == 1
    running = Stopped(art, tmp_path / "flag", step)
    art.git("update-ref", "refs/heads/topic", loose.commit)
    running.go_on()
    assert loose.is_there and trashed(loose.store) == set()


@pytest.mark.parametrize("is_killed", [False, True])
def test_emptying_that_is_cut_short_leaves_it_in_the_trash(art: GitRepo, tmp_path: Path, is_killed: bool) -> None:
    loose = Loose(art)
    age(loose.store)
    art.git("config", "comfyvn.trashGrace", "0")
    collect(art)
    time.sleep(1.1)
    collect(art)
    (before,) = (loose.store / "trash").iterdir()
    running = Stopped(art, tmp_path / "flag", ("roots", "find", 2, "before"))
    (aside,) = (loose.store / "trash").iterdir()
    assert aside.name == f"going-{before.name}"
    if is_killed:
        running.process.send_signal(signal.SIGKILL)
        end(running.process)
        art.git("config", "comfyvn.trashGrace", "1d")
        assert collect(art).waiting.objects == 1
    else:
        broken = art.path / ".git/refs/heads/broken"
        broken.write_text("")
        Path(f"{running.flag}.go").touch()
        assert end(running.process)[0] == 20
        broken.unlink()
    assert list((loose.store / "trash").iterdir()) == [before]
    art.tool("keep", loose.hash)
    assert loose.is_there


def test_a_disk_that_is_full_keeps_nothing_in_the_trash(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may go goes though nothing can be noted any more."""
    loose = Loose(art)
    age(loose.store)
    collect(art)
    later(art, 15)
    monkeypatch.setattr(due, "note", _full)
    with pytest.raises(OSError, match="No space"):
        later(art, 17)
    assert trashed(loose.store) == set()


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("is_broken", [False, True])
def test_one_damaged_object_does_not_hinder_the_others(art: GitRepo, tmp_path: Path, is_broken: bool) -> None:
    several = [Loose(art, seed) for seed in (7, 8, 9)]
    store = several[0].store
    age(store)
    running = Stopped(art, tmp_path / "flag", ("roots", "find", 2, "before"))
    rotten = sorted((store / "trash").iterdir())[0]
    rotten.chmod(0o644)
    rotten.write_bytes(b"bad")
    for number, each in enumerate(several):
        art.git("update-ref", f"refs/heads/{number}", each.commit)
    if is_broken:
        (art.path / ".git/refs/heads/broken").write_text("")
    Path(f"{running.flag}.go").touch()
    code, out, err = end(running.process)
    assert {each.hash for each in several if not each.is_there} == {rotten.name[:64]}
    assert rotten.read_bytes() == b"bad"
    if is_broken:
        assert code == 20 and f"damaged, so left in the trash: {rotten.name[:16]}" in err
        assert [each["state"] for each in art.tool("log", "--operations", "--json").json()] == ["begun"]
    else:
        assert code == 0 and rotten.name[:64] in out


def test_pulling_while_it_runs_again_and_again(art: GitRepo, tmp_path: Path) -> None:
    for number in range(30):
        art.write(f"assets/{number}.png", media.png(seed=100 + number))
    art.git("add", "assets")
    art.commit("many")
    (tmp_path / "remote").mkdir()
    art.tool("remote", "add", "disk", str(tmp_path / "remote"))
    art.tool("push")
    run(["git", "clone", "-q", str(art.path), "other"], cwd=tmp_path)
    other = GitRepo(tmp_path / "other")
    other.tool("init")
    other.tool("remote", "add", "disk", str(tmp_path / "remote"))
    other.commit("where bytes are")
    pulling = start(other, "pull")
    rounds = 0
    while pulling.poll() is None or not rounds:
        collect(other)
        rounds += 1
    assert end(pulling)[0] == 0
    collect(other)
    assert trashed(home(other)) == set()
    oracle.check_all(other)
