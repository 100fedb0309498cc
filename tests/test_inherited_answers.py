"""`disclose` and `impact` of versions whose editor stripped the metadata: inferred from the version before, and so marked."""

import io
import json
import random
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from tests import media
from tests.benchmarks.whence import made
from tests.edits import EDITS
from tests.gitrepo import GitRepo

ART = "assets/art/a.png"


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def commit(repo: GitRepo, picture: Image.Image, **texts: str) -> None:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    data = io.BytesIO()
    picture.save(data, "PNG", pnginfo=info)
    repo.write(ART, data.getvalue())
    repo.git("add", ART)
    repo.commit("a version")
    repo.tool("previews")


@pytest.fixture
def edited(store_repo: GitRepo) -> GitRepo:
    graph = media.comfy_prompt(5, model="base.safetensors", loras=[("ink.safetensors", 0.5)])
    commit(store_repo, made(1), prompt=json.dumps(graph))
    commit(store_repo, EDITS["painted on a tenth"](made(1), random.Random(2)))
    return store_repo


def disclosed(repo: GitRepo) -> dict[str, Any]:
    found: dict[str, Any] = repo.tool("disclose", "--json").json()["assets"][0]
    return found


def test_what_looks_like_the_version_before_is_inferred_to_be_generated(edited: GitRepo) -> None:
    found = disclosed(edited)
    assert (found["generated"], found["basis"], found["how"]) == (True, "inferred", "parent")
    assert (found["program"], found["model"]) == ("comfyui", "base.safetensors")
    assert 0 < found["inferred_from"]["distance"] < 0.5 and found["inferred_from"]["path"] == "art/a.png"
    assert "origin only inferred" in found["unknown"]
    assert "yes (inferred, parent)" in edited.tool("disclose").out
    strict = edited.tool("disclose", "--strict", check=False)
    assert strict.code == 1 and "only inferred to be generated" in strict.err
    edited.tool("annotate", ART, "--meta", "generated=true", "--license", "MIT")
    edited.commit("said")
    assert (disclosed(edited)["basis"], disclosed(edited)["how"]) == ("fact", "stated")
    assert edited.tool("disclose", "--strict").code == 0


def test_impact_lists_it_as_inferred(edited: GitRepo) -> None:
    asset = edited.tool("impact", "ink", "--json").json()["assets"][0]
    assert [(each["basis"], each["how"], each["current"]) for each in asset["versions"]] == [
        ("inferred", "parent", True),
        ("fact", "metadata", False),
    ]
    assert asset["current"] is True and asset["versions"][0]["uses"] == [
        {"kind": "lora", "name": "ink.safetensors", "strength": 0.5}
    ]
    assert "inferred by its parent" in edited.tool("impact", "base").out


def test_another_picture_in_its_place_inherits_nothing(edited: GitRepo) -> None:
    commit(edited, made(99))
    found = disclosed(edited)
    assert (found["generated"], found["model"], found["unknown"]) == (None, None, ["license", "origin"])
    versions = edited.tool("impact", "ink", "--json").json()["assets"][0]["versions"]
    assert [each["basis"] for each in versions] == ["inferred", "fact"] and not any(
        each["current"] for each in versions
    )
