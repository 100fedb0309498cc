"""`resolve`: every kind of conflict, settled each way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import media, templates
from tests.gitrepo import GitRepo
from tests.oracle import check_all, check_commits, check_views, digest, linked_hash

HERO, MIRA, HEROINE = (f"assets/characters/{name}.png" for name in ("hero", "mira", "heroine"))
DEEP = "assets/characters/a/deep.png"
VARIANT = "assets/characters/{}.variant-{}.png"


def make_art(repo: GitRepo) -> None:
    paint(repo, HERO, 1)
    repo.commit("art")
    repo.git("tag", "base")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return templates.copied(tmp_path_factory, make_art, tmp_path / "repo")


def paint(repo: GitRepo, path: str, seed: int) -> None:
    repo.write(path, media.comfy_png(seed))
    repo.git("add", "--", path)


def move(repo: GitRepo, old: str, new: str) -> None:
    (repo.path / new).parent.mkdir(parents=True, exist_ok=True)
    repo.git("mv", old, new)


def part(repo: GitRepo, theirs: Callable[[GitRepo], object], ours: Callable[[GitRepo], object]) -> None:
    """Commits `theirs` on the branch `side` and `ours` on main, both from where HEAD is."""
    repo.git("branch", "-f", "side")
    for branch, change in (("side", theirs), ("main", ours)):
        repo.git("switch", "-q", branch)
        change(repo)
        repo.commit(f"on {branch}", "-a")


def merge(repo: GitRepo, *words: str) -> None:
    assert repo.git("merge", *(words or ("side",)), check=False).code == 1


def settle(repo: GitRepo, path: str, choice: str, **env: Any) -> Any:
    return repo.tool("resolve", path, f"--{choice}", "--json", **env).json()


def seeds(repo: GitRepo) -> dict[str, int]:
    """The seed of each asset in HEAD, told by its sidecar there, whose hash is that of the link."""
    found = {}
    for path in repo.git("ls-tree", "-r", "--name-only", "HEAD", "assets").out.splitlines():
        if path.endswith(".png"):
            card = json.loads(repo.blob(f"HEAD:{path}.asset.json"))
            assert card["hash"] == linked_hash(repo.blob(f"HEAD:{path}").decode()), path
            assert card["path"] == path.removeprefix("assets/")
            found[path] = card["provenance"]["inputs"]["seed"]
    return found


class Kind(NamedTuple):
    """What their side and ours do, what git calls a conflict then, and what each choice leaves (path → seed)."""

    theirs: Callable[[GitRepo], object]
    ours: Callable[[GitRepo], object]
    kind: str
    path: str
    left: dict[str, dict[str, int]]


def tag(repo: GitRepo) -> None:
    repo.tool("annotate", HERO, "--tag", "theirs")


def remove(repo: GitRepo) -> None:
    repo.git("rm", "-q", HERO)


def painted(path: str, seed: int) -> Callable[[GitRepo], None]:
    return lambda repo: paint(repo, path, seed)


def moved(new: str, seed: int | None = None) -> Callable[[GitRepo], None]:
    def change(repo: GitRepo) -> None:
        move(repo, HERO, new)
        if seed is not None:
            paint(repo, new, seed)

    return change


KINDS = {
    "both changed": Kind(
        painted(HERO, 2),
        painted(HERO, 3),
        "both-changed",
        HERO,
        {"ours": {HERO: 3}, "theirs": {HERO: 2}, "both": {HERO: 3, VARIANT.format("hero", "02675487"): 2}},
    ),
    "both added": Kind(
        painted(MIRA, 2),
        painted(MIRA, 3),
        "both-added",
        MIRA,
        {
            "ours": {HERO: 1, MIRA: 3},
            "theirs": {HERO: 1, MIRA: 2},
            "both": {HERO: 1, MIRA: 3, VARIANT.format("mira", "02675487"): 2},
        },
    ),
    "deleted by them": Kind(
        remove, painted(HERO, 3), "deleted-by-theirs", HERO, {"ours": {HERO: 3}, "theirs": {}, "both": {HERO: 3}}
    ),
    "deleted by us, tagged by them": Kind(tag, remove, "deleted-by-ours", HERO, {"ours": {}, "theirs": {HERO: 1}}),
    "renamed by them, deleted by us": Kind(
        moved(HEROINE), remove, "deleted-by-ours", HEROINE, {"ours": {}, "theirs": {HEROINE: 1}}
    ),
    "both renamed": Kind(
        moved(HEROINE),
        moved(MIRA),
        "both-renamed",
        MIRA,
        {"ours": {MIRA: 1}, "theirs": {HEROINE: 1}, "both": {MIRA: 1, HEROINE: 1}},
    ),
    "both renamed, to other depths": Kind(
        moved(DEEP),
        moved(MIRA),
        "both-renamed",
        HERO,
        {"ours": {MIRA: 1}, "theirs": {DEEP: 1}, "both": {MIRA: 1, DEEP: 1}},
    ),
    "renamed and changed by them, changed by us": Kind(
        moved(HEROINE, 2),
        painted(HERO, 3),
        "both-changed",
        HEROINE,
        {"ours": {HEROINE: 3}, "theirs": {HEROINE: 2}, "both": {HEROINE: 3, VARIANT.format("heroine", "02675487"): 2}},
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_conflict_is_settled_as_the_words_say(art: GitRepo, name: str) -> None:
    case = KINDS[name]
    part(art, case.theirs, case.ours)
    start = art.head()
    for choice, left in case.left.items():
        merge(art)
        (found,) = art.tool("conflicts", "--json").json()["conflicts"]
        assert found["kind"] == case.kind
        done = settle(art, case.path, choice)
        assert (done["left"], done["next"]) == ([], "git commit")
        assert art.git("ls-files", "-u").out == ""
        assert not [line for line in art.status() if line[1] != " "], "the work tree is what is staged"
        art.git("commit", "-q", "--no-edit")
        assert (seeds(art), art.status()) == (left, [])
        check_views(art)
        if choice == "theirs":
            check_commits(art)
        art.git("reset", "-q", "--hard", start)


def test_the_rest_is_merged_and_with_both_each_has_its_own(art: GitRepo) -> None:
    def change(seed: int, side: str) -> Callable[[GitRepo], None]:
        def work(repo: GitRepo) -> None:
            paint(repo, HERO, seed)
            repo.commit("painted")
            notes = ["--tag", side, "--license", side, "--meta", f"{side}=1", "--meta", f"both={side}"]
            repo.tool("annotate", HERO, *notes)

        return work

    part(art, change(2, "theirs"), change(3, "ours"))
    start = art.head()
    for choice in ("ours", "theirs"):
        merge(art)
        settle(art, HERO, choice)
        found = art.sidecar(HERO)
        assert (found["tags"], found["license"]) == (["ours", "theirs"], choice)
        assert found["meta"] == {"both": choice, "ours": 1, "theirs": 1}
        art.git("reset", "-q", "--hard", start)
    merge(art)
    _, other = settle(art, HERO, "both")["resolved"][0]["views"]
    cards = {"ours": art.sidecar(HERO), "theirs": art.sidecar(other)}
    for side, card in cards.items():
        assert (card["tags"], card["license"], card["meta"]) == ([side], side, {"both": side, side: 1})
    assert cards["ours"]["provenance"]["id"] != cards["theirs"]["provenance"]["id"]
    assert cards["theirs"]["provenance"]["id"] == json.loads(art.blob(f"side:{HERO}.asset.json"))["provenance"]["id"]


def test_a_licence_in_conflict_is_decided_and_bytes_that_one_side_changed_stay(art: GitRepo) -> None:
    part(
        art,
        lambda repo: (paint(repo, HERO, 2), repo.commit("painted"), repo.tool("annotate", HERO, "--license", "MIT")),
        lambda repo: repo.tool("annotate", HERO, "--license", "GPL", "--tag", "x"),
    )
    start = art.head()
    for choice, license_ in (("ours", "GPL"), ("theirs", "MIT")):
        merge(art)
        refused = art.tool("resolve", HERO, "--both", check=False)
        assert (refused.code, "do not have two versions" in refused.err) == (20, True)
        settle(art, f"{HERO}.asset.json", choice)
        art.git("commit", "-q", "--no-edit")
        assert (art.sidecar(HERO)["license"], art.sidecar(HERO)["tags"], seeds(art)) == (license_, ["x"], {HERO: 2})
        check_all(art)
        art.git("reset", "-q", "--hard", start)


def test_paths_are_named_as_git_does_and_others_are_refused(art: GitRepo) -> None:
    paint(art, MIRA, 5)
    art.commit("mira")
    part(
        art,
        lambda repo: (paint(repo, HERO, 2), paint(repo, MIRA, 6)),
        lambda repo: (paint(repo, HERO, 3), paint(repo, MIRA, 7)),
    )
    merge(art)
    before = art.git("ls-files", "-s").out
    for words, said in (
        (["assets/characters/nobody.png", "--ours"], "is not in conflict"),
        ([HERO, "assets/.gitattributes", "--ours"], "'assets/.gitattributes' is not in conflict"),
        ([HERO], "which side?"),
    ):
        refused = art.tool("resolve", *words, check=False)
        assert (refused.code, said in refused.err) == (2, True)
    assert art.git("ls-files", "-s").out == before
    assert settle(art, "hero.png", "ours", cwd="assets/characters")["left"] == [MIRA, f"{MIRA}.asset.json"]
    assert settle(art, ".", "theirs", cwd="assets")["left"] == []
    art.git("commit", "-q", "--no-edit")
    assert seeds(art) == {HERO: 3, MIRA: 6}


def test_files_that_a_commit_without_hooks_left_are_settled_into_links(art: GitRepo) -> None:
    attributes = art.read("assets/.gitattributes").replace(b" merge=binary", b"")
    art.write("assets/.gitattributes", attributes)  # as they were once
    art.commit("attributes", "-a")
    art.git("branch", "side")
    for branch, seed in (("side", 2), ("main", 3)):
        art.git("switch", "-q", branch)
        art.write(HERO, media.comfy_png(seed))
        art.git("commit", "-qnam", branch)
    merge(art)
    assert art.read(HERO).startswith(b"<<<<<<< HEAD\n"), "git merges links that are ordinary files as text"
    art.git("add", HERO)
    refused = art.git("commit", "-q", "--no-edit", check=False)
    assert (refused.code, "holds git's conflict markers and no art" in refused.err) == (1, True)
    art.git("checkout", "-m", "--", HERO)
    assert settle(art, HERO, "both")["resolved"][0]["kept"] == []
    art.git("commit", "-q", "--no-edit")
    assert seeds(art) == {HERO: 3, VARIANT.format("hero", "02675487"): 2}
    check_all(art)


def test_views_that_are_copies_stay_ordinary_files(art: GitRepo) -> None:
    art.git("config", "comfyvn.views", "copy")
    art.git("branch", "side")
    for branch, seed in (("side", 2), ("main", 3)):
        art.git("switch", "-q", branch)
        art.write(HERO, media.comfy_png(seed))
        art.git("commit", "-qnam", branch)
    merge(art)
    first, other = settle(art, HERO, "both")["resolved"][0]["views"]
    for path, seed in ((first, 3), (other, 2)):
        mode, oid = art.staged(path) or ("", "")
        assert (mode, digest(art.read(path))) == ("100644", linked_hash(art.blob(oid).decode()))
        assert art.sidecar(path)["provenance"]["inputs"]["seed"] == seed
    assert not [line for line in art.status() if line[1] != " "]


def test_links_that_git_settled_take_their_sidecar_along(art: GitRepo) -> None:
    part(art, painted(HERO, 2), painted(HERO, 3))
    for choice, seed in (("theirs", 2), ("ours", 3)):
        merge(art, "-X", choice, "side")
        assert art.tool("conflicts", "--json").json()["conflicts"][0]["settled"] == choice
        settle(art, HERO, choice)
        art.git("commit", "-q", "--no-edit")
        assert seeds(art) == {HERO: seed}
        check_all(art)
        art.git("reset", "-q", "--hard", "HEAD^")
