"""Names that files may have: all that git can track and a sidecar can stand beside works, the rest is refused."""

import os
from pathlib import Path

import pytest

from tests import life, media, oracle
from tests.gitrepo import GitRepo

LONGEST = "n" * 240 + ".png"  # 244 bytes: with `.asset.json` it has 255, the most that file systems allow
ODD = [
    LONGEST,
    "two\nlines.png",
    "tab\t.png",
    'quo"te.png',
    "it's.png",
    "*?[x].png",
    "-rf.png",
    "--help.png",
    ":(top)x.png",
    " a b .png",
    "back\\slash.png",
    "%41.png",
    "$HOME.png",
    "é.png",
    "e\u0301.png",
    "#h.png",
    "!b.png",
    "noext",
    "\u202e.png",
    "@{u}.png",
    "HEAD",
]
FOLDER = "assets/-dir *[é]"


def _path(name: str) -> str:
    return f"{FOLDER}/{name}"


def test_odd_names_live_like_any_other(store_repo: GitRepo, tmp_path: Path) -> None:
    for number, name in enumerate(ODD):
        store_repo.write(_path(name), media.png(seed=number))
    store_repo.git("add", "-A")
    commit = store_repo.commit("odd")
    oracle.check_all(store_repo)
    assert sorted(life.commits(store_repo).items()) == sorted((_path(name), commit) for name in ODD)
    recorded = store_repo.tool("provenance", "--commit", commit, "--json").json()
    assert sorted(each["path"] for each in recorded) == sorted(_path(name).removeprefix("assets/") for name in ODD)
    store_repo.tool("annotate", "--tag", "odd", "--", *map(_path, ODD))
    shown = store_repo.tool("show", "--json", "--", _path("*?[x].png")).json()
    assert (shown["view"], shown["tags"]) == (_path("*?[x].png"), ["odd"])
    assert store_repo.tool("show", "--json", "--", "-rf.png", cwd=FOLDER).json()["view"] == _path("-rf.png")
    store_repo.commit("tags")
    store_repo.git("config", "core.quotePath", "false")
    for name in ODD[1::2]:
        store_repo.git("mv", "--", _path(name), f"assets/moved {name}" if len(name) < 200 else f"assets/{name}")
    store_repo.commit("move")
    oracle.check_all(store_repo)
    store_repo.git("switch", "--quiet", "--detach", "HEAD~2")
    oracle.check_all(store_repo)
    store_repo.git("switch", "--quiet", "main")
    store_repo.git("rm", "--quiet", "--", f":(literal){_path('*?[x].png')}", f":(literal){_path(LONGEST)}", check=False)
    store_repo.commit("remove", "--allow-empty")
    oracle.check_all(store_repo)
    oracle.check_index(store_repo, tmp_path)


def test_names_that_leave_no_room_or_are_not_utf8_are_refused(store_repo: GitRepo, tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(media.png())
    assert store_repo.tool("register", str(source), "--type", "a", "--name", LONGEST).code == 0
    too_long = "n" * 241 + ".png"
    refused = store_repo.tool("register", str(source), "--type", "a", "--name", too_long, check=False)
    assert (refused.code, "its name has 245 bytes" in refused.err) == (20, True)
    for name, reason in ((too_long, "its name has 245 bytes"), (os.fsdecode(b"l\xe4.png"), "its name is not UTF-8")):
        place = store_repo.write(f"assets/a/{name}", media.png())
        added = store_repo.git("add", "assets", check=False)
        assert (added.code, reason in added.err) == (128, True)
        place.unlink()
    store_repo.commit("the longest")
    oracle.check_all(store_repo)


def test_names_that_differ_only_in_case_are_two_assets(store_repo: GitRepo, tmp_path: Path) -> None:
    store_repo.write("assets/a/Hero.png", media.png(seed=1))
    store_repo.write("assets/a/hero.png", media.png(seed=2))
    store_repo.git("add", "-A")
    store_repo.commit("two")
    oracle.check_all(store_repo)
    mirrors = sorted(path.name for path in (store_repo.path / "assets/_meta/a").iterdir())
    assert mirrors == ["Hero.json", "hero.json"]
    store_repo.git("mv", "assets/a/Hero.png", "assets/a/HERO.png")
    store_repo.commit("case")
    oracle.check_all(store_repo)
    oracle.check_index(store_repo, tmp_path)
    mirrors = sorted(path.name for path in (store_repo.path / "assets/_meta/a").iterdir())
    assert mirrors == ["HERO.json", "hero.json"]


def test_where_git_ignores_case_it_takes_one_of_them(store_repo: GitRepo) -> None:
    store_repo.git("config", "core.ignorecase", "true")
    store_repo.write("assets/a/Hero.png", media.png(seed=1))
    other = store_repo.write("assets/a/hero.png", media.png(seed=2))
    refused = store_repo.git("add", "-A", check=False)
    assert (refused.code, "will not add file alias 'assets/a/hero.png'" in refused.err) == (128, True)
    other.rename(other.with_name("heroine.png"))
    store_repo.git("add", "-A")
    store_repo.commit("two")
    store_repo.git("mv", "assets/a/Hero.png", "assets/a/HERO.png")
    store_repo.commit("case")
    assert sorted(life.commits(store_repo)) == ["assets/a/HERO.png", "assets/a/heroine.png"]
    oracle.check_all(store_repo)


@pytest.mark.parametrize("form", ["é", "e\u0301"])
def test_both_unicode_forms_are_kept_as_typed(store_repo: GitRepo, form: str) -> None:
    """Also where git is told to compose names, which only macOS's file system makes it do."""
    store_repo.git("config", "core.precomposeUnicode", "true")
    store_repo.write(f"assets/a/{form}.png", media.png(seed=1))
    store_repo.git("add", "-A")
    commit = store_repo.commit("one")
    assert life.commits(store_repo) == {f"assets/a/{form}.png": commit}
    oracle.check_all(store_repo)
