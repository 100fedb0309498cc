"""The hash by which an object goes."""

from __future__ import annotations

from typing import BinaryIO

_BLOCK = 1 << 20


def sha256(stream: BinaryIO) -> str:
    """Gives the SHA-256 of what is left to read of a file, in lower-case hex. Raises OSError."""
    import hashlib  # and with it OpenSSL, which only some commands need

    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
