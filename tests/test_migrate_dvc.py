"""`migrate dvc`: what `.dvc` files name becomes assets, out of DVC's cache."""

import json
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo
from tests.migrants import check_migrated, dvc, dvc_repository, exported, ids, init, inode, needs_dvc, sha256, space
from tests.oracle import digest

pytestmark = needs_dvc

ONE, ODD, A, B = "assets/bg/one.png", 'assets/bg/ü "x" #1.png', "assets/set/a.png", "assets/set/sub/b.png"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art() -> dict[str, bytes]:
    return {path: media.png(120, 120, seed=n, noise=True) for n, path in enumerate((ONE, ODD, A, B), start=1)}


@pytest.fixture
def kept(tmp_path: Path, art: dict[str, bytes]) -> GitRepo:
    """Single files and a folder, in two commits."""
    repo = dvc_repository(tmp_path / "dvc")
    repo.write(ONE, media.png(seed=70))
    repo.write(ODD, art[ODD])
    repo.write(A, art[A])
    dvc(repo, "add", "--quiet", ONE, ODD, "assets/set")
    repo.git("add", "-A")
    repo.commit("one")
    repo.write(ONE, art[ONE])
    repo.write(B, art[B])
    dvc(repo, "add", "--quiet", ONE, "assets/set")
    repo.git("add", "-A")
    repo.commit("two")
    init(repo)
    return repo


def cache(repo: GitRepo) -> dict[str, Path]:
    return {sha256(path): path for path in (repo.path / ".dvc/cache").rglob("*") if path.is_file()}


def test_files_and_folders_become_views_of_the_cached_bytes(
    kept: GitRepo, art: dict[str, bytes], tmp_path: Path
) -> None:
    before, inodes = space(kept), {hash_: inode(path) for hash_, path in cache(kept).items()}
    done = kept.tool("migrate", "dvc", "--json").json()
    assert {item["path"]: item["how"] for item in done["files"]} == dict.fromkeys(art, "linked")
    assert sorted(done["adapted"]) == ["assets/.gitignore", "assets/bg/.gitignore"]
    for data in art.values():
        assert inode(kept.object_path(digest(data))) == inodes[digest(data)]
    kept.commit("art")
    check_migrated(kept, art, tmp_path)
    assert not [path for path in (kept.path / "assets").rglob("*") if path.name.endswith((".dvc", ".gitignore"))]
    assert (kept.path / ".dvc/config").exists()
    assert space(kept) < before * 1.03 + 200_000


def test_lines_of_the_users_in_gitignore_stay(kept: GitRepo) -> None:
    kept.write("assets/bg/.gitignore", kept.read("assets/bg/.gitignore") + b"*.kra\n")
    kept.git("add", "-A")
    kept.commit("ignore")
    kept.tool("migrate", "dvc")
    assert kept.read("assets/bg/.gitignore") == b"*.kra\n"


def test_a_changed_dvc_file_is_left(kept: GitRepo) -> None:
    kept.write(ONE + ".dvc", kept.read(ONE + ".dvc") + b"# a word\n")
    done = kept.tool("migrate", "dvc", "--json", check=False).json()
    assert [left["path"] for left in done["left"]] == [ONE + ".dvc"]
    assert kept.staged(ONE + ".dvc") is not None and kept.staged(ONE) is None
    assert kept.staged(ODD) is not None


def test_an_edited_file_stays_beside_the_recorded_version(kept: GitRepo, art: dict[str, bytes]) -> None:
    kept.write(ONE, b"edited")
    done = kept.tool("migrate", "dvc", "--json", check=False).json()
    assert done["kept"] == [ONE] and kept.read(ONE) == b"edited"
    staged = kept.staged(ONE)
    assert staged is not None and staged[0] == "120000"
    assert kept.object_path(digest(art[ONE])).read_bytes() == art[ONE]


def test_bytes_that_are_not_here_leave_the_whole_dvc_file(kept: GitRepo, art: dict[str, bytes]) -> None:
    for data in (art[ONE], art[B]):
        cache(kept)[digest(data)].unlink()
    (kept.path / ONE).unlink()
    (kept.path / B).unlink()
    done = kept.tool("migrate", "dvc", "--json", check=False)
    assert done.code == 1
    said = done.json()
    assert sorted(left["path"] for left in said["left"]) == sorted([ONE, B])
    assert all("dvc pull" in left["hint"] for left in said["left"])
    assert [item["path"] for item in said["files"]] == [ODD]
    assert kept.staged("assets/set.dvc") is not None and kept.staged(A) is None


def test_out_of_the_work_tree_where_the_cache_is_gone(kept: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    cache(kept)[digest(art[ONE])].unlink()
    before = inode(kept.path / ONE)
    kept.tool("migrate", "dvc")
    assert inode(kept.object_path(digest(art[ONE]))) == before
    kept.commit("art")
    check_migrated(kept, art, tmp_path)


def test_hard_links_of_dvcs_own_are_no_obstacle(kept: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    dvc(kept, "config", "--local", "cache.type", "hardlink")
    dvc(kept, "checkout", "--quiet", "--relink")
    assert (kept.path / ONE).stat().st_nlink == 2
    done = kept.tool("migrate", "dvc", "--json").json()
    assert {item["how"] for item in done["files"]} == {"linked"}
    kept.commit("art")
    check_migrated(kept, art, tmp_path)


def test_a_cache_elsewhere_that_this_clone_named(kept: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    (kept.path / ".dvc/cache").rename(tmp_path / "cache")
    dvc(kept, "cache", "dir", "--local", str(tmp_path / "cache"))
    done = kept.tool("migrate", "dvc", "--json", "--remove-cache").json()
    assert len(done["files"]) == len(art) and done["cache_files_removed"] == 0
    kept.commit("art")
    check_migrated(kept, art, tmp_path)


def test_a_cache_elsewhere_that_the_repository_names_is_not_touched(
    kept: GitRepo, art: dict[str, bytes], tmp_path: Path
) -> None:
    (kept.path / ".dvc/cache").rename(tmp_path / "cache")
    (kept.path / ".dvc/config").write_text(f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    modes = {path: path.stat().st_nlink for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    kept.tool("migrate", "dvc", check=False)
    assert {path: path.stat().st_nlink for path in modes} == modes


def test_the_whole_history(kept: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    old = kept.git("rev-list", "--reverse", "HEAD").out.split()
    kept.tool("migrate", "dvc", "--history")
    check_migrated(kept, art, tmp_path)
    new = ids(kept)
    assert list(new) == old
    first = exported(kept, new[old[1]], tmp_path / "first")
    assert {path: data for path, data in first.items() if path.startswith("assets/")} == {
        ONE: media.png(seed=70),
        ODD: art[ODD],
        A: art[A],
    }
    touched = kept.git("log", "--format=", "--name-only", "HEAD").out.split("\n")
    assert [path for path in touched if path.startswith("assets/") and path.endswith((".dvc", ".gitignore"))] == []
    assert kept.sidecar(ONE)["provenance"]["parent"] == digest(media.png(seed=70))
    # of the folder only what came is new
    assert kept.sidecar(A)["provenance"]["commit"] == new[old[1]]
    assert kept.sidecar(B)["provenance"]["commit"] == new[old[2]]
    assert json.loads(kept.tool("status", "--json").out) is not None


def test_init_says_what_to_type(kept: GitRepo) -> None:
    said = kept.tool("init").out
    assert "4 files below assets/ are kept by DVC" in said and "comfyvn-store migrate dvc\n" in said + "\n"
    assert "came into git before" not in said
    assert kept.tool("init", "--json").json()["others"] == {"dvc": 4}
    kept.tool("migrate", "dvc")
    assert "migrate" not in kept.tool("init").out
