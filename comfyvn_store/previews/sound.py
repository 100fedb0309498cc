"""Reads the outline of a compressed sound (MP3, Ogg Vorbis, Opus, FLAC) with libsndfile, through soundfile.

Owns the use of that library, which an extra installs. It must not hold more than a small block of samples, and must not
believe what a header says of the length.
"""

from typing import Final

from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.peaks import Encoding, block_peak
from comfyvn_store.previews.waveform import Waveform

EXTRA: Final = "sound"
"""The extra that brings soundfile."""

_BLOCK_FRAMES: Final = 1 << 14
_MOST_CHANNELS: Final = 64
# Bins of equal length are merged in pairs when there are twice as many, so a sound of any length fits.
_BINS: Final = 4096


def read_sound(source: str, points: int = 512) -> Waveform:
    """Reads the sound at `source` into at most `points` peaks, as `read_waveform` does for WAV.

    The length is counted, not believed. A slice may begin up to an eighth of its length early or end as much late.
    Raises PreviewError where the bytes are no such sound or soundfile is not there, OSError where they cannot be opened.
    """
    with open(source, "rb"):
        pass
    try:
        import soundfile  # type: ignore[import-untyped,unused-ignore]
    except (ImportError, OSError) as error:
        raise PreviewError(f"needs soundfile: pip install 'comfyvn-store[{EXTRA}]'") from error
    try:
        with soundfile.SoundFile(source) as sound:
            outline = _Outline(_bin_frames(sound.frames))
            channels, rate = int(sound.channels), int(sound.samplerate)
            if not 0 < channels <= _MOST_CHANNELS or rate <= 0:
                raise PreviewError(f"damaged sound: {channels} channels at {rate} Hz")
            while block := bytes(sound.buffer_read(_BLOCK_FRAMES, dtype="float32")):
                outline.add(block, 4 * channels)
    except MemoryError as error:
        raise PreviewError("not enough memory for this sound") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OverflowError, AssertionError) as error:
        raise PreviewError(f"damaged or unsupported sound: {_said(error)}") from error
    if not outline.frames:
        raise PreviewError("a sound without samples")
    return Waveform("waveform", channels, rate, round(outline.frames / rate, 6), outline.points(points))


def _said(error: Exception) -> str:
    """What the library said, without the file's name."""
    text = str(getattr(error, "error_string", None) or error).strip().rstrip(".")
    return text.splitlines()[0] if text else type(error).__name__


def _bin_frames(told: int) -> int:
    """How long the first bins are: a length that the header tells soundly saves merging, a lie costs nothing."""
    return max(1, told // _BINS) if 0 < told < 1 << 36 else 1


class _Outline:
    """The peaks of bins of equal length, in bounded memory; the last bin may be short."""

    def __init__(self, bin_frames: int) -> None:
        self.frames = 0
        self._bin_frames = bin_frames
        self._bins: list[float] = []

    def add(self, block: bytes, frame_bytes: int) -> None:
        """Takes the next samples, floats of 32 bits."""
        total, done = len(block) // frame_bytes, 0
        while done < total:
            room = self._bin_frames - self.frames % self._bin_frames
            taken = min(room, total - done)
            peak = block_peak(block[done * frame_bytes : (done + taken) * frame_bytes], Encoding.FLOAT, 4)
            if room == self._bin_frames:
                self._bins.append(peak)
            else:
                self._bins[-1] = max(self._bins[-1], peak)
            done += taken
            self.frames += taken
            if len(self._bins) >= 2 * _BINS and self.frames % self._bin_frames == 0:
                self._bins = [max(self._bins[n : n + 2]) for n in range(0, len(self._bins), 2)]
                self._bin_frames *= 2

    def points(self, most: int) -> list[float]:
        """Gives the peaks of at most `most` equal slices, rounded to 4 digits."""
        count = min(most, self.frames)
        found = []
        for number in range(count):
            first = number * self.frames // count // self._bin_frames
            after = -(-((number + 1) * self.frames // count) // self._bin_frames)
            found.append(round(max(self._bins[first:after]), 4))
        return found
