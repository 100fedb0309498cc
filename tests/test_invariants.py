"""The promises of docs/architecture.md that no single command makes: what is derived may go, reading changes nothing,
and any history of git commands ends in a repository that is whole."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import media, oracle
from tests.gitrepo import GitRepo

HERO = "assets/characters/hero.png"
DOOR = "assets/sfx/door.wav"


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write(DOOR, media.wav(frequency=200))
    store_repo.git("add", ".")
    store_repo.commit("first art")
    store_repo.write(HERO, media.comfy_png(2))
    store_repo.commit("repainted", "-a")
    store_repo.tool("rebuild")  # waits for the previews
    return store_repo


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """Time and bytes (or link text) of every file below a folder, the index's own files apart."""
    found = {}
    for folder, _, files in os.walk(top):
        for name in files:
            place = os.path.join(folder, name)
            if name.startswith("index.db"):
                continue
            data = os.fsencode(os.readlink(place)) if os.path.islink(place) else Path(place).read_bytes()
            found[os.path.relpath(place, top)] = (os.lstat(place).st_mtime_ns, data)
    return found


def differences(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> list[str]:
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


# -- I1: what is derived may go ------------------------------------------------------------------------------------


def test_index_previews_and_mirror_come_back_as_they_were(art: GitRepo) -> None:
    shutil.rmtree(art.path / "cache")  # previews of older versions come back with those versions
    art.tool("rebuild")
    before = {path: data for path, (_, data) in contents(art.path).items() if not path.startswith(".git/")}
    rows = oracle.index_content(oracle.index_path(art))
    for each in oracle.index_path(art).parent.glob("index.db*"):
        each.unlink()
    shutil.rmtree(art.path / "cache")
    shutil.rmtree(art.path / "assets/_meta")
    (art.path / ".comfyvn").unlink()
    assert art.tool("rebuild").code == 0
    after = {path: data for path, (_, data) in contents(art.path).items() if not path.startswith(".git/")}
    assert sorted(after) == sorted(before)
    assert [path for path in before if after[path] != before[path]] == []
    assert oracle.index_content(oracle.index_path(art)) == rows
    oracle.check_all(art)


def test_a_read_brings_a_deleted_index_and_mirror_back(art: GitRepo) -> None:
    listed = art.tool("list", "--json").json()
    for each in oracle.index_path(art).parent.glob("index.db*"):
        each.unlink()
    shutil.rmtree(art.path / "assets/_meta")
    assert art.tool("list", "--json").json() == listed
    assert (art.path / "assets/_meta/characters/hero.json").read_bytes() == art.read(f"{HERO}.asset.json")
    oracle.check_all(art)


def test_the_mirror_of_an_asset_that_went_while_there_was_no_index_goes_too(art: GitRepo) -> None:
    for each in oracle.index_path(art).parent.glob("index.db*"):
        each.unlink()
    own = art.write("assets/_meta/sfx/notes.json", "{}")
    art.git("-c", "core.hooksPath=/dev/null", "rm", "-q", DOOR, f"{DOOR}.asset.json")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "no door")
    art.tool("list")
    assert not (art.path / "assets/_meta/sfx/door.json").exists()
    assert (art.path / "assets/_meta/characters/hero.json").exists()
    assert own.read_text() == "{}"


def test_previews_that_were_deleted_are_not_said_to_be_there(art: GitRepo) -> None:
    assert art.tool("show", HERO, "--json").json()["thumb"] is not None
    shutil.rmtree(art.path / "cache")
    assert art.tool("show", HERO, "--json", env={"COMFYVN_PREVIEWS": "off"}).json()["thumb"] is None
    art.tool("rebuild")
    assert art.tool("show", HERO, "--json").json()["thumb"] is not None


# -- I2: objects never change --------------------------------------------------------------------------------------


def test_objects_are_whole_and_never_change(art: GitRepo) -> None:
    folder = art.object_path("0" * 64).parent.parent
    before = {each: each.read_bytes() for each in folder.glob("*/*")}
    assert len(before) == 3
    art.write(HERO, media.comfy_png(3))
    art.commit("repainted", "-a")
    art.git("checkout", "-q", "HEAD~2")
    art.tool("rebuild", "--verify")
    for place, data in before.items():
        assert place.read_bytes() == data
        assert oracle.digest(data) == place.parent.name + place.name


# -- I7: a second time changes nothing -----------------------------------------------------------------------------

READS = (
    ["list"],
    ["list", "--json", "--text", "heroine"],
    ["show", HERO],
    ["show", "HEAD^:" + HERO],
    ["status"],
    ["provenance"],
    ["provenance", HERO],
    ["provenance", "--commit", "HEAD"],
    ["workflow", HERO],
    ["db"],
)


@pytest.mark.parametrize("command", [*READS, ["init"], ["rebuild"], ["rebuild", "--verify"]], ids=" ".join)
def test_a_second_run_changes_no_file(art: GitRepo, command: list[str]) -> None:
    art.git("status")
    art.tool(*command)
    before = contents(art.path)
    first = art.tool(*command)
    assert differences(before, contents(art.path)) == []
    assert art.tool(*command).out == first.out
    assert art.status() == []


def test_adding_again_changes_only_the_times_of_objects(art: GitRepo) -> None:
    # git itself hashes a file as young as its index again, and dates its own objects when it does.
    def bytes_of(found: dict[str, tuple[int, bytes]]) -> dict[str, bytes]:
        return {path: data for path, (_, data) in found.items() if path != ".git/index"}

    art.write(DOOR, media.wav(frequency=300))
    art.git("add", ".")
    before = contents(art.path)
    art.git("add", ".")
    after = contents(art.path)
    assert bytes_of(after) == bytes_of(before)
    changed = [path for path in differences(before, after) if path != ".git/index"]
    assert [path for path in changed if not path.startswith((".git/objects/", ".git/comfyvn/objects/"))] == []
    assert art.status() == [f"T  {DOOR}"] or art.status() == [f"M  {DOOR}"]


def test_reading_after_git_alone_writes_nothing_that_git_sees(art: GitRepo) -> None:
    art.git("-c", "core.hooksPath=/dev/null", "checkout", "-q", "HEAD^")
    art.tool("list")
    assert art.status() == []
    before = contents(art.path)
    art.tool("list")
    assert differences(before, contents(art.path)) == []


# -- any history ---------------------------------------------------------------------------------------------------

_PATHS = ("assets/a/one.png", "assets/a/two.wav", "assets/b/deep/three.wav", "assets/four.png")
_BRANCHES = ("main", "left", "right")


class Histories(RuleBasedStateMachine):
    """git commands in any order. After each of them what git has is readable; at the end, index and oracle agree."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.repo = GitRepo.create(self.folder / "repo")
        self.repo.tool("init")
        self.repo.git("add", ".")
        self.repo.commit("attributes")
        self.dirty = False  # whether something uncommitted is about
        self.unflipped = False  # whether a commit without hooks left files in place of links
        self.number = 0

    def files(self) -> list[str]:
        return sorted(oracle.assets(self.repo))

    def settle(self) -> None:
        """What a rebase or merge that stopped is brought to: as if it had not begun."""
        for verb in ("merge", "rebase", "cherry-pick"):
            self.repo.git(verb, "--abort", check=False)

    @rule(path=st.sampled_from(_PATHS), seed=st.integers(0, 3), staged=st.booleans())
    def save(self, path: str, seed: int, staged: bool) -> None:
        data = media.comfy_png(seed) if path.endswith(".png") else media.wav(0.02, frequency=100.0 + seed)
        self.repo.write(path, data)
        if staged:
            self.repo.git("add", "-A")
        self.dirty = True

    @precondition(lambda self: self.files())
    @rule(data=st.data(), tag=st.sampled_from(["red", "blue"]))
    def annotate(self, data: st.DataObject, tag: str) -> None:
        path = data.draw(st.sampled_from(self.files()))
        self.dirty = self.repo.tool("annotate", path, "--tag", tag, check=False).code == 0 or self.dirty

    @rule(how=st.sampled_from([[], ["-n"], ["--amend"], ["-a"]]))
    def commit(self, how: list[str]) -> None:
        self.number += 1
        if "-a" not in how:
            self.repo.git("add", "-A")
        self.repo.git("commit", "-q", "-m", f"commit {self.number}", "--allow-empty", *how)
        self.dirty = "-a" in how
        self.unflipped = self.unflipped or "-n" in how

    @precondition(lambda self: self.files())
    @rule(data=st.data())
    def commit_path(self, data: st.DataObject) -> None:
        self.number += 1
        path = data.draw(st.sampled_from(self.files()))
        self.repo.git("commit", "-q", "-m", f"commit {self.number}", "--allow-empty", "--", path)

    @precondition(lambda self: not self.dirty)
    @rule(name=st.sampled_from(_BRANCHES))
    def switch(self, name: str) -> None:
        if self.repo.git("switch", "-q", name, check=False).code:
            self.repo.git("switch", "-q", "-c", name)

    @precondition(lambda self: not self.dirty)
    @rule(name=st.sampled_from(_BRANCHES), verb=st.sampled_from(["merge", "rebase", "cherry-pick"]))
    def bring(self, name: str, verb: str) -> None:
        known = self.repo.git("rev-parse", "-q", "--verify", f"refs/heads/{name}", check=False).code == 0
        if known and self.repo.git(verb, name, check=False).code:
            self.settle()

    @precondition(lambda self: not self.dirty and self.files())
    @rule(data=st.data(), to=st.sampled_from(["assets/a/moved.png", "assets/c/x/y/moved.png", "assets/moved.png"]))
    def move(self, data: st.DataObject, to: str) -> None:
        path = data.draw(st.sampled_from(self.files()))
        (self.repo.path / to).parent.mkdir(parents=True, exist_ok=True)
        self.repo.git("mv", path, to, check=False)
        self.commit([])

    @precondition(lambda self: not self.dirty and self.files())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.repo.git("rm", "-q", data.draw(st.sampled_from(self.files())))
        self.commit([])

    @rule()
    def stash(self) -> None:
        self.repo.git("stash", "-u", check=False)
        self.check_whole()
        self.repo.git("stash", "pop", check=False)

    @precondition(lambda self: self.repo.git("rev-list", "--count", "HEAD").out != "1")
    @rule(how=st.sampled_from(["--hard", "--mixed", "--soft"]))
    def reset(self, how: str) -> None:
        self.repo.git("reset", "-q", how, "HEAD^")
        self.dirty = self.dirty or how != "--hard"
        if how == "--hard":
            self.repo.git("clean", "-fdq")
            self.dirty = False

    @rule()
    def look(self) -> None:
        self.repo.tool("list")

    def check_whole(self) -> None:
        """What holds at any moment: git's links have their bytes, and nothing raw is in history."""
        for path, (_, text, _) in oracle.assets(self.repo).items():
            hash_ = oracle.linked_hash(text) or ""
            assert oracle.digest(self.repo.object_path(hash_).read_bytes()) == hash_, path
        assert oracle.raw_blobs(self.repo) == []

    @invariant()
    def check_state(self) -> None:
        self.check_whole()
        if not self.dirty:
            assert self.repo.status() == []

    def teardown(self) -> None:
        if not hasattr(self, "repo"):
            return
        repo = self.repo
        self.check_state()
        # Another commit of art puts right what those without hooks left.
        repo.git("add", "-A")
        repo.write("assets/last.wav", media.wav(0.02, frequency=50))
        repo.git("add", "-A")
        repo.commit("the last")
        oracle.check_all(repo)
        oracle.check_index(repo, self.folder)
        shutil.rmtree(self.folder)


def test_any_history_ends_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=int(os.environ.get("TEST_HISTORIES", "20")),
            stateful_step_count=12,
            deadline=None,
            derandomize=bool(os.environ.get("CI")),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
