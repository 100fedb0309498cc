"""`strip`: the bytes as they came in, proven or not given; objects stay what they are."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests import markings, media
from tests.gitrepo import GitRepo, Result
from tests.markings import PICTURES, SOUNDS
from tests.sounds import needs_ffmpeg

ART = {
    "assets/characters/alice.png": media.comfy_png(3),
    "assets/bg/club.jpg": PICTURES["jpeg exif xmp icc comment"](),
    "assets/bg/meadow.webp": PICTURES["webp lossy"](),
    "assets/sfx/door.wav": media.wav(),
}
HERO, CLUB = list(ART)[:2]


@pytest.fixture
def art(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    for path, data in ART.items():
        store_repo.write(path, data)
    store_repo.git("add", "assets")
    store_repo.commit("art")
    return store_repo


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def strip(repo: GitRepo, *words: object) -> Result:
    return repo.tool("strip", *map(str, words), check=False)


def test_every_format_comes_back_from_the_commit(art: GitRepo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = strip(art, *ART, "--output", out)
    assert done.code == 0, done.err
    assert f"{len(ART)} of {len(ART)} files stripped" in done.out
    for path, data in ART.items():
        assert art.read(path) != data, "the object carries a marker"
        assert (out / Path(path).name).read_bytes() == data
        assert art.sidecar(path)["provenance"]["source_hash"] == sha(data) != art.sidecar(path)["hash"]
    assert art.status() == [] and art.tool("fsck", "--json").json()["findings"] == []


def test_without_a_place_nothing_is_written(art: GitRepo) -> None:
    before = sorted(os.listdir(art.path / "assets/bg"))
    done = strip(art, CLUB, "--json")
    assert done.code == 0
    assert done.json() == [
        {
            "file": CLUB,
            "stripped": True,
            "source_hash": sha(ART[CLUB]),
            "size": len(ART[CLUB]),
            "source": None,
            "workflow_hash": None,
            "output": None,
        }
    ]
    assert sorted(os.listdir(art.path / "assets/bg")) == before
    assert "would be" in strip(art, CLUB).out


def test_assets_go_by_uid_and_by_revision(art: GitRepo, tmp_path: Path) -> None:
    uid = art.sidecar(HERO)["hash"][:16]
    assert strip(art, uid, "-o", tmp_path / "by-uid.png").code == 0
    art.write(HERO, media.comfy_png(4))
    art.commit("repainted", "-a")
    assert strip(art, f"HEAD~1:{HERO}", "-o", tmp_path / "by-revision.png").code == 0
    for name in ("by-uid.png", "by-revision.png"):
        assert (tmp_path / name).read_bytes() == ART[HERO]


def test_a_file_anywhere_in_its_own_place(art: GitRepo, tmp_path: Path) -> None:
    for path, data in ART.items():
        place = tmp_path / Path(path).name
        place.write_bytes(art.read(path))
        place.chmod(0o640)
        assert strip(art, "--in-place", place).code == 0
        assert place.read_bytes() == data and place.stat().st_mode & 0o777 == 0o640
        again = strip(art, "--in-place", place)
        assert again.code == 1 and "carries no marker" in again.err
        assert place.read_bytes() == data
    assert sorted(os.listdir(tmp_path)) == sorted([*(Path(path).name for path in ART), *_of_the_fixture(tmp_path)])


def test_a_file_in_its_own_place_keeps_its_owner_and_attributes(art: GitRepo, tmp_path: Path) -> None:
    place = tmp_path / "hero.png"
    place.write_bytes(art.read(HERO))
    wanted: dict[str, object] = {}
    if os.getuid() == 0:
        os.chown(place, 4321, 1234)
        wanted["owner"] = (4321, 1234)
    try:
        os.setxattr(place, "user.note", b"mine")
        wanted["note"] = b"mine"
    except OSError:  # a file system without them
        pass
    if not wanted:
        pytest.skip("neither owners nor attributes can be set here")
    assert strip(art, "--in-place", place).code == 0
    assert place.read_bytes() == ART[HERO]
    if "owner" in wanted:
        assert (place.stat().st_uid, place.stat().st_gid) == wanted["owner"]
    if "note" in wanted:
        assert os.getxattr(place, "user.note") == b"mine"


def _of_the_fixture(folder: Path) -> list[str]:
    """What else lies in the test's folder: the repository, a home."""
    return [name for name in os.listdir(folder) if (folder / name).is_dir()]


def test_objects_and_views_are_never_changed(art: GitRepo, tmp_path: Path) -> None:
    hash_ = art.sidecar(CLUB)["hash"]
    place = art.object_path(hash_)
    before = place.read_bytes(), place.stat()
    link = tmp_path / "link.jpg"
    link.symlink_to(place)
    for name in (CLUB, place, link):
        done = strip(art, "--in-place", name)
        assert done.code == 20 and "--output" in done.err, name
    info = place.stat()
    assert (place.read_bytes(), info.st_mtime_ns, info.st_mode) == (before[0], before[1].st_mtime_ns, before[1].st_mode)
    assert strip(art, place, "-o", tmp_path / "club.jpg").code == 0
    assert (tmp_path / "club.jpg").read_bytes() == ART[CLUB]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("changed", "it was changed since it was marked"),
        ("no marker", "carries no marker"),
        ("cut", "it does not parse, or is cut off"),
        ("trailing", "data of an unknown kind follows its end"),
        ("signed", "it carries C2PA"),
        ("two", "it carries 2 markers"),
        ("newer", "a newer version wrote it"),
        ("text", "files of its format get none"),
    ],
)
def test_what_cannot_be_proven_is_refused_with_the_reason(art: GitRepo, tmp_path: Path, what: str, reason: str) -> None:
    marked = art.read(CLUB)
    at = marked.index(b'{"v":1')
    box = markings.segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x28jumb....jumdc2pa")
    made = {
        "changed": marked[:-40] + bytes([marked[-40] ^ 2]) + marked[-39:],
        "no marker": ART[CLUB],
        "cut": marked[:-9],
        "trailing": marked + b"trailing",
        "signed": marked[:2] + box + marked[2:],
        "two": marked[:2] + markings.xmp_segment(_packet(marked)) + marked[2:],
        "newer": marked[:at] + b'{"v":2' + marked[at + 6 :],
        "text": b"some words\n",
    }[what]
    place = tmp_path / "file"
    place.write_bytes(made)
    for words in (("--in-place",), ("-o", tmp_path / "out"), ()):
        done = strip(art, place, *words)
        assert (done.code, reason in done.err) == (1, True), done.err
    assert place.read_bytes() == made and not (tmp_path / "out").exists()
    said = strip(art, place, "--json").json()
    assert said[0]["stripped"] is False and said[0]["error"] == "unproven" and reason in said[0]["message"]


def _packet(marked: bytes) -> bytes:
    start = marked.index(b"http://ns.adobe.com/xap/1.0/\0") + 29
    return marked[start : marked.index(b'<?xpacket end="w"?>', start) + 19]


def test_nothing_that_is_there_is_written_over(art: GitRepo, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.write_bytes(b"mine")
    done = strip(art, CLUB, "-o", place)
    assert done.code == 20 and "is there already" in done.err and place.read_bytes() == b"mine"
    assert strip(art, CLUB, "-o", tmp_path / "no/such/place").code == 20
    assert strip(art, CLUB, HERO, "-o", place).code == 2
    assert strip(art, CLUB, "-o", place, "--in-place").code == 2
    assert strip(art, "nothing/here.png").code == 2
    assert [name for name in os.listdir(tmp_path) if "tmp" in name] == []


def test_one_that_fails_stops_no_other(art: GitRepo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    words = tmp_path / "words.txt"
    words.write_text("words")
    done = strip(art, words, CLUB, "-o", out)
    assert done.code == 1 and "1 of 2 files stripped" in done.out
    assert (out / "club.jpg").read_bytes() == ART[CLUB] and os.listdir(out) == ["club.jpg"]


def test_no_repository_is_needed(art: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.jpg").write_bytes(art.read(CLUB))
    stranger = GitRepo(elsewhere)
    done = stranger.tool("strip", "a.jpg", "-o", "b.jpg")
    assert sha(ART[CLUB]) in done.out and (elsewhere / "b.jpg").read_bytes() == ART[CLUB]


def test_a_name_that_is_nothing_is_said_to_be_nothing_anywhere(art: GitRepo, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for repo in (art, GitRepo(elsewhere)):
        for verb in ("strip", "read"):
            done = repo.tool(verb, "no/such.jpg", check=False)
            assert done.code == 2 and "there is no file 'no/such.jpg'" in done.err and "init" not in done.err


def test_of_a_folder_the_marked_files_are_meant(art: GitRepo, tmp_path: Path) -> None:
    art.write("assets/bg/note.gif", b"GIF89a" + b"\0" * 20)
    out = tmp_path / "out"
    out.mkdir()
    done = strip(art, "assets", "-o", out)
    assert done.code == 0 and "4 of 4 files stripped, 1 without a marker passed over" in done.out
    for path, data in ART.items():
        assert (out / path.removeprefix("assets/")).read_bytes() == data
    assert strip(art, "assets", "-o", tmp_path / "absent").code == 2
    assert strip(art, CLUB, "-o", "-").code == 2 and not (art.path / "-").exists()


def test_of_a_folder_of_ordinary_files_all_come_back_in_place(art: GitRepo) -> None:
    art.tool("uninstall")
    done = strip(art, "assets", "--in-place")
    assert done.code == 0 and "4 of 4 files stripped" in done.out
    for path, data in ART.items():
        assert art.read(path) == data


def test_views_in_a_folder_stay_views(art: GitRepo) -> None:
    assert strip(art, "assets", "--in-place").code == 0
    assert art.status() == [] and (art.path / CLUB).is_symlink()


def test_sidecars_among_several_names_are_left_out(art: GitRepo) -> None:
    done = strip(art, CLUB, HERO, f"{CLUB}.asset.json")
    assert done.code == 0 and "2 of 2 files proven" in done.out
    assert strip(art, f"{CLUB}.asset.json").code == 1


# -- in git --------------------------------------------------------------------------------------------------------------


def test_status_stays_clean_and_adding_again_changes_nothing(art: GitRepo) -> None:
    head = art.head()
    for path, data in ART.items():
        (art.path / path).unlink()
        art.write(path, data)
        art.git("add", path)
        assert art.staged(path)[1] == art.git("rev-parse", f"HEAD:{path}").out
    art.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert art.git("diff", "--stat", head, "HEAD").out == "" and art.status() == []
    for path in ART:
        assert art.sidecar(path)["hash"] == sha(art.read(path))


def test_art_that_was_stored_unmarked_stays_that(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    repo = store_repo
    repo.git("config", "comfyvn.marker", "false")
    for path, data in ART.items():
        repo.write(path, data)
    repo.git("add", "assets")
    repo.commit("by an older version")
    repo.git("config", "--unset", "comfyvn.marker")
    for path, data in ART.items():
        assert repo.read(path) == data
        (repo.path / path).unlink()
        repo.write(path, data)
    repo.git("add", "assets")
    assert repo.git("diff", "--cached", "--diff-filter=M", "--name-only").out == ""
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert repo.status() == [] and repo.git("diff", "--stat", "HEAD~1", "HEAD").out == ""
    for path, data in ART.items():
        assert repo.read(path) == data and repo.sidecar(path)["hash"] == sha(data)
    assert repo.tool("fsck", "--json").json()["findings"] == []
    repo.write(CLUB, PICTURES["jpeg"]())
    repo.commit("repainted", "-a")
    assert b"comfyvn:provenance" in repo.read(CLUB) and repo.sidecar(CLUB)["provenance"]["parent"] == sha(ART[CLUB])


def test_copies_show_their_marker_and_status_is_clean(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    repo.git("config", "core.symlinks", "false")
    repo.tool("init")
    for path, data in ART.items():
        repo.write(path, data)
    repo.git("add", "assets")
    repo.commit("art")
    for path in ART:
        assert not (repo.path / path).is_symlink() and sha(repo.read(path)) == repo.sidecar(path)["hash"]
    assert repo.status() == []
    assert strip(repo, "--in-place", *ART).code == 0
    for path, data in ART.items():
        assert repo.read(path) == data
    repo.git("add", "assets")
    assert repo.status() == [], "the files stand for the same objects"


def test_a_stale_marker_and_one_that_the_sidecar_contradicts_are_told(art: GitRepo) -> None:
    stale = art.read(CLUB)[:-40] + bytes([art.read(CLUB)[-40] ^ 2]) + art.read(CLUB)[-39:]
    art.git("config", "comfyvn.marker", "false")
    art.write("assets/bg/stale.jpg", stale)
    art.git("add", "assets")
    art.commit("a copied marker")
    found = art.tool("fsck", "--json", check=False).json()["findings"]
    assert [each["kind"] for each in found] == ["marker-stale"]


@needs_ffmpeg
def test_what_a_sound_says_is_in_its_record(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    path = "assets/music/theme.flac"
    store_repo.write(path, SOUNDS["flac"]())
    store_repo.git("add", "assets")
    store_repo.commit("music")
    said = store_repo.sidecar(path)["provenance"]
    assert said["source_hash"] == sha(SOUNDS["flac"]())
    assert json.loads(strip(store_repo, path, "--json").stdout)[0]["source_hash"] == said["source_hash"]


@needs_ffmpeg
def test_a_history_that_is_undone_has_the_very_files(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    made = {**ART, "assets/music/a.ogg": SOUNDS["ogg"](), "assets/music/b.mp3": SOUNDS["mp3 id3v1"]()}
    for path, data in made.items():
        store_repo.write(path, data)
    store_repo.git("add", "assets")
    store_repo.commit("art")
    store_repo.tool("uninstall", "--history")
    for path, data in made.items():
        assert store_repo.blob(f"HEAD:{path}") == data, path
