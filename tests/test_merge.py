"""Merging sidecars by field: the function, and the driver as git starts it."""

import re
import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfyvn_store.asset import merge, sidecar
from comfyvn_store.asset.sidecar import Record, Sidecar
from tests import media
from tests.gitrepo import GitRepo, Result
from tests.oracle import check_all

OLD, MINE, OTHER = "1" * 64, "2" * 64, "3" * 64
HERO = "assets/characters/hero.png"


def card(hash_: str = OLD, record: str = "", **fields: Any) -> Sidecar:
    plain = Sidecar(
        hash=hash_,
        path="characters/hero.png",
        bytes=10,
        media={"mime": "image/png"},
        provenance=Record(
            id=record or f"018f0000-0000-7000-8000-00000000000{hash_[0]}",
            source="git",
            workflow_hash=None,
            inputs={},
            source_hash=None,
            created_at=None,
            parent=None,
            extra={},
        ),
        tags=(),
        license=None,
        meta={},
        extra={},
    )
    return plain._replace(**fields)


def merged(base: Sidecar | None, ours: Sidecar, theirs: Sidecar) -> tuple[Sidecar, tuple[str, ...]]:
    result = merge.merge(base, ours, theirs)
    return result.sidecar, result.conflicts


# -- the function --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        ((), ("b",), ("a",), {"a", "b"}),
        (("a", "b"), ("a",), ("a", "b", "c"), {"a", "c"}),
        (("a", "b"), ("b",), ("a",), set()),
        (("a",), ("a", "x"), ("a", "x"), {"a", "x"}),
        (("a",), (), ("a", "b"), {"b"}),
    ],
)
def test_tags_are_sets_with_removals(base: Any, ours: Any, theirs: Any, expected: set[str]) -> None:
    for one, two in ((ours, theirs), (theirs, ours)):
        result, conflicts = merged(card(tags=base), card(tags=one), card(tags=two))
        assert set(result.tags) == expected
        assert conflicts == ()


def test_the_order_of_tags_that_one_side_chose_stays() -> None:
    result, _ = merged(card(tags=("a", "b")), card(tags=("z", "a", "b")), card(tags=("a", "b")))
    assert result.tags == ("z", "a", "b")


def test_a_licence_that_one_side_changed_is_taken() -> None:
    for ours, theirs in (("MIT", None), (None, "MIT")):
        result, conflicts = merged(card(), card(license=ours), card(license=theirs))
        assert (result.license, conflicts) == ("MIT", ())


def test_a_licence_that_one_side_removed_is_gone() -> None:
    result, conflicts = merged(card(license="MIT"), card(license="MIT"), card(license=None))
    assert (result.license, conflicts) == (None, ())


def test_two_licences_are_a_conflict_and_ours_stands() -> None:
    result, conflicts = merged(card(), card(license="MIT"), card(license="CC0-1.0"))
    assert (result.license, conflicts) == ("MIT", ("license",))


def test_meta_goes_by_field() -> None:
    base = card(meta={"kept": 1, "dropped": 1, "mine": 1, "other": 1})
    ours = card(meta={"kept": 1, "dropped": 1, "mine": 2, "other": 1, "new": "ours"})
    theirs = card(meta={"kept": 1, "mine": 1, "other": 2})
    result, conflicts = merged(base, ours, theirs)
    assert (result.meta, conflicts) == ({"kept": 1, "mine": 2, "other": 2, "new": "ours"}, ())


def test_one_field_of_meta_changed_on_both_sides_is_a_conflict() -> None:
    result, conflicts = merged(card(meta={"a": 1, "b": 1}), card(meta={"a": 2, "b": 1}), card(meta={"a": 3, "b": 4}))
    assert (result.meta, conflicts) == ({"a": 2, "b": 4}, ("meta.a",))


def test_nested_meta_goes_by_the_innermost_field() -> None:
    base = card(meta={"scene": {"mood": "calm", "place": "roof"}, "list": [1, 2]})
    ours = card(meta={"scene": {"mood": "glad", "place": "roof", "light": {"sun": 1}}, "list": [1, 2]})
    theirs = card(meta={"scene": {"mood": "calm", "light": {"lamp": 2}}, "list": [1, 2, 3]})
    for result, conflicts in (merged(base, ours, theirs), merged(base, theirs, ours)):
        assert result.meta == {"scene": {"mood": "glad", "light": {"sun": 1, "lamp": 2}}, "list": [1, 2, 3]}
        assert conflicts == ()


def test_a_conflict_in_nested_meta_names_the_innermost_field_and_both_values() -> None:
    one, two = card(meta={"scene": {"mood": "glad", "a": 1}}), card(meta={"scene": {"mood": "sad", "b": 2}})
    result = merge.merge(card(), one, two)
    assert result.clashes == (("meta.scene.mood", merge.ABSENT, "glad", "sad"),)
    assert result.sidecar.meta == {"scene": {"a": 1, "b": 2, "mood": "glad"}}
    assert merge.merge(card(), one, two, "theirs").sidecar.meta["scene"]["mood"] == "sad"


def test_true_one_and_one_point_zero_are_three_values() -> None:
    for ours, theirs in ((1, True), (1, 1.0), (0, False)):
        assert merged(card(), card(meta={"a": ours}), card(meta={"a": theirs}))[1] == ("meta.a",)


def test_what_one_side_removed_and_the_other_changed_is_a_conflict() -> None:
    base = card(meta={"a": 1})
    assert merge.merge(base, card(), card(meta={"a": 2})).clashes == (("meta.a", 1, merge.ABSENT, 2),)


def test_an_ancestor_made_of_several_has_its_ancestors_value_where_they_differ() -> None:
    base = card(license="CC0-1.0", meta={"a": 1, "b": 1})
    ours, theirs = card(MINE, license="MIT", meta={"a": 2, "b": 1}), card(OTHER, license="GPL", meta={"b": 1})
    result = merge.merge(base, ours, theirs, "base").sidecar
    assert (result.hash, result.license, result.meta) == (OLD, "CC0-1.0", {"a": 1, "b": 1})
    alone = merge.merge(None, card(MINE), card(OTHER), "base").sidecar
    assert alone.hash not in (MINE, OTHER)
    assert sidecar.decode(sidecar.encode(alone)) == alone


def test_unknown_keys_go_by_field() -> None:
    result, conflicts = merged(card(extra={"x": 1}), card(extra={"x": 1, "y": 2}), card(extra={"x": 3}))
    assert (result.extra, conflicts) == ({"x": 3, "y": 2}, ())


def test_provenance_goes_with_the_bytes_and_notes_with_both() -> None:
    base, ours, theirs = card(), card(tags=("tagged",)), card(MINE, license="MIT", bytes=99)
    for result, conflicts in (merged(base, ours, theirs), merged(base, theirs, ours)):
        assert (result.hash, result.bytes, result.provenance) == (MINE, 99, theirs.provenance)
        assert (result.tags, result.license, conflicts) == (("tagged",), "MIT", ())


def test_bytes_changed_on_both_sides_are_a_conflict_and_ours_stand() -> None:
    ours, theirs = card(MINE, tags=("m",)), card(OTHER, tags=("o",))
    result, conflicts = merged(card(), ours, theirs)
    assert (result.hash, result.provenance, conflicts) == (MINE, ours.provenance, ("bytes",))
    assert set(result.tags) == {"m", "o"}


def test_the_same_bytes_on_both_sides_keep_the_older_record() -> None:
    older = card(MINE, "018f0000-0000-7000-8000-000000000001")
    newer = card(MINE, "018f0000-0000-7000-8000-000000000002")
    for result, conflicts in (merged(None, older, newer), merged(None, newer, older), merged(card(), newer, older)):
        assert (result.provenance.id, conflicts) == (older.provenance.id, ())


_cards = st.builds(
    card,
    st.sampled_from([OLD, MINE, OTHER]),
    tags=st.lists(st.sampled_from("abc"), unique=True).map(tuple),
    license=st.sampled_from([None, "MIT", "CC0-1.0"]),
    meta=st.dictionaries(st.sampled_from("xy"), st.integers(0, 2)),
)


@settings(deadline=None)
@given(_cards, _cards)
def test_a_side_that_changed_nothing_loses_to_the_other(base: Sidecar, other: Sidecar) -> None:
    assert merged(base, base, other) == (other, ())
    assert merged(base, other, base) == (other, ())
    assert merged(base, other, other) == (other, ())


# -- the driver ----------------------------------------------------------------------------------------------------


@pytest.fixture
def art(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    """A tagged picture on main and on `side`."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(1))
    store_repo.git("add", ".")
    store_repo.commit("art")
    store_repo.tool("annotate", HERO, "--tag", "draft", "--meta", "mood=calm")
    store_repo.commit("tags")
    store_repo.git("branch", "side")
    return store_repo


def both(repo: GitRepo, theirs: list[str], ours: list[str]) -> Result:
    """Annotates the picture on both branches and merges `side`."""
    for branch, words in (("side", theirs), ("main", ours)):
        repo.git("switch", "-q", branch)
        repo.tool("annotate", HERO, *words)
        repo.commit(f"notes on {branch}")
    return repo.git("merge", "--no-edit", "side", check=False)


def test_git_merges_notes_of_both_sides(art: GitRepo) -> None:
    done = both(art, ["--untag", "draft", "--tag", "final", "--meta", "mood=glad"], ["--license", "MIT", "--tag", "x"])
    assert done.code == 0, done.err
    found = art.sidecar(HERO)
    assert (found["tags"], found["license"], found["meta"]) == (["final", "x"], "MIT", {"mood": "glad"})
    assert (found["type"], found["path"]) == ("characters", "characters/hero.png")
    check_all(art)


def test_what_a_conflict_tells_to_type_can_be_pasted(art: GitRepo) -> None:
    spaced = "assets/characters/the hero.png"
    for path in (HERO, f"{HERO}.asset.json"):
        art.git("mv", path, path.replace(HERO, spaced))
    art.commit("a name with a space")
    art.git("branch", "-f", "side")
    for branch, licence in (("side", "MIT"), ("main", "CC0-1.0")):
        art.git("switch", "-q", branch)
        art.tool("annotate", spaced, "--license", licence)
        art.commit(branch)
    said = art.git("merge", "--no-edit", "side", check=False).err
    command = re.search(r"`(comfyvn-store resolve [^`]*)`", said)
    assert command and shlex.split(command[1]) == ["comfyvn-store", "resolve", spaced]


def test_git_stops_at_two_licences_and_keeps_ours(art: GitRepo) -> None:
    done = both(art, ["--license", "MIT"], ["--license", "CC0-1.0"])
    assert done.code == 1
    assert done.err.splitlines() == [
        f"comfyvn-store: {HERO}.asset.json: both sides changed license; ours is kept",
        '  license: ours "CC0-1.0", theirs "MIT"',
        f"hint: `comfyvn-store conflicts` shows both sides; `comfyvn-store resolve {HERO}` with `--ours` or `--theirs` decides",
    ]
    assert art.status() == [f"UU {HERO}.asset.json"]
    assert art.sidecar(HERO)["license"] == "CC0-1.0"
    assert art.tool("show", HERO, "--json").json()["license"] == "CC0-1.0"
    art.git("add", "assets")
    art.git("commit", "-q", "--no-edit")
    check_all(art)


def test_tags_on_one_side_and_new_bytes_on_the_other_go_together(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    art.write(HERO, media.comfy_png(2))
    art.commit("repainted", "-a")
    art.git("switch", "-q", "main")
    art.tool("annotate", HERO, "--tag", "favourite")
    art.commit("tags")
    art.git("merge", "-q", "--no-edit", "side")
    found = art.sidecar(HERO)
    assert (found["tags"], found["provenance"]["inputs"]["seed"]) == (["draft", "favourite"], 2)
    assert found["provenance"]["commit"] == art.git("rev-parse", "side").out
    check_all(art)


def test_a_moved_picture_meets_tags_of_the_other_side(art: GitRepo) -> None:
    art.git("switch", "-q", "side")
    art.tool("annotate", HERO, "--tag", "favourite")
    art.commit("tags")
    art.git("switch", "-q", "main")
    art.git("mv", HERO, "assets/characters/heroine.png")
    art.commit("moved")
    art.git("merge", "-q", "--no-edit", "side")
    found = art.sidecar("assets/characters/heroine.png")
    assert (found["tags"], found["path"]) == (["draft", "favourite"], "characters/heroine.png")
    check_all(art)


def test_text_that_is_no_sidecar_is_merged_as_text(art: GitRepo) -> None:
    path = "assets/notes.asset.json"
    for branch, text in (("side", "theirs\n"), ("main", "ours\n")):
        art.git("switch", "-q", branch)
        art.write(path, text)
        art.git("add", path)
        art.commit(branch)
    assert art.git("merge", "--no-edit", "side", check=False).code == 1
    assert art.read(path) == b"<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\n"


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_a_conflict_has_no_markers_whatever_style_and_rerere(art: GitRepo, style: str) -> None:
    for key, value in (("merge.conflictStyle", style), ("rerere.enabled", "true"), ("rerere.autoUpdate", "true")):
        art.git("config", key, value)
    both(art, ["--license", "MIT"], ["--license", "CC0-1.0"])
    assert art.sidecar(HERO)["license"] == "CC0-1.0"
    assert art.status() == [f"UU {HERO}.asset.json"]
    art.git("add", "assets")
    art.git("commit", "-q", "--no-edit")
    art.git("reset", "-q", "--hard", "HEAD^")
    art.git("merge", "--no-edit", "side", check=False)
    assert art.status() == [f"UU {HERO}.asset.json"], "rerere settles nothing that it cannot see"


def test_what_the_driver_writes_is_canonical(art: GitRepo) -> None:
    both(art, ["--tag", "one"], ["--tag", "two"])
    text = art.blob(f"HEAD:{HERO}.asset.json")
    assert sidecar.encode(sidecar.decode(text)) == text
