"""What an edited version inherits from its parent: as inferred, where they look alike, and nowhere else."""

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfyvn_store import AssetRegistry
from tests.benchmarks.whence import made
from tests.edits import EDITS, painted
from tests.gitrepo import GitRepo
from tests.test_whence import commit, encoded, first, generated


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def version(repo: GitRepo, picture: Image.Image, message: str = "edited") -> str:
    """Commits a picture without metadata in the place of the last one, with fingerprints of it, as the worker makes them."""
    head = commit(repo, message, a=encoded(picture))
    repo.tool("previews")
    return head


def shown(repo: GitRepo) -> dict[str, Any]:
    found: dict[str, Any] = repo.tool("show", "assets/art/a.png", "--json").json()
    return found


def begun(repo: GitRepo) -> dict[str, Any]:
    commit(repo, "generated", a=generated(1))
    repo.tool("previews")
    assert "inferred" not in shown(repo)
    return shown(repo)


@pytest.mark.parametrize("kind", ["painted on a tenth", "cropped by 30 %"])
def test_a_stripped_edit_inherits_as_inferred(store_repo: GitRepo, kind: str) -> None:
    origin = begun(store_repo)
    version(store_repo, EDITS[kind](made(1), random.Random(2)))
    found = shown(store_repo)
    assert found["provenance"]["inputs"] == {} and found["provenance"]["source"] == "git"
    inferred = found["inferred"]
    assert (inferred["basis"], inferred["how"], inferred["steps"]) == ("inferred", "parent", 1)
    assert inferred["from"]["hash"] == origin["hash"] and inferred["from"]["path"] == "art/a.png"
    assert inferred["inputs"] == origin["provenance"]["inputs"] and inferred["source"] == "comfyui"
    assert inferred["workflow_hash"] == origin["provenance"]["workflow_hash"] and inferred["distance"] < 0.5
    text = " ".join(store_repo.tool("show", "assets/art/a.png").out.split())
    assert "origin inferred from art/a.png" in text and "inferred seed 42" in text
    newest, oldest = store_repo.tool("provenance", "assets/art/a.png", "--json").json()
    assert newest["inferred"]["inputs"]["seed"] == 42 and "inferred" not in oldest
    assert first(store_repo, "assets/art/a.png")["inferred"]["inputs"]["seed"] == 42
    registry = AssetRegistry(assets_root=store_repo.path / "assets")
    assert registry.get_asset("assets/art/a.png")["inferred"] == inferred
    assert registry.provenance_for("assets/art/a.png")[0]["inferred"] == inferred


def test_several_edits_one_after_another(store_repo: GitRepo) -> None:
    origin = begun(store_repo)
    picture = made(1)
    for number in range(3):
        picture = painted(0.04)(picture, random.Random(number))
        version(store_repo, picture)
    inferred = shown(store_repo)["inferred"]
    assert inferred["steps"] == 3 and inferred["from"]["hash"] == origin["hash"]


def test_another_picture_inherits_nothing(store_repo: GitRepo) -> None:
    begun(store_repo)
    version(store_repo, made(2))
    assert "inferred" not in shown(store_repo)
    version(store_repo, painted(0.05)(made(2), random.Random(1)))
    assert "inferred" not in shown(store_repo)
    assert "inferred" not in store_repo.tool("show", "assets/art/a.png").out


def test_without_fingerprints_nothing_is_inferred(store_repo: GitRepo) -> None:
    begun(store_repo)
    version(store_repo, painted(0.05)(made(1), random.Random(1)))
    assert "inferred" in shown(store_repo)
    for place in (store_repo.path / ".git/comfyvn").glob("prints.db*"):
        place.unlink()
    assert "inferred" not in shown(store_repo)


def test_what_says_itself_what_made_it_inherits_nothing(store_repo: GitRepo) -> None:
    begun(store_repo)
    commit(store_repo, "again", a=generated(1, seed=7))
    store_repo.tool("previews")
    assert shown(store_repo)["provenance"]["parent"] and "inferred" not in shown(store_repo)


def test_it_is_never_written_down(store_repo: GitRepo) -> None:
    begun(store_repo)
    head = version(store_repo, painted(0.05)(made(1), random.Random(1)))
    inferred = shown(store_repo)["inferred"]
    store_repo.tool("annotate", "assets/art/a.png", "--tag", "heroine")
    for text in (
        store_repo.read("assets/art/a.png.asset.json").decode(),
        store_repo.blob(f"{head}:assets/art/a.png.asset.json").decode(),
    ):
        assert inferred["workflow_hash"] not in text and "inferred" not in text
    with sqlite3.connect(store_repo.tool("db").out) as db:
        rows = db.execute("SELECT inputs, extra, workflow_hash FROM provenance ORDER BY id").fetchall()
    assert rows[-1] == ("{}", None, None) and "inferred" not in json.dumps(rows)


def test_a_parent_that_leads_in_a_circle(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, "one", a=encoded(made(1)))
    commit(store_repo, "two", a=encoded(painted(0.03)(made(1), random.Random(1))))
    one, two = (each["hash"] for each in store_repo.tool("provenance", "assets/art/a.png", "--json").json())
    store_repo.tool("previews")
    (tmp_path / "c.png").write_bytes(encoded(painted(0.03)(made(1), random.Random(2))))
    registry = AssetRegistry(assets_root=store_repo.path / "assets")
    registry.register_file(tmp_path / "c.png", "art", provenance={"parent": two})
    with sqlite3.connect(store_repo.tool("db").out) as db:
        db.execute("UPDATE provenance SET parent = ? WHERE hash = ?", (one, two))
    assert "inferred" not in shown(store_repo)
