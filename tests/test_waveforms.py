"""What is read from a WAV file, and what is refused. All files are made here."""

import io
import json
import math
import random
import struct
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from comfyvn_store.previews import PreviewError
from comfyvn_store.previews.drawing import draw_waveform
from comfyvn_store.previews.waveform import Waveform, read_waveform, waveform_json

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
UNKNOWN = 0xFFFFFFFF

# Every kind of sample that is read, as (format tag, bits).
KINDS = [(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)]


def fmt(tag: int = PCM, bits: int = 16, channels: int = 1, rate: int = 8000, block: int | None = None) -> bytes:
    block = channels * bits // 8 if block is None else block
    return struct.pack("<HHIIHH", tag, channels, rate, (rate * block) & UNKNOWN, block, bits)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes, name: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


def wav(data: bytes, tag: int = PCM, bits: int = 16, channels: int = 1, rate: int = 8000) -> bytes:
    return riff(chunk(b"fmt ", fmt(tag, bits, channels, rate)), chunk(b"data", data))


def encoded(samples: list[float], tag: int, bits: int) -> bytes:
    """Samples of -1 to 1 in the given kind; -1 is the lowest number of a PCM kind."""
    if tag == FLOAT:
        return struct.pack(f"<{len(samples)}{'f' if bits == 32 else 'd'}", *samples)
    full = 1 << (bits - 1)
    numbers = [max(-full, min(full - 1, round(sample * full))) for sample in samples]
    if bits == 8:
        return bytes(number + 128 for number in numbers)
    return b"".join(number.to_bytes(bits // 8, "little", signed=True) for number in numbers)


def read(content: bytes, points: int = 512) -> Waveform:
    return read_waveform(io.BytesIO(content), points)


def reason_of(content: bytes) -> str:
    with pytest.raises(PreviewError) as caught:
        read(content)
    return caught.value.reason


@pytest.mark.parametrize(("tag", "bits"), KINDS)
def test_every_kind_of_sample_has_its_peaks(tag: int, bits: int) -> None:
    samples = [0.0, 0.5, -0.5, 0.25, -0.75, -1.0]

    waveform = read(wav(encoded(samples, tag, bits), tag, bits))

    assert waveform == ("waveform", 1, 8000, 0.00075, [0.0, 0.5, 0.5, 0.25, 0.75, 1.0])


def test_a_sine_of_two_channels() -> None:
    left = [0.8 * math.sin(math.tau * 100 * frame / 8000) for frame in range(8000)]
    right = [0.4 * math.sin(math.tau * 100 * frame / 8000) for frame in range(8000)]
    frames = [sample for pair in zip(left, right, strict=True) for sample in pair]

    waveform = read(wav(encoded(frames, PCM, 16), channels=2), points=10)

    assert waveform.channels == 2
    assert waveform.duration == 1.0
    assert waveform.points == [0.8] * 10


@pytest.mark.parametrize(
    ("sample", "point"),
    [
        (b"\x00\x80", 1.0),  # -32768
        (b"\xff\x7f", 1.0),  # 32767 is 0.99997
        (b"\xff\xff", 0.0),  # -1 is 0.00003
        (b"\x00\x81", 0.9922),  # -32512
        (b"\x00\x7f", 0.9922),  # 32512
        (b"\x03\x00", 0.0001),
        (b"\xfd\xff", 0.0001),
    ],
)
def test_the_edges_of_16_bits(sample: bytes, point: float) -> None:
    assert read(wav(sample)).points == [point]


@pytest.mark.parametrize(("tag", "bits"), KINDS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_peaks_agree_with_a_plain_loop(tag: int, bits: int, channels: int) -> None:
    chance = random.Random(bits * channels + tag)
    samples = [chance.uniform(-1, 1) * chance.random() ** 3 for _ in range(1000 * channels)]
    exact = [0.0 if abs(sample) < 1e-9 else sample for sample in samples]
    edges = [index * 1000 // 64 * channels for index in range(65)]
    expected = [max(abs(sample) for sample in exact[start:end]) for start, end in pairwise(edges)]

    points = read(wav(encoded(exact, tag, bits), tag, bits, channels), points=64).points

    step = 1 / 128 if bits == 8 else 1 / 32768
    assert points == pytest.approx(expected, abs=step / 2 + 0.00005)


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=60), st.integers(1, 40))
def test_16_bit_peaks_are_exact(samples: list[int], count: int) -> None:
    count_there = min(count, len(samples))
    edges = [index * len(samples) // count_there for index in range(count_there + 1)]
    expected = [round(max(abs(sample) for sample in samples[start:end]) / 32768, 4) for start, end in pairwise(edges)]

    assert read(wav(struct.pack(f"<{len(samples)}h", *samples)), count).points == expected


@given(st.lists(st.floats(width=32), min_size=1, max_size=60))
def test_floats_are_clipped_and_nan_is_silence(samples: list[float]) -> None:
    sizes = [0.0 if math.isnan(sample) else min(abs(sample), 1.0) for sample in samples]

    waveform = read(wav(struct.pack(f"<{len(samples)}f", *samples), FLOAT, 32), points=1)

    assert waveform.points == [round(max(sizes), 4)]


def test_nan_does_not_hide_its_neighbours() -> None:
    samples = [math.nan, 0.25, -math.nan, -0.5, math.nan]

    assert read(wav(encoded(samples, FLOAT, 64), FLOAT, 64), points=1).points == [0.5]
    assert read(wav(encoded(samples, FLOAT, 64), FLOAT, 64)).points == [0.0, 0.25, 0.0, 0.5, 0.0]


@pytest.mark.parametrize(("tag", "bits"), KINDS)
@pytest.mark.parametrize("frames", [1, 511, 512, 513, 1000, 100_003])
def test_the_whole_file_is_covered(tag: int, bits: int, frames: int) -> None:
    silence = encoded([0.0], tag, bits) * (frames - 1)
    spike = encoded([-1.0], tag, bits)

    first = read(wav(spike + silence, tag, bits)).points
    last = read(wav(silence + spike, tag, bits)).points

    quiet = [0.0] * (min(frames, 512) - 1)
    assert first == [1.0, *quiet]
    assert last == [*quiet, 1.0]


def test_a_spike_in_any_channel_counts() -> None:
    frame = [0.0] * 5
    samples = [*frame, 0.0, 0.0, 0.0, 0.0, 0.5, *frame]

    assert read(wav(encoded(samples, PCM, 24), bits=24, channels=5)).points == [0.0, 0.5, 0.0]


def test_more_channels_than_a_block_has_room_for() -> None:
    frame = bytearray(65535)
    frame[:] = b"\x80" * len(frame)
    frame[-1] = 0

    assert read(wav(bytes(frame) * 5, bits=8, channels=65535)).points == [1.0] * 5


def test_a_duration_is_rounded_to_microseconds() -> None:
    assert read(wav(b"\0\0" * 100, rate=44100)).duration == 0.002268


@pytest.mark.parametrize(("tag", "bits"), KINDS)
def test_the_extensible_format_is_read_by_its_sub_format(tag: int, bits: int) -> None:
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    extensible = fmt(EXTENSIBLE, bits) + struct.pack("<HHI", 22, bits, 4) + guid
    data = encoded([0.5, -1.0], tag, bits)

    assert read(riff(chunk(b"fmt ", extensible), chunk(b"data", data))).points == [0.5, 1.0]


def test_chunks_around_the_samples_are_passed_over() -> None:
    content = riff(
        chunk(b"JUNK", b"odd"),
        chunk(b"fmt ", fmt(bits=8) + b"\0\0"),
        chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0\0"),
        chunk(b"data", b"\x80\x00\xc0"),
        chunk(b"id3 ", b"\xff" * 99),
    )

    assert read(content).points == [0.0, 1.0, 0.5]


def test_the_format_may_follow_the_samples() -> None:
    assert read(riff(chunk(b"data", b"\x00\x40"), chunk(b"fmt ", fmt()))).points == [0.5]


@pytest.mark.parametrize("data_size", [0, UNKNOWN])
@pytest.mark.parametrize("riff_size", [0, UNKNOWN, 36])
def test_open_sizes_mean_to_the_end(data_size: int, riff_size: int) -> None:
    data = chunk(b"data", b"\x00\x40\x00\xc0\x00\x20", size=data_size)

    assert read(riff(chunk(b"fmt ", fmt()), data, size=riff_size)).points == [0.5, 0.5, 0.25]


def test_an_empty_sound_does_not_swallow_what_follows() -> None:
    content = riff(chunk(b"fmt ", fmt()), chunk(b"data", b""), chunk(b"LIST", b"\xff" * 50))

    assert reason_of(content) == "a WAV without samples (empty data chunk)"


def test_truncated_samples_are_what_is_there() -> None:
    content = wav(b"\x00\x40" * 1000)[:-3]

    assert read(content).duration == round(998 / 8000, 6)
    assert read(content).points == [0.5] * 512


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
@pytest.mark.parametrize("long_size", [6, 0, 1 << 40])
def test_long_sizes_are_read_from_ds64(name: bytes, long_size: int) -> None:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, long_size, 3, 0))
    data = chunk(b"data", b"\x00\x40\x00\xc0\x00\x20", size=UNKNOWN)
    after = chunk(b"LIST", b"\0" * 10) if long_size == 6 else b""

    waveform = read(riff(ds64, chunk(b"fmt ", fmt()), data, after, name=name, size=UNKNOWN))

    assert waveform.points == [0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a WAV file"),
        (b"RIFF\x04\0\0\0WEBP", "not a WAV file"),
        (b"OggS" + bytes(60), "not a WAV file"),
        (riff(name=b"RIFX"), "unsupported WAV: big-endian (RIFX)"),
        (riff(), "a WAV without a format (no fmt chunk)"),
        (riff(chunk(b"data", b"\0\0")), "a WAV without a format (no fmt chunk)"),
        (riff(chunk(b"fmt ", fmt())), "a WAV without samples (no data chunk)"),
        (wav(b""), "a WAV without samples (empty data chunk)"),
        (wav(b"\0\0\0", channels=2), "a WAV without samples (empty data chunk)"),
        (
            riff(chunk(b"fmt ", fmt()[:14]), chunk(b"data", b"\0\0")),
            "damaged WAV: the fmt chunk is cut short",
        ),
        (wav(b"\0\0", channels=0), "damaged WAV: no channels"),
        (wav(b"\0\0", rate=0), "damaged WAV: a sample rate of 0"),
        (
            riff(chunk(b"fmt ", fmt(channels=2, block=3)), chunk(b"data", bytes(12))),
            "damaged WAV: 2 channels of 16 bits do not fill a block of 3 bytes",
        ),
        (
            riff(chunk(b"fmt ", fmt(block=0)), chunk(b"data", bytes(12))),
            "damaged WAV: 1 channels of 16 bits do not fill a block of 0 bytes",
        ),
        (wav(bytes(12), bits=12), "unsupported WAV: 12-bit PCM"),
        (wav(bytes(16), bits=64), "unsupported WAV: 64-bit PCM"),
        (wav(bytes(12), bits=0), "unsupported WAV: 0-bit PCM"),
        (wav(bytes(12), tag=FLOAT, bits=16), "unsupported WAV: 16-bit float"),
        (wav(bytes(12), tag=2, bits=4), "unsupported WAV: Microsoft ADPCM"),
        (wav(bytes(12), tag=6, bits=8), "unsupported WAV: A-law"),
        (wav(bytes(12), tag=7, bits=8), "unsupported WAV: mu-law"),
        (wav(bytes(12), tag=0x11, bits=4), "unsupported WAV: IMA ADPCM"),
        (wav(bytes(12), tag=0x1234), "unsupported WAV: codec 0x1234"),
        (wav(bytes(12), tag=EXTENSIBLE), "damaged WAV: the extensible fmt chunk is cut short"),
        (
            riff(chunk(b"fmt ", fmt(EXTENSIBLE) + b"\x16\0" + bytes(6) + b"\xab" * 16), chunk(b"data", b"\0\0")),
            f"unsupported WAV: codec {'ab' * 16}",
        ),
        (riff(chunk(b"JUNK", b"") * 20_000), "not a sane WAV: more than 10000 chunks"),
    ],
)
def test_what_is_refused_is_named(content: bytes, reason: str) -> None:
    assert reason_of(content) == reason


def test_a_file_that_shrinks_while_it_is_read() -> None:
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size) if self.tell() < 44 else b""

    with pytest.raises(PreviewError, match="the file ended while it was read"):
        read_waveform(Shrinking(wav(b"\0\0" * 10)))


def test_an_error_of_the_disk_stays_what_it_is() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        read_waveform(Broken(wav(b"\0\0")))


def test_no_points_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="at least one point, not 0"):
        read(wav(b"\0\0"), points=0)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(content: bytes) -> None:
    for attempt in (content, b"RIFF\0\0\0\0WAVE" + content, b"RF64\0\0\0\0WAVEfmt \x10\0\0\0" + content):
        try:
            read(attempt)
        except PreviewError as error:
            assert error.reason


@given(st.data())
def test_any_change_to_a_file_gives_a_waveform_or_a_reason(data: st.DataObject) -> None:
    tag, bits = data.draw(st.sampled_from(KINDS))
    content = bytearray(wav(encoded([0.5, -0.5, 0.25, 0.0] * 10, tag, bits), tag, bits, channels=2))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]

    try:
        waveform = read(bytes(content))
    except PreviewError as error:
        assert error.reason
    else:
        assert 1 <= len(waveform.points) <= 512
        assert all(0 <= point <= 1 for point in waveform.points)


class Endless(io.RawIOBase):
    """A WAV of any length that takes no memory: a header, then one byte again and again."""

    def __init__(self, header: bytes, length: int) -> None:
        self.header, self.length, self.position = header, length, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}[whence]
        return self.position

    def read(self, size: int = -1, /) -> bytes:
        content = self.header[self.position : self.position + size]
        content += b"\x40" * min(size - len(content), self.length - self.position - len(content))
        self.position += len(content)
        return content


def test_memory_stays_flat() -> None:
    header = riff(chunk(b"fmt ", fmt(bits=24, channels=2)), chunk(b"data", b"", size=UNKNOWN), size=UNKNOWN)
    long = Endless(header, length=64 << 20)

    tracemalloc.start()
    waveform = read_waveform(long, points=4)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert waveform.points == [0.502] * 4
    assert peak < 4 << 20


def test_the_json_is_canonical() -> None:
    text = waveform_json(read(wav(encoded([0.5, -1.0, 0.0], PCM, 16))))

    assert text == (b'{"kind":"waveform","channels":1,"sample_rate":8000,"duration":0.000375,"points":[0.5,1.0,0.0]}\n')
    assert list(json.loads(text)) == list(Waveform._fields)


def test_reading_a_waveform_needs_no_pillow() -> None:
    program = "import sys, comfyvn_store.previews.waveform; sys.exit('PIL' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1]).returncode == 0


def drawn(waveform: Waveform) -> Image.Image:
    target = io.BytesIO()
    draw_waveform(waveform, target)
    picture = Image.open(io.BytesIO(target.getvalue()))
    assert picture.format == "WEBP"
    return picture.convert("RGBA")


def column_height(picture: Image.Image, x: int) -> int:
    return sum(picture.getchannel("A").crop((x, 0, x + 1, picture.height)).tobytes()) // 255


def test_a_drawing_shows_the_points() -> None:
    points = [0.0] * 256 + [1.0] * 128 + [0.5] * 128

    picture = drawn(Waveform("waveform", 1, 8000, 1.0, points))

    assert picture.size == (512, 128)
    assert [column_height(picture, x) for x in (0, 252, 256, 380, 384, 510)] == [2, 2, 128, 128, 64, 64]
    assert column_height(picture, 3) == 0, "a gap between two bars"
    alpha = picture.getchannel("A")
    assert alpha.tobytes() == alpha.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes()


@pytest.mark.parametrize("count", [1, 3, 127, 128, 129, 511, 512])
def test_a_drawing_shows_the_first_and_the_last_point(count: int) -> None:
    quiet = [0.0] * count

    first = drawn(Waveform("waveform", 1, 8000, 1.0, [1.0, *quiet][:count]))
    last = drawn(Waveform("waveform", 1, 8000, 1.0, [*quiet, 1.0][-count:]))

    assert column_height(first, 0) == 128
    assert column_height(last, 508) == 128


def test_a_full_disk_is_no_fault_of_the_waveform() -> None:
    class Full(io.BytesIO):
        def write(self, content: object, /) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        draw_waveform(Waveform("waveform", 1, 8000, 1.0, [0.5]), Full())
