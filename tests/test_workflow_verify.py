"""`workflow --verify`: what a graph needs, looked for by name, hashed where it is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from comfyvn_store.asset.readers.comfyui.files import INPUT, MODEL, NamedFile, classes, named_files
from tests import media
from tests.gitrepo import GitRepo

HERO = "assets/characters/hero.png"


@pytest.fixture
def art(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write(HERO, media.comfy_png(42))
    store_repo.git("add", "assets")
    store_repo.commit("first")
    return store_repo


def model_of(repo: GitRepo) -> str:
    name = repo.sidecar(HERO)["provenance"]["inputs"]["model"]
    assert isinstance(name, str)
    return name


def verify(repo: GitRepo, *words: str, code: int = 0) -> dict[str, Any]:
    done = repo.tool("workflow", HERO, "--verify", "--json", *words, check=False)
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_nothing_is_said_of_what_was_not_looked_for(art: GitRepo) -> None:
    found = verify(art)
    assert not found["complete"] and {each["state"] for each in found["needed"]} == {"not looked for"}
    assert "--models DIR" in art.tool("workflow", HERO, "--verify").out


def test_a_model_that_is_there_is_hashed_once(art: GitRepo, tmp_path: Path) -> None:
    name = model_of(art)
    place = tmp_path / "models/checkpoints" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    found = verify(art, "--models", str(tmp_path / "models"), code=1 if _loras(art) else 0)
    (model,) = [each for each in found["needed"] if each["name"] == name]
    assert model["sha256"] == hashlib.sha256(b"weights").hexdigest() and model["basis"] == "inferred"
    kept = art.path / ".git/comfyvn/model-hashes.json"
    kept.write_text(kept.read_text().replace(model["sha256"], "0" * 64))
    assert "0" * 64 in json.dumps(verify(art, "--models", str(tmp_path / "models"), code=1 if _loras(art) else 0))
    place.write_bytes(b"other weights")
    again = json.dumps(verify(art, "--models", str(tmp_path / "models"), code=1 if _loras(art) else 0))
    assert hashlib.sha256(b"other weights").hexdigest() in again
    for rubbish in (b"", b"[", b"[1]", b'{"a": 1}', b'{"a": [1, 2]}', b"\xff"):
        kept.write_bytes(rubbish)
        assert hashlib.sha256(b"other weights").hexdigest() in json.dumps(
            verify(art, "--models", str(tmp_path / "models"), code=1 if _loras(art) else 0)
        )


def _loras(repo: GitRepo) -> list[Any]:
    found = repo.sidecar(HERO)["provenance"]["inputs"]["loras"]
    assert isinstance(found, list)
    return found


def test_what_is_missing_is_named(art: GitRepo, tmp_path: Path) -> None:
    art.git("config", "comfyvn.models", str(tmp_path))
    found = verify(art, code=1)
    assert {each["state"] for each in found["needed"] if each["kind"] == MODEL} == {"missing"}
    assert model_of(art) in art.tool("workflow", HERO, "--verify", check=False).out
    assert art.tool("workflow", HERO, "--verify", "--models", str(tmp_path / "no"), check=False).code == 2


def test_a_tracked_file_names_no_folder_of_this_machine(art: GitRepo, tmp_path: Path) -> None:
    art.write(".comfyvnconfig", f"[comfyvn]\n\tmodels = {tmp_path}\n".encode())
    assert {each["state"] for each in verify(art)["needed"]} == {"not looked for"}


def test_any_file_has_a_graph_to_print_and_verify(tmp_path: Path, art: GitRepo) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").write_bytes(media.comfy_png(3))
    for repo in (GitRepo(elsewhere), art):
        place = str(elsewhere / "a.png")
        assert "nodes" in json.loads(repo.tool("workflow", place).out)
        assert "needed" in json.loads(repo.tool("workflow", place, "--verify", "--json").out)
        assert repo.tool("workflow", str(elsewhere / "b.png"), check=False).code == (2 if repo is art else 10)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def test_what_a_graph_names() -> None:
    prompt = {
        "1": node("CheckpointLoaderSimple", ckpt_name="sub\\model.safetensors"),
        "2": node("LoadImage", image="clipspace/in.png [input]"),
        "3": node(
            "Power Lora Loader (rgthree)",
            lora_1={"on": True, "lora": "a.safetensors"},
            lora_2={"on": False, "lora": "b.pt"},
        ),
        "4": node("CLIPTextEncode", text="a picture of model.ckpt\nand more.ckpt"),
        "5": node("SaveImage", filename_prefix="out.png"),
        "6": node("Other", ckpt_name="sub\\model.safetensors", x=["1", 0], y=None, z=3),
    }
    assert named_files(prompt, None) == [
        NamedFile(MODEL, "sub\\model.safetensors", ("CheckpointLoaderSimple", "Other")),
        NamedFile(INPUT, "clipspace/in.png", ("LoadImage",)),
        NamedFile(MODEL, "a.safetensors", ("Power Lora Loader (rgthree)",)),
    ]
    assert classes(prompt, None)[:2] == ["CLIPTextEncode", "CheckpointLoaderSimple"]


def test_of_the_editors_graph_what_is_muted_or_bypassed_is_not_needed() -> None:
    nodes = [
        {"type": "CheckpointLoaderSimple", "widgets_values": ["m.ckpt"]},
        {"type": "LoraLoader", "widgets_values": ["l.pt", 1, 1], "mode": 4},
        {"type": "LoadImage", "widgets_values": ["in.png", "image"], "mode": 2},
        {"type": "VHS_LoadVideo", "widgets_values": {"video": "film.mp4"}},
    ]
    inner = {"subgraphs": [{"nodes": [{"type": "VAELoader", "widgets_values": ["v.pth"]}]}, 3, {"nodes": 4}]}
    found = named_files(None, {"nodes": nodes, "definitions": inner})
    assert [each.name for each in found] == ["m.ckpt", "film.mp4", "v.pth"]


@pytest.mark.parametrize("graph", [{}, {"nodes": 3}, {"nodes": [3, {}, {"type": 4}]}, {"definitions": []}])
def test_odd_graphs_name_nothing(graph: dict[str, Any]) -> None:
    assert named_files(None, graph) == [] and classes(None, graph if graph.get("nodes") != 3 else {}) == []


def test_names_of_folders_must_fit(tmp_path: Path) -> None:
    from comfyvn_store.ops.verifying import _Folders

    for name in ("a/sub/m.ckpt", "b/M.ckpt", "c/n.ckpt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = _Folders([str(tmp_path)])
    assert found.find("sub\\m.ckpt") == str(tmp_path / "a/sub/m.ckpt")
    assert found.find("m.ckpt") == str(tmp_path / "a/sub/m.ckpt") and found.find("M.ckpt") == str(tmp_path / "b/M.ckpt")
    assert found.find("N.CKPT") == str(tmp_path / "c/n.ckpt") and found.find("x/n.ckpt") is None
    assert found.find("../c/n.ckpt") is None and found.find("") is None and found.find("c/") is None
