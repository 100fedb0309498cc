"""Filmstrips: which frames they show, and what bounds them."""

import io
import struct
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from comfyvn_store.previews import PreviewError, filmstrip
from comfyvn_store.previews.thumbnail import write_thumbnail
from tests.media import PNG_SIGNATURE, chunk, png
from tests.moving import COLOURS, MOVING, animation


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("object") / "6f1ed002ab5595859014ebf0951522d9"


def strip(source: Path, content: bytes) -> Image.Image | None:
    source.write_bytes(content)
    encoded = filmstrip.filmstrip(str(source))
    if encoded is None:
        return None
    picture = Image.open(io.BytesIO(encoded))
    assert picture.format == "WEBP"
    return picture


def colours(picture: Image.Image, count: int) -> list[tuple[int, ...]]:
    """The rough colour in the middle of each of `count` frames."""
    width = picture.width // count
    shown = picture.convert("RGB")
    found = []
    for number in range(count):
        value = shown.getpixel((number * width + width // 2, picture.height // 2))
        assert isinstance(value, tuple)
        found.append(tuple(round(channel / 255) * 255 for channel in value))
    return found


@pytest.mark.parametrize("kind", MOVING)
def test_all_frames_of_a_short_animation(kind: str, source: Path) -> None:
    found = strip(source, animation(kind, 3))
    assert found is not None and found.size == (3 * 64, 48)
    assert colours(found, 3) == COLOURS[:3]


@pytest.mark.parametrize("kind", MOVING)
def test_evenly_spaced_frames_of_a_long_one(kind: str, source: Path) -> None:
    found = strip(source, animation(kind, 20))
    assert found is not None and found.size == (8 * 64, 48)
    assert colours(found, 8) == [COLOURS[number * 20 // 8 % 8] for number in range(8)]


@pytest.mark.parametrize("kind", MOVING)
def test_frames_are_small_whatever_the_animation_is(kind: str, source: Path) -> None:
    found = strip(source, animation(kind, 2, (640, 320)))
    assert found is not None and found.size == (2 * 160, 80)


@pytest.mark.parametrize("kind", MOVING)
def test_the_thumbnail_is_still(kind: str, source: Path) -> None:
    source.write_bytes(animation(kind, 3))
    target = io.BytesIO()
    write_thumbnail(str(source), target)
    picture = Image.open(target)
    assert not getattr(picture, "is_animated", False) and colours(picture, 1) == COLOURS[:1]


@pytest.mark.parametrize("content", [png(), animation("GIF", 1)], ids=["PNG", "GIF"])
def test_what_does_not_move_has_none(content: bytes, source: Path) -> None:
    assert strip(source, content) is None


def test_transparency_stays(source: Path) -> None:
    clear, red = Image.new("RGBA", (32, 32), (0, 0, 0, 0)), Image.new("RGBA", (32, 32), (255, 0, 0, 255))
    target = io.BytesIO()
    clear.save(target, "WEBP", save_all=True, append_images=[red], lossless=True)
    found = strip(source, target.getvalue())
    assert found is not None and found.mode == "RGBA"
    assert found.getpixel((16, 16)) == (0, 0, 0, 0)
    opaque = found.getpixel((48, 16))
    assert isinstance(opaque, tuple) and opaque[3] == 255


def test_a_broken_frame_ends_the_strip(source: Path) -> None:
    whole = animation("PNG", 6)
    at = [place for place in range(len(whole)) if whole[place : place + 4] == b"fdAT"]
    broken = bytearray(whole)
    broken[at[3] + 9] ^= 0xFF
    found = strip(source, bytes(broken))
    assert found is not None and found.width % 64 == 0 and 2 <= found.width // 64 < 6
    assert colours(found, found.width // 64) == COLOURS[: found.width // 64]


def test_a_file_that_claims_more_frames_than_it_has(source: Path) -> None:
    whole = animation("PNG", 3)
    at = whole.index(b"acTL") + 4
    control = struct.pack(">I", 2_000_000_000) + whole[at + 4 : at + 8]
    lying = whole[:at] + control + struct.pack(">I", zlib.crc32(b"acTL" + control)) + whole[at + 12 :]
    begun = time.process_time()
    assert strip(source, lying) is None
    assert time.process_time() - begun < 5
    source.write_bytes(lying)
    write_thumbnail(str(source), io.BytesIO())


def test_of_a_hundred_thousand_frames_the_first_ones_are_shown(source: Path) -> None:
    two = animation("GIF", 2, (16, 16), optimize=False)
    at = two.index(b"!\xf9", two.index(b"!\xf9") + 1)
    content = two[:at] + two[at:-1] * 100_000 + b";"
    begun = time.process_time()
    found = strip(source, content)
    assert found is not None and found.size == (8 * 16, 16)
    assert colours(found, 8) == [COLOURS[0]] + [COLOURS[1]] * 7
    assert time.process_time() - begun < 20


def test_the_work_is_bounded_in_pixels(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filmstrip, "WORK", 5 * 64 * 48)
    found = strip(source, animation("WEBP", 20))
    assert found is not None and colours(found, 5) == COLOURS[:5]
    monkeypatch.setattr(filmstrip, "WORK", 64 * 48)
    assert strip(source, animation("WEBP", 20)) is None


def test_an_empty_canvas_is_no_animation(source: Path) -> None:
    header = struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    with pytest.raises(PreviewError):
        strip(
            source, PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"acTL", b"\0\0\0\2\0\0\0\0") + chunk(b"IEND", b"")
        )


ANIMATIONS = [animation(kind, 4, (24, 16)) for kind in MOVING]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_to_an_animation_gives_a_strip_or_a_reason(source: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(ANIMATIONS)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    source.write_bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)
    try:
        filmstrip.filmstrip(str(source))
    except PreviewError as error:
        assert error.reason
