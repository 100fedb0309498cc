"""Fuzzes everything that decodes for previews, for as long as asked: any bytes give a preview or a PreviewError.

Files of every kind are cut, overwritten, repeated and spliced by a seeded generator. What crashes the process is found again by
the seed and the number that were printed last.

    python tests/benchmarks/fuzzing.py [--seconds 600] [--seed 1]
"""

from __future__ import annotations

import argparse
import collections
import io
import os
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from comfyvn_store.previews import PreviewError, filmstrip
from comfyvn_store.previews.film import write_first_frame
from comfyvn_store.previews.sound import read_sound
from comfyvn_store.previews.thumbnail import write_thumbnail
from comfyvn_store.previews.waveform import read_waveform
from tests import media, moving


def files() -> list[tuple[str, bytes]]:
    """Whole files, each with the media type by which it is decoded."""
    found = [
        ("image/png", media.comfy_png(1)),
        ("image/png", media.png(30, 20, alpha=True)),
        ("audio/wav", media.wav()),
    ]
    for kind in moving.MOVING:
        found.append((f"image/{kind.lower()}", moving.animation(kind, 4, (24, 16))))
    for kind in ("JPEG", "BMP", "TIFF", "ICO", "WEBP"):
        target = io.BytesIO()
        moving.frames(1, (48, 32))[0].save(target, kind)
        found.append((f"image/{kind.lower()}", target.getvalue()))
    planes = [bytes(range(240))] * 4
    for version in (1, 2):
        for packed in (False, True):
            found.append(("image/psd", moving.psd(planes, (20, 12), version=version, packed=packed)))
    found.append(("image/psd", moving.psd([plane * 2 for plane in planes], (20, 12), depth=16)))
    for kind_, subtype in moving.SOUNDS.values():
        found.append((f"audio/{subtype.lower()}", moving.sound(kind_, subtype, 0.2)))
    for mime, (container, codec) in {
        "video/mp4": ("mp4", "mpeg4"),
        "video/webm": ("webm", "libvpx"),
        "video/x-matroska": ("matroska", "mpeg4"),
    }.items():
        found.append((mime, moving.film(container, codec, 2, (32, 16))))
    return found


def changed(source: random.Random, content: bytes, other: bytes) -> bytes:
    """The content with a few changes."""
    data = bytearray(content)
    for _ in range(source.randint(1, 8)):
        at = source.randrange(len(data)) if source.random() < 0.5 else source.randrange(min(len(data), 200))
        way = source.randrange(7)
        if way < 3:
            data[at] = source.randrange(256)
        elif way == 3:
            data[at : at + 4] = source.choice(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0"]
            )
        elif way == 4:
            del data[at : at + source.randrange(1, 40)]
        elif way == 5:
            data[at:at] = data[at : at + source.randrange(1, 64)] * source.randrange(1, 5)
        else:
            begin = source.randrange(len(other))
            data[at : at + 16] = other[begin : begin + source.randrange(1, 64)]
        if not data:
            return b""
    return bytes(data[: source.randrange(len(data)) + 1]) if source.random() < 0.2 else bytes(data)


def decode(mime: str, place: Path) -> None:
    """Does what the worker does with such a file. Raises PreviewError."""
    if mime == "audio/wav":
        with place.open("rb") as stream:
            read_waveform(stream)
    elif mime.startswith("audio/"):
        read_sound(str(place))
    elif mime.startswith("video/"):
        write_first_frame(str(place), mime, io.BytesIO(), most_pixels=48_000_000)
    else:
        write_thumbnail(str(place), io.BytesIO(), most_pixels=48_000_000)
        filmstrip.filmstrip(str(place), most_pixels=48_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libmpg123 says what it thinks of each file
    whole, source = files(), random.Random(wanted.seed)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    slowest: tuple[float, str, int] = (0.0, "", 0)
    end, number = time.monotonic() + wanted.seconds, 0
    with tempfile.TemporaryDirectory(prefix="comfyvn-fuzz-") as folder:
        place, note = Path(folder) / "object", Path(tempfile.gettempdir()) / f"comfyvn-fuzz-{wanted.seed}"
        while time.monotonic() < end:
            mime, content = source.choice(whole)
            place.write_bytes(changed(source, content, source.choice(whole)[1]))
            number += 1
            note.write_bytes(b"%d %s\n" % (number, mime.encode()))
            begun = time.process_time()
            try:
                decode(mime, place)
                counts[mime]["a preview"] += 1
            except PreviewError:
                counts[mime]["a reason"] += 1
            except Exception as error:
                counts[mime][f"{type(error).__name__}: {error}"[:100]] += 1
                print(f"seed {wanted.seed}, number {number}, {mime}: {error!r}", flush=True)
            slowest = max(slowest, (time.process_time() - begun, mime, number))
    for mime, found in sorted(counts.items()):
        print(f"{mime}: " + ", ".join(f"{count} {what}" for what, count in found.most_common()))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{number} files in {wanted.seconds:.0f} s, seed {wanted.seed}; slowest {slowest}; {memory} MB at most")
    note.unlink()


if __name__ == "__main__":
    main()
