"""Every kind of repository that git makes: the art lives in it as in a plain one, or the error says why not."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import life, media, oracle
from tests.gitrepo import GitRepo, Result, run

ODD = 'a b\'s "q" %d $HOME `x` ä 日本 ;& (1) [x] * ? \\ #\nb\n'
QUIET = ("core.fileMode=false", "core.checkStat=minimal", "core.trustctime=false", "index.threads=2", "core.fsync=all")
LOUD = ("color.ui=always", "diff.noprefix=true", "diff.relative=true", "diff.renames=copies", "column.ui=always")
LARGE = ("feature.manyFiles=true", "index.version=4", "core.untrackedCache=true", "core.commitGraph=true")


def _configured(*settings: str) -> Callable[[Path], GitRepo]:
    def make(scratch: Path) -> GitRepo:
        repo = GitRepo.create(scratch / "repo")
        for setting in settings:
            repo.git("config", *setting.split("=", 1))
        return repo

    return make


def _sha256(scratch: Path) -> GitRepo:
    return GitRepo.create(scratch / "repo", "--object-format=sha256")


def _reftable(scratch: Path) -> GitRepo:
    if run(["git", "init", "-q", "--ref-format=reftable", "t"], cwd=scratch, check=False).code:
        pytest.skip("this git knows no reftable; 2.45 is the first that does")
    return GitRepo.create(scratch / "repo", "--ref-format=reftable")


def _linked(scratch: Path) -> GitRepo:
    main = GitRepo.create(scratch / "main")
    main.git("commit", "--quiet", "--allow-empty", "-m", "empty")
    main.git("config", "extensions.worktreeConfig", "true")
    main.git("worktree", "add", "--quiet", "-b", "art", str(scratch / "linked"))
    linked = GitRepo(scratch / "linked")
    linked.git("config", "--worktree", "core.autocrlf", "true")
    return linked


def _of_bare(scratch: Path) -> GitRepo:
    """A work tree of a bare repository that lies hidden beside it; the folder of both has a `.git` of its own."""
    both = scratch / "both"
    both.mkdir()
    run(["git", "init", "--quiet", "--bare", ".bare"], cwd=both)
    (both / ".git").write_text("gitdir: ./.bare\n")
    tree = run(["git", "mktree"], cwd=both).out
    run(["git", "update-ref", "HEAD", run(["git", "commit-tree", "-m", "empty", tree], cwd=both).out], cwd=both)
    run(["git", "worktree", "add", "--quiet", "main"], cwd=both)
    refused = GitRepo(both).tool("list", check=False)
    assert (refused.code, "go to a work tree of it" in refused.err) == (20, True)
    return GitRepo(both / "main")


def _submodule(scratch: Path) -> GitRepo:
    inner = GitRepo.create(scratch / "inner")
    inner.git("commit", "--quiet", "--allow-empty", "-m", "empty")
    outer = GitRepo.create(scratch / "outer")
    outer.git("submodule", "--quiet", "add", str(inner.path), "a part/art")
    return GitRepo(outer.path / "a part/art")


def _odd_folder(scratch: Path) -> GitRepo:
    """Reached through a symlink, in a folder with every awkward sign, its git folder apart in another such."""
    (scratch / ODD).mkdir()
    (scratch / "via").symlink_to(ODD)
    repo = GitRepo(scratch / "via")
    repo.git("init", "--quiet", "--separate-git-dir", str(scratch / "its\ngit"))
    return repo


def _not_utf8(scratch: Path) -> GitRepo:
    return GitRepo.create(Path(os.fsdecode(os.fsencode(scratch) + b"/l\xe4tin")))


def _fsmonitor(scratch: Path) -> GitRepo:
    repo = GitRepo.create(scratch / "repo")
    hook = repo.write(".git/everything-may-have-changed", "#!/bin/sh\nprintf 'token\\0/\\0'\n")
    hook.chmod(0o755)
    repo.git("config", "core.fsmonitor", str(hook))
    return repo


KINDS = {
    "sha256": _sha256,
    "reftable": _reftable,
    "linked work tree, extensions.worktreeConfig": _linked,
    "work tree of a bare repository": _of_bare,
    "submodule": _submodule,
    "odd folder, symlink, separate git dir": _odd_folder,
    "not UTF-8": _not_utf8,
    "split index": _configured("core.splitIndex=true", "splitIndex.maxPercentChange=90"),
    "index v4, untracked cache": _configured(*LARGE),
    "fsmonitor": _fsmonitor,
    "crlf": _configured("core.autocrlf=true", "core.safecrlf=true"),
    "odd settings": _configured(
        *QUIET, *LOUD, "core.quotePath=false", "core.hooksPath=.my hooks", "core.autocrlf=input"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_art_lives_in_every_kind_of_repository(kind: str, tmp_path: Path) -> None:
    life.live(KINDS[kind](tmp_path), tmp_path)


@pytest.mark.parametrize("kind", ["sha256", "not UTF-8", "odd folder, symlink, separate git dir"])
def test_a_clone_of_it_says_the_same(kind: str, tmp_path: Path) -> None:
    repo = KINDS[kind](tmp_path)
    repo.tool("init")
    repo.write(life.SKY, media.png(seed=1))
    repo.git("add", "-A")
    repo.commit("sky")
    life.check_clone(repo, tmp_path)


def test_git_dir_and_work_tree_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder under a bare repository, as people keep their dotfiles."""
    run(["git", "init", "--quiet", "--bare", str(tmp_path / "bare.git")], cwd=tmp_path)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "bare.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "home"))
    life.live(GitRepo(tmp_path / "home"), tmp_path)
    assert os.path.realpath(tmp_path / "home/.comfyvn") == str(tmp_path / "bare.git/comfyvn")


def test_core_worktree_and_a_git_that_makes_pathspecs_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    run(["git", "init", "--quiet", "git"], cwd=tmp_path)
    life.in_git_dir(tmp_path / "git/.git", "config", "core.worktree", str(tmp_path / "tree"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "git/.git"))
    for name, value in (("LITERAL_PATHSPECS", "1"), ("OPTIONAL_LOCKS", "0"), ("CEILING_DIRECTORIES", str(tmp_path))):
        monkeypatch.setenv(f"GIT_{name}", value)
    life.live(GitRepo(tmp_path / "tree"), tmp_path)


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    run(["git", "init", "--quiet", "--bare", "b.git"], cwd=tmp_path)
    bare = GitRepo(tmp_path / "b.git")
    for words in (["init"], ["list", "--json"], ["register", "x.png", "--type", "a"]):
        done = bare.tool(*words, check=False)
        assert done.code == 20
        assert "is a bare repository" in done.err and "hint: clone it" in done.err
        assert "--json" not in words or done.json()["error"] == "refused"
    inside = GitRepo.create(tmp_path / "r").tool("list", cwd=".git", check=False)
    assert (inside.code, "git's own folder" in inside.err) == (20, True)


def test_a_repository_of_another_owner_is_left_to_git(store_repo: GitRepo) -> None:
    done = store_repo.tool("list", env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, check=False)
    assert done.code == 20
    assert f"hint: git config --global --add safe.directory {store_repo.path}" in done.err


def test_a_repository_and_its_work_trees_move(store_repo: GitRepo, tmp_path: Path) -> None:
    store_repo.write(life.SKY, media.png(seed=1))
    store_repo.git("add", "-A")
    store_repo.commit("sky")
    store_repo.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    store_repo.path.rename(tmp_path / "moved")
    repo, linked = GitRepo(tmp_path / "moved"), GitRepo(tmp_path / "linked")
    oracle.check_all(repo)
    lost = linked.tool("list", check=False)
    assert (lost.code, "git worktree repair" in lost.err) == (10, True)
    repo.git("worktree", "repair", str(linked.path))
    linked.tool("list")  # any command puts the link to the store right
    oracle.check_all(linked)
    (tmp_path / "deeper").mkdir()
    repo.git("worktree", "move", str(linked.path), str(tmp_path / "deeper/linked"))
    linked = GitRepo(tmp_path / "deeper/linked")
    oracle.check_all(linked)
    oracle.check_index(linked, tmp_path)
    shutil.rmtree(linked.path)
    shutil.copytree(repo.path, tmp_path / "copy", symlinks=True)
    oracle.check_all(GitRepo(tmp_path / "copy"))


def test_packs_graphs_and_bitmaps_change_no_answer(store_repo: GitRepo, tmp_path: Path) -> None:
    for number in range(3):
        store_repo.write(life.SKY, media.png(seed=number))
        store_repo.git("add", "-A")
        store_repo.commit(str(number))
        store_repo.git("repack", "-dq")
    store_repo.git("commit-graph", "write", "--reachable", "--changed-paths")
    store_repo.git("multi-pack-index", "write", "--bitmap")
    store_repo.git("pack-refs", "--all")
    oracle.check_all(store_repo)
    oracle.check_index(store_repo, tmp_path)
    store_repo.git("gc", "--quiet", "--prune=now")
    oracle.check_all(store_repo)


def test_unborn_and_detached_heads(store_repo: GitRepo, tmp_path: Path) -> None:
    store_repo.write(life.SKY, media.png(seed=1))
    store_repo.git("add", "-A")
    assert [each["commit"] for each in store_repo.tool("list", "--json").json()] == [None]
    assert store_repo.tool("rebuild", "--verify", "--no-previews").code == 0
    assert store_repo.tool("provenance", "--commit", "HEAD", check=False).code == 2
    oracle.check_index(store_repo, tmp_path)
    first = store_repo.commit("first")
    store_repo.git("checkout", "--quiet", "--detach")
    store_repo.write(life.SKY, media.png(seed=2))
    store_repo.git("add", "-A")
    second = store_repo.commit("second")
    assert life.commits(store_repo) == {life.SKY: second}
    store_repo.git("checkout", "--quiet", first)
    assert life.commits(store_repo) == {life.SKY: first}
    oracle.check_all(store_repo)
    store_repo.git("switch", "--quiet", "--orphan", "new")
    assert store_repo.tool("list", "--json").json() == []
    oracle.check_index(store_repo, tmp_path)


def test_a_sparse_index_lists_what_is_not_checked_out(store_repo: GitRepo, tmp_path: Path) -> None:
    for type_ in "abc":
        store_repo.write(f"assets/{type_}/x.png", media.png(seed=ord(type_)))
    store_repo.git("add", "-A")
    commit = store_repo.commit("all")
    store_repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "assets/a")
    assert "assets/b/" in store_repo.git("ls-files", "--sparse").out.splitlines()
    listed = {each["view"]: each["commit"] for each in store_repo.tool("list", "--json").json()}
    assert listed == {f"assets/{type_}/x.png": commit for type_ in "abc"}
    store_repo.tool("rebuild", "--verify", "--no-previews")
    store_repo.tool("annotate", "assets/a/x.png", "--tag", "here")
    store_repo.tool("annotate", "assets/b/x.png", "--tag", "away")
    store_repo.commit("tags")
    assert store_repo.status() == []
    store_repo.tool("rebuild", "--no-previews")
    oracle.check_index(store_repo, tmp_path)
    store_repo.git("sparse-checkout", "disable")
    oracle.check_all(store_repo)


def test_crlf_on_checkout_changes_no_sidecar(store_repo: GitRepo, tmp_path: Path) -> None:
    store_repo.write(".gitattributes", "*.json eol=crlf\n")
    store_repo.write(life.SKY, media.png(seed=1))
    store_repo.git("add", "-A")
    store_repo.commit("sky")
    card = f"{life.SKY}.asset.json"
    blob, on_disk = store_repo.blob(f"HEAD:{card}"), store_repo.read(card)
    (store_repo.path / card).unlink()
    store_repo.git("checkout", "--", card)
    assert (store_repo.blob(f"HEAD:{card}"), store_repo.read(card)) == (blob, on_disk)
    oracle.check_all(store_repo)
    run(
        ["git", "-c", "core.autocrlf=true", "clone", "--quiet", "-c", "core.autocrlf=true", "repo", "clone"],
        cwd=tmp_path,
    )
    clone = GitRepo(tmp_path / "clone")
    assert b"\r\n" in clone.read(card)  # as whoever has no filter gets it
    clone.tool("init")
    assert clone.read(card) == on_disk
    assert clone.status() == []
    clone.write(card, on_disk.replace(b"\n", b"\r\n").replace(b'"tags": []', b'"tags": ["dawn"]'))
    clone.git("add", "-A")
    assert clone.blob(f":{card}") == blob.replace(b'"tags": []', b'"tags": [\n    "dawn"\n  ]')


def test_where_git_cannot_be_written_reads_answer_and_the_rest_says_so(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "COMFYVN_PREVIEWS", "off"
    )  # the worker has the index open for a moment, and all can read it then
    store_repo.write(life.SKY, media.png(seed=1))
    store_repo.git("add", "-A")
    commit = store_repo.commit("sky")
    folders = [folder for folder, _, _ in os.walk(store_repo.path / ".git")]
    index = oracle.index_path(store_repo)
    index.chmod(0o444)
    for folder in folders:
        os.chmod(folder, 0o555)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # root would write all the same
    if os.getuid() == 0 and run([*bound, "true"], cwd=store_repo.path, check=False).code:
        pytest.skip("setpriv cannot take root's power from it here")

    def tool(*words: str) -> Result:
        command = [*(bound if os.getuid() == 0 else []), sys.executable, "-P", "-m", "comfyvn_store", *words]
        return run(command, cwd=store_repo.path, check=False)

    try:
        listed = tool("list", "--json")
        assert [each["commit"] for each in listed.json()] == [commit]
        assert "cannot be written; answering from memory" in listed.err
        changed = tool("annotate", life.SKY, "--tag", "x")
        assert changed.code == 16 and "cannot note what is about to be done" in changed.err
        assert "nothing was changed" in changed.err
        again = tool("rebuild")
        assert again.code == 1 and "index: not made anew, because its file cannot be written" in again.out
    finally:
        for folder in folders:
            os.chmod(folder, 0o755)
        index.chmod(0o644)
    assert store_repo.sidecar(life.SKY)["tags"] == [] and store_repo.status() == []
    oracle.check_all(store_repo)
