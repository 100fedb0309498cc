"""What a thumbnail shows, and which bytes give none. All pictures but the samples are made here."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from comfyvn_store.previews import NeedsRoom, PreviewError, pictures
from comfyvn_store.previews.thumbnail import EDGE, MAX_PIXELS, write_thumbnail
from tests.media import PNG_SIGNATURE, chunk
from tests.samples import SAMPLES, needs_samples

Thumbnail = Callable[[bytes], Image.Image]
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of the picture under test: a name without a suffix, as objects have."""
    return tmp_path_factory.mktemp("object") / "6f1ed002ab5595859014ebf0951522d9"


@pytest.fixture(scope="module")
def thumbnail(source: Path) -> Thumbnail:
    def make(content: bytes) -> Image.Image:
        return opened(make_thumbnail(source, content))

    return make


def make_thumbnail(source: Path, content: bytes) -> bytes:
    source.unlink(missing_ok=True)
    source.write_bytes(content)
    source.chmod(0o444)
    target = io.BytesIO()
    write_thumbnail(str(source), target)
    return target.getvalue()


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "WEBP"
    picture.load()
    return picture


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = (64, 48), colour: Any = RED) -> Image.Image:
    return Image.new(mode, size, colour)


def quarters(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red above green, blue beside white: every turn and mirroring of it looks different."""
    picture = Image.new("RGB", (2, 2))
    for place, colour in zip([(0, 0), (1, 0), (0, 1), (1, 1)], [RED, BLUE, GREEN, WHITE], strict=True):
        picture.putpixel(place, colour)
    return picture.resize(size, Image.Resampling.NEAREST)


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    """The rough colours of the quarters, from left to right and from top to bottom."""
    width, height = picture.size
    places = [(x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [rough(picture, place) for place in places]


def rough(picture: Image.Image, place: tuple[int, int] | None = None) -> tuple[int, ...]:
    """The colour at a place, or in the middle, each channel as 0, 128 or 255."""
    value = picture.getpixel(place or (picture.width // 2, picture.height // 2))
    assert isinstance(value, tuple)
    return tuple(0 if channel < 40 else 255 if channel > 215 else 128 for channel in value)


def reason_of(source: Path, content: bytes) -> str:
    with pytest.raises(PreviewError) as caught:
        make_thumbnail(source, content)
    assert str(source) not in caught.value.reason
    return caught.value.reason


WRITERS: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": partial(saved, kind="PNG"),
    "JPEG": partial(saved, kind="JPEG"),
    "progressive JPEG": partial(saved, kind="JPEG", progressive=True),
    "WebP": partial(saved, kind="WEBP"),
    "lossless WebP": partial(saved, kind="WEBP", lossless=True),
    "GIF": partial(saved, kind="GIF"),
    "BMP": partial(saved, kind="BMP"),
    "TIFF": partial(saved, kind="TIFF"),
    "ICO": partial(saved, kind="ICO", sizes=[(64, 48)]),
}
if "avif" in features.modules and features.check("avif"):
    WRITERS["AVIF"] = partial(saved, kind="AVIF")


def psd(picture: Image.Image) -> bytes:
    """A flat Photoshop file, as "Adobe Photoshop File Formats Specification" describes it."""
    planes = b"".join(channel.tobytes() for channel in picture.split())
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, picture.height, picture.width, 8, 3)
    return header + bytes(12) + b"\0\0" + planes


WRITERS["PSD"] = psd


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_is_told_from_its_bytes(kind: str, thumbnail: Thumbnail) -> None:
    picture = thumbnail(WRITERS[kind](quarters()))

    assert picture.size == (64, 48)
    assert corners(picture) == [RED, BLUE, GREEN, WHITE]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), (512, 512)),
        ((513, 100), (512, 100)),
        ((1920, 1080), (512, 288)),
        ((1080, 1920), (288, 512)),
        ((5000, 3), (512, 1)),
        ((1, 3000), (1, 512)),
        ((1, 1), (1, 1)),
        ((511, 7), (511, 7)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_it_fits_the_edge_and_is_never_enlarged(
    kind: str, size: tuple[int, int], expected: tuple[int, int], thumbnail: Thumbnail
) -> None:
    assert thumbnail(saved(plain(size=size), kind)).size == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_it_shows_the_whole_picture(kind: str, thumbnail: Thumbnail) -> None:
    picture = thumbnail(saved(quarters((2001, 1503)), kind))

    assert corners(picture) == [RED, BLUE, GREEN, WHITE]
    middle = picture.crop((240, picture.height // 2 - 16, 272, picture.height // 2 + 16))
    assert corners(middle) == [RED, BLUE, GREEN, WHITE], "the quarters meet in the middle"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "expected", "turned"),
    [
        (1, [RED, BLUE, GREEN, WHITE], False),
        (2, [BLUE, RED, WHITE, GREEN], False),
        (3, [WHITE, GREEN, BLUE, RED], False),
        (4, [GREEN, WHITE, RED, BLUE], False),
        (5, [RED, GREEN, BLUE, WHITE], True),
        (6, [GREEN, RED, WHITE, BLUE], True),
        (7, [WHITE, BLUE, GREEN, RED], True),
        (8, [BLUE, WHITE, RED, GREEN], True),
    ],
)
def test_exif_orientation_is_applied(
    kind: str,
    orientation: int,
    expected: list[tuple[int, ...]],
    turned: bool,
    thumbnail: Thumbnail,
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    picture = thumbnail(saved(quarters((1200, 600)), kind, exif=exif))

    assert picture.size == ((256, 512) if turned else (512, 256))
    assert corners(picture) == expected


def test_orientation_of_a_palette_picture(thumbnail: Thumbnail) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6

    picture = thumbnail(saved(quarters().convert("P"), "PNG", exif=exif))

    assert corners(picture) == [GREEN, RED, WHITE, BLUE]


def test_broken_exif_does_not_cost_the_picture(thumbnail: Thumbnail) -> None:
    assert rough(thumbnail(saved(plain(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))) == RED
    assert rough(thumbnail(saved(plain(), "PNG", exif=b"Exif\0\0nonsense"))) == RED


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_an_animation_shows_its_first_frame(kind: str, thumbnail: Thumbnail) -> None:
    frames = [plain(colour=GREEN), plain(colour=BLUE)]

    content = saved(plain(colour=RED), kind, save_all=True, append_images=frames)

    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 3
    picture = thumbnail(content)
    assert rough(picture) == RED
    assert getattr(picture, "n_frames", 1) == 1


def test_a_gif_whose_first_frame_is_smaller_than_its_screen(thumbnail: Thumbnail) -> None:
    content = bytearray(saved(plain(size=(40, 40)), "GIF"))
    content[6:10] = struct.pack("<HH", 80, 40)

    picture = thumbnail(bytes(content))

    assert picture.size == (80, 40)
    assert rough(picture, (20, 20))[:3] == RED


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "ICO"])
def test_alpha_stays(kind: str, thumbnail: Thumbnail) -> None:
    picture = plain("RGBA", (64, 64), (255, 0, 0, 128))
    picture.paste((0, 0, 0, 0), (0, 0, 32, 64))

    small = thumbnail(saved(picture, kind))

    assert small.mode == "RGBA"
    assert rough(small, (8, 32))[3] == 0
    assert rough(small, (48, 32)) == (255, 0, 0, 128)


def test_transparent_pixels_lend_no_colour_to_their_neighbours(thumbnail: Thumbnail) -> None:
    picture = Image.new("RGBA", (1024, 1024), (*GREEN, 0))
    picture.paste((*RED, 255), (0, 0, 511, 1024))

    small = thumbnail(saved(picture, "PNG"))

    edge = small.getpixel((254, 256))
    assert isinstance(edge, tuple)
    assert edge[0] > 200 and edge[1] < 60 and edge[3] > 200


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(saved(plain("LA", colour=(255, 128)), "PNG"), (255, 255, 255, 128), id="LA"),
        pytest.param(saved(plain("L", colour=255), "PNG", transparency=255), (*WHITE, 0), id="L and tRNS"),
        pytest.param(saved(plain(), "PNG", transparency=RED), (*RED, 0), id="RGB and tRNS"),
        pytest.param(saved(plain("P", colour=0), "PNG", transparency=0), (0, 0, 0, 0), id="palette, one index"),
        pytest.param(saved(plain("P", colour=0), "PNG", transparency=b"\x80\xff"), (0, 0, 0, 128), id="palette, alpha"),
        pytest.param(saved(plain("P", colour=0), "GIF", transparency=0), (0, 0, 0, 0), id="GIF"),
    ],
)
def test_every_way_to_be_transparent(content: bytes, expected: tuple[int, ...], thumbnail: Thumbnail) -> None:
    colour = rough(thumbnail(content))

    assert colour[3] == expected[3]
    assert colour[3] == 0 or colour == expected, "a pixel that nobody sees may have any colour"


def test_an_opaque_picture_has_no_alpha(thumbnail: Thumbnail) -> None:
    assert thumbnail(saved(plain("RGBA", colour=(*RED, 255)), "PNG")).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(saved(plain("L", colour=255), "PNG"), WHITE, id="grey"),
        pytest.param(saved(plain("1", colour=1), "PNG"), WHITE, id="1 bit"),
        pytest.param(saved(plain("1", colour=0), "TIFF"), (0, 0, 0), id="1 bit TIFF"),
        pytest.param(saved(quarters().convert("P"), "PNG"), WHITE, id="palette"),
        pytest.param(saved(plain("CMYK", colour=(0, 255, 255, 0)), "JPEG"), RED, id="CMYK JPEG"),
        pytest.param(saved(plain("CMYK", colour=(0, 255, 255, 0)), "TIFF"), RED, id="CMYK TIFF"),
        pytest.param(saved(plain("YCbCr", colour=(76, 85, 255)), "TIFF", compression="tiff_lzw"), RED, id="YCbCr TIFF"),
        pytest.param(saved(plain("LAB", colour=(255, 128, 128)), "TIFF"), WHITE, id="LAB TIFF"),
        pytest.param(saved(plain("RGBX", colour=(*RED, 9)), "TIFF"), RED, id="RGBX TIFF"),
        pytest.param(saved(plain("I;16", colour=65535), "TIFF"), WHITE, id="16-bit TIFF, white"),
        pytest.param(saved(plain("I;16B", colour=32896), "TIFF"), (128, 128, 128), id="16-bit TIFF, grey"),
        pytest.param(saved(plain("F", colour=0.5), "TIFF"), (128, 128, 128), id="float TIFF"),
        pytest.param(saved(plain("F", colour=float("nan")), "TIFF"), (0, 0, 0), id="float TIFF of nothing"),
    ],
)
def test_every_mode_is_shown(content: bytes, expected: tuple[int, ...], thumbnail: Thumbnail) -> None:
    picture = thumbnail(content)

    assert picture.mode == "RGB"
    assert rough(picture, (picture.width - 4, picture.height - 4)) == expected


def ramp(mode: str, pack: str, low: float, high: float, width: int = 1024) -> Image.Image:
    """A grey ramp from left to right."""
    values = [low + (high - low) * x / (width - 1) for x in range(width)]
    row = struct.pack(f"<{width}{pack}", *(values if pack == "f" else map(round, values)))
    return Image.frombytes(mode, (width, 4), row * 4)


@pytest.mark.parametrize(
    ("kind", "picture"),
    [
        pytest.param("PNG", ramp("I;16", "H", 0, 65535), id="16-bit PNG"),
        pytest.param("TIFF", ramp("I;16", "H", 0, 65535), id="16-bit TIFF"),
        pytest.param("TIFF", ramp("I", "i", -(2**31), 2**31 - 1), id="32-bit TIFF"),
        pytest.param("TIFF", ramp("F", "f", 0, 1), id="float TIFF, 0 to 1"),
        pytest.param("TIFF", ramp("F", "f", -4, 12), id="float TIFF, -4 to 12"),
    ],
)
def test_deep_grey_keeps_its_shades(kind: str, picture: Image.Image, thumbnail: Thumbnail) -> None:
    small = thumbnail(saved(picture, kind)).convert("L")

    shades = [small.getpixel((x, 1)) for x in range(0, 512, 73)]
    assert shades == pytest.approx([(x + 0.5) / 2 for x in range(0, 512, 73)], abs=4)


def test_16_bits_are_not_stretched(thumbnail: Thumbnail) -> None:
    small = thumbnail(saved(ramp("I;16", "H", 0, 32896), "PNG")).convert("L")

    assert small.getextrema() == pytest.approx((0, 128), abs=4)


def swapped_profile() -> bytes:
    """The sRGB profile with the primaries of red and blue exchanged."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return content.replace(b"rXYZ", b"none").replace(b"bXYZ", b"rXYZ").replace(b"none", b"bXYZ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_embedded_profile_is_followed_and_dropped(kind: str, thumbnail: Thumbnail) -> None:
    picture = thumbnail(saved(quarters(), kind, icc_profile=swapped_profile()))

    assert corners(picture) == [BLUE, RED, GREEN, WHITE]
    assert "icc_profile" not in picture.info


def test_alpha_survives_a_profile(thumbnail: Thumbnail) -> None:
    content = saved(plain("RGBA", colour=(*RED, 128)), "PNG", icc_profile=swapped_profile())

    assert rough(thumbnail(content)) == (*BLUE, 128)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("profile", [b"\0", b"not a profile" * 20, swapped_profile()[:300]])
def test_a_useless_profile_is_ignored(mode: str, profile: bytes, thumbnail: Thumbnail) -> None:
    content = saved(plain(mode, colour=0 if mode == "L" else "black"), "JPEG", icc_profile=profile)

    assert rough(thumbnail(content)) == (0, 0, 0)


def test_a_profile_for_other_colours_is_ignored(thumbnail: Thumbnail) -> None:
    content = saved(plain("CMYK", colour=(0, 255, 255, 0)), "JPEG", icc_profile=swapped_profile())

    assert rough(thumbnail(content)) == RED


def test_a_lab_picture_needs_colour_management(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImageCms.PyCMSError("no transform")

    monkeypatch.setattr(ImageCms, "profileToProfile", fail)

    content = saved(plain("LAB", colour=(255, 128, 128)), "TIFF")
    assert reason_of(source, content) == "unsupported kind of picture: no transform"


def test_it_carries_no_metadata_and_is_always_the_same(source: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description that nobody may find"
    noise = Image.effect_noise((900, 700), 80).convert("RGB")
    content = saved(noise, "JPEG", exif=exif, xmp=b"<x:xmpmeta>secret</x:xmpmeta>", comment=b"secret")

    first, second = make_thumbnail(source, content), make_thumbnail(source, content)

    assert first == second
    assert b"secret" not in first and b"description" not in first
    assert not {"exif", "xmp", "icc_profile"} & set(opened(first).info)


def header_of(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size; what follows is only a little of it."""
    size = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return PNG_SIGNATURE + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb_in_an_icon() -> bytes:
    inner = header_of(60_000, 60_000)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(header_of(60_000, 60_000), id="PNG"),
        pytest.param(header_of(2**31 - 1, 2**31 - 1), id="the largest PNG"),
        pytest.param(header_of(MAX_PIXELS // 1000 + 1, 1000), id="one row too many"),
        pytest.param(b"GIF89a" + struct.pack("<HH", 65535, 65535) + saved(plain(), "GIF")[10:], id="GIF"),
        pytest.param(bomb_in_an_icon(), id="ICO"),
    ],
)
def test_a_bomb_is_refused_by_its_header(content: bytes, source: Path) -> None:
    start = time.monotonic()

    assert "more than 178 million pixels" in reason_of(source, content)

    assert time.monotonic() - start < 1


def test_a_lower_limit_asks_for_room(source: Path) -> None:
    source.unlink(missing_ok=True)
    source.write_bytes(saved(plain(size=(200, 200)), "PNG"))
    with pytest.raises(NeedsRoom):
        write_thumbnail(str(source), io.BytesIO(), most_pixels=39_999)
    write_thumbnail(str(source), io.BytesIO(), most_pixels=40_000)


def test_the_limit_is_ours_whatever_the_program_has_set(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)

    assert "more than 178 million pixels" in reason_of(source, header_of(60_000, 60_000))
    assert Image.MAX_IMAGE_PIXELS is None

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = make_thumbnail(source, saved(plain(), "PNG"))
    assert Image.MAX_IMAGE_PIXELS == 100

    monkeypatch.undo()
    assert opened(content).size == (64, 48)


@pytest.mark.filterwarnings("error")
def test_where_pillow_reads_no_avif_the_reason_says_which_one_does(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PNG" in pictures._known_formats(), "the plugins are imported by now, which register their formats"
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    head = struct.pack(">I4s4sI4s4s", 28, b"ftyp", b"avif", 0, b"avif", b"mif1") + struct.pack(">I", 0)
    assert reason_of(source, head + bytes(64)).startswith("AVIF needs Pillow 11.3 or newer")
    assert reason_of(source, bytes(64)) == "not a picture, or none that can be read"


def test_a_large_picture_is_no_bomb(thumbnail: Thumbnail) -> None:
    content = saved(plain("1", (10_000, 10_000), 1), "PNG")

    assert thumbnail(content).size == (EDGE, EDGE)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"once upon a time", id="text"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", id="EPS"),
        pytest.param(b"P6 2 2 255 " + bytes(12), id="PPM"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="SVG"),
        pytest.param(PNG_SIGNATURE, id="no more than a signature"),
    ],
)
def test_what_is_no_picture(content: bytes, source: Path) -> None:
    assert reason_of(source, content) == "not a picture, or none that can be read"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "BMP", "TIFF"])
def test_a_truncated_picture_is_refused(kind: str, source: Path) -> None:
    content = WRITERS[kind](Image.effect_noise((300, 300), 90).convert("RGB"))

    reason = reason_of(source, content[: len(content) // 2])

    assert reason.startswith(("damaged or unsupported picture: ", "not a picture"))
    assert len(reason) < 200


def test_a_damaged_chunk_is_refused(source: Path) -> None:
    content = bytearray(saved(Image.effect_noise((300, 300), 90), "PNG"))
    content[len(content) // 2] ^= 0xFF

    assert reason_of(source, bytes(content)).startswith("damaged or unsupported picture: ")


def test_a_refusal_leaves_the_target_untouched(source: Path) -> None:
    source.unlink(missing_ok=True)
    source.write_bytes(saved(Image.effect_noise((300, 300), 90), "PNG")[:20_000])
    target = io.BytesIO()

    with pytest.raises(PreviewError):
        write_thumbnail(str(source), target)

    assert target.getvalue() == b""


def test_a_full_disk_is_no_fault_of_the_picture(source: Path) -> None:
    class Full(io.BytesIO):
        def write(self, content: object, /) -> int:
            raise OSError(28, "No space left on device")

    make_thumbnail(source, saved(plain(), "PNG"))

    with pytest.raises(OSError, match="No space left"):
        write_thumbnail(str(source), Full())


def test_a_missing_object_is_no_fault_of_the_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_thumbnail(str(tmp_path / "gone"), io.BytesIO())


fuzzed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Small, so that a change is likely to hit something that matters.
SMALL = {kind: write(quarters((9, 7))) for kind, write in WRITERS.items() if kind != "ICO"}
SMALL["ICO"] = saved(quarters((16, 16)), "ICO", sizes=[(16, 16)])
SMALL["BMP in ICO"] = saved(quarters((16, 16)), "ICO", sizes=[(16, 16)], bitmap_format="bmp")
SMALL["compressed TIFF"] = saved(quarters((9, 7)), "TIFF", compression="tiff_lzw")
SMALL["palette PNG"] = saved(quarters((9, 7)).convert("P"), "PNG", transparency=b"\x80\xff")
SMALL["16-bit PNG"] = saved(ramp("I;16", "H", 0, 65535, 9), "PNG")
SMALL["animated GIF"] = saved(quarters(), "GIF", save_all=True, append_images=[plain()])
SMALL["animated PNG"] = saved(quarters(), "PNG", save_all=True, append_images=[plain()])
SMALL["animated WebP"] = saved(quarters(), "WEBP", save_all=True, append_images=[plain()])


@fuzzed
@given(st.binary(max_size=300), st.sampled_from(sorted({content[:12] for content in SMALL.values()})))
def test_random_bytes_raise_nothing_else(source: Path, content: bytes, beginning: bytes) -> None:
    for attempt in (content, beginning + content):
        try:
            make_thumbnail(source, attempt)
        except PreviewError as error:
            assert error.reason


@fuzzed
@given(st.data())
def test_any_change_to_a_picture_gives_a_thumbnail_or_a_reason(source: Path, data: st.DataObject) -> None:
    content = bytearray(SMALL[data.draw(st.sampled_from(sorted(SMALL)))])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]

    try:
        small = opened(make_thumbnail(source, bytes(content)))
    except PreviewError as error:
        assert error.reason
    else:
        assert max(small.size) <= EDGE


def sample_pictures() -> list[Path]:
    return sorted(path for path in SAMPLES.rglob("*") if path.suffix in {".png", ".jpg", ".webp"})


def tiles(picture: Image.Image) -> list[int]:
    """The brightness of the tiles of an 8 x 8 grid over the picture, shown on grey."""
    coarse = picture.convert("RGBA").resize((8, 8), Image.Resampling.BOX)
    page = Image.new("RGBA", coarse.size, (128, 128, 128, 255))
    return list(Image.alpha_composite(page, coarse).convert("L").tobytes())


@needs_samples
@pytest.mark.parametrize("path", sample_pictures(), ids=lambda path: str(path.relative_to(SAMPLES)))
def test_each_sample_gives_a_thumbnail(path: Path) -> None:
    target = io.BytesIO()

    write_thumbnail(str(path), target)

    small = opened(target.getvalue())
    with Image.open(path) as original:
        wanted = min(1.0, EDGE / max(original.size))
        assert small.size == pytest.approx([side * wanted for side in original.size], abs=1)
        expected = tiles(original)
    assert tiles(small) == pytest.approx(expected, abs=16)


@needs_samples
def test_a_sample_sound_gives_no_thumbnail() -> None:
    with pytest.raises(PreviewError, match="not a picture"):
        write_thumbnail(str(SAMPLES / "vn_game" / "illurock.opus"), io.BytesIO())
