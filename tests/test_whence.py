"""`comfyvn-store whence`: any file leads to its asset, and what is inferred says so."""

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.benchmarks.whence import made
from tests.edits import EDITS
from tests.gitrepo import GitRepo
from tests.media import comfy_prompt, png, wav
from tests.samples import SAMPLES, needs_samples


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")


def encoded(picture: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **settings)
    return data.getvalue()


def generated(number: int, seed: int = 42) -> bytes:
    """A picture with something on it, and the graph that made it."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("prompt", json.dumps(comfy_prompt(seed)))
    return encoded(made(number), pnginfo=texts)


def commit(repo: GitRepo, message: str = "art", **art: bytes) -> str:
    for name, data in art.items():
        repo.write(f"assets/art/{name}.png", data)
    repo.git("add", "assets")
    return repo.commit(message)


def whence(repo: GitRepo, name: object, *words: str, code: int = 0) -> dict[str, Any]:
    done = repo.tool("whence", str(name), "--json", *words, check=False)
    assert done.code == code, done.err
    found: dict[str, Any] = done.json()
    assert found["found"] == (code == 0)
    return found


def first(repo: GitRepo, name: object, *words: str) -> dict[str, Any]:
    match: dict[str, Any] = whence(repo, name, *words)["matches"][0]
    return match


def aside(tmp_path: Path, data: bytes, name: str = "file.png") -> Path:
    place = tmp_path / name
    place.write_bytes(data)
    return place


def test_the_same_bytes_are_a_fact_with_commit_author_and_generator(store_repo: GitRepo, tmp_path: Path) -> None:
    head = commit(store_repo, "a heroine", a=generated(1))
    for name in ("assets/art/a.png", aside(tmp_path, store_repo.read("assets/art/a.png"))):
        match = first(store_repo, name)
        assert (match["basis"], match["how"]) == ("fact", "hash")
        assert (match["path"], match["view"]) == ("art/a.png", "assets/art/a.png")
        assert (match["commit"], match["subject"]) == (head, "a heroine")
        assert match["author"] == "Test Artist <artist@example.com>" and match["date"]
        assert match["provenance"]["inputs"]["seed"] == 42 and match["provenance"]["source"] == "comfyui"
        assert match["at_head"] == ["assets/art/a.png"] and match["later"] == []
    done = store_repo.tool("whence", "assets/art/a.png")
    assert "fact" in done.out and "inferred" not in done.out
    assert done.out.splitlines()[-1] == "all about it: comfyvn-store show assets/art/a.png"


def test_what_was_before_the_marker_is_a_fact(store_repo: GitRepo, tmp_path: Path) -> None:
    data = generated(1)
    commit(store_repo, a=data)
    assert store_repo.read("assets/art/a.png") != data
    assert first(store_repo, aside(tmp_path, data))["how"] == "source hash"


def test_an_unmarked_object_is_found_by_a_marked_copy(store_repo: GitRepo, tmp_path: Path) -> None:
    data = generated(1)
    commit(store_repo, a=data)
    marked = store_repo.read("assets/art/a.png")
    other = GitRepo.create(tmp_path / "other")
    other.tool("init")
    other.git("config", "comfyvn.marker", "false")
    commit(other, a=data)
    assert other.read("assets/art/a.png") == data
    match = first(other, aside(tmp_path, marked))
    assert (match["basis"], match["how"]) == ("fact", "source hash")


def test_a_marker_in_changed_bytes_is_only_a_claim(store_repo: GitRepo, tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    commit(store_repo, a=generated(1))
    with Image.open(store_repo.path / "assets/art/a.png") as picture:
        texts = PngInfo()
        texts.add_itxt("comfyvn_provenance", picture.text["comfyvn_provenance"])  # type: ignore[attr-defined]
    match = first(store_repo, aside(tmp_path, encoded(Image.new("RGB", (40, 40), "red"), pnginfo=texts)))
    assert (match["basis"], match["how"], match["path"]) == ("inferred", "marker", "art/a.png")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_the_same_decoded_pixels_are_a_fact(store_repo: GitRepo, tmp_path: Path, kind: str) -> None:
    commit(store_repo, a=generated(1), b=generated(2))
    settings = {"lossless": True} if kind == "WEBP" else {}
    match = first(store_repo, aside(tmp_path, encoded(made(1), kind, **settings)))
    assert (match["basis"], match["how"], match["path"]) == ("fact", "pixels", "art/a.png")


def test_colours_that_nobody_sees_make_no_difference(store_repo: GitRepo, tmp_path: Path) -> None:
    sprite = made(1).convert("RGBA")
    sprite.putalpha(Image.new("L", sprite.size, 0))
    sprite.paste(made(2).resize((300, 300)), (40, 40))
    commit(store_repo, a=encoded(sprite))
    sprite.paste((0, 0, 0, 0), mask=sprite.getchannel("A").point(lambda value: 255 - value))
    match = first(store_repo, aside(tmp_path, encoded(sprite, compress_level=1)))
    assert (match["basis"], match["how"]) == ("fact", "pixels")


def test_settings_that_are_still_in_the_file_are_inferred(store_repo: GitRepo, tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    commit(store_repo, a=generated(1, 42), b=generated(2, 43))
    texts = PngInfo()
    texts.add_text("prompt", json.dumps(comfy_prompt(43)))
    found = whence(store_repo, aside(tmp_path, encoded(Image.new("RGB", (64, 64), "green"), pnginfo=texts)))
    assert [(each["path"], each["basis"], each["how"]) for each in found["matches"]] == [
        ("art/b.png", "inferred", "metadata")
    ]
    assert {"workflow_hash", "seed", "model"} <= set(found["matches"][0]["equal"])


@pytest.mark.parametrize("kind", ["screenshot", "mirrored"])
def test_an_edited_picture_leads_back(store_repo: GitRepo, tmp_path: Path, kind: str) -> None:
    commit(store_repo, **{f"p{number}": encoded(made(number)) for number in range(3)})
    place = aside(tmp_path, encoded(EDITS[kind](made(1), random.Random(1)).convert("RGB")))
    match = first(store_repo, place)
    assert (match["path"], match["basis"], match["how"]) == ("art/p1.png", "inferred", "perceptual")
    assert 0 <= match["distance"] < 0.42 and match["flipped"] == (kind == "mirrored")
    out = " ".join(store_repo.tool("whence", str(place)).out.split())
    assert "inferred it looks alike" in out and ("mirrored" in out) == (kind == "mirrored")


def test_other_pictures_are_not_taken_for_one(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, **{f"p{number}": encoded(made(number)) for number in range(6)})
    for picture in (made(1000), made(1, 1), Image.new("RGB", (300, 300), "white"), Image.new("RGBA", (9, 9))):
        found = whence(store_repo, aside(tmp_path, encoded(picture)), code=1)
        assert found["compared"] == 6
    out = store_repo.tool("whence", str(tmp_path / "file.png"), check=False).out
    assert "nothing in this repository's history" in out and "compared with 6 objects" in out


@needs_samples
def test_a_sprite_is_told_from_its_other_expressions(store_repo: GitRepo, tmp_path: Path) -> None:
    sprites = sorted((SAMPLES / "vn_game/images").glob("sylvie*.png"))
    commit(store_repo, **{place.stem.replace(" ", "_"): place.read_bytes() for place in sprites})
    for place in sprites[:2]:
        with Image.open(place) as picture:
            edited = picture.resize((picture.width // 2, picture.height // 2))
        match = first(store_repo, aside(tmp_path, encoded(edited)))
        assert match["how"] == "perceptual"
        assert match["path"] == f"art/{place.stem.replace(' ', '_')}.png"


def test_old_versions_are_found_and_later_ones_named(store_repo: GitRepo, tmp_path: Path) -> None:
    old = commit(store_repo, "first", a=generated(1))
    new = commit(store_repo, "second", a=generated(2))
    match = first(store_repo, aside(tmp_path, encoded(made(1).resize((200, 200)), "JPEG"), "chat.jpg"))
    assert (match["commit"], match["at_head"]) == (old, [])
    assert [(each["commit"], each["at_head"]) for each in match["later"]] == [(new, True)]
    out = store_repo.tool("whence", str(tmp_path / "chat.jpg")).out
    assert "no, other bytes since" in out and new[:10] in out and "comfyvn-store provenance" in out


def test_later_versions_are_followed_through_a_move(store_repo: GitRepo) -> None:
    commit(store_repo, "first", a=generated(1))
    data = store_repo.read("assets/art/a.png")
    store_repo.git("mv", "assets/art/a.png", "assets/art/b.png")
    store_repo.git("mv", "assets/art/a.png.asset.json", "assets/art/b.png.asset.json")
    store_repo.commit("moved")
    assert first(store_repo, "assets/art/b.png")["at_head"] == ["assets/art/b.png"]
    new = commit(store_repo, "second", b=generated(2))
    store_repo.write("copy.png", data)
    match = first(store_repo, "copy.png")
    assert match["at_head"] == [] and [each["commit"] for each in match["later"]] == [new]


def test_bytes_that_are_not_here_are_found_by_their_hash(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1))
    data = store_repo.read("assets/art/a.png")
    store_repo.object_path(store_repo.sidecar("assets/art/a.png")["hash"]).unlink()
    for name in (aside(tmp_path, data), "assets/art/a.png"):
        match = first(store_repo, name)
        assert (match["how"], match["present"]) == ("hash", False)
    found = whence(store_repo, aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg"), code=1)
    assert found["unseen"] == 1
    assert "comfyvn-store pull" in store_repo.tool("whence", str(tmp_path / "chat.jpg"), check=False).out


def test_a_deleted_asset_and_another_branch(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, keep=png())
    store_repo.git("switch", "-q", "-c", "side")
    side = commit(store_repo, a=generated(1))
    store_repo.git("switch", "-q", "main")
    match = first(store_repo, aside(tmp_path, generated(1)))
    assert (match["commit"], match["at_head"]) == (side, [])


def test_standard_input(store_repo: GitRepo) -> None:
    commit(store_repo, a=generated(1))
    done = store_repo.tool("whence", "-", "--json", input=generated(1))
    assert done.json()["matches"][0]["how"] == "source hash"
    assert store_repo.tool("whence", "-", input=b"hello", check=False).code == 1
    assert store_repo.tool("whence", "-", input=b"", check=False).code == 1


def test_what_cannot_be_read_ends_with_2(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1))
    for name in ("nothing.png", str(tmp_path), "assets", "bad\udcffname", "HEAD:nothing", ""):
        assert store_repo.tool("whence", name, check=False).code == 2, name


BROKEN = {
    "cut": encoded(made(1))[:3000],
    "jpeg": b"\xff\xd8\xff\xe0" + b"\0" * 50,
    "huge": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0" + b"\0" * 40,
    "webp": b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 64,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_does_not_decode_is_said_and_no_error(store_repo: GitRepo, tmp_path: Path, kind: str) -> None:
    commit(store_repo, a=generated(1), bad=BROKEN[kind])
    found = whence(store_repo, aside(tmp_path, BROKEN[kind] + b"x"), code=1)
    assert found["not_compared"]
    for _ in range(2):  # remembered as one that gives nothing, which is asked once
        assert first(store_repo, aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg"))["path"] == "art/a.png"


def test_a_sound_is_found_by_its_samples(store_repo: GitRepo, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    store_repo.write("assets/music/a.wav", wav())
    store_repo.git("add", "assets")
    store_repo.commit("music")
    source = aside(tmp_path, wav(), "a.wav")
    assert first(store_repo, source)["how"] == "source hash"
    with soundfile.SoundFile(source) as sound:
        rate, channels = sound.samplerate, sound.channels
        samples = sound.buffer_read(dtype="int16")
    with soundfile.SoundFile(tmp_path / "a.flac", "w", rate, channels, "PCM_16", format="FLAC") as target:
        target.buffer_write(bytes(samples), "int16")
    match = first(store_repo, tmp_path / "a.flac")
    assert (match["basis"], match["how"], match["path"]) == ("fact", "samples", "music/a.wav")


def test_no_fill_makes_nothing_and_says_so(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1))
    chat = aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg")
    assert whence(store_repo, chat, "--no-fill", code=1)["unseen"] == 1
    assert first(store_repo, chat)["path"] == "art/a.png"
    assert first(store_repo, chat, "--no-fill")["path"] == "art/a.png"


def test_the_worker_leaves_nothing_for_whence_to_fill(store_repo: GitRepo, tmp_path: Path) -> None:
    commit(store_repo, a=generated(1))
    store_repo.tool("previews")
    assert first(store_repo, aside(tmp_path, encoded(made(1), "JPEG"), "chat.jpg"), "--no-fill")["how"] == "perceptual"
    assert list((store_repo.path / ".git/comfyvn/tmp").iterdir()) == []


def test_limit(store_repo: GitRepo) -> None:
    for number in range(4):
        store_repo.write(f"assets/art/{number}.png", png())
    store_repo.git("add", "assets")
    store_repo.commit("art")
    found = whence(store_repo, "assets/art/0.png", "--limit", "3")
    assert len(found["matches"]) == 3 and found["more"] == 1
