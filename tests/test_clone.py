"""`clone` is git clone, init and rebuild in one, also from a repository that means no good."""

import json
from pathlib import Path

import pytest

from tests import media
from tests.gitrepo import GitRepo, Result

ALICE, SONG = "assets/characters/alice.png", "assets/music/song.wav"
OBJECTS = ".git/comfyvn/objects"


@pytest.fixture(autouse=True)
def no_preview_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def origin(store_repo: GitRepo) -> GitRepo:
    store_repo.write(ALICE, media.comfy_png())
    store_repo.write(SONG, media.wav())
    store_repo.git("add", "-A")
    store_repo.commit("art")
    return store_repo


@pytest.fixture
def desk(tmp_path: Path) -> GitRepo:
    """A folder to stand in; no repository."""
    (tmp_path / "desk").mkdir()
    return GitRepo(tmp_path / "desk")


def no_traceback(result: Result, code: int) -> None:
    assert result.code == code, (result.code, result.err)
    assert result.err.startswith("error: ") and "Traceback" not in result.err


def test_links_sidecars_and_bytes_come(origin: GitRepo, desk: GitRepo) -> None:
    done = desk.tool("clone", str(origin.path), "mine")
    assert done.out.splitlines()[0] == "Cloned into mine: 2 assets" and "fetched 2 objects" in done.out
    mine = GitRepo(desk.path / "mine")
    assert mine.read(SONG) == media.marked(media.wav()) and mine.read(ALICE) == origin.read(ALICE)
    assert mine.status() == [] and all(row["present"] for row in mine.tool("list", "--json").json())


def test_bytes_that_nobody_has_do_not_stop_a_clone(origin: GitRepo, desk: GitRepo) -> None:
    origin.object_path(origin.sidecar(SONG)["hash"]).unlink()
    done = desk.tool("clone", str(origin.path), "mine", check=False)
    no_traceback(done, 12)
    assert SONG in done.err and "Cloned into mine: 2 assets" in done.out
    mine = GitRepo(desk.path / "mine")
    assert mine.read(ALICE) == origin.read(ALICE) and mine.status() == []


def test_without_pull_links_and_sidecars_come_and_missing_bytes_are_counted(origin: GitRepo, desk: GitRepo) -> None:
    done = desk.tool("clone", "--no-pull", str(origin.path), "mine")
    assert "Cloned into mine: 2 assets" in done.out and "2 files are not here" in done.out
    mine = GitRepo(desk.path / "mine")
    assert mine.link(ALICE) == origin.link(ALICE) and not (mine.path / ALICE).exists()
    assert mine.read(f"{ALICE}.asset.json") == origin.read(f"{ALICE}.asset.json")
    assert mine.sidecar(ALICE)["provenance"]["commit"] == origin.head()
    assert mine.status() == []
    listed = json.loads(mine.tool("list", "--json").out)
    assert [(row["present"], row["commit"]) for row in listed] == [(False, origin.head())] * 2
    command = next(line.rpartition(": ")[2] for line in done.out.splitlines() if "to fetch them: " in line)
    mine.tool(*command.split()[1:])
    assert mine.read(SONG) == media.marked(media.wav())
    assert all(row["present"] for row in json.loads(mine.tool("list", "--json").out))


def test_the_folder_is_named_as_git_names_it(origin: GitRepo, desk: GitRepo) -> None:
    done = desk.tool("clone", f"file://{origin.path}/.git/", "--json")
    said = json.loads(done.out)
    assert len(said.pop("pull")["moved"]) == 2
    assert said == {"folder": str(desk.path / "repo"), "assets": 2, "missing": 0}
    assert (desk.path / "repo/.comfyvn").is_symlink()


@pytest.mark.parametrize("name", ["with space", "$HOME", "~", "größe", "-dash"])
def test_any_name_for_the_folder(origin: GitRepo, desk: GitRepo, name: str) -> None:
    desk.tool("clone", "--json", "--", str(origin.path), name)
    assert (desk.path / name / ALICE).is_symlink()


def test_an_empty_repository_and_an_empty_folder(repo: GitRepo, desk: GitRepo) -> None:
    (desk.path / "empty").mkdir()
    done = desk.tool("clone", str(repo.path), "empty")
    assert "Cloned into empty: 0 assets" in done.out
    assert (desk.path / "empty/.git/hooks/pre-commit").exists()


def test_a_folder_that_is_not_empty_is_refused(origin: GitRepo, desk: GitRepo) -> None:
    desk.write("repo/mine.txt", b"mine")
    no_traceback(desk.tool("clone", str(origin.path), check=False), 20)
    assert [path.name for path in (desk.path / "repo").iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_refused(origin: GitRepo, desk: GitRepo) -> None:
    desk.write("repo", b"mine")
    result = desk.tool("clone", str(origin.path), check=False)
    assert result.code != 0 and result.err.startswith("error: ") and "Traceback" not in result.err
    assert desk.read("repo") == b"mine"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nowhere", 1),
        ("file:///nowhere/at/all", 1),
        ("ext::sh -c 'touch owned'", 2),
        ("--upload-pack=touch owned", 2),
        ("", 2),
        ("/", 2),
    ],
)
def test_what_cannot_be_cloned_is_one_line(desk: GitRepo, url: str, code: int) -> None:
    result = desk.tool("clone", "--", url, check=False)
    no_traceback(result, code)
    assert len([line for line in result.err.splitlines() if line.startswith("error: ")]) == 1
    assert list(desk.path.iterdir()) == []
    as_json = desk.tool("clone", "--json", "--", url, check=False)
    assert json.loads(as_json.out)["message"]


def test_a_repository_that_tracks_the_store_link_is_refused(repo: GitRepo, desk: GitRepo, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (repo.path / ".comfyvn").symlink_to(target)
    repo.git("add", "-f", ".comfyvn")
    repo.commit("mine now")
    result = desk.tool("clone", str(repo.path), "mine", check=False)
    no_traceback(result, 20)
    assert "tracks '.comfyvn'" in result.err
    assert list(target.iterdir()) == []
    assert not (desk.path / "mine/.git/comfyvn").exists()


def test_settings_of_a_repository_cannot_lead_out_of_the_clone(repo: GitRepo, desk: GitRepo, tmp_path: Path) -> None:
    repo.write(".comfyvnconfig", "[comfyvn]\n\tassetsRoot = ../../out\n\tdbPath = /tmp/x.db\n")
    repo.git("add", "-A")
    repo.commit("settings")
    no_traceback(desk.tool("clone", str(repo.path), "mine", check=False), 20)
    assert not (tmp_path / "out").exists()


def test_a_root_of_another_name_is_found_in_the_clone(repo: GitRepo, desk: GitRepo) -> None:
    repo.tool("init", env={"COMFYVN_ASSETS_ROOT": "game/art"})
    repo.write("game/art/x/a.png", media.png())
    repo.git("add", "-A")
    repo.commit("art")
    done = json.loads(desk.tool("clone", str(repo.path), "mine", "--json").out)
    assert (done["assets"], done["missing"]) == (1, 0)
    assert GitRepo(desk.path / "mine").status() == []


def test_inside_another_repositorys_hook_environment(origin: GitRepo, desk: GitRepo) -> None:
    env = {"GIT_DIR": str(origin.path / ".git"), "GIT_WORK_TREE": str(origin.path), "GIT_INDEX_FILE": "nowhere"}
    before = (origin.path / ".git/config").read_bytes()
    desk.tool("clone", str(origin.path), "mine", env=env)
    assert (desk.path / "mine" / ALICE).is_symlink()
    assert (origin.path / ".git/config").read_bytes() == before


@pytest.mark.parametrize("link", ["cache", "cache/thumbs"])
def test_previews_are_not_written_or_removed_where_a_tracked_link_leads(
    origin: GitRepo, desk: GitRepo, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "thumbs").mkdir(parents=True)
    for folder in (outside, outside / "thumbs"):
        (folder / ("a" * 64)).write_text("mine")
    before = sorted(outside.rglob("*"))
    (origin.path / link).parent.mkdir(exist_ok=True)
    (origin.path / link).symlink_to(outside)
    origin.git("add", "-f", link)
    origin.commit("a link")
    desk.tool("clone", str(origin.path), "mine")
    mine = GitRepo(desk.path / "mine")
    mine.tool("rebuild")
    mine.tool("uninstall")
    assert sorted(outside.rglob("*")) == before


@pytest.mark.parametrize("size", ["99999999999999999999999999", "-1", "1e400", "true"])
def test_a_sidecar_that_lies_of_its_size_stops_nothing(origin: GitRepo, desk: GitRepo, size: str) -> None:
    place = origin.path / f"{ALICE}.asset.json"
    card = place.read_text()
    number = json.loads(card)["bytes"]
    place.write_text(card.replace(f'"bytes": {number}', f'"bytes": {size}'))
    origin.git("add", "-A")
    origin.git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "a lie")
    assert desk.tool("clone", str(origin.path), "mine", check=False).code in (0, 1, 12)
    mine = GitRepo(desk.path / "mine")
    for command in ("list", "status", "pull"):
        assert mine.tool(command, check=False).code in (0, 12), command
