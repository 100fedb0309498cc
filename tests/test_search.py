"""`search`: one line of text finds assets, says where it does not parse, and never says more than the index knows."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfyvn_store.index import ingredients
from comfyvn_store.ops import searching
from comfyvn_store.ops.searching import grammar, values
from comfyvn_store.ops.searching.grammar import All, Any, BadQuery, Not, Term
from comfyvn_store.ops.session import Session, open_session
from comfyvn_store.vcs.git import Git
from tests import media
from tests.gitrepo import GitRepo
from tests.oracle import check_index, index_path

MIRA, RAIN, DOOR = "assets/characters/mira smile.png", "assets/backgrounds/rain_street.png", "assets/sfx/door.wav"
BIG = 18_446_744_073_709_551_557  # beyond what SQLite counts to, and what floats tell apart


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def dated(day: str, author: str) -> dict[str, str]:
    return {
        "GIT_AUTHOR_DATE": f"{day}T12:00:00Z",
        "GIT_COMMITTER_DATE": f"{day}T12:00:00Z",
        "GIT_AUTHOR_NAME": author,
    }


@pytest.fixture
def art(store_repo: GitRepo) -> GitRepo:
    repo = store_repo
    repo.write(MIRA, media.comfy_png(1041, width=64, height=96, model="xl/Animagine_V3.safetensors"))
    repo.git("add", ".")
    repo.tool("annotate", MIRA, "--tag", "heroine", "--tag", "main cast", "--license", "CC-BY-4.0")
    repo.git("commit", "-q", "-m", "mira", env=dated("2024-03-01", "Mika Ito"))
    repo.write(
        RAIN,
        media.comfy_png(
            BIG,
            width=128,
            height=32,
            positive="rain on a neon street, old clock",
            loras=[("vn/Add_Detail.safetensors", 0.6)],
        ),
    )
    repo.write(DOOR, media.wav(frequency=200))
    repo.git("add", ".")
    repo.git("commit", "-q", "-m", "more", env=dated("2025-06-01", "Bo Berg"))
    repo.tool("list")
    return repo


@contextmanager
def session_in(repo: GitRepo) -> Iterator[Session]:
    with open_session(str(repo.path)) as session:
        yield session


def views(session: Session, query: str, **options: object) -> list[str]:
    return [item["view"] for item in searching.search(session, query, **options).found]  # type: ignore[arg-type]


def place_of_fault(session: Session, query: str) -> int | None:
    try:
        searching.search(session, query)
    except BadQuery as error:
        return error.at
    return None


def test_every_kind_of_term(art: GitRepo) -> None:
    everything = sorted([MIRA, RAIN, DOOR])
    tables = {
        "mira": [MIRA],
        "MIR": [MIRA],
        "neon clock": [RAIN],
        "neon heroine": [],
        '"old clock"': [RAIN],
        '"clock old"': [],
        '"neo"': [],
        "*.wav": [DOOR],
        "type:characters": [MIRA],
        "type:*s": [MIRA, RAIN],
        "tag:heroine": [MIRA],
        "tag:HEROINE": [MIRA],
        'tag:"main cast"': [MIRA],
        "tag:main*": [MIRA],
        "tag:main": [],
        "license:cc-by-4.0": [MIRA],
        "licence:CC-BY-4.0": [MIRA],
        "-license:*": [RAIN, DOOR],
        "model:animagine_v3": [MIRA],
        "model:Animagine_V3.safetensors": [MIRA],
        "model:XL/animagine_v3": [MIRA],
        "model:xl\\animagine_v3.safetensors": [MIRA],
        "model:sd/animagine_v3": [],
        "model:animagine_v3.ckpt": [],
        "model:anima*": [MIRA, RAIN],
        "lora:add_detail": [RAIN],
        "lora:ADD*": [RAIN],
        "lora:vn/*": [RAIN],
        f"seed:{BIG}": [RAIN],
        f"seed:{BIG - 1}": [],
        f"seed:{BIG + 1}": [],
        "seed:1041": [MIRA],
        "seed:01041": [MIRA],
        "sampler:DPMPP*": [MIRA, RAIN],
        "sampler:dpmpp_2m scheduler:karras": [MIRA, RAIN],
        "sampler:dpmpp": [],
        "source:comfyui": [MIRA, RAIN],
        "source:git": [DOOR],
        "author:mika": [MIRA],
        "author:*example.com*": everything,
        "commit:HEAD": [RAIN, DOOR],
        "commit:HEAD~1": [MIRA],
        "commit:HEAD~1..HEAD": [RAIN, DOOR],
        "since:2025-01-01": [RAIN, DOOR],
        "before:2025-01-01": [MIRA],
        "since:2024-03-01 before:2024-03-02": [MIRA],
        "before:2024-03-01": [],
        'since:"2 weeks ago"': [],
        'before:"2 weeks ago"': everything,
        "size>1G": [],
        "size<1G": everything,
        "width>=64": [MIRA, RAIN],
        "width>64": [RAIN],
        "width<=64": [MIRA],
        "width:64": [MIRA],
        "width=64": [MIRA],
        "height:30..40": [RAIN],
        "path:rain": [RAIN],
        "path:assets/backgrounds": [RAIN],
        "path:*smile.png": [MIRA],
        "-mira": [RAIN, DOOR],
        "-tag:heroine -type:sfx": [RAIN],
        "tag:heroine OR type:sfx": [MIRA, DOOR],
        "(tag:heroine OR type:sfx) -mira": [DOOR],
        "-(tag:heroine OR type:sfx)": [RAIN],
        "source:comfyui AND neon": [RAIN],
    }
    with session_in(art) as session:
        assert {query: sorted(views(session, query)) for query in tables} == {k: sorted(v) for k, v in tables.items()}
        exact = session.index.db.execute("SELECT max(bytes), min(bytes) FROM assets_registry").fetchone()
        assert len(views(session, f"size:{exact[0]}")) == len(views(session, f"size>={exact[0]}")) == 1
        assert len(views(session, f"size>{exact[1]}")) == 2


def test_the_command_takes_terms_that_begin_with_a_dash_and_answers_in_json(art: GitRepo) -> None:
    found = art.tool("search", "-tag:heroine", "-heroine", "--json", "source:comfyui").json()
    assert (found["total"], found["past"], [item["view"] for item in found["found"]]) == (1, 0, [RAIN])
    assert found["found"][0]["current"] is True
    assert found["found"][0]["provenance"]["inputs"]["seed"] == BIG
    said = art.tool("search", "--limit", "1", "source:comfyui").out
    assert "1 of 2 shown; --limit 2 shows all" in said and "comfyvn-store show assets/" in said
    assert art.tool("search", "nothing-of-the-kind").out == "nothing matches"
    assert "Find assets" in art.tool("search", "-h").out


def test_what_does_not_parse_says_where(art: GitRepo) -> None:
    done = art.tool("search", "neon", "tga:heroine", check=False)
    lines = done.err.split("\n")
    assert done.code == 2
    assert lines[0] == "  neon tga:heroine" and lines[1] == "       ^"
    assert lines[2] == "error: there is no 'tga:' (at character 6 of the query)" and "did you mean `tag:`" in lines[3]
    done = art.tool("search", "雨 size>much", "--json", check=False)
    assert done.code == 2 and done.json()["error"] == "bad-query"
    assert done.err.split("\n")[1] == "     ^"  # a wide letter takes two columns
    places = {
        "(rain": 0,
        "rain )": 5,
        '"rain': 0,
        "rain OR": 5,
        "OR rain": 0,
        "a OR OR b": 2,
        "()": 1,
        "-": 0,
        "rain - cat": 5,
        "--x": 0,
        "tag:": 4,
        'tag:"': 4,
        "tag>5": 0,
        "size>": 5,
        "size:abc": 0,
        "size>-5": 0,
        "size:..": 0,
        "width>1M": 0,
        "width:1.5": 0,
        "since:2026-02-30": 0,
        "since:2026-13-01": 0,
        "since:rubbish": 0,
        "commit:no-such": 0,
        "commit:--all": 0,
        "!!!": 0,
        "cat 🌸": 4,
    }
    with session_in(art) as session:
        for query, place in places.items():
            assert (query, place_of_fault(session, query)) == (query, place)


def test_better_matches_come_first_and_of_equals_the_newer(store_repo: GitRepo) -> None:
    for number, positive in enumerate(("a fox, a cat, a tree, a house", "fox", "fox")):
        store_repo.write(f"assets/cg/{number}.png", media.comfy_png(number, positive=positive, negative=""))
        store_repo.git("add", ".")
        store_repo.commit(f"{number}")
    store_repo.write("assets/cg/fox.png", media.comfy_png(9, positive="a cat", negative=""))
    store_repo.git("add", ".")
    store_repo.commit("named")
    with session_in(store_repo) as session:
        assert views(session, "fox") == [f"assets/cg/{name}.png" for name in ("fox", "2", "1", "0")]
        assert views(session, "fox", limit=2) == [f"assets/cg/{name}.png" for name in ("fox", "2")]
        assert views(session, "type:cg") == [f"assets/cg/{name}.png" for name in ("fox", "2", "1", "0")]
        assert views(session, "fox", order="oldest")[0] == "assets/cg/0.png"
        assert views(session, "fox", order="path")[0] == "assets/cg/0.png"
        assert views(session, "cat OR tree")[0] == "assets/cg/0.png"
        sizes = [item["bytes"] for item in searching.search(session, "type:cg", order="largest").found]
        assert sizes == sorted(sizes, reverse=True)


def test_versions_of_before_are_found_when_asked_for_and_marked(art: GitRepo, tmp_path: Path) -> None:
    art.tool("annotate", RAIN, "--tag", "late")
    art.write(MIRA, media.comfy_png(77, model="other.safetensors"))
    art.git("add", ".")
    art.commit("new mira")
    art.git("rm", "-q", RAIN, f"{RAIN}.asset.json")
    art.commit("no rain")
    check_index(art, tmp_path)
    with session_in(art) as session:
        assert views(session, "seed:1041") == views(session, "neon") == []
        for query, expected in {
            "seed:1041": [MIRA],
            "neon": [RAIN],
            "model:animagine*": [MIRA, RAIN],
            'tag:"main cast"': [MIRA, MIRA],  # the new version kept them
            "license:CC-BY-4.0": [MIRA, MIRA],
            "type:backgrounds": [RAIN],
            "width:128": [RAIN],
            "size>0 *rain*": [RAIN],
            "path:rain_street": [RAIN],
            "author:bo": [RAIN, DOOR],
            "commit:HEAD~2": [RAIN, DOOR],
            "tag:late": [],  # it came without
            "before:2024-12-31": [MIRA],
            f"seed:{BIG}": [RAIN],
            "-type:characters": [RAIN, DOOR],
        }.items():
            assert (query, sorted(views(session, query, with_past=True))) == (query, sorted(expected))
        both = searching.search(session, "mira", with_past=True)
        assert [(item["current"], item["provenance"]["inputs"]["seed"]) for item in both.found] == [
            (True, 77),
            (False, 1041),
        ]
        assert (both.total, both.past) == (2, 1)
    said = art.tool("search", "--history", "neon").out
    assert "not here now, came with" in said and f":{RAIN}" in said
    assert art.tool("show", said.split("comfyvn-store show ")[1]).out.startswith(RAIN)
    assert "--history" in art.tool("search", "neon").err


def test_words_that_nearly_all_have_are_not_weighed(art: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    with session_in(art) as session:
        assert views(session, "mira OR lowres") == [MIRA, RAIN]
        monkeypatch.setattr(searching, "MOST_RANKED", 1)
        assert views(session, "mira OR lowres") == [RAIN, MIRA]


def test_branches_that_are_not_checked_out_are_history(art: GitRepo, tmp_path: Path) -> None:
    art.git("switch", "-q", "-c", "side")
    art.write("assets/cg/fox.png", media.comfy_png(5, positive="a fox"))
    art.git("add", ".")
    art.commit("fox")
    art.git("switch", "-q", "main")
    check_index(art, tmp_path)
    with session_in(art) as session:
        assert views(session, "fox") == []
        assert views(session, "fox", with_past=True) == ["assets/cg/fox.png"]
    art.git("switch", "-q", "side")
    check_index(art, tmp_path)
    with session_in(art) as session:
        assert [item["current"] for item in searching.search(session, "fox", with_past=True).found] == [True]


def test_labels_and_names_follow_what_is_staged(art: GitRepo, tmp_path: Path) -> None:
    art.tool("annotate", MIRA, "--untag", "heroine", "--license", "", "--tag", 'odd "tag" 雨')
    check_index(art, tmp_path)
    with session_in(art) as session:
        assert views(session, "tag:heroine") == views(session, "license:*") == []
        assert views(session, 'tag:"odd \\"tag\\" 雨"') == views(session, "tag:*雨") == [MIRA]
    art.git("mv", MIRA, "assets/characters/mïra.png")
    art.git("mv", f"{MIRA}.asset.json", "assets/characters/mïra.png.asset.json")
    art.commit("moved")
    check_index(art, tmp_path)
    with session_in(art) as session:
        assert views(session, "path:MÏRA") == views(session, "*ïra.png") == ["assets/characters/mïra.png"]


def test_ten_thousand_loras_of_one_asset(store_repo: GitRepo, tmp_path: Path) -> None:
    loras = [{"name": f"pack/l{number:05}.safetensors", "strength": number} for number in range(10_000)]
    loras += [{"name": None, "strength": 1}, {"name": 7}, "odd", {"name": "huge", "strength": 10**400}]
    store_repo.write("assets/cg/many.png", media.png(8, 8))
    words = ("register", "--type", "cg", "--replace")
    record = {"loras": loras, "model": ["no", "text"], "images": "none", "seed": True}
    place = tmp_path / "many.png"
    place.write_bytes(media.png(8, 8, 3))
    store_repo.tool(
        *words,
        str(place),
        "--name",
        "x.png",
        *[f"--input={k}={json.dumps(v)[:1000]}" for k, v in record.items() if k != "loras"],
    )
    store_repo.git("add", ".")
    card = json.loads(store_repo.read("assets/cg/x.png.asset.json"))
    card["provenance"]["inputs"]["loras"] = loras
    store_repo.write("assets/cg/x.png.asset.json", json.dumps(card))
    store_repo.git("add", ".")
    store_repo.commit("many")
    check_index(store_repo, tmp_path)
    with session_in(store_repo) as session:
        assert (
            views(session, "lora:L09999")
            == views(session, "lora:*")
            == views(session, "lora:huge")
            == ["assets/cg/x.png"]
        )
        assert views(session, "model:*") == views(session, "seed:*") == views(session, "image:*") == []
    with sqlite3.connect(index_path(store_repo)) as db:
        rows = db.execute("SELECT count(*), max(strength) FROM ingredients WHERE kind = 'lora'").fetchone()
        assert rows == (10_001, 9999.0)
        assert db.execute("SELECT strength FROM ingredients WHERE name = 'huge'").fetchone() == (None,)


def test_repositories_without_history(tmp_path: Path) -> None:
    repo = GitRepo.create(tmp_path / "empty")
    repo.tool("init")
    assert repo.tool("search", "rain").out == "nothing matches"
    assert repo.tool("search", "-rain", "--history", "--json").json() == {"total": 0, "past": 0, "found": []}
    assert repo.tool("search", "commit:HEAD", check=False).code == 2


def test_a_shallow_clone_finds_by_when_the_record_was_made(art: GitRepo, tmp_path: Path) -> None:
    clone = GitRepo(tmp_path / "clone")
    art.git("clone", "-q", "--depth", "1", art.path.as_uri(), str(clone.path))
    clone.tool("init")
    today = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
    with session_in(clone) as session:
        assert sorted(views(session, f"since:{today}")) == sorted([MIRA, RAIN, DOOR])
        assert views(session, "author:mika") == views(session, "author:bo") == []  # whose they were is not known here


def test_an_older_index_is_made_anew(art: GitRepo) -> None:
    place = index_path(art)
    with sqlite3.connect(place) as db:
        db.execute("DROP TABLE uses")
        db.execute("PRAGMA user_version = 1")
    done = art.tool("search", "lora:add_detail")
    assert "made by an older version; making it anew" in done.err and RAIN in done.out


# -- parts ---------------------------------------------------------------------------------------------------------


def test_the_tree_of_a_query() -> None:
    def term(value: str, at: int, key: str | None = None, sign: str = ":", exact: bool = False) -> Term:
        return Term(key, sign, value, exact, at)

    assert grammar.parse("a") == term("a", 0)
    assert grammar.parse(' a  "b c" ') == All((term("a", 1), term("b c", 4, exact=True)))
    assert grammar.parse("a OR b -c") == Any((term("a", 0), All((term("b", 5), Not(term("c", 8))))))
    assert grammar.parse("(a OR b) c") == All((Any((term("a", 1), term("b", 6))), term("c", 9)))
    assert grammar.parse("mira(1).png") == term("mira(1).png", 0)
    assert grammar.parse("a=b or ORANGE") == All((term("a=b", 0), term("or", 4), term("ORANGE", 7)))
    assert grammar.parse("size>=1M") == term("1M", 0, "size", ">=")
    assert grammar.parse("size:>1M") == term("1M", 0, "size", ">")
    assert grammar.parse("After:yesterday") == term("yesterday", 0, "since")
    assert grammar.parse('tag:"a \\"b\\" \\\\ c\\d"') == term('a "b" \\ c\\d', 0, "tag", exact=True)


@given(st.text(alphabet='ab"\\():<>=-* ORAND\n雨tagsize', max_size=40))
def test_any_text_parses_or_says_where(query: str) -> None:
    try:
        grammar.parse(query)
    except BadQuery as error:
        assert 0 <= error.at <= len(query)


def test_brackets_without_end() -> None:
    with pytest.raises(BadQuery):
        grammar.parse("(" * 10_000)
    with pytest.raises(BadQuery):
        grammar.parse("-" * 10_000 + "a")
    with pytest.raises(BadQuery):
        grammar.parse("a " * 20_000)


def test_amounts() -> None:
    assert values.bounds(">", "1.5M", is_size=True) == (1_572_865, values.MOST)
    assert values.bounds("<", "1k", is_size=True) == (0, 1023)
    assert values.bounds("<=", "1 KiB", is_size=True) == (0, 1024)
    assert values.bounds(":", "1k..2kB", is_size=True) == (1024, 2048)
    assert values.bounds(":", "..10", is_size=False) == (0, 10)
    assert values.bounds(">", "9999999999999999999T", is_size=True) == (values.MOST, values.MOST)
    for wrong in ("", "x", "1X", "-1", "1e5", "١", "9" * 30):
        assert values.bounds(":", wrong, is_size=True) is None


def test_moments(tmp_path: Path) -> None:
    git = Git(str(tmp_path))
    assert values.moment(git, "2026-01-31") == "2026-01-31T00:00:00Z"
    assert values.moment(git, "2026-01-31 10:00 +0200") == "2026-01-31T08:00:00Z"
    assert abs(time.time() - 86400 - _seconds(values.moment(git, "yesterday"))) < 90_000
    assert abs(time.time() - _seconds(values.moment(git, "now"))) < 60
    for wrong in ("", "2026-02-30", "0000-01-01", "nonsense", "--help"):
        assert values.moment(git, wrong) is None


def _seconds(text: str | None) -> float:
    import calendar

    return calendar.timegm(time.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ"))


def test_names_agree_in_what_both_say() -> None:
    names = ingredients.file_name
    assert names("a/B_1.0.safetensors").agrees(names("b_1.0"))
    assert not names("sd_xl_base_1.0").agrees(names("sd_xl_base_1"))
    assert names("sub/pic.png [input]").agrees(names("PIC.png"))
    assert names("x/sub/pic.png").agrees(names("sub/pic"))
    assert not names("x/sub/pic.png").agrees(names("y/sub/pic"))
    assert not names("bsub/pic.png").agrees(names("sub/pic"))
    like = ingredients.glob("a*b*c")
    assert like("ABC") and like("a--b--c") and not like("a--c") and not like("ab")
    assert ingredients.glob("*")("") and not ingredients.glob("ab*ba")("aba")
