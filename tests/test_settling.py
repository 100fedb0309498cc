"""Settling a conflict in the work tree: what the user has there is not lost, names are free, cut short is not half done."""

import os
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.errors import LockTimeout, Refused
from comfyvn_store.ops import resolve
from comfyvn_store.ops.resolve import variant_path
from comfyvn_store.ops.session import open_session
from comfyvn_store.ops.settling import Settling
from comfyvn_store.vcs import staging
from tests import media, templates
from tests.gitrepo import GitRepo
from tests.oracle import check_all, digest
from tests.test_resolve import HERO, VARIANT, make_art, merge, paint, painted, part, remove, seeds, settle


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return templates.copied(tmp_path_factory, make_art, tmp_path / "repo")


def test_what_only_the_work_tree_has_is_durable_before_it_is_replaced(art: GitRepo) -> None:
    part(art, painted(HERO, 2), painted(HERO, 3))
    merge(art)
    edit = media.png(seed=77)
    art.write(HERO, edit)
    text = art.read(f"{HERO}.asset.json").replace(b'"tags": []', b'"tags": ["by hand"]')
    art.write(f"{HERO}.asset.json", text)
    done = settle(art, HERO, "theirs")
    kept = {each["path"]: each for each in done["resolved"][0]["kept"]}
    assert {path: each["hash"] for path, each in kept.items()} == {
        HERO: digest(edit),
        f"{HERO}.asset.json": digest(text),
    }
    assert [Path(each["object"]).read_bytes() for each in kept.values()] == [edit, text]
    assert art.sidecar(HERO)["tags"] == []
    # A deletion asked for takes an edit as little with it.
    art.git("reset", "-q", "--hard", "base")
    part(art, remove, painted(HERO, 3))
    merge(art)
    art.write(HERO, edit)
    said = art.tool("resolve", HERO, "--theirs")
    assert not os.path.lexists(art.path / HERO)
    assert f"{HERO} was neither side's; its bytes are kept in {art.object_path(digest(edit))}" in said.err


def test_an_edit_that_is_saved_meanwhile_stays_and_so_does_the_conflict(
    art: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(art, painted(HERO, 2), painted(HERO, 3))
    merge(art)
    art.write(HERO, media.png(seed=77))
    monkeypatch.chdir(art.path)
    look = Settling._known_texts

    def save_once_more(self: Settling, item: Any) -> set[bytes]:
        monkeypatch.setattr(Settling, "_put", lambda *words: (art.write(HERO, b"newer"), put(*words)))
        return look(self, item)

    put = Settling._put
    monkeypatch.setattr(Settling, "_known_texts", save_once_more)
    with open_session() as session, pytest.raises(Refused, match="changed meanwhile"):
        resolve.resolve(session, [HERO], "theirs")
    assert art.read(HERO) == b"newer"
    assert art.git("ls-files", "-u").out.count("\n") == 5


def test_the_other_version_gets_a_free_name_that_is_not_too_long(art: GitRepo) -> None:
    hash_ = "0123456789abcdef" * 4
    assert variant_path("assets/x/hero.png", hash_) == "assets/x/hero.variant-01234567.png"
    assert variant_path("assets/hero", hash_, 2) == "assets/hero.variant-01234567-2"
    long = variant_path("assets/x/" + "é" * 120 + ".png", hash_)
    assert len(long.rsplit("/", 1)[1].encode()) in (243, 244) and long.endswith("é.variant-01234567.png")
    assert len(variant_path("a/b." + "c" * 240, hash_).rsplit("/", 1)[1]) == 244
    paint(art, VARIANT.format("HERO", "02675487"), 9)
    art.commit("taken, but for the case")
    part(art, painted(HERO, 2), painted(HERO, 3))
    merge(art)
    assert settle(art, HERO, "both")["resolved"][0]["views"] == [HERO, VARIANT.format("hero", "02675487-2")]


def test_one_that_was_cut_short_leaves_the_conflict_and_the_next_does_the_rest(
    art: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(art, painted(HERO, 2), painted(HERO, 3))
    merge(art)
    monkeypatch.chdir(art.path)
    monkeypatch.setattr(staging, "PATIENCE", 0.2)
    lock = art.path / ".git/index.lock"
    lock.touch()
    with open_session() as session, pytest.raises(LockTimeout):
        resolve.resolve(session, [HERO], "both")
    lock.unlink()
    assert art.git("ls-files", "-u").out.count("\n") == 5
    assert settle(art, HERO, "both")["resolved"][0] == {
        "view": HERO,
        "choice": "both",
        "views": [HERO, VARIANT.format("hero", "02675487")],
        "removed": [],
        "kept": [],
    }
    art.git("commit", "-q", "--no-edit")
    assert seeds(art) == {HERO: 3, VARIANT.format("hero", "02675487"): 2}
    check_all(art)


def test_hooks_are_not_needed_and_a_settled_conflict_can_be_brought_back(art: GitRepo, tmp_path: Path) -> None:
    part(art, painted(HERO, 2), painted(HERO, 3))
    art.git("config", "core.hooksPath", str(tmp_path / "none"))
    art.git("switch", "-q", "side")
    art.git("rebase", "main", check=False)
    settle(art, HERO, "theirs")
    art.git("checkout", "-m", "--", HERO, f"{HERO}.asset.json")
    assert len(art.status()) == 2, "the conflict is back"
    settle(art, HERO, "both")
    art.git("rebase", "--continue")
    assert seeds(art) == {HERO: 3, VARIANT.format("hero", "02675487"): 2}
    check_all(art)
