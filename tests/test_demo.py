"""`comfyvn-store demo`: the story that it tells is true, whatever the settings of whoever runs it."""

import io
import json
import os
import re
import sqlite3
import sys
import wave
from pathlib import Path
from typing import NamedTuple

import pytest

from comfyvn_store.ops.demo import art, files
from tests.gitrepo import GitRepo, Result, run
from tests.graphs import png_texts, read_texts

MIRA = "characters/mira/happy.png"
PARK = "backgrounds/park.png"
ASSETS = [
    PARK,
    MIRA,
    "characters/mira/sad.png",
    "characters/tomo/happy.png",
    "characters/tomo/surprised.png",
    "voice/mira_lalala.wav",
]


class Told(NamedTuple):
    """What a demo said, and where it is."""

    said: str
    repo: GitRepo

    def after(self, command: str, number: int = 0) -> list[str]:
        """What the demo printed for a command, or for its number-th occurrence."""
        part = self.said.split(f"$ {command}\n")[number + 1]
        lines: list[str] = []
        for line in part.splitlines():
            if line.startswith(("$ ", "# ")) or re.match(r"\d\. ", line):
                break
            lines.append(line)
        return [line for line in lines if line]


def demo(folder: Path, *args: str, env: dict[str, str | None] | None = None, check: bool = True) -> Result:
    return run([sys.executable, "-P", "-m", "comfyvn_store", "demo", *args], cwd=folder, env=env, check=check)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A demo made by somebody who never used git: an empty home, no identity, no settings."""
    folder = tmp_path_factory.mktemp("demo")
    names = [name for name in os.environ if name.startswith(("GIT_", "COMFYVN_", "XDG_"))]
    nobody: dict[str, str | None] = dict.fromkeys(names)
    nobody |= {"HOME": str(tmp_path_factory.mktemp("nobody")), "GIT_CONFIG_NOSYSTEM": "1"}
    said = demo(folder, env=nobody)
    assert said.err == ""
    return Told(said.out, GitRepo(folder / "comfyvn-demo"))


def ledger(repo: GitRepo) -> list[tuple[str, str, str | None]]:
    with sqlite3.connect(repo.path / ".git/comfyvn/index.db") as db:
        return db.execute("SELECT path, hash, commit_hash FROM provenance ORDER BY id").fetchall()


def test_leaves_a_clean_repository_of_links(told: Told) -> None:
    assert told.repo.status() == []
    assert told.after("git status") == ["On branch main", "nothing to commit, working tree clean"]
    for path in ASSETS:
        entry = told.repo.staged(f"assets/{path}")
        assert entry is not None and entry[0] == "120000"
        assert told.repo.sidecar(f"assets/{path}")["path"] == path
    assert told.repo.git("fsck", "--strict").code == 0


def test_the_sidecar_follows_the_amended_commit(told: Told) -> None:
    grep = f"grep '\"commit\"' assets/{MIRA}.asset.json"
    before, after = told.after(grep, 0)[0], told.after(grep, 1)[0]
    (amended,) = told.after("git rev-parse HEAD")
    first = re.search(r"^\[main (\w+)\]", told.said, re.MULTILINE)
    assert first is not None and f'"commit": "{first[1]}' in before
    assert after == f'    "commit": "{amended}"' != before
    assert told.repo.head() == amended
    assert told.repo.sidecar(f"assets/{MIRA}")["provenance"]["commit"] == amended
    history = told.repo.git("log", "--all", "--format=%H %s").out.splitlines()
    assert len(history) == 3
    assert f"{amended} Mira smiles, seed 77" in history
    assert not any(line.startswith(first[1]) for line in history)


def test_each_sidecar_names_the_commit_that_brought_it(told: Told) -> None:
    head = told.repo.head()
    root = told.repo.git("rev-parse", "HEAD^").out
    for path in ASSETS:
        commit = told.repo.sidecar(f"assets/{path}")["provenance"]["commit"]
        assert commit == (head if path == MIRA else root)


def test_the_ledger_holds_every_version(told: Told) -> None:
    head, root = told.repo.head(), told.repo.git("rev-parse", "HEAD^").out
    evening = told.repo.git("rev-parse", "evening").out
    rows = ledger(told.repo)
    assert sorted((path, commit) for path, _, commit in rows) == sorted(
        [(path, root) for path in ASSETS] + [(MIRA, head), (PARK, evening)]
    )
    assert all(told.repo.object_path(hash_).exists() for _, hash_, _ in rows)
    old, new = (hash_ for path, hash_, _ in rows if path == MIRA)
    assert told.repo.sidecar(f"assets/{MIRA}")["provenance"]["parent"] == old
    assert told.repo.sidecar(f"assets/{MIRA}")["hash"] == new


def test_tells_the_provenance_of_the_last_commit(told: Told) -> None:
    said = told.after("comfyvn-store provenance --commit HEAD")
    assert said == told.repo.tool("provenance", "--commit", "HEAD").out.splitlines()
    pairs = dict(line.split(maxsplit=1) for line in said[1:])
    assert pairs["seed"] == "77"
    assert pairs["loras"] == "vn_sprite_lines.safetensors 0.8"
    assert pairs["commit"].startswith(told.repo.head()[:10])


def test_prints_the_sidecar_as_it_lies_on_disk(told: Told) -> None:
    printed = told.after(f"grep -v '^      ' assets/{MIRA}.asset.json")
    lines = told.repo.read(f"assets/{MIRA}.asset.json").decode().splitlines()
    assert printed == [line for line in lines if not line.startswith(" " * 6)]


def test_a_branch_has_a_picture_of_its_own(told: Told) -> None:
    (main,), (evening,) = (told.after("comfyvn-store list --type backgrounds", number) for number in (0, 1))
    assert main == told.repo.tool("list", "--type", "backgrounds").out
    theirs = told.repo.tool("show", f"evening:assets/{PARK}", "--json").json()
    assert evening.split()[0] == theirs["uid"] != main.split()[0]
    assert told.repo.link(f"assets/{PARK}") != told.repo.blob(f"evening:assets/{PARK}").decode()


def test_finds_a_picture_by_its_prompt(told: Told) -> None:
    (found,) = told.after("comfyvn-store list --text 'autumn park'")
    assert found.endswith(f"assets/{PARK}")


def test_makes_the_index_again(told: Told) -> None:
    assert told.after("rm .git/comfyvn/index.db") == []
    assert told.after("comfyvn-store rebuild")[0].startswith("6 assets, 8 provenance records, 3 commits")
    before = ledger(told.repo)
    told.repo.tool("rebuild")
    assert ledger(told.repo) == before


def test_every_asset_has_its_preview(told: Told) -> None:
    listed = told.repo.tool("list", "--json").json()
    assert [item["path"] for item in listed] == ASSETS
    assert all((told.repo.path / item["thumb"]).stat().st_size for item in listed)
    assert "6 assets, 3 commits, 6 previews" in told.said


def test_git_holds_links_and_not_the_art(told: Told) -> None:
    sizes = told.repo.git("cat-file", "--batch-all-objects", "--batch-check=%(objectsize)").out.split()
    assert max(map(int, sizes)) < 4096
    assert "the art: " in told.said and " in 8 versions" in told.said


def test_pictures_carry_the_graphs_that_their_sidecars_tell(told: Told) -> None:
    for path in ASSETS[:-1]:
        texts = png_texts(told.repo.read(f"assets/{path}"))
        from_prompt = read_texts({"prompt": texts["prompt"]})
        from_editor = read_texts({"workflow": texts["workflow"]})
        assert from_prompt is not None and from_editor is not None
        record = told.repo.sidecar(f"assets/{path}")["provenance"]
        assert record["source"] == "comfyui"
        assert record["inputs"] == from_prompt.inputs
        assert {**from_prompt.inputs, "graph": "workflow"} == from_editor.inputs


def test_a_second_demo_takes_the_next_free_name(tmp_path: Path) -> None:
    (tmp_path / "comfyvn-demo").mkdir()
    (tmp_path / "comfyvn-demo/mine.txt").write_text("mine")
    (tmp_path / "comfyvn-demo-2").write_text("a file")
    said = demo(tmp_path, "--json").json()
    assert said["folder"] == str(tmp_path / "comfyvn-demo-3")
    assert {key: said[key] for key in ("assets", "commits", "records", "previews", "objects")} == {
        "assets": 6,
        "commits": 3,
        "records": 8,
        "previews": 6,
        "objects": 8,
    }
    assert said["git_bytes"] * 20 < said["objects_bytes"]
    assert os.listdir(tmp_path / "comfyvn-demo") == ["mine.txt"]


def test_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/novel.txt").write_text("chapter one")
    said = demo(tmp_path, "mine", "--json", check=False)
    assert said.code == 20
    assert said.json()["error"] == "refused"
    assert said.err.splitlines()[0] == "error: 'mine' exists and is not empty"
    assert said.err.splitlines()[1].startswith("hint: ")
    assert os.listdir(tmp_path) == ["mine"] and os.listdir(tmp_path / "mine") == ["novel.txt"]


def test_refuses_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    assert demo(tmp_path, "mine", check=False).code == 20
    assert demo(tmp_path, "mine/demo", check=False).code == 20
    assert (tmp_path / "mine").read_text() == "mine"


def test_says_that_git_is_missing(tmp_path: Path) -> None:
    said = demo(tmp_path, env={"PATH": str(tmp_path)}, check=False)
    assert said.code == 16
    assert said.err.splitlines() == ["error: git is not installed, or not on the PATH", "hint: install git"]


def test_hostile_settings_reach_neither_the_demo_nor_what_comes_after(repo: GitRepo, hermetic: Path) -> None:
    """It runs inside another repository, as `make demo` does, and from a hook of that repository's."""
    hooks, templates = hermetic / "hooks", hermetic / "templates/hooks"
    for folder in (hooks, templates):
        folder.mkdir(parents=True)
        (folder / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
        (folder / "pre-commit").chmod(0o755)
    (hermetic / ".config/git").mkdir(parents=True)
    (hermetic / ".config/git/ignore").write_text("*.png\nassets\n")
    with open(os.environ["GIT_CONFIG_GLOBAL"], "a") as config:
        config.write(f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n[color]\n\tui = always\n")
        config.write(
            f"[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = false\n[init]\n\ttemplateDir = {templates.parent}\n"
        )
        config.write("[comfyvn]\n\tassetsRoot = elsewhere\n")
    strange: dict[str, str | None] = {
        "GIT_DIR": str(repo.path / ".git"),
        "GIT_INDEX_FILE": str(repo.path / ".git/index"),
        "GIT_AUTHOR_NAME": "Somebody Else",
        "COMFYVN_DB_PATH": str(hermetic / "mine.db"),
        "COMFYVN_ASSETS_ROOT": "elsewhere",
    }
    said = demo(repo.path, "shown", "--json", env=strange).json()
    assert (said["assets"], said["commits"]) == (6, 3)
    made = GitRepo(repo.path / "shown")
    assert set(made.git("log", "--all", "--format=%an <%ae>").out.splitlines()) == {
        "comfyvn demo <demo@example.invalid>"
    }
    assert not (hermetic / "mine.db").exists()
    assert repo.status() == ["?? shown/"]
    assert repo.git("config", "--local", "user.name", check=False).code == 1

    made.write("assets/voice/more.wav", files.voice_wav()[:-2])
    made.git("add", "--force", "assets")
    commit = made.commit("one more")
    assert made.sidecar("assets/voice/more.wav")["provenance"]["commit"] == commit
    assert made.status() == []


def test_drawing_is_the_same_every_time_and_heeds_the_seed() -> None:
    def drawn(seed: int) -> bytes:
        return art.draw_sprite(art.TOMO, "surprised", seed).tobytes()

    assert drawn(1) == drawn(1) != drawn(2)
    assert art.draw_park(art.NOON, 1).tobytes() == art.draw_park(art.NOON, 1).tobytes()
    faces = {art.draw_sprite(art.MIRA, mood, 1).tobytes() for mood in ("happy", "sad", "surprised")}
    assert len(faces) == 3


def test_sprites_are_transparent_around_the_character() -> None:
    sprite = art.draw_sprite(art.MIRA, "happy", 1)
    assert sprite.size == art.SPRITE_SIZE and sprite.mode == "RGBA"
    assert sprite.getpixel((2, 2))[3] == 0  # type: ignore[index]
    assert sprite.getpixel((416, 500))[3] == 255  # type: ignore[index]


def test_the_voice_line_is_two_seconds_of_sound() -> None:
    with wave.open(io.BytesIO(files.voice_wav())) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getnframes() / file.getframerate() == pytest.approx(2.0)
        samples = memoryview(file.readframes(file.getnframes())).cast("h")
    assert 8000 < max(samples) < 32767


def test_graphs_are_json_that_comfyui_writes() -> None:
    recipe = files.Recipe("a cat", 5, "m.safetensors", ("l.safetensors", 0.5), "x")
    prompt = files.api_graph(recipe, (64, 32))
    editor = files.ui_graph(prompt)
    assert json.loads(json.dumps(editor)) == editor
    for number, source, slot, target, place, kind in editor["links"]:
        nodes = {node["id"]: node for node in editor["nodes"]}
        assert number in nodes[source]["outputs"][slot]["links"]
        assert nodes[target]["inputs"][place] == {
            "name": nodes[target]["inputs"][place]["name"],
            "type": kind,
            "link": number,
        }
