"""Clones that lack history, or whose objects are elsewhere: unknown is null, and git's remote is asked once."""

from pathlib import Path

import pytest

from comfyvn_store.ops.session import open_session
from comfyvn_store.vcs import history
from comfyvn_store.vcs.repository import open_repository
from tests import life, media, oracle, templates
from tests.gitrepo import GitRepo, run

OLD = "assets/bg/old.png"
COMMITS = 5


def _versions(repo: GitRepo) -> None:
    """A picture repainted in each of a few commits, a day apart, beside one that stays."""
    repo.write(OLD, media.png(seed=99))
    for day in range(COMMITS):
        repo.write(life.SKY, media.png(seed=day))
        repo.git("add", "-A")
        date = f"2026-01-0{day + 1}T12:00:00Z"
        repo.git("commit", "--quiet", "-m", str(day), env={"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date})
    repo.git("tag", "cut", "HEAD~2")
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")


@pytest.fixture
def origin(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> GitRepo:
    return templates.copied(tmp_path_factory, _versions, tmp_path / "origin")


def _cloned(origin: GitRepo, *options: str) -> GitRepo:
    target = origin.path.parent / "clone"
    run(["git", "clone", "--quiet", *options, f"file://{origin.path}", str(target)], cwd=origin.path)
    return GitRepo(target)


def _boundary(repo: GitRepo) -> set[str]:
    place = repo.path / ".git/shallow"
    return set(place.read_text().split()) if place.exists() else set()


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("--depth=1", False),
        ("--depth=2", True),
        ("--shallow-since=2026-01-04T00:00:00Z", True),
        ("--shallow-exclude=cut", True),
    ],
)
def test_what_a_shallow_clone_cannot_know_is_null_until_it_is_deepened(
    origin: GitRepo, tmp_path: Path, option: str, known: bool
) -> None:
    whole = life.commits(origin)
    clone = _cloned(origin, option)
    clone.tool("init")
    head = clone.head()
    assert _boundary(clone)
    assert life.commits(clone) == {OLD: None, life.SKY: head if known else None}
    assert [each["path"] for each in clone.tool("provenance", "--commit", "HEAD", "--json").json()] == (
        ["bg/sky.png"] if known else []
    )
    oracle.check_index(clone, tmp_path)
    clone.write("assets/bg/new.png", media.png(seed=50))
    clone.git("add", "-A")
    new = {"assets/bg/new.png": clone.commit("new")}
    assert life.commits(clone) == {OLD: None, life.SKY: head if known else None, **new}
    clone.git("fetch", "--quiet", "--deepen=1")
    assert life.commits(clone) == {OLD: None, life.SKY: head, **new}
    clone.git("fetch", "--quiet", "--unshallow")
    assert life.commits(clone) == {**whole, **new}
    oracle.check_index(clone, tmp_path)
    assert clone.status() == []


@pytest.mark.parametrize(("kind", "most"), [("blob:none", 1), ("tree:0", 2), ("blob:limit=200", 1)])
def test_a_partial_clone_fetches_what_it_needs_at_once(origin: GitRepo, tmp_path: Path, kind: str, most: int) -> None:
    clone = _cloned(origin, f"--filter={kind}")
    log = tmp_path / "trace"
    clone.tool("init", env={"GIT_TRACE2_EVENT": str(log)})
    fetches = [line for line in log.read_text().splitlines() if '"cmd_name"' in line and '"name":"fetch"' in line]
    assert 1 <= len(fetches) <= most
    assert life.commits(clone) == life.commits(origin)
    clone.write("assets/bg/new.png", media.png(seed=50))
    clone.git("add", "-A")
    clone.commit("new")
    oracle.check_index(clone, tmp_path)
    assert clone.status() == []
    clone.git("remote", "set-url", "origin", str(tmp_path / "gone"))
    assert len(clone.tool("list", "--json").json()) == 3  # all that was asked for is here now


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_a_partial_clone_without_its_remote_says_so_and_goes_on_later(
    origin: GitRepo, tmp_path: Path, kind: str
) -> None:
    clone = _cloned(origin, f"--filter={kind}")
    clone.git("remote", "set-url", "origin", str(tmp_path / "gone"))
    for words in (["init"], ["list"], ["rebuild"]):
        done = clone.tool(*words, check=False)
        assert (done.code, "its remote does not give" in done.err, "hint: connect" in done.err) == (15, True, True)
    assert clone.status() == []
    clone.write(life.SKY, media.png(seed=50))
    clone.git("add", "-A")
    mine = clone.commit("without the remote")
    assert oracle.assets(clone)[life.SKY][0] == "120000"
    clone.git("remote", "set-url", "origin", str(origin.path))
    assert life.commits(clone) == {**life.commits(origin), life.SKY: mine}
    oracle.check_index(clone, tmp_path)
    assert clone.status() == []


@pytest.mark.parametrize("options", [["--shared"], ["--reference", "origin"]])
def test_objects_of_git_are_borrowed_and_ours_are_said_to_be_missing(
    origin: GitRepo, tmp_path: Path, options: list[str]
) -> None:
    run(["git", "clone", "--quiet", *options, str(origin.path), "clone"], cwd=tmp_path)
    clone = GitRepo(tmp_path / "clone")
    assert (tmp_path / "clone/.git/objects/info/alternates").exists()
    assert "2 files of 2 are not here yet" in clone.tool("init").out
    assert life.commits(clone) == life.commits(origin)
    assert clone.tool("status", "--json").json()["missing"] == [OLD, life.SKY]
    clone.write(life.SKY, media.png(seed=60))
    clone.git("add", "-A")
    assert clone.commit("new") == life.commits(clone)[life.SKY]
    oracle.check_index(clone, tmp_path)
    assert clone.status() == []


@pytest.mark.parametrize("kind", ["plain", "packed", "--shared", "--depth=2", "--filter=blob:none", "split", "apart"])
def test_libgit2_and_git_read_the_same(
    origin: GitRepo, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether or not libgit2 opens such a repository and finds all its objects."""
    repo = _of_kind(origin, kind)
    if kind == "apart":
        (repo.path / ".git/objects").rename(tmp_path / "objects")
        (repo.path / ".git/objects").mkdir()
        monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    listed = origin.git("rev-list", "--objects", "--no-object-names", "HEAD~1").out.split()
    kinds = origin.git("cat-file", "--batch-check", input="\n".join(listed)).out.splitlines()
    wanted = [line.split()[0] for line in kinds if " blob " in line]
    if kind == "--depth=2":  # what the clone lacks, neither has
        assert len(wanted) > 2 * COMMITS
    found, contents = [], []
    for worth in (0, 10**9):
        monkeypatch.setattr(history, "_WORTH_PYGIT2", worth)
        opened = open_repository(str(repo.path))
        found.append(dict(history.read_many(opened, wanted, in_process=True)))
        if not opened.is_initialised:
            repo.tool("init")
        place = tmp_path / f"{worth}.db"
        open_session(str(repo.path), db_path=str(place)).index.close()
        contents.append(oracle.index_content(place))
    assert found[0] == found[1]
    assert sum(data is not None for data in found[0].values()) == (len(wanted) if kind != "--depth=2" else 5)
    assert contents[0] == contents[1]
    assert len(contents[0]["assets_registry"]) == 2


def _of_kind(origin: GitRepo, kind: str) -> GitRepo:
    if kind == "--shared":
        run(["git", "clone", "--quiet", kind, str(origin.path), "clone"], cwd=origin.path.parent)
        return GitRepo(origin.path.parent / "clone")
    if kind.startswith("--"):
        return _cloned(origin, kind)
    if kind == "packed":
        origin.git("gc", "--quiet")
    elif kind == "split":
        origin.git("update-index", "--split-index")
    return origin
