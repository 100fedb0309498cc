"""Photoshop files: the flattened picture in every depth and mode, and sizes that lie."""

import io
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from comfyvn_store.previews import NeedsRoom, PreviewError
from comfyvn_store.previews.thumbnail import write_thumbnail
from tests.moving import psd, resource

SIZE = (40, 30)
PIXELS = SIZE[0] * SIZE[1]
RED = [b"\xff" * PIXELS, b"\0" * PIXELS, b"\0" * PIXELS]
HALF = b"\x80" * PIXELS


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("object") / "6f1ed002ab5595859014ebf0951522d9"


def shown(source: Path, content: bytes) -> Image.Image:
    source.write_bytes(content)
    target = io.BytesIO()
    write_thumbnail(str(source), target)
    return Image.open(target)


def middle(picture: Image.Image) -> tuple[int, ...]:
    value = picture.getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(value, tuple)
    return value


def reason(source: Path, content: bytes) -> str:
    with pytest.raises(PreviewError) as caught:
        shown(source, content)
    return caught.value.reason


def wide(planes: list[bytes]) -> list[bytes]:
    """The same planes with 16 bits: each byte twice."""
    return [bytes(byte for pair in zip(plane, plane, strict=True) for byte in pair) for plane in planes]


def floats(value: float) -> bytes:
    return struct.pack(">f", value) * PIXELS


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= 4 for a, b in zip(found, wanted, strict=True))


MODES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "RGB": (psd(RED, SIZE), (255, 0, 0)),
    "RGB, packed": (psd(RED, SIZE, packed=True), (255, 0, 0)),
    "RGB, 16 bits": (psd(wide(RED), SIZE, depth=16), (255, 0, 0)),
    "RGB, 16 bits, packed": (psd(wide(RED), SIZE, depth=16, packed=True), (255, 0, 0)),
    "RGB, 32 bits": (psd([floats(1.0), floats(0.0), floats(0.2140)], SIZE, depth=32), (255, 0, 128)),
    "RGB, 32 bits, beyond white": (psd([floats(9.0), floats(-1.0), floats(0.0)], SIZE, depth=32), (255, 0, 0)),
    "large form": (psd(RED, SIZE, version=2), (255, 0, 0)),
    "large form, packed": (psd(RED, SIZE, version=2, packed=True), (255, 0, 0)),
    "grey": (psd([HALF], SIZE, mode=1), (128, 128, 128)),
    "grey, 16 bits": (psd(wide([HALF]), SIZE, mode=1, depth=16), (128, 128, 128)),
    "duotone": (psd([HALF], SIZE, mode=8), (128, 128, 128)),
    "multichannel": (psd([HALF, HALF], SIZE, mode=7), (128, 128, 128)),
    "bitmap, black": (psd([b"\xff" * 5 * 30], SIZE, mode=0, depth=1), (0, 0, 0)),
    "bitmap, white": (psd([b"\0" * 5 * 30], SIZE, mode=0, depth=1), (255, 255, 255)),
    "indexed": (
        psd([b"\2" * PIXELS], SIZE, mode=2, palette=bytes(256) + b"\0\0\xff".ljust(256, b"\0") + bytes(256)),
        (0, 255, 0),
    ),
    "CMYK": (psd([b"\xff" * PIXELS, b"\0" * PIXELS, b"\0" * PIXELS, b"\xff" * PIXELS], SIZE, mode=4), (255, 0, 0)),
    "Lab": (psd([b"\x80" * PIXELS, b"\x80" * PIXELS, b"\x80" * PIXELS], SIZE, mode=9), (119, 119, 119)),
}


@pytest.mark.parametrize("kind", sorted(MODES))
def test_every_mode_is_shown(kind: str, source: Path) -> None:
    content, colour = MODES[kind]
    picture = shown(source, content)
    assert picture.size == SIZE and near(middle(picture.convert("RGB")), colour), middle(picture)


def test_it_shows_the_whole_picture(source: Path) -> None:
    top, bottom = b"\xff" * (PIXELS // 2), b"\0" * (PIXELS // 2)
    for packed in (False, True):
        picture = shown(source, psd([top + bottom, bottom + top, bottom * 2], SIZE, packed=packed)).convert("RGB")
        value, other = picture.getpixel((20, 5)), picture.getpixel((20, 25))
        assert isinstance(value, tuple) and isinstance(other, tuple)
        assert near(value, (255, 0, 0)) and near(other, (0, 255, 0))


LAYERS = struct.pack(">IhH", 4, -1, 0) + bytes(4)
DEEP_LAYERS = struct.pack(">II", 0, 0) + b"8BIM" + b"Lr16" + struct.pack(">IhH", 4, -1, 0)
PLAIN_LAYERS = struct.pack(">IhH", 4, 1, 0) + bytes(4)


@pytest.mark.parametrize(
    ("content", "has_alpha"),
    [
        (psd([*RED, HALF], SIZE, layers=LAYERS), True),
        (
            psd(
                [b"\xff" * PIXELS, b"\0" * PIXELS, b"\0" * PIXELS, b"\xff" * PIXELS, HALF], SIZE, mode=4, layers=LAYERS
            ),
            True,
        ),
        (psd([*RED, HALF], SIZE, layers=PLAIN_LAYERS), False),
        (psd([*RED, HALF], SIZE), False),
        (psd(wide([*RED, HALF]), SIZE, depth=16, layers=DEEP_LAYERS), True),
        (psd([HALF, HALF], SIZE, mode=1, layers=LAYERS), True),
    ],
    ids=["layers with transparency", "inks with transparency", "a saved selection", "no layers", "deep layers", "grey"],
)
def test_a_further_channel_is_transparency_only_where_the_layers_say_so(
    content: bytes, has_alpha: bool, source: Path
) -> None:
    picture = shown(source, content)
    assert (picture.mode == "RGBA") == has_alpha
    if has_alpha:
        assert abs(middle(picture)[3] - 128) <= 2


def test_its_profile_is_followed(source: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"none").replace(b"bXYZ", b"rXYZ").replace(b"none", b"bXYZ")
    plain = middle(shown(source, psd(RED, SIZE)))
    same = middle(shown(source, psd(RED, SIZE, resources=resource(1039, b"no profile"))))
    other = middle(shown(source, psd(RED, SIZE, resources=resource(1039, swapped))))
    assert near(plain, (255, 0, 0)) and near(same, (255, 0, 0)) and near(other, (0, 0, 255))


def small_jpeg() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (20, 15), (0, 0, 255)).save(target, "JPEG")
    return struct.pack(">IIIIIIHH", 1, 20, 15, 60, 900, 900, 24, 1) + target.getvalue()


UNMERGED = resource(1057, struct.pack(">IB", 1, 0) + bytes(8))
MERGED = resource(1057, struct.pack(">IB", 1, 1) + bytes(8))


def test_one_saved_without_a_flattened_picture_shows_its_small_one(source: Path) -> None:
    picture = shown(source, psd(RED, SIZE, resources=UNMERGED + resource(1036, small_jpeg())))
    assert picture.size == (20, 15) and near(middle(picture), (0, 0, 254))
    assert "without a flattened picture" in reason(source, psd(RED, SIZE, resources=UNMERGED))
    assert shown(source, psd(RED, SIZE, resources=MERGED + resource(1036, small_jpeg()))).size == SIZE


def with_size(width: int, height: int, content: bytes | None = None) -> bytes:
    data = psd(RED, SIZE) if content is None else content
    return data[:14] + struct.pack(">II", height, width) + data[22:]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_size(0, 30), "damaged PSD"),
        (with_size(4000, 3000), "ends early"),
        (with_size(4000, 3000, psd(RED, SIZE, packed=True)), "ends early"),
        (with_size(30_000, 30_000), "178 million pixels"),
        (with_size(0xFFFFFFFF, 0xFFFFFFFF), "178 million pixels"),
        (psd(RED, SIZE)[:-9], "ends early"),
        (psd(RED, SIZE)[:30], "ends early"),
        (psd(RED, SIZE)[:20], "damaged"),
        (psd(RED[:2], SIZE), "channels"),
        (psd(RED, SIZE, mode=5), "colour mode 5"),
        (psd(RED, SIZE, depth=24), "24 bits"),
        (psd(RED, SIZE, version=3), "version 3"),
        (psd(RED, SIZE)[:26] + b"\xff\xff\xff\xff" + psd(RED, SIZE)[30:], "longer than the file"),
        (psd(RED, SIZE)[:38] + b"\0\3" + psd(RED, SIZE)[40:], "compression 3"),
    ],
)
def test_what_is_refused_is_named(content: bytes, words: str, source: Path) -> None:
    begun = time.process_time()
    assert words in reason(source, content)
    assert time.process_time() - begun < 2


def test_a_large_one_asks_for_room(source: Path) -> None:
    source.write_bytes(with_size(9000, 9000))
    with pytest.raises(NeedsRoom):
        write_thumbnail(str(source), io.BytesIO(), most_pixels=48_000_000)


def test_resources_that_lie_about_their_size_cost_nothing(source: Path) -> None:
    lying = struct.pack(">4sH2xI", b"8BIM", 1039, 0x7FFFFFFF)
    assert near(middle(shown(source, psd(RED, SIZE, resources=lying))), (255, 0, 0))
    many = resource(1, b"") * 20_000
    assert near(middle(shown(source, psd(RED, SIZE, resources=many))), (255, 0, 0))


FILES = [content for content, _ in MODES.values()] + [
    psd(RED, SIZE, resources=UNMERGED + resource(1036, small_jpeg())),
    psd(wide([*RED, HALF]), SIZE, depth=16, layers=DEEP_LAYERS),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_to_a_file_gives_a_thumbnail_or_a_reason(source: Path, data: Any) -> None:
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 6))):
        most = min(len(content), 600) if data.draw(st.booleans()) else len(content)
        content[data.draw(st.integers(4, most - 1))] = data.draw(st.integers(0, 255))
    try:
        shown(
            source,
            bytes(content[: data.draw(st.integers(4, len(content)))]) if data.draw(st.booleans()) else bytes(content),
        )
    except PreviewError as error:
        assert error.reason and str(source) not in error.reason
