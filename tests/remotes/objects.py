"""Objects for tests of remotes: bytes of a size, their hash, and the local file to send."""

import hashlib
import random
from pathlib import Path

from comfyvn_store.remotes.remote import Item, Source


class Thing:
    """Some bytes that are an object, and the file that holds them."""

    def __init__(self, folder: Path, size: int, seed: int = 0) -> None:
        self.data = random.Random(f"{size}-{seed}").randbytes(size)
        self.hash = hashlib.sha256(self.data).hexdigest()
        self.item = Item(self.hash, size)
        self.path = folder / self.hash
        folder.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.data)

    @property
    def source(self) -> Source:
        return Source(str(self.path))
