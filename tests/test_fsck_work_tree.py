"""`fsck` looks at links, sidecars and markers: what is wrong with them, and what is an edit of the user's."""

import json
import os
from pathlib import Path

import pytest

from comfyvn_store.asset import marker
from tests import media
from tests.fsckrepo import BELL, CLUB, HERO, hash_of, look, make_art, mend
from tests.gitrepo import GitRepo
from tests.templates import copied


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


@pytest.fixture
def art(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    repo = copied(tmp_path_factory, make_art, tmp_path / "repo")
    repo.tool("list")
    return repo


def relink(repo: GitRepo, path: str, text: str) -> None:
    (repo.path / path).unlink()
    (repo.path / path).symlink_to(text)


def card_of(path: str) -> str:
    return f"{path}.asset.json"


def commit_card(repo: GitRepo, view: str, **changes: object) -> None:
    """Commits a sidecar that somebody edited, past our hooks and filters."""
    said = json.loads(repo.blob(f":{card_of(view)}"))
    record = changes.pop("provenance", {})
    assert isinstance(record, dict)
    said["provenance"].update(record)
    data = (json.dumps({**said, **changes}, indent=2) + "\n").encode()
    stage(repo, "100644", card_of(view), data)
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "by hand")
    repo.git("checkout", "-q", "--", card_of(view))
    repo.tool("list")


def stage(repo: GitRepo, mode: str, path: str, data: bytes) -> None:
    oid = repo.git("hash-object", "-w", "--stdin", "--no-filters", input=data).out
    repo.git("update-index", "--add", "--cacheinfo", f"{mode},{oid},{path}")


# -- links -------------------------------------------------------------------------------------------------------------


def test_a_link_of_another_depth_is_made_anew(art: GitRepo) -> None:
    text = art.link(HERO)
    relink(art, HERO, "../" + text)
    assert look(art).kinds == ["link-depth"]
    assert look(art, BELL).kinds == []
    assert (mend(art).kinds, art.link(HERO)) == ([], text)
    assert art.status() == []


def test_a_link_of_another_depth_in_git_is_for_doctor(art: GitRepo) -> None:
    stage(art, "120000", HERO, ("../" + art.link(HERO)).encode())
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "moved by hand")
    art.git("checkout", "-q", "--", HERO)
    head = art.head()
    for words in ([], ["HEAD"]):
        kinds = look(art, *words).kinds
        assert "link-depth" in kinds, words
    mend(art)
    assert (art.head(), art.git("diff", "--cached", "--name-only").out) == (head, "")


def test_a_link_into_another_store_is_led_back(art: GitRepo, tmp_path: Path) -> None:
    hash_ = hash_of(art, HERO)
    relink(art, HERO, f"{tmp_path}/other/.git/comfyvn/objects/{hash_[:2]}/{hash_[2:]}")
    assert look(art).kinds == ["link-other-store"]
    assert mend(art).kinds == []
    assert art.read(HERO)[:4] == b"\x89PNG"


def test_a_link_that_leads_elsewhere_is_told_and_left(art: GitRepo) -> None:
    relink(art, HERO, "/etc/hostname")
    assert look(art).kinds == ["link-outside"]
    assert mend(art).kinds == ["link-outside"]
    assert art.link(HERO) == "/etc/hostname"


def test_a_tracked_link_that_is_no_view_is_told_if_it_leaves_the_repository(art: GitRepo) -> None:
    for name, text in (
        ("out", "../../../x"),
        ("abs", "/etc/passwd"),
        ("git", "../../.git/config"),
        ("fine", "hero.png"),
    ):
        (art.path / "assets/characters" / name).symlink_to(text)
    art.git("add", "-A")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "links")
    art.tool("list")
    said = look(art)
    assert [each["paths"] for each in said.of("link-outside")] == [
        [f"assets/characters/{name}"] for name in ("abs", "git", "out")
    ]
    assert said.kinds == ["link-outside"] * 3


def test_a_file_with_the_text_of_a_link_becomes_that_link(art: GitRepo) -> None:
    text = art.link(HERO)
    art.write(HERO, text)
    assert look(art).kinds == ["link-text"]
    assert (mend(art).kinds, art.link(HERO)) == ([], text)
    assert art.status() == []


def test_edits_are_no_findings_and_stay(art: GitRepo) -> None:
    edit = media.png(seed=50)
    art.write(HERO, edit)
    relink(art, CLUB, art.link(BELL).replace("sfx", "bg"))
    card = art.sidecar(BELL)
    card["license"] = "CC0"
    art.write(card_of(BELL), json.dumps(card, indent=2))
    before = art.read(card_of(BELL))
    assert look(art).kinds == []
    object_path = art.object_path(hash_of(art, CLUB))
    object_path.chmod(0o644)
    assert mend(art).kinds == []
    assert art.read(HERO) == edit
    assert hash_of(art, BELL)[2:] in art.link(CLUB)
    assert art.read(card_of(BELL)) == before


def test_a_view_that_is_gone_is_told_and_not_brought_back(art: GitRepo) -> None:
    (art.path / HERO).unlink()
    assert "view-missing" in look(art).kinds
    assert "view-missing" in mend(art).kinds
    assert not (art.path / HERO).is_symlink()


# -- sidecars ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"\0" * 900])
def test_a_sidecar_that_is_lost_comes_back_with_its_commit(art: GitRepo, content: bytes | None) -> None:
    good = art.read(card_of(HERO))
    (art.path / card_of(HERO)).unlink()
    if content is not None:
        art.write(card_of(HERO), content)
    assert look(art).kinds == ["sidecar-missing" if content is None else "sidecar-broken"]
    assert (mend(art).kinds, art.read(card_of(HERO))) == ([], good)
    assert art.status() == []


def test_a_broken_sidecar_may_be_an_edit_and_stays(art: GitRepo) -> None:
    art.write(card_of(HERO), b'{"schema": 1, oops')
    assert look(art).kinds == ["sidecar-broken"]
    assert mend(art).kinds == ["sidecar-broken"]
    assert art.read(card_of(HERO)) == b'{"schema": 1, oops'


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"hash": "0" * 64}, "hash"),
        ({"path": "bg/other.png"}, "path"),
        ({"type": "bg"}, "type"),
        ({"uid": "0" * 16}, "uid"),
        ({"bytes": 3}, "bytes"),
    ],
)
def test_a_sidecar_on_the_disk_that_disagrees_is_told(art: GitRepo, changes: dict[str, object], word: str) -> None:
    art.write(card_of(HERO), json.dumps({**art.sidecar(HERO), **changes}, indent=2))
    said = look(art)
    assert said.kinds == ["sidecar-disagrees"]
    assert f"its {word} " in said.of("sidecar-disagrees")[0]["message"]
    assert mend(art).kinds == ["sidecar-disagrees"]


@pytest.mark.parametrize("changes", [{"path": "bg/other.png"}, {"type": "bg"}, {"bytes": 3}, {"hash": "0" * 64}])
def test_a_sidecar_in_git_that_disagrees_is_told(art: GitRepo, changes: dict[str, object]) -> None:
    commit_card(art, HERO, **changes)
    assert set(look(art, HERO, card_of(HERO)).kinds) == {"sidecar-disagrees"}


def test_sidecars_that_git_lacks_or_that_are_broken_there_are_told(art: GitRepo) -> None:
    art.git("rm", "-q", "--cached", card_of(HERO))
    stage(art, "100644", card_of(BELL), b"no json")
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "by hand")
    art.tool("list")
    for words in ([], ["HEAD"]):
        kinds = look(art, *words).kinds
        assert ("sidecar-missing" in kinds, "sidecar-broken" in kinds) == (True, True), words
    head = art.head()
    assert "sidecar-missing" in mend(art).kinds
    assert (art.head(), art.git("diff", "--cached", "--name-only").out) == (head, "")


def test_sidecars_of_nothing_are_told(art: GitRepo) -> None:
    art.write("assets/bg/gone.png.asset.json", art.read(card_of(CLUB)))
    stage(art, "100644", "assets/bg/lost.png.asset.json", art.blob(f":{card_of(CLUB)}"))
    art.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "-m", "by hand")
    art.git("checkout", "-q", "--", "assets/bg")
    said = look(art)
    assert [each["paths"] for each in said.of("sidecar-orphaned")] == [
        ["assets/bg/lost.png.asset.json"],
        ["assets/bg/gone.png.asset.json"],
    ]
    assert mend(art).kinds == ["sidecar-orphaned"] * 2


def test_what_is_staged_is_the_next_commits_business(art: GitRepo) -> None:
    art.git("mv", HERO, "assets/hero.png")
    art.git("rm", "-q", BELL)
    art.write(CLUB, media.png(seed=30))
    art.git("add", CLUB)
    art.tool("list")
    assert [kind for kind in look(art).kinds if kind.startswith(("sidecar", "marker"))] == []


# -- markers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["source_hash", "workflow_hash"])
def test_a_sidecar_that_contradicts_the_marker_is_told(art: GitRepo, key: str) -> None:
    commit_card(art, HERO, provenance={key: "e" * 64})
    said = look(art)
    assert said.kinds == ["marker-disagrees"]
    assert key in said.of("marker-disagrees")[0]["message"]


def test_a_marker_of_other_bytes_is_told(art: GitRepo) -> None:
    art.git("config", "comfyvn.marker", "false")
    chunk = marker.chunk("comfyui", "d" * 64, None)
    data = media.png(seed=70)
    art.write(CLUB, data[:-12] + chunk + data[-12:])
    art.git("add", "-A")
    art.commit("a copied marker")
    art.tool("list")
    assert look(art).kinds == ["marker-stale"]


# -- copies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symlinks", ["true", "false"])
def test_copies_are_in_order_and_link_text_is_filled(art: GitRepo, symlinks: str) -> None:
    text = art.link(HERO)
    art.git("config", "comfyvn.views", "copy")
    art.git("config", "core.symlinks", symlinks)
    art.tool("init")
    art.tool("list")
    assert look(art).kinds == []
    bytes_ = art.read(HERO)
    assert not os.path.islink(art.path / HERO)
    art.write(HERO, text)
    art.write(CLUB, media.png(seed=51))
    assert look(art).kinds == ["link-text"]
    assert (mend(art).kinds, art.read(HERO)) == ([], bytes_)
    assert art.read(CLUB) == media.png(seed=51)
    object_place = art.object_path(hash_of(art, HERO))
    object_place.chmod(0o644)
    object_place.write_bytes(b"other bytes")
    os.utime(object_place, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    object_place.chmod(0o444)
    assert look(art).kinds == ["object-truncated"]
    said = mend(art)
    assert said.kinds == []  # the copy in the work tree has the bytes
    assert object_place.read_bytes() == bytes_
