"""`migrate lfs`: what Git LFS keeps becomes assets, by a second name of its own files."""

import os
import shutil
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo, run
from tests.migrants import check_migrated, init, inode, lfs_object, lfs_repository, needs_lfs, space
from tests.oracle import digest, raw_blobs

pytestmark = needs_lfs

MIRA, CLUB, SONG = "assets/characters/mira.png", "assets/bg/club.png", "assets/music/song.wav"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art() -> dict[str, bytes]:
    return {
        MIRA: media.comfy_png(7),
        CLUB: media.png(200, 200, seed=2, noise=True),
        SONG: media.wav(),
    }


@pytest.fixture
def lfs(tmp_path: Path, art: dict[str, bytes]) -> GitRepo:
    """Art in several commits: added, changed, renamed, deleted, on two branches."""
    repo = lfs_repository(tmp_path / "lfs")
    repo.write(MIRA, media.png(seed=1))
    repo.write("assets/bg/old.png", art[CLUB])
    repo.write("assets/bg/gone.png", media.png(seed=9))
    repo.write("readme.txt", "text")
    repo.git("add", "-A")
    repo.commit("one")
    repo.git("branch", "topic")
    repo.write(MIRA, art[MIRA])
    repo.write(SONG, art[SONG])
    repo.git("rm", "-q", "assets/bg/gone.png")
    repo.git("mv", "assets/bg/old.png", CLUB)
    repo.git("add", "-A")
    repo.commit("two")
    init(repo)
    return repo


def test_pointers_become_links_and_lfs_objects_get_a_second_name(
    lfs: GitRepo, art: dict[str, bytes], tmp_path: Path
) -> None:
    before, inodes = space(lfs), {path: inode(lfs_object(lfs, data)) for path, data in art.items()}
    done = lfs.tool("migrate", "lfs", "--json").json()
    assert sorted(item["path"] for item in done["files"]) == sorted(art)
    assert done["adapted"] == [".gitattributes"] and not done["left"] and not done["missing"] and not done["kept"]
    for path, data in art.items():
        assert inode(lfs.object_path(digest(data))) == inodes[path], path
    lfs.commit("art into the store")
    check_migrated(lfs, art, tmp_path)
    assert raw_blobs(lfs) == []
    assert space(lfs) < before * 1.03 + 200_000
    assert not (lfs.path / ".gitattributes").exists()


def test_what_is_known_of_the_picture_is_read_from_its_bytes(lfs: GitRepo, art: dict[str, bytes]) -> None:
    lfs.tool("migrate", "lfs")
    head = lfs.commit("art")
    said = lfs.sidecar(MIRA)["provenance"]
    assert (said["source"], said["inputs"]["seed"], said["source_hash"]) == ("comfyui", 7, digest(art[MIRA]))
    assert said["commit"] == head
    assert lfs.sidecar(SONG)["provenance"]["source"] == "import"


def test_nothing_is_done_in_a_trial_run(lfs: GitRepo) -> None:
    before = {path: path.read_bytes() for path in lfs.path.rglob("*") if path.is_file() and ".git" not in path.parts}
    index = (lfs.path / ".git/index").read_bytes()
    objects = sorted((lfs.path / ".git/comfyvn/objects").rglob("*"))
    done = lfs.tool("migrate", "lfs", "--dry-run", "--json").json()
    assert {item["how"] for item in done["files"]} == {"linked"} and len(done["files"]) == 3
    assert {path: path.read_bytes() for path in before} == before
    assert (lfs.path / ".git/index").read_bytes() == index
    assert sorted((lfs.path / ".git/comfyvn/objects").rglob("*")) == objects


def test_a_second_run_changes_nothing(lfs: GitRepo) -> None:
    lfs.tool("migrate", "lfs")
    staged = lfs.git("ls-files", "-s").out
    done = lfs.tool("migrate", "lfs", "--json").json()
    assert done["files"] == [] and lfs.git("ls-files", "-s").out == staged


def test_without_its_object_a_pointer_becomes_a_link_that_leads_nowhere_yet(
    lfs: GitRepo, art: dict[str, bytes]
) -> None:
    shutil.rmtree(lfs.path / ".git/lfs/objects")
    pointer = lfs.blob(f":{CLUB}")
    (lfs.path / CLUB).write_bytes(pointer)
    lfs.object_path(digest(art[CLUB])).unlink(missing_ok=True)  # git may have looked at the file once more
    done = lfs.tool("migrate", "lfs", "--json", check=False)
    assert done.code == 1
    said = done.json()
    # the others' bytes are in the work tree
    assert said["missing"] == [CLUB] and "git lfs fetch" in said["fetch"]
    lfs.commit("art")
    assert lfs.status() == []
    assert lfs.link(CLUB).endswith(digest(art[CLUB])[2:]) and not (lfs.path / CLUB).exists()
    card = lfs.sidecar(CLUB)
    assert card["bytes"] == len(art[CLUB]) and card["provenance"]["source_hash"] is None
    assert lfs.read(MIRA) == art[MIRA]


def test_an_edit_stays_beside_what_is_staged(lfs: GitRepo, art: dict[str, bytes]) -> None:
    lfs.write(CLUB, b"painted since")
    done = lfs.tool("migrate", "lfs", "--json", check=False)
    assert done.json()["kept"] == [CLUB]
    assert lfs.read(CLUB) == b"painted since" and not (lfs.path / CLUB).is_symlink()
    staged = lfs.staged(CLUB)
    assert staged is not None and staged[0] == "120000"
    assert lfs.object_path(digest(art[CLUB])).read_bytes() == art[CLUB]


def test_files_elsewhere_are_named_and_keep_their_line(lfs: GitRepo, art: dict[str, bytes]) -> None:
    lfs.write("other.wav", media.wav())
    lfs.git("add", "other.wav")
    lfs.commit("elsewhere")
    done = lfs.tool("migrate", "lfs", "--json", check=False)
    assert done.code == 1
    assert [left["path"] for left in done.json()["left"]] == ["other.wav"]
    assert "assets" in done.json()["left"][0]["reason"]
    assert lfs.read(".gitattributes") == b"*.wav filter=lfs diff=lfs merge=lfs -text\n"
    lfs.commit("art")
    assert lfs.status() == []


def test_other_attributes_of_a_line_and_other_lines_stay(tmp_path: Path) -> None:
    repo = lfs_repository(tmp_path / "r")
    repo.write(
        ".gitattributes",
        "# mine\n*.c text\n*.png filter=lfs diff=lfs merge=lfs -text lockable\n*.ogg filter=lfs diff=lfs merge=lfs -text",
    )
    repo.write("assets/bg/a.png", media.png())
    repo.git("add", "-A")
    repo.commit("art")
    init(repo)
    repo.tool("migrate", "lfs")
    assert repo.read(".gitattributes") == b"# mine\n*.c text\n*.png lockable\n"


def test_attributes_with_edits_are_not_touched(lfs: GitRepo) -> None:
    lfs.write(".gitattributes", lfs.read(".gitattributes") + b"*.c text\n")
    done = lfs.tool("migrate", "lfs", check=False)
    assert done.code == 20 and ".gitattributes" in done.err
    assert lfs.git("diff", "--cached", "--name-only").out == ""
    assert lfs.read(".gitattributes").endswith(b"*.c text\n")


def test_only_what_is_named(lfs: GitRepo) -> None:
    done = lfs.tool("migrate", "lfs", "bg", "--json", cwd="assets", check=False).json()
    assert [item["path"] for item in done["files"]] == [CLUB]
    assert done["adapted"] == []  # the others need the line
    assert lfs.git("diff", "--cached", "--name-only").out.split("\n") == [CLUB, CLUB + ".asset.json"]
    assert lfs.tool("migrate", "lfs", "/", check=False).code == 2


def test_a_file_with_another_name_somewhere_is_copied(lfs: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    other = tmp_path / "writable.png"
    os.link(lfs_object(lfs, art[CLUB]), other)
    done = lfs.tool("migrate", "lfs", "--json").json()
    assert {item["path"]: item["how"] for item in done["files"]}[CLUB] in ("copied", "there")
    other.chmod(0o644)
    other.write_bytes(b"written through the other name")
    assert lfs.object_path(digest(art[CLUB])).read_bytes() == art[CLUB]


def test_the_cache_is_removed_when_asked(lfs: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    inodes = {path: inode(lfs_object(lfs, data)) for path, data in art.items()}
    done = lfs.tool("migrate", "lfs", "--remove-cache", "--json").json()
    assert done["cache_files_removed"] == 3
    for path, data in art.items():
        assert not lfs_object(lfs, data).exists()
        assert inode(lfs.object_path(digest(data))) == inodes[path]
        assert lfs.object_path(digest(data)).stat().st_nlink == 1
    # versions of old commits are still Git LFS's
    assert any(path.is_file() for path in (lfs.path / ".git/lfs/objects").rglob("*"))
    lfs.commit("art")
    check_migrated(lfs, art, tmp_path)


def test_a_damaged_object_is_named_and_never_taken(lfs: GitRepo, art: dict[str, bytes]) -> None:
    place = lfs_object(lfs, art[CLUB])
    place.chmod(0o644)
    place.write_bytes(b"rotten")
    done = lfs.tool("migrate", "lfs", "--json", "--remove-cache", check=False).json()
    assert done["damaged"] == [str(place.relative_to(lfs.path))]
    assert lfs.read(CLUB) == art[CLUB]  # out of the work tree
    assert place.read_bytes() == b"rotten"


def test_links_or_copies_as_it_is_set(lfs: GitRepo, art: dict[str, bytes]) -> None:
    lfs.git("config", "comfyvn.views", "copy")
    lfs.tool("init")
    lfs.tool("migrate", "lfs")
    lfs.commit("art")
    assert lfs.status() == []
    for path, data in art.items():
        assert lfs.read(path) == data and not (lfs.path / path).is_symlink()
        assert inode(lfs.path / path) != inode(lfs.object_path(digest(data)))
    (lfs.path / CLUB).write_bytes(b"saved over")
    assert lfs.object_path(digest(art[CLUB])).read_bytes() == art[CLUB]


def test_a_conflict_is_settled_first(lfs: GitRepo) -> None:
    lfs.write("readme.txt", "mine")
    lfs.commit("mine", "-a")
    lfs.git("switch", "-q", "--discard-changes", "-c", "other", "HEAD~1")
    lfs.write("readme.txt", "theirs")
    lfs.commit("theirs", "-a")
    assert lfs.git("merge", "main", check=False).code == 1
    assert lfs.tool("migrate", "lfs", check=False).code == 20


def test_init_says_what_to_type(lfs: GitRepo) -> None:
    said = lfs.tool("init").out
    assert "3 files below assets/ are kept by Git LFS" in said and "comfyvn-store migrate lfs\n" in said + "\n"
    assert "came into git before" not in said
    assert lfs.tool("init", "--json").json()["others"] == {"lfs": 3}
    lfs.tool("migrate", "lfs")
    assert "migrate" not in lfs.tool("init").out


def test_the_cache_is_removed_of_what_is_migrated_already(lfs: GitRepo, art: dict[str, bytes], tmp_path: Path) -> None:
    """As a run leaves it that was cut short before it removed anything."""
    lfs.tool("migrate", "lfs")
    lfs_object(lfs, art[CLUB]).unlink()
    lfs_object(lfs, art[CLUB]).write_bytes(b"other bytes than the name says")
    done = lfs.tool("migrate", "lfs", "--remove-cache", "--json").json()
    assert done["files"] == [] and done["cache_files_removed"] == 2
    assert lfs_object(lfs, art[CLUB]).exists() and not lfs_object(lfs, art[MIRA]).exists()
    lfs.commit("art")
    check_migrated(lfs, art, tmp_path)


def test_a_clone_without_the_bytes_keeps_its_pointers(tmp_path: Path) -> None:
    origin = lfs_repository(tmp_path / "origin", "*.png")
    origin.write(MIRA, media.png(seed=1))
    origin.write(CLUB, media.png(seed=2))
    origin.git("add", "-A")
    origin.commit("art")
    run(["git", "clone", "-q", str(origin.path), "clone"], cwd=tmp_path, env={"GIT_LFS_SKIP_SMUDGE": "1"})
    repo = GitRepo(tmp_path / "clone")
    pointers = {path: repo.read(path) for path in (MIRA, CLUB)}
    assert all(text.startswith(b"version https://git-lfs") for text in pointers.values())
    init(repo)
    repo.git("add", "--renormalize", "assets")
    os.utime(repo.path / MIRA, ns=(1, 1_000_000_007))
    repo.write("code.c", "int main;")
    repo.git("add", "code.c")
    repo.git("commit", "-qam", "more")
    repo.tool("doctor", "--fix", check=False)
    assert {path: repo.read(path) for path in pointers} == pointers
    assert {path: repo.blob(f":{path}") for path in pointers} == pointers
    assert repo.status() == []
    repo.git("lfs", "fetch", "--all")
    repo.tool("migrate", "lfs")
    repo.commit("taken over")
    check_migrated(repo, {MIRA: media.png(seed=1), CLUB: media.png(seed=2)}, tmp_path)


def test_bytes_whose_cache_was_removed_are_kept_though_git_takes_all_back(
    lfs: GitRepo, art: dict[str, bytes], tmp_path: Path
) -> None:
    lfs.tool("migrate", "lfs", "--remove-cache")
    lfs.git("reset", "-q", "--hard")
    lfs.git("reflog", "expire", "--expire=now", "--all")
    shutil.rmtree(lfs.path / ".git/comfyvn/operations")
    for place in (lfs.path / ".git/comfyvn/objects").rglob("*/*"):
        os.utime(place, (1_000_000_000, 1_000_000_000))
    lfs.tool("gc", "--prune", "--grace", "0")
    assert all(lfs.object_path(digest(data)).exists() for data in art.values())
    words = "migrate lfs: cache removed"
    assert {each["words"] for each in lfs.tool("keep", "--list", "--json").json()["kept"]} == {words}
    lfs.tool("keep", "--remove", words)
    assert lfs.tool("keep", "--list", "--json").json()["kept"] == []
