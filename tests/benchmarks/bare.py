"""Work without a tool around it, which nobody can be faster than: one hash, one write, one loop over pictures.

    python tests/benchmarks/bare.py hash FILE
    python tests/benchmarks/bare.py write FILE TARGET
    python tests/benchmarks/bare.py thumbnails FOLDER TARGET JOBS

Each runs in a process of its own, so nothing is imported that it does not need.
"""

from __future__ import annotations

import os
import sys

_BLOCK = 1 << 20


def hash_file(path: str) -> None:
    """One SHA-256 pass."""
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)


def write_file(path: str, target: str) -> None:
    """One write of the same bytes, and on to the disk."""
    with open(path, "rb", buffering=0) as stream, open(target, "wb", buffering=0) as copy:
        while block := stream.read(_BLOCK):
            copy.write(block)
        os.fsync(copy.fileno())


def thumbnail(source: str, target: str) -> None:
    """Decodes, shrinks and encodes one picture."""
    from PIL import Image

    with Image.open(source) as image:
        image.thumbnail((512, 512), Image.Resampling.LANCZOS, reducing_gap=2.0)
        image.save(target, "WEBP", quality=80, method=4)


def thumbnails(folder: str, target: str, jobs: int) -> None:
    """Does that with all pictures of a folder, several at a time, as politely as others who do such work."""
    os.nice(10)
    pairs = [(os.path.join(folder, name), os.path.join(target, name + ".webp")) for name in sorted(os.listdir(folder))]
    if jobs == 1:
        for source, into in pairs:
            thumbnail(source, into)
        return
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        pool.starmap(thumbnail, pairs, chunksize=1)


def main(words: list[str]) -> None:
    """Does one of them."""
    if words[0] == "hash":
        hash_file(words[1])
    elif words[0] == "write":
        write_file(words[1], words[2])
    else:
        thumbnails(words[1], words[2], int(words[3]))


if __name__ == "__main__":
    main(sys.argv[1:])
