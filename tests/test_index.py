"""The index: derived from git and the store, whatever way it came about, and replaceable at any moment."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests import media, oracle
from tests.gitrepo import GitRepo
from tests.oracle import check_all, check_index, index_path

HERO = "assets/characters/hero.png"
DOOR = "assets/sfx/door.wav"
SEED_LINE = (
    "SELECT p.id, a.uid, p.source, p.workflow_hash, p.created_at FROM provenance p "
    "JOIN assets_registry a ON a.id = p.asset_id ORDER BY p.id DESC LIMIT 10;"
)


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.write(DOOR, media.wav(frequency=200))
    store_repo.git("add", ".")
    store_repo.commit("first art")
    store_repo.tool("list")
    return store_repo


def repaint(repo: GitRepo, seed: int, path: str = HERO) -> str:
    repo.write(path, media.comfy_png(seed))
    repo.git("add", path)
    return repo.commit(f"{path} {seed}")


def query(repo: GitRepo, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{index_path(repo)}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def without_index(repo: GitRepo) -> Path:
    """Deletes the index and gives where it was."""
    place = index_path(repo)
    for each in place.parent.glob("index.db*"):
        each.unlink()
    return place


# -- I4: step by step is as from nothing ---------------------------------------------------------------------------


def test_commits_with_times_from_the_future_stay_known(art: GitRepo, tmp_path: Path) -> None:
    first = tip = art.head()
    for number in range(12):  # more than git looks beyond a time that is out of order
        late = {f"GIT_{who}_DATE": f"{1000000000 + number} +0000" for who in ("AUTHOR", "COMMITTER")}
        tip = art.git("commit-tree", f"{first}^{{tree}}", "-p", tip, "-m", f"old clock {number}", env=late).out
    art.git("update-ref", "refs/heads/main", tip)
    assert art.git("rev-list", first, f"^{tip}").out == first  # git's own answer, and it is wrong
    art.tool("list")
    check_index(art, tmp_path)
    assert ("first art",) in query(art, "SELECT subject FROM commits")


def test_merges_picks_and_renames(art: GitRepo, tmp_path: Path) -> None:
    check_index(art, tmp_path)
    art.git("switch", "-q", "-c", "side")
    repaint(art, 2, "assets/characters/friend.png")
    repaint(art, 3)
    art.git("switch", "-q", "main")
    art.git("cherry-pick", "side~1")
    check_index(art, tmp_path)
    art.git("mv", DOOR, "assets/sfx/gate.wav")
    art.commit("renamed")
    check_index(art, tmp_path)
    art.git("merge", "-q", "--no-edit", "side")
    check_index(art, tmp_path)
    art.git("rm", "-q", HERO)
    art.commit("deleted")
    check_index(art, tmp_path)
    art.git("switch", "-q", "side")
    check_index(art, tmp_path)
    art.git("tag", "-a", "-m", "a tag", "v1", "main")
    art.git("switch", "-q", "--detach", "main~1")
    check_index(art, tmp_path)
    check_all(art)


def test_branches_that_go_take_their_records_along(art: GitRepo, tmp_path: Path) -> None:
    art.git("switch", "-q", "-c", "side")
    repaint(art, 2)
    hash_ = art.sidecar(HERO)["hash"]
    art.git("switch", "-q", "main")
    art.tool("list")
    records = f"SELECT count(*) FROM provenance WHERE hash = '{hash_}'"
    assert query(art, records) == [(1,)]
    art.git("tag", "kept", "side")
    art.git("branch", "-D", "side")
    check_index(art, tmp_path)
    assert query(art, records) == [(1,)]
    art.git("tag", "-d", "kept")
    check_index(art, tmp_path)
    assert query(art, records) == [(0,)]


def test_commits_that_a_reset_drops_and_gc_collects(art: GitRepo, tmp_path: Path) -> None:
    dropped = repaint(art, 2)
    repaint(art, 3)
    art.tool("list")
    art.git("reset", "-q", "--hard", "HEAD~2")
    art.git("reflog", "expire", "--expire=now", "--all")
    art.git("gc", "-q", "--prune=now")
    assert art.git("cat-file", "-e", dropped, check=False).code != 0
    check_index(art, tmp_path)
    assert query(art, f"SELECT count(*) FROM commits WHERE hash = '{dropped}'") == [(0,)]
    check_all(art)


def test_only_some_of_the_old_tips_were_collected(art: GitRepo, tmp_path: Path) -> None:
    art.git("switch", "-q", "-c", "side")
    repaint(art, 2)
    art.git("switch", "-q", "main")
    repaint(art, 3)
    art.tool("list")
    art.git("branch", "-q", "-D", "side")
    art.git("reflog", "expire", "--expire=now", "--all")
    art.git("gc", "-q", "--prune=now")
    repaint(art, 4)
    check_index(art, tmp_path)


def test_branches_of_a_remote(art: GitRepo, tmp_path: Path) -> None:
    clone = GitRepo(tmp_path / "clone")
    art.tool("clone", str(art.path), str(clone.path))
    check_index(clone, tmp_path)
    art.git("switch", "-q", "-c", "side")
    hash_ = repaint(art, 2)
    clone.git("fetch", "-q")
    check_index(clone, tmp_path)
    assert query(clone, f"SELECT count(*) FROM provenance WHERE commit_hash = '{hash_}'") == [(1,)]
    art.git("switch", "-q", "main")
    art.git("branch", "-q", "-D", "side")
    clone.git("fetch", "-q", "--prune")
    check_index(clone, tmp_path)
    assert query(clone, f"SELECT count(*) FROM provenance WHERE commit_hash = '{hash_}'") == [(0,)]


def test_rewritten_history(art: GitRepo, tmp_path: Path) -> None:
    for seed in (2, 3, 4):
        repaint(art, seed)
    art.git("rebase", "-q", "-i", "HEAD~3", env={"GIT_SEQUENCE_EDITOR": "sed -i -e '2s/^pick/squash/'"})
    check_index(art, tmp_path)
    art.git("commit", "-q", "--amend", "-m", "other words")
    check_index(art, tmp_path)
    art.git("revert", "--no-edit", "HEAD")
    check_index(art, tmp_path)


@pytest.mark.parametrize("by", ["git replace", "info/grafts"])
def test_history_cut_by_a_graft_and_joined_again(art: GitRepo, tmp_path: Path, by: str) -> None:
    repaint(art, 2)
    art.git("commit", "-q", "--allow-empty", "-m", "no art")
    tip = repaint(art, 3, "assets/characters/friend.png")
    art.tool("list")
    cut = art.git("rev-parse", "HEAD^").out
    if by == "git replace":
        art.git("replace", "--graft", cut)
    else:
        (art.path / ".git/info/grafts").write_text(f"{cut}\n")
    assert art.git("rev-list", "--count", "HEAD").out == "2"
    check_index(art, tmp_path)
    check_all(art)
    assert art.sidecar(HERO)["provenance"]["commit"] == cut != tip
    if by == "git replace":
        art.git("replace", "-d", cut)
    else:
        (art.path / ".git/info/grafts").unlink()
    check_index(art, tmp_path)
    check_all(art)
    assert art.sidecar(HERO)["provenance"]["commit"] == art.git("rev-parse", "HEAD~2").out


def test_staged_unstaged_and_stashed_art(art: GitRepo, tmp_path: Path) -> None:
    art.write("assets/bg/town.png", media.png(seed=3))
    art.git("add", ".")
    check_index(art, tmp_path)
    assert query(art, "SELECT path FROM assets_registry WHERE provenance_id IS NULL") == [("bg/town.png",)]
    art.git("stash")
    check_index(art, tmp_path)
    art.git("stash", "pop")
    art.git("rm", "-q", "--cached", "-f", "assets/bg/town.png")
    check_index(art, tmp_path)
    art.tool("register", "assets/bg/town.png", "--type", "bg", "--no-copy", "--no-stage")
    check_index(art, tmp_path)
    assert query(art, "SELECT path, staged FROM assets_registry ORDER BY path") == [
        ("bg/town.png", 0),
        ("characters/hero.png", 1),
        ("sfx/door.wav", 1),
    ]


def test_a_merge_decides_which_commit_was_first(art: GitRepo, tmp_path: Path) -> None:
    """The same commit's change picked to a branch that is merged before: the order of HEAD's history says which."""
    art.git("switch", "-q", "-c", "side")
    picked = repaint(art, 2, "assets/characters/friend.png")
    art.git("switch", "-q", "main")
    repaint(art, 3)
    art.git("cherry-pick", picked)
    mine = art.head()
    art.tool("list")
    assert art.sidecar("assets/characters/friend.png")["provenance"]["commit"] == mine
    art.git("merge", "-q", "--no-edit", "side")
    assert sorted(row[0] for row in query(art, "SELECT commit_hash FROM introductions WHERE path LIKE '%friend%'")) == (
        sorted([picked, mine])
    )
    check_index(art, tmp_path)
    check_all(art)


def test_a_clone_cut_short_names_no_boundary_commit(art: GitRepo, tmp_path: Path) -> None:
    repaint(art, 2)
    last = repaint(art, 3, "assets/characters/friend.png")
    bare = tmp_path / "bare.git"
    art.git("clone", "-q", "--bare", ".", str(bare))
    shallow = GitRepo(tmp_path / "shallow")
    art.git("clone", "-q", "--depth=2", bare.as_uri(), str(shallow.path))
    shallow.tool("init")
    listed = {each["view"]: each["commit"] for each in shallow.tool("list", "--json").json()}
    assert listed == {HERO: None, DOOR: None, "assets/characters/friend.png": last}
    assert shallow.sidecar(HERO)["provenance"]["commit"] is None
    check_index(shallow, tmp_path)
    shallow.git("fetch", "-q", "--unshallow")
    check_index(shallow, tmp_path)
    commits = {each["view"]: each["commit"] for each in shallow.tool("list", "--json").json()}
    assert commits == {each["view"]: each["commit"] for each in art.tool("list", "--json").json()}


# -- what the tables say -------------------------------------------------------------------------------------------


def test_tables_and_columns(art: GitRepo) -> None:
    def columns(table: str) -> list[str]:
        return [row[1] for row in query(art, f"PRAGMA table_info({table})")]

    expected = {
        "assets_registry": "id uid hash type path bytes mime source_hash thumb license tags meta created_at",
        "provenance": "id asset_id hash path source workflow_hash commit_hash inputs created_at parent",
        "commits": "hash author committed_at subject",
        "commit_assets": "commit_hash change path old_path hash provenance_id",
    }
    for table, names in expected.items():
        assert set(names.split()) <= set(columns(table)), table
    assert query(art, "PRAGMA journal_mode") == [("wal",)]
    assert query(art, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the sqlite3 program is not installed")
def test_the_line_of_the_first_design_runs_with_the_stock_program(art: GitRepo) -> None:
    repaint(art, 2)
    art.tool("list")
    done = subprocess.run(["sqlite3", str(index_path(art)), SEED_LINE], capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in done.stdout.splitlines()]
    hero, door = art.sidecar(HERO), art.sidecar(DOOR)
    newest, oldest = hero["provenance"], door["provenance"]
    assert rows == [
        [newest["id"], hero["uid"], "comfyui", newest["workflow_hash"], newest["created_at"]],
        [oldest["id"], door["uid"], "git", "", oldest["created_at"]],
    ]


def test_rows_of_assets_and_records(art: GitRepo) -> None:
    first = art.sidecar(HERO)
    commit = repaint(art, 2)
    art.tool("list")
    assert query(art, "SELECT path, type, mime, bytes FROM assets_registry ORDER BY path") == [
        ("characters/hero.png", "characters", "image/png", len(art.read(HERO))),
        ("sfx/door.wav", "sfx", art.sidecar(DOOR)["media"]["mime"], len(art.read(DOOR))),
    ]
    # The record of the version before belongs to no asset any more.
    assert query(art, f"SELECT asset_id, hash FROM provenance WHERE id = '{first['provenance']['id']}'") == [
        (None, first["hash"])
    ]
    rows = query(art, f"SELECT change, path, old_path, hash FROM commit_assets WHERE commit_hash = '{commit}'")
    assert rows == [("M", "characters/hero.png", None, art.sidecar(HERO)["hash"])]


def test_what_each_commit_did(art: GitRepo) -> None:
    art.git("mv", DOOR, "assets/sfx/gate.wav")
    moved = art.commit("moved")
    art.git("rm", "-q", HERO)
    removed = art.commit("removed")
    art.tool("list")
    changes = {
        commit: query(art, f"SELECT change, path, old_path FROM commit_assets WHERE commit_hash = '{commit}'")
        for commit in (moved, removed)
    }
    assert changes == {
        moved: [("R", "sfx/gate.wav", "sfx/door.wav")],
        removed: [("D", "characters/hero.png", None)],
    }
    assert query(art, f"SELECT subject, author FROM commits WHERE hash = '{moved}'") == [
        ("moved", "Test Artist <artist@example.com>")
    ]


def test_records_of_deleted_assets_stay_without_an_asset(art: GitRepo) -> None:
    id_ = art.sidecar(DOOR)["provenance"]["id"]
    art.git("rm", "-q", DOOR)
    art.commit("gone")
    art.tool("list")
    assert query(art, "SELECT path FROM assets_registry") == [("characters/hero.png",)]
    rows = query(art, f"SELECT asset_id, path, commit_hash FROM provenance WHERE id = '{id_}'")
    assert rows == [(None, "sfx/door.wav", art.git("rev-parse", "HEAD^").out)]


def test_a_record_at_two_paths_belongs_to_the_smaller_one(art: GitRepo, tmp_path: Path) -> None:
    for name in ("assets/sfx/a copy.wav", "assets/zzz/deep/copy.wav"):
        target = art.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(art.path / DOOR, target)
        text = art.blob(f"HEAD:{DOOR}.asset.json")
        Path(f"{target}.asset.json").write_bytes(text)
    art.git("add", ".")
    art.commit("copied with its sidecar")
    art.tool("list")
    id_ = art.sidecar(DOOR)["provenance"]["id"]
    assert art.sidecar("assets/zzz/deep/copy.wav")["provenance"]["id"] == id_
    owner = "SELECT a.path, p.path FROM provenance p JOIN assets_registry a ON a.id = p.asset_id"
    assert query(art, f"{owner} WHERE p.id = '{id_}'") == [("sfx/a copy.wav", "sfx/door.wav")]
    assert query(art, f"SELECT count(*) FROM assets_registry WHERE provenance_id = '{id_}'") == [(3,)]
    check_index(art, tmp_path)
    check_all(art)


def test_full_text_search(art: GitRepo) -> None:
    art.tool("annotate", DOOR, "--tag", "creaking oak", "--license", "CC-BY-4.0")

    def found(text: str) -> list[str]:
        return [each["view"] for each in art.tool("list", "--text", text, "--json").json()]

    assert found("heroine") == [HERO]
    assert found("animagineXL") == [HERO]
    assert found("oak") == [DOOR]
    assert found("CC-BY-4.0") == [DOOR]
    assert found("assets OR hero") == []
    assert found("door") == [DOOR]
    assert found("nothing-like-it") == []
    art.tool("annotate", DOOR, "--untag", "creaking oak")
    assert found("oak") == []


# -- a file that is no index ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["deleted", "truncated", "empty", "garbage", "newer", "older", "half"])
def test_a_useless_index_is_made_anew(art: GitRepo, damage: str) -> None:
    listed = art.tool("list", "--json").json()
    place = index_path(art)
    with sqlite3.connect(place) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if damage in ("newer", "older"):
            db.execute(f"PRAGMA user_version = {999 if damage == 'newer' else 0}")
        if damage == "older":
            db.execute("PRAGMA user_version = -1")
    whole = place.read_bytes()
    if damage not in ("newer", "older"):
        without_index(art)
    if damage == "truncated":
        place.write_bytes(whole[:5000])
    elif damage == "half":
        place.write_bytes(whole[: len(whole) // 2] + os.urandom(len(whole) // 2))
    elif damage == "empty":
        place.write_bytes(b"")
    elif damage == "garbage":
        place.write_bytes(b"this is no database at all\n" * 400)
    done = art.tool("list", "--json")
    assert done.json() == listed
    if damage not in ("deleted", "empty"):
        assert "the index" in done.err and "anew" in done.err
    assert art.tool("list", "--json").err == ""
    assert query(art, "PRAGMA integrity_check") == [("ok",)]
    check_all(art)


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
def test_an_index_with_a_damaged_page_stops_no_commit_and_is_made_anew(art: GitRepo, part: float) -> None:
    place = index_path(art)
    with sqlite3.connect(place) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = place.read_bytes()
    page = max(1, int(len(whole) // 4096 * part))
    without_index(art)
    place.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
    repaint(art, 2)
    art.tool("rebuild", "--no-previews")
    assert query(art, "PRAGMA integrity_check") == [("ok",)]
    check_all(art)


def test_a_damaged_index_stops_no_commit(art: GitRepo) -> None:
    place = without_index(art)
    place.write_bytes(b"this is no database at all\n" * 400)
    repaint(art, 2)
    check_all(art)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_an_index_that_cannot_be_written_is_answered_from_memory(art: GitRepo) -> None:
    listed = art.tool("list", "--json").json()
    place = index_path(art)
    place.chmod(0o444)
    place.parent.chmod(0o555)
    try:
        assert art.tool("list", "--json").json() == listed
    finally:
        place.parent.chmod(0o755)
        place.chmod(0o644)


def test_an_index_elsewhere(art: GitRepo, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "art.db"
    env = {"COMFYVN_DB_PATH": str(place)}
    assert art.tool("db", env=env).out == str(place)
    art.tool("list", env=env)
    assert oracle.index_content(place) == oracle.index_content(index_path(art))


def test_another_programs_database_is_refused(art: GitRepo, tmp_path: Path) -> None:
    place = tmp_path / "other.db"
    with sqlite3.connect(place) as db:
        db.execute("CREATE TABLE mine(x)")
    before = place.read_bytes()
    done = art.tool("list", env={"COMFYVN_DB_PATH": str(place)}, check=False)
    assert done.code == 20
    assert "another program's database" in done.err
    assert place.read_bytes() == before
