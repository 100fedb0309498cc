"""AssetRegistry: the Python entry, as scripts and ComfyVN Studio use it, and the settings that it and the commands read."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store import AssetRegistry
from comfyvn_store.errors import (
    AmbiguousAsset,
    NotInitialised,
    Refused,
    UnknownAsset,
    UnknownFile,
    UnknownRevision,
    UsageError,
)
from tests.gitrepo import GitRepo
from tests.media import comfy_png, comfy_prompt, png, wav

KEYS = {"uid", "hash", "type", "path", "bytes", "media", "tags", "license", "meta", "preview", "provenance"}
KEYS |= {"sidecar", "thumb", "view"}


@pytest.fixture
def here(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    """An initialised repository that is the current folder."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    monkeypatch.chdir(store_repo.path)
    return store_repo


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture outside the repository."""
    (tmp_path / "image.png").write_bytes(comfy_png(7))
    return tmp_path / "image.png"


# -- registering ---------------------------------------------------------------------------------------------------


def test_the_shortest_use_gives_a_plain_record_and_prints_it(here: GitRepo, picture: Path) -> None:
    registry = AssetRegistry()
    info = registry.register_file(str(picture), "characters")
    assert set(info) == KEYS and type(info) is dict
    assert json.loads(json.dumps(info)) == info
    assert info["path"] == "characters/image.png" and info["provenance"]["source"] == "comfyui"
    assert (here.path / info["view"]).is_symlink() and picture.exists()


def test_metadata_becomes_meta_and_its_tags_become_tags(here: GitRepo, picture: Path) -> None:
    given = {"tags": ["hero", "smile"], "scene": 3, "mood": {"b": 1, "a": [None, True]}}
    info = AssetRegistry().register_file(picture, "characters", metadata=given, license_tag="CC0-1.0")
    assert info["tags"] == ["hero", "smile"] and info["license"] == "CC0-1.0"
    assert info["meta"] == {"scene": 3, "mood": {"a": [None, True], "b": 1}}
    assert given["tags"] == ["hero", "smile"], "what the caller gave is not changed"


@pytest.mark.parametrize(
    "metadata",
    [{"tags": "hero"}, {"tags": [1]}, {"x": float("nan")}, {"x": object()}, {"x": b"bytes"}, {"tags": ["\udcff"]}],
)
def test_metadata_that_no_sidecar_can_hold_is_refused(here: GitRepo, picture: Path, metadata: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        AssetRegistry().register_file(picture, "characters", metadata=metadata)
    assert not (here.path / "assets" / "characters").exists()


def test_stated_provenance_is_recorded(here: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    stated = {
        "source": "blender",
        "workflow_hash": "ab" * 32,
        "inputs": {"samples": 64},
        "user": "Ada",
        "parent": "cd" * 32,
        "studio_node": 12,
    }
    record = AssetRegistry().register_file(tmp_path / "a.png", "characters", provenance=stated)["provenance"]
    assert {key: record[key] for key in stated} == stated


def test_a_stated_workflow_is_read_as_a_graph(here: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    graph = comfy_prompt(3, steps=9)
    record = AssetRegistry().register_file(tmp_path / "a.png", "characters", provenance={"workflow": graph})
    assert record["provenance"]["inputs"]["steps"] == 9 and record["provenance"]["workflow"] == graph
    with pytest.raises(UsageError):
        AssetRegistry().register_file(tmp_path / "a.png", "characters", provenance={"workflow": {"no": "graph"}})


@pytest.mark.parametrize("key", ["id", "commit", "created_at", "source_hash"])
def test_what_only_the_program_knows_cannot_be_stated(here: GitRepo, picture: Path, key: str) -> None:
    with pytest.raises(UsageError, match=key):
        AssetRegistry().register_file(picture, "characters", provenance={key: "x"})


def test_dest_relative_is_relative_to_the_assets_root(here: GitRepo, picture: Path) -> None:
    registry = AssetRegistry()
    info = registry.register_file(picture, "characters", dest_relative=Path("characters/school/alice.png"))
    assert info["view"] == "assets/characters/school/alice.png"
    assert registry.register_file(picture, "generic", dest_relative="logo.png")["type"] == "generic"
    with pytest.raises(UsageError, match="lies in the type"):
        registry.register_file(picture, "characters", dest_relative="alice.png")
    for escape in ("../x.png", "characters/../../x.png", "/abs/x.png", "characters\\x.png", "", "_meta/x.png"):
        with pytest.raises((Refused, UsageError)):
            registry.register_file(picture, "characters", dest_relative=escape)


def test_copy_and_copy_file_that_contradict_each_other_are_an_error(here: GitRepo, picture: Path) -> None:
    with pytest.raises(UsageError, match="contradict"):
        AssetRegistry().register_file(picture, "characters", copy=True, copy_file=False)


@pytest.mark.parametrize("words", [{"copy_file": False}, {"copy": False}, {"copy": False, "copy_file": False}])
def test_without_copying_the_file_itself_becomes_the_object(here: GitRepo, words: dict[str, bool]) -> None:
    place = here.write("assets/characters/a.png", png())
    inode = place.stat().st_ino
    info = AssetRegistry().register_file(place, "characters", **words)
    assert here.object_path(info["hash"]).stat().st_ino == inode


def test_without_copying_a_file_elsewhere_is_refused_whatever_dest_relative_says(here: GitRepo, picture: Path) -> None:
    before = picture.stat().st_mode
    for dest in (None, "logo.png", "characters/logo.png"):
        type_ = "generic" if dest == "logo.png" else "characters"
        with pytest.raises(Refused, match="outside the assets root"):
            AssetRegistry().register_file(picture, type_, dest_relative=dest, copy_file=False)
    place = here.write("assets/logo.png", png())
    with pytest.raises(Refused, match="keeps its name"):
        AssetRegistry().register_file(place, "generic", dest_relative="other.png", copy_file=False)
    assert AssetRegistry().register_file(place, "generic", copy_file=False)["path"] == "logo.png"
    assert picture.stat().st_mode == before


def test_replace_and_stage_are_as_on_the_command_line(here: GitRepo, tmp_path: Path) -> None:
    registry = AssetRegistry()
    (tmp_path / "a.png").write_bytes(png(seed=1))
    (tmp_path / "b.png").write_bytes(png(seed=2))
    old = registry.register_file(tmp_path / "a.png", "characters", stage=False)
    assert here.staged(old["view"]) is None
    with pytest.raises(Refused, match="taken"):
        registry.register_file(tmp_path / "b.png", "characters", dest_relative="characters/a.png")
    new = registry.register_file(tmp_path / "b.png", "characters", dest_relative="characters/a.png", replace=True)
    assert new["provenance"]["parent"] == old["hash"] and here.staged(new["view"]) is not None


def test_a_source_that_is_no_file_is_unknown(here: GitRepo, tmp_path: Path) -> None:
    for name in ("missing.png", "."):
        with pytest.raises(UnknownFile):
            AssetRegistry().register_file(tmp_path / name, "characters")


# -- asking --------------------------------------------------------------------------------------------------------


def test_assets_are_listed_found_resolved_and_removed(here: GitRepo, tmp_path: Path) -> None:
    registry = AssetRegistry()
    (tmp_path / "a.png").write_bytes(png(seed=1))
    (tmp_path / "b.wav").write_bytes(wav())
    a = registry.register_file(tmp_path / "a.png", "characters", metadata={"tags": ["hero"]}, license_tag="MIT")
    b = registry.register_file(tmp_path / "b.wav", "voice")
    commit = here.commit("art")
    assert [each["path"] for each in registry.list_assets()] == ["characters/a.png", "voice/b.wav"]
    assert [each["uid"] for each in registry.list_assets("voice")] == [b["uid"]]
    assert [each["uid"] for each in registry.list_assets(tags=["hero"], license_tag="MIT", text="a.png")] == [a["uid"]]
    assert registry.list_assets(limit=0) == [] and registry.list_assets(tags=["hero", "other"]) == []
    for name in ("characters/a.png", a["view"], a["uid"], a["hash"], a["hash"][:7], "HEAD:" + a["view"]):
        assert registry.get_asset(name)["commit"] == commit
    assert registry.resolve_path(a["uid"]) == str(here.path / a["view"])
    gone = registry.remove_asset("voice/b.wav")
    assert gone["hash"] == b["hash"] and here.object_path(b["hash"]).exists()
    assert here.status() == ["D  assets/voice/b.wav", "D  assets/voice/b.wav.asset.json"]
    assert [each["path"] for each in registry.list_assets()] == ["characters/a.png"]
    assert [each["hash"] for each in registry.provenance_for("voice/b.wav")] == [b["hash"]]


def test_an_edit_is_not_removed(here: GitRepo, picture: Path) -> None:
    registry = AssetRegistry()
    info = registry.register_file(picture, "characters")
    card = here.sidecar(info["view"])
    here.write(info["sidecar"], json.dumps({**card, "tags": ["unstaged"]}))
    with pytest.raises(Refused, match="not staged"):
        registry.remove_asset(info["uid"])
    here.git("checkout", "--", info["sidecar"])
    here.write(info["view"], b"painted over")
    with pytest.raises(Refused, match="edit"):
        registry.remove_asset(info["uid"])
    assert here.read(info["view"]) == b"painted over"


def test_provenance_is_asked_by_asset_by_commit_and_by_range(here: GitRepo, tmp_path: Path) -> None:
    registry = AssetRegistry()
    ids, commits = [], []
    for number in range(3):
        (tmp_path / "a.png").write_bytes(png(seed=number))
        info = registry.register_file(tmp_path / "a.png", "characters", replace=True)
        ids.append(info["provenance"]["id"])
        commits.append(here.commit(f"version {number}"))
    assert [each["id"] for each in registry.provenance_for("characters/a.png")] == ids[::-1]
    assert [each["id"] for each in registry.provenance_for()] == ids[::-1]
    assert [each["commit"] for each in registry.provenance_for(commit="HEAD~1")] == [commits[1]]
    assert [each["id"] for each in registry.provenance_for(commit="HEAD~2..HEAD")] == [ids[2], ids[1]]
    with pytest.raises(UnknownRevision):
        registry.provenance_for(commit="nowhere")


def test_names_that_nothing_goes_by(here: GitRepo, tmp_path: Path) -> None:
    registry = AssetRegistry()
    (tmp_path / "a.png").write_bytes(png())
    info = registry.register_file(tmp_path / "a.png", "characters")
    registry.register_file(tmp_path / "a.png", "sprites")
    for name in ("nothing", "", "..", "/", "a\0b", "\udcff.png", "zzzz", "0", "HEAD~5:x", "assets"):
        with pytest.raises((UnknownAsset, UnknownRevision)):
            registry.get_asset(name)
    with pytest.raises(UnknownAsset):
        registry.provenance_for("\udcff.png")
    with pytest.raises(AmbiguousAsset, match=r"assets/characters/a\.png.*assets/sprites/a\.png"):
        registry.get_asset(info["uid"])


def test_rebuild_gives_counts_and_problems(here: GitRepo, picture: Path) -> None:
    registry = AssetRegistry()
    info = registry.register_file(picture, "characters")
    assert registry.rebuild(previews=False) == {
        "assets": 1,
        "records": 1,
        "commits": 0,
        "removed": 0,
        "previews": 0,
        "verified": 0,
        "registered": [],
        "untracked": [],
        "problems": [],
    }
    here.object_path(info["hash"]).unlink()
    assert [each["path"] for each in registry.rebuild(verify=True)["problems"]] == [info["view"]]


def test_waiting_for_previews_makes_them_where_no_worker_runs(here: GitRepo, picture: Path, tmp_path: Path) -> None:
    registry = AssetRegistry()
    (tmp_path / "b.wav").write_bytes(wav())
    a = registry.register_file(picture, "characters")
    b = registry.register_file(tmp_path / "b.wav", "voice")
    assert registry.wait_for_previews(60) is True
    assert registry.get_asset(a["uid"])["thumb"] == f"cache/thumbs/{a['hash']}.webp"
    assert registry.get_asset(b["uid"])["thumb"] == f"cache/thumbs/{b['hash']}.waveform.json"
    assert (here.path / "cache" / "thumbs" / f"{b['hash']}.webp").exists()
    assert not any("cache" in line for line in here.status())


# -- where it looks ------------------------------------------------------------------------------------------------


def test_outside_a_repository_and_before_init_it_says_so(
    repo: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, repo.path):
        monkeypatch.chdir(folder)
        with pytest.raises(NotInitialised) as caught:
            AssetRegistry()
        assert caught.value.hint and "comfyvn-store init" in caught.value.hint


def test_it_works_from_anywhere_with_an_assets_root(here: GitRepo, picture: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir("/")
    registry = AssetRegistry(assets_root=here.path / "assets")
    info = registry.register_file(picture, "characters")
    assert registry.get_asset(info["view"])["uid"] == registry.get_asset(info["path"])["uid"] == info["uid"]
    assert registry.resolve_path(info["view"]) == str(here.path / info["view"])


def test_paths_given_in_python_are_relative_to_the_current_folder(here: GitRepo, picture: Path) -> None:
    (here.path / "tools").mkdir()
    os.chdir(here.path / "tools")
    registry = AssetRegistry("data/comfyvn.db", assets_root="../assets", thumb_root="previews")
    info = registry.register_file(picture, "characters")
    assert registry.wait_for_previews(60)
    assert (here.path / "tools" / "data" / "comfyvn.db").is_file()
    assert registry.get_asset(info["uid"])["thumb"] == f"tools/previews/{info['hash']}.webp"
    assert info["view"] == "assets/characters/image.png"
    assert not any("tools" in line for line in here.status()), "derived files are kept from git"


def test_an_index_in_the_work_tree_stays_hidden_after_init_of_another(here: GitRepo) -> None:
    AssetRegistry("one/index.db")
    AssetRegistry("two/index.db")
    assert not any("index.db" in line for line in here.status())


def test_the_environment_wins_over_git_config_and_that_over_the_tracked_file(
    here: GitRepo, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def root() -> str:
        return str(here.tool("register", str(picture), "--type", "t", "--no-stage", "--json").json()[0]["view"])

    (here.path / ".comfyvnconfig").write_text("[comfyvn]\n\tassetsRoot = tracked\n\tmarker = false\n")
    (here.path / ".gitattributes").write_text("* filter=comfyvn -text\n*.asset.json filter=comfyvn-sidecar\n")
    assert root() == "tracked/t/image.png"
    here.git("config", "comfyvn.assetsRoot", "configured")
    assert root() == "configured/t/image.png"
    monkeypatch.setenv("COMFYVN_ASSETS_ROOT", "environment")
    assert root() == "environment/t/image.png"
    found = AssetRegistry(assets_root="argument").register_file(picture, "t", stage=False)
    assert found["view"] == "argument/t/image.png"
    assert (here.path / "argument/t/image.png").read_bytes() == picture.read_bytes(), "the marker is off"


def test_the_places_of_index_and_previews_come_from_config_and_environment(
    here: GitRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.git("config", "comfyvn.dbPath", "derived/index.db")
    assert here.tool("db", cwd="assets").out == str(here.path / "derived" / "index.db")
    monkeypatch.setenv("COMFYVN_DB_PATH", str(tmp_path / "elsewhere.db"))
    assert here.tool("db").out == str(tmp_path / "elsewhere.db")
    monkeypatch.setenv("COMFYVN_THUMBS_ROOT", str(tmp_path / "thumbs"))
    (tmp_path / "a.png").write_bytes(png())
    registry = AssetRegistry()
    info = registry.register_file(tmp_path / "a.png", "characters")
    assert registry.wait_for_previews(60)
    assert (tmp_path / "thumbs" / f"{info['hash']}.webp").is_file()
    assert info["preview"]["path"] == f"cache/thumbs/{info['hash']}.webp"
    assert not (here.path / "cache").exists()


def test_a_tracked_file_may_set_harmless_keys_only_and_others_are_named_once(here: GitRepo, tmp_path: Path) -> None:
    (here.path / ".comfyvnconfig").write_text(
        f"[comfyvn]\n\tdbPath = {tmp_path}/evil.db\n\tthumbsRoot = {tmp_path}/evil\n\tuser = Mallory\n\tmarker = true\n"
        '[comfyvn "remote.studio"]\n\turl = /shared\n[core]\n\tpager = touch pwned\n[filter "comfyvn"]\n\tclean = evil\n'
    )
    first = here.tool("list")
    note = [line for line in first.err.splitlines() if "not heeded" in line]
    assert len(note) == 1
    for key in ("comfyvn.dbpath", "comfyvn.thumbsroot", "comfyvn.user", "core.pager", "filter.comfyvn.clean"):
        assert key in note[0]
    assert "comfyvn.marker" not in note[0] and "remote.studio.url" not in note[0]
    assert "not heeded" not in here.tool("list").err
    assert sorted(here.tool("status", "--json").json()["ignored_config"])[0] == "comfyvn.dbpath"
    assert here.tool("db").out == str(here.path / ".git" / "comfyvn" / "index.db")
    assert not (tmp_path / "evil.db").exists()


def test_an_assets_root_outside_the_work_tree_is_refused(here: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    for root in ("..", "/elsewhere", ".", ".git/x", "../repo2/assets"):
        monkeypatch.setenv("COMFYVN_ASSETS_ROOT", root)
        done = here.tool("list", check=False)
        assert done.code == 20 and "assets root" in done.err
