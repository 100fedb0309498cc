"""`migrate --history` and `uninstall --history`: all commits anew, and back, with nothing lost on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo
from tests.migrants import (
    check_migrated,
    commit_raw,
    exported,
    ids,
    init,
    inode,
    lfs_repository,
    lfs_text,
    needs_lfs,
    put_lfs_object,
    trees,
)
from tests.oracle import check_all, check_index, digest, raw_blobs

MIRA, CLUB, LATE = "assets/characters/mira.png", "assets/bg/club.png", "assets/bg/late.png"
WHEN = "2024-02-03T04:05:06+09:00"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def grow(repo: GitRepo) -> None:
    """Art that git holds: changed, brought back, renamed, deleted; two branches, a merge, tags, a note in two scripts."""
    dates = {"GIT_AUTHOR_DATE": WHEN, "GIT_COMMITTER_DATE": WHEN, "GIT_AUTHOR_NAME": "Zoë Ōe"}

    def commit(message: str) -> None:
        repo.git("add", "-A")
        repo.git("commit", "-q", "-m", message, env=dates)

    repo.write("code.c", "int main;\n")
    commit("code only")
    repo.write("assets/.gitattributes", "*.txt -filter\n")
    repo.write(MIRA, media.comfy_png(1))
    repo.write("assets/bg/old.png", media.png(seed=2))
    repo.write("assets/bg/gone.png", media.png(seed=3))
    repo.write("assets/notes.txt", "left to git\n")
    commit("första\n\nmit Text\n")
    repo.git("tag", "light")
    repo.git("tag", "-a", "v1", "-m", "the first", env=dates)
    repo.git("switch", "-q", "-c", "topic")
    repo.write(LATE, media.png(seed=4))
    commit("on topic")
    repo.git("switch", "-q", "main")
    repo.write(MIRA, media.comfy_png(5))
    repo.git("rm", "-q", "assets/bg/gone.png")
    repo.git("mv", "assets/bg/old.png", CLUB)
    commit("repainted, renamed, deleted")
    repo.git("merge", "-q", "--no-edit", "topic", env=dates)
    repo.write(MIRA, media.comfy_png(1))
    commit("as it was")
    repo.git("tag", "v2")


@pytest.fixture
def raw(repo: GitRepo) -> GitRepo:
    grow(repo)
    return repo


def log(repo: GitRepo, *revisions: str) -> list[str]:
    form = "--format=%an <%ae> %ai|%cn <%ce> %ci|%B|%D"
    return repo.git("log", "--topo-order", form, "--decorate=full", "--decorate-refs=refs/tags", *revisions).out.split(
        "\n"
    )


def test_every_commit_has_links_and_everything_else_as_it_was(raw: GitRepo, tmp_path: Path) -> None:
    before, was = log(raw, "main", "topic"), trees(raw, "main~1")
    old = raw.git("rev-list", "--all").out.split()
    whole = {commit: exported_raw(raw, commit) for commit in old}
    init(raw)
    raw.tool("migrate", "raw", "--history")
    assert [line for line in log(raw, "main", "topic") if not line.startswith("Test Artist")][2:] != []
    assert log(raw, "main~1", "topic")[: len(before)] == before
    new = ids(raw)
    assert set(old) <= set(new)
    for commit in old:
        assert raw_blobs(raw, new[commit]) == (["assets/notes.txt"] if "assets/notes.txt" in whole[commit] else [])
        found = exported(raw, new[commit], tmp_path / commit)
        found.pop("assets/.gitattributes", None)
        assert found == {path: data for path, data in whole[commit].items() if path != "assets/.gitattributes"}, commit
    assert trees(raw, "main~1") != was
    check_migrated(raw, {MIRA: media.comfy_png(1), CLUB: media.png(seed=2), LATE: media.png(seed=4)}, tmp_path)
    check_index(raw, tmp_path)
    assert raw.git("fsck", "--strict", "--no-dangling").code == 0
    assert raw.tool("check", "main", "topic").code == 0
    for branch in ("topic", "main"):
        raw.git("switch", "-q", branch)
        assert raw.status() == []


def exported_raw(repo: GitRepo, commit: str) -> dict[str, bytes]:
    names = repo.git("ls-tree", "-r", "-z", "--name-only", commit).out.split("\0")[:-1]
    return {name: repo.blob(f"{commit}:{name}") for name in names}


def test_records_follow_the_bytes_through_history(raw: GitRepo) -> None:
    old = raw.git("rev-list", "--reverse", "--topo-order", "main").out.split()
    init(raw)
    raw.tool("migrate", "raw", "--history")
    new = ids(raw)
    first = next(commit for commit in old if raw.git("log", "-1", "--format=%s", commit).out == "första")
    said = json.loads(raw.blob(f"{new[first]}:{MIRA}.asset.json"))["provenance"]
    assert said["created_at"] == "2024-02-02T19:05:06Z" and said["source"] == "comfyui" and said["parent"] is None
    assert "user" not in said
    # back to what it was: the same record; renamed: the same record; merged: that of the other side
    assert raw.sidecar(MIRA)["provenance"]["id"] == said["id"]
    assert raw.sidecar(CLUB)["provenance"]["commit"] == new[first]
    assert raw.sidecar(LATE)["provenance"]["commit"] == raw.git("rev-parse", "topic").out
    middle = json.loads(raw.blob(f"main~3:{MIRA}.asset.json"))["provenance"]
    assert middle["parent"] == digest(media.comfy_png(1)) and middle["id"] != said["id"]


def test_commits_without_art_keep_their_id(raw: GitRepo) -> None:
    first = raw.git("rev-list", "--max-parents=0", "main").out
    init(raw)
    raw.tool("migrate", "raw", "--history")
    assert raw.git("rev-list", "--max-parents=0", "main").out == first == ids(raw)[first]


def test_the_same_history_gives_the_same_commits_elsewhere(raw: GitRepo, tmp_path: Path) -> None:
    init(raw)
    raw.git("clone", "-q", "--mirror", ".", str(tmp_path / "mirror.git"))
    raw.tool("migrate", "raw", "--history")
    GitRepo.create(tmp_path / "other")
    other = GitRepo(tmp_path / "other")
    other.git(
        "fetch", "-q", str(tmp_path / "mirror.git"), "refs/heads/topic:refs/heads/topic", "refs/tags/*:refs/tags/*"
    )
    other.git("pull", "-q", str(tmp_path / "mirror.git"), "main")
    other.tool("init")
    other.tool("migrate", "raw", "--history")
    assert {line for line in refs(other) if "before-migration" not in line} == {
        line for line in refs(raw) if "before-migration" not in line
    }
    again = raw.tool("migrate", "raw", "--history", "--json").json()
    assert again["files"] == []


def refs(repo: GitRepo) -> list[str]:
    return repo.git("for-each-ref", "--format=%(objectname) %(refname)").out.split("\n")


def test_there_and_back_gives_the_very_same_commits(raw: GitRepo) -> None:
    before = {line for line in refs(raw) if "heads/main" not in line}
    main = raw.git("rev-parse", "main").out
    init(raw)
    raw.tool("migrate", "raw", "--history")
    raw.tool("uninstall", "--history")
    assert {line for line in refs(raw) if "before-migration" not in line and "heads/main" not in line} == before
    assert raw.git("rev-parse", "main~1").out == main
    assert trees(raw, "main") == trees(raw, "main~1")  # what `init` committed is gone from it
    assert raw.status() == []
    assert raw.read(MIRA) == media.comfy_png(1) and not (raw.path / MIRA).is_symlink()
    assert not list((raw.path / "assets").rglob("*.asset.json"))


def test_the_old_history_is_kept_and_can_be_had_back(raw: GitRepo) -> None:
    init(raw)
    before = set(refs(raw))
    raw.tool("migrate", "raw", "--history")
    prefix = "refs/comfyvn/before-migration/"
    kept = [line.split(" ") for line in refs(raw) if prefix in line]
    assert {f"{oid} refs/{name.removeprefix(prefix).partition('/')[2]}" for oid, name in kept} == before
    # as docs/migrating.md says
    stamp = kept[0][1].removeprefix(prefix).partition("/")[0]
    form = "--format=update refs/%(refname:lstrip=4) %(objectname)"
    lines = raw.git("for-each-ref", form, f"{prefix}{stamp}").out + "\n"
    raw.git("update-ref", "--stdin", input=lines)
    raw.git("reset", "-q", "--hard")
    raw.tool("status")
    assert before <= set(refs(raw))
    assert raw_blobs(raw) != []
    assert raw.status() == []
    assert raw.read(MIRA) == media.comfy_png(1)


def test_marked_art_gives_its_source_back(store_repo: GitRepo) -> None:
    store_repo.write(MIRA, media.comfy_png(1))
    store_repo.write("assets/music/song.wav", media.wav())
    store_repo.git("add", "-A")
    store_repo.commit("art")
    store_repo.tool("annotate", MIRA, "--tag", "heroine")
    store_repo.commit("tag")
    assert store_repo.read(MIRA) != media.comfy_png(1)
    store_repo.tool("uninstall", "--history")
    for revision in ("HEAD", "HEAD~1"):
        assert store_repo.blob(f"{revision}:{MIRA}") == media.comfy_png(1)
        assert store_repo.git("ls-tree", "-r", "--name-only", revision).out.split("\n") == sorted(
            [MIRA, "assets/music/song.wav"]
        )
    assert store_repo.read(MIRA) == media.comfy_png(1)
    assert store_repo.status() == []


def test_without_all_bytes_nothing_is_given_back(store_repo: GitRepo) -> None:
    store_repo.write(MIRA, media.comfy_png(1))
    store_repo.git("add", "-A")
    store_repo.commit("art")
    store_repo.write(MIRA, media.comfy_png(2))
    store_repo.git("add", "-A")
    store_repo.commit("more")
    first = json.loads(store_repo.blob(f"HEAD~1:{MIRA}.asset.json"))["hash"]
    store_repo.object_path(first).unlink()
    before = refs(store_repo)
    for words in ((), ("--dry-run",)):
        done = store_repo.tool("uninstall", "--history", *words, check=False)
        assert done.code == 12 and MIRA in done.err
    assert refs(store_repo) == before and store_repo.status() == []
    assert store_repo.tool("list").code == 0


@pytest.mark.parametrize(
    "trouble", ["staged", "edited", "stash", "notes", "shallow", "merge", "worktree", "replace", "unborn"]
)
def test_refused_where_something_would_be_lost(raw: GitRepo, tmp_path: Path, trouble: str) -> None:
    repo = raw
    if trouble == "shallow":
        raw.git("clone", "-q", "--depth", "1", raw.path.as_uri(), str(tmp_path / "shallow"))
        repo = GitRepo(tmp_path / "shallow")
    if trouble == "unborn":
        repo = GitRepo.create(tmp_path / "unborn")
        repo.tool("init")
    else:
        init(repo)
    if trouble in ("staged", "edited", "stash"):
        repo.write("code.c", "changed\n")
    if trouble == "staged":
        repo.git("add", "code.c")
    if trouble == "stash":
        repo.git("stash")
    if trouble == "notes":
        repo.git("notes", "add", "-m", "hm", "HEAD")
    if trouble == "merge":
        repo.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "light~1", check=False)
        (repo.path / ".git/MERGE_HEAD").write_text(repo.head() + "\n")
    if trouble == "worktree":
        repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "topic")
    if trouble == "replace":
        repo.git("replace", "HEAD", "HEAD~1")
    before, index = refs(repo), repo.git("ls-files", "-s").out
    done = repo.tool("migrate", "raw", "--history", check=False)
    assert done.code == 20, done.err
    assert "hint:" in done.err
    assert (refs(repo), repo.git("ls-files", "-s").out) == (before, index)


def test_signatures_go_and_it_says_so(raw: GitRepo) -> None:
    init(raw)
    text = raw.git("cat-file", "commit", "HEAD").stdout
    signed = text.replace(
        b"\n\n", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\n", 1
    )
    oid = raw.git("hash-object", "-t", "commit", "-w", "--stdin", input=signed).out
    about = f"object {oid}\ntype commit\ntag signed\ntagger T <t@e> 1 +0000\n\nwords\n"
    tag = about + "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    raw.git("update-ref", "refs/tags/signed", raw.git("hash-object", "-t", "tag", "-w", "--stdin", input=tag).out)
    raw.git("reset", "-q", "--soft", oid)
    done = raw.tool("migrate", "raw", "--history", "--json").json()
    assert done["history"]["signatures"] == 2
    assert b"gpgsig" not in raw.git("cat-file", "commit", "HEAD").stdout
    assert raw.git("cat-file", "tag", "signed").out.endswith("words")
    assert raw.git("rev-parse", "signed^{commit}").out == raw.head()


def test_detached_head_moves_along(raw: GitRepo) -> None:
    init(raw)
    raw.git("switch", "-q", "--detach", "main")
    raw.git("commit", "-q", "--allow-empty", "-m", "aside")
    old = raw.head()
    raw.tool("migrate", "raw", "--history")
    assert raw.head() == ids(raw)[old] != old
    assert raw.status() == []


def test_untracked_and_ignored_files_stay(raw: GitRepo) -> None:
    init(raw)
    raw.write("mine.txt", "untracked")
    raw.write("assets/bg/new.png", media.png(seed=77))
    raw.tool("migrate", "raw", "--history")
    assert raw.read("mine.txt") == b"untracked" and raw.read("assets/bg/new.png") == media.png(seed=77)


def test_sidecars_that_were_there_are_kept(repo: GitRepo) -> None:
    repo.write(MIRA, media.png(seed=1))
    repo.git("add", "-A")
    repo.commit("raw")
    repo.tool("init")
    repo.git("add", "--renormalize", "assets")
    repo.commit("ours")
    repo.tool("annotate", MIRA, "--tag", "heroine")
    repo.commit("tag")
    before = repo.sidecar(MIRA)["provenance"]["id"]
    repo.tool("migrate", "raw", "--history")
    assert repo.sidecar(MIRA)["tags"] == ["heroine"] and repo.sidecar(MIRA)["provenance"]["id"] == before
    assert repo.status() == []
    assert raw_blobs(repo, "HEAD~2") == []


@needs_lfs
def test_pointers_of_all_commits(tmp_path: Path) -> None:
    repo = lfs_repository(tmp_path / "lfs")
    repo.write(MIRA, media.png(seed=1))
    repo.write("assets/bg/lost.png", media.png(seed=6))
    repo.git("add", "-A")
    repo.commit("one")
    repo.write(MIRA, media.png(seed=2))
    repo.git("rm", "-q", "assets/bg/lost.png")
    repo.git("add", "-A")
    repo.commit("two")
    lost = digest(media.png(seed=6))
    (repo.path / ".git/lfs/objects" / lost[:2] / lost[2:4] / lost).unlink()
    old = repo.git("rev-list", "--reverse", "HEAD").out.split()
    init(repo)
    done = repo.tool("migrate", "lfs", "--history", "--json", check=False).json()
    assert done["missing"] == ["assets/bg/lost.png"]
    new = ids(repo)
    check_migrated(repo, {MIRA: media.png(seed=2)}, tmp_path)
    assert repo.git("log", "--format=", "--name-only", "main", "--", ".gitattributes").out == ""
    assert repo.blob(f"{new[old[1]]}:assets/bg/lost.png").endswith(lost[2:].encode())
    assert repo.tool("show", f"{new[old[1]]}:{MIRA}", "--json").json()["hash"] == digest(media.png(seed=1))
    assert repo.object_path(digest(media.png(seed=1))).stat().st_nlink == 2


@needs_lfs
def test_git_lfs_leaves_art_alone_that_is_gits_again(tmp_path: Path) -> None:
    repo = lfs_repository(tmp_path / "lfs")
    repo.write(MIRA, media.png(seed=1))
    repo.write("logo.png", media.png(seed=2))
    repo.git("add", "-A")
    repo.commit("one")
    init(repo)
    repo.tool("migrate", "lfs", "--history", check=False)  # what lies outside is left
    repo.tool("uninstall", "--history")
    assert repo.status() == []
    for path in (MIRA, "logo.png"):
        os.utime(repo.path / path, ns=(1, 1_000_000_007))
    assert repo.status() == []
    repo.git("add", "--renormalize", ".")
    assert repo.status() == []
    assert repo.blob(f"HEAD:{MIRA}") == media.png(seed=1)
    assert repo.blob("HEAD:logo.png").startswith(b"version https://git-lfs")
    assert "filter: lfs" in repo.git("check-attr", "filter", "logo.png").out


def test_a_history_that_is_migrated_after_the_files_tells_who_brought_the_bytes(repo: GitRepo) -> None:
    data = media.png(seed=1)
    put_lfs_object(repo, data)
    commit_raw(repo, MIRA, lfs_text(data))
    brought = repo.head()
    init(repo)
    repo.tool("migrate", "lfs")
    repo.commit("taken over")
    assert repo.sidecar(MIRA)["provenance"]["commit"] != brought
    repo.tool("annotate", MIRA, "--tag", "heroine")
    repo.commit("tagged")
    repo.tool("migrate", "lfs", "--history")
    said = repo.sidecar(MIRA)
    assert said["provenance"]["commit"] == ids(repo)[brought] and said["tags"] == ["heroine"]
    assert repo.tool("provenance", MIRA, "--json").json()[0]["commit"] == ids(repo)[brought]
    assert repo.read(MIRA) == data and repo.status() == []
    cards = [json.loads(repo.blob(f"HEAD~{n}:{MIRA}.asset.json"))["provenance"]["id"] for n in range(3)]
    assert len(set(cards)) == 1
    check_all(repo)


# -- cut short -------------------------------------------------------------------------------------------------------


def killed(repo: GitRepo, after: float, *words: str) -> bool:
    """Starts a command and kills it after so many seconds; tells whether that was before its end."""
    command = [sys.executable, "-P", "-m", "comfyvn_store", *words]
    process = subprocess.Popen(command, cwd=repo.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    if process.poll() is not None:
        return False
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.2)  # a git that it started ends, too
    return True


def test_a_run_that_is_killed_at_any_moment_is_done_by_the_next(raw: GitRepo, tmp_path: Path) -> None:
    for number in range(40):
        raw.write(f"assets/many/{number}.png", media.png(60, 60, seed=100 + number, noise=True))
    raw.git("add", "-A")
    raw.commit("many")
    init(raw)
    old, art = raw.head(), exported_raw(raw, "HEAD")
    cut = 0
    for moment in (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8):
        cut += killed(raw, moment, "migrate", "raw", "--history")
        (raw.path / ".git/index.lock").unlink(missing_ok=True)
        raw.git("fsck", "--no-dangling")
        assert raw.git("rev-parse", "--verify", "HEAD^{commit}").code == 0
    assert cut
    raw.tool("migrate", "raw", "--history")
    assert ids(raw)[old] == raw.head()
    views = {path: data for path, data in art.items() if path.endswith(".png")}
    check_migrated(raw, views, tmp_path)
    assert raw_blobs(raw, "main") == ["assets/notes.txt"]


@pytest.mark.parametrize("where", ["before", "refs moved", "half followed"])
def test_a_rewriting_is_completed_from_where_it_stopped(raw: GitRepo, tmp_path: Path, where: str) -> None:
    init(raw)
    stop = {
        "before": "vcs.rewriting.move",
        "refs moved": "ops.migrate.rewrite.catch_up",
        "half followed": "vcs.staging.write_entries",
    }[where]
    program = (
        "import os, comfyvn_store.ops.migrate.history, comfyvn_store.cli.main as m\n"
        f"from comfyvn_store.{stop.rpartition('.')[0]} import {stop.rpartition('.')[2]}\n"
        "import importlib\n"
        f"importlib.import_module('comfyvn_store.{stop.rpartition('.')[0]}').{stop.rpartition('.')[2]} = "
        "lambda *a, **k: os._exit(9)\n"
        "m.run(['migrate', 'raw', '--history'])\n"
    )
    before = refs(raw)
    process = subprocess.run([sys.executable, "-P", "-c", program], cwd=raw.path, capture_output=True)
    assert process.returncode == 9, process.stderr
    assert (refs(raw) == before) == (where == "before")
    raw.tool("migrate", "raw", "--history")
    assert raw.status() == []
    check_migrated(raw, {MIRA: media.comfy_png(1), CLUB: media.png(seed=2), LATE: media.png(seed=4)}, tmp_path)
    assert not (raw.path / ".git/comfyvn/migrations/pending").exists()
    assert len(list((raw.path / ".git/comfyvn/migrations").glob("*.map"))) == 1


def test_the_current_tree_of_raw_art(raw: GitRepo, tmp_path: Path) -> None:
    init(raw)
    before = inode(raw.path / CLUB)
    done = raw.tool("migrate", "raw", "--json").json()
    assert sorted(item["path"] for item in done["files"]) == sorted([MIRA, CLUB, LATE])
    assert inode(raw.object_path(digest(media.png(seed=2)))) == before
    raw.commit("art")
    check_migrated(raw, {MIRA: media.comfy_png(1), CLUB: media.png(seed=2), LATE: media.png(seed=4)}, tmp_path)
    assert raw_blobs(raw) == ["assets/notes.txt"]


def test_a_current_tree_that_was_cut_short(raw: GitRepo, tmp_path: Path) -> None:
    init(raw)
    program = (
        "import os, comfyvn_store.vcs.staging as s, comfyvn_store.cli.main as m\n"
        "s.write_entries = lambda *a, **k: os._exit(9)\n"
        "m.run(['migrate', 'raw'])\n"
    )
    assert subprocess.run([sys.executable, "-P", "-c", program], cwd=raw.path).returncode == 9
    assert (raw.path / CLUB).is_symlink()
    raw.tool("migrate", "raw")
    raw.commit("art")
    check_migrated(raw, {MIRA: media.comfy_png(1), CLUB: media.png(seed=2), LATE: media.png(seed=4)}, tmp_path)


def test_giving_back_is_completed_from_where_it_stopped(raw: GitRepo) -> None:
    init(raw)
    raw.tool("migrate", "raw", "--history")
    program = (
        "import os, comfyvn_store.ops.migrate.reversal, comfyvn_store.ops.migrate.rewrite as r\n"
        "import comfyvn_store.cli.main as m\n"
        "r.catch_up = lambda *a, **k: os._exit(9)\n"
        "m.run(['uninstall', '--history'])\n"
    )
    assert subprocess.run([sys.executable, "-P", "-c", program], cwd=raw.path).returncode == 9
    assert (raw.path / MIRA).is_symlink()
    raw.tool("uninstall", "--history")
    assert raw.status() == []
    assert raw.read(MIRA) == media.comfy_png(1) and not (raw.path / MIRA).is_symlink()
    assert not list((raw.path / "assets").rglob("*.asset.json"))
