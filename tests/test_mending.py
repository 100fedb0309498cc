"""What goes wrong on real machines and in real hands: rotten disks, mistaken paths, conflicts left open, full devices."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo

ALICE = "assets/characters/alice.png"
CARD = ALICE + ".asset.json"


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    """A repository with one committed picture."""
    store_repo.write(ALICE, media.comfy_png(1))
    store_repo.git("add", "-A")
    store_repo.git("commit", "-qm", "alice")
    return store_repo


def rot(place: Path) -> None:
    """Changes bytes as a dying disk does: size, mode and times stay."""
    before = place.stat()
    place.chmod(0o644)
    with place.open("r+b") as stream:
        stream.seek(before.st_size // 2)
        old = stream.read(3)
        stream.seek(before.st_size // 2)
        stream.write(bytes(255 - byte for byte in old))
    place.chmod(0o444)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_good_copy_takes_the_place_of_a_rotten_object(art: GitRepo) -> None:
    hash_ = art.sidecar(ALICE)["hash"]
    rot(art.object_path(hash_))
    art.write(ALICE, media.comfy_png(1))
    art.git("add", "-A")
    art.git("commit", "-q", "--allow-empty", "-m", "mended")
    assert hashlib.sha256(art.read(ALICE)).hexdigest() == hash_
    assert len(list((art.path / ".git/comfyvn/bad").iterdir())) == 1
    assert art.status() == []


def test_status_remembers_what_verify_found(art: GitRepo) -> None:
    rot(art.object_path(art.sidecar(ALICE)["hash"]))
    assert art.tool("status", "--json").json()["damaged"] == []
    assert art.tool("rebuild", "--verify", "--no-previews", check=False).code == 1
    assert art.tool("status", "--json").json()["damaged"] == [ALICE]
    assert art.tool("workflow", ALICE, check=False).code == 13


def test_a_file_of_the_users_never_becomes_the_index(art: GitRepo) -> None:
    art.write("script.rpy", b"label start:\n")
    done = art.tool("rebuild", "--db-path", "script.rpy", check=False)
    assert (done.code, art.read("script.rpy")) == (20, b"label start:\n")
    done = art.tool("list", check=False, env={"COMFYVN_DB_PATH": "script.rpy"})
    assert (done.code, art.read("script.rpy")) == (20, b"label start:\n")


def test_a_damaged_index_elsewhere_is_made_anew_and_kept_aside(art: GitRepo) -> None:
    art.tool("rebuild", "--no-previews", "--db-path", "data/art.db")
    index = art.path / "data/art.db"
    with sqlite3.connect(index) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    index.write_bytes(index.read_bytes()[:5000])
    assert "kept as" in art.tool("rebuild", "--no-previews", "--db-path", "data/art.db").err
    assert [row["view"] for row in art.tool("list", "--json", env={"COMFYVN_DB_PATH": "data/art.db"}).json()] == [ALICE]


@pytest.mark.parametrize("page", [1, 2, 3, 5, 8])
def test_a_damaged_page_heals_when_somebody_reads_it(art: GitRepo, page: int) -> None:
    index = Path(art.tool("db").out)
    before = art.tool("provenance", "--json").json()
    with sqlite3.connect(index) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with index.open("r+b") as stream:
        stream.seek(4096 * page)
        stream.write(b"\xa5" * 4096)
    assert [row["view"] for row in art.tool("list", "--json").json()] == [ALICE]
    assert art.tool("provenance", "--json").json() == before


def test_reading_leaves_a_conflict_open(art: GitRepo) -> None:
    art.git("switch", "-qc", "other")
    art.tool("annotate", ALICE, "--license", "CC0-1.0")
    art.git("commit", "-qm", "theirs")
    art.git("switch", "-q", "main")
    art.tool("annotate", ALICE, "--license", "CC-BY-4.0")
    art.git("commit", "-qm", "ours")
    assert art.git("merge", "-q", "other", check=False).code == 1
    before = art.git("ls-files", "-s").out
    art.tool("list")
    assert art.tool("status", "--json").json()["conflicts"] == [CARD]
    assert art.tool("annotate", ALICE, "--tag", "x", check=False).code == 20
    assert art.git("ls-files", "-s").out == before


def test_a_store_link_is_not_committed(art: GitRepo) -> None:
    (art.path / ".comfyvn").unlink()
    (art.path / ".comfyvn").symlink_to("elsewhere")
    art.git("add", "-f", ".comfyvn")
    done = art.git("commit", "-qm", "hostile", check=False)
    assert done.code != 0 and "'.comfyvn' is staged" in done.err
    assert art.tool("list", check=False).code == 20


def test_uninstall_and_init_again_leave_everything_as_it_was(art: GitRepo) -> None:
    link = art.link(ALICE)
    art.tool("uninstall")
    assert not (art.path / ALICE).is_symlink()
    art.tool("init")
    assert (art.link(ALICE), art.status()) == (link, [])


def test_a_colleagues_removal_takes_the_sidecar_with_the_next_commit(art: GitRepo) -> None:
    art.git("rm", "-q", "--cached", ALICE)
    (art.path / ALICE).unlink()
    art.git("commit", "-qnm", "without the tool")
    assert CARD in art.git("ls-files").out
    art.write("assets/characters/bob.png", media.comfy_png(2))
    art.git("add", "-A")
    art.git("commit", "-qm", "bob")
    assert CARD not in art.git("ls-files").out and art.status() == []


def test_a_sparse_checkout_survives_init(art: GitRepo) -> None:
    art.write("assets/backgrounds/park.png", media.comfy_png(3))
    art.git("add", "-A")
    art.git("commit", "-qm", "park")
    art.git("sparse-checkout", "set", "--no-cone", "/*", "!/assets/backgrounds/")
    art.tool("init")
    art.tool("rebuild", "--no-previews", check=False)
    assert not (art.path / "assets/backgrounds").exists()
    assert [line[:1] for line in art.git("ls-files", "-t", "assets/backgrounds").out.splitlines()] == ["S", "S"]
    assert art.status() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["list"], ["list", "--json"]])
def test_a_full_device_is_one_line_and_16(art: GitRepo, words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-P", "-m", "comfyvn_store", *words]
        done = subprocess.run(command, cwd=art.path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 16
    assert done.stderr.startswith(b"error: ") and b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_exit_code_says_what_messages_cannot(art: GitRepo) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-P", "-m", "comfyvn_store", "list"]
        assert subprocess.run(command, cwd=art.path, stdout=full, stderr=full, check=False).returncode == 16
        hook = [sys.executable, "-P", "-c", "from comfyvn_store.hot.main import run; run()", "pre-nothing"]
        assert subprocess.run(hook, cwd=art.path, stdout=full, stderr=full, check=False).returncode == 2


def test_an_index_lock_that_a_killed_process_of_ours_left_is_removed(art: GitRepo) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    git = art.path / ".git"
    (git / f"index.comfyvn-{gone.pid}-00000000").write_bytes((git / "index").read_bytes())
    (git / "index.lock").hardlink_to(git / f"index.comfyvn-{gone.pid}-00000000")
    time.sleep(1.1)
    art.tool("annotate", ALICE, "--tag", "free")
    assert not (git / "index.lock").exists() and not list(git.glob("index.comfyvn-*"))
    assert art.sidecar(ALICE)["tags"][-1] == "free"


def test_an_index_lock_of_a_git_stays(art: GitRepo) -> None:
    (art.path / ".git/index.lock").touch()
    time.sleep(1.1)
    done = art.tool("annotate", ALICE, "--tag", "free", check=False)
    assert done.code == 16 and (art.path / ".git/index.lock").exists()


def test_words_in_other_scripts_are_printed_as_they_are(art: GitRepo) -> None:
    art.tool("annotate", ALICE, "--meta", "note=日本\u3000語")
    assert "日本 語" in art.tool("show", ALICE).out


def test_a_sidecar_keeps_its_commit_while_other_bytes_are_staged(art: GitRepo) -> None:
    head = art.head()
    before = art.read(CARD)
    art.write(ALICE, media.comfy_png(2))
    art.git("add", "-A")
    art.tool("list")
    assert art.read(CARD) == before
    assert art.tool("show", ALICE, "--json").json()["commit"] is None
    # What git checks out where the index knows nothing comes without; a rewritten commit comes with another.
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "no hooks")
    art.git("commit", "-q", "--amend", "--reset-author", "-m", "again", env={"GIT_COMMITTER_DATE": "2030-01-01T00:00"})
    art.git("reset", "-q", "--soft", head)
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--amend", "-m", "first, with other bytes")
    art.tool("list")
    assert art.sidecar(ALICE)["provenance"]["commit"] == art.head()
    assert art.status() == []


def test_committing_one_file_with_the_bytes_of_head_leaves_nothing_staged(art: GitRepo) -> None:
    art.write(ALICE, media.comfy_png(1))
    art.git("commit", "-q", "--allow-empty", "-m", "the same again", "--", ALICE)
    assert art.status() == []
    assert (art.path / ALICE).is_symlink()


def test_words_in_a_sidecar_that_git_was_not_told_of_are_kept(art: GitRepo) -> None:
    new = "assets/heroes/alice.png"
    said = {**art.sidecar(ALICE), "path": "heroes/alice.png", "note": "by hand", "tags": ["red"]}
    art.write(f"{new}.asset.json", json.dumps(said))
    art.git("mv", ALICE, new)
    art.git("commit", "-qm", "moved")
    assert (art.sidecar(new)["note"], art.sidecar(new)["tags"]) == ("by hand", ["red"])
    assert json.loads(art.blob(f"HEAD:{new}.asset.json"))["tags"] == ["red"]
    assert art.sidecar(new)["provenance"]["id"] == said["provenance"]["id"]
    assert art.status() == []


def test_committing_one_view_of_a_moved_folder_leaves_its_sidecar_clean(art: GitRepo) -> None:
    art.git("mv", "assets/characters", "assets/heroes")
    art.git("commit", "-qm", "the view alone", "--", "assets/heroes/alice.png")
    assert art.status() == [f"D  {ALICE}", f"D  {CARD}"]
    art.git("commit", "-qm", "the rest")
    assert art.status() == []
    assert art.sidecar("assets/heroes/alice.png")["path"] == "heroes/alice.png"
