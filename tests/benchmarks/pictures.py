"""The files that are measured with: PNGs with ComfyUI graphs, as many bytes as asked for, no two the same."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.media import PNG_SIGNATURE, chunk, comfy_prompt, comfy_workflow, text_chunk

TYPES = ("characters", "backgrounds", "cg", "items", "ui")
_BLOCK = 1 << 20


def head(seed: int, width: int, height: int) -> bytes:
    """Gives a PNG up to its pixels: 8 bits of red, green and blue, and the two texts that ComfyUI writes (4.7 KB)."""
    prompt = comfy_prompt(seed)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    texts = text_chunk("prompt", json.dumps(prompt)), text_chunk("workflow", json.dumps(comfy_workflow(prompt)))
    return b"".join((PNG_SIGNATURE, header, *texts))


def picture(seed: int, size: int) -> bytes:
    """Gives a picture of noise, of about so many bytes (from 5 KB on). Each seed gives another."""
    edge = max(8, int((max(0, size - 4900) / 3) ** 0.5))
    noise = random.Random(seed).randbytes(edge * 3 * edge)
    rows = b"".join(b"\0" + noise[at : at + edge * 3] for at in range(0, len(noise), edge * 3))
    return head(seed, edge, edge) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def write_large(path: Path, seed: int, size: int) -> None:
    """Writes one picture of about so many bytes, 24,576 pixels wide at most, in IDAT chunks of a mebibyte."""
    width = min(24576, max(8, int((size / 3) ** 0.5)))
    line = 1 + width * 3
    height = max(8, size // line)
    source, packer = random.Random(seed), zlib.compressobj(1)
    with open(path, "wb") as stream:
        stream.write(head(seed, width, height))
        waiting = bytearray()
        for _ in range(height):
            waiting += packer.compress(b"\0" + source.randbytes(line - 1))
            while len(waiting) >= _BLOCK:
                stream.write(chunk(b"IDAT", bytes(waiting[:_BLOCK])))
                del waiting[:_BLOCK]
        stream.write(chunk(b"IDAT", bytes(waiting) + packer.flush()))
        stream.write(chunk(b"IEND", b""))


def place(number: int) -> str:
    """Gives where in the work tree a picture goes: five types, folders of two hundred."""
    return f"assets/{TYPES[number % 5]}/set{number // 1000:03}/p{number:06}.png"


class Pool:
    """Pictures made once, copied into the repositories of all tools: the same files for everyone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def pictures(self, count: int, size: int, seed: int = 0) -> list[Path]:
        """Gives so many pictures; those of another seed (a multiple of a million) all differ from these."""
        folder = self.folder / f"{size}-{seed}"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{number:06}" for number in range(count)]
        for number, path in enumerate(paths):
            if not path.exists():
                path.write_bytes(picture(seed + number, size))
        return paths

    def large(self, size: int) -> Path:
        """Gives one picture of so many bytes."""
        path = self.folder / f"large-{size}"
        if not path.exists():
            write_large(path, 1, size)
        return path


def lay(sources: list[Path], top: Path, first: int = 0) -> None:
    """Puts pictures into a work tree as a program saves them: a new file under each name."""
    for number, source in enumerate(sources, first):
        target = top / place(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)


def differing(one: list[Path], other: list[Path]) -> Iterator[int]:
    """Gives the numbers of the files that are not the same in both."""
    for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        if mine.read_bytes() != theirs.read_bytes():
            yield number


def painted(number: int) -> bytes:
    """A picture that is about as hard to pack as a painted one: shapes, gradients, some grain."""
    from PIL import Image, ImageDraw, ImageFilter

    source = random.Random(number)
    size = ((1024, 1024), (832, 1216), (1920, 1080))[number % 3]
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


def disk_use(path: Path) -> int:
    """Gives the bytes of disk that a file or a folder takes, each file once whatever names it has."""
    seen: set[tuple[int, int]] = set()
    used = 0
    for folder, _, names in os.walk(path):
        for name in [".", *names]:
            info = os.lstat(os.path.join(folder, name))
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                used += info.st_blocks * 512
    return used
