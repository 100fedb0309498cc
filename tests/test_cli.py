"""The commands as people and scripts meet them: help, errors, exit codes, filters, names, JSON."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.cli.main import COMMANDS
from tests.gitrepo import GitRepo, Result, run
from tests.media import comfy_png, comfy_prompt, comfy_workflow, png, wav
from tests.templates import copied, shared

A, B, V = "assets/characters/a.png", "assets/characters/b.png", "assets/voice/v.wav"
READS = (("list",), ("show", A), ("provenance",), ("provenance", A), ("status",), ("db",), ("workflow", A))


def make_gallery(repo: GitRepo) -> None:
    """Two pictures and a sound, then a second version of the first picture, then tags: three commits."""
    repo.write(A, comfy_png(1, positive="a knight in silver armour"))
    repo.write(B, comfy_png(2, positive="a silver dragon", model="dragons.safetensors"))
    repo.write(V, wav())
    repo.git("add", "assets")
    repo.commit("art")
    repo.write(A, comfy_png(3, positive="a knight at rest"))
    repo.git("add", "assets")
    repo.commit("a better knight")
    repo.tool("annotate", A, V, "--tag", "hero", "--license", "MIT")
    repo.tool("annotate", A, "--tag", "hall")
    repo.commit("tags")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def gallery(no_worker: None, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """The repository of `make_gallery`, for tests that only read."""
    return shared(tmp_path_factory, make_gallery)


@pytest.fixture
def art(no_worker: None, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """A copy of that repository."""
    return copied(tmp_path_factory, make_gallery, tmp_path / "repo")


def failed(done: Result, code: int) -> str:
    """Checks the form of an error and gives its message."""
    lines = done.err.splitlines()
    assert done.code == code, done.err
    assert lines[0].startswith("error: ") and all(line.startswith("hint: ") for line in lines[1:]), done.err
    assert len(lines) <= 2 and not lines[0][7].isupper(), lines
    return lines[0]


def paths(found: Sequence[dict[str, Any]]) -> list[str]:
    return [each["path"] for each in found]


# -- help and usage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_anywhere(tmp_path: Path, command: str) -> None:
    here = GitRepo(tmp_path)
    done = here.tool(command, "--help")
    assert done.out.startswith(f"Usage: comfyvn-store {command}") and done.err == ""
    assert done.out == here.tool(command, "-h").out


def test_the_general_help_names_every_command_and_no_words_print_it(tmp_path: Path) -> None:
    here = GitRepo(tmp_path)
    done = here.tool("--help")
    assert all(re.search(rf"^  {command} ", done.out, re.M) for command in COMMANDS)
    bare = here.tool(check=False)
    assert bare.code == 2 and bare.out == done.out
    assert re.fullmatch(r"comfyvn-store \d+\.\d+.*", here.tool("--version").out)


def test_words_that_make_no_sense_end_with_2_and_a_hint(gallery: GitRepo) -> None:
    assert "did you mean `list`" in gallery.tool("lst", check=False).err
    for words in (
        ["lst"],
        ["--nonsense"],
        ["list", "--nonsense"],
        ["list", "--limit", "many"],
        ["list", "--limit", "-1"],
        ["list", "--limit", "9" * 40],
        ["list", "extra"],
        ["show"],
        ["register", "x.png"],
        ["register", "--type", "t"],
        ["completion", "tcsh"],
        ["provenance", A, B],
    ):
        said = failed(gallery.tool(*words, check=False), 2)
        assert "Traceback" not in said


def test_a_script_gets_the_error_as_json_as_well(gallery: GitRepo, tmp_path: Path) -> None:
    done = gallery.tool("show", "nothing", "--json", check=False)
    assert failed(done, 2) == "error: " + done.json()["message"]
    assert done.json().keys() == {"error", "message", "hint"} and done.json()["error"] == "unknown-asset"
    assert gallery.tool("lst", "--json", check=False).json()["error"] == "usage"
    assert GitRepo(tmp_path).tool("list", "--json", check=False).json()["error"] == "not-initialised"


def test_words_that_are_not_utf_8_are_no_bug(gallery: GitRepo) -> None:
    odd = os.fsdecode(b"caf\xe9")
    for words in (
        ["show", odd],
        ["provenance", odd],
        ["list", "--tag", odd],
        ["list", "--text", odd],
        [odd],
        ["list", odd],
    ):
        failed(gallery.tool(*words, check=False), 2)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_is_no_bug(art: GitRepo, encoding: str) -> None:
    art.tool("annotate", A, "--tag", "騎士")
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    assert art.tool("list", "--json", env=env).json()[0]["tags"] == ["hero", "hall", "騎士"]
    shown = art.tool("show", A, env=env)
    assert r"\u9a0e\u58eb" in shown.out or "騎士" in shown.out


def test_git_finds_the_command_under_its_own_name(gallery: GitRepo) -> None:
    assert gallery.git("comfyvn", "list").out == gallery.tool("list").out
    assert gallery.git("comfyvn", "-h").out.startswith("Usage: ")


def test_reads_have_json_and_no_colour_where_nobody_looks(gallery: GitRepo) -> None:
    for words in READS:
        json.loads(gallery.tool(*words, "--json").out)
        plain = gallery.tool(*words)
        assert "\x1b" not in plain.out + plain.err and plain.err == "", words


def test_control_characters_of_others_do_not_reach_the_terminal(art: GitRepo) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m"
    art.tool("annotate", A, "--tag", evil, "--license", evil, "--meta", f"{evil}={evil}")
    card = art.sidecar(A)
    card["provenance"] |= {"source": evil, "user": evil, "created_at": evil}
    art.write(f"{A}.asset.json", json.dumps(card))
    art.git("add", "assets")
    art.git("commit", "-q", "-m", f"subject {evil}")
    for words in (["list"], ["show", A], ["provenance"], ["provenance", A], ["status"]):
        assert not {"\x1b", "\x07"} & set(art.tool(*words).out), words


def test_json_holds_nothing_that_controls_a_terminal(art: GitRepo) -> None:
    evil = "a\x1b\x7f\u009b31m\u200f\u202eb\u2066\u2028 œ絵"
    art.tool("annotate", A, "--tag", evil)
    for words in (["list"], ["show", A]):
        text = art.tool(*words, "--json").out
        assert not {"\x1b", "\x7f", "\u009b", "\u200f", "\u202e", "\u2066", "\u2028"} & set(text) and "œ絵" in text
        said = json.loads(text)
        assert evil in (said[0] if words == ["list"] else said)["tags"]


def test_output_cut_short_by_the_reader_is_no_error(gallery: GitRepo) -> None:
    done = run(["sh", "-c", "git comfyvn provenance --json | head -c 1; git comfyvn list | true"], cwd=gallery.path)
    assert done.err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(tmp_path: Path, shell: str) -> None:
    script = GitRepo(tmp_path).tool("completion", shell).out
    assert "_COMFYVN_STORE_COMPLETE" in script
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=script.encode(), check=True, capture_output=True)


# -- where it is run -----------------------------------------------------------------------------------------------


def test_outside_a_repository_and_before_init_it_ends_with_10(repo: GitRepo, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    for here in (GitRepo(tmp_path / "outside"), repo):
        for words in (*READS, ("rebuild",), ("annotate", A, "--tag", "x"), ("edit", A), ("uninstall",)):
            done = here.tool(*words, check=False)
            failed(done, 10)
            assert "init" in done.err
    assert "git init" in GitRepo(tmp_path / "outside").tool("init", check=False).err


def test_a_bare_repository_and_gits_own_folder_are_refused(art: GitRepo, tmp_path: Path) -> None:
    bare = GitRepo.create(tmp_path / "bare.git", "--bare")
    for here in (bare, GitRepo(art.path / ".git")):
        for words in (("list",), ("init",), ("status", "--json"), ("rebuild",)):
            failed(here.tool(*words, check=False), 20)


def test_a_store_of_a_newer_version_ends_with_17(art: GitRepo) -> None:
    (art.path / ".git/comfyvn/format").write_text("2\n")
    for words in (("list",), ("rebuild",), ("init",)):
        failed(art.tool(*words, check=False), 17)


def test_a_missing_store_link_is_put_back_and_a_file_in_its_place_refused(art: GitRepo) -> None:
    (art.path / ".comfyvn").unlink()
    art.tool("list")
    assert (art.path / ".comfyvn").is_symlink() and (art.path / A).exists()
    (art.path / ".comfyvn").unlink()
    (art.path / ".comfyvn").mkdir()
    failed(art.tool("list", check=False), 20)


def test_paths_are_relative_to_where_one_stands(art: GitRepo) -> None:
    here = "assets/characters"
    assert art.tool("show", "a.png", "--json", cwd=here).json()["view"] == A
    assert art.tool("show", "../voice/v.wav", "--json", cwd=here).json()["view"] == V
    assert art.tool("show", "a.png.asset.json", "--json", cwd=here).json()["view"] == A
    assert paths(art.tool("provenance", "./a.png", "--json", cwd=here).json()) == ["characters/a.png"] * 2
    assert art.tool("show", "HEAD:./a.png", "--json", cwd=here).json()["view"] == A
    assert art.tool("list", cwd=here).out == art.tool("list").out
    assert art.tool("annotate", "b.png", "--tag", "x", "--json", cwd=here).json()[0]["view"] == B


# -- list ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), [A, B, V]),
        (("--type", "voice"), [V]),
        (("--type", "none"), []),
        (("--tag", "hero"), [A, V]),
        (("--tag", "hero", "--tag", "hall"), [A]),
        (("--tag", "her"), []),
        (("--license", "MIT", "--type", "characters"), [A]),
        (("--license", "mit"), []),
        (("--text", "silver"), [B]),
        (("--text", "KNIGHT rest"), [A]),
        (("--text", "dragons"), [B]),
        (("--text", "hall"), [A]),
        (("--text", 'rest" OR "dragon'), []),
        (("--text", "NEAR(knight"), []),
        (("--text", "v.wav"), [V]),
        (("--text", ""), []),
        (("--limit", "2"), [A, B]),
        (("--limit", "0"), []),
    ],
)
def test_list_filters(gallery: GitRepo, words: tuple[str, ...], expected: list[str]) -> None:
    assert [each["view"] for each in gallery.tool("list", "--json", *words).json()] == expected


def test_list_is_one_line_an_asset(gallery: GitRepo) -> None:
    lines = gallery.tool("list").out.splitlines()
    assert [line.split()[-1] for line in lines] == [A, B, V]
    assert lines[0].startswith(gallery.sidecar(A)["uid"])
    assert gallery.tool("list", "--type", "none").out == "no asset matches"


def test_records_have_the_sidecars_keys_and_the_five_more(gallery: GitRepo) -> None:
    commit = gallery.git("rev-parse", "HEAD~1").out
    card = gallery.sidecar(A)
    more = {"view": A, "sidecar": f"{A}.asset.json", "thumb": None, "present": True, "commit": commit}
    assert card["provenance"]["commit"] == commit
    assert gallery.tool("list", "--json").json()[0] == {**card, **more}
    assert gallery.tool("show", A, "--json").json() == {**card, **more}


# -- show ----------------------------------------------------------------------------------------------------------


def test_show_takes_a_uid_and_a_prefix_of_four_digits(gallery: GitRepo) -> None:
    hash_ = gallery.sidecar(A)["hash"]
    for name in (hash_, hash_[:16], hash_[:4], "characters/a.png"):
        assert gallery.tool("show", name, "--json").json()["view"] == A
    failed(gallery.tool("show", hash_[:3], check=False), 2)


def test_a_name_that_several_share_lists_their_paths(art: GitRepo) -> None:
    art.write("assets/copies/a.png", art.read(A))
    art.git("add", "assets")
    art.commit("a copy")
    hash_ = art.sidecar(A)["hash"]
    said = failed(art.tool("show", hash_[:8], check=False), 2)
    assert A in said and "assets/copies/a.png" in said
    assert art.tool("show", A, "--json").json()["hash"] == hash_


def test_show_takes_an_older_version(art: GitRepo) -> None:
    first = art.git("rev-parse", "HEAD~2").out
    old = art.tool("show", f"HEAD~2:{A}", "--json").json()
    now = art.tool("show", A, "--json").json()
    assert old["hash"] == now["provenance"]["parent"] != now["hash"]
    assert old["commit"] == old["provenance"]["commit"] == first and old["present"] is True
    assert old.keys() == now.keys() and old["tags"] == []
    assert art.tool("show", f"HEAD~1:{A}", "--json").json()["tags"] == [], "as it was then"
    art.git("tag", "v1", "HEAD~2")
    assert art.tool("show", f"v1:{A}", "--json").json()["hash"] == old["hash"]
    failed(art.tool("show", f"nowhere:{A}", check=False), 2)
    failed(art.tool("show", "HEAD~2:assets/none.png", check=False), 2)
    failed(art.tool("show", f"--:{A}", check=False), 2)


def test_show_in_words(gallery: GitRepo) -> None:
    out = gallery.tool("show", A).out
    for word in (A, "seed", "a knight at rest", "a better knight", "Test Artist", "MIT", "hero, hall", "not made yet"):
        assert word in out


# -- provenance ----------------------------------------------------------------------------------------------------


def test_the_ledger_of_an_asset_has_all_versions_newest_first(gallery: GitRepo) -> None:
    found = gallery.tool("provenance", A, "--json").json()
    one, two = gallery.git("rev-parse", "HEAD~2", "HEAD~1").out.split()
    assert [each["commit"] for each in found] == [two, one]
    assert [each["inputs"]["seed"] for each in found] == [3, 1]
    assert found[0]["parent"] == found[1]["hash"] and found[1]["parent"] is None
    keys = "id uid hash path source workflow_hash inputs source_hash created_at parent commit"
    assert " ".join(found[0]) == keys
    assert gallery.tool("provenance", gallery.sidecar(A)["uid"], "--json").json() == found
    assert gallery.tool("provenance", found[1]["uid"], "--json").json() == found[1:], "an older version by its uid"


def test_the_ledger_of_commits_and_ranges(gallery: GitRepo) -> None:
    def of(revision: str) -> list[tuple[str, int | None]]:
        found = gallery.tool("provenance", "--commit", revision, "--json").json()
        return [(each["path"], each["inputs"].get("seed")) for each in found]

    assert of("HEAD~1") == [("characters/a.png", 3)]
    assert sorted(of("HEAD~2")) == [("characters/a.png", 1), ("characters/b.png", 2), ("voice/v.wav", None)]
    assert of("HEAD") == [], "tags make no record"
    assert of("HEAD~2..HEAD") == [("characters/a.png", 3)]
    assert len(of("main")) == 0 and len(of("HEAD~2...HEAD~1")) == 1
    assert of(gallery.git("rev-parse", "--short", "HEAD~1").out) == [("characters/a.png", 3)]
    assert gallery.tool("provenance", "--commit", "HEAD").out == "no new art in that commit"
    both = gallery.tool("provenance", A, "--commit", "HEAD~2", "--json").json()
    assert [each["inputs"]["seed"] for each in both] == [1]
    for unknown in ("nowhere", "a..b", "--all", "-1", "HEAD:assets", "", "HEAD~99"):
        failed(gallery.tool("provenance", "--commit", unknown, check=False), 2)


def test_the_ledger_of_a_deleted_asset_is_still_there(art: GitRepo) -> None:
    art.git("rm", "-q", V)
    art.commit("silence")
    (record,) = art.tool("provenance", V, "--json").json()
    assert record["path"] == "voice/v.wav"
    assert art.tool("provenance", record["uid"], "--json").json() == [record]
    failed(art.tool("show", V, check=False), 2)
    failed(art.tool("provenance", "assets/never.png", check=False), 2)


# -- workflow ------------------------------------------------------------------------------------------------------


def test_workflow_prints_the_embedded_graph(gallery: GitRepo) -> None:
    prompt = comfy_prompt(2, positive="a silver dragon", model="dragons.safetensors")
    assert json.loads(gallery.tool("workflow", B).out) == comfy_workflow(prompt)
    assert json.loads(gallery.tool("workflow", B, "--api").out) == prompt
    assert json.loads(gallery.tool("workflow", f"HEAD~2:{A}", "--api").out)["3"]["inputs"]["seed"] == 1
    failed(gallery.tool("workflow", V, check=False), 1)


def test_a_picture_with_the_api_graph_only_gives_that(art: GitRepo) -> None:
    art.write(A, comfy_png(8, workflow=False))
    art.git("add", "assets")
    art.commit("through the API")
    done = art.tool("workflow", A)
    assert json.loads(done.out) == comfy_prompt(8) and "note: " in done.err
    art.write(A, png())
    art.git("add", "assets")
    art.commit("by hand")
    done = art.tool("workflow", A, "--json", check=False)
    failed(done, 1)
    assert done.json()["error"] == "no-workflow"


def test_a_workflow_whose_object_is_missing_ends_with_12(art: GitRepo) -> None:
    art.object_path(art.sidecar(B)["hash"]).unlink()
    failed(art.tool("workflow", B, check=False), 12)


# -- status --------------------------------------------------------------------------------------------------------


def status(repo: GitRepo) -> dict[str, Any]:
    found: dict[str, Any] = repo.tool("status", "--json").json()
    return found


SECTIONS = ("staged", "edited", "untracked", "vanished", "unflipped", "missing", "damaged", "problems")


def test_a_clean_repository_needs_no_attention(gallery: GitRepo) -> None:
    found = status(gallery)
    assert found["assets"] == 3 and all(found[section] == [] for section in SECTIONS)
    assert found["head"] == gallery.head() and found["store"] == str(gallery.path / ".git/comfyvn")
    assert "3 assets" in gallery.tool("status").out


def test_status_names_what_is_edited_new_and_gone(art: GitRepo) -> None:
    art.tool("edit", A)
    with open(art.path / A, "ab") as stream:
        stream.write(b"more")
    (art.path / V).unlink()
    art.write("assets/new/n.png", png())
    art.write("assets/new/s.png", png(seed=2))
    art.git("add", "assets/new/s.png")
    card = art.sidecar(B)
    art.write(f"{B}.asset.json", json.dumps({**card, "tags": ["by hand"]}))
    found = status(art)
    assert found["edited"] == [A, f"{B}.asset.json"] and found["vanished"] == [V]
    assert found["untracked"] == ["assets/new/n.png"] and found["staged"] == ["assets/new/s.png"]
    out = art.tool("status").out
    for word in ("edited, not staged", "deleted, not staged", "not in git yet", "staged, to be committed"):
        assert word in out


def test_what_only_looks_changed_is_not_edited(art: GitRepo, tmp_path: Path) -> None:
    shutil.copytree(art.path, tmp_path / "copy", symlinks=True)
    copy = GitRepo(tmp_path / "copy")
    assert status(copy)["edited"] == []
    assert all(status(copy)[section] == [] for section in SECTIONS)


def test_status_names_missing_and_damaged_objects(art: GitRepo) -> None:
    art.object_path(art.sidecar(B)["hash"]).unlink()
    stored = art.object_path(art.sidecar(A)["hash"])
    stored.chmod(0o644)
    with open(art.path / A, "r+b") as stream:  # a program that writes through the view
        stream.seek(50)
        stream.write(b"scribble")
    stored.chmod(0o444)
    found = status(art)
    assert found["missing"] == [B] and found["damaged"] == [A]
    assert art.tool("show", B, "--json").json()["present"] is False
    assert "not in the store" in art.tool("show", B).out
    out = art.tool("status").out
    assert A in out and B in out
    art.write(A, comfy_png(3, positive="a knight at rest"))
    art.git("add", "assets")
    assert status(art)["damaged"] == [], "a good copy mends it"


def test_an_object_that_was_only_touched_is_not_damaged(art: GitRepo) -> None:
    stored = art.object_path(art.sidecar(A)["hash"])
    stored.chmod(0o644)
    os.utime(stored)
    assert status(art)["damaged"] == []


def test_status_names_files_that_were_committed_without_the_hook(art: GitRepo) -> None:
    art.write("assets/new/n.png", png())
    art.git("add", "assets")
    art.git("commit", "-q", "--no-verify", "-m", "no hooks")
    found = status(art)
    assert found["unflipped"] == ["assets/new/n.png"] and found["edited"] == []
    assert art.status() == []


def test_reads_write_nothing(gallery: GitRepo) -> None:
    def files() -> dict[Path, int]:
        found = (path for path in gallery.path.rglob("*") if not path.is_dir() and not path.name.startswith("index.db"))
        return {path: path.lstat().st_mtime_ns for path in found}

    gallery.tool("list")
    before = files()
    for words in READS:
        gallery.tool(*words)
    assert files() == before


# -- db ------------------------------------------------------------------------------------------------------------


def test_db_prints_where_the_index_is_and_any_sqlite_reads_it(gallery: GitRepo) -> None:
    place = gallery.tool("db").out
    assert gallery.tool("db", "--json").json() == {"path": place} and place == str(
        gallery.path / ".git/comfyvn/index.db"
    )
    program = shutil.which("sqlite3")
    if program is not None:
        query = "SELECT p.id, a.uid, p.source, p.workflow_hash, p.created_at FROM provenance p"
        query += " JOIN assets_registry a ON a.id = p.asset_id ORDER BY p.id DESC LIMIT 10;"
        assert len(run([program, place, query], cwd=gallery.path).out.splitlines()) == 3


def test_status_names_each_broken_sidecar_whatever_git_says_of_it(art: GitRepo, tmp_path: Path) -> None:
    new = "assets/items/new.png"
    (tmp_path / "new.png").write_bytes(png(seed=8))
    art.tool("register", str(tmp_path / "new.png"), "--type", "items", "--no-stage")
    art.write(f"{A}.asset.json", "{ edited")  # git sees that it is another
    art.write(f"{B}.asset.json", "{ staged")  # git vouches for it, and it is broken all the same
    art.git("add", f"{B}.asset.json")
    art.write(f"{new}.asset.json", "{ not in git")
    problems = {each["path"]: each["reason"] for each in art.tool("status", "--json").json()["problems"]}
    assert problems.keys() == {A, B, new}
    assert all("sidecar is broken" in reason for reason in problems.values())


def test_status_sees_a_link_that_leads_elsewhere(art: GitRepo) -> None:
    (art.path / A).unlink()
    (art.path / A).symlink_to("elsewhere")
    assert art.tool("status", "--json").json()["edited"] == [A]
