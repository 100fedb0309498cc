"""`diff`, `log PATH` and the diff driver for sidecars: what changed, in an artist's words."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from comfyvn_store.asset import differences, portrait
from comfyvn_store.asset.sidecar import Record, Sidecar
from tests import media
from tests.gitrepo import GitRepo

HERO = "assets/characters/hero.png"


@pytest.fixture
def art(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    """A picture that was made, made again with another seed, tagged and licensed, and moved."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(42))
    store_repo.git("add", "assets")
    store_repo.commit("first")
    replace(store_repo, media.comfy_png(77))
    store_repo.commit("again")
    store_repo.tool("annotate", HERO, "--tag", "heroine", "--license", "CC0")
    store_repo.commit("words")
    return store_repo


def replace(repo: GitRepo, data: bytes, path: str = HERO) -> None:
    (repo.path / path).unlink()
    repo.write(path, data)
    repo.git("add", path)


def card(**inputs: Any) -> Sidecar:
    return Sidecar("a" * 64, "c/a.png", 1, {}, Record("1", inputs=inputs))


def said(before: Sidecar, after: Sidecar) -> list[str]:
    return [differences.words(each) for each in differences.between(before, after)]


def diff(repo: GitRepo, *words: str, code: int = 0) -> list[dict[str, Any]]:
    done = repo.tool("diff", "--json", *words, check=False)
    assert done.code == code, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def fields(compared: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        each["field"] + (f" {each['name']}" if "name" in each else ""): (each["before"], each["after"])
        for each in compared["differences"]
    }


# -- words -------------------------------------------------------------------------------------------------------------


def test_values_that_changed() -> None:
    assert said(card(seed=42, cfg=7.0), card(seed=77, cfg=6.5)) == ["seed 42 → 77", "cfg 7.0 → 6.5"]
    assert said(card(seed=42), card(seed=None)) == ["seed 42 → unknown"]
    assert said(card(seed=2**63 + 1), card(seed=2**63)) == [f"seed {2**63 + 1} → {2**63}"]
    assert said(card(seed=1), card(seed=1)) == []


def test_loras_by_their_name() -> None:
    one = card(loras=[{"name": "add_detail", "strength": 0.6}, {"name": "old", "strength": 1.0}])
    other = card(loras=[{"name": "new", "strength": None}, {"name": "add_detail", "strength": 0.8}])
    assert said(one, other) == ["LoRA add_detail 0.6 → 0.8", "LoRA old removed (was 1.0)", "LoRA new added"]
    twice = card(loras=[{"name": "a", "strength": 1}, {"name": "a", "strength": 2}])
    assert said(card(loras=[{"name": "a", "strength": 1}]), twice) == ["LoRA a (2) 2 added"]


def test_prompts_by_their_parts() -> None:
    one, other = "1girl, (happy:1.2), red hair", "1girl, red hair, hat"
    assert said(card(positive=one), card(positive=other)) == ["positive: +hat, -(happy:1.2)"]
    assert said(card(positive="a, b"), card(positive="b, a")) == ["positive: the same parts in another order"]
    assert said(card(positive="a, b"), card(positive="c, d")) == ["positive a, b → c, d"]
    assert portrait.prompt_parts("a,(b, c:1.2),\n d [e,f] ,,g") == ["a", "(b, c:1.2)", "d [e,f]", "g"]


def test_words_of_people() -> None:
    before = Sidecar("a" * 64, "c/a.png", 1, {"width": 1, "height": 2}, Record("1"), ("x", "y"), "MIT", {"route": 1})
    after = Sidecar("b" * 64, "c/a.png", 1, {"width": 3, "height": 2}, Record("2"), ("y", "z"), None, {"route": 2})
    assert said(before, after) == [
        f"bytes {'a' * 16} → {'b' * 16}",
        "size 1x2 → 3x2",
        "tag z added",
        "tag x removed",
        "licence removed (was MIT)",
        "meta.route 1 → 2",
    ]


def test_nothing_in_a_sidecar_reaches_the_terminal_raw() -> None:
    evil = "\x1b[31m\u202e\x9b"
    hostile = Sidecar(
        "a" * 64,
        evil,
        1,
        {"mime": evil, "odd": evil},
        Record(
            "1",
            evil,
            None,
            {evil: evil, "positive": evil, "loras": [{"name": evil}], "list": [evil]},
            extra={evil: evil},
        ),
        (evil,),
        evil,
        {evil: evil},
        {evil: evil},
    )
    text = "\n".join(portrait.lines(hostile))
    assert not {"\x1b", "\u202e", "\x9b"} & set(text)


# -- diff --------------------------------------------------------------------------------------------------------------


def test_two_versions(art: GitRepo) -> None:
    (found,) = diff(art, f"HEAD~2:{HERO}", HERO)
    changed = fields(found)
    assert changed["seed"] == (42, 77)
    assert changed["tag heroine"] == (None, "heroine") and changed["license"] == (None, "CC0")
    assert found["pixels"]["differing"] >= 0 and found["pixels"]["pixels"] == 16 * 24
    told = art.tool("diff", f"HEAD~2:{HERO}", HERO).out
    assert "seed 42 → 77" in told and "licence CC0 added" in told


def test_what_is_not_committed_yet(art: GitRepo) -> None:
    assert diff(art) == [] and art.tool("diff").out == "nothing differs"
    replace(art, media.comfy_png(5))
    (found,) = diff(art)
    assert fields(found)["seed"] == (77, 5) and "tag heroine" not in fields(found)
    assert diff(art, HERO)[0]["differences"] == found["differences"]
    art.write("assets/bg/new.png", media.png())
    art.git("add", "assets/bg")
    assert [(each["change"], each["path"]) for each in diff(art)] == [("A", "assets/bg/new.png"), ("M", HERO)]
    assert [each["path"] for each in diff(art, "assets/bg")] == ["assets/bg/new.png"]


def test_an_edit_that_is_not_staged(art: GitRepo) -> None:
    art.tool("edit", HERO)
    (art.path / HERO).write_bytes(media.comfy_png(9))
    (found,) = diff(art)
    assert fields(found)["seed"] == (77, 9) and "license" not in fields(found)
    assert fields(diff(art, HERO)[0])["seed"] == (77, 9)


def test_two_revisions(art: GitRepo) -> None:
    art.git("mv", HERO, "assets/characters/mira.png")
    art.commit("moved")
    (found,) = diff(art, "HEAD~1", "HEAD")
    assert (found["change"], found["path"], found["old_path"]) == ("R", "assets/characters/mira.png", HERO)
    assert found["differences"] == []
    (found,) = diff(art, "HEAD~3..HEAD~2")
    assert fields(found)["seed"] == (42, 77)
    assert diff(art, "HEAD~3..HEAD~2", "assets/bg") == []
    (found,) = diff(art, "HEAD~3", "HEAD~1", "assets/characters")
    assert found["path"] == HERO
    art.git("rm", "-q", "assets/characters/mira.png")
    assert diff(art)[0]["change"] == "D"


def test_any_two_files(art: GitRepo, tmp_path: Path) -> None:
    picture = Image.new("RGB", (100, 100))
    other = picture.copy()
    ImageDraw.Draw(other).rectangle((10, 20, 19, 29), fill="white")
    one, two, three = tmp_path / "one.png", tmp_path / "two.png", tmp_path / "three.jpg"
    picture.save(one)
    other.save(two)
    other.resize((50, 50)).save(three)
    (found,) = diff(art, str(one), str(two))
    assert found["pixels"] == {
        "pixels": 10_000,
        "differing": 100,
        "clearly": 100,
        "box": [10, 20, 10, 10],
        "reason": None,
        "share": 0.01,
    }
    assert "1.0 % of pixels differ; all within 10x10 at 10,20" in art.tool("diff", str(one), str(two)).out
    (found,) = diff(art, str(one), str(three))
    assert found["pixels"]["share"] is None and "sizes differ" in found["pixels"]["reason"]
    assert "media.size" in fields(found) and "license" not in fields(diff(art, HERO, str(one))[0])
    assert diff(art, "--no-pixels", str(one), str(two))[0]["pixels"] is None


def test_a_colour_that_nobody_sees_is_no_difference(art: GitRepo, tmp_path: Path) -> None:
    places = []
    for number, colour in enumerate(((255, 0, 0, 0), (0, 255, 0, 0))):
        places.append(str(tmp_path / f"{number}.png"))
        Image.new("RGBA", (10, 10), colour).save(places[-1])
    assert diff(art, *places)[0]["pixels"]["differing"] == 0
    assert "every pixel is the same" in art.tool("diff", *places).out


def test_what_cannot_be_decoded_is_said(art: GitRepo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(media.comfy_png(3)[:-30])
    (found,) = diff(art, HERO, str(broken))
    assert found["pixels"]["pixels"] is None and found["pixels"]["reason"]
    art.object_path(art.sidecar(HERO)["hash"]).unlink()
    (found,) = diff(art, f"HEAD~2:{HERO}", HERO)
    assert fields(found)["seed"] == (42, 77) and found["pixels"]["pixels"] is None


@pytest.mark.parametrize("words", [("no/such.png",), ("no/such.png", HERO), ("a", "b", "c"), (HERO, "HEAD~9:x.png")])
def test_what_is_nothing_is_refused(art: GitRepo, words: tuple[str, ...]) -> None:
    done = art.tool("diff", *words, check=False)
    assert done.code == 2 and done.err.startswith("error: ")


def test_before_the_first_commit(store_repo: GitRepo) -> None:
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.git("add", "assets")
    assert [(each["change"], each["path"]) for each in diff(store_repo)] == [("A", HERO)]


# -- log ---------------------------------------------------------------------------------------------------------------


def test_what_became_of_an_asset(art: GitRepo) -> None:
    art.git("mv", HERO, "assets/characters/mira.png")
    art.commit("moved")
    steps = json.loads(art.tool("log", "assets/characters/mira.png", "--json").out)
    assert [(each["subject"], each["change"]) for each in steps] == [
        ("moved", "R"),
        ("words", "M"),
        ("again", "M"),
        ("first", "A"),
    ]
    assert [each["commit"] for each in steps] == art.git("rev-list", "HEAD", "--", "assets/characters").out.split()[:4]
    assert fields(steps[1]) == {"tag heroine": (None, "heroine"), "license": (None, "CC0")}
    assert fields(steps[2])["seed"] == (42, 77) and steps[2]["pixels"]["pixels"] == 16 * 24
    told = art.tool("log", "assets/characters/mira.png").out
    assert "seed 42 → 77" in told and f"moved from {HERO}" in told and "seed: 42" in told


def test_the_log_of_what_is_deleted_and_on_another_branch(art: GitRepo) -> None:
    art.git("checkout", "-q", "-b", "other")
    replace(art, media.comfy_png(8))
    art.commit("on a branch")
    art.git("checkout", "-q", "-")
    art.git("rm", "-q", HERO)
    art.commit("gone")
    steps = json.loads(art.tool("log", HERO, "--json").out)
    assert {each["subject"]: each["in_head"] for each in steps} == {
        "gone": True,
        "on a branch": False,
        "words": True,
        "again": True,
        "first": True,
    }
    assert len(json.loads(art.tool("log", HERO, "--json", "--limit", "2").out)) == 2


def test_log_without_a_name_says_what_there_is(art: GitRepo) -> None:
    done = art.tool("log", check=False)
    assert done.code == 2 and "--operations" in done.err
    assert art.tool("log", "assets/no.png", check=False).code == 2
    art.write("assets/bg/new.png", media.png())
    art.git("add", "assets/bg")
    assert "no commit has it yet" in art.tool("log", "assets/bg/new.png").out


# -- the diff driver -----------------------------------------------------------------------------------------------------


def test_git_shows_sidecars_in_words(art: GitRepo) -> None:
    shown = art.git("log", "-p", "-1").out
    assert "+tag: heroine" in shown and "+license: CC0" in shown and '"tags"' not in shown
    shown = art.git("show", "HEAD~1").out
    assert "-seed: 42\n+seed: 77" in shown
    assert art.git("diff").out == ""
    art.tool("annotate", HERO, "--tag", "hero", "--no-stage")
    assert "+tag: hero\n" in art.git("diff").out + "\n" and "commit" not in art.git("diff").out


def test_patches_hold_the_sidecars_themselves(art: GitRepo, tmp_path: Path) -> None:
    patch = art.git("format-patch", "--stdout", "-1").out
    assert '+    "heroine"' in patch
    assert art.git("diff", "--no-textconv", "HEAD~1").out.count('"heroine"') == 1


def test_what_is_no_sidecar_is_shown_as_it_is(art: GitRepo) -> None:
    for text in ("no json\n", "[1]\n", '{"schema": 9}\n', "<<<<<<< ours\n"):
        art.write(f"{HERO}.asset.json", text.encode())
        assert f"+{text}" in art.git("diff").out + "\n"


def test_without_the_tool_git_shows_the_text(art: GitRepo) -> None:
    command = art.git("config", "diff.comfyvn-sidecar.textconv").out
    place = art.path / f"{HERO}.asset.json"
    script = command.replace("test -x", "test -d") + ' "$@"'
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script, "x", str(place)], env=env, capture_output=True, check=True)
    assert done.stdout == place.read_bytes()


def test_uninstall_takes_the_driver_away(art: GitRepo) -> None:
    art.tool("uninstall")
    assert art.git("config", "--get-regexp", "^diff\\.", check=False).out == ""


def test_large_texts_go_through_whole(art: GitRepo) -> None:
    from comfyvn_store.hot import textconv

    data = b"x" * (5 << 20)
    place = art.path / "large"
    place.write_bytes(data)
    stream = io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        assert textconv.run(str(place)) == 0
    assert stream.buffer.getvalue() == data  # type: ignore[attr-defined]


# -- what a tester found ---------------------------------------------------------------------------------------------------


def test_what_a_side_does_not_tell_was_not_removed() -> None:
    told = card(seed=1, loras=[{"name": "ink", "strength": 0.6}], images=["a.png"])
    silent = Sidecar("a" * 64, "c/a.png", 1, {}, Record("2"))
    assert said(told, silent) == ["seed 1 → unknown", "LoRA ink 0.6 → unknown", "image a.png → unknown"]
    assert said(silent, told) == ["seed unknown → 1", "LoRA ink unknown → 0.6", "image unknown → a.png"]
    assert said(told, card(seed=1, loras=[], images=[])) == [
        "LoRA ink removed (was 0.6)",
        "image a.png removed",
    ]


def test_the_log_goes_on_under_the_new_name(art: GitRepo) -> None:
    art.git("mv", HERO, "assets/characters/mira.png")
    art.commit("moved")
    steps = json.loads(art.tool("log", HERO, "--json").out)
    assert [each["change"] for each in steps] == ["R", "M", "M", "A"]
    assert json.loads(art.tool("log", f"HEAD~2:{HERO}", "--json").out) == steps


def test_what_git_does_not_know_yet_is_said(art: GitRepo) -> None:
    art.write("assets/bg/new.png", media.png())
    assert "1 file is not in git yet" in art.tool("diff").err
