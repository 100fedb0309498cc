"""Sounds as programs write them, made by ffmpeg; tests of them are skipped where it is not installed."""

import contextlib
import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None, reason="ffmpeg is not installed"
)

_CODECS = {
    "mp3": ("libmp3lame",),
    "ogg": ("libvorbis",),
    "opus": ("libopus",),
    "flac": ("flac",),
    "oga": ("flac",),  # FLAC in Ogg
    "spx": ("libspeex", "-ar", "16000"),
    "wav": ("pcm_s16le",),
}


@functools.cache
def sound(
    kind: str, *options: str, seconds: float = 0.7, frequency: int = 440, channels: int = 1, **tags: str
) -> bytes:
    """A sine in the format that ffmpeg chooses for a file with this ending; `options` are those of its output."""
    source = f"sine=frequency={frequency}:duration={seconds}"
    words = ["-f", "lavfi", "-i", source, "-ac", str(channels), "-c:a", *_CODECS[kind]]
    for name, text in tags.items():
        words += ["-metadata", f"{name}={text}"]
    return converted(kind, *words, *options)


def converted(kind: str, *words: str) -> bytes:
    """What ffmpeg makes of these words, without anything that differs from run to run."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, f"sound.{kind}")
        run = ["ffmpeg", "-nostdin", "-v", "error", *words, "-fflags", "+bitexact", "-flags:a", "+bitexact", str(place)]
        subprocess.run(run, check=True, timeout=60)
        return place.read_bytes()


def samples(data: bytes) -> tuple[bytes, bytes]:
    """The decoded samples of all streams of sound, by ffmpeg, and what it had to complain of."""
    with _placed(data) as place:
        words = ["-map", "0:a", "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
        run = ["ffmpeg", "-nostdin", "-v", "error", "-i", place, *words]
        done = subprocess.run(run, capture_output=True, timeout=60, check=True)
    return done.stdout, re.sub(rb"0x[0-9a-f]+", b"", done.stderr)


def tags(data: bytes) -> dict[str, str]:
    """The tags that ffprobe finds, by names in small letters."""
    with _placed(data) as place:
        run = ["ffprobe", "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "default=nw=1", place]
        done = subprocess.run(run, capture_output=True, timeout=60, check=True)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    pairs = (line.removeprefix("TAG:").partition("=") for line in lines if line.startswith("TAG:"))
    return {name.lower(): text for name, _, text in pairs}


@contextlib.contextmanager
def _placed(data: bytes) -> Iterator[str]:
    """A file, which ffmpeg may read from its end."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "sound")
        place.write_bytes(data)
        yield str(place)
