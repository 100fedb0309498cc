"""From one person's commit to another's picture by way of real servers: Git LFS, object storage, SFTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo, run
from tests.remotes.bucket_servers import Moto
from tests.remotes.sshd import Server as Sshd
from tests.samples import SAMPLES, needs_samples
from tests.servers.lfs import LfsServer, serving
from tests.team import ALICE, CLUB, SONG, Team, hashes, leftovers, present

ALL = {ALICE, CLUB, SONG}
SECRET = "wJalrXUtnFEMI-geheim"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.fixture
def lfs() -> Iterator[LfsServer]:
    with serving(LfsServer()) as server:
        yield server


def share(team: Team, url: str, *, trusts: bool = False) -> tuple[GitRepo, GitRepo]:
    """Mika names a remote, commits and pushes; Noor clones, and sees the art. Gives both clones."""
    mika = team.begin(url=team.hidden())
    mika.tool("remote", "add", "art", url)
    assert mika.tool("remote", "test", "art").code == 0
    mika.commit("where the art is")
    done = mika.git("push", "-u", "origin", "HEAD")
    assert "comfyvn-store: sent 3 objects" in done.err
    noor = team.clone("noor", team.hidden())
    assert present(noor) == set() and noor.status() == []
    if trusts:
        noor.tool("remote", "trust", "art")
    noor.tool("pull")
    assert present(noor) == ALL and noor.status() == [] and leftovers(noor) == []
    oracle.check_all(noor)
    return mika, noor


def go_on(mika: GitRepo, noor: GitRepo) -> None:
    """Noor repaints, Mika gets it; what she dropped comes back."""
    noor.write(ALICE, media.comfy_png(42))
    noor.commit("repainted", "-a")
    noor.git("push", "-q")
    mika.tool("sync")
    assert present(mika) == ALL and mika.read(ALICE) == noor.read(ALICE)
    mika.tool("drop", "assets/music", "--verify", "--remote", "art")
    assert present(mika) == {ALICE, CLUB}
    mika.tool("pull")
    assert present(mika) == ALL
    assert "art: up to date (4 objects)" in mika.tool("push").out


def test_git_lfs(team: Team, lfs: LfsServer) -> None:
    run(["git", "config", "--global", "lfs.url", lfs.url], cwd=team.folder)
    mika, noor = share(team, "lfs:")
    assert set(hashes(mika).values()) == set(lfs.objects)
    tree = run(["git", "-C", str(team.hub), "ls-tree", "-r", "--name-only", "refs/comfyvn/lfs"], cwd=team.folder).out
    assert {name.replace("/", "") for name in tree.splitlines()} == set(lfs.objects)
    go_on(mika, noor)


def test_git_lfs_that_lets_nobody_in(team: Team, lfs: LfsServer) -> None:
    run(["git", "config", "--global", "lfs.url", lfs.url], cwd=team.folder)
    mika, _ = share(team, "lfs:")
    lfs.people = {"mika": SECRET}
    other = team.clone("kim", team.hidden())
    done = other.tool("pull", "--json", check=False)
    assert done.code == 15 and done.json()["down"][0]["error"] == "remote-denied"
    mika.write(ALICE, media.comfy_png(9))
    mika.commit("repainted", "-a")
    pushed = mika.git("push", check=False)
    assert pushed.code != 0 and "git push stopped" in pushed.err


def test_locks_are_told_to_a_git_lfs_server(team: Team, lfs: LfsServer) -> None:
    run(["git", "config", "--global", "lfs.url", lfs.url], cwd=team.folder)
    mika, noor = share(team, "lfs:")
    for repo, name in ((mika, "Mika"), (noor, "Noor")):
        repo.git("config", "user.name", name)
        repo.git("config", "user.email", f"{name.lower()}@example.org")
    mika.tool("lock", ALICE)
    assert [lock["path"] for lock in lfs.locks.values()] == [ALICE]
    lfs.locks["7"] = {"id": "7", "path": CLUB, "locked_at": "2026-01-01T00:00:00Z", "owner": {"name": "kim"}}
    listed = noor.tool("locks", "--json").json()
    assert [(each["path"], each["owner"]) for each in listed["only_on_server"]] == [(CLUB, "kim")]
    assert [each["path"] for each in listed["locks"]] == [ALICE]
    mika.tool("unlock", ALICE)
    assert list(lfs.locks) == ["7"]
    lfs.has_locks = False
    done = mika.tool("lock", ALICE)
    assert "lock server" not in done.err


def test_pushing_what_another_has_locked(team: Team) -> None:
    mika = team.begin()
    mika.git("push", "-q")
    noor = team.clone("noor")
    mika.git("config", "user.email", "mika@example.org")
    noor.git("config", "user.email", "noor@example.org")
    noor.tool("pull")
    noor.write(ALICE, media.comfy_png(42))
    noor.commit("repainted", "-a")
    mika.tool("lock", ALICE, "--note", "new hair")
    noor.git("config", "comfyvn.locks", "refuse")
    # Noor's clone hears of the lock from the very push.
    done = noor.git("push", check=False)
    assert done.code != 0 and f"'{ALICE}' is locked by" in done.err and "new hair" in done.err
    assert run(["git", "-C", str(team.hub), "rev-parse", "main"], cwd=team.folder).out == mika.head()
    noor.git("config", "comfyvn.locks", "warn")
    done = noor.git("push")
    assert f"warning: '{ALICE}' is locked by" in done.err
    noor.git("config", "comfyvn.locks", "off")
    noor.write(ALICE, media.comfy_png(43))
    noor.commit("again", "-a")
    assert "locked" not in noor.git("push").err


def test_object_storage(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moto").mkdir()
    server = Moto(tmp_path / "moto")
    server.start()
    try:
        server.make("game")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        mika, noor = share(team, f"s3://game/art?endpoint={server.url}&region=us-east-1", trusts=True)
        go_on(mika, noor)
    finally:
        server.kill()
    for repo in (mika, noor):
        for place in (repo.path / ".git").rglob("*"):
            if place.is_file() and not place.is_symlink():
                assert SECRET.encode() not in place.read_bytes(), place
        assert SECRET not in (repo.path / ".comfyvnconfig").read_text()
        said = repo.tool("pull", "--rev", "HEAD~1", check=False)
        assert SECRET not in said.out + said.err


def test_sftp(team: Team, tmp_path: Path, hermetic: Path) -> None:
    server = Sshd(tmp_path / "sshd", hermetic)
    server.know()
    server.start()
    try:
        folder = tmp_path / "server"
        folder.mkdir()
        mika, noor = share(team, f"sftp://{server.user}@127.0.0.1:{server.port}{folder}/art")
        go_on(mika, noor)
    finally:
        server.kill()


@needs_samples
def test_samples_go_through_a_git_lfs_server(team: Team, lfs: LfsServer) -> None:
    run(["git", "config", "--global", "lfs.url", lfs.url], cwd=team.folder)
    mika = team.clone("mika", team.hidden())
    for place in sorted(SAMPLES.rglob("*")):
        if place.is_file():
            mika.write(f"assets/samples/{place.relative_to(SAMPLES)}", place.read_bytes())
    mika.git("add", "-A")
    mika.commit("samples")
    mika.tool("remote", "add", "art", "lfs:")
    mika.commit("where")
    mika.git("push", "-q", "-u", "origin", "HEAD")
    noor = team.clone("noor", team.hidden())
    noor.tool("pull")
    assert present(noor) == set(hashes(mika)) and noor.status() == []
