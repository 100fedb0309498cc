"""`register`: what it takes in, from where, under which names, and what it refuses."""

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.gitrepo import GitRepo
from tests.graphs import png_texts
from tests.media import comfy_png, comfy_prompt, comfy_workflow, png, wav

KEYS = {"uid", "hash", "type", "path", "bytes", "media", "tags", "license", "meta", "preview", "provenance"}
KEYS |= {"sidecar", "thumb", "view"}
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder outside the repository."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def register(repo: GitRepo, *words: str | Path, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = repo.tool("register", "--json", *map(str, words), **options).json()
    return found


def refused(repo: GitRepo, code: int, *words: str | Path, **options: Any) -> str:
    """Registers what is refused and gives the message; nothing may be written anywhere."""
    before = everything(repo)
    done = repo.tool("register", *map(str, words), check=False, **options)
    assert done.code == code, done.err
    assert done.err.startswith("error: ") and "Traceback" not in done.err
    assert everything(repo) == before
    return done.err


def everything(repo: GitRepo) -> dict[str, tuple[int, int]]:
    """Files of the work tree and of the store, and git's index, with size and time."""
    found = {}
    for folder, _, names in os.walk(os.fsencode(repo.path)):
        if b"/.git" in folder and b"/comfyvn/objects" not in folder:
            continue
        for name in names:
            info = os.lstat(os.path.join(folder, name))
            found[os.fsdecode(os.path.join(folder, name))] = (info.st_size, info.st_mtime_ns)
    index = repo.path / ".git" / "index"
    return {**found, "index": (index.stat().st_size, index.stat().st_mtime_ns)} if index.exists() else found


# -- by copy -------------------------------------------------------------------------------------------------------


def test_a_copied_file_stays_where_it_was_and_is_staged_as_a_view_with_a_sidecar(
    store_repo: GitRepo, inbox: Path
) -> None:
    data = comfy_png(7)
    source = put(inbox, "alice.png", data)
    before = source.stat()
    (record,) = register(store_repo, source, "--type", "characters")
    assert source.read_bytes() == data and source.stat().st_mtime_ns == before.st_mtime_ns
    view = "assets/characters/alice.png"
    assert store_repo.staged(view)[0] == "120000"  # type: ignore[index]
    assert store_repo.link(view) == f"../../.comfyvn/objects/{record['hash'][:2]}/{record['hash'][2:]}"
    assert sha256(store_repo.read(view)) == record["hash"]
    assert store_repo.staged(f"{view}.asset.json") is not None
    assert store_repo.status() == [
        "A  assets/.gitattributes",
        f"A  {view}",
        f"A  {view}.asset.json",
    ]


def test_the_json_record_has_the_documented_keys_and_says_what_the_sidecar_says(
    store_repo: GitRepo, inbox: Path
) -> None:
    data = comfy_png(7, steps=31)
    (record,) = register(store_repo, put(inbox, "a.png", data), "--type", "characters")
    assert set(record) == KEYS
    card = store_repo.sidecar("assets/characters/a.png")
    assert {key: record[key] for key in card if key != "schema"} == {k: v for k, v in card.items() if k != "schema"}
    assert record["view"] == "assets/characters/a.png"
    assert record["sidecar"] == "assets/characters/a.png.asset.json"
    assert record["thumb"] is None
    assert record["uid"] == record["hash"][:16]
    assert record["media"] == {"mime": "image/png", "width": 16, "height": 24}
    provenance = record["provenance"]
    assert provenance["source"] == "comfyui" and provenance["inputs"]["steps"] == 31
    assert provenance["source_hash"] == sha256(data)
    assert provenance["commit"] is None and provenance["parent"] is None


def test_a_commit_after_register_keeps_the_one_record_and_names_the_commit(store_repo: GitRepo, inbox: Path) -> None:
    (record,) = register(store_repo, put(inbox, "a.wav", wav()), "--type", "voice")
    commit = store_repo.commit("voice")
    ledger = store_repo.tool("provenance", "--json").json()
    assert [(each["id"], each["commit"]) for each in ledger] == [(record["provenance"]["id"], commit)]
    assert store_repo.sidecar("assets/voice/a.wav")["provenance"]["commit"] == commit
    assert store_repo.status() == []


@pytest.mark.parametrize("name", ["other.png", "school/day one/other.png", "日本/été.png", 'it\'s "x".png', "-n.png"])
def test_a_name_may_have_folders_and_any_letters(store_repo: GitRepo, inbox: Path, name: str) -> None:
    source = put(inbox, "a.png", png())
    (record,) = register(store_repo, source, "--type", "characters", f"--name={name}")
    assert record["path"] == f"characters/{name}" and record["type"] == "characters"
    store_repo.commit("art")
    assert store_repo.status() == []
    shown = store_repo.tool("show", "--json", "--", f"assets/characters/{name}").json()
    assert shown["path"] == f"characters/{name}"


def test_a_newline_in_a_name_survives(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "two\nlines.png", png())
    (record,) = register(store_repo, source, "--type", "characters")
    store_repo.commit("art")
    assert store_repo.status() == []
    assert [each["path"] for each in store_repo.tool("list", "--json").json()] == ["characters/two\nlines.png"]
    assert "two\\nlines.png" in store_repo.tool("list").out
    assert record["path"] == "characters/two\nlines.png"


@pytest.mark.parametrize(
    "name",
    [
        "../x.png",
        "a/../../x.png",
        "/etc/x.png",
        "a\\b.png",
        "",
        "a//b.png",
        "./a.png",
        ".hidden.png",
        ".h/a.png",
        "sub/",
        "a.asset.json",
        "Thumbs.db",
        "a/.asset.json",
    ],
)
def test_a_name_that_escapes_or_can_be_no_asset_is_refused(store_repo: GitRepo, inbox: Path, name: str) -> None:
    refused(store_repo, 20, put(inbox, "a.png", png()), "--type", "characters", f"--name={name}")


@pytest.mark.parametrize("type_", ["..", ".", "/abs", "a/b", "a\\b", "", ".git", "_meta", "c:"])
def test_a_type_that_escapes_or_is_kept_apart_is_refused(store_repo: GitRepo, inbox: Path, type_: str) -> None:
    refused(store_repo, 20, put(inbox, "a.png", png()), f"--type={type_}")


def test_a_place_below_a_file_or_a_link_is_refused(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    register(store_repo, source, "--type", "characters")
    refused(store_repo, 20, source, "--type", "characters", "--name", "a.png/b.png")
    (store_repo.path / "assets" / "linked").symlink_to("characters")
    refused(store_repo, 20, source, "--type", "linked")


def test_what_git_attributes_keep_out_is_refused(store_repo: GitRepo, inbox: Path) -> None:
    with open(store_repo.path / "assets" / ".gitattributes", "a") as stream:
        stream.write("*.txt -filter\n")
    said = refused(store_repo, 20, put(inbox, "notes.txt", b"hello"), "--type", "scripts")
    assert ".gitattributes" in said


def test_names_of_244_bytes_are_taken_and_of_245_refused(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    longest = "é" * 120 + ".png"
    assert len(longest.encode()) == 244
    register(store_repo, source, "--type", "characters", "--name", longest)
    store_repo.commit("long")
    assert store_repo.status() == []
    said = refused(store_repo, 20, source, "--type", "characters", "--name", "x" + longest)
    assert "245 bytes" in said


def test_git_add_refuses_a_name_of_245_bytes(store_repo: GitRepo) -> None:
    store_repo.write("assets/characters/" + "n" * 241 + ".png", png())
    done = store_repo.git("add", "assets", check=False)
    assert done.code != 0 and "245 bytes" in done.err
    assert not any("nnn" in line for line in store_repo.git("ls-files").out.splitlines())


def test_names_that_are_not_utf_8_are_refused(store_repo: GitRepo, inbox: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        source = put(inbox, name, png())
    except OSError as error:
        assert error.errno == errno.EILSEQ
        pytest.skip("this file system takes UTF-8 names only")
    assert "UTF-8" in refused(store_repo, 20, source, "--type", "characters")
    (store_repo.path / "assets" / "characters").mkdir()
    put(store_repo.path, f"assets/characters/{name}", png())
    done = store_repo.git("add", "assets", check=False)
    assert done.code != 0 and "UTF-8" in done.err


def test_words_that_are_not_utf_8_are_refused(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    for option in ("--tag", "--license", "--source"):
        said = refused(store_repo, 2, source, "--type", "characters", option, os.fsdecode(b"caf\xe9"))
        assert "UTF-8" in said


# -- taken names ---------------------------------------------------------------------------------------------------


def test_other_bytes_under_a_taken_name_are_refused_and_replace_keeps_the_old_ones(
    store_repo: GitRepo, inbox: Path
) -> None:
    source = put(inbox, "a.png", png(seed=1))
    (old,) = register(store_repo, source, "--type", "characters", "--tag", "hero", "--license", "CC0-1.0")
    store_repo.commit("one")
    put(inbox, "a.png", png(seed=2))
    objects = set(everything(store_repo))
    done = store_repo.tool("register", str(source), "--type", "characters", "--json", check=False)
    assert done.code == 20 and done.json()["error"] == "refused" and "--replace" in done.json()["hint"]
    assert store_repo.status() == [] and set(everything(store_repo)) >= objects
    (new,) = register(store_repo, source, "--type", "characters", "--replace")
    assert new["hash"] != old["hash"] and new["provenance"]["parent"] == old["hash"]
    assert (new["tags"], new["license"]) == (["hero"], "CC0-1.0")
    assert sha256(store_repo.object_path(old["hash"]).read_bytes()) == old["hash"]
    store_repo.commit("two")
    assert store_repo.status() == []


def test_the_bytes_of_an_older_version_bring_its_record_back(store_repo: GitRepo, inbox: Path) -> None:
    one, two = put(inbox, "1.wav", wav(0.1)), put(inbox, "2.wav", wav(0.2))
    (first,) = register(store_repo, one, "--type", "voice", "--name", "a.wav")
    store_repo.commit("one")
    register(store_repo, two, "--type", "voice", "--name", "a.wav", "--replace", "--tag", "later")
    store_repo.commit("two")
    (back,) = register(store_repo, one, "--type", "voice", "--name", "a.wav", "--replace")
    assert back["provenance"]["id"] == first["provenance"]["id"] and back["tags"] == ["later"]


@pytest.mark.parametrize("committed", [False, True])
def test_the_same_bytes_again_change_nothing(store_repo: GitRepo, inbox: Path, committed: bool) -> None:
    source = put(inbox, "a.png", comfy_png())
    (first,) = register(store_repo, source, "--type", "characters", "--tag", "hero")
    if committed:
        store_repo.commit("art")
    store_repo.git("update-index", "--refresh", check=False)
    before = {path: about for path, about in everything(store_repo).items() if "/objects/" not in path}
    again = register(store_repo, source, "--type", "characters", "--tag", "hero")[0]
    after = {path: about for path, about in everything(store_repo).items() if "/objects/" not in path}
    assert after == before
    assert again["provenance"]["id"] == first["provenance"]["id"]
    assert (store_repo.status() == []) is committed


def test_tags_and_a_licence_are_added_by_registering_again(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    (first,) = register(store_repo, source, "--type", "characters", "--tag", "hero")
    store_repo.commit("art")
    (second,) = register(store_repo, source, "--type", "characters", "--tag", "smile", "--tag", "hero", "--license=MIT")
    assert (second["tags"], second["license"]) == (["hero", "smile"], "MIT")
    assert second["provenance"]["id"] == first["provenance"]["id"]
    assert store_repo.status() == ["M  assets/characters/a.png.asset.json"]


def test_an_unstaged_edit_of_the_sidecar_survives_registering_again(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    register(store_repo, source, "--type", "characters")
    store_repo.commit("art")
    card = store_repo.sidecar("assets/characters/a.png")
    card["meta"] = {"note": "by hand"}
    store_repo.write("assets/characters/a.png.asset.json", json.dumps(card))
    register(store_repo, source, "--type", "characters", "--tag", "hero")
    card = store_repo.sidecar("assets/characters/a.png")
    assert (card["meta"], card["tags"]) == ({"note": "by hand"}, ["hero"])


def test_a_file_of_the_users_at_the_place_is_refused_and_never_lost(store_repo: GitRepo, inbox: Path) -> None:
    mine = png(seed=9)
    place = store_repo.write("assets/characters/a.png", mine)
    source = put(inbox, "a.png", png(seed=1))
    done = store_repo.tool("register", str(source), "--type", "characters", check=False)
    assert done.code == 20 and place.read_bytes() == mine and not place.is_symlink()
    register(store_repo, source, "--type", "characters", "--replace")
    assert store_repo.object_path(sha256(mine)).read_bytes() == mine
    assert place.is_symlink()


def test_an_unstaged_edit_of_an_asset_is_never_lost(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.wav", wav(0.1))
    register(store_repo, source, "--type", "voice")
    store_repo.commit("art")
    edited = wav(0.3)
    store_repo.write("assets/voice/a.wav", edited)
    done = store_repo.tool("register", str(source), "--type", "voice", check=False)
    assert done.code == 20 and store_repo.read("assets/voice/a.wav") == edited
    register(store_repo, source, "--type", "voice", "--replace")
    assert store_repo.object_path(sha256(edited)).read_bytes() == edited


def test_a_copy_of_the_same_bytes_at_the_place_is_no_obstacle(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    store_repo.write("assets/characters/a.png", png())
    (record,) = register(store_repo, source, "--type", "characters")
    assert (store_repo.path / record["view"]).is_symlink()


def test_a_file_registered_at_its_own_place_becomes_a_view_and_one_object(store_repo: GitRepo) -> None:
    store_repo.write("assets/characters/a.png", png())
    (record,) = register(store_repo, "assets/characters/a.png", "--type", "characters")
    assert store_repo.link(record["view"]).endswith(record["hash"][2:])
    objects = [path for path in everything(store_repo) if "/objects/" in path]
    assert objects == [str(store_repo.object_path(record["hash"]))]


def test_a_link_or_a_folder_of_the_users_at_the_place_is_refused(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    folder = store_repo.path / "assets" / "characters"
    (folder / "a.png").mkdir(parents=True)
    (folder / "b.png").symlink_to("elsewhere")
    refused(store_repo, 20, source, "--type", "characters", "--replace")
    refused(store_repo, 20, source, "--type", "characters", "--name", "b.png", "--replace")


# -- broken sidecars in the way ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{ not json", "does not parse"),
        (b"[1, 2]", "a list"),
        (b'<<<<<<< ours\n{"schema": 1}\n=======\n{}\n>>>>>>> theirs\n', "merge markers"),
        (b'{"schema": 1, "x": "' + b"x" * 50_000_000 + b'"}', "too long"),
        (b'{"schema": 99, "hash": "0"}', "schema 99"),
    ],
    ids=["no-json", "list", "merge-markers", "50-MB", "newer-schema"],
)
def test_a_broken_sidecar_at_the_place_is_named_and_left_untouched(
    store_repo: GitRepo, inbox: Path, text: bytes, reason: str
) -> None:
    card = store_repo.write("assets/characters/a.png.asset.json", text)
    before = card.stat().st_mtime_ns
    said = refused(store_repo, 20, put(inbox, "a.png", png()), "--type", "characters")
    assert "assets/characters/a.png" in said and reason in said
    assert card.stat().st_mtime_ns == before and card.read_bytes() == text


# -- sources that are no files -------------------------------------------------------------------------------------


def test_sources_that_are_not_there_or_no_ordinary_files_end_with_2(store_repo: GitRepo, inbox: Path) -> None:
    os.mkfifo(inbox / "pipe")
    (inbox / "dangling.png").symlink_to("nowhere.png")
    (inbox / "loop.png").symlink_to("loop.png")
    put(inbox, "file.png", png())
    cases = ["missing.png", "pipe", "dangling.png", "loop.png", "file.png/below.png", "n" * 300, "."]
    for name in cases:
        refused(store_repo, 2, inbox / name, "--type", "characters")
    refused(store_repo, 2, "/dev/null", "--type", "characters")


def test_an_empty_file_is_refused(store_repo: GitRepo, inbox: Path) -> None:
    assert "empty" in refused(store_repo, 20, put(inbox, "a.png", b""), "--type", "characters")


@not_as_root
def test_an_unreadable_file_ends_with_16(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    source.chmod(0)
    refused(store_repo, 16, source, "--type", "characters")


def test_a_link_to_a_file_is_followed(store_repo: GitRepo, inbox: Path) -> None:
    put(inbox, "real.png", png())
    (inbox / "a.png").symlink_to("real.png")
    (record,) = register(store_repo, inbox / "a.png", "--type", "characters")
    assert record["path"] == "characters/a.png"


def test_a_view_can_be_registered_under_another_name(store_repo: GitRepo, inbox: Path) -> None:
    (one,) = register(store_repo, put(inbox, "a.png", png()), "--type", "characters")
    (two,) = register(store_repo, one["view"], "--type", "sprites", "--name", "b.png")
    assert two["hash"] == one["hash"] and two["provenance"]["id"] != one["provenance"]["id"]


# -- several at once -----------------------------------------------------------------------------------------------


def test_several_files_are_registered_in_order(store_repo: GitRepo, inbox: Path) -> None:
    sources = [put(inbox, f"{name}.png", png(seed=n)) for n, name in enumerate("zay")]
    found = register(store_repo, *sources, "--type", "characters")
    assert [each["path"] for each in found] == ["characters/z.png", "characters/a.png", "characters/y.png"]
    done = store_repo.tool("register", *map(str, sources), "--type", "characters")
    assert done.out.splitlines()[-1] == "3 assets staged; now: git commit"


def test_nothing_is_taken_in_if_two_would_share_a_name_or_one_is_missing(store_repo: GitRepo, inbox: Path) -> None:
    one, two = put(inbox, "a.png", png(seed=1)), put(inbox, "sub/a.png", png(seed=2))
    refused(store_repo, 20, one, two, "--type", "characters")
    refused(store_repo, 2, one, inbox / "missing.png", "--type", "characters")
    refused(store_repo, 2, one, two, "--type", "characters", "--name", "x.png")


# -- what the caller states ----------------------------------------------------------------------------------------


def test_what_is_stated_is_recorded_and_the_source_stands_in_the_marker(store_repo: GitRepo, inbox: Path) -> None:
    words = ("--source", "krita", "--input", "seed=42", "--input", "brush=soft round", "--input", "layers=[1, 2]")
    (record,) = register(store_repo, put(inbox, "a.png", png()), "--type", "characters", *words)
    assert record["provenance"]["source"] == "krita"
    assert record["provenance"]["inputs"] == {"seed": 42, "brush": "soft round", "layers": [1, 2]}
    marker = json.loads(png_texts(store_repo.read(record["view"]))["comfyvn_provenance"])
    assert marker == {"v": 1, "source": "krita", "source_hash": sha256(png()), "workflow_hash": None}


def test_without_a_generator_the_source_is_manual_and_not_in_the_marker(store_repo: GitRepo, inbox: Path) -> None:
    (record,) = register(store_repo, put(inbox, "a.png", png()), "--type", "characters")
    assert record["provenance"]["source"] == "manual" and record["provenance"]["workflow_hash"] is None
    assert json.loads(png_texts(store_repo.read(record["view"]))["comfyvn_provenance"])["source"] is None


def test_a_stated_graph_gives_hash_and_inputs_in_either_form(store_repo: GitRepo, inbox: Path) -> None:
    prompt = comfy_prompt(5, steps=12)
    api = put(inbox, "api.json", json.dumps(prompt).encode())
    editor = put(inbox, "editor.json", json.dumps(comfy_workflow(prompt)).encode())
    (one,) = register(store_repo, put(inbox, "1.png", png(seed=1)), "--type", "characters", "--workflow", api)
    (two,) = register(store_repo, put(inbox, "2.png", png(seed=2)), "--type", "characters", "--workflow", editor)
    (same,) = register(store_repo, put(inbox, "3.png", comfy_png(6, steps=12)), "--type", "characters")
    assert one["provenance"]["source"] == "comfyui" and one["provenance"]["inputs"]["steps"] == 12
    assert one["provenance"]["workflow_hash"] == same["provenance"]["workflow_hash"]
    assert two["provenance"]["inputs"]["graph"] == "workflow" and len(two["provenance"]["workflow_hash"]) == 64
    marker = json.loads(png_texts(store_repo.read(one["view"]))["comfyvn_provenance"])
    assert marker["workflow_hash"] == one["provenance"]["workflow_hash"]
    assert json.loads(store_repo.tool("workflow", one["view"], "--api").out) == prompt


def test_graphs_that_are_none_are_refused(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    for number, text in enumerate((b"", b"{", b"[]", b'{"a": 1}', b"\xff\xfe", b'"text"')):
        graph = put(inbox, f"{number}.json", text)
        refused(store_repo, 2, source, "--type", "characters", "--workflow", graph)
    refused(store_repo, 2, source, "--type", "characters", "--workflow", inbox / "missing.json")
    refused(store_repo, 2, source, "--type", "characters", "--workflow", inbox)
    refused(store_repo, 2, source, "--type", "characters", "--input", "no-equals-sign")


def test_the_user_is_recorded(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    (record,) = register(store_repo, source, "--type", "characters", env={"COMFYVN_USER": "Ada"})
    assert record["provenance"]["user"] == "Ada"


# -- without staging -----------------------------------------------------------------------------------------------


def test_an_unstaged_asset_is_listed_survives_a_rebuild_and_can_be_added_later(
    store_repo: GitRepo, inbox: Path
) -> None:
    index = store_repo.path / ".git" / "index"
    before = index.read_bytes(), index.stat().st_mtime_ns
    (record,) = register(store_repo, put(inbox, "a.png", png()), "--type", "characters", "--no-stage")
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before

    def listed() -> list[tuple[str, str]]:
        found = store_repo.tool("list", "--json").json()
        return [(each["path"], (each["provenance"] or {}).get("id")) for each in found]

    row = ("characters/a.png", record["provenance"]["id"])
    assert listed() == [row]
    store_repo.tool("rebuild")
    assert listed() == [row]
    Path(store_repo.tool("db").out).unlink()
    assert listed() == [row]
    store_repo.git("add", "assets")
    commit = store_repo.commit("later")
    assert store_repo.status() == [] and listed() == [row]
    assert store_repo.tool("show", "--json", record["view"]).json()["commit"] == commit


def test_replacing_without_staging_answers_with_what_was_registered(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png(seed=1))
    (old,) = register(store_repo, source, "--type", "characters")
    store_repo.commit("one")
    put(inbox, "a.png", png(seed=2))
    (new,) = register(store_repo, source, "--type", "characters", "--replace", "--no-stage")
    assert new["hash"] != old["hash"] and new["provenance"]["parent"] == old["hash"]
    assert store_repo.tool("status", "--json").json()["edited"][0] == old["view"]


# -- in place ------------------------------------------------------------------------------------------------------


def test_an_adopted_file_becomes_the_object_itself_untouched(store_repo: GitRepo) -> None:
    data = comfy_png()
    place = store_repo.write("assets/characters/a.png", data)
    inode = place.stat().st_ino
    (record,) = register(store_repo, place, "--type", "characters", "--no-copy")
    assert record["hash"] == sha256(data) == record["provenance"]["source_hash"]
    stored = store_repo.object_path(record["hash"])
    assert stored.stat().st_ino == inode and stored.read_bytes() == data
    assert stat.S_IMODE(stored.stat().st_mode) == 0o444 and stored.stat().st_nlink == 1
    assert place.is_symlink() and "comfyvn_provenance" not in png_texts(data)
    store_repo.commit("adopted")
    assert store_repo.status() == []


def test_an_adopted_file_with_another_hard_link_is_copied_and_the_other_stays_writable(
    store_repo: GitRepo, inbox: Path
) -> None:
    data = png()
    place = store_repo.write("assets/characters/a.png", data)
    os.link(place, inbox / "mine.png")
    (record,) = register(store_repo, place, "--type", "characters", "--no-copy")
    assert record["hash"] == sha256(data) and place.is_symlink()
    (inbox / "mine.png").write_bytes(b"painted over")
    assert store_repo.read("assets/characters/a.png") == data


def test_a_file_outside_the_root_is_not_adopted(store_repo: GitRepo, inbox: Path) -> None:
    source = put(inbox, "a.png", png())
    said = refused(store_repo, 20, source, "--type", "characters", "--no-copy")
    assert str(store_repo.path / "assets") in said
    assert stat.S_IMODE(source.stat().st_mode) & 0o200


def test_an_adopted_file_keeps_its_name_and_its_type(store_repo: GitRepo) -> None:
    place = store_repo.write("assets/characters/a.png", png())
    refused(store_repo, 20, place, "--type", "characters", "--no-copy", "--name", "b.png")
    refused(store_repo, 20, place, "--type", "sprites", "--no-copy")


def test_a_file_below_an_assets_root_that_is_a_parent_link_is_found(store_repo: GitRepo, tmp_path: Path) -> None:
    store_repo.write("assets/characters/a.png", png())
    (tmp_path / "short").symlink_to(store_repo.path)
    place = tmp_path / "short" / "assets" / "characters" / "a.png"
    (record,) = register(store_repo, place, "--type", "characters", "--no-copy")
    assert record["path"] == "characters/a.png"
