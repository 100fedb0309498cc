"""The first picture of a film, taken by PyAV."""

import io
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from comfyvn_store.base import media
from comfyvn_store.previews import NeedsRoom, PreviewError
from comfyvn_store.previews.film import write_first_frame
from tests.moving import film

pytest.importorskip("av", reason="PyAV is not installed")

FILMS = {
    "video/mp4": ("mp4", "mpeg4"),
    "video/webm": ("webm", "libvpx"),
    "video/quicktime": ("mov", "mpeg4"),
    "video/x-matroska": ("matroska", "mpeg4"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("object") / "6f1ed002ab5595859014ebf0951522d9"


def shown(source: Path, content: bytes, mime: str, most_pixels: int = 178_000_000) -> Image.Image:
    source.write_bytes(content)
    target = io.BytesIO()
    write_first_frame(str(source), mime, target, most_pixels=most_pixels)
    return Image.open(target)


def reason(source: Path, content: bytes, mime: str = "video/mp4") -> str:
    with pytest.raises(PreviewError) as caught:
        shown(source, content, mime)
    assert str(source) not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("mime", sorted(FILMS))
def test_the_first_picture_is_shown(mime: str, source: Path) -> None:
    content = film(*FILMS[mime])
    assert media.sniff(content) == mime
    picture = shown(source, content, mime)
    assert picture.format == "WEBP" and picture.size == (96, 64)
    red, green, blue = picture.convert("RGB").getpixel((48, 32))  # type: ignore[misc]
    assert red > 200 and green < 60 and blue < 60


def test_it_fits_the_edge(source: Path) -> None:
    assert shown(source, film(size=(1280, 640)), "video/mp4").size == (512, 256)


def test_pixels_that_are_not_square_become_square(source: Path) -> None:
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        for packet in stream.encode(av.VideoFrame.from_image(Image.new("RGB", (96, 96)))):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    assert shown(source, target.getvalue(), "video/mp4").size == (192, 96)


def test_a_large_one_asks_for_room(source: Path) -> None:
    with pytest.raises(NeedsRoom):
        shown(source, film(), "video/mp4", most_pixels=1000)


def test_no_other_file_is_opened(source: Path) -> None:
    """A playlist in a film's clothes would have FFmpeg open what it names."""
    other = source.with_name("secret.mp4")
    other.write_bytes(film())
    for text in (f"#EXTM3U\n#EXTINF:1,\n{other}\n", f"ffconcat version 1.0\nfile '{other}'\n"):
        assert reason(source, text.encode())
        assert reason(source, text.encode(), "video/webm")


@pytest.mark.parametrize("content", [b"", b"\0\0\0\x18ftypmp42", film()[:200], film()[:-200], b"no film" * 99])
def test_what_is_no_film(content: bytes, source: Path) -> None:
    begun = time.process_time()
    assert reason(source, content)
    assert time.process_time() - begun < 5


def test_a_film_without_pictures(source: Path) -> None:
    """An MP4 with a sound alone."""
    import av

    target = io.BytesIO()
    frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
    frame.sample_rate, frame.pts = 48_000, 0
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert reason(source, target.getvalue()) == "a film without pictures"


def test_a_missing_object_is_no_fault_of_the_film(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_first_frame(str(tmp_path / "nothing"), "video/mp4", io.BytesIO(), most_pixels=1)


def test_without_the_library_the_reason_names_the_extra(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = film()
    monkeypatch.setitem(sys.modules, "av", None)
    assert "comfyvn-store[video]" in reason(source, content)


FILES = [(mime, film(*kind, count=2, size=(32, 16))) for mime, kind in sorted(FILMS.items())]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_to_a_film_gives_a_picture_or_a_reason(source: Path, data: Any) -> None:
    mime, whole = data.draw(st.sampled_from(FILES))
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content))) if data.draw(st.booleans()) else len(content)
    try:
        shown(source, bytes(content[:cut]), mime)
    except PreviewError as error:
        assert error.reason
