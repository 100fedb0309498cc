"""`lineage` and `impact`: what art was made from, what was made from it, what a model touched; what is inferred says so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests import media
from tests.gitrepo import GitRepo

SKETCH, COVER, PAINTED = "assets/sketches/mira.png", "assets/cg/cover.png", "assets/cg/painted.png"


@pytest.fixture(autouse=True)
def without_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def loading(picture: str, seed: int = 7, **settings: Any) -> bytes:
    """A picture whose graph loads another one."""
    graph = media.comfy_prompt(seed, **settings)
    graph["20"] = {"class_type": "LoadImage", "inputs": {"image": picture, "upload": "image"}, "_meta": {"title": "x"}}
    graph["21"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["20", 0], "vae": ["4", 2]}, "_meta": {"title": "x"}}
    graph["3"]["inputs"]["latent_image"] = ["21", 0]
    return media.png(8, 8, seed, {"prompt": json.dumps(graph)})


def commit(repo: GitRepo, path: str, data: bytes) -> str:
    repo.write(path, data)
    repo.git("add", path)
    repo.commit(path)
    hash_: str = repo.sidecar(path)["hash"]
    return hash_


def asked(repo: GitRepo, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = repo.tool("lineage", *words, "--json").json()
    return found


def edges(found: dict[str, Any]) -> set[tuple[str, str, str, str, str]]:
    """(what went in, what came out, kind, basis, how), nodes by path or name."""
    called = {node["id"]: node.get("path") or node.get("name") or node["hash"] for node in found["nodes"]}
    return {(called[e["from"]], called[e["to"]], e["kind"], e["basis"], e["how"]) for e in found["edges"]}


def test_pictures_versions_models_and_loras_in_both_directions(store_repo: GitRepo) -> None:
    repo = store_repo
    first = commit(repo, SKETCH, media.comfy_png(1, model="base.safetensors", loras=[]))
    commit(repo, COVER, loading("mira.png", model="fine.safetensors", loras=[("ink.safetensors", 0.5)]))
    commit(repo, PAINTED, loading(f"{first}.png [input]", 8, model="fine.safetensors", loras=[]))
    second = commit(repo, SKETCH, media.comfy_png(2, model="base.safetensors", loras=[]))

    found = asked(repo, COVER)
    assert (found["asset"]["path"], found["asset"]["current"], found["cut_short"]) == ("cg/cover.png", True, False)
    assert edges(found) == {
        ("sketches/mira.png", "cg/cover.png", "image", "inferred", "name"),
        ("fine.safetensors", "cg/cover.png", "model", "fact", "metadata"),
        ("ink.safetensors", "cg/cover.png", "lora", "fact", "metadata"),
        ("base.safetensors", "sketches/mira.png", "model", "fact", "metadata"),
    }
    # the version that was there when the cover was made, not the one of today
    assert [node["hash"] for node in found["nodes"] if node.get("path") == "sketches/mira.png"] == [first]
    assert [edge["strength"] for edge in found["edges"] if edge["kind"] == "lora"] == [0.5]

    # made from the version that HEAD no longer has: by name inferred, by hash a fact
    old = asked(repo, f"HEAD~1:{SKETCH}")
    assert old["asset"]["current"] is False
    assert {edge for edge in edges(old) if edge[0] == "sketches/mira.png"} == {
        ("sketches/mira.png", "cg/cover.png", "image", "inferred", "name"),
        ("sketches/mira.png", "cg/painted.png", "image", "fact", "hash"),
        ("sketches/mira.png", "sketches/mira.png", "parent", "fact", "parent"),
    }
    new = asked(repo, SKETCH)
    assert new["asset"]["hash"] == second
    assert {edge[:3] for edge in edges(new)} == {
        ("sketches/mira.png", "sketches/mira.png", "parent"),
        ("base.safetensors", "sketches/mira.png", "model"),
    }

    said = repo.tool("lineage", COVER).out
    assert re.search(r"picture +assets/sketches/mira\.png +[0-9a-f]{16} +inferred by its name mira\.png", said)
    assert "lora" in said and "strength 0.5" in said and "not here now" in said
    assert "comfyvn-store provenance" in said.split("\n")[-1]


def test_names_that_no_asset_has_and_parents_that_history_lacks(store_repo: GitRepo, tmp_path: Path) -> None:
    repo = store_repo
    commit(repo, SKETCH, media.comfy_png(1))
    commit(repo, COVER, loading("clipspace/nobody.png [input]"))
    found = asked(repo, COVER)
    assert ("clipspace/nobody.png [input]", "cg/cover.png", "image", "fact", "metadata") in edges(found)
    assert [node["known"] for node in found["nodes"] if node["kind"] == "image"] == [False]
    assert "no asset of that name" in repo.tool("lineage", COVER).out
    commit(repo, COVER, media.png(8, 8, 99))
    clone = GitRepo(tmp_path / "clone")
    repo.git("clone", "-q", "--depth", "1", repo.path.as_uri(), str(clone.path))
    clone.tool("init")
    assert "not in this history" in clone.tool("lineage", COVER).out
    assert [node["known"] for node in asked(clone, COVER)["nodes"]] == [True, False]


def test_several_assets_of_one_name_are_all_said(store_repo: GitRepo) -> None:
    repo = store_repo
    commit(repo, "assets/a/pic.png", media.comfy_png(1))
    commit(repo, "assets/b/pic.png", media.comfy_png(2))
    commit(repo, COVER, loading("Pic.PNG", 3))
    commit(repo, PAINTED, loading("b/pic.png", 4))
    commit(repo, "assets/cg/other.png", loading("pic.webp", 5))
    from_, of = 0, 1
    assert {e[from_] for e in edges(asked(repo, COVER)) if e[2] == "image"} == {"a/pic.png", "b/pic.png"}
    assert {e[from_] for e in edges(asked(repo, PAINTED)) if e[2] == "image"} == {"b/pic.png"}
    assert {e[of] for e in edges(asked(repo, "assets/a/pic.png")) if e[2] == "image"} == {"cg/cover.png"}
    assert {e[3:] for e in edges(asked(repo, "assets/cg/other.png")) if e[2] == "image"} == {("fact", "metadata")}


def test_what_loads_itself_ends_and_depth_is_heeded(store_repo: GitRepo) -> None:
    repo = store_repo
    commit(repo, "assets/a/one.png", loading("two.png", 1, loras=[]))
    commit(repo, "assets/a/two.png", loading("one.png", 2, loras=[]))
    commit(repo, "assets/a/self.png", loading("self.png", 3, loras=[]))
    assert len(asked(repo, "assets/a/one.png", "--depth", "100")["nodes"]) == 3
    assert "see above" in repo.tool("lineage", "assets/a/one.png", "--depth", "9").out
    assert [node["known"] for node in asked(repo, "assets/a/self.png")["nodes"] if node["kind"] == "image"] == [False]
    chain = "assets/b/0.png"
    commit(repo, chain, media.png(8, 8, 50))
    for number in range(1, 5):
        commit(repo, f"assets/b/{number}.png", loading(f"{number - 1}.png", 50 + number))
    for depth, count in ((1, 1), (2, 2), (100, 4)):
        images = [
            edge for edge in asked(repo, "assets/b/4.png", "--depth", str(depth))["edges"] if edge["kind"] == "image"
        ]
        assert len(images) == count


def test_the_same_workflow_and_the_same_batch_are_counted(store_repo: GitRepo) -> None:
    repo = store_repo
    for number, seed in enumerate((5, 5, 6)):
        repo.write(f"assets/cg/{number}.png", media.comfy_png(seed, width=8 + number))
    repo.git("add", ".")
    repo.commit("batch")
    workflow = asked(repo, "assets/cg/0.png")["workflow"]
    assert (workflow["others"], workflow["same_seed"]) == (2, 1)
    said = repo.tool("lineage", "assets/cg/0.png").out
    assert "2 other versions have it, 1 with the same seed" in said
    words = said.split("they are: comfyvn-store ")[1].split("\n")[0].split()
    assert repo.tool(*words).out.count("assets/cg/") == 4  # three, and the hint


def test_an_asset_that_is_gone_and_names_that_are_none(store_repo: GitRepo) -> None:
    repo = store_repo
    commit(repo, COVER, media.comfy_png(1))
    repo.tool("remove", COVER, check=False)
    repo.git("rm", "-q", "-r", "--ignore-unmatch", "assets/cg")
    repo.commit("gone")
    assert "not here now" in repo.tool("lineage", COVER).out
    assert repo.tool("lineage", "no-such.png", check=False).code == 2
    assert repo.tool("lineage", f"nope:{COVER}", check=False).code == 2
    assert repo.tool("lineage", COVER, "--dot", "--json", check=False).code == 2


def test_the_graph_for_graphviz_quotes_every_text(store_repo: GitRepo) -> None:
    repo = store_repo
    odd = 'assets/cg/a "q" \\N {x} <b>.png'
    commit(repo, odd, loading('evil"]; n0 -> n0 [label="\\G\n.png', 4, model='m"\\', loras=[("l\x1b[31m", 0.25)]))
    lines = repo.tool("lineage", odd, "--dot").out.split("\n")
    assert (lines[0], lines[-1]) == ("digraph lineage {", "}")
    string = r'"(?:[^"\\\n\x00-\x1f]|\\[\\"n])*"'
    node = rf"  n\d+ \[label={string}(?:, \w+=\w+)*\];"
    edge = rf"  n\d+ -> n\d+ \[label={string}(?:, \w+=\w+)*\];"
    for line in lines[3:-1]:
        assert re.fullmatch(node, line) or re.fullmatch(edge, line), line
    assert sum(" -> " in line and line.startswith("  n") for line in lines) >= 3


# -- impact --------------------------------------------------------------------------------------------------------


def test_impact_names_every_version_that_a_model_touched(store_repo: GitRepo) -> None:
    repo = store_repo
    commit(repo, COVER, media.comfy_png(1, model="xl/Base_v1.safetensors", loras=[("ink.safetensors", 0.5)]))
    commit(repo, COVER, media.comfy_png(2, model="other.ckpt", loras=[]))
    commit(repo, PAINTED, media.comfy_png(3, model="base_v1.safetensors", loras=[("ink.safetensors", 0.75)]))
    found = repo.tool("impact", "BASE_V1", "--json").json()
    assert [(each["name"], each["versions"]) for each in found["names"]] == [
        ("base_v1.safetensors", 1),
        ("xl/Base_v1.safetensors", 1),
    ]
    assert [(each["path"], each["current"]) for each in found["assets"]] == [
        ("cg/cover.png", False),
        ("cg/painted.png", True),
    ]
    version = found["assets"][0]["versions"][0]
    assert (version["author"], version["basis"]) == ("Test Artist <artist@example.com>", "fact")
    assert version["commit"] == repo.git("rev-parse", "HEAD~2").out

    exact = repo.tool("impact", "base_v1.safetensors", "--json").json()
    assert [each["name"] for each in exact["names"]] == ["base_v1.safetensors"]
    assert [each["name"] for each in exact["similar"]] == ["xl/Base_v1.safetensors"]
    said = repo.tool("impact", "ink").out
    assert "lora ink.safetensors: 2 versions" in said and "not here now" in said and "lora 0.75" in said
    assert "2 assets, 1 of them here now" in said
    none = repo.tool("impact", "nobody", check=False)
    assert none.code == 1 and "nothing names 'nobody'" in none.out
    assert repo.tool("impact", "nobody", "--json", check=False).json() == {"names": [], "similar": [], "assets": []}


def test_impact_knows_the_other_models_that_a_graph_names(store_repo: GitRepo) -> None:
    graph = media.comfy_prompt(7)
    graph["90"] = {"class_type": "ControlNetLoader", "inputs": {"control_net_name": "depth/control_depth.safetensors"}}
    picture = media.png(8, 8, 5)
    at = picture.rindex(b"IEND") - 4
    commit(store_repo, COVER, picture[:at] + media.text_chunk("prompt", json.dumps(graph)) + picture[at:])
    found = json.loads(store_repo.tool("impact", "control_depth", "--json").out)
    assert [each["kind"] for each in found["names"]] == ["other model"]
    assert [each["path"] for each in found["assets"]] == ["cg/cover.png"]
    assert "control_depth" in store_repo.tool("lineage", COVER).out
    assert "cover.png" in store_repo.tool("search", "model:control_depth").out
