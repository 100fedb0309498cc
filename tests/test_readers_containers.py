"""ComfyUI's graphs are found in every container that it writes, and what other programs state of a file is read as theirs."""

import io
import json
import shutil

import pytest
from PIL import Image, PngImagePlugin

from comfyvn_store import AssetRegistry
from comfyvn_store.asset import marking, readers
from comfyvn_store.asset.readers import comfyui
from comfyvn_store.asset.readers.collecting import collect
from comfyvn_store.asset.readers.entries import Entries
from comfyvn_store.asset.readers.reading import Reading
from comfyvn_store.base.media import describe
from tests import media, sounds
from tests.carriers import CARRIERS, PACKET, carried, comment_exif, picture, xmp_png, xmp_psd
from tests.gitrepo import GitRepo

SEED = 2**63 + 1


def read(data: bytes) -> Reading | None:
    stream = io.BytesIO(data)
    return readers.read_stream(stream, describe(stream).mime)


def embedded(data: bytes) -> dict[str, object]:
    found = read(data)
    assert found is not None and found.source is None and found.inputs == {}
    return dict(found.embedded)


@pytest.mark.parametrize("name", CARRIERS)
def test_graphs_are_read_out_of_every_container(name: str) -> None:
    mime, needs_ffmpeg, _ = CARRIERS[name]
    if needs_ffmpeg and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    data = carried(name, SEED)
    assert describe(io.BytesIO(data)).mime == mime
    found = read(data)
    prompt = media.comfy_prompt(SEED)
    assert found is not None and found.source == "comfyui"
    assert found.inputs["seed"] == SEED
    assert (found.prompt, found.workflow) == (prompt, media.comfy_workflow(prompt))
    assert found.workflow_hash == comfyui.workflow_hash(prompt)
    graphs = comfyui.graph_texts(collect(io.BytesIO(data), mime))
    assert [json.loads(text or "") for text in graphs] == [found.prompt, found.workflow]


@pytest.mark.parametrize("name", ["SaveAnimatedWEBP", "JPEG, camera's tags", "SaveAudioMP3", "SaveVideo"])
def test_what_a_commit_says_and_what_workflow_prints(store_repo: GitRepo, name: str) -> None:
    if CARRIERS[name][1] and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = "assets/scenes/hill." + {"image/webp": "webp", "image/jpeg": "jpg"}.get(CARRIERS[name][0], "bin")
    store_repo.write(path, carried(name, SEED))
    store_repo.git("add", ".")
    store_repo.commit("a hill")
    record = store_repo.sidecar(path)["provenance"]
    assert (record["source"], record["inputs"]["seed"]) == ("comfyui", SEED)
    assert json.loads(store_repo.tool("workflow", path, "--api").out) == media.comfy_prompt(SEED)
    assert json.loads(store_repo.tool("workflow", path).out) == media.comfy_workflow(media.comfy_prompt(SEED))
    shown = json.loads(store_repo.tool("read", path, "--json").out)
    assert (shown["source"], shown["inputs"]) == ("comfyui", record["inputs"])


# plain metadata


def test_exif_says_who_and_with_what() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x8298], exif[0x0131] = "A hill", "Ada Strom", "(c) 2026 Ada", "Paint 7"
    exif[0x0132] = "2026:01:31 12:00:00"
    exif[0x9C9E] = "hill;evening\0".encode("utf-16-le")
    for kind in ("JPEG", "WEBP", "PNG", "AVIF", "TIFF"):
        assert embedded(picture(kind, exif=exif)) == {
            "author": "Ada Strom",
            "copyright": "(c) 2026 Ada",
            "software": "Paint 7",
            "created": "2026:01:31 12:00:00",
            "description": "A hill",
            "tags": ["hill", "evening"],
        }, kind


STATED = {
    "title": "Hügel & Tal",
    "author": "Ada; Bo",
    "license": "https://creativecommons.org/licenses/by/4.0/",
    "software": "Krita 5",
    "created": "2026-01-31T12:00:00Z",
    "tags": ["hill", "evening"],
}


def test_xmp_says_more_in_every_picture() -> None:
    packet = PACKET.encode()
    files = [picture(kind, xmp=packet) for kind in ("JPEG", "WEBP", "AVIF")]
    for data in (*files, xmp_png(), xmp_psd()):
        assert embedded(data) == STATED


def test_png_keywords_are_read() -> None:
    info = PngImagePlugin.PngInfo()
    for name, text in (("Title", "Hill"), ("Author", "Ada"), ("Creation Time", "2026"), ("Software", "GIMP")):
        info.add_text(name, text)
    info.add_itxt("Copyright", "© Ada")
    assert embedded(picture("PNG", pnginfo=info)) == {
        "title": "Hill",
        "author": "Ada",
        "copyright": "© Ada",
        "software": "GIMP",
        "created": "2026",
    }


@sounds.needs_ffmpeg
@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus", "flac", "wav"])
def test_the_tags_of_a_sound_are_read(kind: str) -> None:
    found = embedded(sounds.sound(kind, title="Tür", artist="Ada", copyright="CC0", date="2026", genre="noise"))
    assert {key: value for key, value in found.items() if key != "software"} == {
        "title": "Tür",
        "author": "Ada",
        "copyright": "CC0",
        "created": "2026",
        "tags": ["noise"],
    }


def test_the_addresses_in_an_id3_tag_are_read() -> None:
    frames = b"".join(
        name + len(text).to_bytes(4, "big") + b"\0\0" + text
        for name, text in (
            (b"WCOP", b"https://creativecommons.org/licenses/by/4.0/\0rest"),
            (b"WOAF", b"https://ada.example"),
        )
    )
    tag = b"ID3\3\0\0" + bytes((0, 0, len(frames) >> 7, len(frames) & 0x7F)) + frames
    assert embedded(tag + b"\xff\xfb\x90\x00" + bytes(413)) == {
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "url": "https://ada.example",
    }


def test_what_a_file_states_stands_in_its_record_and_is_nobodys_word_but_its_own(store_repo: GitRepo) -> None:
    path = "assets/scenes/hill.png"
    store_repo.write(path, xmp_png())
    store_repo.git("add", ".")
    store_repo.commit("a hill")
    card = store_repo.sidecar(path)
    assert card["provenance"]["embedded"] == STATED
    assert (card["license"], card["tags"], card["provenance"]["source"]) == (None, [], "git")
    assert card["provenance"]["inputs"] == {}
    shown = store_repo.tool("show", path).out
    assert "file says author" in shown and "Ada; Bo" in shown
    [entry] = json.loads(store_repo.tool("provenance", path, "--json").out)
    assert entry["embedded"] == STATED


@pytest.mark.parametrize("name", ["SaveImage", "SaveAnimatedPNG", "SaveAnimatedWEBP", "JPEG, user comment"])
def test_the_marker_names_what_the_record_names(store_repo: GitRepo, name: str) -> None:
    store_repo.write("assets/hill.bin", carried(name))
    store_repo.git("add", ".")
    store_repo.commit("a hill")
    record = store_repo.sidecar("assets/hill.bin")["provenance"]
    with open(store_repo.path / "assets/hill.bin", "rb") as stream:
        said = marking.valid(stream)
    assert said is not None
    assert (said["source"], said["workflow_hash"]) == ("comfyui", record["workflow_hash"])


def test_register_asks_the_readers_of_other_packages_and_the_marker_does_not(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(entries: Entries) -> Reading:
        return Reading("krita", None, {"brush": "ink"})

    monkeypatch.setattr(readers, "installed", lambda: (("krita", other),))
    monkeypatch.chdir(store_repo.path)
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    store_repo.write("hill.png", picture("PNG"))
    info = AssetRegistry().register_file("hill.png", "scenes")
    assert (info["provenance"]["source"], info["provenance"]["inputs"]) == ("krita", {"brush": "ink"})
    with open(store_repo.path / info["view"], "rb") as stream:
        said = marking.valid(stream)
    assert said is not None and said["source"] is None


def test_a_file_outside_of_any_repository_is_read(repo: GitRepo) -> None:
    repo.write("hill.png", xmp_png())
    assert json.loads(repo.tool("read", "hill.png", "--json").out)["embedded"] == STATED
    assert "file says title" in repo.tool("read", "hill.png").out
    assert repo.tool("read", "valley.png", check=False).code != 0


def test_a_user_comment_is_read_in_every_encoding() -> None:
    text = "a cat\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5"
    for encoding in ("utf-16-be", "utf-16-le"):
        found = read(picture("JPEG", exif=comment_exif(text, encoding).tobytes()))
        assert found is not None and (found.source, found.inputs["seed"]) == ("automatic1111", 5)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + text.encode()
    found = read(picture("JPEG", exif=exif.tobytes()))
    assert found is not None and found.inputs["seed"] == 5


def test_camera_fields_that_hold_graphs_are_no_words() -> None:
    found = read(carried("WebP"))
    assert found is not None and "description" not in found.embedded
