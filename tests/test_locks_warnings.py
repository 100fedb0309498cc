"""Whom a change meets: `edit`, `register`, `status`, commits and pushes, and what they cost where nobody locks."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from comfyvn_store.errors import MachineError, Refused, RemoteUnreachable
from comfyvn_store.hot import locked
from comfyvn_store.ops import locks as use
from comfyvn_store.ops.lockserver import ServerLock
from comfyvn_store.vcs import locks
from comfyvn_store.vcs.repository import open_repository
from tests import media
from tests.gitrepo import GitRepo
from tests.lockteam import ALICE, CLUB, HERO, Team, make, put_locks

WARNED = f"warning: '{ALICE}' is locked by Mika <mika@example.org> since "
KIM = "Kim <kim@example.org>"


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def kim(team: Team) -> GitRepo:
    """Kim's clone, which has heard that Mika locked a picture on main, for good."""
    kim = team.clone("kim")
    put_locks(kim, make(ALICE, expires_at=None, note="new hair"))
    return kim


def repaint(repo: GitRepo, path: str = ALICE, seed: int = 77) -> None:
    repo.write(path, media.png(seed=seed))
    repo.git("add", "-A")


# -- commands ------------------------------------------------------------------------------------------------------


def test_edit_warns_and_does_it(kim: GitRepo) -> None:
    done = kim.tool("edit", ALICE, CLUB)
    assert done.err.splitlines()[0].startswith(WARNED) and done.err.splitlines()[0].endswith(
        "on branch 'main' (new hair)"
    )
    assert "hint: ask them first" in done.err and done.err.count("warning:") == 1
    assert "is a writable file now" in done.out
    assert kim.tool("edit", CLUB, "--json").err == ""


def test_register_warns_of_the_place_that_it_takes(kim: GitRepo, tmp_path: Path) -> None:
    source = tmp_path / "alice.png"
    source.write_bytes(media.png(seed=9))
    assert kim.tool("register", str(source), "--type", "characters", "--replace").err.startswith(WARNED)
    assert kim.tool("register", str(source), "--type", "bg").err == ""


def test_annotate_does_not_warn(kim: GitRepo) -> None:
    assert kim.tool("annotate", ALICE, "--tag", "hair").err == ""
    assert kim.git("commit", "-m", "tags").err == ""


def test_a_lock_on_another_branch_is_a_milder_word(kim: GitRepo) -> None:
    kim.git("switch", "-qc", "side")
    done = kim.tool("edit", ALICE)
    assert done.err.startswith(WARNED) and "your change will meet theirs in a merge" in done.err
    put_locks(kim, make(ALICE, expires_at=None, branch=None))
    assert "on all branches" in kim.tool("edit", ALICE).err and "merge" not in kim.tool("edit", ALICE).err


def test_ones_own_lock_and_an_expired_one_warn_of_nothing(kim: GitRepo) -> None:
    put_locks(kim, make(ALICE, "K. <KIM@example.org>", expires_at=None), make(CLUB, expires_at="2020-01-01T00:00:00Z"))
    assert kim.tool("edit", ALICE, CLUB).err == ""


def test_a_locked_folder_warns_of_what_is_in_it(kim: GitRepo) -> None:
    put_locks(kim, make("assets/characters", expires_at=None))
    done = kim.tool("edit", ALICE, CLUB)
    assert f"'{ALICE}' is locked with all of 'assets/characters' by Mika" in done.err and CLUB not in done.err


def test_status_shows_what_is_changed_here_and_locked_by_others(kim: GitRepo) -> None:
    put_locks(kim, make(ALICE, expires_at=None), make("assets/new.png", expires_at=None), make(HERO, expires_at=None))
    assert kim.tool("status", "--json").json()["locked"] == []
    repaint(kim)
    kim.write("assets/new.png", media.png(seed=5))
    found = kim.tool("status", "--json").json()["locked"]
    assert [item["path"] for item in found] == [ALICE, "assets/new.png"]
    assert found[0]["by"].startswith("Mika <mika@example.org> since ")
    out = kim.tool("status").out
    assert "locked by others" in out and "nothing needs attention" not in out


def test_a_terminal_sees_no_control_characters_of_others(kim: GitRepo) -> None:
    put_locks(kim, make(ALICE, expires_at=None, note="\u202ehair\u2028"), make("assets/a\nb\t.png", expires_at=None))
    assert "\u202e" not in kim.tool("edit", ALICE).err
    said = kim.tool("locks", "--offline").out
    assert "\u202e" not in said and "a\\nb\\t.png" in said and len(said.splitlines()) == 2


# -- commits -------------------------------------------------------------------------------------------------------


def test_a_commit_warns_and_goes_on(kim: GitRepo) -> None:
    repaint(kim)
    done = kim.git("commit", "-m", "hair")
    assert done.err.startswith(WARNED) and done.err.count("warning:") == 1 and "hint:" in done.err
    assert kim.status() == []
    kim.write("story.txt", "x")
    kim.git("add", "-A")
    assert kim.git("commit", "-m", "text").err == ""
    repaint(kim, CLUB)
    assert kim.git("commit", "-m", "club").err == ""


@pytest.mark.parametrize("words", [["mv", ALICE, "assets/bg/alice.png"], ["rm", "-q", ALICE]], ids=["moved", "removed"])
def test_moving_and_removing_a_locked_picture_is_a_change(kim: GitRepo, words: list[str]) -> None:
    kim.git(*words)
    assert kim.git("commit", "-m", "x").err.startswith(WARNED)


def test_refuse_stops_a_commit_on_the_same_branch_and_says_how_to_go_on(kim: GitRepo) -> None:
    kim.git("config", "comfyvn.locks", "refuse")
    repaint(kim)
    head = kim.head()
    done = kim.git("commit", "-m", "hair", check=False)
    assert done.code != 0 and kim.head() == head
    assert done.err.startswith(WARNED.replace("warning", "error")) and "git -c comfyvn.locks=warn commit" in done.err
    with pytest.raises(Refused) as refused:
        locked.before_commit(open_repository(str(kim.path)))
    assert refused.value.exit_code == 20
    kim.git("switch", "-qc", "side")
    assert "will meet theirs" in kim.git("commit", "-m", "hair").err
    repaint(kim, seed=78)
    kim.git("branch", "-M", "main")
    kim.git("commit", "--no-verify", "-qm", "all the same")


def test_off_says_nothing(kim: GitRepo) -> None:
    kim.git("config", "comfyvn.locks", "off")
    repaint(kim)
    assert kim.tool("edit", ALICE).err == "" and kim.tool("status", "--json").json()["locked"] == []
    assert kim.git("commit", "-m", "hair").err == ""
    # A word that means nothing stops no command, and is taken for the careful one.
    kim.git("config", "comfyvn.locks", "perhaps")
    assert kim.tool("edit", ALICE).err.startswith(WARNED)


def test_a_repository_cannot_set_it_for_who_clones_it(kim: GitRepo) -> None:
    (kim.path / ".comfyvnconfig").write_text("[comfyvn]\n\tlocks = refuse\n")
    kim.git("add", "-A")
    repaint(kim)
    assert WARNED in kim.git("commit", "-m", "hair").err
    assert kim.tool("status", "--json").json()["ignored_config"] == ["comfyvn.locks"]


def test_amending_what_another_made_asks_for_whoever_commits(kim: GitRepo) -> None:
    """git tells hooks the author of what is amended; the one who is at work here is the committer."""
    repaint(kim)
    kim.git("commit", "-qm", "hair", "--author", "Mika <mika@example.org>")
    repaint(kim, seed=78)
    assert WARNED in kim.git("commit", "--amend", "--no-edit").err


def test_what_a_merge_brings_as_they_made_it_is_no_change_of_ours(kim: GitRepo) -> None:
    kim.git("switch", "-qc", "theirs")
    repaint(kim)
    kim.git("-c", "user.email=mika@example.org", "commit", "-qm", "Mika's hair")
    repaint(kim, CLUB, seed=21)
    kim.git("-c", "user.email=mika@example.org", "commit", "-qm", "Mika's club")
    kim.git("switch", "-q", "main")
    repaint(kim, CLUB, seed=22)
    assert kim.git("commit", "-m", "club").err == ""
    kim.git("config", "comfyvn.locks", "refuse")
    assert kim.git("merge", "-q", "theirs", check=False).code == 1
    kim.tool("resolve", "--ours", CLUB)
    assert kim.git("commit", "--no-edit").err == ""
    assert kim.git("rev-parse", f"HEAD:{ALICE}").out == kim.git("rev-parse", f"theirs:{ALICE}").out


def test_many_locked_pictures_are_not_many_lines(kim: GitRepo) -> None:
    put_locks(kim, make("assets", expires_at=None))
    for number in range(30):
        kim.write(f"assets/many/{number}.png", media.png(seed=100 + number))
    kim.git("add", "-A")
    said = kim.git("commit", "-m", "many").err.splitlines()
    assert len([line for line in said if line.startswith("warning:")]) == 11 and "... and 20 more" in said[10]


# -- what it costs -------------------------------------------------------------------------------------------------


def gits(repo: GitRepo, *words: str) -> list[str]:
    """The git processes that a commit starts, hooks and all, each with its arguments."""
    log = repo.path / ".git/trace"
    log.unlink(missing_ok=True)
    repo.git(*words, env={"GIT_TRACE2_EVENT": str(log), "COMFYVN_PREVIEWS": "off"})
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [" ".join(event["argv"]) for event in events if event["event"] == "start"]


def test_where_nobody_locks_a_commit_asks_git_nothing_about_locks(team: Team) -> None:
    kim = team.clone("kim")
    repaint(kim, seed=201)
    asked = [words for words in gits(kim, "commit", "-qm", "x") if "refs/comfyvn" in words or "IDENT" in words]
    assert asked == []
    put_locks(kim, make(HERO, expires_at=None))
    repaint(kim, seed=202)
    asked = [words for words in gits(kim, "commit", "-qm", "y") if "refs/comfyvn" in words or "IDENT" in words]
    assert len(asked) == 1 and "for-each-ref" in asked[0], "who one is matters only if a lock is met"


def test_where_nobody_locks_no_git_is_started_at_all(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    kim = team.clone("kim")
    repaint(kim)
    monkeypatch.chdir(kim.path)

    def look() -> None:
        repository = open_repository()
        repository.git.environment["PATH"] = "/nowhere"
        locked.before_commit(repository)
        locked.before_push(repository, [ALICE], "main")

    look()
    put_locks(kim, make(HERO, expires_at=None))
    with pytest.raises(MachineError, match="git is not installed"):
        look()


# -- pushes --------------------------------------------------------------------------------------------------------


def test_a_push_is_told_by_its_paths_and_its_branch(kim: GitRepo, capsys: pytest.CaptureFixture[str]) -> None:
    repository = open_repository(str(kim.path))
    (meeting,) = locks.meetings(repository, [CLUB, ALICE, "story.txt"], "main")
    assert (meeting.path, meeting.is_here) == (ALICE, True)
    assert [each.is_here for each in locks.meetings(repository, [ALICE], "side")] == [False]
    locked.before_push(repository, [CLUB, ALICE, f"{ALICE}.asset.json"], "main")
    assert capsys.readouterr().err.startswith(WARNED)
    kim.git("config", "comfyvn.locks", "refuse")
    repository = open_repository(str(kim.path))
    locked.before_push(repository, [CLUB, f"{ALICE}.asset.json"], "main")
    locked.before_push(repository, [ALICE], "side")
    with pytest.raises(Refused, match="is locked by Mika") as refused:
        locked.before_push(repository, [ALICE], None)
    assert refused.value.hint is not None and "git -c comfyvn.locks=warn push" in refused.value.hint


# -- a server with locks of its own --------------------------------------------------------------------------------


class _Locks(BaseHTTPRequestHandler):
    """Locks over HTTP: GET lists, POST makes one (409 for a path that has one), DELETE takes it away."""

    held: dict[str, dict[str, str]]

    def do_GET(self) -> None:
        self._say(200, list(self.held.values()))

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if any(each["path"] == said["path"] for each in self.held.values()):
            return self._say(409, {})
        lock = {"id": str(len(self.held)), "owner": "kim", "locked_at": "2026-01-01T00:00:00+00:00", **said}
        self.held[lock["id"]] = lock
        return self._say(201, lock)

    def do_DELETE(self) -> None:
        self._say(200 if self.held.pop(self.path.strip("/"), None) else 404, {})

    def _say(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class HttpLocks:
    """The client's side of it, as `ops.lockserver.LockServer` asks for."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, path: str, branch: str | None) -> ServerLock:
        return ServerLock(**self._ask("POST", "", {"path": path, "branch": branch}))  # type: ignore[arg-type]

    def list(self) -> Iterable[ServerLock]:
        return [ServerLock(**each) for each in self._ask("GET", "")]  # type: ignore[arg-type]

    def unlock(self, id_: str, *, force: bool) -> None:
        self._ask("DELETE", id_)

    def _ask(self, verb: str, path: str, body: object = None) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{self.url}/{path}", data, method=verb), timeout=10
            ) as answer:
                found: dict[str, object] = json.load(answer)
                return found
        except urllib.error.URLError as error:
            raise RemoteUnreachable(f"it says {getattr(error, 'code', 'nothing')}") from None


@pytest.fixture
def server() -> Iterator[tuple[HttpLocks, dict[str, dict[str, str]]]]:
    handler = type("Handler", (_Locks,), {"held": {}})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield HttpLocks(f"http://127.0.0.1:{running.server_port}"), handler.held  # type: ignore[attr-defined]
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_server_is_told_of_locks_and_asked_for_its_own(
    team: Team, server: tuple[HttpLocks, dict[str, dict[str, str]]]
) -> None:
    client, held = server
    kim = team.clone("kim")
    repository = open_repository(str(kim.path))
    client.create("docs/plan.png", None)
    assert use.lock(repository, [ALICE], server=client).notes == ()
    assert [each["path"] for each in held.values()] == ["docs/plan.png", ALICE]
    assert held["1"]["branch"] == "main"
    assert use.lock(repository, [ALICE], server=client).notes == ()
    found = use.listing(repository, server=client)
    assert [(row.lock.path, row.server) for row in found.rows] == [(ALICE, "kim")]
    assert [each.path for each in found.only_on_server] == ["docs/plan.png"]
    assert use.unlock(repository, [ALICE], server=client).notes == ()
    assert [each["path"] for each in held.values()] == ["docs/plan.png"]


def test_a_lock_that_is_taken_over_is_taken_over_there_too(
    team: Team, server: tuple[HttpLocks, dict[str, dict[str, str]]]
) -> None:
    client, held = server
    kim = team.clone("kim")
    client.create(ALICE, "main")
    put_locks(team.hub, make(ALICE, expires_at=None))
    (answer,) = use.lock(open_repository(str(kim.path)), [ALICE], force=True, server=client).answers
    assert answer.state == use.TAKEN_OVER and len(held) == 1


def test_what_a_server_has_against_it_is_a_note(
    team: Team, server: tuple[HttpLocks, dict[str, dict[str, str]]]
) -> None:
    client, _ = server
    kim = team.clone("kim")
    repository = open_repository(str(kim.path))
    client.create(ALICE, None)
    done = use.lock(repository, [ALICE, CLUB], server=client)
    assert done.notes == ("the lock server: it says 409",)
    assert [answer.state for answer in done.answers] == ["locked", "locked"] and team.held() == {
        ALICE: "Kim",
        CLUB: "Kim",
    }
    client.url = "http://127.0.0.1:9"
    assert use.listing(repository, server=client).notes == ("the lock server: it says nothing",)
    assert use.unlock(repository, [ALICE], server=client).answers[0].state == use.UNLOCKED
    assert team.held() == {CLUB: "Kim"}
