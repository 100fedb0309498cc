"""How far two pictures are from each other, once one is laid over the other.

Owns what a distance means, and from which one on nobody says that two pictures are the same one (docs/answers.md has the
measurements). Small pictures are compared, those that fingerprints keep, so it takes milliseconds, but it is an estimate: an
answer that rests on it is inferred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import compress
from operator import mul
from typing import Final, NamedTuple

from PIL import Image, ImageChops

from comfyvn_store.index.prints import Candidate
from comfyvn_store.previews.likeness import EDGE, SMALL, framed, in_grey

NEAR: Final = 0.38
"""What is farther is another picture."""

QUERY: Final = 96
"""A picture that is looked for is laid over others in a frame with as many pixels as a square with this edge."""

_LEAST_SHARE: Final = 0.25  # of either picture must lie over the other
_LEAST_LIKE: Final = 0.2  # how much the greys must go together
_FLAT: Final = 4.0  # levels of grey by which a picture must vary to be told from another
_FEW: Final = 64  # pixels that both have, with which nothing can be told
_ENOUGH: Final = 1200  # pixels of which a distance is made
_LEAST_GAIN: Final = 0.15  # of contrast that is left
_KEPT: Final = 0.7  # of the pixels, those that agree best say how the greys of one become those of the other
_HOPELESS: Final = 0.15  # a first fit that is worse is given up
_COLOUR: Final = 0.15  # what colours count beside greys: they tell a day from a night
_SQUARES: Final = [value * value for value in range(256)]
_LEVELS: Final = list(range(256))
_OPAQUE: Final = [255 if value >= 128 else 0 for value in range(256)]


class Place(NamedTuple):
    """Where one picture lies over another: by how much it is scaled, and where its corner is in the other's frame."""

    across: float
    down: float
    x: float
    y: float


class Sheet(NamedTuple):
    """A small picture, ready to be laid over others: its greys, its colours (blue and red), where it is opaque."""

    grey: Image.Image
    colours: tuple[Image.Image, Image.Image]
    opaque: Image.Image
    is_whole: bool

    @property
    def flipped(self) -> Sheet:
        """The same, mirrored."""
        turn = Image.Transpose.FLIP_LEFT_RIGHT
        blue, red = (each.transpose(turn) for each in self.colours)
        return Sheet(self.grey.transpose(turn), (blue, red), self.opaque.transpose(turn), self.is_whole)


def sheet(picture: Image.Image, edge: int = QUERY) -> Sheet:
    """Makes a sheet of a presentable picture."""
    small = framed(picture, edge)
    if small.mode == "RGBA":
        opaque = small.getchannel("A").point(_OPAQUE)
    else:
        opaque = Image.new("L", small.size, 255)
    _, blue, red = small.convert("RGB").convert("YCbCr").split()
    return Sheet(in_grey(small), (blue, red), opaque, opaque.getextrema()[0] == 255)


def sheet_of(small: bytes) -> Sheet | None:
    """Makes a sheet of the small picture that a print keeps; None if that is damaged."""
    try:
        with Image.open(BytesIO(small), formats=["WEBP"]) as picture:
            if picture.width * picture.height > 4 * SMALL * SMALL:
                return None
            return sheet(picture if picture.mode == "RGBA" else picture.convert("RGB"), SMALL)
    except Exception:  # whatever rubbish makes a decoder raise
        return None


def place_of(candidate: Candidate, query: Sheet, kept: Sheet) -> Place:
    """Gives where a candidate says that the picture that is looked for lies."""
    if candidate.x is None or candidate.y is None:
        return filling(query, kept)
    scale = candidate.scale * SMALL / QUERY
    return Place(scale, scale, candidate.x * SMALL / EDGE, candidate.y * SMALL / EDGE)


def filling(query: Sheet, kept: Sheet) -> Place:
    """Gives the place in which one picture fills the other."""
    return Place(kept.grey.width / query.grey.width, kept.grey.height / query.grey.height, 0.0, 0.0)


def distance(query: Sheet, kept: Sheet, place: Place) -> float | None:
    """Gives how far two pictures are from each other, 0 to 1, the one being laid over the other about there.

    It is what of the part that both have does not agree, beyond lighter, darker and more or less contrast. None: they are two
    pictures, or have too little on them to tell.
    """
    like, place = _settled(query, kept, place)
    if like < _LEAST_LIKE:
        return None
    laid = _Laid(query, kept, place)
    share = laid.share
    if share is None:
        return None
    greys = laid.disagreement()
    return None if greys is None else round(min(1.0, 1 - (1 - greys) * share + _COLOUR * laid.discolouring()), 4)


def apart(query: Sheet, kept: Sheet) -> float | None:
    """Gives the distance of two pictures of which nobody knows how one lies over the other."""
    found = [distance(query, kept, filling(query, kept))]
    if found[0] is None or found[0] > NEAR / 2:
        found += [distance(query, kept, place) for place in _likely(query, kept)]
    return min((each for each in found if each is not None), default=None)


# -- laying one over the other ------------------------------------------------------------------------------------------


class _Laid:
    """One picture laid over another: the greys of both where both are."""

    def __init__(self, query: Sheet, kept: Sheet, place: Place) -> None:
        self._query = query
        self._kept = kept
        self._place = place
        across, down, x, y = place
        width, height = kept.grey.size
        left, top = max(0, math.ceil(x)), max(0, math.ceil(y))
        right = min(width, math.floor(x + query.grey.width * across))
        bottom = min(height, math.floor(y + query.grey.height * down))
        self._box = (left, top, right, bottom)
        self.count = max(0, right - left) * max(0, bottom - top)
        self._both: Image.Image | None = None  # None: all of the box
        if self.count and not (query.is_whole and kept.is_whole):
            both = self._moved(query.opaque, Image.Resampling.NEAREST)
            self._both = ImageChops.multiply(both, kept.opaque.crop(self._box))
            self.count = self._both.histogram()[255]

    def _moved(self, layer: Image.Image, how: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
        """The part of the query's layer that lies in the box, in the other's pixels."""
        across, down, x, y = self._place
        left, top, right, bottom = self._box
        numbers = (1 / across, 0, (left - x) / across, 0, 1 / down, (top - y) / down)
        return layer.transform((right - left, bottom - top), Image.Transform.AFFINE, numbers, how)

    @property
    def share(self) -> float | None:
        """How much of the picture of which more lies over the other; None if it is too little of either."""
        query: float = self._query.opaque.histogram()[255] * self._place.across * self._place.down
        kept: int = self._kept.opaque.histogram()[255]
        if not query or not kept or min(self.count / query, self.count / kept) < _LEAST_SHARE:
            return None
        # Edges of one that are not edges of the other lose a row of pixels each.
        return min(1.0, 1.08 * max(self.count / query, self.count / kept))

    def likeness(self) -> float:
        """How much the greys go together, -1 to 1."""
        if self.count < _FEW:
            return -1.0
        mine, other = self._moved(self._query.grey), self._kept.grey.crop(self._box)
        of_mine, of_other = mine.histogram(self._both), other.histogram(self._both)
        gap = ImageChops.difference(mine, other).histogram(self._both)
        sum_mine, sum_other = sum(map(mul, of_mine, _LEVELS)), sum(map(mul, of_other, _LEVELS))
        square_mine, square_other = sum(map(mul, of_mine, _SQUARES)), sum(map(mul, of_other, _SQUARES))
        product = (square_mine + square_other - sum(map(mul, gap, _SQUARES))) / 2
        spread_mine = square_mine - sum_mine * sum_mine / self.count
        spread_other = square_other - sum_other * sum_other / self.count
        if min(spread_mine, spread_other) < self.count:
            return 0.0
        together: float = product - sum_mine * sum_other / self.count
        return together / math.sqrt(spread_mine * spread_other)

    def disagreement(self) -> float | None:
        """What of the greys does not agree, 0 to 1; None where there is nothing to see."""
        mine = self._moved(self._query.grey).tobytes()
        other = self._kept.grey.crop(self._box).tobytes()
        pairs = list(zip(other, mine, strict=True))
        if self._both is not None:
            pairs = list(compress(pairs, self._both.tobytes()))
        # A stride that no row's width is a multiple of, so that all columns have their turn.
        pairs = pairs[:: len(pairs) // _ENOUGH | 1]
        agreeing = pairs
        gain = shift = 0.0
        for _ in range(4):
            found = _line(agreeing)
            if found is None:  # thin lines on a plain ground: what agrees best is the ground alone
                break
            gain, shift = found
            gaps = [abs(query - gain * kept - shift) for kept, query in pairs]
            far = sorted(gaps)[int(len(gaps) * _KEPT)]
            agreeing = [pair for pair, gap in zip(pairs, gaps, strict=True) if gap <= far]
        mean = sum(kept for kept, _ in pairs) / len(pairs)
        unit = gain * math.sqrt(sum((kept - mean) ** 2 for kept, _ in pairs) / len(pairs))
        if gain <= _LEAST_GAIN or unit < _FLAT:
            return None
        return sum(min(1.0, abs(query - gain * kept - shift) / unit) for kept, query in pairs) / len(pairs)

    def discolouring(self) -> float:
        """How far the colours are from each other, 0 to 1."""
        gaps: list[float] = []
        for mine, other in zip(self._query.colours, self._kept.colours, strict=True):
            gap = ImageChops.difference(self._moved(mine), other.crop(self._box)).histogram(self._both)
            gaps.append(sum(map(mul, gap, _LEVELS)) / self.count)
        return min(1.0, sum(gaps) / 128)


def _line(pairs: list[tuple[int, int]]) -> tuple[float, float] | None:
    """Gives the straight line, gain and shift, that makes the second of each pair out of the first; None if all are one."""
    count = len(pairs)
    first, second = sum(one for one, _ in pairs), sum(other for _, other in pairs)
    spread = sum(one * one for one, _ in pairs) - first * first / count
    if spread <= count * _FLAT:
        return None
    together = sum(one * other for one, other in pairs) - first * second / count
    gain = together / spread
    return gain, (second - gain * first) / count


def _settled(query: Sheet, kept: Sheet, place: Place) -> tuple[float, Place]:
    """Moves and scales one picture over the other until it fits best; gives how well the greys go together then."""
    best = _Laid(query, kept, place).likeness()
    for zoom, step in ((0.04, 2.0), (0.02, 1.0), (0.01, 0.5), (0.005, 0.25)):
        for _ in range(4):
            before = best
            for each in _beside(place, query, zoom, step):
                like = _Laid(query, kept, each).likeness()
                if like > best + 1e-4:
                    best, place = like, each
            if best == before:
                break
        if best < _HOPELESS:
            break
    return best, place


def _beside(place: Place, query: Sheet, zoom: float, step: float) -> Iterator[Place]:
    across, down, x, y = place
    yield from (Place(across, down, x + dx, y + dy) for dx, dy in ((step, 0), (-step, 0), (0, step), (0, -step)))
    width, height = query.grey.width * across / 2, query.grey.height * down / 2
    for by in (zoom, -zoom):
        yield Place(across * (1 + by), down * (1 + by), x - by * width, y - by * height)
        yield Place(across * (1 + by), down, x - by * width, y)


def _likely(query: Sheet, kept: Sheet) -> Iterable[Place]:
    """Gives the best places found by trying many on quarter-size pictures: parts cut away, or something around it."""
    small = [_quartered(each) for each in (query, kept)]
    tried: list[tuple[float, Place]] = []
    even = math.sqrt(kept.grey.width * kept.grey.height / (query.grey.width * query.grey.height))
    for scale in (1.0, 0.87, 0.76, 0.66, 1.15, 1.32):
        width, height = query.grey.width * even * scale, query.grey.height * even * scale
        for x in _between(kept.grey.width - width):
            for y in _between(kept.grey.height - height):
                place = Place(even * scale, even * scale, x, y)
                ratio = small[0].grey.width / query.grey.width, small[1].grey.width / kept.grey.width
                shrunk = Place(
                    place.across * ratio[1] / ratio[0], place.down * ratio[1] / ratio[0], x * ratio[1], y * ratio[1]
                )
                tried.append((_Laid(small[0], small[1], shrunk).likeness(), place))
    tried.sort(reverse=True)
    return [place for like, place in tried[:3] if like > 0.3]


def _between(room: float) -> list[float]:
    """Gives the places, four pixels apart, between 0 and what is left over."""
    steps = max(1, round(abs(room) / 4))
    return [room * number / steps for number in range(steps + 1)]


def _quartered(whole: Sheet) -> Sheet:
    def smaller(layer: Image.Image) -> Image.Image:
        return layer.resize((max(1, layer.width // 4), max(1, layer.height // 4)), Image.Resampling.BOX)

    blue, red = whole.colours
    return Sheet(smaller(whole.grey), (smaller(blue), smaller(red)), smaller(whole.opaque), whole.is_whole)
