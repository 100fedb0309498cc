"""`import`: what comes in, what is left and why, what a second run does, and what a killed one leaves."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, png, wav
from tests.test_full_disk import fill, make_room, small  # noqa: F401


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def put(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def bring(repo: GitRepo, *words: str | Path, code: int = 0) -> dict[str, Any]:
    """Imports, and gives the report."""
    done = repo.tool("import", "--json", *map(str, words), check=False)
    assert done.code == code, done.err + done.out
    found: dict[str, Any] = done.json()
    return found


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """All files below a folder, with size and time."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*") if not path.is_dir()
    }


# -- any folder ------------------------------------------------------------------------------------------------------


def test_a_folder_comes_in_staged_with_its_folders_and_stays_as_it_was(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"hero.png": png(8, 8, 1), "faces/smile.png": comfy_png(5), "song.wav": wav()})
    before = everything(inbox)
    report = bring(store_repo, inbox, "--type", "characters", "--tag", "pack", "--license", "CC0-1.0", "--meta", "n=3")
    assert report["counts"] == {"added": 3, "replaced": 0, "known": 0, "left": 0, "passed": 0}
    assert report["types"]["characters"]["files"] == 3
    assert everything(inbox) == before
    card = store_repo.sidecar("assets/characters/hero.png")
    assert (card["tags"], card["license"], card["meta"]) == (["pack"], "CC0-1.0", {"n": 3})
    assert card["provenance"]["source"] == "import"
    assert store_repo.sidecar("assets/characters/faces/smile.png")["provenance"]["source"] == "comfyui"
    store_repo.commit("art")
    assert store_repo.status() == []
    assert store_repo.tool("check").code == 0


def test_without_a_type_nothing_is_taken(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"hero.png": png()})
    done = store_repo.tool("import", str(inbox), check=False)
    assert done.code == 2 and "nothing says of which type" in done.err and "--type" in done.err
    assert store_repo.status() == ["A  assets/.gitattributes"] or store_repo.status() == []


def test_a_second_import_changes_nothing(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"{number}.png": png(8, 8, number) for number in range(20)})
    bring(store_repo, inbox, "--type", "t")
    store_repo.commit("art")
    head, index = store_repo.head(), (store_repo.path / ".git/index").read_bytes()
    report = bring(store_repo, inbox, "--type", "t")
    assert report["counts"]["known"] == 20 and report["counts"]["added"] == 0
    assert store_repo.head() == head and store_repo.status() == []
    assert (store_repo.path / ".git/index").read_bytes() == index
    assert report["operation"] is None


def test_a_trial_run_says_all_and_writes_nothing(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"a.png": png(8, 8, 1), "b.png": png(8, 8, 1), "empty.png": b""})
    store_repo.tool("status")
    before = everything(store_repo.path)
    report = bring(store_repo, inbox, "--type", "t", "--dry-run", code=1)
    assert everything(store_repo.path) == before
    assert report["counts"]["added"] == 2 and report["dry_run"] is True
    assert [each["other"] for each in report["duplicates"]] == ["assets/t/a.png"]
    assert [(Path(each["file"]).name, each["reason"]) for each in report["left"]] == [
        ("empty.png", f"'{inbox}/empty.png' is empty")
    ]


def test_the_same_bytes_are_taken_in_twice_and_said(store_repo: GitRepo, inbox: Path) -> None:
    store_repo.write("assets/old/known.png", png(8, 8, 9))
    store_repo.git("add", "assets")
    store_repo.commit("art")
    put(inbox, {"a.png": png(8, 8, 1), "b.png": png(8, 8, 1), "c.png": png(8, 8, 9)})
    report = bring(store_repo, inbox, "--type", "t")
    assert report["counts"]["added"] == 3
    assert {Path(each["file"]).name: each["other"] for each in report["duplicates"]} == {
        "b.png": "assets/t/a.png",
        "c.png": "assets/old/known.png",
    }
    assert {(each["basis"], each["how"]) for each in report["duplicates"]} == {("fact", "hash")}


def test_duplicates_can_be_left_out_and_are_named(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"a.png": png(8, 8, 1), "b.png": png(8, 8, 1)})
    report = bring(store_repo, inbox, "--type", "t", "--skip-duplicates")
    assert report["counts"]["added"] == 1 and len(report["duplicates"]) == 1
    assert not (store_repo.path / "assets/t/b.png").exists()


@pytest.mark.parametrize("policy", ["skip", "rename", "replace"])
def test_a_name_that_other_bytes_have(store_repo: GitRepo, inbox: Path, policy: str) -> None:
    put(inbox, {"hero.png": png(8, 8, 1)})
    bring(store_repo, inbox, "--type", "t")
    store_repo.commit("art")
    old = store_repo.sidecar("assets/t/hero.png")["hash"]
    put(inbox, {"hero.png": png(8, 8, 2)})
    report = bring(store_repo, inbox, "--type", "t", "--on-conflict", policy, code=1 if policy == "skip" else 0)
    now = store_repo.sidecar("assets/t/hero.png")
    if policy == "skip":
        assert now["hash"] == old and report["left"][0]["reason"] == "an asset with other bytes has that name"
    elif policy == "rename":
        assert now["hash"] == old and (store_repo.path / "assets/t/hero-2.png").exists()
        # What was renamed is found again.
        assert bring(store_repo, inbox, "--type", "t", "--on-conflict", policy)["counts"]["known"] == 1
    else:
        assert now["hash"] != old and now["provenance"]["parent"] == old
        assert report["counts"]["replaced"] == 1
        store_repo.tool("undo")
        assert store_repo.sidecar("assets/t/hero.png")["hash"] == old


def test_two_files_of_one_import_with_one_name(store_repo: GitRepo, inbox: Path, tmp_path: Path) -> None:
    put(inbox, {"hero.png": png(8, 8, 1)})
    other = put(tmp_path / "other", {"hero.png": png(8, 8, 2)})
    report = bring(store_repo, inbox, other, "--type", "t", "--on-conflict", "replace", code=1)
    assert "of this import has that name" in report["left"][0]["reason"]
    assert report["counts"]["added"] == 1


def test_a_file_that_is_no_asset_stays_where_it_is(store_repo: GitRepo, inbox: Path) -> None:
    """What a person has at the place, and git does not know, is never overwritten."""
    store_repo.write("assets/t/hero.png", b"a painting that nobody added yet")
    put(inbox, {"hero.png": png(8, 8, 1)})
    report = bring(store_repo, inbox, "--type", "t", code=1)
    assert report["left"][0]["reason"] == "a file with other bytes has that name"
    assert store_repo.read("assets/t/hero.png") == b"a painting that nobody added yet"


def test_what_cannot_be_an_asset_is_left_with_its_reason(store_repo: GitRepo, inbox: Path, tmp_path: Path) -> None:
    put(tmp_path, {"secret.png": png(8, 8, 7)})
    put(
        inbox, {"ok.png": png(8, 8, 1), "empty.png": b"", "Thumbs.db": b"x", "half.png.part": b"x", ".hidden.png": b"x"}
    )
    put(inbox, {"pointer.png": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"})
    (inbox / "out.png").symlink_to(tmp_path / "secret.png")
    (inbox / "in.png").symlink_to("ok.png")
    (inbox / "nowhere.png").symlink_to("gone.png")
    os.mkfifo(inbox / "pipe.png")
    (inbox / f"{'x' * 250}.png").write_bytes(png(8, 8, 3))
    report = bring(store_repo, inbox, "--type", "t", code=1)
    reasons = {Path(each["file"]).name[:12]: each["reason"] for each in report["left"]}
    assert set(reasons) == {"empty.png", "Thumbs.db", "pointer.png", "out.png", "nowhere.png", "pipe.png", "x" * 12}
    assert reasons["out.png"] == "a link that leads out of the folder"
    assert "pointer of Git LFS" in reasons["pointer.png"]
    assert {each["path"] for each in report["files"]} == {"assets/t/in.png", "assets/t/ok.png"}


# -- undo ------------------------------------------------------------------------------------------------------------


def test_an_import_is_one_operation_and_undo_takes_it_back(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"{number}.png": png(8, 8, number) for number in range(30)})
    before = store_repo.status()
    report = bring(store_repo, inbox, "--type", "t")
    operations = store_repo.tool("log", "--operations", "--json").json()
    assert [each["id"] for each in operations] == [report["operation"]]
    store_repo.tool("undo")
    assert store_repo.status() == before and not (store_repo.path / "assets/t").exists()
    assert bring(store_repo, inbox, "--type", "t")["counts"]["added"] == 30


def test_undo_leaves_what_somebody_changed_since(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"a.png": png(8, 8, 1), "b.png": png(8, 8, 2), "c.png": png(8, 8, 3)})
    bring(store_repo, inbox, "--type", "t")
    store_repo.tool("annotate", "assets/t/a.png", "--tag", "mine")
    store_repo.tool("edit", "assets/t/b.png")
    store_repo.write("assets/t/b.png", b"painted over")
    operation = store_repo.tool("log", "--operations", "--json").json()[-1]["id"]
    done = store_repo.tool("undo", operation)
    assert "'assets/t/a.png' was changed since" in done.err and "'assets/t/b.png' was changed since" in done.err
    assert store_repo.read("assets/t/b.png") == b"painted over"
    assert store_repo.sidecar("assets/t/a.png")["tags"] == ["mine"]
    assert not (store_repo.path / "assets/t/c.png").exists()


# -- cut short, full, two at once ------------------------------------------------------------------------------------


def begin(repo: GitRepo, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "comfyvn_store", "import", "--type", "t", *words]
    return subprocess.Popen(command, cwd=repo.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_killed_import_goes_on_where_it_was(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"{number:04}.png": png(8, 8, number) for number in range(1500)})
    objects = store_repo.path / ".git/comfyvn/objects"
    rand = random.Random(os.urandom(8))
    for _ in range(3):
        running = begin(store_repo, str(inbox))
        wanted = sum(1 for _ in objects.rglob("*")) + rand.randrange(40, 600)
        while running.poll() is None and sum(1 for _ in objects.rglob("*")) < wanted:
            time.sleep(0.01)
        time.sleep(rand.random() * 0.5)
        running.kill()
        running.wait()
    bring(store_repo, inbox, "--type", "t")
    assert len(list((store_repo.path / "assets/t").glob("*.png"))) == 1500
    assert bring(store_repo, inbox, "--type", "t")["counts"]["known"] == 1500
    assert not [line for line in store_repo.status() if not line.startswith("A ")]
    ids = [json.loads(each.read_text())["provenance"]["id"] for each in (store_repo.path / "assets/t").glob("*.json")]
    assert len(set(ids)) == 1500
    store_repo.commit("art")
    assert store_repo.status() == [] and store_repo.tool("check").code == 0 and store_repo.tool("fsck").code == 0


def test_two_imports_at_once_make_each_asset_once(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"{number:03}.png": png(8, 8, number) for number in range(300)})
    both = [begin(store_repo, str(inbox)) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    assert len(list((store_repo.path / "assets/t").glob("*.png"))) == 300
    store_repo.commit("art")
    assert store_repo.status() == []
    records = store_repo.tool("provenance", "--json", "assets/t/000.png").json()
    assert len(records) == 1


def test_a_full_disk_ends_an_import_that_goes_on_later(small: GitRepo, tmp_path: Path) -> None:  # noqa: F811
    inbox = put(tmp_path / "inbox", {f"{number}.bin": random.Random(number).randbytes(200_000) for number in range(30)})
    fill(small, leave=3_000_000)
    done = small.tool("import", str(inbox), "--type", "t", check=False)
    assert done.code in (1, 16) and "no space left" in (done.err + done.out).lower() and "Traceback" not in done.err
    assert len(list(inbox.iterdir())) == 30
    make_room(small)
    bring(small, inbox, "--type", "t")
    assert len(list((small.path / "assets/t").glob("*.bin"))) == 30
    small.commit("art")
    assert small.status() == [] and small.tool("fsck").code == 0


def test_an_index_that_another_git_holds_is_said_and_later_done(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"a.png": png(8, 8, 1)})
    lock = store_repo.path / ".git/index.lock"
    lock.write_bytes(b"")
    done = store_repo.tool("import", str(inbox), "--type", "t", check=False)
    assert done.code == 16 and "registered but not staged" in done.err
    lock.unlink()
    assert bring(store_repo, inbox, "--type", "t")["counts"]["added"] == 1
    assert "A  assets/t/a.png" in store_repo.status()


def test_an_interrupt_leaves_what_is_done(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"{number:04}.png": png(8, 8, number) for number in range(1200)})
    running = begin(store_repo, str(inbox))
    while running.poll() is None and not (store_repo.path / "assets/t/0000.png").is_symlink():
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) in (0, 130)
    assert bring(store_repo, inbox, "--type", "t")["counts"]["left"] == 0
    assert len(list((store_repo.path / "assets/t").glob("*.png"))) == 1200


def test_copies_in_place_of_links_are_imported_and_taken_back(store_repo: GitRepo, inbox: Path) -> None:
    store_repo.git("config", "comfyvn.views", "copy")
    store_repo.tool("status")
    put(inbox, {"a.png": comfy_png(1), "b.wav": wav()})
    bring(store_repo, inbox, "--type", "t")
    assert not (store_repo.path / "assets/t/a.png").is_symlink()
    assert bring(store_repo, inbox, "--type", "t")["counts"]["known"] == 2
    store_repo.tool("undo")
    assert not (store_repo.path / "assets/t").exists()


def test_the_report_for_people(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"a.png": png(8, 8, 1), "b.png": png(8, 8, 1), "e.png": b""})
    done = store_repo.tool("import", str(inbox), "--type", "t", check=False)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0] == f"{inbox}: read as plain" and lines[1].startswith("imported 2 files (")
    assert f"  {inbox}/b.png is assets/t/a.png" in lines
    assert f"  {inbox}/e.png: '{inbox}/e.png' is empty" in lines
    assert lines[-1] == "2 assets staged; now: git commit (or take it back: comfyvn-store undo)"


# -- what adapters say -----------------------------------------------------------------------------------------------


def came(report: dict[str, Any]) -> dict[str, str]:
    return {Path(each["file"]).name: each["path"] for each in report["files"]}


def test_comfyuis_output_folder(store_repo: GitRepo, inbox: Path) -> None:
    put(
        inbox,
        {
            "ComfyUI_00001_.png": comfy_png(1),
            "sprites/mira happy_00002_.png": comfy_png(2),
            "2024-05-01/park_00001_.webp": b"RIFF\x04\0\0\0WEBP",
            "AnimateDiff_00001.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
            "ComfyUI_temp_xyz_00001_.png": comfy_png(3),
            "latents/ComfyUI_00001_.latent": b"x" * 20,
        },
    )
    report = bring(store_repo, inbox, "--type", "g")
    assert report["sources"][0]["as"] == "comfyui"
    assert report["counts"]["added"] == 4 and report["counts"]["passed"] == 2
    tags = {name: store_repo.sidecar(path)["tags"] for name, path in came(report).items()}
    assert tags["ComfyUI_00001_.png"] == [] and tags["AnimateDiff_00001.mp4"] == []
    assert tags["mira happy_00002_.png"] == ["sprites", "mira happy"] and tags["park_00001_.webp"] == ["park"]


PARAMETERS = (
    "a park\nNegative prompt: people\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1041, Size: 8x8, Model: m"
)


def test_the_folders_of_automatic1111_and_the_text_beside_a_picture(store_repo: GitRepo, inbox: Path) -> None:
    put(
        inbox,
        {
            "outputs/txt2img-images/2024-01-31/00001-1041.png": png(8, 8, 1),
            "outputs/txt2img-images/2024-01-31/00001-1041.txt": "\ufeff" + PARAMETERS,
            "outputs/txt2img-images/2024-01-31/00002-7.png": png(
                8, 8, 2, {"parameters": PARAMETERS.replace("1041", "7")}
            ),
            "outputs/txt2img-images/2024-01-31/00002-7.txt": PARAMETERS.replace("1041", "8"),
            "outputs/txt2img-grids/2024-01-31/grid-0001.png": png(8, 8, 3),
            "outputs/img2img-images/2024-01-31/00001-9.png": png(8, 8, 4),
        },
    )
    report = bring(store_repo, inbox, "--type", "g")
    assert report["sources"][0]["as"] == "automatic1111"
    assert report["counts"]["added"] == 3 and report["counts"]["passed"] == 3
    beside = store_repo.sidecar("assets/g/outputs/txt2img-images/2024-01-31/00001-1041.png")
    assert beside["provenance"]["source"] == "automatic1111" and beside["tags"] == ["txt2img"]
    assert beside["provenance"]["inputs"]["seed"] == 1041 and beside["provenance"]["inputs"]["negative"] == "people"
    # The picture's own word goes before that of the text.
    own = store_repo.sidecar("assets/g/outputs/txt2img-images/2024-01-31/00002-7.png")
    assert own["provenance"]["inputs"]["seed"] == 7


def test_invokeais_folder_with_its_boards(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"outputs/images/{name}.png": png(8, 8, number) for number, name in enumerate(("a", "b", "mask"))})
    put(inbox, {"outputs/images/thumbnails/a.webp": b"x", "databases/invokeai.db": b""})
    with sqlite3.connect(inbox / "databases/invokeai.db") as db:
        db.executescript(
            """CREATE TABLE images(image_name TEXT, image_category TEXT, is_intermediate INT, starred INT);
            CREATE TABLE boards(board_id TEXT, board_name TEXT);
            CREATE TABLE board_images(board_id TEXT, image_name TEXT);
            INSERT INTO images VALUES ('a.png', 'general', 0, 1), ('b.png', 'general', 1, 0), ('mask.png', 'mask', 0, 0);
            INSERT INTO boards VALUES ('1', 'Heroes'); INSERT INTO board_images VALUES ('1', 'a.png');"""
        )
    before = everything(inbox)
    report = bring(store_repo, inbox, "--type", "g")
    assert report["sources"][0]["as"] == "invokeai" and came(report) == {"a.png": "assets/g/a.png"}
    assert store_repo.sidecar("assets/g/a.png")["tags"] == ["Heroes", "starred"]
    assert report["counts"]["passed"] == 2 and everything(inbox) == before


@pytest.mark.parametrize("data", [b"", b"no database at all, though long enough to look at" * 10])
def test_invokeais_pictures_come_in_without_its_database(store_repo: GitRepo, inbox: Path, data: bytes) -> None:
    put(inbox, {"databases/invokeai.db": data, "outputs/images/a.png": png(8, 8, 1)})
    assert bring(store_repo, inbox, "--type", "g")["counts"]["added"] == 1


@pytest.mark.parametrize(
    ("file", "path", "tags"),
    [
        ("images/eileen happy.png", "characters/eileen happy.png", ["eileen", "happy"]),
        ("images/bg park.jpg", "backgrounds/bg park.jpg", ["park"]),
        ("images/BG/Lecture Hall.jpg", "backgrounds/Lecture Hall.jpg", ["lecture", "hall"]),
        ("images/sprites/sylvie_green_smile.png", "characters/sylvie_green_smile.png", ["sylvie", "green", "smile"]),
        ("images/side eileen@2.png", "characters/side eileen@2.png", ["eileen"]),
        ("images/cg/beach night.png", "cgs/beach night.png", ["beach", "night"]),
        ("gui/button/idle.png", "gui/button/idle.png", ["idle"]),
        ("audio/music/theme.ogg", "music/theme.ogg", ["theme"]),
        ("audio/bgm_park.ogg", "music/bgm_park.ogg", ["park"]),
        ("audio/door.wav", "sound/door.wav", ["door"]),
        ("audio/voice/e01.ogg", "voice/e01.ogg", ["e01"]),
        ("sfx/bell.mp3", "sound/bell.mp3", ["bell"]),
        ("illurock.opus", "sound/illurock.opus", ["illurock"]),
        ("movies/op.webm", "videos/op.webm", ["op"]),
    ],
)
def test_a_renpy_files_type_and_tags(file: str, path: str, tags: list[str]) -> None:
    from comfyvn_store.ops.importing import renpy

    assert "/".join(renpy.place_of(file)) == path
    assert list(renpy.tags_of(file)) == tags


def test_a_renpy_project(store_repo: GitRepo, inbox: Path) -> None:
    put(
        inbox,
        {
            "game/script.rpy": "label start:",
            "game/images/bg park.png": png(8, 8, 1),
            "game/images/eileen happy.png": png(8, 8, 2),
            "game/gui/textbox.png": png(8, 8, 3),
            "game/audio/bell.wav": wav(),
            "game/cache/screens.rpyb": b"x",
            "game/saves/1-1-LT1.save": b"x",
            "game/data.rpa": b"x",
            "game/font.ttf": b"x",
        },
    )
    report = bring(store_repo, inbox, code=1)  # the archive is left, and somebody has to unpack it
    assert report["sources"][0]["as"] == "renpy"
    assert set(report["types"]) == {"backgrounds", "characters", "gui", "sound"}
    assert [Path(each["file"]).name for each in report["left"] if each["what"] == "left"] == ["data.rpa"]
    assert store_repo.sidecar("assets/backgrounds/bg park.png")["tags"] == ["park"]


OLDER = {
    "uid": "0" * 16,
    "type": "characters",
    "path": "characters/mira.png",
    "hash": "0" * 64,
    "bytes": 5,
    "meta": {
        "license": "CC-BY-4.0",
        "tags": ["heroine", "school"],
        "pose": "front",
        "preview": {"kind": "thumbnail"},
        "thumbnails": {"256": "x"},
    },
    "provenance": {
        "id": 7,
        "source": "comfyui",
        "workflow_hash": None,
        "commit_hash": None,
        "inputs": {"seed": 5, "asset_uid": "0" * 16, "asset_hash": "0" * 64},
        "c2pa_like": {},
        "user_id": "mika",
    },
}


@pytest.mark.parametrize(
    "where", ["characters/mira.png.asset.json", "_meta/characters/mira.json", "_meta/characters/mira.png.json"]
)
def test_sidecars_of_the_older_studio(store_repo: GitRepo, inbox: Path, where: str) -> None:
    put(inbox, {"characters/mira.png": png(8, 8, 1), where: json.dumps(OLDER), "misc/plain.png": png(8, 8, 2)})
    report = bring(store_repo, inbox)
    assert report["sources"][0]["as"] == "comfyvn" and report["counts"]["added"] == 2
    card = store_repo.sidecar("assets/characters/mira.png")
    assert (card["license"], card["tags"], card["meta"]) == ("CC-BY-4.0", ["heroine", "school"], {"pose": "front"})
    record = card["provenance"]
    assert record["source"] == "comfyui" and record["inputs"] == {"seed": 5} and record["user"] == "mika"
    assert record["workflow_hash"] is None and record["parent"] is None and record["id"] != 7
    bare = store_repo.sidecar("assets/misc/plain.png")
    assert bare["license"] is None and bare["tags"] == [] and bare["provenance"]["source"] == "import"


def test_an_older_sidecar_that_is_broken_or_alone_is_said(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"t/a.png": png(8, 8, 1), "t/a.png.asset.json": "{", "t/gone.png.asset.json": json.dumps(OLDER)})
    report = bring(store_repo, inbox, code=1)
    reasons = {Path(each["file"]).name: each["reason"] for each in report["left"]}
    assert "cannot be read" in reasons["a.png"] and reasons["gone.png.asset.json"] == "a sidecar without its file"


def test_a_type_on_the_command_line_goes_before_what_files_say(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"game/script.rpy": "x", "game/images/bg park.png": png(8, 8, 1)})
    assert came(bring(store_repo, inbox, "--type", "old"))["bg park.png"] == "assets/old/bg park.png"


def test_a_folder_read_as_something_else(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"ComfyUI_00001_.png": comfy_png(1), "notes.txt": "hello"})
    assert bring(store_repo, inbox, "--type", "t", "--as", "plain")["counts"]["added"] == 2
    shutil.rmtree(store_repo.path / "assets/t")


@pytest.mark.parametrize(
    ("name", "adapter"), [("a.png", "renpy"), ("a.png", "invokeai"), ("a.png", "comfyvn"), (".", "manifest")]
)
def test_what_cannot_be_read_so_is_refused(store_repo: GitRepo, inbox: Path, name: str, adapter: str) -> None:
    put(inbox, {"a.png": png()})
    done = store_repo.tool("import", str(inbox / name), "--type", "t", "--as", adapter, check=False)
    assert done.code == 2 and f"cannot be read as {adapter}" in done.err


def test_views_are_no_files_to_import(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {"a.png": png()})
    bring(store_repo, inbox, "--type", "t")
    report = bring(store_repo, store_repo.path, "--type", "u", "--as", "plain", code=1)
    reasons = {Path(each["file"]).name: each["reason"] for each in report["left"]}
    assert "comfyvn-store export" in reasons["a.png"] and not (store_repo.path / "assets/u/assets/t/a.png").exists()


# -- what looks alike ------------------------------------------------------------------------------------------------


def painted(place: Path, seed: int, **options: Any) -> None:
    """A picture with things in it, as no two seeds have them."""
    from PIL import Image, ImageDraw

    rand = random.Random(seed)
    picture = Image.new("RGB", (240, 180), tuple(rand.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(25):
        x, y, size = rand.randrange(240), rand.randrange(180), rand.randrange(8, 60)
        draw.ellipse((x, y, x + size, y + size), tuple(rand.randrange(256) for _ in range(3)))
    picture.save(place, **options)


def test_pictures_that_look_alike_are_named_and_taken_in(store_repo: GitRepo, inbox: Path) -> None:
    painted(inbox / "a.png", 1)
    painted(inbox / "b.jpg", 1, quality=60)
    painted(inbox / "c.webp", 1, lossless=True)
    painted(inbox / "d.png", 2)
    report = bring(store_repo, inbox, "--type", "t")
    assert report["counts"]["added"] == 4 and report["duplicates"] == []
    found = {frozenset((Path(each["file"]).name, Path(each["other"]).name)): each for each in report["alike"]}
    assert set(found) == {
        frozenset(["a.png", "b.jpg"]),
        frozenset(["a.png", "c.webp"]),
        frozenset(["b.jpg", "c.webp"]),
    }
    same, near = found[frozenset(["a.png", "c.webp"])], found[frozenset(["a.png", "b.jpg"])]
    assert (same["basis"], same["how"]) == ("fact", "pixels")
    assert (near["basis"], near["how"]) == ("inferred", "perceptual") and 0 < near["distance"] <= 0.15
    # A later import is compared with what is there, and says so in words.
    later = inbox.parent / "later"
    later.mkdir()
    painted(later / "e.jpg", 2, quality=70)
    done = store_repo.tool("import", str(later), "--type", "t")
    assert f"{later}/e.jpg looks like assets/t/d.png (inferred, distance" in done.out


def test_many_pictures_are_not_looked_at_unasked(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, {f"{number}.bin": b"%d" % number for number in range(201)})
    assert "--alike does" in store_repo.tool("import", str(inbox), "--type", "t").err
