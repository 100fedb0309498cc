"""`usage` says what takes space, `why` what keeps an object, `keep` keeps it."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests import media, oracle
from tests.collecting import HERO, Loose, age, begun, collect, home
from tests.gitrepo import GitRepo, run
from tests.team import ALICE, CLUB, SONG, Team
from tests.templates import copied

DOOR = "assets/ui/door.png"
MIRA, MIRA_TOO, TWIN = "assets/characters/mira/a.png", "assets/characters/mira/b.png", "assets/ui/twin.png"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return copied(tmp_path_factory, begun, tmp_path / "game")


def add(repo: GitRepo, path: str, seed: int, message: str = "more") -> str:
    repo.write(path, media.png(seed=seed))
    repo.git("add", "assets")
    repo.commit(message)
    return oracle.linked_hash(repo.link(path)) or ""


def size(repo: GitRepo, *hashes: str) -> int:
    return sum(repo.object_path(hash_).stat().st_size for hash_ in hashes)


def hash_at(repo: GitRepo, path: str) -> str:
    return oracle.linked_hash(repo.link(path)) or ""


def used(repo: GitRepo, *words: str) -> Any:
    return repo.tool("usage", "--json", *words).json()


def groups(repo: GitRepo, by: str) -> dict[str, tuple[int, int]]:
    return {each["name"]: (each["objects"], each["bytes"]) for each in used(repo, "--by", by)["groups"]}


# -- usage -------------------------------------------------------------------------------------------------------------


def test_each_object_counts_once(art: GitRepo) -> None:
    hero = hash_at(art, HERO)
    assert add(art, TWIN, 1) == hero
    door = add(art, DOOR, 2)
    found = used(art)
    assert found["objects"] == {"objects": 2, "bytes": size(art, hero, door)}
    assert groups(art, "type") == {"(shared)": (1, size(art, hero)), "ui": (1, size(art, door))}
    assert sum(each["bytes"] for each in found["groups"]) == found["objects"]["bytes"]


def test_by_character(art: GitRepo) -> None:
    a, b = add(art, MIRA, 2), add(art, MIRA_TOO, 3)
    door, song = add(art, DOOR, 4), add(art, "assets/ui/song.png", 5)
    art.tool("annotate", DOOR, "--tag", "character:kenji")
    art.tool("annotate", "assets/ui/song.png", "--tag", "character:kenji", "--tag", "character:mira")
    hero = hash_at(art, HERO)  # directly in characters/: whose it is nobody says
    assert groups(art, "character") == {
        "mira": (2, size(art, a, b)),
        "kenji": (1, size(art, door)),
        "(shared)": (1, size(art, song)),
        "(unknown)": (1, size(art, hero)),
    }


def test_by_version(art: GitRepo) -> None:
    old = hash_at(art, HERO)
    new = add(art, HERO, 2)
    loose = Loose(art)
    assert groups(art, "version") == {
        "current": (1, size(art, new)),
        "old": (1, size(art, old)),
        "(unknown)": (1, size(art, loose.hash)),
    }
    found = used(art)
    assert (found["current"]["objects"], found["old"]["objects"], found["unnamed"]["objects"]) == (1, 1, 1)


def test_by_branch_is_what_only_that_branch_has(art: GitRepo) -> None:
    hero = hash_at(art, HERO)
    art.git("switch", "-q", "-c", "topic")
    door = add(art, DOOR, 2)
    art.git("switch", "-q", "main")
    mira = add(art, MIRA, 3)
    assert groups(art, "branch") == {
        "(shared)": (1, size(art, hero)),
        "topic": (1, size(art, door)),
        "main": (1, size(art, mira)),
    }


def test_by_author_is_who_brought_it_first(art: GitRepo) -> None:
    hero = hash_at(art, HERO)
    art.write(TWIN, media.png(seed=1))
    art.write(DOOR, media.png(seed=2))
    art.git("add", "assets")
    art.git("commit", "-q", "-m", "x", "--author", "Kim <kim@example.com>", "--date", "2030-01-01T00:00:00Z")
    assert groups(art, "author") == {
        "Test Artist <artist@example.com>": (1, size(art, hero)),
        "Kim <kim@example.com>": (1, size(art, hash_at(art, DOOR))),
    }


def test_what_lies_beside_the_objects(art: GitRepo) -> None:
    store = home(art)
    (store / "bad" / f"{'a' * 64}-12345678").write_bytes(b"12345")
    (store / "tmp/part-x").write_bytes(b"123")
    thumbs = art.path / "cache/thumbs"
    thumbs.mkdir(parents=True)
    (thumbs / f"{'b' * 64}.webp").write_bytes(b"1234567")
    (thumbs / "mine.txt").write_bytes(b"1")
    loose = Loose(art)
    length = size(art, loose.hash)
    age(store)
    collect(art)
    found = used(art)
    assert found["quarantine"]["bytes"] == 5 and found["unfinished"]["bytes"] >= 3
    assert found["previews"] == {"objects": 1, "bytes": 7} and found["trash"] == {"objects": 1, "bytes": length}
    assert found["git_bytes"] > 0


def test_remotes_are_asked_only_when_told(tmp_path: Path) -> None:
    repo = Team(tmp_path).begin()
    repo.git("push", "-q", "origin", "main")
    new = add(repo, DOOR, 9)
    assert used(repo)["on_no_remote"] is None
    assert re.search(r"^on no remote +not asked \(--remotes\)$", repo.tool("usage").out, re.M)
    found = used(repo, "--remotes")
    assert found["on_no_remote"] == {"objects": 1, "bytes": size(repo, new)}
    (freeable,) = found["freeable"]
    sent = [hash_at(repo, path) for path in (ALICE, CLUB, SONG)]
    assert freeable["command"] == "comfyvn-store drop assets" and freeable["bytes"] == size(repo, *sent)


def test_what_is_in_no_commit_is_on_no_remote_either(tmp_path: Path) -> None:
    repo = Team(tmp_path).begin()
    repo.git("push", "-q", "origin", "main")
    loose = Loose(repo)
    found = used(repo, "--remotes")
    one = {"objects": 1, "bytes": size(repo, loose.hash)}
    assert found["on_no_remote"] == one == found["on_no_remote_unnamed"]
    assert "(1 of them in no commit and not staged, which push does not send)" in repo.tool("usage", "--remotes").out


def test_from_when_on_gc_may_take_it_is_said(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, 3 * 86400)
    added = art.object_path(loose.hash).stat().st_mtime
    until = time.strftime("%Y-%m-%d", time.gmtime(added + 14 * 86400))
    assert f"1 file, {used(art)['young']['bytes']} B (gc --prune may take the first from {until} on)" in (
        art.tool("usage").out
    )
    art.tool("gc", "--prune", "--grace", "0")
    again = used(art)
    assert again["young"]["objects"] == 0 and again["young_until"] is None
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 14 * 86400))
    assert again["trash_until"].startswith(until)
    assert f"(gc --prune may empty it of the first from {until} on)" in art.tool("usage").out


def test_where_quarantine_is_is_said(art: GitRepo) -> None:
    folder = home(art) / "bad"
    assert str(folder) not in art.tool("usage").out
    (folder / ("0" * 64 + "-00000000")).write_bytes(b"damaged")
    assert f"1 file, 7 B in {folder}" in art.tool("usage").out


def test_a_remote_that_is_down_is_said(tmp_path: Path) -> None:
    team = Team(tmp_path)
    repo = team.begin()
    repo.tool("remote", "add", "--local", "usb", str(tmp_path / "usb"))
    (tmp_path / "usb").rename(tmp_path / "away")
    found = used(repo, "--remotes")
    assert list(found["remotes_down"]) == ["usb"] and found["on_no_remote"]["objects"] == 3


def test_what_can_be_freed_is_what_the_command_frees(art: GitRepo) -> None:
    loose = Loose(art)
    age(home(art), 15 * 86400)
    (freeable,) = used(art)["freeable"]
    assert (freeable["objects"], freeable["bytes"]) == (1, size(art, loose.hash))
    assert freeable["command"] == "comfyvn-store gc --prune"
    done = art.tool(*freeable["command"].split()[1:], "--json").json()
    assert done["bytes"] == freeable["bytes"]
    assert used(art)["freeable"] == []


def test_what_is_missing_is_counted(art: GitRepo) -> None:
    art.object_path(hash_at(art, HERO)).unlink()
    found = used(art)
    assert (found["missing"], found["objects"]["objects"]) == (1, 0)


# -- why ---------------------------------------------------------------------------------------------------------------


def reasons(repo: GitRepo, name: str, code: int = 0) -> list[tuple[str, str, str | None, str | None]]:
    done = repo.tool("why", name, "--json", check=False)
    assert done.code == code, done.err
    (found,) = done.json()
    return [(each["kind"], each["name"], each["commit"], each["path"]) for each in found["reasons"]]


def test_why_names_every_reason(art: GitRepo) -> None:
    first = art.head()
    art.git("tag", "v1")
    art.git("branch", "topic")
    art.tool("keep", HERO)
    art.git("update-ref", "refs/notes/art", "HEAD")
    found = reasons(art, HERO)
    for kind, name in (("branch", "main"), ("branch", "topic"), ("tag", "v1"), ("note", "refs/notes/art")):
        assert (kind, name, first, HERO) in found
    assert ("index", "index", None, HERO) in found
    assert ("work-tree", str(art.path), None, HERO) in found
    assert [each[0] for each in found].count("keep") == 1
    assert found[-1][0] == "age"
    shown = art.tool("why", HERO).out
    assert "branch     main" in shown and first[:10] in shown


def test_why_of_an_old_version_names_commit_and_path(art: GitRepo) -> None:
    old, first = hash_at(art, HERO), art.head()
    add(art, HERO, 2)
    age(home(art), 20 * 86400)
    assert reasons(art, old[:16]) == [("branch", "main", first, HERO)]
    assert reasons(art, f"HEAD~1:{HERO}") == [("branch", "main", first, HERO)]


def test_why_of_what_only_the_stash_has(art: GitRepo) -> None:
    art.git("config", "core.logAllRefUpdates", "true")
    hashes = []
    for seed in (2, 3):
        art.write(HERO, media.png(seed=seed))
        art.git("add", HERO)
        hashes.append(oracle.linked_hash(art.blob(f":{HERO}").decode()) or "")
        art.git("stash", "-q")
    age(home(art), 20 * 86400)
    assert {each[:2] for each in reasons(art, hashes[1])} == {("stash", "refs/stash")}
    found = reasons(art, hashes[0])
    assert found[0][0] == "reflog" and "stash@{1}" in found[0][1]


def test_why_of_what_nothing_names(art: GitRepo) -> None:
    loose = Loose(art)
    age(loose.store, 3 * 86400)
    assert [each[0] for each in reasons(art, loose.hash, code=1)] == ["age"]
    assert "nothing names it: gc --prune takes it to the trash from" in art.tool("why", loose.hash, check=False).out
    age(loose.store, 20 * 86400)
    assert reasons(art, loose.hash, code=1) == []
    collect(art)
    done = art.tool("why", loose.hash, "--json", check=False)
    assert done.json()[0]["state"] == "trash" and done.code == 1


def test_why_of_what_is_under_way(art: GitRepo, tmp_path: Path) -> None:
    loose = Loose(art)
    (art.path / ".git/MERGE_HEAD").write_text(loose.commit + "\n")
    assert ("operation", "MERGE_HEAD", None, None) in reasons(art, loose.hash)


def test_why_of_what_the_journal_keeps(art: GitRepo) -> None:
    art.write("new.png", media.png(seed=9))
    hash_ = art.tool("register", "--type", "ui", "--json", "new.png").json()[0]["hash"]
    art.write("newer.png", media.png(seed=10))
    art.tool("register", "--type", "ui", "--name", "new.png", "--replace", "newer.png")
    (found,) = [each for each in reasons(art, hash_) if each[0] != "age"]
    assert found[0] == "journal" and found[1].startswith("replace assets/ui/new.png")


def test_why_of_what_another_clone_needs(art: GitRepo, tmp_path: Path) -> None:
    art.git("config", "comfyvn.store", str(tmp_path / "shared"))
    art.tool("init")
    run(["git", "clone", "-q", str(art.path), "other"], cwd=tmp_path)
    other = GitRepo(tmp_path / "other")
    other.git("config", "comfyvn.store", str(tmp_path / "shared"))
    other.tool("init")
    hash_ = add(other, DOOR, 5)
    found = reasons(art, hash_)
    assert ("clone", f"{other.path}/.git", None, "branches, tags and other refs") in found


@pytest.mark.parametrize("name", ["nothing", "deadbeef", "a" * 64, "HEAD:assets/none.png"])
def test_why_of_nothing(art: GitRepo, name: str) -> None:
    assert art.tool("why", name, check=False).code in (2, 12)


# -- keep --------------------------------------------------------------------------------------------------------------


def test_keep_takes_paths_folders_revisions_and_hashes(art: GitRepo) -> None:
    hero = hash_at(art, HERO)
    art.git("tag", "v1")
    new, door = add(art, HERO, 2), add(art, DOOR, 3)
    loose = Loose(art)
    for target, expected in (
        (HERO, [new]),
        ("assets/ui", [door]),
        ("v1", [hero]),
        (f"v1:{HERO}", []),
        (loose.hash[:12], [loose.hash]),
        ("assets", []),
    ):
        assert art.tool("keep", target, "--json").json()["added"] == expected, target
    listed = art.tool("keep", "--list", "--json").json()["kept"]
    assert {each["hash"]: each["words"] for each in listed} == {
        new: HERO,
        door: "assets/ui",
        hero: "v1",
        loose.hash: loose.hash[:12],
    }
    assert art.tool("keep", "--remove", "v1", "--json").json()["removed"] == [hero]
    assert len(art.tool("keep", "--list").out.splitlines()) == 3


def test_keep_takes_off_what_was_put_there_under_that_name(art: GitRepo) -> None:
    hero = hash_at(art, HERO)
    art.tool("keep", "HEAD")
    new = add(art, HERO, 2)
    assert new != hero
    assert art.tool("keep", "--remove", "HEAD", "--json").json()["removed"] == [hero]
    art.git("tag", "v1")
    art.tool("keep", "v1")
    art.git("tag", "-d", "v1")
    assert art.tool("keep", "--remove", "v1", "--json").json()["kept"] == []
    assert art.tool("keep", "--remove", "v1", check=False).code == 2


def test_keep_is_one_line_an_object(art: GitRepo) -> None:
    art.tool("keep", HERO)
    first, line = (home(art) / "keep").read_text().splitlines()
    assert first == "comfyvn-store keep 1 1"
    hash_, at, words = line.split(" ")
    assert (hash_, words) == (hash_at(art, HERO), HERO) and at.endswith("Z") and len(at) == 20


def test_keep_without_a_name_says_how(art: GitRepo) -> None:
    assert art.tool("keep", check=False).code == 2
    done = art.tool("keep", "--remove", check=False)
    assert done.code == 2 and "nothing was named to be taken off the list" in done.err
    assert "hint: comfyvn-store keep --remove PATH, REV or HASH" in done.err
    assert art.tool("keep", "--list").out == "nothing is kept beyond what git names"
