"""Waveforms of compressed sounds, read by soundfile."""

import io
import math
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comfyvn_store.base import media
from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.sound import _Outline, read_sound
from tests.moving import SOUNDS, sound
from tests.samples import SAMPLES, needs_samples

pytest.importorskip("soundfile", reason="soundfile is not installed")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("object") / "6f1ed002ab5595859014ebf0951522d9"


def reason(source: Path, content: bytes) -> str:
    source.write_bytes(content)
    with pytest.raises(PreviewError) as caught:
        read_sound(str(source))
    assert str(source) not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("mime", sorted(SOUNDS))
@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_has_its_outline(mime: str, channels: int, source: Path) -> None:
    content = sound(*SOUNDS[mime], channels=channels)
    assert media.sniff(content) == mime
    source.write_bytes(content)
    wave = read_sound(str(source))
    assert wave.kind == "waveform" and wave.channels == channels and wave.sample_rate == 48_000
    assert wave.duration == pytest.approx(2.0, abs=0.06), "MP3 pads its ends"
    assert len(wave.points) == 512
    assert max(wave.points[:230]) < 0.02, "silence"
    assert wave.points[290:480] == pytest.approx([0.5] * 190, abs=0.05), "away from where it begins and ends"


def test_a_lossless_sound_is_exact(source: Path) -> None:
    source.write_bytes(sound("FLAC", "PCM_16"))
    wave = read_sound(str(source))
    assert wave.duration == 2.0
    assert wave.points[:256] == [0.0] * 256
    assert wave.points[256] > 0.08, "where it begins"
    assert wave.points[300:] == pytest.approx([0.5] * 212, abs=0.001)


@pytest.mark.parametrize("frames", [1, 2, 511, 513, 4097, 70_000])
def test_the_whole_sound_is_covered(frames: int, source: Path) -> None:
    source.write_bytes(sound("FLAC", "PCM_16", frames / 8000, 8000))
    wave = read_sound(str(source))
    assert wave.duration == round(frames / 8000, 6) and len(wave.points) == min(512, frames)


def test_what_beyond_full_scale_is_decoded_counts_as_full(source: Path) -> None:
    import soundfile

    target = io.BytesIO()
    loud = b"".join(struct.pack("<f", 3.0 * math.sin(n / 20)) for n in range(48_000))
    with soundfile.SoundFile(target, "w", 48_000, 1, "VORBIS", format="OGG") as file:
        file.buffer_write(loud, "float32")
    source.write_bytes(target.getvalue())
    assert max(read_sound(str(source)).points) == 1.0


def test_the_outline_of_a_sound_longer_than_told(source: Path) -> None:
    """The same peaks as with the right length, but for neighbours."""
    for told in (0, 1, 5000, 96_000, 1 << 35):
        outline = _Outline(told, 2)
        for start in range(0, 96_000, 500):
            level = 0.75 if start == 48_000 else 0.25
            outline.add(struct.pack("<h", int(level * 32768)) * 500)
        points = outline.points(512)
        assert len(points) == 512 and min(points) >= 0.25 and outline.frames == 96_000
        loud = [number for number, point in enumerate(points) if point == 0.75]
        assert {256, 257, 258} <= set(loud) <= ({*range(255, 260)} if told < 1 << 35 else {*range(512)})
        if told == 96_000:
            assert loud == [256, 257, 258]


@pytest.mark.parametrize("total", [0, 1, (1 << 36) - 1])
def test_a_length_that_lies_is_not_believed(total: int, source: Path) -> None:
    """A decoder may stop where the header says that the sound ends; it must not invent one, nor wait."""
    content = bytearray(sound("FLAC", "PCM_16"))
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    source.write_bytes(content)
    begun = time.process_time()
    try:
        assert read_sound(str(source)).duration <= 2.0
    except PreviewError as error:
        assert error.reason
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("mime", sorted(SOUNDS))
def test_one_that_ends_early_shows_what_is_there_or_says_why_not(mime: str, source: Path) -> None:
    content = sound(*SOUNDS[mime])
    source.write_bytes(content[: len(content) // 2])
    try:
        assert 0 < read_sound(str(source)).duration <= 2.1
    except PreviewError as error:
        assert error.reason


@pytest.mark.parametrize(
    "content", [b"", b"fLaC", b"OggS", b"ID3\4\0\0\0\0\0\0", b"no sound at all" * 99, b"\xff\xfb" * 999]
)
def test_what_is_no_sound(content: bytes, source: Path) -> None:
    assert reason(source, content)


def test_a_missing_object_is_no_fault_of_the_sound(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_sound(str(tmp_path / "nothing"))


def test_without_the_library_the_reason_names_the_extra(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source.write_bytes(sound("FLAC", "PCM_16"))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(PreviewError, match=r"comfyvn-store\[sound\]"):
        read_sound(str(source))


def test_no_hole_is_torn_into_a_long_sound(source: Path) -> None:
    """Nor are the samples of any block lost at its edges."""
    source.write_bytes(sound("MP3", "MPEG_LAYER_III", 6.0))
    assert read_sound(str(source)).points[280:500] == pytest.approx([0.5] * 220, abs=0.05)


MEMORY = """
import sys, resource
from comfyvn_store.previews.sound import _Outline, read_sound
read_sound(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(read_sound(sys.argv[2]).duration, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("mime", sorted(SOUNDS))
def test_memory_stays_flat(mime: str, tmp_path: Path) -> None:
    for name, seconds in (("short", 5.0), ("long", 240.0)):
        (tmp_path / name).write_bytes(
            sound(*SOUNDS[mime], seconds=seconds, rate=8000 if mime != "audio/opus" else 48_000)
        )
    words = [sys.executable, "-c", MEMORY, str(tmp_path / "short"), str(tmp_path / "long")]
    duration, grown = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    assert float(duration) > 239 and int(grown) < 4096, "KiB more for 48 times the sound"


FILES = [sound(*SOUNDS[mime], seconds=0.2) for mime in sorted(SOUNDS)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_to_a_sound_gives_a_waveform_or_a_reason(source: Path, data: Any) -> None:
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 8))):
        most = min(len(content), 300) if data.draw(st.booleans()) else len(content)
        content[data.draw(st.integers(0, most - 1))] = data.draw(st.integers(0, 255))
    source.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        wave = read_sound(str(source))
    except PreviewError as error:
        assert error.reason
    else:
        assert all(0 <= point <= 1 for point in wave.points) and wave.duration > 0


@needs_samples
def test_each_sample_gives_a_waveform() -> None:
    found = []
    for place in sorted(SAMPLES.rglob("*")):
        if place.is_file():
            with place.open("rb") as stream:
                if media.sniff(stream.read(media.HEAD_SIZE)) in SOUNDS:
                    found.append(place)
    assert found
    for place in found:
        wave = read_sound(str(place))
        assert wave.duration > 0 and max(wave.points) > 0.01
