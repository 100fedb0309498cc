"""Times the preview worker side by side with the bare loop: Pillow decodes, shrinks and encodes on as many cores, and
nothing else is done. In turns, after one round that does not count; prints medians as Markdown. No test depends on a time.

    python tests/benchmarks/previews.py [--pictures 60] [--rounds 5] [--jobs N] [--fingerprints]
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from PIL import Image, ImageDraw, ImageFilter

from comfyvn_store.base import telling
from comfyvn_store.index import catchup
from comfyvn_store.index.printfile import NAME
from comfyvn_store.previews import worker
from comfyvn_store.vcs.repository import open_repository
from tests.benchmarks.run import Bench

SIZES = [(1024, 1024), (832, 1216), (1920, 1080)]


def picture(number: int) -> bytes:
    """A picture that is about as hard to pack as a painted one: shapes, gradients, some grain."""
    source = random.Random(number)
    size = SIZES[number % len(SIZES)]
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, radius = source.randrange(size[0]), source.randrange(size[1]), source.randrange(20, 200)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(source.randbytes(3)))
    image = image.filter(ImageFilter.GaussianBlur(2))
    grain = Image.effect_noise(size, 12).convert("RGB")
    image = Image.blend(image, grain, 0.1)
    target = io.BytesIO()
    kind = ("PNG", "PNG", "JPEG", "WEBP")[number % 4]
    image.save(target, kind, **({"compress_level": 4} if kind == "PNG" else {"quality": 90}))
    return target.getvalue()


def bare(source_and_target: tuple[str, str]) -> None:
    """Decodes, shrinks and encodes one picture."""
    source, target = source_and_target
    with Image.open(source) as image:
        image.thumbnail((512, 512), Image.Resampling.LANCZOS, reducing_gap=2.0)
        image.save(target, "WEBP", quality=80, method=4)


def polite() -> None:
    """Takes the worker's priority."""
    os.nice(10)


def bare_loop(sources: list[str], folder: Path, jobs: int) -> None:
    """The bare loop on `jobs` cores, as politely as the worker."""
    pairs = [(source, str(folder / f"{number}.webp")) for number, source in enumerate(sources)]
    with multiprocessing.get_context("fork").Pool(jobs, polite) as pool:
        pool.map(bare, pairs, chunksize=1)
        pool.close()
        pool.join()


@contextmanager
def watched_memory(found: list[int]) -> Iterator[None]:
    """Appends the most memory that the decoding processes held at one time, in bytes (PSS, summed)."""
    stop, most = threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(0.05):
            most[0] = max(most[0], sum(_held(child) for child in _children()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        found.append(most[0])


def _children() -> list[str]:
    try:
        return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split() + [
            child
            for task in os.listdir("/proc/self/task")
            if task != str(os.getpid())
            for child in Path(f"/proc/self/task/{task}/children").read_text().split()
        ]
    except OSError:
        return []


def _held(process: str) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """How long it takes, in seconds, and how much computing, which a crowded machine changes less."""
    begun, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - begun, sum(os.times()[:4]) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=worker.cores())
    parser.add_argument("--fingerprints", action="store_true", help="time those that the worker makes afterwards, too")
    wanted = parser.parse_args()
    looking = telling.quietly if wanted.fingerprints else None
    with tempfile.TemporaryDirectory(prefix="comfyvn-previews-") as name:
        top = Path(name)
        bench = Bench("comfyvn-store", top / "repo")
        (bench.path / "assets" / "art").mkdir(parents=True)
        for number in range(wanted.pictures):
            (bench.path / "assets" / "art" / f"p{number:04}.png").write_bytes(picture(number))
        bench.commit_all("art")
        repository = open_repository(str(bench.path), environment=bench.env)
        with catchup.open_index(repository) as index:
            catchup.catch_up(index, repository)
        sources = [repository.store.path(hash_) for hash_ in repository.store.hashes()]
        cache = Path(repository.settings.thumbs_root)
        plain = top / "plain"
        ours, bares, held = [], [], []
        for number in range(wanted.rounds + 1):
            shutil.rmtree(cache, ignore_errors=True)
            Path(repository.own_dir, NAME).unlink(missing_ok=True)
            with catchup.open_index(repository) as index, index.writing() as db:
                db.execute("UPDATE assets_registry SET thumb = NULL")
            shutil.rmtree(plain, ignore_errors=True)
            plain.mkdir()
            first = timed(lambda: bare_loop(sources, plain, wanted.jobs))
            with nullcontext() if number else watched_memory(held):
                second = timed(lambda: worker.work(repository, patience=1.0, looking=looking, jobs=wanted.jobs))
            assert len(list(cache.iterdir())) == len(list(plain.iterdir())) == wanted.pictures
            if number:
                bares.append(first)
                ours.append(second)
        (loop, loop_cpu), (work, work_cpu) = (
            [statistics.median(column) for column in zip(*rows, strict=True)] for rows in (bares, ours)
        )
        print(f"{wanted.pictures} pictures, {wanted.jobs} at a time, {wanted.rounds} rounds, medians\n")
        print(
            "| | seconds | pictures a second | of the bare loop | computing | of the bare loop's |\n|---|---|---|---|---|---|"
        )
        print(f"| bare loop | {loop:.2f} | {wanted.pictures / loop:.1f} | 1 | {loop_cpu:.2f} s | 1 |")
        print(
            f"| worker | {work:.2f} | {wanted.pictures / work:.1f} | {loop / work:.2f} | {work_cpu:.2f} s |"
            f" {work_cpu / loop_cpu:.2f} |"
        )
        print(f"\nall decoding processes together: {max(held) / 1e6:.0f} MB at most")
        print("rounds:", " ".join(f"{b[0]:.2f}/{o[0]:.2f}" for b, o in zip(bares, ours, strict=True)))


if __name__ == "__main__":
    main()
