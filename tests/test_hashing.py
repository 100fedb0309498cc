"""Hashing beside: what comes out is SHA-256, however large and in whatever blocks."""

import hashlib
import os
import threading

import pytest

from comfyvn_store.base import hashing


@pytest.mark.parametrize(
    "sizes", [[], [0], [5], [1, 0, 7], [4 << 20] * 3, [(8 << 20) + 1], [1 << 16] * 200, [9 << 20, 3, 5]]
)
def test_it_is_sha_256(sizes: list[int]) -> None:
    blocks = [os.urandom(size) for size in sizes]
    made, plain = hashing.Sha256(), hashlib.sha256()
    for block in blocks:
        made.update(block)
        plain.update(block)
        if len(block) % 2:
            assert made.copy().hexdigest() == plain.hexdigest() == made.hexdigest()
    assert made.hexdigest() == plain.hexdigest()
    made.close()
    made.close()


def test_its_thread_ends() -> None:
    before = threading.active_count()
    made = hashing.Sha256()
    for _ in range(12):
        made.update(b"x" * (1 << 20))
    assert threading.active_count() == before + 1
    copy = made.copy()
    made.close()
    for each in threading.enumerate():
        if each.name == "comfyvn-hash":
            each.join(10)
    assert threading.active_count() == before
    assert copy.hexdigest() == hashlib.sha256(b"x" * (12 << 20)).hexdigest()
