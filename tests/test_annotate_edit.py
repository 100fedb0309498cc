"""`annotate` changes what people say of an asset and nothing else; `edit` gives a writable file and loses nothing."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.gitrepo import GitRepo
from tests.media import comfy_png, png, wav
from tests.templates import copied

A, B = "assets/characters/a.png", "assets/characters/b.png"


def make_art(repo: GitRepo) -> None:
    """Two committed pictures."""
    repo.write(A, comfy_png(1))
    repo.write(B, comfy_png(2))
    repo.git("add", "assets")
    repo.commit("art")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    """A copy of the repository of `make_art`, without a preview worker."""
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    return copied(tmp_path_factory, make_art, tmp_path / "repo")


def annotate(repo: GitRepo, *words: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = repo.tool("annotate", "--json", *words, **options).json()
    return found


# -- annotate ------------------------------------------------------------------------------------------------------


def test_notes_are_set_and_staged_and_provenance_is_not_touched(art: GitRepo) -> None:
    before = art.sidecar(A)
    words = ("--tag", "hero", "--tag", "smile", "--license", "CC-BY-4.0", "--meta", "scene=3", "--meta", "mood=calm")
    (record,) = annotate(art, A, *words)
    after = art.sidecar(A)
    assert after["tags"] == record["tags"] == ["hero", "smile"]
    assert after["license"] == record["license"] == "CC-BY-4.0"
    assert after["meta"] == record["meta"] == {"mood": "calm", "scene": 3}
    changed = {"tags", "license", "meta"}
    assert {k: v for k, v in after.items() if k not in changed} == {k: v for k, v in before.items() if k not in changed}
    assert art.status() == [f"M  {A}.asset.json"]
    commit = art.head()
    art.commit("tags")
    assert art.status() == []
    assert art.sidecar(A)["provenance"]["commit"] == commit, "the record is the one of the first commit"


def test_notes_are_taken_away(art: GitRepo) -> None:
    annotate(art, A, "--tag", "a", "--tag", "b", "--license", "MIT", "--meta", "x=1", "--meta", "y=2")
    (record,) = annotate(art, A, "--untag", "a", "--untag", "never", "--license", "", "--meta", "x=")
    assert (record["tags"], record["license"], record["meta"]) == (["b"], None, {"y": 2})


def test_the_same_notes_again_change_nothing(art: GitRepo) -> None:
    annotate(art, A, "--tag", "hero")
    art.git("update-index", "--refresh")
    card, index = art.path / f"{A}.asset.json", art.path / ".git" / "index"
    before = (card.stat().st_mtime_ns, card.stat().st_ino, index.read_bytes())
    annotate(art, A, "--tag", "hero", "--untag", "other")
    assert (card.stat().st_mtime_ns, card.stat().st_ino) == before[:2]
    staged = art.staged(f"{A}.asset.json")
    annotate(art, A, "--tag", "hero")
    assert art.staged(f"{A}.asset.json") == staged and art.status() == [f"M  {A}.asset.json"]


def test_without_staging_only_the_file_changes_and_the_answer_says_so(art: GitRepo) -> None:
    index = (art.path / ".git" / "index").read_bytes()
    (record,) = annotate(art, A, "--tag", "hero", "--no-stage")
    assert record["tags"] == ["hero"] == art.sidecar(A)["tags"]
    assert (art.path / ".git" / "index").read_bytes() == index
    assert art.status() == [f" M {A}.asset.json"]
    assert art.tool("status", "--json").json()["edited"] == [f"{A}.asset.json"]
    assert art.tool("show", A, "--json").json()["tags"] == [], "unstaged edits appear only in status"


def test_what_git_does_not_look_at_is_looked_at_here(art: GitRepo) -> None:
    (art.path / B).unlink()
    (art.path / B).symlink_to("elsewhere")
    assert art.tool("status", "--json").json()["edited"] == [B]
    art.git("update-index", "--assume-unchanged", B)
    assert art.status() == [] and art.tool("status", "--json").json()["edited"] == [B]


def test_several_assets_by_any_name_are_changed_together(art: GitRepo) -> None:
    uid = art.sidecar(B)["uid"]
    found = annotate(art, "a.png", uid, "--tag", "hero", cwd="assets/characters")
    assert [each["view"] for each in found] == [A, B]
    assert art.tool("status", "--json").json()["staged"] == [f"{A}.asset.json", f"{B}.asset.json"]


@pytest.mark.parametrize("wrong", ["missing.png", "0000", "../outside.png"])
def test_one_unknown_asset_and_none_is_changed(art: GitRepo, wrong: str) -> None:
    done = art.tool("annotate", A, wrong, "--tag", "x", check=False)
    assert done.code == 2 and art.sidecar(A)["tags"] == [] and art.status() == []


def test_one_broken_sidecar_and_none_is_changed(art: GitRepo) -> None:
    art.write(f"{B}.asset.json", "{ broken")
    done = art.tool("annotate", A, B, "--tag", "x", check=False)
    assert done.code == 20 and B in done.err
    assert art.sidecar(A)["tags"] == [] and art.read(f"{B}.asset.json") == b"{ broken"


def test_one_that_cannot_be_described_and_none_is_changed(art: GitRepo) -> None:
    hash_ = art.sidecar(B)["hash"]
    art.git("rm", "-q", "--cached", f"{B}.asset.json")
    (art.path / f"{B}.asset.json").unlink()
    art.git("commit", "-q", "--no-verify", "-m", "without its sidecar")
    art.write("assets/characters/c.png", b"")
    (art.path / "assets/characters/c.png").unlink()
    (art.path / "assets/characters/c.png").symlink_to(art.link(B))
    art.object_path(hash_).unlink()
    art.git("-c", "filter.comfyvn.process=", "-c", "filter.comfyvn.required=false", "add", "assets/characters/c.png")
    done = art.tool("annotate", A, "assets/characters/c.png", "--tag", "x", check=False)
    assert done.code == 12 and art.sidecar(A)["tags"] == []


def test_nothing_to_change_is_a_usage_error(art: GitRepo) -> None:
    done = art.tool("annotate", A, check=False)
    assert done.code == 2 and "--tag" in done.err
    assert art.tool("annotate", A, "--meta", "no-equals", check=False).code == 2
    assert art.tool("annotate", A, "--tag", os.fsdecode(b"\xe9"), check=False).code == 2


def test_unknown_keys_and_edits_by_hand_survive(art: GitRepo) -> None:
    card = art.sidecar(A)
    card["studio"] = {"b": 1, "a": 2}
    card["provenance"]["render_node"] = "gpu-3"
    card["meta"] = {"note": "by hand"}
    art.write(f"{A}.asset.json", json.dumps(card))
    annotate(art, A, "--tag", "hero")
    after = art.sidecar(A)
    assert after["studio"] == {"a": 2, "b": 1} and after["provenance"]["render_node"] == "gpu-3"
    assert (after["meta"], after["tags"]) == ({"note": "by hand"}, ["hero"])
    art.commit("notes")
    assert art.status() == [] and art.sidecar(A)["studio"] == {"a": 2, "b": 1}


def test_an_asset_without_a_sidecar_gets_a_full_one(art: GitRepo) -> None:
    art.write("assets/voice/v.wav", wav())
    art.git("add", "assets")
    art.git("commit", "-q", "--no-verify", "-m", "no hooks")
    (record,) = annotate(art, "assets/voice/v.wav", "--tag", "line")
    card = art.sidecar("assets/voice/v.wav")
    assert card["provenance"]["source"] == "git" and card["media"]["mime"] == "audio/wav"
    assert card["tags"] == ["line"] == record["tags"]
    art.commit("its sidecar")
    assert art.status() == []


# -- edit ----------------------------------------------------------------------------------------------------------


def test_an_edit_is_a_writable_copy_that_git_add_takes_in(art: GitRepo) -> None:
    old = art.sidecar(A)["hash"]
    data = art.read(A)
    assert art.tool("edit", A, "--json").json() == [{"view": A, "was_link": True}]
    place = art.path / A
    assert not place.is_symlink() and place.read_bytes() == data
    assert stat.S_IMODE(place.stat().st_mode) == 0o644 and place.stat().st_nlink == 1
    with open(place, "r+b") as stream:
        stream.write(comfy_png(9))
        stream.truncate()
    art.git("add", "assets")
    art.commit("painted")
    assert art.status() == [] and place.is_symlink()
    assert art.sidecar(A)["provenance"]["parent"] == old
    assert art.object_path(old).read_bytes() == data


def test_checkout_gives_an_edit_up(art: GitRepo) -> None:
    data = art.read(A)
    art.tool("edit", A)
    with open(art.path / A, "ab") as stream:
        stream.write(b"scribble")
    art.git("checkout", "--", A)
    assert art.status() == [] and art.read(A) == data and (art.path / A).is_symlink()


def test_what_is_a_file_already_stays_as_it_is(art: GitRepo) -> None:
    art.tool("edit", A)
    with open(art.path / A, "ab") as stream:
        stream.write(b"scribble")
    mine = art.read(A)
    assert art.tool("edit", A, B, "--json").json() == [
        {"view": A, "was_link": False},
        {"view": B, "was_link": True},
    ]
    assert art.read(A) == mine


def test_a_missing_object_ends_with_12_and_the_link_stays(art: GitRepo) -> None:
    art.object_path(art.sidecar(A)["hash"]).unlink()
    done = art.tool("edit", A, check=False)
    assert done.code == 12 and done.err.startswith("error: ") and (art.path / A).is_symlink()
    assert not any("tmp" in name for name in os.listdir(art.path / "assets" / "characters"))


def test_a_damaged_object_is_not_handed_out(art: GitRepo) -> None:
    stored = art.object_path(art.sidecar(A)["hash"])
    stored.chmod(0o644)
    stored.write_bytes(b"scribbled over")
    done = art.tool("edit", A, check=False)
    assert done.code == 13 and (art.path / A).is_symlink()


def test_what_is_no_view_is_refused(art: GitRepo) -> None:
    view: Path = art.path / A
    text = os.readlink(view)
    view.unlink()
    view.symlink_to("b.png")
    assert art.tool("edit", A, check=False).code == 20
    view.unlink()
    view.mkdir()
    assert art.tool("edit", A, check=False).code == 20
    view.rmdir()
    assert art.tool("edit", A, check=False).code == 2, "a view that is gone is no asset"
    view.symlink_to(text)
    assert art.tool("edit", "assets/.gitattributes", check=False).code == 2
    assert art.tool("edit", "README", check=False).code == 2


def test_an_edit_without_a_change_is_taken_in_as_the_same_record(art: GitRepo) -> None:
    before = art.sidecar(A)
    art.tool("edit", A)
    art.git("add", "assets")
    assert art.git("diff", "--cached", "--name-only").out == A, "git has it as a file until the commit"
    art.commit("nothing painted", "--allow-empty")
    assert art.sidecar(A) == before and art.status() == []


def test_a_plain_png_is_marked_only_once_through_edits(art: GitRepo) -> None:
    art.write("assets/ui/button.png", png())
    art.git("add", "assets")
    art.commit("button")
    hash_ = art.sidecar("assets/ui/button.png")["hash"]
    art.tool("edit", "assets/ui/button.png")
    art.git("add", "assets")
    art.commit("same", "--allow-empty")
    assert art.sidecar("assets/ui/button.png")["hash"] == hash_
