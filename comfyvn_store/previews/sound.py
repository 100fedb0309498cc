"""Reads the outline of a compressed sound (MP3, Ogg Vorbis, Opus, FLAC) with libsndfile, through soundfile.

Owns the use of that library, which an extra installs. It must not hold more than a small block of samples, and must not
believe what a header says of the length.
"""

import struct
from types import ModuleType
from typing import Any, Final, Protocol

from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.peaks import Encoding, block_peak
from comfyvn_store.previews.waveform import Waveform


class Hash(Protocol):
    """A hash that is fed with bytes."""

    def update(self, data: bytes, /) -> None:
        """Takes the next bytes."""


EXTRA: Final = "sound"
"""The extra that brings soundfile."""

_BLOCK_FRAMES: Final = 1 << 14
_MOST_CHANNELS: Final = 64
_WIDTH: Final = 2  # bytes of a sample: what is louder than full scale is clipped to it
# Eight for each of 512 slices.
_BINS: Final = 4096


def read_sound(source: str, points: int = 512, heard: Hash | None = None) -> Waveform:
    """Reads the sound at `source` into at most `points` peaks, as `read_waveform` does for WAV.

    The length is counted, not believed; where it is not what the header says, a slice may begin up to an eighth of its
    length early and end as much late. `heard` takes the samples, 16 bits each, with channels and rate in front.
    Raises PreviewError where the bytes are no such sound or soundfile is not there, OSError where they cannot be opened.
    """
    with open(source, "rb"):
        pass
    try:
        import soundfile  # type: ignore[import-untyped,unused-ignore]
    except (ImportError, OSError) as error:
        raise PreviewError(f"needs soundfile: pip install 'comfyvn-store[{EXTRA}]'") from error
    try:
        with _straight(soundfile)(source) as sound:
            channels, rate = int(sound.channels), int(sound.samplerate)
            if not 0 < channels <= _MOST_CHANNELS or rate <= 0:
                raise PreviewError(f"damaged sound: {channels} channels at {rate} Hz")
            outline = _Outline(int(sound.frames), _WIDTH * channels)
            if heard is not None:
                heard.update(struct.pack(">II", channels, rate))
            block = bytearray(_BLOCK_FRAMES * _WIDTH * channels)
            while frames := sound.buffer_read_into(block, dtype="int16"):
                samples = bytes(block[: frames * _WIDTH * channels])
                outline.add(samples)
                if heard is not None:
                    heard.update(samples)
    except MemoryError as error:
        raise PreviewError("not enough memory for this sound") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OverflowError, AssertionError) as error:
        raise PreviewError(f"damaged or unsupported sound: {_said(error)}") from error
    if not outline.frames:
        raise PreviewError("a sound without samples")
    return Waveform("waveform", channels, rate, round(outline.frames / rate, 6), outline.points(points))


def _straight(soundfile: ModuleType) -> type[Any]:
    """The library's reader, one that only goes forward: else it seeks after every block, which tears holes into MP3."""

    class Straight(soundfile.SoundFile):  # type: ignore[misc,name-defined,unused-ignore]
        def seekable(self) -> bool:
            return False

    return Straight


def _said(error: Exception) -> str:
    """What the library said, without the file's name."""
    text = str(getattr(error, "error_string", None) or error).strip().rstrip(".")
    return text.splitlines()[0] if text else type(error).__name__


class _Outline:
    """The peaks of up to twice _BINS bins, in bounded memory.

    Bin n begins at frame n * length // _BINS. With a length that the header tells rightly every slice begins with a bin; a
    longer sound has bins left over, and whenever there are twice as many, they are merged in pairs.
    """

    def __init__(self, told: int, frame_bytes: int) -> None:
        self.frames = 0
        self._frame_bytes = frame_bytes
        self._length = told if _BINS < told < 1 << 36 else _BINS
        self._bins: list[float] = []

    def add(self, block: bytes) -> None:
        """Takes the next samples, of 16 bits."""
        wide = self._frame_bytes
        total, done = len(block) // wide, 0
        while done < total:
            if self.frames == self._edge(len(self._bins)):
                self._bins.append(0.0)
            taken = min(self._edge(len(self._bins)) - self.frames, total - done)
            peak = block_peak(block[done * wide : (done + taken) * wide], Encoding.SIGNED, _WIDTH)
            self._bins[-1] = max(self._bins[-1], peak)
            done += taken
            self.frames += taken
            if len(self._bins) == 2 * _BINS and self.frames == self._edge(2 * _BINS):
                self._bins = [max(self._bins[n : n + 2]) for n in range(0, len(self._bins), 2)]
                self._length *= 2

    def points(self, most: int) -> list[float]:
        """Gives the peaks of at most `most` equal slices, rounded to 4 digits."""
        count = min(most, self.frames)
        found = []
        for number in range(count):
            begin, end = number * self.frames // count, (number + 1) * self.frames // count
            first = begin * _BINS // self._length
            while self._edge(first + 1) <= begin:
                first += 1
            after = first + 1
            while self._edge(after) < end:
                after += 1
            found.append(round(max(self._bins[first:after]), 4))
        return found

    def _edge(self, number: int) -> int:
        return number * self._length // _BINS
