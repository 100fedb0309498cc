"""`migrate annex`: locked and unlocked files of git-annex become assets."""

from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo, run
from tests.migrants import annex_repository, check_migrated, exported, ids, init, inode, needs_annex, sha256, space
from tests.oracle import digest, raw_blobs

pytestmark = needs_annex

LOCKED, UNLOCKED, MOVED, MD5 = "assets/bg/locked.png", "assets/bg/unlocked.png", "assets/moved.png", "assets/bg/md5.png"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art() -> dict[str, bytes]:
    return {
        path: media.png(120, 120, seed=n, noise=True) for n, path in enumerate((LOCKED, UNLOCKED, MOVED, MD5), start=1)
    }


@pytest.fixture
def annex(tmp_path: Path, art: dict[str, bytes]) -> GitRepo:
    repo = annex_repository(tmp_path / "annex")
    repo.write(LOCKED, art[LOCKED])
    repo.write(UNLOCKED, media.png(seed=8))
    repo.write("assets/bg/before.png", art[MOVED])
    repo.git("annex", "add", ".")
    repo.git("annex", "unlock", UNLOCKED)
    repo.commit("one")
    repo.write(MD5, art[MD5])
    repo.git("annex", "add", "--backend=MD5E", MD5)
    repo.write(UNLOCKED, art[UNLOCKED])
    repo.git("add", UNLOCKED)
    repo.git("mv", "assets/bg/before.png", MOVED)
    repo.commit("two")
    init(repo)
    return repo


def annex_objects(repo: GitRepo) -> dict[str, Path]:
    return {sha256(path): path for path in (repo.path / ".git/annex/objects").rglob("*") if path.is_file()}


def test_locked_and_unlocked_files_become_views_of_the_annexed_bytes(
    annex: GitRepo, art: dict[str, bytes], tmp_path: Path
) -> None:
    before = space(annex)
    inodes = {hash_: inode(path) for hash_, path in annex_objects(annex).items()}
    done = annex.tool("migrate", "annex", "--json").json()
    assert {item["path"]: item["how"] for item in done["files"]} == dict.fromkeys(art, "linked")
    assert done["adapted"] == [".git/info/attributes"]
    for data in art.values():
        assert inode(annex.object_path(digest(data))) == inodes[digest(data)]
    annex.commit("art")
    check_migrated(annex, art, tmp_path)
    assert raw_blobs(annex) == []
    assert space(annex) < before * 1.03 + 200_000


def test_art_that_is_added_afterwards_is_ours(annex: GitRepo) -> None:
    annex.tool("migrate", "annex")
    annex.commit("art")
    annex.write("assets/bg/new.png", media.png(seed=50))
    annex.git("add", "assets/bg/new.png")
    annex.commit("new")
    assert annex.link("assets/bg/new.png").startswith("../../.comfyvn/objects/")
    assert annex.status() == []


def test_annexed_files_elsewhere_keep_git_annexs_filter(annex: GitRepo) -> None:
    annex.write("assets/.gitattributes", annex.read("assets/.gitattributes") + b"*.txt -filter\n")
    annex.write("big.bin", b"x" * 3000)
    annex.git("annex", "add", "big.bin")
    annex.git("annex", "unlock", "big.bin")
    annex.git("add", "assets/.gitattributes")
    annex.commit("elsewhere")
    done = annex.tool("migrate", "annex", "--json", check=False)
    assert [left["path"] for left in done.json()["left"]] == ["big.bin"]
    said = annex.git("check-attr", "filter", "big.bin", LOCKED, "assets/a.txt", LOCKED + ".asset.json").out.split("\n")
    assert [line.rpartition(" ")[2] for line in said] == ["annex", "comfyvn", "unset", "comfyvn-sidecar"]
    annex.commit("art")
    assert annex.status() == []
    before = (annex.path / ".git/info/attributes").read_bytes()
    annex.tool("migrate", "annex", check=False)
    assert (annex.path / ".git/info/attributes").read_bytes() == before


def test_what_was_dropped_is_linked_where_its_key_tells_the_hash(annex: GitRepo, art: dict[str, bytes]) -> None:
    annex.git("annex", "drop", "--force", LOCKED, MD5)
    done = annex.tool("migrate", "annex", "--json", check=False)
    assert done.code == 1
    assert done.json()["missing"] == [LOCKED]
    assert [(left["path"], "git annex get" in left["hint"]) for left in done.json()["left"]] == [(MD5, True)]
    assert annex.link(LOCKED).endswith(digest(art[LOCKED])[2:])
    assert ".git/annex/objects" in annex.link(MD5)


def test_with_annex_thin_nothing_shares_an_inode_that_is_written_to(annex: GitRepo, art: dict[str, bytes]) -> None:
    annex.git("config", "annex.thin", "true")
    annex.git("annex", "lock", UNLOCKED)
    annex.git("annex", "unlock", UNLOCKED)
    assert (annex.path / UNLOCKED).stat().st_nlink == 2
    done = annex.tool("migrate", "annex", "--json", check=False).json()
    assert {item["how"] for item in done["files"]} <= {"copied", "there"}
    theirs = annex_objects(annex)[digest(art[LOCKED])]
    assert inode(theirs) != inode(annex.object_path(digest(art[LOCKED])))


def test_the_cache_is_removed_when_asked(annex: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    done = annex.tool("migrate", "annex", "--remove-cache", "--json").json()
    assert done["cache_files_removed"] == len(art)
    assert set(annex_objects(annex)) & {digest(data) for data in art.values()} == set()
    annex.commit("art")
    check_migrated(annex, art, tmp_path)


def test_the_whole_history(annex: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    old = annex.git("rev-list", "main").out.split()
    untouched = annex.git("rev-parse", "git-annex").out
    annex.tool("migrate", "annex", "--history")
    assert annex.git("rev-parse", "git-annex").out == untouched
    check_migrated(annex, art, tmp_path)
    new = ids(annex)
    assert set(old) <= set(new)
    first = exported(annex, new[old[-1]], tmp_path / "first")
    assert first == {
        LOCKED: art[LOCKED],
        UNLOCKED: media.png(seed=8),
        "assets/bg/before.png": art[MOVED],
    }
    moved = annex.sidecar(MOVED)["provenance"]
    assert moved["commit"] == new[old[-1]]  # renaming made no new record
    assert annex.git("fsck", "--strict").code == 0


def test_init_says_what_to_type(annex: GitRepo) -> None:
    said = annex.tool("init").out
    assert "4 files below assets/ are kept by git-annex" in said and "comfyvn-store migrate annex\n" in said + "\n"
    assert "came into git before" not in said
    assert annex.tool("init", "--json").json()["others"] == {"annex": 4}
    annex.tool("migrate", "annex")
    assert "migrate" not in annex.tool("init").out


def test_a_clone_without_git_annex_keeps_its_pointers(tmp_path: Path) -> None:
    origin = annex_repository(tmp_path / "origin")
    origin.write(UNLOCKED, media.png(seed=1))
    origin.git("annex", "add", ".")
    origin.git("annex", "unlock", UNLOCKED)
    origin.commit("art")
    run(["git", "clone", "-q", str(origin.path), "clone"], cwd=tmp_path)
    repo = GitRepo(tmp_path / "clone")
    text = repo.read(UNLOCKED)
    assert text.startswith(b"/annex/objects/SHA256E-")
    init(repo)
    repo.git("add", "--renormalize", "assets")
    assert repo.blob(f":{UNLOCKED}") == text and repo.status() == []
    assert repo.tool("status", "--json").json()["foreign"] == [{"path": UNLOCKED, "program": "annex"}]
