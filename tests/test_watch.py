"""`watch DIR`: files become assets when they are complete, and nothing else happens to them."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, png
from tests.test_watch_comfyui import Watch, watch  # noqa: F401

Begin = Callable[..., Watch]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def test_a_file_is_taken_when_its_end_is_there_and_not_before(
    store_repo: GitRepo,
    out: Path,
    watch: Begin,  # noqa: F811
) -> None:
    running = watch(str(out))
    running.wait_for("watching")
    data = comfy_png(5, width=200, height=200)
    place = out / "ComfyUI_00001_.png"
    with open(place, "wb") as stream:
        for at in range(0, len(data) - 1, max(1, len(data) // 6)):
            stream.write(data[at : min(at + max(1, len(data) // 6), len(data) - 1)])
            stream.flush()
            time.sleep(1.2)  # longer than a whole file has to be the same
        assert not [event for event in running.events() if event["event"] in ("added", "left")]
        stream.write(data[-1:])
    running.wait_for("added")
    assert place.read_bytes() == data
    assert running.end() == 0
    assert store_repo.sidecar("assets/generated/ComfyUI_00001_.png")["provenance"]["inputs"]["seed"] == 5
    assert next(line for line in store_repo.status() if "ComfyUI" in line).startswith("A ")


def test_a_format_without_an_end_is_taken_when_it_rests(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out), "--as", "plain")
    (out / "notes.bin").write_bytes(b"\1\2\3")
    running.wait_for("added")
    assert running.end(signal.SIGTERM) == 0


def test_temporary_names_are_not_seen_and_a_rename_is(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    (out / "a.png.tmp").write_bytes(png(8, 8, 1))
    (out / ".a.png").write_bytes(png(8, 8, 1))
    time.sleep(3)
    assert [event["event"] for event in running.events()] == ["watching"]
    (out / "a.png.tmp").rename(out / "a.png")
    assert running.wait_for("added")[0]["path"] == "assets/generated/a.png"
    assert running.end() == 0


def test_a_file_that_is_saved_anew_becomes_a_new_version(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    (out / "a.png").write_bytes(png(8, 8, 1))
    running.wait_for("added")
    old = store_repo.sidecar("assets/generated/a.png")["hash"]
    (out / "a.png").write_bytes(png(8, 8, 2))
    running.wait_for("replaced")
    assert running.end() == 0
    card = store_repo.sidecar("assets/generated/a.png")
    assert card["provenance"]["parent"] == old and store_repo.object_path(old).exists()
    # A later watch knows what this one did, and takes a third state for a version, too.
    (out / "a.png").write_bytes(png(8, 8, 3))
    done = store_repo.tool("watch", str(out), "--type", "generated", "--once", "--json")
    assert [json.loads(line)["event"] for line in done.out.splitlines()] == ["watching", "replaced", "ended"]


def test_a_name_that_others_bytes_have_is_left(store_repo: GitRepo, out: Path) -> None:
    store_repo.write("assets/generated/a.png", png(8, 8, 9))
    store_repo.git("add", "assets")
    store_repo.commit("art")
    (out / "a.png").write_bytes(png(8, 8, 1))
    done = store_repo.tool("watch", str(out), "--type", "generated", "--once", check=False)
    assert done.code == 1 and "left" in done.out and "has that name" in done.out
    assert store_repo.status() == []


def test_a_folder_that_vanishes_is_waited_for(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    (out / "a.png").write_bytes(png(8, 8, 1))
    running.wait_for("added")
    shutil.rmtree(out)
    running.wait_for("gone")
    out.mkdir()
    (out / "b.png").write_bytes(png(8, 8, 2))
    running.wait_for("back")
    running.wait_for("added", 2)
    assert running.end() == 0
    assert (store_repo.path / "assets/generated/a.png").exists()


def test_thousands_at_once(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    running.wait_for("watching")
    for number in range(1000):
        (out / f"{number:05}.png").write_bytes(png(8, 8, number))
    running.wait_for("added", 1000, 200)
    assert running.end() == 0
    assert len(store_repo.tool("log", "--operations", "--json").json()) == 1
    store_repo.commit("art")
    assert store_repo.status() == []


def test_a_commit_that_holds_the_index_is_waited_for(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    running.wait_for("watching")
    lock = store_repo.path / ".git/index.lock"
    lock.write_bytes(b"")
    (out / "a.png").write_bytes(png(8, 8, 1))
    assert "index" in running.wait_for("waiting")[0]["reason"]
    lock.unlink()
    running.wait_for("added")
    assert running.end() == 0
    assert "A  assets/generated/a.png" in store_repo.status()


def test_git_works_while_a_watch_takes_files_in(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    running.wait_for("watching")
    for number in range(200):
        (out / f"{number:05}.png").write_bytes(png(8, 8, number))
    running.wait_for("added")
    for number in range(5):
        store_repo.write(f"notes{number}.txt", "words")
        store_repo.git("add", f"notes{number}.txt")
        store_repo.commit("words", "--", f"notes{number}.txt")
    running.wait_for("added", 200, 200)
    assert running.end() == 0
    store_repo.commit("art")
    assert store_repo.status() == [] and store_repo.tool("check").code == 0


def test_a_second_watch_of_the_same_folder_is_refused(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    running.wait_for("watching")
    done = store_repo.tool("watch", f"{out}/.", "--type", "generated", check=False)
    assert done.code == 20 and f"process {running.process.pid}" in done.err
    running.process.kill()
    running.process.wait()
    assert store_repo.tool("watch", str(out), "--type", "generated", "--once").code == 0


def test_a_killed_watch_goes_on_where_it_was(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    for number in range(300):
        (out / f"{number:05}.png").write_bytes(png(8, 8, number))
    running = watch(str(out))
    running.wait_for("added", 60)
    running.process.kill()
    running.process.wait()
    done = store_repo.tool("watch", str(out), "--type", "generated", "--once", "--json")
    counts = json.loads(done.out.splitlines()[-1])["counts"]
    assert counts["left"] == 0 and counts["added"] + counts["known"] <= 300
    assert len(list((store_repo.path / "assets/generated").glob("*.png"))) == 300
    store_repo.commit("art")
    assert store_repo.status() == [] and store_repo.tool("fsck").code == 0


def test_files_are_opened_for_reading_only_and_keep_their_times(store_repo: GitRepo, out: Path) -> None:
    place = out / "a.png"
    place.write_bytes(png(8, 8, 1))
    place.chmod(0o444)
    out.chmod(0o555)
    before = place.stat()
    assert store_repo.tool("watch", str(out), "--type", "generated", "--once").code == 0
    after = place.stat()
    out.chmod(0o755)
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_mode) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_mode,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the priority is read from /proc")
def test_it_steps_back_behind_other_work(out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    running.wait_for("watching")
    assert os.getpriority(os.PRIO_PROCESS, running.process.pid) == 10
    assert running.end() == 0


def test_a_file_that_stays_cut_off_is_left_once(store_repo: GitRepo, out: Path) -> None:
    (out / "a.png").write_bytes(png(64, 64, 1)[:-8])
    (out / "b.png").write_bytes(png(8, 8, 2))
    done = store_repo.tool("watch", str(out), "--type", "generated", "--once", "--json", check=False)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [(event["event"], Path(event.get("file", "")).name) for event in events[1:-1]] == [
        ("added", "b.png"),
        ("left", "a.png"),
    ]
    assert done.code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a folder, or a server"),
        (("x", "--comfyui", "http://127.0.0.1:1"), "name a folder, or a server"),
        (("--comfyui", "http://127.0.0.1:1", "--as", "plain"), "--as is for folders"),
        (("nowhere", "--type", "t"), "there is no folder 'nowhere'"),
        ((".",), "nothing says of which type"),
        ((".", "--type", "a/b"), "cannot be a type"),
        ((".", "--type", "../x"), "leaves the assets root"),
    ],
)
def test_what_makes_no_sense_is_refused(store_repo: GitRepo, words: tuple[str, ...], said: str) -> None:
    done = store_repo.tool("watch", *words, check=False)
    assert done.code in (2, 20) and said in done.err


def test_a_folder_that_was_empty_is_known_by_what_comes(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    assert running.wait_for("watching")[0]["as"] == "plain"
    (out / "notes.txt").write_text("words\n")
    for number in (1, 2):
        (out / f"mira_0000{number}_.png").write_bytes(comfy_png(number))
    running.wait_for("added")
    assert running.end() == 0
    assert [event["as"] for event in running.events() if event["event"] == "watching"] == ["plain", "comfyui"]
    assert store_repo.sidecar("assets/generated/mira_00001_.png")["tags"] == ["mira"]


def test_texts_beside_pictures_are_left_alone(store_repo: GitRepo, out: Path, watch: Begin) -> None:  # noqa: F811
    running = watch(str(out))
    (out / "notes.txt").write_text("words\n")
    (out / "picture.png").write_bytes(png(8, 8, 1))
    running.wait_for("added")
    time.sleep(4)
    assert running.end() == 0
    assert {event["path"] for event in running.events() if event["event"] == "added"} == {
        "assets/generated/picture.png"
    }
