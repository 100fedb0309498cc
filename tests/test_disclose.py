"""`disclose`: what ships in a revision. Unknown is never "no", and nothing in a file can become markup or a formula."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.asset.sidecar import Record
from comfyvn_store.ops.disclosing import judging, writing
from tests import media
from tests.gitrepo import GitRepo

MIRA, DOOR, PHOTO = "assets/characters/mira.png", "assets/sfx/door.wav", "assets/backgrounds/photo.png"


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    repo = store_repo
    repo.write(MIRA, media.comfy_png(1, model="base.safetensors", loras=[("ink.safetensors", 0.5)]))
    repo.write(DOOR, media.wav(frequency=200))
    repo.write(PHOTO, media.png(8, 8, 3, {"Author": "Pat <pat@example.com>", "Software": "=cmd|' /C calc'!A0"}))
    repo.git("add", ".")
    repo.commit("art")
    return repo


def report(repo: GitRepo, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = repo.tool("disclose", *words, "--json").json()
    return found


def by_path(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["path"]: each for each in found["assets"]}


def test_what_nobody_says_is_not_stated(art: GitRepo) -> None:
    assets = by_path(report(art))
    assert sorted(assets) == sorted([MIRA, DOOR, PHOTO])
    mira, door, photo = assets[MIRA], assets[DOOR], assets[PHOTO]
    assert (mira["generated"], mira["basis"], mira["how"]) == (True, "fact", "metadata")
    assert (mira["program"], mira["model"]) == ("comfyui", "base.safetensors")
    assert mira["loras"] == [{"name": "ink.safetensors", "strength": 0.5}]
    assert (mira["author"], mira["edited_by"]) == ("Test Artist <artist@example.com>", [])
    assert (door["generated"], door["basis"], door["program"]) == (None, None, None)
    assert door["unknown"] == ["license", "origin"] and mira["unknown"] == ["license"]
    assert photo["says"]["author"] == "Pat <pat@example.com>" and photo["generated"] is None
    counts = report(art)["counts"]
    assert counts["generated"] == {"not stated": 2, "yes": 1}
    assert counts["license"] == {"": 3} and counts["model"] == {"base.safetensors": 1}


def test_a_person_says_what_was_made_by_hand(art: GitRepo) -> None:
    art.tool("annotate", DOOR, PHOTO, "--meta", "generated=false", "--license", "CC0-1.0")
    art.tool("annotate", MIRA, "--license", "MIT")
    assert by_path(report(art))[DOOR]["generated"] is None  # nothing of it is committed yet
    art.commit("said")
    done = art.tool("disclose", "--strict", "--json")
    assets = by_path(done.json())
    assert (assets[DOOR]["generated"], assets[DOOR]["how"], assets[DOOR]["unknown"]) == (False, "stated", [])
    assert by_path(report(art, "HEAD~1"))[DOOR]["generated"] is None
    art.tool("annotate", MIRA, "--meta", "generated=no")
    art.commit("a lie")
    mira = by_path(report(art))[MIRA]
    assert (mira["generated"], mira["stated"], mira["unknown"]) == (True, False, ["contradiction"])
    strict = art.tool("disclose", "--strict", check=False)
    assert strict.code == 1 and "its own metadata say it was" in strict.err and "--meta generated=" in strict.err


def test_strict_names_what_is_not_known_and_what_mends_it(art: GitRepo) -> None:
    done = art.tool("disclose", "--strict", "--format", "csv", check=False)
    assert done.code == 1
    assert f"no licence is given for '{PHOTO}', '{MIRA}', '{DOOR}'" in done.err
    assert f"comfyvn-store annotate {PHOTO} --license" in done.err
    assert f"nobody says whether it was generated: '{PHOTO}', '{DOOR}'" in done.err
    assert "error" not in done.out and done.out.startswith("path,")
    assert art.tool("disclose").code == 0
    assert art.tool("credits", "--json").stdout == art.tool("disclose", "--json").stdout


def test_of_the_revision_and_not_of_the_work_tree(art: GitRepo) -> None:
    art.git("tag", "v1")
    art.git("rm", "-q", DOOR, f"{DOOR}.asset.json")
    art.write(MIRA, media.comfy_png(9, model="new.safetensors", loras=[]))
    art.git("add", ".")
    art.commit("later", "--author", "Bo <bo@example.com>")
    now, then = by_path(report(art)), by_path(report(art, "v1"))
    assert sorted(now) == sorted([MIRA, PHOTO]) and sorted(then) == sorted([MIRA, DOOR, PHOTO])
    assert (then[MIRA]["model"], now[MIRA]["model"]) == ("base.safetensors", "new.safetensors")
    assert now[MIRA]["author"] == "Test Artist <artist@example.com>"
    assert now[MIRA]["edited_by"] == ["Bo <bo@example.com>"] and then[MIRA]["edited_by"] == []
    art.git("switch", "-q", "--detach", "v1")
    (art.path / MIRA).unlink()
    assert by_path(report(art)) == then


def test_a_shallow_clone_does_not_know_who_was_first(art: GitRepo, tmp_path: Path) -> None:
    art.write(MIRA, media.comfy_png(9))
    art.git("add", ".")
    art.commit("later", "--author", "Bo <bo@example.com>")
    clone = GitRepo(tmp_path / "clone")
    art.git("clone", "-q", "--depth", "1", art.path.as_uri(), str(clone.path))
    clone.tool("init")
    mira = by_path(report(clone))[MIRA]
    assert (mira["author"], mira["edited_by"], mira["model"]) == (None, [], "animagineXL_v3.safetensors")


def test_files_that_are_no_assets_and_sidecars_that_are_none(art: GitRepo) -> None:
    raw = art.git("hash-object", "-w", "--stdin", input=media.png(4, 4)).out
    text = art.git("hash-object", "-w", "--stdin", input="hello").out
    broken = art.git("hash-object", "-w", "--stdin", input="{").out
    lines = (
        f"100644 {raw}\tassets/cg/raw.png\n100644 {text}\tassets/cg/readme.txt\n100644 {broken}\t{DOOR}.asset.json\n"
    )
    art.git("update-index", "--index-info", input=lines)
    art.git("commit", "-q", "--no-verify", "-m", "past the hooks")
    found = report(art)
    assets = by_path(found)
    assert assets["assets/cg/raw.png"]["unknown"] == ["no asset"] and assets["assets/cg/raw.png"]["hash"] is None
    assert (assets[DOOR]["unknown"], assets[DOOR]["license"]) == (["license", "origin"], None)
    assert found["counts"]["other_files"] == 1
    assert "git add --renormalize assets/cg/raw.png" in art.tool("disclose", "--strict", check=False).err


def test_repositories_without_commits_and_revisions_that_are_none(store_repo: GitRepo) -> None:
    done = store_repo.tool("disclose", check=False)
    assert done.code == 2 and "there is no commit yet" in done.err
    store_repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert report(store_repo)["assets"] == [] and store_repo.tool("disclose", "--strict").code == 0
    assert store_repo.tool("disclose", "nope", check=False).code == 2
    assert store_repo.tool("disclose", "--json", "--", "--all", check=False).code == 2


def test_the_report_replaces_a_report_and_nothing_else(art: GitRepo, tmp_path: Path) -> None:
    for form, word in (("markdown", "# What ships in"), ("json", '"revision"'), ("csv", "path,sha256")):
        place = tmp_path / f"report.{form}"
        for _ in range(2):
            art.tool("disclose", "--format", form, "-o", str(place))
        assert word in place.read_text(encoding="utf-8")
    for taken in (MIRA, "notes.txt", "assets"):
        if taken == "notes.txt":
            art.write(taken, "mine")
        before = art.status()
        done = art.tool("disclose", "-o", taken, check=False)
        assert done.code == 20 and art.status() == before
    assert art.read("notes.txt") == b"mine"


def test_no_cell_is_a_formula_and_no_text_is_markup(art: GitRepo) -> None:
    odd = "assets/cg/=HYPERLINK(x) | <img src=x> *b* `c`.png"
    at = "@odd/-1.png"
    art.write(odd, media.comfy_png(4, model='=cmd|"/C calc"!A0', loras=[("| a\n# b", 1.0)]))
    art.git("add", ".")
    art.tool("annotate", odd, "--license", "+1 <script>", "--tag", at)
    art.commit("odd", "--author", "@SUM(1) [x](http://x) <odd@example.com>")
    rows = list(csv.DictReader(io.StringIO(art.tool("disclose", "--format", "csv").out)))
    for row in rows:
        assert not any((cell or "x").startswith(("=", "+", "-", "@", "\t")) for cell in row.values()), row
    mine = next(row for row in rows if row["path"] == odd)
    assert (mine["license"], mine["model"], mine["author"]) == (
        "'+1 <script>",
        '\'=cmd|"/C calc"!A0',
        "'@SUM(1) [x](http://x)",
    )
    photo = next(row for row in rows if row["path"] == PHOTO)
    assert photo["file_says_software"].startswith("'=cmd") and photo["author"] == "Test Artist"
    text = art.tool("disclose").out
    assert "<img" not in text.replace("\\<img", "") and "odd@example.com" not in text
    for line in text.split("\n"):
        if line.startswith("| assets/") and "Author" not in line:
            assert line.replace("\\|", "").count("|") in (3, 8), line


# -- parts ---------------------------------------------------------------------------------------------------------


def test_what_counts_as_evidence() -> None:
    def evidence(source: str | None = None, inputs: dict[str, Any] | None = None, **embedded: Any) -> str | None:
        return judging.evidence_of(Record("x", source, None, inputs or {}, extra={"embedded": embedded}))

    assert evidence("comfyui") == "metadata"
    assert evidence("git") is evidence("krita") is evidence() is evidence("manual", {"seed": 4}) is None
    assert evidence(software="Adobe Photoshop", tags=["trainedAlgorithmicMedia"]) is None
    assert evidence(c2pa={"source_types": ["trainedAlgorithmicMedia"]}) == "c2pa"
    assert evidence(c2pa={"source_types": ["compositeWithTrainedAlgorithmicMedia", 4]}) == "c2pa"
    for odd in ({"source_types": ["digitalCapture"]}, {"source_types": "trainedAlgorithmicMedia"}, {}, [], "x"):
        assert evidence(c2pa=odd) is None
    for value, said in {True: True, False: False, "yes": True, " No ": False, "maybe": None, "": None}.items():
        assert judging.stated({"generated": value}) is said
    assert judging.stated({"generated": [False]}) is judging.stated({"generated": None}) is judging.stated({}) is None
    assert judging.stated({"generated": 0}) is False


def test_an_inferred_one_says_so() -> None:
    found = judging.Disclosed("assets/a.png", generated=True, basis=judging.INFERRED, how="parent")
    assert "yes (inferred, parent)" in writing._row(found)
    assert json.loads(json.dumps(found.as_dict()))["basis"] == "inferred"
