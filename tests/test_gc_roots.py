"""Whatever names an object keeps it: one test for each kind of root, which ends with the object going once that is gone."""

import base64
import os
import quopri
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from comfyvn_store.errors import MachineError, Refused
from comfyvn_store.ops import gc
from comfyvn_store.vcs import lying
from comfyvn_store.vcs.reachable import Reach
from comfyvn_store.vcs.repository import open_repository
from tests import media, oracle
from tests.collecting import HERO, Loose, age, begun, collect, home, loose_in, objects, pair, trashed
from tests.gitrepo import GitRepo, run
from tests.templates import copied

Release = Callable[[], object]
Root = Callable[[Loose], Release]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, begun, tmp_path / "game")


def check(loose: Loose, release: Release) -> None:
    """The root keeps the object; without it the object goes."""
    hero = oracle.linked_hash(loose.repo.link(HERO))
    age(loose.store)
    assert loose.hash not in collect(loose.repo, prune=False).freed
    collect(loose.repo)
    assert loose.is_there
    release()
    age(loose.store)
    done = collect(loose.repo)
    assert list(done.freed) == [loose.hash]
    assert not loose.is_there and trashed(loose.store) == {loose.hash}
    assert hero in objects(loose.store)


# -- refs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/topic",
        "refs/tags/light",
        "refs/remotes/origin/topic",
        "refs/notes/art",
        "refs/comfyvn/something",
        "refs/original/refs/heads/main",
        "refs/bisect/bad",
        "refs/worktree/mine",
        "refs/stash",
    ],
)
def test_a_ref_keeps(art: GitRepo, name: str) -> None:
    loose = Loose(art)
    art.git("update-ref", name, loose.commit)
    check(loose, lambda: art.git("update-ref", "-d", name))


@pytest.mark.parametrize("what", ["tree", "blob"])
def test_a_tag_of_no_commit_keeps(art: GitRepo, what: str) -> None:
    loose = Loose(art)
    art.git("tag", "-a", "-m", "odd", "odd", getattr(loose, what))
    check(loose, lambda: art.git("tag", "-d", "odd"))


@pytest.mark.parametrize("name", ["refs/bisect/bad", "refs/worktree/mine", "refs/rewritten/onto"])
def test_a_ref_of_another_work_tree_keeps(art: GitRepo, tmp_path: Path, name: str) -> None:
    loose, tree = Loose(art), GitRepo(tmp_path / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    tree.git("update-ref", name, loose.commit)
    assert loose.commit not in art.git("for-each-ref").out
    check(loose, lambda: tree.git("update-ref", "-d", name))


def test_what_a_replacement_hides_is_kept(art: GitRepo) -> None:
    loose = Loose(art)
    art.git("update-ref", "refs/heads/topic", loose.commit)
    art.git("replace", loose.commit, art.git("commit-tree", "HEAD^{tree}", "-m", "other").out)
    assert loose.blob not in art.git("rev-list", "--objects", "--all").out
    check(loose, lambda: art.git("update-ref", "-d", "refs/heads/topic"))


def test_a_replacement_is_kept(art: GitRepo) -> None:
    loose, head = Loose(art), art.head()
    art.git("replace", head, art.git("commit-tree", loose.tree, "-m", "other").out)
    check(loose, lambda: art.git("replace", "-d", head))


def test_what_a_graft_hides_is_kept(art: GitRepo) -> None:
    loose, grafts = Loose(art), art.path / ".git/info/grafts"
    child = art.git("commit-tree", "HEAD^{tree}", "-p", loose.commit, "-m", "child").out
    art.git("update-ref", "refs/heads/topic", child)
    grafts.write_text(f"{child}\n")
    assert loose.blob not in art.git("rev-list", "--objects", "--all").out

    def release() -> None:
        art.git("update-ref", "-d", "refs/heads/topic")
        grafts.unlink()

    check(loose, release)


def test_what_a_graft_adds_is_kept(art: GitRepo) -> None:
    loose, grafts = Loose(art), art.path / ".git/info/grafts"
    grafts.write_text(f"{art.head()} {loose.commit}\n")
    check(loose, grafts.unlink)


# -- reflogs -----------------------------------------------------------------------------------------------------------


def test_an_older_stash_keeps(art: GitRepo) -> None:
    loose = Loose(art)
    other = art.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "other").out
    art.git("stash", "store", "-m", "older", loose.commit)
    art.git("stash", "store", "-m", "newer", other)
    check(loose, lambda: art.git("reflog", "delete", "--rewrite", "refs/stash@{1}"))


@pytest.mark.parametrize("where", ["main", "linked"])
def test_a_reflog_keeps(art: GitRepo, tmp_path: Path, where: str) -> None:
    loose, repo = Loose(art), art
    if where == "linked":
        repo = GitRepo(tmp_path / "tree")
        art.git("worktree", "add", "-q", "--detach", str(repo.path))
    repo.git("-c", "core.logAllRefUpdates=true", "update-ref", "--create-reflog", "HEAD", loose.commit)
    repo.git("-c", "core.logAllRefUpdates=true", "update-ref", "HEAD", f"{loose.commit}^")
    assert loose.commit in repo.git("reflog", "--no-abbrev").out
    check(loose, lambda: repo.git("reflog", "expire", "--expire=now", "--all"))


# -- what git is about -------------------------------------------------------------------------------------------------

HEADS = [
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "BISECT_HEAD",
    "MERGE_AUTOSTASH",
    "FETCH_HEAD",
    "SQUASH_MSG",
]


@pytest.mark.parametrize("where", ["main", "linked"])
@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_git_noted_keeps(art: GitRepo, tmp_path: Path, name: str, where: str) -> None:
    loose, folder = Loose(art), art.path / ".git"
    if where == "linked":
        art.git("worktree", "add", "-q", str(tmp_path / "tree"))
        folder = folder / "worktrees/tree"
    texts = {"FETCH_HEAD": f"{loose.commit}\t\tbranch 'x' of /y\n", "SQUASH_MSG": f"Squash\n\ncommit {loose.commit}\n"}
    (folder / name).write_text(texts.get(name, f"{loose.commit}\n"))
    check(loose, (folder / name).unlink)


def test_the_tree_of_a_merge_keeps(art: GitRepo) -> None:
    loose, place = Loose(art), art.path / ".git/AUTO_MERGE"
    place.write_text(f"{loose.tree}\n")
    check(loose, place.unlink)


@pytest.mark.parametrize("where", ["main", "linked"])
def test_a_detached_head_keeps(art: GitRepo, tmp_path: Path, where: str) -> None:
    loose, repo = Loose(art), art
    if where == "linked":
        repo = GitRepo(tmp_path / "tree")
        art.git("worktree", "add", "-q", "--detach", str(repo.path))
    else:
        repo.git("checkout", "-q", "--detach")
    repo.git("update-ref", "--no-deref", "HEAD", loose.commit)
    check(loose, lambda: repo.git("update-ref", "--no-deref", "HEAD", f"{loose.commit}^"))


@pytest.mark.parametrize(
    "name",
    [
        "rebase-merge/git-rebase-todo",
        "rebase-merge/done",
        "rebase-merge/autostash",
        "rebase-merge/stopped-sha",
        "rebase-merge/orig-head",
        "rebase-apply/orig-head",
        "rebase-apply/abort-safety",
        "sequencer/todo",
        "sequencer/head",
        "sequencer/abort-safety",
    ],
)
def test_what_is_to_be_picked_keeps(art: GitRepo, name: str) -> None:
    loose, place = Loose(art), art.path / ".git" / name
    place.parent.mkdir()
    is_list = name.endswith(("todo", "done"))
    place.write_text(f"pick {loose.commit[:8]} art\nexec true\n" if is_list else f"{loose.commit}\n")
    check(loose, lambda: shutil.rmtree(place.parent))


def test_a_patch_that_is_to_be_applied_keeps(art: GitRepo) -> None:
    loose, place = Loose(art), art.path / ".git/rebase-apply/0002"
    place.parent.mkdir()
    place.write_text(
        f"diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+{loose.text}\n"
    )
    check(loose, lambda: shutil.rmtree(place.parent))


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_mail_that_is_to_be_applied_keeps(art: GitRepo, encoding: str) -> None:
    """The whole way: `git am` stops at the first of two mails, and only the second names the object."""
    loose = Loose(art)
    patch = art.git("format-patch", "--stdout", "-1", loose.commit).out + "\n"
    head, _, body = patch.partition("\n\n")
    coded = base64.encodebytes(body.encode()) if encoding == "base64" else quopri.encodestring(body.encode())
    assert loose.text not in coded.decode()
    first = patch.replace(loose.hash[2:], "0" * 62).replace("new file mode", "old mode")
    second = f"{head}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
    (art.path / "mails").write_text(f"{first}\n{second}{coded.decode()}")
    art.git("gc", "-q", "--prune=now")
    assert art.git("am", "mails", check=False).code
    assert (art.path / ".git/rebase-apply/0002").exists()
    check(loose, lambda: art.git("am", "--abort"))


def test_where_a_bisection_began_is_kept(art: GitRepo) -> None:
    loose = Loose(art)
    art.git("checkout", "-q", loose.commit)
    art.git("bisect", "start")
    art.git("bisect", "good", "HEAD^")
    art.git("checkout", "-q", "HEAD^")
    assert loose.commit not in art.git("for-each-ref").out
    check(loose, lambda: (art.git("symbolic-ref", "HEAD", "refs/heads/main"), art.git("bisect", "reset", "HEAD")))


def test_a_merge_of_notes_keeps(art: GitRepo) -> None:
    loose, place = Loose(art), art.path / ".git/NOTES_MERGE_PARTIAL"
    place.write_text(f"{loose.commit}\n")
    check(loose, place.unlink)


def test_a_rebase_that_stopped_keeps_what_is_still_to_come(art: GitRepo) -> None:
    """The whole way, as a person goes it."""
    art.git("switch", "-q", "-c", "topic")
    art.write(HERO, media.png(seed=2))
    art.git("commit", "-q", "-am", "other hero")
    art.write("assets/second.png", media.png(seed=3))
    art.git("add", "assets")
    art.commit("second")
    second = oracle.linked_hash(art.link("assets/second.png"))
    art.git("switch", "-q", "main")
    art.write(HERO, media.png(seed=4))
    art.git("commit", "-q", "-am", "hero of main")
    art.git("switch", "-q", "--detach", "topic")
    art.git("branch", "-q", "-D", "topic")
    assert art.git("rebase", "main", check=False).code
    age(home(art))
    collect(art)
    assert second in objects(home(art))
    art.git("checkout", "-q", "--ours", HERO)
    art.tool("resolve", HERO, "--ours")
    art.git("rebase", "--skip")
    assert oracle.digest(art.read("assets/second.png")) == second


# -- indexes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["main", "linked"])
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_an_index_keeps(art: GitRepo, tmp_path: Path, where: str, stage: int) -> None:
    loose, repo = Loose(art), art
    if where == "linked":
        repo = GitRepo(tmp_path / "tree")
        art.git("worktree", "add", "-q", str(repo.path))
    repo.git("update-index", "--index-info", input=f"120000 {loose.blob} {stage}\tassets/x.png\n")
    check(loose, lambda: repo.git("update-index", "--force-remove", "assets/x.png"))


def test_a_link_that_is_an_ordinary_file_in_git_keeps(art: GitRepo) -> None:
    loose = Loose(art)
    bent = art.git("hash-object", "-w", "--stdin", input=f"<<<<<<< ours\n{loose.text}\n=======\nx\n>>>>>>> a\n").out
    art.git("update-index", "--add", "--cacheinfo", f"100644,{bent},assets/x.png")
    check(loose, lambda: art.git("update-index", "--force-remove", "assets/x.png"))


@pytest.mark.parametrize("name", ["index.lock", "next-index-4711.lock"])
def test_the_index_of_a_commit_under_way_keeps(art: GitRepo, name: str) -> None:
    loose, place = Loose(art), art.path / ".git" / name
    other = art.path / ".git/other"
    art.git("update-index", "--add", "--cacheinfo", f"120000,{loose.blob},x", env={"GIT_INDEX_FILE": str(other)})
    other.rename(place)
    check(loose, place.unlink)


def test_a_submodule_in_the_index_of_a_commit_under_way_is_no_hindrance(art: GitRepo) -> None:
    loose, other = Loose(art), art.path / ".git/other"
    art.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub", env={"GIT_INDEX_FILE": str(other)})
    art.git("update-index", "--add", "--cacheinfo", f"160000,{'2' * 40},sub")
    other.rename(art.path / ".git/next-index-1.lock")
    age(loose.store)
    assert list(collect(art).freed) == [loose.hash]


def test_the_index_counts_though_another_one_is_named_for_the_moment(
    art: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = Loose(art)
    art.git("update-index", "--add", "--cacheinfo", f"120000,{loose.blob},assets/x.png")
    art.git("read-tree", "HEAD", env={"GIT_INDEX_FILE": str(art.path / "other")})
    monkeypatch.setenv("GIT_INDEX_FILE", str(art.path / "other"))
    age(loose.store)
    collect(art)
    assert loose.is_there


def test_an_entry_that_is_only_meant_to_be_added_is_no_hindrance(art: GitRepo) -> None:
    loose = Loose(art)
    art.write("readme", "words")
    art.git("add", "-N", "readme")
    age(loose.store)
    assert list(collect(art).freed) == [loose.hash]


# -- work trees --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["main", "linked"])
@pytest.mark.parametrize("path", ["assets/x.png", "assets/a/b/c.png", "elsewhere/x.png", "top.png"])
def test_a_link_that_git_does_not_know_keeps(art: GitRepo, tmp_path: Path, where: str, path: str) -> None:
    loose, repo = Loose(art), art
    if where == "linked":
        repo = GitRepo(tmp_path / "tree")
        art.git("worktree", "add", "-q", str(repo.path))
    place = repo.path / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(loose.text)
    check(loose, place.unlink)


def test_a_link_in_an_ordinary_file_keeps(art: GitRepo) -> None:
    loose, place = Loose(art), art.path / "assets/x.png"
    place.write_text(loose.text + "\r\n")
    check(loose, place.unlink)


def test_a_copy_that_was_not_staged_keeps(art: GitRepo) -> None:
    art.git("config", "comfyvn.views", "copy")
    art.tool("init")
    source = art.write("new.png", media.png(seed=9))
    art.tool("register", "--type", "ui", "--no-stage", str(source))
    source.unlink()
    hash_ = art.sidecar("assets/ui/new.png")["hash"]
    age(home(art))
    collect(art)
    assert hash_ in objects(home(art))
    (art.path / "assets/ui/new.png").unlink()
    (art.path / "assets/ui/new.png.asset.json").unlink()
    collect(art)
    assert hash_ not in objects(home(art))


@pytest.mark.parametrize("is_locked", [True, False])
@pytest.mark.parametrize("is_mounted_on", [True, False])
def test_a_work_tree_that_is_away_stops_it(art: GitRepo, tmp_path: Path, is_locked: bool, is_mounted_on: bool) -> None:
    loose, tree = Loose(art), tmp_path / "tree"
    art.git("worktree", "add", "-q", *(["--lock"] if is_locked else []), str(tree))
    (tree / "assets/x.png").symlink_to(loose.text)
    tree.rename(tmp_path / "away")
    if is_mounted_on:
        tree.mkdir()
    age(loose.store)
    with pytest.raises(Refused, match="is locked and not there" if is_locked else "is not there") as caught:
        collect(art)
    assert "git worktree prune" in (caught.value.hint or "") and loose.is_there
    if is_mounted_on:
        tree.rmdir()
    if is_locked:
        art.git("worktree", "unlock", str(tree))
    art.git("worktree", "repair", str(tmp_path / "away"))
    collect(art)
    assert loose.is_there
    shutil.rmtree(tmp_path / "away")
    art.git("worktree", "prune")
    age(loose.store)
    assert list(collect(art).freed) == [loose.hash]


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_work_tree_that_git_lost_sight_of_stops_it(art: GitRepo, tmp_path: Path, is_gone: bool) -> None:
    loose, tree = Loose(art), tmp_path / "tree"
    art.git("worktree", "add", "-q", str(tree))
    (tree / "assets/x.png").symlink_to(loose.text)
    note = art.path / ".git/worktrees/tree/gitdir"
    if is_gone:
        note.unlink()
    else:
        note.write_bytes(b"")
    assert str(tree) not in art.git("worktree", "list").out
    age(loose.store)
    with pytest.raises(Refused, match="linked work trees"):
        collect(art)
    assert loose.is_there
    art.git("worktree", "prune")
    assert list(collect(art).freed) == [loose.hash]


def test_two_work_trees_of_one_place_are_no_hindrance(art: GitRepo, tmp_path: Path) -> None:
    loose, tree = Loose(art), tmp_path / "tree"
    art.git("worktree", "add", "-q", str(tree))
    shutil.copytree(art.path / ".git/worktrees/tree", art.path / ".git/worktrees/copy")
    age(loose.store)
    assert list(collect(art).freed) == [loose.hash]


def test_a_work_tree_apart_that_is_away_stops_it(art: GitRepo, tmp_path: Path) -> None:
    loose, tree = Loose(art), tmp_path / "apart"
    tree.mkdir()
    art.git("config", "core.worktree", str(tree))
    age(loose.store)
    (tree / "x.png").symlink_to(loose.text)
    reach = Reach(str(art.path / ".git"))
    (found,) = [each for each in lying.work_trees(reach.git, reach.common_dir) if each.top == str(tree)]
    assert [each.path for each in lying.lying(found, "assets")] == ["x.png"]
    tree.rename(tmp_path / "away")
    with pytest.raises(Refused, match="is not there"):
        list(lying.lying(found, "assets"))


def test_folders_may_be_nested_deeper_than_calls(art: GitRepo) -> None:
    loose, deep = Loose(art), art.path / "deep"
    folder = str(deep)
    os.mkdir(folder)
    for _ in range(1500):
        folder += "/d"
        os.mkdir(folder)
    os.symlink(loose.text, f"{folder}/x.png")
    try:
        check(loose, lambda: run(["rm", "-rf", "deep"], cwd=art.path))
    finally:  # who clears up after tests may do so by recursion
        run(["rm", "-rf", "deep"], cwd=art.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at files as somebody else")
def test_a_folder_that_cannot_be_read_stops_it(tmp_path: Path) -> None:
    (tmp_path / "assets/shut").mkdir(parents=True)
    (tmp_path / "assets/shut").chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    tree = lying.WorkTree(str(tmp_path), False)
    assert list(lying.lying(tree, "assets")) == []
    os.seteuid(65534)
    try:
        with pytest.raises(Refused, match="cannot look for links"):
            list(lying.lying(tree, "assets"))
    finally:
        os.seteuid(0)


# -- ours --------------------------------------------------------------------------------------------------------------


def test_keep_keeps(art: GitRepo) -> None:
    loose = Loose(art)
    art.tool("keep", loose.hash)
    check(loose, lambda: art.tool("keep", "--remove", loose.hash[:12]))


def test_the_journal_keeps_what_undo_needs(art: GitRepo) -> None:
    source = art.write("new.png", media.png(seed=9))
    hash_ = art.tool("register", "--type", "ui", "--json", str(source)).json()[0]["hash"]
    remove = "comfyvn_store.AssetRegistry().remove_asset('ui/new.png')"
    run([sys.executable, "-P", "-c", f"import comfyvn_store; {remove}"], cwd=art.path)
    art.git("gc", "-q", "--prune=now")
    age(home(art))
    collect(art)
    assert hash_ in objects(home(art))
    art.tool("undo")
    assert oracle.digest(art.read("assets/ui/new.png")) == hash_
    assert art.status() == ["A  assets/ui/new.png", "A  assets/ui/new.png.asset.json", "?? new.png"]


# -- other clones ------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(art: GitRepo, tmp_path: Path) -> tuple[GitRepo, GitRepo]:
    """Two clones that share a store."""
    return art, pair(art, tmp_path)


OTHERS: dict[str, Root] = {
    "branch": lambda loose: _made(loose, ["update-ref", "refs/heads/topic", loose.commit]),
    "index": lambda loose: _made(loose, ["update-index", "--add", "--cacheinfo", f"120000,{loose.blob},assets/x"]),
}


def _made(loose: Loose, words: list[str]) -> Release:
    loose.repo.git(*words)
    undo = ["update-ref", "-d", words[1]] if words[0] == "update-ref" else ["reset", "-q", "--hard"]
    return lambda: loose.repo.git(*undo)


def _linked(loose: Loose) -> Release:
    place = loose.repo.path / "assets/x.png"
    place.symlink_to(loose.text)
    return place.unlink


def _kept(loose: Loose) -> Release:
    loose.repo.tool("keep", loose.hash)
    return lambda: loose.repo.tool("keep", "--remove", loose.hash)


OTHERS |= {"link": _linked, "keep": _kept}


@pytest.mark.parametrize("kind", list(OTHERS))
def test_what_another_clone_needs_is_kept(two: tuple[GitRepo, GitRepo], tmp_path: Path, kind: str) -> None:
    mine, other = two
    store = tmp_path / "shared"
    loose = loose_in(other, store)
    release = OTHERS[kind](loose)
    age(store)
    collect(mine)
    assert loose.hash in objects(store)
    release()
    age(store)
    assert list(collect(mine).freed) == [loose.hash]


def test_a_clone_that_cannot_be_asked_stops_it(two: tuple[GitRepo, GitRepo], tmp_path: Path) -> None:
    mine, other = two
    store = tmp_path / "shared"
    loose = loose_in(other, store)
    age(store)
    (other.path / ".git/HEAD").rename(other.path / ".git/GONE")
    with pytest.raises(Refused, match="other"):
        collect(mine)
    assert loose.hash in objects(store)


def test_the_longest_grace_of_all_clones_counts(two: tuple[GitRepo, GitRepo], tmp_path: Path) -> None:
    mine, other = two
    store = tmp_path / "shared"
    loose_in(other, store)
    age(store)
    mine.git("config", "comfyvn.trashGrace", "2h")
    assert collect(mine).trash_grace == 14 * 86400
    other.git("config", "comfyvn.trashGrace", "30d")
    for days in (20, 25):
        found = gc.collect(open_repository(str(mine.path)), prune=True, now=time.time() + days * 86400)
        assert (found.waiting.objects, found.due.objects, found.trash_grace) == (1, 0, 30 * 86400)
    other.git("config", "comfyvn.trashGrace", "1h")
    assert collect(mine).trash_grace == 2 * 3600
    other.git("config", "comfyvn.trashGrace", "soon")
    with pytest.raises(Refused, match="soon"):
        collect(mine)


# -- what git cannot list ----------------------------------------------------------------------------------------------


def test_a_partial_clone_that_lacks_blobs_stops_it(art: GitRepo, tmp_path: Path) -> None:
    art.write(HERO, media.png(seed=5))
    art.git("commit", "-q", "-am", "second")
    art.git("config", "uploadpack.allowFilter", "true")
    run(["git", "clone", "-q", "--filter=blob:none", f"file://{art.path}", "part"], cwd=tmp_path)
    part = GitRepo(tmp_path / "part")
    part.tool("init")
    loose = Loose(part)
    age(home(part))
    done = part.tool("gc", "--prune", "--grace", "0", "--json", check=False)
    assert (done.code, done.json()["error"]) == (20, "refused")
    assert "is not here, so nobody can tell which art it names" in done.err
    assert loose.is_there
    part.git("config", "--unset", "remote.origin.partialclonefilter")
    part.git("fetch", "-q", "--refetch")
    assert loose.hash in part.tool("gc", "--prune", "--grace", "0", "--json").out


def test_a_broken_ref_stops_it(art: GitRepo) -> None:
    loose = Loose(art)
    (art.path / ".git/refs/heads/topic").write_text("")
    age(loose.store)
    with pytest.raises(Refused, match="broken ref"):
        collect(art)
    assert loose.is_there


def test_packed_refs_that_were_emptied_stop_it(art: GitRepo) -> None:
    loose, packed = Loose(art), art.path / ".git/packed-refs"
    art.git("update-ref", "refs/heads/topic", loose.commit)
    art.git("pack-refs", "--all")
    packed.write_bytes(b"")
    art.git("update-ref", "refs/heads/main", art.git("rev-parse", f"{loose.commit}^").out)
    age(loose.store)
    with pytest.raises(Refused, match="packed-refs' is empty"):
        collect(art)
    assert loose.is_there
    packed.unlink()
    assert list(collect(art).freed) == [loose.hash]


@pytest.mark.parametrize("name", ["HEAD", "index"])
def test_a_work_tree_of_which_git_knows_nothing_any_more_stops_it(art: GitRepo, tmp_path: Path, name: str) -> None:
    loose, tree = Loose(art), GitRepo(tmp_path / "tree")
    art.git("worktree", "add", "-q", str(tree.path))
    tree.git("update-index", "--add", "--cacheinfo", f"120000,{loose.blob},assets/x.png")
    (art.path / ".git/worktrees/tree" / name).write_bytes(b"")
    age(loose.store)
    with pytest.raises(Refused):
        collect(art)
    assert loose.is_there


def test_a_damaged_database_stops_it(art: GitRepo) -> None:
    loose = Loose(art)
    tree = art.git("rev-parse", "HEAD:assets/characters").out
    (art.path / ".git/objects" / tree[:2] / tree[2:]).unlink()
    age(loose.store)
    with pytest.raises(Refused):
        collect(art)
    assert loose.is_there


def test_a_keep_list_that_is_broken_stops_it(art: GitRepo) -> None:
    loose = Loose(art)
    (loose.store / "keep").write_text("what is this\n")
    age(loose.store)
    with pytest.raises(MachineError, match="names no object"):
        collect(art)
    assert loose.is_there


@pytest.mark.parametrize("text", ["", "head", "tail", "cut", "zeros"])
def test_a_keep_list_that_is_not_whole_stops_it(art: GitRepo, text: str) -> None:
    loose = Loose(art)
    art.tool("keep", loose.hash, HERO)
    place = loose.store / "keep"
    head, *lines = place.read_text().splitlines(keepends=True)
    assert head == "comfyvn-store keep 1 2\n" and len(lines) == 2
    texts = {"head": head, "tail": head + lines[0], "cut": head + lines[0] + lines[1][:-3], "zeros": "\0" * 99}
    place.write_text(texts.get(text, ""))
    age(loose.store)
    with pytest.raises((Refused, MachineError), match="keep"):
        collect(art)
    assert loose.is_there


def test_keep_lists_of_before_are_read(art: GitRepo) -> None:
    loose = Loose(art)
    art.tool("keep", loose.hash, HERO)
    place = loose.store / "keep"
    place.write_text("".join(place.read_text().splitlines(keepends=True)[1:]))
    check(loose, lambda: art.tool("keep", "--remove", loose.hash))
    art.tool("keep", "--remove", HERO)
    assert place.read_text() == "comfyvn-store keep 1 0\n"
    collect(art)


# -- what is damaged ---------------------------------------------------------------------------------------------------


def _empty(place: Path, other: Path) -> None:
    place.write_bytes(b"")


def _garbage(place: Path, other: Path) -> None:
    place.write_bytes(b"garbage" * 9)


def _cut(place: Path, other: Path) -> None:
    place.write_bytes(place.read_bytes()[:-9])


def _swapped(place: Path, other: Path) -> None:
    place.write_bytes(other.read_bytes())


DAMAGES = [_empty, _garbage, _cut, _swapped]


def damage(art: GitRepo, oid: str, how: Callable[[Path, Path], None]) -> None:
    places = [art.path / ".git/objects" / name[:2] / name[2:] for name in (oid, _another(art))]
    places[0].chmod(0o644)
    how(*places)


def _another(art: GitRepo) -> str:
    return art.git("hash-object", "-w", "--stdin", input="another").out


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("what", ["blob", "tree", "commit"])
def test_a_damaged_git_object_stops_it(art: GitRepo, what: str, how: Callable[[Path, Path], None]) -> None:
    loose = Loose(art)
    art.git("update-ref", "refs/heads/topic", loose.commit)
    damage(art, getattr(loose, what), how)
    age(loose.store)
    with pytest.raises(Refused):
        collect(art)
    assert loose.is_there


@pytest.mark.parametrize("how", DAMAGES[:2])
@pytest.mark.parametrize("where", ["reflog", "ORIG_HEAD", "index.lock"])
def test_a_damaged_git_object_that_no_ref_names_stops_it(
    art: GitRepo, where: str, how: Callable[[Path, Path], None]
) -> None:
    loose = Loose(art)
    if where == "reflog":
        art.git("-c", "core.logAllRefUpdates=true", "update-ref", "--create-reflog", "HEAD", loose.commit)
        art.git("-c", "core.logAllRefUpdates=true", "update-ref", "HEAD", f"{loose.commit}^")
    elif where == "ORIG_HEAD":
        (art.path / ".git/ORIG_HEAD").write_text(f"{loose.commit}\n")
    else:
        other = art.path / ".git/other"
        art.git("update-index", "--add", "--cacheinfo", f"120000,{loose.blob},x", env={"GIT_INDEX_FILE": str(other)})
        other.rename(art.path / ".git/index.lock")
    damage(art, loose.blob if where == "index.lock" else loose.commit, how)
    age(loose.store)
    with pytest.raises(Refused):
        collect(art)
    assert loose.is_there


def test_what_git_noted_and_has_let_go_of_is_no_hindrance(art: GitRepo) -> None:
    loose = Loose(art)
    (art.path / ".git/ORIG_HEAD").write_text("1" * 40 + "\n")
    age(loose.store)
    assert list(collect(art).freed) == [loose.hash]
