"""Colleagues who exchange what they said of their art, in any order, end up with the same: the function, and real git."""

import os
import random
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from comfyvn_store.asset import merge
from comfyvn_store.asset.sidecar import Sidecar
from tests import media, templates
from tests.gitrepo import GitRepo
from tests.oracle import check_commits, digest, linked_hash
from tests.test_merge import MINE, OLD, OTHER, card

HISTORIES = int(os.environ.get("TEST_HISTORIES", "0")) or 1

# -- the function --------------------------------------------------------------------------------------------------

_values = st.recursive(
    st.sampled_from([None, False, True, 0, 1, 1.0, "a", "b", [], [1], ["a"]]),
    lambda inner: st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=3,
)
_objects = st.dictionaries(st.sampled_from("xyz"), _values, max_size=3)
_sides = st.builds(
    card,
    st.sampled_from([OLD, OLD, MINE, OTHER]),
    st.sampled_from(["", "018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b"]),
    tags=st.lists(st.sampled_from("abc"), unique=True).map(tuple),
    license=st.sampled_from([None, "MIT", "CC0-1.0"]),
    meta=_objects,
    extra=_objects,
)


@st.composite
def edits(draw: st.DrawFn, base: Sidecar) -> Sidecar:
    """A side that changed some fields of `base`."""
    other = draw(_sides)
    names = draw(st.sets(st.sampled_from(["tags", "license", "meta", "extra", "bytes"]), max_size=2))
    fields: dict[str, Any] = {name: getattr(other, name) for name in names if name != "bytes"}
    if "bytes" in names:
        fields |= {"hash": other.hash, "provenance": other.provenance}
    return base._replace(**fields)


@st.composite
def families(draw: st.DrawFn) -> tuple[Sidecar, Sidecar, Sidecar, Sidecar]:
    """A common ancestor and three sides."""
    base = draw(_sides)
    return base, *(draw(edits(base)) for _ in range(3))  # type: ignore[return-value]


@settings(deadline=None, max_examples=150)
@given(families())
def test_it_does_not_matter_who_merges(family: tuple[Sidecar, ...]) -> None:
    base, ours, theirs, _ = family
    for ancestor in (base, None):
        one, other = merge.merge(ancestor, ours, theirs), merge.merge(ancestor, theirs, ours)
        assert one.conflicts == other.conflicts
        if not one.clashes:
            assert one.sidecar == other.sidecar
            assert repr(one.sidecar) == repr(other.sidecar), "also where Python calls 1, 1.0 and True equal"
        # Whoever merges, each side's word is the same, and the ancestor's is nobody's.
        assert merge.merge(ancestor, ours, theirs, "theirs").sidecar == other.sidecar
        if ancestor is not None:
            made = [merge.merge(ancestor, *sides, "base").sidecar for sides in ((ours, theirs), (theirs, ours))]
            assert made[0] == made[1]


@settings(deadline=None, max_examples=150)
@given(families())
def test_merging_again_changes_nothing(family: tuple[Sidecar, ...]) -> None:
    base, ours, theirs, _ = family
    assert merge.merge(base, ours, ours) == (ours, ())
    done = merge.merge(base, ours, theirs).sidecar
    assert merge.merge(theirs, done, theirs) == (done, ())
    assert merge.merge(base, done, done) == (done, ())


@settings(deadline=None, max_examples=150)
@given(families())
def test_three_sides_give_the_same_in_every_order(family: tuple[Sidecar, ...]) -> None:
    base, *sides = family
    results = []
    for one, two, three in permutations(sides):
        first = merge.merge(base, one, two)
        second = merge.merge(base, first.sidecar, three)
        assume(not first.clashes and not second.clashes)
        results.append(second.sidecar)
    assert all(repr(result) == repr(results[0]) for result in results)


# -- real git ------------------------------------------------------------------------------------------------------

PATHS = ("assets/characters/hero.png", "assets/characters/mira.png")


def make_project(repo: GitRepo) -> None:
    for number, path in enumerate(PATHS):
        repo.write(path, media.png(seed=number))
    repo.git("add", ".")
    repo.commit("art")


@pytest.fixture
def clones(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> list[GitRepo]:
    """Three repositories of the same beginning, each with the two others as remotes."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    made = [templates.copied(tmp_path_factory, make_project, tmp_path / name) for name in "abc"]
    for repo in made:
        for other in made:
            if other is not repo:
                repo.git("remote", "add", other.path.name, str(other.path))
    return made


def say(repo: GitRepo, path: str, change: dict[str, Any]) -> None:
    """Annotates an asset and commits that, if it changed anything."""
    command = ["annotate", path, *change.get("words", [])]
    for tag in change.get("tags", []):
        command += ["--tag", tag]
    for tag in change.get("untags", []):
        command += ["--untag", tag]
    for key, value in change.get("meta", {}).items():
        command += ["--meta", f"{key}={value}"]
    repo.tool(*command)
    if repo.git("diff", "--cached", "--quiet", check=False).code:
        repo.commit("notes")


def pull(repo: GitRepo, other: GitRepo, *, check: bool = True) -> int:
    # A sidecar of another name, with another record, has less than half in common with the one it was (docs/git.md).
    words = ["pull", "-q", "--no-rebase", "--no-edit", "-X", "find-renames=25%"]
    return repo.git(*words, other.path.name, "main", check=check).code


def has(repo: GitRepo, commit: str) -> bool:
    return repo.git("merge-base", "--is-ancestor", commit, "HEAD", check=False).code == 0


def cards(repo: GitRepo) -> dict[str, bytes]:
    listing = repo.git("ls-tree", "-r", "--name-only", "HEAD", "assets").out.splitlines()
    return {path: repo.blob(f"HEAD:{path}") for path in listing}


def edit_at_random(rng: random.Random, repo: GitRepo) -> None:
    """Tags as everybody likes; of meta each has keys of their own; licence, names and pixels are one person's business."""
    name = repo.path.name
    path = rng.choice([entry for entry in repo.git("ls-files", "assets").out.splitlines() if entry.endswith(".png")])
    if name == "a" and rng.random() < 0.4:
        repo.git("mv", path, f"assets/characters/a{rng.randrange(10**6)}.png")
        repo.commit("renamed")
        return
    if name == "c" and rng.random() < 0.4:
        repo.write(path, media.png(seed=rng.randrange(10**6)))
        repo.commit("repainted", "-a")
        return
    change: dict[str, Any] = {
        "tags": rng.sample("pqrst", rng.randint(0, 2)),
        "untags": rng.sample("pqrst", rng.randint(0, 1)),
        "meta": {f"{name}{rng.randint(1, 2)}": rng.choice(["1", "true", '{"z": {"deep": 1}, "a": []}', ""])},
    }
    if name == "b" and rng.random() < 0.5:
        change["words"] = ["--license", rng.choice(["MIT", "CC0-1.0", ""])]
    say(repo, path, change)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_three_clones_that_pull_in_any_order_end_up_alike(clones: list[GitRepo], seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(2):
        for repo in clones:
            edit_at_random(rng, repo)
        pull(*rng.sample(clones, 2))
    tips = [repo.head() for repo in clones]
    while waiting := [repo for repo in clones if not all(has(repo, tip) for tip in tips)]:
        repo = rng.choice(waiting)
        pull(repo, rng.choice([other for other in clones if other is not repo]))
    assert cards(clones[0]) == cards(clones[1]) == cards(clones[2])
    for repo in clones:
        check_commits(repo)
        assert repo.status() == []


def test_a_conflict_that_one_settles_is_settled_for_all(clones: list[GitRepo]) -> None:
    a, b, c = clones
    hero, mira = PATHS
    for number, repo in enumerate((a, b)):
        repo.write(hero, media.png(seed=10 + number))
        repo.commit("repainted", "-a")
        say(repo, mira, {"words": ["--license", f"licence {number}"], "tags": [repo.path.name]})
    say(c, mira, {"tags": ["c"]})
    assert pull(a, b, check=False) == 1
    a.tool("resolve", "assets", "--theirs")
    a.git("commit", "-q", "--no-edit")
    pull(c, b)
    for repo in (b, c):
        pull(repo, a)
    for repo in (a, b):
        pull(repo, c)
    assert cards(a) == cards(b) == cards(c)
    for repo in clones:
        assert linked_hash(repo.link(hero)) == repo.sidecar(hero)["hash"] == digest(b.read(hero))
        assert (repo.sidecar(mira)["license"], repo.sidecar(mira)["tags"]) == ("licence 1", ["a", "b", "c"])
        check_commits(repo)
        assert repo.status() == []


def test_the_same_file_that_two_added_has_one_record_everywhere(clones: list[GitRepo]) -> None:
    a, b, _ = clones
    new, again = "assets/characters/new.png", PATHS[1]
    for repo in (a, b):
        repo.write(new, media.png(seed=5))
        repo.write(again, media.png(seed=6))
        repo.git("add", "assets")
        repo.commit("the same on both sides")
    ids = {path: sorted(repo.sidecar(path)["provenance"]["id"] for repo in (a, b)) for path in (new, again)}
    b.git("fetch", "-q", "a")
    pull(a, b)
    b.git("merge", "-q", "--no-edit", "a/main")
    assert cards(a) == cards(b)
    for path, (older, newer) in ids.items():
        assert older != newer
        assert a.sidecar(path)["provenance"]["id"] == older
    for repo in (a, b):
        check_commits(repo)
        assert repo.status() == []


def criss_cross(repo: GitRepo) -> None:
    """Both branches set another licence, merge each other and settle that: main as MIT, side as GPL."""
    for branch, license_ in (("side", "GPL"), ("main", "MIT")):
        repo.git("switch", "-q", branch)
        repo.tool("annotate", PATHS[0], "--license", license_)
        repo.commit(license_)
        repo.git("tag", f"{branch}-first")
    for branch, other, license_ in (("main", "side-first", "MIT"), ("side", "main-first", "GPL")):
        repo.git("switch", "-q", branch)
        repo.git("merge", "--no-edit", other, check=False)
        text = repo.read(f"{PATHS[0]}.asset.json").replace(b'"GPL"', b'"?"').replace(b'"MIT"', b'"?"')
        (repo.path / f"{PATHS[0]}.asset.json").write_bytes(text.replace(b'"?"', f'"{license_}"'.encode()))
        repo.git("add", "assets")
        repo.commit("settled")


def test_a_conflict_that_two_people_settled_differently_is_one_again(clones: list[GitRepo]) -> None:
    """Git makes one ancestor of the two; were it one side's value, the other's would win without a word."""
    art = clones[0]
    art.git("branch", "side")
    criss_cross(art)
    for branch, other, ours in (("side", "main", "GPL"), ("main", "side", "MIT")):
        art.git("switch", "-q", branch)
        done = art.git("merge", "--no-edit", other, check=False)
        assert (done.code, art.status()) == (1, [f"UU {PATHS[0]}.asset.json"])
        assert done.err.count("both sides changed license") == 1
        assert art.sidecar(PATHS[0])["license"] == ours
        art.git("merge", "--abort")
