"""What is said of sounds, movies and animations is what ffprobe and Pillow find in the same files."""

import io
import json
import struct
import subprocess
from typing import Any

import pytest
from PIL import Image

from comfyvn_store.base.media import describe
from tests import media, sounds
from tests.carriers import movie, picture

KINDS = ("mp3", "ogg", "opus", "flac", "oga", "wav")


def facts(data: bytes) -> dict[str, Any]:
    return describe(io.BytesIO(data)).as_dict()


def probed(data: bytes) -> dict[str, Any]:
    words = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_type,width,height,channels,sample_rate:format=duration",
    ]
    done = subprocess.run(
        [*words, "-of", "json", "-i", "pipe:0"], input=data, capture_output=True, check=True, timeout=60
    )
    found = json.loads(done.stdout)
    result: dict[str, Any] = {}
    for stream in found["streams"]:
        result.update({key: int(value) for key, value in stream.items() if key != "codec_type"})
    return result


@sounds.needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_has_the_facts_that_ffprobe_finds(kind: str, channels: int) -> None:
    data = sounds.sound(kind, seconds=1.5, channels=channels, title="Hill")
    found = facts(data)
    assert {key: found[key] for key in ("channels", "sample_rate")} == probed(data)
    # MP3 of another encoder's count, and Opus' own delay, are taken off: what is left is what was put in.
    assert found["duration"] == pytest.approx(1.5, abs=0.002)


@sounds.needs_ffmpeg
def test_an_mp3_that_counts_nothing_is_walked() -> None:
    data = sounds.sound("mp3", "-write_xing", "0", "-id3v2_version", "0", seconds=2)
    found = facts(data)
    assert found["duration"] == pytest.approx(len(sounds.samples(data)[0]) / 2 / found["sample_rate"], abs=0.03)
    assert facts(data + b"TAG" + bytes(125))["duration"] == found["duration"]
    assert "duration" not in facts(data + b"\0" * 100)
    assert "duration" not in facts(data[:-10])


@sounds.needs_ffmpeg
def test_a_flac_behind_an_id3_tag_is_a_flac() -> None:
    data = sounds.sound("flac", seconds=0.5)
    tag = b"ID3\4\0\0" + bytes((0, 0, 0x40, 0)) + bytes(0x2000)
    assert (
        facts(tag + data) == facts(data) == {"mime": "audio/flac", "channels": 1, "sample_rate": 44100, "duration": 0.5}
    )


@sounds.needs_ffmpeg
@pytest.mark.parametrize(
    ("kind", "options", "mime"),
    [
        ("mp4", (), "video/mp4"),
        ("mp4", ("-movflags", "+faststart"), "video/mp4"),
        ("mov", (), "video/quicktime"),
        ("webm", ("-c:v", "libvpx-vp9"), "video/webm"),
        ("mkv", (), "video/x-matroska"),
    ],
)
def test_a_movie_has_the_facts_that_ffprobe_finds(kind: str, options: tuple[str, ...], mime: str) -> None:
    for sound in (False, True):
        data = movie(kind, *options, sound=sound)
        found = facts(data)
        assert found.pop("mime") == mime
        assert found.pop("duration") == pytest.approx(0.5, abs=0.05)
        assert found == probed(data)


@sounds.needs_ffmpeg
def test_a_sound_in_boxes_has_its_own_channels_and_not_those_of_the_entry() -> None:
    for channels in (1, 2):
        words = ["-f", "lavfi", "-i", "sine=duration=1", "-ac", str(channels)]
        found = facts(sounds.converted("m4a", *words))
        assert found == {"mime": "audio/mp4", "channels": channels, "sample_rate": 44100, "duration": 1.0}


@sounds.needs_ffmpeg
def test_a_page_that_is_damaged_or_of_another_stream_gives_no_duration() -> None:
    data = sounds.sound("opus", seconds=0.3)
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    assert facts(damaged).keys() == facts(data[:-5]).keys() == {"mime", "channels", "sample_rate"}
    other = sounds.sound("opus", seconds=0.2, frequency=880)
    serial = other[14:18]
    assert ("duration" in facts(data + other)) == (serial == data[14:18])


def frames(kind: str, count: int, **options: Any) -> bytes:
    pictures = [Image.new("RGB", (40, 30), (n * 50, n * 20, 0)) for n in range(count)]
    target = io.BytesIO()
    pictures[0].save(target, kind, save_all=True, append_images=pictures[1:], **options)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_says_how_long_it_takes(kind: str) -> None:
    found = facts(frames(kind, 4, duration=250))
    assert (found["width"], found["height"], found["duration"]) == (40, 30, 1.0)
    assert "duration" not in facts(frames(kind, 1))


def test_an_animation_that_is_cut_off_has_no_duration() -> None:
    for kind in ("GIF", "PNG"):
        data = frames(kind, 4, duration=250)
        assert "duration" not in facts(data[:-20])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
def test_the_name_says_nothing(kind: str) -> None:
    found = facts(picture(kind))
    assert (found["width"], found["height"]) == (32, 24)
    assert found["mime"].partition("/")[0] == "image"


def test_a_sound_of_less_than_a_microsecond_has_no_duration() -> None:
    data = bytearray(media.wav(0.001))
    data[24:28] = struct.pack("<I", 2**31 - 1)
    assert "duration" not in facts(bytes(data))
