"""`git add` and `git commit` of art, as people and programs do it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo
from tests.oracle import check_all, digest, link_text

HERO = "assets/characters/hero.png"
DOOR = "assets/sfx/door.wav"
DEEP = "assets/backgrounds/town/night/inn.wav"


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    """A repository with one picture and one sound, committed."""
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write(DOOR, media.wav(frequency=200))
    store_repo.git("add", ".")
    store_repo.commit("first art")
    return store_repo


def tree(repo: GitRepo, revision: str = "HEAD") -> dict[str, str]:
    """Path to mode of everything below the assets root but the attributes."""
    listing = repo.git("ls-tree", "-r", "--full-tree", revision, "--", "assets").out.splitlines()
    found = {line.split("\t")[1]: line.split(" ")[0] for line in listing}
    found.pop("assets/.gitattributes", None)
    return found


def card(repo: GitRepo, rev_path: str) -> dict:
    """The sidecar that git has at `REV:PATH` of a view."""
    loaded: dict = json.loads(repo.blob(f"{rev_path}.asset.json"))
    return loaded


def annotate(repo: GitRepo, path: str, tag: str, license_: str = "CC-BY-4.0") -> None:
    repo.tool("annotate", path, "--tag", tag, "--license", license_, "--meta", "mood=calm")


# -- the plain way -------------------------------------------------------------------------------------------------


def test_commit_makes_links_and_sidecars(store_repo: GitRepo) -> None:
    door, inn = media.wav(frequency=200), media.wav(frequency=300)
    store_repo.write(DOOR, door)
    store_repo.write(DEEP, inn)
    store_repo.git("add", ".")
    door, inn = media.marked(door), media.marked(inn)
    head = store_repo.commit("sounds")
    assert tree(store_repo) == {
        DOOR: "120000",
        f"{DOOR}.asset.json": "100644",
        DEEP: "120000",
        f"{DEEP}.asset.json": "100644",
    }
    assert store_repo.blob(f"HEAD:{DOOR}") == f"../../.comfyvn/objects/{digest(door)[:2]}/{digest(door)[2:]}".encode()
    assert store_repo.blob(f"HEAD:{DEEP}").startswith(b"../../../../.comfyvn/objects/")
    assert store_repo.link(DOOR) == store_repo.blob(f"HEAD:{DOOR}").decode()
    assert store_repo.read(DOOR) == door
    assert store_repo.read(DEEP) == inn
    assert "commit" not in card(store_repo, f"HEAD:{DOOR}")["provenance"]
    on_disk = store_repo.sidecar(DOOR)
    assert on_disk["provenance"].pop("commit") == head
    assert on_disk == card(store_repo, f"HEAD:{DOOR}")
    assert (on_disk["hash"], on_disk["uid"], on_disk["bytes"]) == (digest(door), digest(door)[:16], len(door))
    assert (on_disk["type"], on_disk["path"]) == ("sfx", "sfx/door.wav")
    assert on_disk["provenance"]["source"] == "git"
    check_all(store_repo)


def test_first_commit_of_an_empty_repository(store_repo: GitRepo) -> None:
    store_repo.write(HERO, media.comfy_png(7))
    store_repo.git("add", HERO)
    head = store_repo.commit("root")
    assert store_repo.sidecar(HERO)["provenance"]["commit"] == head
    assert store_repo.sidecar(HERO)["provenance"]["inputs"]["seed"] == 7
    check_all(store_repo)


def test_no_raw_bytes_enter_git(art: GitRepo) -> None:
    sizes = art.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize)").out.splitlines()
    assert max(int(line.split()[1]) for line in sizes if line.startswith("blob")) < len(media.wav())
    assert oracle.raw_blobs(art) == []


def test_objects_are_read_only_and_dated_to_a_whole_second(art: GitRepo) -> None:
    for path in (HERO, DOOR):
        info = art.object_path(art.sidecar(path)["hash"]).stat()
        assert info.st_mode & 0o777 == 0o444
        assert info.st_mtime_ns % 1_000_000_000 == 0


def test_an_object_that_is_there_is_kept_and_its_time_refreshed(art: GitRepo) -> None:
    place = art.object_path(art.sidecar(DOOR)["hash"])
    os.utime(place, (1_000_000_000, 1_000_000_000))
    inode = place.stat().st_ino
    art.write("assets/sfx/copy.wav", media.wav(frequency=200))
    art.git("add", "assets/sfx/copy.wav")
    info = place.stat()
    assert info.st_ino == inode
    assert time.time() - info.st_mtime < 60
    assert info.st_mtime_ns % 1_000_000_000 == 0


def test_only_an_unedited_file_is_replaced_by_its_link(store_repo: GitRepo) -> None:
    staged, edited = media.wav(frequency=200), media.wav(frequency=999)
    store_repo.write(DOOR, staged)
    store_repo.git("add", ".")
    place = store_repo.write(DOOR, edited)
    store_repo.commit("the first version")
    assert not place.is_symlink()
    assert place.read_bytes() == edited
    assert card(store_repo, f"HEAD:{DOOR}")["hash"] == digest(media.marked(staged))
    assert store_repo.status() == [f" T {DOOR}"]
    store_repo.git("add", ".")
    store_repo.commit("the second version")
    assert card(store_repo, f"HEAD:{DOOR}")["provenance"]["parent"] == digest(media.marked(staged))
    check_all(store_repo)


def test_an_edit_of_the_same_size_between_add_and_commit_survives(store_repo: GitRepo) -> None:
    staged = media.wav(frequency=200)
    edited = staged[:-2] + b"\x11\x22"
    place = store_repo.write(DOOR, staged)
    store_repo.git("add", ".")
    info = place.stat()
    place.write_bytes(edited)
    os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    store_repo.commit("art")
    assert place.read_bytes() == edited
    assert not place.is_symlink()


def test_a_file_deleted_between_add_and_commit_stays_deleted(store_repo: GitRepo) -> None:
    place = store_repo.write(DOOR, media.wav())
    store_repo.git("add", ".")
    place.unlink()
    store_repo.commit("art")
    assert not os.path.lexists(place)
    assert tree(store_repo) == {DOOR: "120000", f"{DOOR}.asset.json": "100644"}
    store_repo.git("checkout", "--", "assets")
    check_all(store_repo)


# -- other ways to commit ------------------------------------------------------------------------------------------


def test_commit_all(art: GitRepo) -> None:
    annotate(art, HERO, "heroine")
    art.commit("tags")
    before = art.sidecar(HERO)
    art.write(HERO, media.comfy_png(2))
    head = art.commit("repainted", "-a")
    after = art.sidecar(HERO)
    assert (after["tags"], after["license"], after["meta"]) == (["heroine"], "CC-BY-4.0", {"mood": "calm"})
    assert after["provenance"]["parent"] == before["hash"]
    assert after["provenance"]["id"] > before["provenance"]["id"]
    assert after["provenance"]["commit"] == head
    check_all(art)


def test_commit_of_a_path_mends_the_real_index(store_repo: GitRepo) -> None:
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write(DOOR, media.wav())
    store_repo.git("add", ".")
    store_repo.commit("only the picture", HERO)
    assert tree(store_repo) == {HERO: "120000", f"{HERO}.asset.json": "100644"}
    assert store_repo.status() == ["A  assets/.gitattributes", f"A  {DOOR}"]
    store_repo.commit("the rest")
    assert sorted(tree(store_repo)) == sorted([HERO, f"{HERO}.asset.json", DOOR, f"{DOOR}.asset.json"])
    check_all(store_repo)


def test_commit_of_a_path_that_git_did_not_know_to_have_changed(art: GitRepo) -> None:
    art.write(HERO, media.comfy_png(2))
    art.commit("repainted", HERO)
    assert card(art, f"HEAD:{HERO}")["provenance"]["inputs"]["seed"] == 2
    check_all(art)
    art.write("notes.txt", "nothing to do with art")
    art.git("add", ".")
    art.commit("a text")
    assert f"{HERO}.asset.json" in tree(art)
    check_all(art)


def test_tags_staged_before_a_commit_of_the_picture_alone_stay_staged(art: GitRepo) -> None:
    annotate(art, HERO, "heroine")
    art.write(HERO, media.comfy_png(2))
    art.git("add", HERO)
    art.commit("the picture alone", HERO)
    assert card(art, f"HEAD:{HERO}")["provenance"]["inputs"]["seed"] == 2
    staged = card(art, f":{HERO}")
    assert staged["tags"] == ["heroine"]
    assert staged["provenance"]["inputs"]["seed"] == 2
    art.git("add", ".")
    art.git("commit", "-q", "--allow-empty", "-m", "tags")
    assert card(art, f"HEAD:{HERO}")["tags"] == ["heroine"]
    check_all(art)


def test_amend_of_the_message_moves_the_commit(art: GitRepo) -> None:
    before = art.head()
    id_ = art.sidecar(HERO)["provenance"]["id"]
    art.git("commit", "-q", "--amend", "-m", "better words")
    assert art.head() != before
    assert art.sidecar(HERO)["provenance"]["id"] == id_
    assert art.sidecar(HERO)["provenance"]["commit"] == art.head()
    check_all(art)


def test_amend_with_new_bytes(art: GitRepo) -> None:
    art.write("notes.txt", "a text")
    art.git("add", ".")
    art.commit("a text")
    art.write(HERO, media.comfy_png(5))
    art.git("add", ".")
    art.git("commit", "-q", "--amend", "--no-edit")
    assert art.sidecar(HERO)["provenance"]["commit"] == art.head()
    assert art.sidecar(DOOR)["provenance"]["commit"] == art.git("rev-parse", "HEAD^").out
    check_all(art)


def test_amend_all_with_new_bytes_at_a_path(art: GitRepo) -> None:
    art.write(HERO, media.comfy_png(6))
    art.git("commit", "-q", "--amend", "--no-edit", "-a")
    assert art.git("rev-list", "--count", "HEAD").out == "1"
    check_all(art)


def test_amend_of_a_path(art: GitRepo) -> None:
    art.write(HERO, media.comfy_png(6))
    art.git("commit", "-q", "--amend", "--no-edit", HERO)
    assert card(art, f"HEAD:{HERO}")["provenance"]["inputs"]["seed"] == 6
    check_all(art)


def test_a_commit_without_hooks_is_put_right_by_the_next_commit_of_art(store_repo: GitRepo) -> None:
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.git("add", ".")
    store_repo.commit("no hooks", "-n")
    assert tree(store_repo) == {HERO: "100644"}
    assert oracle.raw_blobs(store_repo) == []
    listed = store_repo.tool("list", "--json").json()
    assert [(each["view"], each["provenance"]) for each in listed] == [(HERO, None)]
    assert store_repo.status() == []
    store_repo.write(DOOR, media.wav())
    store_repo.git("add", ".")
    head = store_repo.commit("with hooks")
    assert tree(store_repo)[HERO] == "120000"
    assert store_repo.sidecar(HERO)["provenance"]["commit"] == head
    check_all(store_repo)


def test_a_commit_that_an_empty_message_aborts_changes_no_bytes(art: GitRepo) -> None:
    head = art.head()
    art.write(HERO, media.comfy_png(3))
    art.git("add", ".")
    done = art.git("commit", "--cleanup=strip", "-m", "# nothing", check=False)
    assert done.code == 1
    assert art.head() == head
    assert oracle.linked_hash(art.link(HERO))
    assert art.status() == [f"M  {HERO}", f"M  {HERO}.asset.json"]
    id_ = card(art, f":{HERO}")["provenance"]["id"]
    art.commit("now with words")
    assert card(art, f"HEAD:{HERO}")["provenance"]["id"] == id_
    check_all(art)


# -- bytes that passed no filter -----------------------------------------------------------------------------------


def test_raw_blobs_in_the_index_are_taken_into_the_store(art: GitRepo) -> None:
    raw = media.wav(frequency=700)
    oid = art.git("hash-object", "-w", "--no-filters", "--stdin", input=raw).out
    art.git("update-index", "--add", "--cacheinfo", f"100644,{oid},assets/sfx/raw.wav")
    head = art.commit("from a program that knows no filters")
    assert art.blob("HEAD:assets/sfx/raw.wav").decode() == link_text("assets/sfx/raw.wav", digest(media.marked(raw)))
    assert oracle.raw_blobs(art) == []
    art.git("checkout", "--", "assets")
    assert art.read("assets/sfx/raw.wav") == media.marked(raw)
    assert art.sidecar("assets/sfx/raw.wav")["provenance"]["commit"] == head
    check_all(art)


def test_a_raw_picture_in_the_index_and_on_disk_becomes_a_marked_view(art: GitRepo) -> None:
    raw = media.comfy_png(9)
    path = "assets/characters/raw.png"
    art.write(path, raw)
    art.git("add", "-N", path)
    oid = art.git("hash-object", "-w", "--no-filters", path).out
    art.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    art.commit("raw")
    assert art.sidecar(path)["provenance"]["source_hash"] == digest(raw)
    assert art.sidecar(path)["hash"] != digest(raw)
    check_all(art)


def test_a_raw_blob_of_a_partial_commit_is_taken_in(art: GitRepo) -> None:
    raw = media.wav(frequency=700)
    path = "assets/sfx/raw.wav"
    art.write(path, raw)
    oid = art.git("hash-object", "-w", "--no-filters", path).out
    art.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    art.commit("one path", path)
    assert oracle.raw_blobs(art) == []
    check_all(art)


# -- moving and removing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["assets/characters/heroine.png", "assets/cg/ending/good/hero.png", "assets/hero.png"]
)
@pytest.mark.parametrize("with_sidecar", [False, True])
def test_a_moved_asset_keeps_what_is_said_of_it(art: GitRepo, target: str, with_sidecar: bool) -> None:
    annotate(art, HERO, "heroine")
    art.commit("tags")
    before = art.sidecar(HERO)
    (art.path / target).parent.mkdir(parents=True, exist_ok=True)
    art.git("mv", HERO, target)
    if with_sidecar:
        art.git("mv", f"{HERO}.asset.json", f"{target}.asset.json")
    art.commit("moved")
    after = art.sidecar(target)
    assert after["path"] == target.removeprefix("assets/")
    assert after["type"] == ("generic" if target == "assets/hero.png" else target.split("/")[1])
    kept = ("hash", "tags", "license", "meta", "provenance", "media", "bytes")
    assert [after[key] for key in kept] == [before[key] for key in kept]
    assert not os.path.lexists(art.path / HERO)
    assert not os.path.lexists(art.path / f"{HERO}.asset.json")
    assert HERO not in tree(art)
    check_all(art)


def test_a_moved_folder_keeps_every_record(art: GitRepo) -> None:
    art.write("assets/characters/second.png", media.comfy_png(2))
    art.git("add", ".")
    art.commit("second")
    ids = {name: art.sidecar(f"assets/characters/{name}")["provenance"]["id"] for name in ("hero.png", "second.png")}
    (art.path / "assets/cast/main").mkdir(parents=True)
    art.git("mv", "assets/characters", "assets/cast/main/chars")
    art.commit("a deeper folder")
    moved = {name: art.sidecar(f"assets/cast/main/chars/{name}")["provenance"]["id"] for name in ids}
    assert moved == ids
    check_all(art)


def test_a_folder_moved_without_git_keeps_every_record(art: GitRepo) -> None:
    before = art.sidecar(HERO)["provenance"]
    (art.path / "assets/cast/main").mkdir(parents=True)
    os.rename(art.path / "assets/characters", art.path / "assets/cast/main/characters")
    art.git("add", "-A")
    art.commit("moved by hand")
    assert art.sidecar("assets/cast/main/characters/hero.png")["provenance"] == before
    check_all(art)


def test_two_pictures_that_change_places_keep_their_records(art: GitRepo) -> None:
    other = "assets/characters/other.png"
    art.write(other, media.comfy_png(2))
    art.git("add", ".")
    art.commit("other")
    first, second = art.sidecar(HERO), art.sidecar(other)
    for source, target in ((HERO, "x.png"), (other, HERO), ("x.png", other)):
        art.git("mv", source, target)
        art.git("mv", f"{source}.asset.json", f"{target}.asset.json")
    art.commit("swapped")
    assert art.sidecar(other)["provenance"] == first["provenance"]
    assert art.sidecar(HERO)["provenance"] == second["provenance"]
    assert art.sidecar(HERO)["path"] == "characters/hero.png"
    check_all(art)


def test_a_picture_moved_over_another_keeps_its_record_and_its_words(art: GitRepo) -> None:
    target = "assets/characters/old/other.png"
    art.write(target, media.comfy_png(2))
    art.git("add", ".")
    art.tool("annotate", HERO, "--tag", "mira", "--license", "CC0-1.0", "--meta", "mood=calm")
    art.tool("annotate", target, "--tag", "other", "--license", "MIT", "--meta", "pose=run")
    art.commit("two")
    kept = ("hash", "tags", "license", "meta", "provenance")
    before = art.sidecar(HERO)
    art.git("mv", "-f", HERO, target)
    art.commit("the hero takes the place")
    after = art.sidecar(target)
    assert [after[key] for key in kept] == [before[key] for key in kept]
    assert after["path"] == "characters/old/other.png"
    assert HERO not in tree(art) and f"{HERO}.asset.json" not in tree(art)
    check_all(art)


def test_words_about_a_picture_that_was_moved_over_another_stay(art: GitRepo) -> None:
    target = "assets/characters/other.png"
    art.write(target, media.comfy_png(2))
    art.git("add", ".")
    art.tool("annotate", HERO, "--tag", "mira", "--license", "CC0-1.0")
    art.tool("annotate", target, "--tag", "other", "--license", "MIT")
    art.commit("two")
    record = art.sidecar(HERO)["provenance"]
    art.git("mv", "-f", HERO, target)
    place = art.path / f"{target}.asset.json"
    place.write_bytes(place.read_bytes().replace(b'"other"', b'"new"'))
    art.git("add", ".")
    art.commit("the hero takes the place, with words")
    after = art.sidecar(target)
    assert (after["tags"], after["license"], after["provenance"]) == (["mira", "new"], "CC0-1.0", record)
    check_all(art)


def test_a_removed_asset_takes_its_sidecar_along(art: GitRepo) -> None:
    art.git("rm", "-q", HERO)
    art.commit("gone")
    assert tree(art) == {DOOR: "120000", f"{DOOR}.asset.json": "100644"}
    assert not os.path.lexists(art.path / f"{HERO}.asset.json")
    check_all(art)


def test_a_removed_asset_committed_by_path_takes_its_sidecar_along(art: GitRepo) -> None:
    os.unlink(art.path / HERO)
    art.commit("gone", HERO)
    assert tree(art) == {DOOR: "120000", f"{DOOR}.asset.json": "100644"}
    check_all(art)


def test_a_folder_takes_the_place_of_a_removed_asset(art: GitRepo) -> None:
    art.git("rm", "-q", DOOR)
    art.write(f"{DOOR}/inside.wav", media.wav(frequency=201))
    art.git("add", "-A")
    art.commit("a folder of that name")
    assert not os.path.lexists(art.path / f"{DOOR}.asset.json")
    check_all(art)


def test_rm_cached_keeps_the_files(art: GitRepo) -> None:
    art.git("rm", "-q", "--cached", HERO)
    art.commit("no longer tracked")
    assert tree(art) == {DOOR: "120000", f"{DOOR}.asset.json": "100644"}
    assert oracle.linked_hash(art.link(HERO))
    assert digest(art.read(HERO)) == oracle.linked_hash(art.link(HERO))


def test_what_comes_back_brings_its_old_record(art: GitRepo) -> None:
    annotate(art, HERO, "heroine")
    art.commit("tags")
    before = art.sidecar(HERO)
    art.git("rm", "-q", HERO)
    art.commit("gone")
    art.git("revert", "--no-edit", "HEAD")
    check_all(art)
    assert art.sidecar(HERO)["provenance"]["id"] == before["provenance"]["id"]


def test_the_same_bytes_added_again_later_bring_the_old_record(art: GitRepo) -> None:
    before = art.sidecar(DOOR)
    art.git("rm", "-q", DOOR)
    art.commit("gone")
    art.write(DOOR, media.wav(frequency=200))
    art.git("add", ".")
    art.commit("again")
    assert art.sidecar(DOOR)["provenance"]["id"] == before["provenance"]["id"]
    check_all(art)


# -- which bytes are new -------------------------------------------------------------------------------------------


def test_copies_of_the_same_bytes_at_two_paths(store_repo: GitRepo) -> None:
    data = media.wav()
    store_repo.write("assets/sfx/a.wav", data)
    store_repo.write("assets/voice/one/b.wav", data)
    store_repo.git("add", ".")
    store_repo.commit("twice")
    assert store_repo.sidecar("assets/sfx/a.wav")["hash"] == store_repo.sidecar("assets/voice/one/b.wav")["hash"]
    assert len(list(store_repo.object_path(digest(data)).parent.parent.glob("*/*"))) == 1
    check_all(store_repo)


def test_the_same_content_added_again_makes_no_new_record(art: GitRepo) -> None:
    head, before = art.head(), art.sidecar(DOOR)
    art.write(DOOR, media.wav(frequency=200))
    art.git("add", ".")
    assert art.git("diff", "--cached", "--name-status").out == f"T\t{DOOR}"
    done = art.git("commit", "-q", "-m", "the same", check=False)
    assert done.code in (0, 1)
    assert art.sidecar(DOOR)["provenance"]["id"] == before["provenance"]["id"]
    assert art.sidecar(DOOR)["provenance"]["commit"] == head
    check_all(art)


def test_bytes_that_return_to_an_older_version_bring_its_record(art: GitRepo) -> None:
    first = art.sidecar(DOOR)
    for frequency in (300, 200):
        art.write(DOOR, media.wav(frequency=frequency))
        art.commit("changed", "-a")
    assert art.sidecar(DOOR)["provenance"]["id"] == first["provenance"]["id"]
    check_all(art)


def test_tags_edited_by_hand_are_committed_without_a_new_record(art: GitRepo) -> None:
    before = art.sidecar(HERO)
    edited = art.sidecar(HERO)
    edited["tags"] = ["by hand"]
    (art.path / f"{HERO}.asset.json").write_text(json.dumps(edited))
    art.commit("tags", "-a")
    after = art.sidecar(HERO)
    assert after["tags"] == ["by hand"]
    assert after["provenance"] == before["provenance"]
    assert card(art, f"HEAD:{HERO}")["tags"] == ["by hand"]
    check_all(art)


def test_a_broken_sidecar_is_named_and_left_as_it_is(art: GitRepo) -> None:
    (art.path / f"{HERO}.asset.json").write_text("{broken")
    art.write(HERO, media.comfy_png(4))
    done = art.git("commit", "-a", "-m", "repainted")
    assert f"the sidecar of '{HERO}' is left as it is: it does not parse as JSON" in done.err
    assert art.blob(f"HEAD:{HERO}.asset.json") == b"{broken"
    assert art.tool("show", HERO, "--json").json()["hash"] == oracle.linked_hash(art.link(HERO))
    assert art.status() == []


def test_a_sidecar_deleted_from_git_comes_back_with_the_next_commit_of_art(art: GitRepo) -> None:
    before = art.sidecar(HERO)
    art.git("rm", "-q", f"{HERO}.asset.json")
    art.commit("a mistake")
    assert art.sidecar(HERO)["provenance"]["id"] == before["provenance"]["id"]
    check_all(art)


# -- what is no asset ----------------------------------------------------------------------------------------------


def test_what_is_no_asset_is_left_to_git(store_repo: GitRepo) -> None:
    store_repo.write("assets/fonts/empty.ttf", b"")
    store_repo.write("assets/fonts/.hidden", b"a dot-file")
    store_repo.write("assets/fonts/Thumbs.db", b"thumbs")
    store_repo.write("assets/fonts/desktop.ini", b"desktop")
    os.symlink("../../somewhere/else", store_repo.path / "assets/fonts/link")
    store_repo.git("add", "-A")
    store_repo.commit("no art")
    assert tree(store_repo) == {
        "assets/fonts/.hidden": "100644",
        "assets/fonts/Thumbs.db": "100644",
        "assets/fonts/desktop.ini": "100644",
        "assets/fonts/empty.ttf": "100644",
        "assets/fonts/link": "120000",
    }
    assert store_repo.blob("HEAD:assets/fonts/.hidden") == b"a dot-file"
    assert store_repo.blob("HEAD:assets/fonts/Thumbs.db") == b"thumbs"
    assert store_repo.link("assets/fonts/link") == "../../somewhere/else"
    assert store_repo.tool("list", "--json").json() == []
    assert store_repo.status() == []


def test_a_line_in_the_attributes_keeps_texts_with_git(store_repo: GitRepo) -> None:
    attributes = store_repo.path / "assets/.gitattributes"
    attributes.write_text(attributes.read_text() + "*.txt -filter text\n")
    store_repo.write("assets/script/notes.txt", "a text\n")
    store_repo.write(DOOR, media.wav())
    store_repo.git("add", ".")
    store_repo.commit("a text and a sound")
    assert tree(store_repo) == {"assets/script/notes.txt": "100644", DOOR: "120000", f"{DOOR}.asset.json": "100644"}
    assert store_repo.blob("HEAD:assets/script/notes.txt") == b"a text\n"
    assert [each["view"] for each in store_repo.tool("list", "--json").json()] == [DOOR]


@pytest.mark.parametrize("name", ["a b.wav", "ümlaut.wav", "q'uote\".wav", "*.wav", "-dash.wav", ":colon.wav"])
def test_names_that_shells_and_git_treat_specially(store_repo: GitRepo, name: str) -> None:
    path = f"assets/sfx/{name}"
    store_repo.write(path, media.wav())
    store_repo.git("add", "-A")
    head = store_repo.commit("art")
    assert store_repo.sidecar(path)["provenance"]["commit"] == head
    assert store_repo.link(path) == link_text(path, digest(media.marked(media.wav())))
    assert store_repo.status() == []


def test_commit_from_a_folder_below(art: GitRepo) -> None:
    art.write("assets/characters/side.png", media.comfy_png(3))
    art.git("add", ".", cwd="assets/characters")
    art.git("commit", "-q", "-m", "from below", cwd="assets/characters")
    check_all(art)


@pytest.fixture
def linked(art: GitRepo, tmp_path: Path) -> Iterator[GitRepo]:
    art.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    yield GitRepo(tmp_path / "linked")


def test_commits_in_a_linked_work_tree(art: GitRepo, linked: GitRepo) -> None:
    check_all(linked)
    linked.write(HERO, media.comfy_png(8))
    linked.commit("repainted", "-a")
    check_all(linked)
    art.git("merge", "-q", "side")
    assert art.sidecar(HERO)["provenance"] == linked.sidecar(HERO)["provenance"]
    check_all(art)
