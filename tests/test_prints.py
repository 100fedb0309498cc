"""The file of fingerprints: derived, so that losing it in any way costs time and nothing else."""

import multiprocessing
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfyvn_store.index.prints import Mark, Print, Prints, View, dumped, loaded
from comfyvn_store.previews.likeness import pixels_of, print_from
from tests.benchmarks.whence import made
from tests.gitrepo import GitRepo
from tests.test_whence import aside, commit, encoded, first, generated, whence


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def some(number: int = 1) -> Print:
    return Print(f"{number:064x}", number << 40, b"small", [Mark(number, 20, 30), Mark(number + 1, 5, 900)])


def test_what_is_added_is_found(tmp_path: Path) -> None:
    place = str(tmp_path / "prints.db")
    with Prints(place) as prints:
        assert prints.lacking(["a", "b", "a"]) == ["a", "b"]
        assert prints.add([("a", some(1)), ("b", "damaged"), ("c", Print(None, (1 << 64) - 1))])
    with Prints(place) as prints:
        assert prints.lacking(["a", "b", "c", "d"]) == ["d"]
        assert prints.with_pixels(f"{1:064x}") == ["a"] and prints.with_pixels("x") == []
        assert prints.of("a") == some(1)._replace(marks=()) and prints.of("b") is None
        found = prints.of("c")
        assert found is not None and found.whole == (1 << 64) - 1
        assert prints.why_none("b") == "damaged" and prints.why_none("a") is None
        assert prints.forget_failures() and prints.lacking(["a", "b"]) == ["b"]
        prints.add([("b", "damaged")])
        assert prints.add([("b", some(2))]) and prints.of("b") is not None


def test_marks_that_agree_name_the_place(tmp_path: Path) -> None:
    marks = [Mark(1000 + number, 10 * number, 7 * number) for number in range(1, 12)]
    with Prints(str(tmp_path / "prints.db")) as prints:
        prints.add(
            [("a", Print(None, 0, b"", marks)), ("b", Print(None, 0, b"", [Mark(m.key, 300, 3) for m in marks]))]
        )
        view = View(0.87, True, 0xFFFF_FFFF_0000_0000, [([m.key, 5], m.x - 20, m.y + 15) for m in marks])
        best = next(iter(prints.candidates([view])))
        assert (best.hash, best.votes, best.scale, best.flipped) == ("a", 11, 0.87, True)
        assert (best.x, best.y) == (20, -15)


def test_a_print_survives_its_way_and_rubbish_does_not() -> None:
    print_ = print_from(made(1), "0" * 64)
    assert loaded(dumped(print_)) == print_ and print_.marks and print_.small
    for rubbish in (b"", b"{}", b"[1]", b"null", b"[null, 1, 2, 3]", b"\xff"):
        with pytest.raises(ValueError):
            loaded(rubbish)


RUIN: dict[str, Any] = {
    "deleted": lambda place: place.unlink(),
    "empty": lambda place: place.write_bytes(b""),
    "cut": lambda place: place.write_bytes(place.read_bytes()[:5000]),
    "rubbish": lambda place: place.write_bytes(os.urandom(20000)),
    "rubbish within": lambda place: place.write_bytes(place.read_bytes()[:4096] + os.urandom(30000)),
    "another database": lambda place: (place.unlink(), sqlite3.connect(place).execute("CREATE TABLE x(y)")),
    "a newer one": lambda place: sqlite3.connect(place).execute("PRAGMA user_version = 99"),
    "a folder": lambda place: (place.unlink(), place.mkdir()),
}


@pytest.mark.parametrize("how", RUIN)
def test_losing_it_costs_time_only(store_repo: GitRepo, tmp_path: Path, how: str) -> None:
    commit(store_repo, a=generated(1), b=generated(2))
    chat = aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg")
    before = first(store_repo, chat)
    place = store_repo.path / ".git/comfyvn/prints.db"
    for suffix in ("-wal", "-shm"):
        Path(f"{place}{suffix}").unlink(missing_ok=True)
    RUIN[how](place)
    for _ in range(2):
        assert first(store_repo, chat) == before
    assert store_repo.tool("status").code == 0 and store_repo.tool("show", "assets/art/a.png").code == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1))
    own = store_repo.path / ".git/comfyvn"
    own.chmod(0o555)
    try:
        assert first(store_repo, aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg"))["how"] == "perceptual"
    finally:
        own.chmod(0o755)


def test_where_it_cannot_be_made_answers_still_come(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1))
    (store_repo.path / ".git/comfyvn/prints.db").mkdir()  # no file can be made or opened there
    done = store_repo.tool("whence", str(aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg")), "--json")
    assert done.json()["matches"][0]["path"] == "art/a.png" and "fingerprints cannot be kept" in done.err
    assert first(store_repo, "assets/art/a.png")["how"] == "hash"


def test_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    with Prints(str(tmp_path / "prints.db")) as prints:
        prints.add([("a", some(1))])
        prints._db.execute("PRAGMA max_page_count = 12")
        assert not prints.add([(f"{number}", some(number)._replace(small=b"x" * 5000)) for number in range(99)])
        assert prints.note and "full" in prints.note
        assert prints.with_pixels(f"{1:064x}") == ["a"] and prints.lacking(["0"]) == ["0"]


def fill(place: str, begin: int) -> None:
    with Prints(place) as prints:
        for number in range(begin, begin + 40):
            assert prints.add([(str(number), some(number))]), prints.note


def test_two_at_once(tmp_path: Path) -> None:
    place = str(tmp_path / "prints.db")
    both = [multiprocessing.get_context("spawn").Process(target=fill, args=(place, begin)) for begin in (1, 20)]
    for each in both:
        each.start()
    for each in both:
        each.join()
        assert each.exitcode == 0
    with Prints(place) as prints:
        assert prints.lacking(map(str, range(1, 60))) == []


def test_a_pixel_match_is_never_believed_of_the_file_alone(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1), b=generated(2))
    other = made(3)
    whence(store_repo, aside(tmp_path, encoded(other)), code=1)
    with sqlite3.connect(store_repo.path / ".git/comfyvn/prints.db") as db:
        db.execute("UPDATE prints SET pixels = ?", (pixels_of(other),))
    whence(store_repo, aside(tmp_path, encoded(other)), code=1)


def test_fsck_knows_it_and_uninstall_takes_it_along(store_repo: GitRepo) -> None:
    commit(store_repo, a=generated(1))
    store_repo.tool("previews")
    place = store_repo.path / ".git/comfyvn/prints.db"
    assert place.exists() and store_repo.tool("fsck", check=False).code == 0
    store_repo.tool("rebuild")
    assert place.exists()
    store_repo.tool("uninstall")
    assert not place.exists()


def test_pixels_say_size_turn_and_alpha(tmp_path: Path) -> None:
    picture = made(1).resize((40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    place = tmp_path / "turned.png"
    turned.save(place, exif=exif)
    with Image.open(place) as found:
        assert pixels_of(found) == pixels_of(picture) != pixels_of(turned)
    assert pixels_of(picture.convert("RGBA")) == pixels_of(picture)
    half = picture.convert("RGBA")
    half.putalpha(128)
    assert pixels_of(half) != pixels_of(picture)
    assert pixels_of(picture.convert("F")) is None
    white = Image.new("1", (10, 10), 1)
    assert pixels_of(white) == pixels_of(Image.new("RGB", (10, 10), "white")) != pixels_of(Image.new("1", (5, 20), 1))
