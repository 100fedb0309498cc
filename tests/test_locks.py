"""`lock`, `unlock`, `locks` as two artists use them, on real clones of a real remote."""

import re
import shutil
import time
from pathlib import Path

import pytest

from comfyvn_store.errors import Refused
from comfyvn_store.ops import locks as use
from comfyvn_store.vcs import locks
from comfyvn_store.vcs.repository import open_repository
from tests.gitrepo import GitRepo
from tests.lockteam import ALICE, CLUB, HERO, NOW, REF, Team, holders, locks_in, make, put_locks, rows

NEW = "assets/characters/new.png"


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def mika(team: Team) -> GitRepo:
    return team.clone("mika")


@pytest.fixture
def kim(team: Team) -> GitRepo:
    return team.clone("kim")


# -- one person ----------------------------------------------------------------------------------------------------


def test_a_lock_says_who_what_where_and_until_when(team: Team, mika: GitRepo) -> None:
    began = time.time()
    done = mika.tool("lock", ALICE, "--note", "new hair")
    assert re.fullmatch(rf"locked +{re.escape(ALICE)} +on main until \d{{4}}-\d\d-\d\d \d\d:\d\d", done.out)
    assert done.err == ""
    (lock,) = locks_in(team.hub)
    assert (lock.path, lock.branch, lock.owner, lock.note) == (ALICE, "main", "Mika <mika@example.org>", "new hair")
    assert lock.expires_at is not None
    for text, seconds in ((lock.locked_at, 0), (lock.expires_at, 7 * 86400)):
        at = time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
        assert began - 1 <= at - seconds <= time.time() + 1
    assert mika.status() == []


def test_a_second_lock_right_away_changes_nothing(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", ALICE)
    before = team.hub.git("rev-parse", REF).out
    done = mika.tool("lock", ALICE)
    assert done.out.startswith("kept ") and done.out.endswith("as before")
    assert team.hub.git("rev-parse", REF).out == mika.git("rev-parse", REF).out == before
    assert mika.tool("lock", ALICE, "--for", "7d", "--json").json()["paths"][0]["state"] == "kept"
    assert team.hub.git("rev-parse", REF).out == before


@pytest.mark.parametrize(
    "words", [["--for", "2w"], ["--for", "1h"], ["--for", "never"], ["--note", "longer"]], ids=" ".join
)
def test_another_time_or_note_renews_it(team: Team, mika: GitRepo, words: list[str]) -> None:
    mika.tool("lock", ALICE)
    (old,) = locks_in(team.hub)
    assert mika.tool("lock", ALICE, *words).out.startswith("renewed ")
    (new,) = locks_in(team.hub)
    assert (new.id, new.locked_at) == (old.id, old.locked_at)
    assert (new.expires_at, new.note) != (old.expires_at, old.note)
    if "--note" not in words:
        assert new.note == old.note


def test_a_lock_is_given_up_once(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", ALICE, CLUB)
    assert mika.tool("unlock", ALICE).out.startswith("unlocked ")
    assert team.held() == {CLUB: "Mika"}
    again = mika.tool("unlock", ALICE)
    assert again.out.split() == ["not", "locked", ALICE]
    assert rows(mika)[0]["path"] == CLUB


def test_uids_folders_places_below_and_pictures_to_be_made_can_be_locked(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", mika.sidecar(CLUB)["uid"], "../characters", "new.png", cwd="assets/bg")
    assert team.held() == {CLUB: "Mika", "assets/characters": "Mika", "assets/bg/new.png": "Mika"}
    mika.tool("unlock", "assets/")
    assert team.held() == {}
    mika.tool("lock", f"{NEW}.asset.json", f"{ALICE}.asset.json")
    assert team.held() == {NEW: "Mika", ALICE: "Mika"}


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("story.txt", 2),
        ("..", 2),
        ("../x.png", 2),
        (".", 2),
        ("no-such-uid", 2),
        ("assets/.hidden.png", 2),
        ("assets/../.git/config", 2),
        ("assets/_meta/x.json", 2),
        (f"assets/{'x' * 250}.png", 20),
        (b"assets/\xff.png", 2),
    ],
)
def test_what_cannot_be_art_cannot_be_locked(team: Team, mika: GitRepo, word: str | bytes, code: int) -> None:
    mika.write("story.txt", "x")
    done = mika.tool("lock", word, check=False)  # type: ignore[arg-type]
    assert (done.code, done.out, holders(mika)) == (code, "", {})
    assert done.err.startswith("error: ")


def test_an_empty_note_or_a_long_one_is_refused(mika: GitRepo) -> None:
    for note in ("", "x" * 501, "a\nb"):
        assert mika.tool("lock", ALICE, "--note", note, check=False).code == 2
    assert mika.tool("lock", ALICE, "--for", "soon", check=False).code == 2
    assert holders(mika) == {}


def test_who_one_is_must_be_known_to_git(team: Team, mika: GitRepo) -> None:
    mika.git("config", "user.useConfigOnly", "true")
    mika.git("config", "--unset", "user.email")
    env = {"GIT_CONFIG_GLOBAL": "/dev/null"}
    done = mika.tool("lock", ALICE, check=False, env=env)
    assert done.code == 2 and "git does not know who you are" in done.err and "user.name" in done.err
    assert team.held() == {}
    put_locks(mika, make(expires_at=None, owner="Mika <mika@example.org>"))
    assert "Mika <mika@example.org>" in mika.tool("locks", "--offline", env=env).out
    assert "is locked by Mika" in mika.tool("edit", ALICE, env=env).err


def test_a_branch_that_is_no_utf8_can_be_locked_on_only_with_all(team: Team, mika: GitRepo) -> None:
    mika.git("switch", "-qc", b"caf\xe9")  # type: ignore[arg-type]
    done = mika.tool("lock", ALICE, check=False)
    assert done.code == 2 and "--all-branches" in done.err and team.held() == {}
    mika.tool("lock", ALICE, "--all-branches")
    assert team.held() == {ALICE: "Mika"}
    assert mika.tool("unlock", ALICE).out.startswith("unlocked")


def test_there_is_no_more_room_than_readers_have(team: Team, mika: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = open_repository(str(mika.path))
    monkeypatch.setattr(locks, "MOST", 3)
    use.lock(repository, [ALICE, CLUB], now=NOW)
    with pytest.raises(Refused, match="would be 4 locks") as refused:
        use.lock(repository, [HERO, NEW], now=NOW)
    assert "folder" in (refused.value.hint or "")
    assert set(team.held()) == {ALICE, CLUB}
    use.lock(repository, [HERO, NEW], now=NOW + use.WEEK)
    assert set(team.held()) == {HERO, NEW}


def test_a_bare_search_path_is_enough_and_git_must_be_on_it(team: Team, mika: GitRepo) -> None:
    git = shutil.which("git")
    assert git is not None
    (team.folder / "bin").mkdir()
    (team.folder / "bin/git").symlink_to(git)
    mika.tool("lock", ALICE, env={"PATH": str(team.folder / "bin")})
    assert team.held() == {ALICE: "Mika"}
    done = mika.tool("lock", CLUB, env={"PATH": "/nowhere"}, check=False)
    assert done.code == 16 and "git is not installed" in done.err


def test_no_repository_and_no_init_are_said(tmp_path: Path) -> None:
    repo = GitRepo.create(tmp_path / "plain")
    for words in (["locks"], ["lock", ALICE], ["unlock", ALICE]):
        assert repo.tool(*words, check=False).code == 10


# -- two people ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ALICE, "assets/characters", "assets"])
def test_what_another_holds_is_left_to_them(team: Team, mika: GitRepo, kim: GitRepo, path: str) -> None:
    mika.tool("lock", ALICE, "--note", "new hair")
    done = kim.tool("lock", path, CLUB, check=False)
    assert done.code == 1
    assert f"'{ALICE}' is locked by Mika <mika@example.org> since " in done.err
    assert " until " in done.err and "on branch 'main' (new hair)" in done.err and "--force" in done.err
    assert done.out.startswith(f"locked  {CLUB}")
    assert team.held() == {ALICE: "Mika", CLUB: "Kim"}


def test_a_file_in_a_folder_that_another_holds_is_theirs(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", "assets/characters")
    done = kim.tool("lock", NEW, "assets/characters-old.png", check=False)
    assert f"'{NEW}' is locked with all of 'assets/characters' by Mika" in done.err
    assert team.held() == {"assets/characters": "Mika", "assets/characters-old.png": "Kim"}


def test_force_takes_over_and_says_from_whom_and_they_are_told(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE, HERO)
    done = kim.tool("lock", "--force", "assets/characters")
    assert done.out.startswith("taken over ") and done.out.count("Mika <mika@example.org>") == 2
    assert team.held() == {"assets/characters": "Kim"}
    told = mika.tool("locks")
    assert f"your lock of '{ALICE}' is void: 'assets/characters' is locked by Kim" in told.err
    assert "void" not in mika.tool("locks").err


def test_unlocking_anothers_needs_force_and_exactly_their_path(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE)
    assert kim.tool("unlock", ALICE, check=False).code == 1
    assert kim.tool("unlock", "--force", "assets").out.startswith("not locked")
    assert team.held() == {ALICE: "Mika"}
    done = kim.tool("unlock", "--force", ALICE)
    assert done.out.startswith("unlocked ") and "Mika <mika@example.org>" in done.out
    assert team.held() == {}


def test_unlocking_a_file_in_ones_locked_folder_says_what_to_type(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", "assets/characters")
    done = mika.tool("unlock", ALICE, check=False)
    assert done.code == 1 and "comfyvn-store unlock assets/characters" in done.err
    assert team.held() == {"assets/characters": "Mika"}


def test_one_person_on_two_machines_is_one_person(team: Team, mika: GitRepo) -> None:
    mika.tool("lock", ALICE)
    second = team.clone("laptop")
    second.git("config", "user.name", "M. K.")
    second.git("config", "user.email", "Mika@Example.org")
    assert second.tool("lock", ALICE).out.startswith("kept ")
    assert second.tool("unlock", ALICE).out.startswith("unlocked ")
    assert team.held() == {}


def test_the_list_says_who_and_what(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE, "--note", "new hair")
    kim.tool("lock", CLUB, "--all-branches", "--for", "never")
    lines = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", line) for line in mika.tool("locks").out.splitlines()]
    assert [line.split("  ") for line in (re.sub(" {2,}", "  ", text) for text in lines)] == [
        [CLUB, "*", "Kim <kim@example.org>", "TIME", "for good"],
        [ALICE, "main", "you", "TIME", "until TIME", "new hair"],
    ]
    first, second = rows(kim)
    assert first["path"] == CLUB and first["mine"] and first["branch"] is None and first["expires_at"] is None
    assert second["owner"] == "Mika <mika@example.org>" and not second["mine"] and second["shared"]


# -- branches ------------------------------------------------------------------------------------------------------


def test_a_lock_is_on_a_branch(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE)
    kim.git("switch", "-qc", "side")
    assert kim.tool("lock", ALICE).code == 0
    assert sorted((lock.branch, lock.owner[:3]) for lock in locks_in(team.hub)) == [("main", "Mik"), ("side", "Kim")]
    assert kim.tool("lock", CLUB, "--all-branches").out.startswith("locked")
    assert mika.tool("lock", CLUB, check=False).code == 1
    done = mika.tool("lock", ALICE, "--all-branches", check=False)
    assert done.code == 1 and "on branch 'side'" in done.err


def test_without_a_branch_a_lock_is_on_all(team: Team, mika: GitRepo) -> None:
    mika.git("switch", "-q", "--detach")
    assert "on all branches" in mika.tool("lock", ALICE).out
    mika.git("switch", "-q", "main")
    assert mika.tool("unlock", ALICE).out.startswith("unlocked")
    assert team.held() == {}


def test_a_renamed_branch_leaves_its_locks_where_they_were(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.git("switch", "-qc", "hair/new one's".replace(" ", "-"))
    mika.tool("lock", ALICE)
    mika.git("branch", "-m", "style")
    done = mika.tool("unlock", ALICE, check=False)
    assert done.code == 1 and """comfyvn-store unlock --branch 'hair/new-one'"'"'s' """ in done.err
    mika.tool("lock", ALICE)
    assert [lock.branch for lock in locks_in(team.hub)].count("style") == 1 and len(locks_in(team.hub)) == 2
    mika.tool("unlock", "--branch", "hair/new-one's", ALICE)
    assert [lock.branch for lock in locks_in(team.hub)] == ["style"]
    mika.git("branch", "-m", "third")
    mika.tool("unlock", "--all-branches", ALICE)
    assert locks_in(team.hub) == []
    assert mika.tool("unlock", "--branch", "x", "--all-branches", ALICE, check=False).code == 2


def test_an_unborn_branch_can_be_locked_on(tmp_path: Path) -> None:
    repo = GitRepo.create(tmp_path / "new")
    repo.tool("init")
    done = repo.tool("lock", ALICE)
    assert done.out.startswith("locked") and "there is no git remote" in done.err
    assert locks_in(repo)[0].branch == "main"


# -- time ----------------------------------------------------------------------------------------------------------


def test_what_expired_is_not_there_is_shown_on_request_and_goes_with_the_next_lock(
    team: Team, mika: GitRepo, kim: GitRepo
) -> None:
    mika.tool("lock", ALICE, "--for", "1s")
    time.sleep(1.1)
    assert kim.tool("locks").out == "no locks"
    assert "expired" in kim.tool("locks", "--all").out and rows(kim, "--all")[0]["expired"]
    assert "locked" not in kim.tool("edit", ALICE).err
    assert kim.tool("unlock", ALICE).out.startswith("not locked")
    assert team.held() == {ALICE: "Mika"}
    kim.tool("lock", CLUB)
    assert team.held() == {CLUB: "Kim"}
    assert mika.tool("locks").err == ""


def test_time_is_a_parameter(mika: GitRepo) -> None:
    repository = open_repository(str(mika.path))
    use.lock(repository, [ALICE], seconds=3600, now=NOW)
    assert [row.is_live for row in use.listing(repository, now=NOW + 3599).rows] == [True]
    assert use.listing(repository, now=NOW + 3600).rows == ()
    assert [row.is_live for row in use.listing(repository, expired=True, now=NOW + 3600).rows] == [False]
    (answer,) = use.lock(repository, [ALICE], seconds=3600, now=NOW + 300).answers
    assert answer.state == use.KEPT
    (answer,) = use.lock(repository, [ALICE], seconds=3600, now=NOW + 400).answers
    assert answer.state == use.RENEWED
    (answer,) = use.lock(repository, [ALICE], seconds=3600, now=NOW + 9000).answers
    assert answer.state == use.LOCKED


# -- JSON ----------------------------------------------------------------------------------------------------------


def test_json_says_all_of_it(team: Team, mika: GitRepo, kim: GitRepo) -> None:
    mika.tool("lock", ALICE)
    said = kim.tool("lock", ALICE, CLUB, "--json", check=False).json()
    assert [(path["path"], path["state"]) for path in said["paths"]] == [(ALICE, "held"), (CLUB, "locked")]
    assert said["paths"][0]["others"][0]["owner"] == "Mika <mika@example.org>" and said["paths"][0]["lock"] is None
    assert said["paths"][1]["lock"]["path"] == CLUB
    assert said["remote"] == "origin" and said["shared"] and said["problem"] is None and said["lost"] == []
    said = kim.tool("unlock", CLUB, "--json").json()
    assert said["paths"][0]["state"] == "unlocked"
    assert team.held() == {ALICE: "Mika"}
