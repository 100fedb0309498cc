"""Looks for pictures that look like a given one, among those that have fingerprints."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from comfyvn_store.index.prints import Prints
from comfyvn_store.previews import likeness, nearness
from comfyvn_store.previews.nearness import NEAR, Sheet


class Alike(NamedTuple):
    """An object that looks like the picture: how far it is from it (0 to 1), and whether one is the other's mirror image."""

    hash: str
    distance: float
    flipped: bool


def seek(prints: Prints, picture: Image.Image, *, farthest: float = NEAR) -> list[Alike]:
    """Gives the objects that look like a presentable picture, the nearest first; none that is farther than that."""
    upright = nearness.sheet(picture)
    mirrored = upright.flipped
    kept: dict[str, Sheet | None] = {}
    best: dict[str, Alike] = {}
    for candidate in prints.candidates(likeness.views_of(picture)):
        if candidate.hash not in kept:
            found = prints.of(candidate.hash)
            kept[candidate.hash] = nearness.sheet_of(found.small) if found is not None else None
        sheet = kept[candidate.hash]
        if sheet is None:
            continue
        query = mirrored if candidate.flipped else upright
        distance = nearness.distance(query, sheet, nearness.place_of(candidate, query, sheet))
        if distance is not None and distance <= farthest and distance < _far(best, candidate.hash):
            best[candidate.hash] = Alike(candidate.hash, distance, candidate.flipped)
    return sorted(best.values(), key=lambda alike: (alike.distance, alike.hash))


def _far(best: dict[str, Alike], hash_: str) -> float:
    return best[hash_].distance if hash_ in best else 2.0


def apart(prints: Prints, one: str, other: str) -> float | None:
    """Gives the distance of two objects by their fingerprints; None where one has none, or they do not look alike.

    What was found is remembered.
    """
    known = prints.distance(one, other)
    if known is not None:
        return known[0]
    found = [prints.of(each) for each in (one, other)]
    sheets = [nearness.sheet_of(each.small) if each is not None else None for each in found]
    if sheets[0] is None or sheets[1] is None:
        return None
    if found[0] is not None and found[1] is not None and found[0].pixels and found[0].pixels == found[1].pixels:
        distance: float | None = 0.0
    else:
        distance = nearness.apart(sheets[0], sheets[1])
    prints.remember_distance(one, other, distance)
    return distance
