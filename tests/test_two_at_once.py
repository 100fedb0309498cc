"""Two at once: what several processes do to one repository at the same time is all there afterwards, and whole.

Overlap is not left to luck: a lock that the test holds lets the processes start and then go together, or loops of both run
until the one that counts has done its work.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comfyvn_store.errors import LockTimeout
from comfyvn_store.ops import annotate
from comfyvn_store.ops.session import open_session
from comfyvn_store.vcs import staging
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle, templates
from tests.gitrepo import GitRepo
from tests.histories.disk import contents, differences
from tests.processes import end, held, insistently, start, together, until

HERO = "assets/characters/hero.png"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def with_art(repo: GitRepo) -> None:
    repo.write(HERO, media.comfy_png(1))
    for number in range(12):
        repo.write(f"assets/sfx/{number}.wav", media.wav(0.02, frequency=500.0 + number))
    repo.git("add", ".")
    repo.commit("art")


@pytest.fixture
def art(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return templates.copied(tmp_path_factory, with_art, tmp_path / "repo")


def in_order(repo: GitRepo, scratch: Path, status: list[str] | None = None) -> None:
    oracle.check_all(repo, status)
    assert oracle.raw_blobs(repo) == []
    oracle.check_index(repo, scratch)


# -- register and annotate -------------------------------------------------------------------------------------------


def test_eight_that_register_the_same_bytes_at_one_place_agree(art: GitRepo, tmp_path: Path) -> None:
    source = tmp_path / "new.png"
    source.write_bytes(media.comfy_png(7))
    found = together(art, [["register", str(source), "--type", "props", "--json"]] * 8)
    assert [code for code, _, _ in found] == [0] * 8, found
    records = [json.loads(out) for _, out, _ in found]
    ids = {(each[0] if isinstance(each, list) else each)["provenance"]["id"] for each in records}
    assert len(ids) == 1
    assert {line[:2] for line in art.status()} == {"A "}
    art.commit("registered")
    in_order(art, tmp_path)


def test_eight_that_register_other_files_lose_none(art: GitRepo, tmp_path: Path) -> None:
    commands = []
    for number in range(8):
        source = tmp_path / f"{number}.png"
        source.write_bytes(media.comfy_png(20 + number // 2))  # two each have the same bytes
        commands.append(["register", str(source), "--type", "props"])
    assert [code for code, _, _ in together(art, commands)] == [0] * 8
    assert len(art.git("ls-files", "assets/props").out.splitlines()) == 16
    art.commit("registered")
    assert {art.read(f"assets/props/{number}.png") for number in range(8)} == {
        art.object_path(oracle.linked_hash(art.link(f"assets/props/{number}.png")) or "").read_bytes()
        for number in range(0, 8, 2)
    }
    in_order(art, tmp_path)


def test_tags_that_are_given_at_once_are_all_there(art: GitRepo, tmp_path: Path) -> None:
    tags = [f"tag{number}" for number in range(6)]
    found = together(art, [["annotate", HERO, "--tag", tag] for tag in tags])
    assert [code for code, _, _ in found] == [0] * 6
    assert sorted(art.sidecar(HERO)["tags"]) == tags
    assert art.status() == [f"M  {HERO}.asset.json"]
    art.commit("tags")
    in_order(art, tmp_path)


# -- git and the tool ------------------------------------------------------------------------------------------------


def test_commits_while_others_register_rebuild_read_and_collect(art: GitRepo, tmp_path: Path) -> None:
    rounds = 5
    is_over = False
    wanted: dict[str, bytes] = {}

    def commits() -> None:
        for number in range(rounds):
            path = f"assets/c/{number}.png"
            wanted[path] = media.comfy_png(100 + number)
            art.write(path, wanted[path])
            insistently(art, "add", path)
            how = [["-a"], [], ["--", path]][number % 3]
            insistently(art, "commit", "-q", "--allow-empty", "-m", f"commit {number}", *how)

    def registers() -> None:
        for number in range(rounds):
            source = tmp_path / f"r{number}.wav"
            source.write_bytes(media.wav(0.02, frequency=900.0 + number))
            wanted[f"assets/r/r{number}.wav"] = media.marked(source.read_bytes())
            art.tool("register", str(source), "--type", "r")

    def others(*commands: list[str]) -> None:
        while not is_over:
            for words in commands:
                if words[0] == "git":
                    art.git(*words[1:], check=False)
                else:
                    done = art.tool(*words, check=False)
                    assert done.code in (0, 1) and "Traceback" not in done.err, done.err

    with ThreadPoolExecutor(5) as pool:
        background = [
            pool.submit(others, ["rebuild", "--no-previews"]),
            pool.submit(others, ["list"], ["show", HERO], ["git", "gc", "-q"], ["git", "worktree", "prune"]),
        ]
        try:
            for each in [pool.submit(commits), pool.submit(registers)]:
                each.result()
        finally:
            is_over = True
        for each in background:
            each.result()
    art.git("add", "-A")
    art.commit("the rest", "--allow-empty")
    for path, data in wanted.items():
        hash_ = oracle.linked_hash(art.blob(f"HEAD:{path}").decode()) or ""
        assert data[:500] == art.object_path(hash_).read_bytes()[:500]
    in_order(art, tmp_path)


def test_two_work_trees_commit_together(art: GitRepo, tmp_path: Path) -> None:
    art.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    trees = [art, GitRepo(tmp_path / "other")]

    def work(place: int) -> None:
        for number in range(4):
            trees[place].write(
                f"assets/own/{place}-{number}.wav", media.wav(0.02, frequency=700.0 + 10 * place + number)
            )
            trees[place].write(f"assets/same/{number}.png", media.comfy_png(50 + number))
            trees[place].git("add", "-A")
            trees[place].commit(f"{place} {number}")

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(work, 0), pool.submit(work, 1)]:
            each.result()
    for place, tree in enumerate(trees):
        assert tree.git("log", "--format=%s", "-n", "4").out.splitlines() == [
            f"{place} {number}" for number in (3, 2, 1, 0)
        ]
        scratch = tmp_path / f"scratch{place}"
        scratch.mkdir()
        in_order(tree, scratch)


# -- git's index is held ---------------------------------------------------------------------------------------------


def test_reads_answer_and_write_nothing_while_the_index_is_held(art: GitRepo) -> None:
    hash_ = art.sidecar(HERO)["hash"]
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-m", "another name")
    (art.path / ".git/index.lock").touch()
    before = contents(art.path)
    assert len(art.tool("list", "--json").json()) == 13
    assert art.tool("show", HERO, "--json").json()["commit"] == art.head()
    assert art.tool("show", hash_[:10], "--json").json()["view"] == HERO
    head = art.head()
    hook = str(art.path / ".git/hooks/post-checkout")
    assert subprocess.run([hook, "0" * 40, head, "1"], cwd=art.path, capture_output=True, check=True).returncode == 0
    assert differences(before, contents(art.path)) == []
    (art.path / ".git/index.lock").unlink()
    art.tool("list")
    assert art.sidecar(HERO)["provenance"]["commit"] == head
    oracle.check_all(art)


def test_writers_wait_a_bounded_time_and_say_what_is_in_the_way(
    art: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "new.png"
    source.write_bytes(media.comfy_png(8))
    lock = art.path / ".git/index.lock"
    lock.touch()
    code, out, err = end(start(art, "register", str(source), "--type", "props", "--json"))
    assert (code, json.loads(out)["error"]) == (16, "lock-timeout"), err
    assert "index.lock" in err and f"remove '{lock}'" in err
    monkeypatch.setattr(staging, "PATIENCE", 0.1)
    with open_session(str(art.path)) as session, pytest.raises(LockTimeout, match=r"not staged: .*index\.lock"):
        annotate.annotate(session, [HERO], tags=["late"])
    lock.unlink()
    assert art.tool("register", str(source), "--type", "props").code == 0
    assert art.tool("annotate", HERO, "--tag", "late").code == 0
    assert {line[:2] for line in art.status()} == {"A ", "M "}
    art.commit("both")
    oracle.check_all(art)


def test_the_git_that_holds_the_index_is_named(art: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    art.write(HERO, media.comfy_png(3))
    editor = (
        f"sh -c 'touch {tmp_path}/editing; while ! test -e {tmp_path}/done; do sleep 0.05; done; echo ok >\"$1\"' -"
    )
    monkeypatch.setenv("GIT_EDITOR", editor)
    commit = start(art, "commit", "-q", "-a", program=["git"])
    until((tmp_path / "editing").exists)
    repository = open_repository(str(art.path))
    entry = staging.entries(repository.git, ["assets/sfx/1.wav"])[0]
    with pytest.raises(LockTimeout, match=rf"'git commit -q -a' \(process {commit.pid}\)"):
        staging.write_entries(repository.git, [entry], patience=0.1)
    (tmp_path / "done").touch()
    assert end(commit)[0] == 0
    oracle.check_all(art)


# -- the index of ours -----------------------------------------------------------------------------------------------


def test_a_reader_sees_the_old_rows_until_a_rebuild_is_done(art: GitRepo) -> None:
    listed = art.tool("list", "--json").json()
    with sqlite3.connect(oracle.index_path(art), isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM assets_registry")
        assert art.tool("list", "--json").json() == listed
        db.execute("ROLLBACK")
    db.close()
    rebuild = [start(art, "rebuild", "--no-previews") for _ in range(3)]
    reads = 0
    while reads < 3 or any(each.poll() is None for each in rebuild):
        assert art.tool("list", "--json").json() == listed
        reads += 1
    assert [end(each)[0] for each in rebuild] == [0, 0, 0]


# -- one of the two dies ---------------------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_taken_up_by_the_next(art: GitRepo, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"k{number}.wav").write_bytes(media.wav(0.02, frequency=1000.0 + number))
    sources = [str(tmp_path / f"k{number}.wav") for number in range(6)]
    # killed with its views in place and nothing staged
    (art.path / ".git/index.lock").touch()
    register = start(art, "register", *sources, "--type", "killed")
    until(lambda: len(list((art.path / "assets").glob("killed/*.wav.asset.json"))) == 6)
    register.send_signal(signal.SIGKILL)
    end(register)
    (art.path / ".git/index.lock").unlink()
    art.tool("list")
    assert {line[:2] for line in art.status()} == {"??"}
    assert art.tool("register", *sources, "--type", "killed").code == 0
    # a git that is killed while it commits leaves a note of itself
    art.write(HERO, media.comfy_png(4))
    art.git("add", "-A")
    note = art.path / ".git/comfyvn/commit.pid"
    with held(art):
        commit = start(art, "commit", "-qm", "killed", program=["git"])
        until(note.exists)
        hooks = [
            Path("/proc", name) for name in Path(f"/proc/{commit.pid}/task/{commit.pid}/children").read_text().split()
        ]
        commit.send_signal(signal.SIGKILL)
        assert end(commit)[0] == -signal.SIGKILL
    until(lambda: not any(each.exists() for each in hooks))
    art.tool("list")
    art.commit("once more")
    assert not note.exists()
    in_order(art, tmp_path)


def test_the_id_of_a_killed_git_may_become_another_programs(art: GitRepo) -> None:
    """Else nothing would be mended here until that program ends."""
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-m", "another name")
    (art.path / ".git/comfyvn/commit.pid").write_text(f"{os.getpid()}\n1\n")
    art.tool("list")
    oracle.check_all(art)


def test_a_killed_git_that_nobody_waited_for_is_at_work_no_more(art: GitRepo) -> None:
    """A container's first process often leaves the ended ones as they are, and their ids look alive."""
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-m", "another name")
    ended = subprocess.Popen(["true"])

    def words() -> list[str]:
        return Path(f"/proc/{ended.pid}/stat").read_text().rpartition(")")[2].split()

    until(lambda: words()[0] == "Z")
    (art.path / ".git/comfyvn/commit.pid").write_text(f"{ended.pid}\n{words()[19]}\n")
    art.tool("list")
    oracle.check_all(art)
    ended.wait()


@pytest.mark.parametrize("words", [("status",), ("fsck", "--repair")], ids=" ".join)
def test_any_command_removes_a_lock_that_a_killed_process_of_ours_left(art: GitRepo, words: tuple[str, ...]) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    copy, lock = art.path / f".git/index.comfyvn-{ended.pid}-0123abcd", art.path / ".git/index.lock"
    copy.write_bytes((art.path / ".git/index").read_bytes())
    os.link(copy, lock)
    time.sleep(1.1)
    art.tool(*words)
    assert not lock.exists() and not copy.exists()
    art.git("add", "assets")
