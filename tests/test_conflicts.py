"""`conflicts`: the pair, what differs, who is who in each of git's operations, and the way on from there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import media, templates
from tests.gitrepo import GitRepo
from tests.oracle import check_all, digest
from tests.test_resolve import HERO, MIRA, VARIANT, make_art, paint, part, seeds, settle


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return templates.copied(tmp_path_factory, make_art, tmp_path / "repo")


def conflicts(repo: GitRepo, **where: Any) -> Any:
    return repo.tool("conflicts", "--json", **where).json()


def repainted(repo: GitRepo) -> None:
    """`side` has the picture with seed 2, main with seed 3."""
    part(repo, lambda each: paint(each, HERO, 2), lambda each: paint(each, HERO, 3))


def test_both_versions_stand_side_by_side(art: GitRepo) -> None:
    repainted(art)
    art.git("switch", "-q", "side")
    art.tool("annotate", HERO, "--license", "MIT", "--meta", "scene.mood=calm")
    art.commit("notes")
    art.git("switch", "-q", "main")
    art.git("merge", "side", check=False)
    found = conflicts(art)
    (item,) = found["conflicts"]
    assert (found["operation"], found["ours"]["words"], found["theirs"]["words"]) == ("merge", "main", "side")
    assert (item["kind"], item["view"], item["settled"], found["others"]) == ("both-changed", HERO, None, [])
    for side, rev in (("ours", "main"), ("theirs", "side")):
        record = art.tool("show", f"{rev}:{HERO}", "--json").json()
        for key in ("hash", "uid", "bytes", "media", "tags", "license", "meta", "view", "present"):
            assert item[side][key] == record[key], key
        assert item[side]["provenance"]["id"] == record["provenance"]["id"]
        assert (item[side]["commit"], item[side]["branch"]) == (art.git("rev-parse", rev).out, rev)
        assert item[side]["author"] == "Test Artist"
    differs = {each["field"]: each for each in item["differs"]}
    assert {"hash", "provenance.inputs.seed", "license", "meta.scene.mood"} <= differs.keys()
    assert not differs.keys() & {"provenance.inputs.model", "media.mime", "tags", "type"}
    assert differs["provenance.inputs.seed"] == {
        "field": "provenance.inputs.seed",
        "base": 1,
        "ours": 3,
        "theirs": 2,
        "conflict": True,
    }
    assert (differs["license"]["theirs"], differs["license"]["conflict"]) == ("MIT", False)
    said = art.tool("conflicts", cwd="assets").out.splitlines()
    assert said[0] == "merge: ours (main), theirs (side)"
    assert said[2] == f"{HERO}  both sides changed the file"
    rows = {words[0]: words[1:] for words in map(str.split, said[4:])}
    assert (rows["seed"], rows["license"], rows["sampler"]) == (["3", "2"], ["-", "MIT"], ["dpmpp_2m", "dpmpp_2m"])
    assert rows["meta.scene.mood"] == ["-", "calm"]
    assert said[-1] == "  comfyvn-store resolve characters/hero.png --both"
    assert "comfyvn-store conflicts" in art.tool("status").out
    assert art.git("ls-files", "-u").out.count("\n") == 5, "nothing was settled by looking"


def test_a_field_in_conflict_is_named_and_the_rest_is_not(art: GitRepo) -> None:
    part(
        art,
        lambda repo: repo.tool("annotate", HERO, "--license", "MIT", "--meta", 'scene={"mood": "sad", "a": 1}'),
        lambda repo: repo.tool("annotate", HERO, "--license", "MIT", "--meta", 'scene={"mood": "glad"}', "--tag", "x"),
    )
    art.git("merge", "side", check=False)
    (item,) = conflicts(art)["conflicts"]
    assert item["kind"] == "both-annotated"
    assert {each["field"]: each["conflict"] for each in item["differs"]} == {
        "tags": False,
        "meta.scene.mood": True,
        "meta.scene.a": False,
    }
    said = art.tool("conflicts").out
    assert "in conflict: meta.scene.mood\n" in said
    assert "--both" not in said


def test_a_side_whose_bytes_are_not_here_is_told_and_unknown_is_null(art: GitRepo) -> None:
    art.git("branch", "side")
    for branch, data in (("side", b"unknown kind"), ("main", media.png(seed=5))):
        art.git("switch", "-q", branch)
        art.write(HERO, data)
        art.git("commit", "-qnam", branch)
    art.git("merge", "side", check=False)
    art.object_path(digest(b"unknown kind")).unlink()
    (item,) = conflicts(art)["conflicts"]
    assert (item["ours"]["present"], item["ours"]["media"]["width"]) == (True, 8)
    assert (item["theirs"]["present"], item["theirs"]["bytes"], item["theirs"]["media"]) == (False, None, {})
    assert item["theirs"]["provenance"]["id"] is None
    assert "not in the store" in art.tool("conflicts").out
    settle(art, HERO, "theirs")
    art.git("commit", "-q", "--no-edit")
    assert art.link(HERO).endswith(digest(b"unknown kind")[2:])


def test_nothing_in_conflict_is_said_so_and_other_files_are_counted(art: GitRepo) -> None:
    assert art.tool("conflicts").out == "nothing is in conflict"
    assert conflicts(art)["conflicts"] == []
    part(
        art,
        lambda r: (r.write("story.txt", "a"), r.git("add", ".")),
        lambda r: (r.write("story.txt", "b"), r.git("add", ".")),
    )
    art.git("merge", "side", check=False)
    assert art.tool("conflicts").out.splitlines()[-1] == "no art is in conflict"
    refused = art.tool("resolve", "story.txt", "--ours", check=False)
    assert refused.code == 2


def rebase(repo: GitRepo) -> None:
    repo.git("switch", "-q", "side")
    repo.git("rebase", "main", check=False)


def rebase_by_patches(repo: GitRepo) -> None:
    repo.git("switch", "-q", "side")
    repo.git("rebase", "--apply", "main", check=False)


def cherry_pick(repo: GitRepo) -> None:
    repo.git("cherry-pick", "side~1", "side", check=False)


def revert(repo: GitRepo) -> None:
    repo.git("switch", "-q", "side")
    paint(repo, HERO, 3)
    repo.commit("again")
    repo.git("revert", "--no-edit", "HEAD~2", check=False)


def stash(repo: GitRepo) -> None:
    repo.git("reset", "-q", "--hard", "HEAD^")
    repo.write(HERO, media.comfy_png(2))
    repo.git("stash", "-q")
    paint(repo, HERO, 3)
    repo.commit("main")
    repo.git("stash", "pop", check=False)


def am(repo: GitRepo) -> None:
    patch = repo.git("format-patch", "-1", "side~1", "--stdout", "--full-index", "--binary").stdout
    repo.git("am", "-3", input=patch, check=False)


def squash(repo: GitRepo) -> None:
    repo.git("merge", "--squash", "side", check=False)


@pytest.mark.parametrize(
    ("start", "verb", "ours", "theirs", "seeds_of", "proceed"),
    [
        (rebase, "rebase", "main", "side: {h} on side", (3, 2), "git rebase --continue"),
        (rebase_by_patches, "rebase", "main", "side: {h} on side", (3, 2), "git rebase --continue"),
        (cherry_pick, "cherry-pick", "main", "{h} on side", (3, 2), "git cherry-pick --continue"),
        (revert, "revert", "side", "as before {h} on side", (3, 1), "git revert --continue"),
        (stash, "stash", "main", "stash@{{0}}: WIP on main: {b} art", (3, 2), "git stash drop 'stash@{0}'"),
        (am, "am", "main", "the patch 'on side'", (3, 2), "git am --continue"),
        (squash, "merge", "main", "side", (3, 2), "git commit"),
    ],
)
def test_who_is_who_and_the_way_on(
    art: GitRepo,
    start: Callable[[GitRepo], None],
    verb: str,
    ours: str,
    theirs: str,
    seeds_of: tuple[int, int],
    proceed: str,
) -> None:
    repainted(art)
    art.git("switch", "-q", "side")
    paint(art, MIRA, 9)
    art.commit("more")
    art.git("switch", "-q", "main")
    short = art.git("rev-parse", "--short", "side~1").out
    start(art)
    found = conflicts(art)
    words = theirs.format(h=short, b=art.git("rev-parse", "--short", "base").out)
    assert (found["operation"], found["ours"]["words"], found["theirs"]["words"]) == (verb, ours, words)
    (item,) = found["conflicts"]
    assert [item[side]["provenance"]["inputs"]["seed"] for side in ("ours", "theirs")] == list(seeds_of)
    done = settle(art, HERO, "theirs")
    assert (done["left"], done["next"]) == ([], proceed)
    assert not [line for line in art.status() if line[1] != " "]
    words_on = proceed.split(" ")[1:] if verb != "stash" else ["commit", "-m", "the stash"]
    art.git(*words_on, "--no-edit") if words_on == ["commit"] else art.git(*words_on)
    assert seeds(art)[HERO] == seeds_of[1]
    check_all(art)


def test_both_versions_survive_a_rebase_with_more_commits_to_come(art: GitRepo) -> None:
    repainted(art)
    art.git("switch", "-q", "side")
    art.tool("annotate", HERO, "--tag", "late")
    art.commit("tags")
    art.git("rebase", "main", check=False)
    other = settle(art, HERO, "both")["resolved"][0]["views"][1]
    assert other == VARIANT.format("hero", "02675487")
    done = art.git("rebase", "--continue", check=False)
    if done.code:  # the tag was said of the picture that lies beside now: git cannot know
        assert conflicts(art)["theirs"]["words"].endswith(" tags")
        settle(art, HERO, "theirs")
        art.git("rebase", "--continue")
    assert art.sidecar(HERO)["tags"] == ["late"]
    check_all(art)


def test_what_is_no_art_or_no_sidecar_is_left_to_its_owner_or_taken_whole(art: GitRepo) -> None:
    def theirs(repo: GitRepo) -> None:
        repo.write("assets/notes.asset.json", "theirs\n")
        paint(repo, MIRA, 2)
        repo.git("add", ".")

    def ours(repo: GitRepo) -> None:
        repo.write("assets/notes.asset.json", "ours\n")
        (repo.path / MIRA).symlink_to("/etc/hosts")
        repo.git("add", ".")

    part(art, theirs, ours)
    art.git("merge", "side", check=False)
    found = {item["view"]: item for item in conflicts(art)["conflicts"]}
    assert sorted(found) == [MIRA, "assets/notes.asset.json"]
    assert found[MIRA]["next"] == [f"git checkout --ours {MIRA}", f"git checkout --theirs {MIRA}", f"git add {MIRA}"]
    refused = art.tool("resolve", MIRA, "--theirs", check=False)
    assert (refused.code, "is a link of yours" in refused.err, art.link(MIRA)) == (20, True, "/etc/hosts")
    assert settle(art, "assets/notes.asset.json", "theirs")["resolved"][0]["views"] == ["assets/notes.asset.json"]
    assert art.blob(":assets/notes.asset.json") == art.read("assets/notes.asset.json") == b"theirs\n"


def test_a_side_whose_sidecar_is_broken_is_read_from_its_bytes(art: GitRepo) -> None:
    def theirs(repo: GitRepo) -> None:
        paint(repo, HERO, 2)
        repo.commit("painted")
        repo.write(f"{HERO}.asset.json", "broken\n")

    part(art, theirs, lambda repo: (paint(repo, HERO, 3), repo.commit("x"), repo.tool("annotate", HERO, "--tag", "x")))
    art.git("merge", "side", check=False)
    (item,) = conflicts(art)["conflicts"]
    assert (item["kind"], item["theirs"]["has_sidecar"]) == ("both-changed", False)
    assert item["theirs"]["provenance"]["inputs"]["seed"] == 2
    settle(art, HERO, "theirs")
    art.git("commit", "-q", "--no-edit")
    assert (seeds(art), art.sidecar(HERO)["tags"]) == ({HERO: 2}, ["x"])
    check_all(art)


@pytest.mark.parametrize("deleter", ["main", "side"])
def test_adding_the_sidecar_of_a_deleted_asset_does_not_leave_it_alone(art: GitRepo, deleter: str) -> None:
    def tag(repo: GitRepo) -> None:
        repo.tool("annotate", HERO, "--tag", "x")

    def remove(repo: GitRepo) -> None:
        repo.git("rm", "-q", HERO)

    part(art, *((tag, remove) if deleter == "main" else (remove, tag)))
    art.git("merge", "side", check=False)
    art.git("add", "assets")
    art.git("commit", "-q", "--no-edit")
    assert art.git("ls-tree", "-r", "--name-only", "HEAD").out == "assets/.gitattributes"
    check_all(art)
