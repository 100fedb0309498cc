"""Pointers of other programs that became objects, as if their text were art: by an older version of this program, or by an
editor that wrote one through a view."""

from __future__ import annotations

from comfyvn_store.base import files, links, pointers
from comfyvn_store.base.pointers import Pointer
from comfyvn_store.store.objects import Store


def text_of(store: Store, hash_: str) -> bytes | None:
    """Gives an object that is no longer than pointers are, if it is here."""
    info = store.stat(hash_)
    if info is None or not 0 < info.st_size <= pointers.LONGEST_LFS:
        return None
    try:
        return files.read_small(store.path(hash_), pointers.LONGEST_LFS)
    except OSError:
        return None


def pointer_in(store: Store, hash_: str) -> Pointer | None:
    """Gives what an object stands for whose bytes are a pointer's text; reads only what is as short as that."""
    text = text_of(store, hash_)
    return pointers.parse(text) if text is not None else None


def behind(store: Store, text: bytes) -> bytes:
    """Gives the pointer's text where `text` is a link to an object that is one, else `text` itself."""
    hash_ = links.parse_link_bytes(text)
    found = text_of(store, hash_) if hash_ is not None else None
    return found if found is not None and pointers.parse(found) is not None else text
