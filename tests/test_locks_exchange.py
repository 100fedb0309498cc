"""Locks on their way between clones: races, breaks, hosts that refuse, refs that somebody wrote by hand."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from comfyvn_store.errors import Refused, RemoteUnreachable, UsageError
from comfyvn_store.ops import locks as use
from comfyvn_store.vcs import exchange, locks
from comfyvn_store.vcs.repository import open_repository
from comfyvn_store.vcs.shelf import Shelf, may_be_there
from tests.gitrepo import GitRepo
from tests.lockteam import ALICE, CLUB, HERO, NOW, REF, THEIRS, Team, holders, locks_in, make, put, put_locks, rows
from tests.processes import end, start, until


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def mika(team: Team) -> GitRepo:
    return team.clone("mika")


@pytest.fixture
def kim(team: Team) -> GitRepo:
    return team.clone("kim")


# -- two at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paths", [(ALICE, ALICE), (ALICE, "assets/characters")], ids=["one file", "file and folder"])
def test_of_two_who_lock_one_thing_at_once_exactly_one_has_it(
    team: Team, mika: GitRepo, kim: GitRepo, paths: tuple[str, str]
) -> None:
    for _ in range(3):
        before = mika.git("rev-parse", "-q", "--verify", REF, check=False).out
        running = [start(repo, "lock", path) for repo, path in zip((mika, kim), paths, strict=True)]
        ended = [end(each) for each in running]
        assert sorted(code for code, _, _ in ended) == [0, 1], ended
        winner = (mika, kim)[[code for code, _, _ in ended].index(0)]
        loser = kim if winner is mika else mika
        assert list(team.held().values()) == [winner.path.name.capitalize()]
        assert holders(winner) == holders(loser) == team.held()
        said = next(err for code, _, err in ended if code == 1)
        assert f"is locked by {winner.path.name.capitalize()} <" in said or "with all of" in said
        assert rows(loser)[0]["mine"] is False
        winner.tool("unlock", "assets")
        assert team.held() == {} and before != team.hub.git("rev-parse", REF).out


def test_many_who_lock_different_things_at_once_all_have_theirs(team: Team) -> None:
    clones = [team.clone(name) for name in ("mika", "kim", "lee", "noa")]
    running = [start(repo, "lock", f"assets/{repo.path.name}/{n}.png") for repo in clones for n in range(2)]
    ended = [end(each) for each in running]
    assert [code for code, _, _ in ended] == [0] * 8, ended
    if any("not shared yet" in err for _, _, err in ended):  # too slow a machine for so many tries
        for repo in clones:
            repo.tool("locks")
    assert len(team.held()) == 8
    for repo in clones:
        assert len(rows(repo)) == 8


def test_several_commands_in_one_clone_lose_nothing(team: Team, mika: GitRepo) -> None:
    ended = [end(each) for each in [start(mika, "lock", f"assets/x/{n}.png") for n in range(5)]]
    assert [code for code, _, _ in ended] == [0] * 5, ended
    assert len(holders(mika)) == 5
    mika.tool("locks")
    assert len(team.held()) == 5


def test_a_push_never_overwrites_what_this_clone_heard_of_but_did_not_merge(
    team: Team, mika: GitRepo, kim: GitRepo
) -> None:
    """Another process of the clone may fetch between a merge and its push."""
    kim.tool("lock", CLUB)
    repository = open_repository(str(mika.path))
    shelf = locks.open_shelf(repository)
    mine = put_locks(mika, make(ALICE))
    shelf.fetch("origin")
    assert shelf.push("origin", mine, lease="") is False
    assert team.held() == {CLUB: "Kim"}


# -- offline -------------------------------------------------------------------------------------------------------


def test_offline_a_lock_is_recorded_and_shared_at_the_next_contact(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    team.disconnect()
    done = mika.tool("lock", ALICE)
    assert done.code == 0 and done.out.startswith("locked ")
    assert "not shared yet: git remote 'origin'" in done.err
    assert "not shared yet" in mika.tool("locks", "--offline").out and "not shared yet" in mika.tool("locks").out
    assert rows(mika)[0]["shared"] is False
    team.connect()
    assert team.held() == {}
    assert "not shared yet" not in mika.tool("locks").out
    assert team.held() == {ALICE: "Mika"}
    assert kim.tool("lock", ALICE, check=False).code == 1


@pytest.mark.parametrize("words", [["locks"], ["lock", HERO], ["unlock", CLUB]], ids=" ".join)
def test_who_was_offline_and_second_is_told_at_the_next_contact(
    team: Team, mika: GitRepo, kim: GitRepo, words: list[str]
) -> None:
    team.disconnect()
    mika.tool("lock", ALICE, CLUB)
    team.connect()
    kim.tool("lock", "assets/characters/alice.png", "--note", "mine")
    done = mika.tool(*words, check=False)
    assert f"your lock of '{ALICE}' is void: '{ALICE}' is locked by Kim <kim@example.org>" in done.err
    assert f"your lock of '{CLUB}'" not in done.err
    assert done.code == (0 if words == ["locks"] else 1)
    expected = {ALICE: "Kim", CLUB: "Mika"}
    if words[0] == "lock":
        expected |= {HERO: "Mika"}
    if words[0] == "unlock":
        del expected[CLUB]
    assert team.held() == holders(mika) == expected
    assert "void" not in mika.tool("locks").err


def test_contact_by_other_commands_tells_it_too(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    team.disconnect()
    mika.tool("lock", ALICE, CLUB)
    repository = open_repository(str(mika.path))
    assert isinstance(use.contact(repository).problem, RemoteUnreachable)
    team.connect()
    kim.tool("lock", ALICE)
    (lost,) = use.contact(repository).lost
    assert lost.lock.owner.startswith("Mika") and lost.winner.owner.startswith("Kim")
    assert team.held() == {ALICE: "Kim", CLUB: "Mika"}
    assert use.contact(repository) == use.Contact()


def test_offline_is_silent_with_offline_and_says_so_without(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", ALICE)
    team.disconnect()
    assert mika.tool("locks", "--offline").err == ""
    done = mika.tool("locks")
    assert "the list may be old: git remote 'origin'" in done.err and ALICE in done.out
    assert mika.tool("locks", "--json").json()["problem"].startswith("git remote 'origin'")


def test_both_offline_and_unlocked_and_locked_meet_in_the_middle(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE, CLUB)
    kim.tool("locks")
    team.disconnect()
    mika.tool("unlock", ALICE)
    kim.tool("lock", HERO)
    team.connect()
    kim.tool("locks")
    mika.tool("locks")
    assert team.held() == holders(mika) == {CLUB: "Mika", HERO: "Kim"}
    kim.tool("locks")
    tips = {repo.git("rev-parse", REF).out for repo in (mika, kim, team.hub)}
    assert len(tips) == 1


def test_looking_twice_changes_nothing(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE)
    for repo in (kim, mika, kim, mika):
        repo.tool("locks")
    assert mika.git("rev-list", "--count", REF).out == "1"


def test_a_lock_that_was_cut_short_before_it_was_sent_is_sent_later(team: Team, mika: GitRepo) -> None:
    slow = team.folder / "slow"
    slow.write_text('#!/bin/sh\ntouch "$0.began"\nwhile test -e "$0"; do sleep 0.1; done\nexit 1\n')
    slow.chmod(0o755)
    mika.git("config", "remote.origin.receivepack", str(slow))
    process = start(mika, "lock", ALICE)
    until(lambda: Path(f"{slow}.began").exists())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    slow.unlink()
    time.sleep(0.3)  # what the killed one had started ends without it
    assert (holders(mika), team.held()) == ({ALICE: "Mika"}, {})
    mika.git("config", "--unset", "remote.origin.receivepack")
    mika.tool("locks")
    assert team.held() == {ALICE: "Mika"}
    assert mika.tool("lock", ALICE).out.startswith("kept ")


def test_what_was_fetched_but_not_merged_is_known_all_the_same(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    kim.tool("lock", ALICE)
    mika.tool("lock", CLUB)
    kim.tool("unlock", ALICE)
    kim.tool("lock", HERO)
    mika.git("fetch", "-q", "origin", f"+{REF}:{THEIRS}")
    put_locks(mika, *locks_in(mika), make("assets/own.png"))  # a history that shares nothing with theirs
    assert "is locked by Kim" in mika.tool("edit", HERO).err
    mika.git("update-ref", "-d", REF)
    assert "is locked by Kim" in mika.tool("edit", HERO).err
    assert mika.tool("edit", ALICE).err == ""


# -- remotes -------------------------------------------------------------------------------------------------------


def test_which_remote(team: Team, mika: GitRepo) -> None:
    def remote(named: str | None = None) -> str | None:
        return exchange.remote_of(open_repository(str(mika.path)), named)

    assert remote() == "origin"
    mika.git("remote", "add", "studio", str(team.hub.path))
    assert remote() == "origin" and remote("studio") == "studio"
    mika.git("config", "branch.main.remote", "studio")
    assert remote() == "studio"
    mika.git("config", "branch.main.remote", ".")
    assert remote() == "origin"
    mika.git("remote", "rename", "origin", "home")
    assert remote() is None
    mika.git("switch", "-q", "--detach")
    assert remote() is None
    mika.git("remote", "remove", "studio")
    assert remote() == "home"
    with pytest.raises(UsageError):
        remote("nowhere")
    assert mika.tool("locks", "--remote", "nowhere", check=False).code == 2


def test_another_remote_can_be_named(team: Team, mika: GitRepo) -> None:
    other = GitRepo.create(team.folder / "other.git", "--bare")
    mika.git("remote", "add", "team/studio", str(other.path))
    mika.tool("lock", ALICE, "--remote", "team/studio")
    assert holders(other) == {ALICE: "Mika"} and team.held() == {}
    assert rows(mika, "--remote", "team/studio")[0]["shared"]
    mika.tool("locks")
    assert team.held() == {ALICE: "Mika"}


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_host_that_refuses_the_ref_is_no_race(team: Team, mika: GitRepo, hook: str) -> None:
    place = team.hub.path / "hooks" / hook
    place.parent.mkdir(exist_ok=True)
    place.write_text("#!/bin/sh\nexit 1\n")
    place.chmod(0o755)
    done = mika.tool("lock", ALICE)
    assert "not shared yet" in done.err and "hook declined" in done.err
    assert holders(mika) == {ALICE: "Mika"} and team.held() == {}
    place.unlink()
    mika.tool("locks")
    assert team.held() == {ALICE: "Mika"}


def test_a_host_that_cannot_store_the_ref_is_not_asked_for_ever(team: Team, mika: GitRepo) -> None:
    left = team.hub.path / "refs/comfyvn/locks.lock"  # by a process that died there
    left.parent.mkdir()
    left.touch()
    done = mika.tool("lock", ALICE)
    assert "not shared yet" in done.err and "does not take 'refs/comfyvn/locks'" in done.err
    assert holders(mika) == {ALICE: "Mika"}
    left.unlink()
    assert mika.tool("lock", ALICE).err == "" and team.held() == {ALICE: "Mika"}


def test_no_hook_of_the_clone_runs_and_a_mirror_remote_takes_a_ref(team: Team, mika: GitRepo) -> None:
    hook = mika.path / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    mika.git("config", "remote.origin.mirror", "true")
    done = mika.tool("lock", ALICE)
    assert done.err == "" and team.held() == {ALICE: "Mika"}


def test_no_password_is_asked_for(team: Team, mika: GitRepo) -> None:
    mika.git("remote", "set-url", "origin", "http://127.0.0.1:9/x.git")
    done = mika.tool("lock", ALICE)
    assert "not shared yet: git remote 'origin'" in done.err and done.code == 0


def test_a_host_that_says_nothing_holds_nobody_up_for_long(mika: GitRepo) -> None:
    """It takes the connection, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mika.git("remote", "set-url", "origin", f"http://127.0.0.1:{silent.getsockname()[1]}/x.git")
        mika.git("config", "http.lowSpeedLimit", "1")
        mika.git("config", "http.lowSpeedTime", "2")
        began = time.monotonic()
        assert "the list may be old" in mika.tool("locks").err
        took = time.monotonic() - began
        assert took < 15, "what is configured holds"
        mika.git("config", "--unset", "http.lowSpeedTime")
        began = time.monotonic()
        assert "not shared yet" in mika.tool("lock", ALICE).err
        assert took < time.monotonic() - began < 90


# -- what git does -------------------------------------------------------------------------------------------------


def test_collection_and_packed_refs_lose_nothing(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE)
    for repo in (mika, team.hub):
        repo.git("reflog", "expire", "--all", "--expire=now")
        repo.git("gc", "-q", "--prune=now")
        repo.git("pack-refs", "--all", "--prune")
    assert not (mika.path / ".git/refs/comfyvn/locks").exists()
    assert team.held() == holders(mika) == {ALICE: "Mika"}
    assert "is locked by Mika" in kim.tool("lock", ALICE, check=False).err
    kim.git("pack-refs", "--all", "--prune")
    assert "is locked by Mika" in kim.tool("edit", ALICE).err


def test_a_mirror_push_from_a_clone_that_knows_nothing_loses_nothing(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE)
    kim.tool("locks")
    mika.tool("lock", CLUB)
    kim.git("push", "-q", "--mirror", "origin")
    assert team.held() == {ALICE: "Mika"}, "rolled back, as a branch would be"
    mika.tool("locks")
    assert team.held() == {ALICE: "Mika", CLUB: "Mika"}
    lee = team.clone("lee")
    lee.git("push", "-q", "--mirror", "origin")
    assert team.held() == {}
    kim.tool("lock", HERO)
    mika.tool("locks")
    assert team.held() == holders(mika) == {ALICE: "Mika", CLUB: "Mika", HERO: "Kim"}


def test_clones_and_fetches_are_not_burdened(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", ALICE)
    lee = team.clone("lee", "--no-local")
    lee.git("fetch", "-q", "--all", "--prune")
    assert lee.git("for-each-ref", "refs/comfyvn").out == ""
    assert "refs/comfyvn" not in mika.git("log", "--all", "--format=%D", "--exclude=refs/comfyvn/*", "-1").out
    assert lee.tool("locks").out.startswith(ALICE)
    lee.git("remote", "prune", "origin")
    assert holders(lee) == {ALICE: "Mika"}


@pytest.mark.parametrize("options", [["--depth=1"], ["--filter=blob:none"]], ids=" ".join)
def test_shallow_and_partial_clones(team: Team, mika: GitRepo, options: list[str]) -> None:
    team.hub.git("config", "uploadpack.allowFilter", "true")
    for seconds in ("1d", "2d", "3d"):
        mika.tool("lock", ALICE, "--for", seconds)
    lee = team.clone("lee", *options)
    assert lee.tool("lock", ALICE, check=False).code == 1
    lee.tool("lock", CLUB)
    mika.tool("locks")
    assert team.held() == holders(mika) == {ALICE: "Mika", CLUB: "Lee"}
    team.disconnect()
    assert "is locked by Mika" in lee.tool("edit", ALICE).err


def test_a_sha256_repository(tmp_path: Path) -> None:
    team = Team(tmp_path, "--object-format=sha256")
    mika, kim = team.clone("mika"), team.clone("kim")
    mika.tool("lock", ALICE)
    assert kim.tool("lock", ALICE, CLUB, check=False).code == 1
    mika.tool("unlock", ALICE)
    assert team.held() == {CLUB: "Kim"}
    assert len(team.hub.git("rev-parse", REF).out) == 64


def test_a_linked_work_tree_shares_the_locks_and_has_its_own_branch(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    kim.tool("lock", ALICE)
    mika.tool("locks")
    mika.git("worktree", "add", "-q", "-b", "side", "../linked")
    linked = GitRepo(team.folder / "linked")
    assert "will meet theirs in a merge" in linked.tool("edit", ALICE).err
    linked.tool("lock", CLUB)
    assert {(lock.path, lock.branch) for lock in locks_in(team.hub)} == {(ALICE, "main"), (CLUB, "side")}


# -- what others write ---------------------------------------------------------------------------------------------


def test_what_is_no_lock_is_ignored_counted_and_kept_if_it_may_be_a_later_versions(
    team: Team, mika: GitRepo, kim: GitRepo
) -> None:
    good = make(CLUB, "Kim <kim@example.org>", expires_at=None)
    later, huge, linked = "a" * 64 + ".json", "b" * 64 + ".json", "c" * 64 + ".json"
    evil = make("../../etc/passwd", "Eve <eve@example.org>", expires_at=None)
    files: dict[str, bytes | str] = {
        good.name: json.dumps({"schema": 1, **good._asdict()}),
        evil.name: json.dumps({"schema": 1, **evil._asdict()}),
        later: '{"schema": 2, "who": "knows"}',
        huge: b"[" * 100_000_000,
        linked: "/etc/passwd",
        "README": "hello",
        make(HERO).name: b"\0\xff",
    }
    put(team.hub, files, modes=[(linked, "120000")])
    done = mika.tool("locks")
    assert done.out.startswith(CLUB) and len(done.out.splitlines()) == 1
    assert "5 files in refs/comfyvn/locks cannot be read as locks" in done.err
    mika.tool("lock", HERO)
    names = set(mika.git("ls-tree", "--name-only", REF).out.split())
    assert names == {good.name, evil.name, later, huge, make(HERO).name}
    assert kim.tool("unlock", CLUB).out.startswith("unlocked ")
    assert [row["path"] for row in rows(mika)] == [HERO]


def test_folders_and_submodules_in_the_tree_are_no_locks(team: Team, mika: GitRepo) -> None:
    lock = make(expires_at=None, owner="Kim <kim@example.org>")
    put_locks(team.hub, lock)
    head = team.hub.git("rev-parse", "main").out
    entry = team.hub.git("ls-tree", REF).out
    tree = team.hub.git(
        "mktree", "--missing", input=f"{entry}\n160000 commit {head}\tsub\n040000 tree {head_tree(team.hub)}\tdeep\n"
    ).out
    commit = team.hub.git("commit-tree", tree, "-m", "x", env={"GIT_COMMITTER_NAME": "x", "GIT_AUTHOR_NAME": "x"}).out
    team.hub.git("update-ref", REF, commit)
    assert mika.tool("locks").out.startswith(ALICE)
    mika.tool("lock", CLUB)
    assert team.held() == {ALICE: "Kim", CLUB: "Mika"}


def head_tree(repo: GitRepo) -> str:
    return repo.git("rev-parse", "main^{tree}").out


def test_a_ref_that_holds_too_much_is_refused_in_bounded_time(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    oid = team.hub.git("hash-object", "-w", "--stdin", input="{}").out
    lines = "".join(f"100644 blob {oid}\t{number:064x}.json\n" for number in range(200_000))
    tree = team.hub.git("mktree", input=lines).out
    commit = team.hub.git("-c", "user.name=x", "-c", "user.email=x@y", "commit-tree", tree, "-m", "x").out
    team.hub.git("update-ref", REF, commit)
    done = mika.tool("lock", ALICE)
    assert "not shared yet" in done.err and "more than 5000 files" in done.err
    assert holders(mika) == {ALICE: "Mika"}, "what is here stays usable"
    # Somebody who fetches all refs has it for their own.
    mika.git("update-ref", REF, commit)
    began = time.monotonic()
    done = mika.tool("lock", ALICE, check=False)
    assert done.code == 20 and "git update-ref -d refs/comfyvn/locks" in done.err
    assert "the locks cannot be read" in mika.tool("edit", ALICE).err
    mika.write(ALICE, b"RIFF\0\0\0\0WAVE")
    mika.git("add", ALICE)
    assert "warning: the locks cannot be read" in mika.git("commit", "-qm", "art").err
    assert time.monotonic() - began < 120


def test_a_ref_that_names_no_commit_is_no_shelf(team: Team, mika: GitRepo) -> None:
    team.hub.git("update-ref", REF, team.hub.git("hash-object", "-w", "--stdin", input="x").out)
    done = mika.tool("lock", ALICE)
    assert done.code == 0 and "not shared yet" in done.err
    assert mika.tool("edit", ALICE).err == ""


# -- the shelf -----------------------------------------------------------------------------------------------------


def test_whether_there_may_be_a_shelf_is_told_without_git(mika: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    common = mika.path / ".git"

    def is_there() -> bool:
        return may_be_there(str(common), "locks")

    assert not is_there()
    for ref in (REF, THEIRS, "refs/comfyvn/remotes/a/b/locks"):
        place = common / ref
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("0" * 40)
        assert is_there(), ref
        place.unlink()
        assert not is_there()
        packed = common / "packed-refs"
        text = packed.read_text() if packed.exists() else ""
        packed.write_text(f"{text}{'1' * 40} {ref}\n")
        assert is_there(), ref
        packed.write_text(text)
        assert not is_there()
    for ref in ("refs/comfyvn/lfs", "refs/comfyvn/locks.lock", "refs/heads/comfyvn/locks", "refs/comfyvn/x/locks"):
        (common / ref).parent.mkdir(parents=True, exist_ok=True)
        (common / ref).write_text("0" * 40)
        assert not is_there(), ref
    (common / "reftable").mkdir()
    assert is_there()


def test_a_shelf_reads_its_files_and_no_more_than_asked(mika: GitRepo) -> None:
    repository = open_repository(str(mika.path))
    shelf = Shelf(repository.git, repository.object_format, "test")
    first = shelf.record(None, {"a": b"1", "b/c": b"2"}, "x")
    assert list(shelf.files(first, 2)) == ["a"] and shelf.files(None, 0) == {}
    assert sorted(shelf.read(first)) == ["a", "b/c"]
    with pytest.raises(Refused):
        shelf.files(first, 1)
    second = shelf.record(first, {"d": b"3", "a": None}, "y", kept=shelf.files(first, 9))
    assert shelf.read(second) == {"d": b"3"}


def test_time_and_people_of_an_exchange_are_parameters(mika: GitRepo) -> None:
    repository = open_repository(str(mika.path))
    put_locks(mika, make(ALICE, "Kim <kim@example.org>"))
    assert (
        locks.foreign(repository, [ALICE], now=NOW) != [] and locks.foreign(repository, [ALICE], now=NOW + 4000) == []
    )
