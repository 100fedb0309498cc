"""Measures how well pictures are found that were edited, how often others are taken for them, and how long it takes. Prints
Markdown. No test depends on a number.

    python tests/benchmarks/whence.py [--samples FOLDER] [--made 120] [--others 60] [--prints 100000]
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from PIL import Image, ImageDraw, ImageFilter, UnidentifiedImageError

from comfyvn_store.index.prints import Mark, Print, Prints
from comfyvn_store.previews import likeness
from comfyvn_store.previews.likeness import SEEN, print_from
from comfyvn_store.previews.nearness import NEAR
from comfyvn_store.previews.pictures import presentable
from comfyvn_store.previews.seeking import seek
from tests.edits import EDITS
from tests.samples import SAMPLES

LEAST = 250  # pixels of the shorter side: what is smaller is a button or a bar


def sampled(folder: Path) -> dict[str, Image.Image]:
    """The sample pictures, each once."""
    found: dict[str, Image.Image] = {}
    seen = set()
    for place in sorted(folder.rglob("*.*")):
        try:
            picture = Image.open(place)
            picture.load()
        except (UnidentifiedImageError, OSError):
            continue
        key = (picture.size, picture.tobytes())
        if min(picture.size) >= LEAST and key not in seen and not is_plain(picture):
            seen.add(key)
            found[str(place.relative_to(folder))] = picture
    return found


def is_plain(picture: Image.Image) -> bool:
    """Whether a picture shows nothing: one colour, however transparent."""
    grey = likeness.in_grey(presentable(picture.copy(), 64))
    low, high = grey.getextrema()
    return high - low < 24


def tiles(pictures: dict[str, Image.Image]) -> dict[str, Image.Image]:
    """Parts of large opaque pictures that do not overlap: as many pictures that nobody has seen."""
    found = {}
    for name, picture in pictures.items():
        if picture.mode == "RGBA" or min(picture.size) < 2 * 240:
            continue
        across, down = picture.width // 240 // 2 + 1, picture.height // 240 // 2 + 1
        width, height = picture.width // across, picture.height // down
        for number in range(across * down if across * down > 1 else 0):
            x, y = number % across * width, number // across * height
            tile = picture.convert("RGB").crop((x, y, x + width, y + height))
            if not is_plain(tile):
                found[f"{name} {number}"] = tile
    return found


def made(number: int, batch: int = 0) -> Image.Image:
    """A picture of shapes, light and grain. Those of one number and another batch share a ground and most of their shapes,
    as pictures of one prompt do, but moved and in other colours."""
    source, change = random.Random(number), random.Random(number * 1000 + batch)
    size = [(768, 768), (640, 960), (960, 544)][number % 3]
    picture = Image.linear_gradient("L").resize(size).rotate(source.randrange(360)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for _ in range(70):
        x, y, radius = source.randrange(size[0]), source.randrange(size[1]), source.randrange(12, 150)
        colour = source.randbytes(3)
        if batch:
            x, y = (at + change.randrange(-70, 71) for at in (x, y))
            colour = bytes((value + change.randrange(-60, 61)) % 256 for value in colour)
        shape = (draw.ellipse, draw.rectangle)[source.randrange(2)]
        shape((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=tuple(colour))
    picture = picture.filter(ImageFilter.GaussianBlur(2))
    grain = Image.frombytes("L", size, source.randbytes(size[0] * size[1])).convert("RGB")
    return Image.blend(picture, grain, 0.03)


def find(prints: Prints, picture: Image.Image) -> list[str]:
    """What a picture is taken for, the nearest first."""
    return [each.hash for each in seek(prints, presentable(picture.copy(), SEEN))[:5]]


def table(prints: Prints, inside: dict[str, Image.Image], outside: dict[str, Image.Image]) -> None:
    """Prints how many are found and how many others are, by kind of edit."""
    print(f"{len(inside)} pictures in the store, {len(outside)} that are not; farthest {NEAR}\n")
    print(
        "| edit | found first | in the list | missed | of others, taken for one in the store |\n|---|---|---|---|---|"
    )
    source = random.Random(20261126)
    for kind, edit in {"none": lambda picture, _: picture, **EDITS}.items():
        first = listed = wrong = 0
        for name, picture in inside.items():
            found = find(prints, edit(picture, source))
            first += found[:1] == [name]
            listed += name in found
        for picture in outside.values():
            wrong += bool(find(prints, edit(picture, source)))
        missed = len(inside) - listed
        print(f"| {kind} | {first} | {listed} | {missed} | {wrong} of {len(outside)} |", flush=True)


def grown(prints: Prints, known: list[Print], count: int) -> None:
    """Adds prints as of so many pictures: outlines and marks of real ones, mixed and with bits changed."""
    source = random.Random(1)
    marks = [mark for each in known for mark in each.marks]

    def rows() -> Iterator[tuple[str, Print | str]]:
        for number in range(count):
            chosen = source.sample(marks, min(72, len(marks)))
            mixed = [
                Mark(m.key ^ 1 << source.randrange(24), source.randrange(140), source.randrange(140)) for m in chosen
            ]
            yield (
                f"grown {number}",
                Print(f"{number:064x}", source.getrandbits(64), known[number % len(known)].small, mixed),
            )

    batch: list[tuple[str, Print | str]] = []
    for row in rows():
        batch.append(row)
        if len(batch) == 512:
            prints.add(batch)
            batch = []
    prints.add(batch)


def timed(prints: Prints, pictures: list[Image.Image]) -> None:
    """Prints how long looking takes, and the most memory that was held."""
    shown = [presentable(picture.copy(), SEEN) for picture in pictures]
    took, computed = [], []
    for picture in shown:
        begun, before = time.perf_counter(), time.process_time()
        seek(prints, picture)
        took.append(time.perf_counter() - begun)
        computed.append(time.process_time() - before)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"one look: median {statistics.median(took):.2f} s, at most {max(took):.2f} s, "
        f"computing {statistics.median(computed):.2f} s; the process held {held:.0f} MB at most"
    )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--samples", type=Path, default=SAMPLES)
    words.add_argument("--made", type=int, default=120)
    words.add_argument("--others", type=int, default=60, help="pictures that are not in the store, at most")
    words.add_argument("--prints", type=int, default=0)
    given = words.parse_args()
    real = sampled(given.samples) if given.samples.is_dir() else {}
    # Of every other sample the parts are in the store, of the rest they are what nobody has seen, and so they are not in it.
    kept = {
        name: picture for number, (name, picture) in enumerate(real.items()) if number % 3 or picture.mode == "RGBA"
    }
    parts = tiles({name: picture for name, picture in real.items() if name not in kept})
    inside = {**kept, **{f"made {number}": made(number) for number in range(given.made)}}
    chosen = random.Random(1).sample(sorted(parts), min(len(parts), given.others * 2 // 3))
    outside = {name: parts[name] for name in chosen} | {
        f"made {number}": made(number) for number in range(1000, 1000 + given.others - len(chosen))
    }
    batch = {f"made {number}": made(number, 1) for number in range(given.made)}
    with tempfile.TemporaryDirectory() as folder, Prints(str(Path(folder, "prints.db"))) as prints:
        begun = time.process_time()
        known = {name: print_from(presentable(picture.copy(), SEEN), None) for name, picture in inside.items()}
        print(
            f"a fingerprint: {(time.process_time() - begun) / len(inside) * 1000:.1f} ms of computing, without pixels\n"
        )
        prints.add(known.items())
        if given.prints:
            begun = time.perf_counter()
            grown(prints, list(known.values()), given.prints)
            size = Path(prints.path).stat().st_size / 1e6
            print(f"{given.prints} more prints in {time.perf_counter() - begun:.0f} s, {size:.0f} MB")
            timed(prints, list(inside.values())[:: max(1, len(inside) // 12)])
            return
        table(prints, inside, outside)
        taken = sum(bool(find(prints, picture)) for picture in batch.values())
        print(f"\nother pictures of a batch, taken for the one in the store: {taken} of {len(batch)}")
        timed(prints, list(inside.values()))


if __name__ == "__main__":
    main()
