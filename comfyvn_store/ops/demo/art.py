"""The pictures of the demo: two characters in several expressions, and a park at two times of day.

The same arguments give the same pixels. A seed changes what another seed changes in a sampler: fringe, ribbon and badge
of a character, the trees and clouds of the park.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from comfyvn_store.ops.demo.sheet import Colour, Point, Sheet, darker, lighter, mixed, smooth

SPRITE_SIZE = (832, 1216)
BACKGROUND_SIZE = (1344, 768)

_MIDDLE = SPRITE_SIZE[0] / 2
_WHITE = (250, 250, 252)


class Look(NamedTuple):
    """What stays the same in every picture of a character."""

    skin: Colour
    hair: Colour
    eyes: Colour
    jacket: Colour
    accent: Colour
    is_long: bool


MIRA = Look((255, 226, 208), (196, 92, 118), (72, 140, 128), (58, 70, 116), (222, 70, 92), True)
TOMO = Look((238, 200, 170), (58, 74, 104), (176, 112, 48), (96, 124, 92), (236, 176, 64), False)


class Light(NamedTuple):
    """A time of day: the sky from top to horizon, the disc in it, hills from far to near, leaves, path."""

    sky: tuple[Colour, Colour]
    disc: Colour
    cloud: Colour
    hills: tuple[Colour, Colour, Colour]
    leaves: tuple[Colour, Colour, Colour]
    trunk: Colour
    path: Colour


NOON = Light(
    ((92, 170, 232), (226, 242, 248)),
    (255, 250, 224),
    (255, 255, 255),
    ((158, 200, 190), (128, 186, 132), (104, 166, 92)),
    ((228, 138, 66), (238, 176, 78), (206, 96, 62)),
    (112, 80, 62),
    (236, 216, 176),
)
DUSK = Light(
    ((58, 50, 112), (250, 166, 128)),
    (255, 214, 150),
    (236, 150, 158),
    ((134, 104, 148), (92, 82, 122), (62, 64, 94)),
    ((150, 74, 78), (178, 96, 80), (120, 58, 84)),
    (58, 44, 62),
    (176, 132, 136),
)


def draw_sprite(look: Look, expression: str, seed: int) -> Image.Image:
    """Draws a character, transparent around it; `expression` is happy, sad or surprised."""
    chance = random.Random(seed)
    sheet = Sheet(SPRITE_SIZE)
    _draw_back_hair(sheet, look)
    _draw_body(sheet, look, chance)
    _draw_head(sheet, look)
    _draw_face(sheet, look, expression)
    _draw_fringe(sheet, look, chance)
    return sheet.finish()


def draw_park(light: Light, seed: int) -> Image.Image:
    """Draws a park in autumn."""
    chance = random.Random(seed)
    width, height = BACKGROUND_SIZE
    sheet = Sheet(BACKGROUND_SIZE)
    sheet.shade(*light.sky)
    _draw_sky(sheet, light, chance)
    for colour, level, swell in zip(light.hills, (430, 500, 580), (46, 34, 22), strict=True):
        shift = chance.uniform(0, math.tau)
        crest = [(x, level + swell * math.sin(x / width * 7 + shift)) for x in range(-40, width + 80, 40)]
        sheet.polygon([*crest, (width + 80, height + 40), (-40, height + 40)], colour)
        if level < 580:
            for _ in range(7 if level == 430 else 5):
                x = chance.uniform(0, width)
                _draw_tree(sheet, light, chance, (x, level + 30), 0.34 if level == 430 else 0.6)
    path = [(560, 800), (640, 690), (760, 640), (700, 590), (716, 586), (820, 640), (790, 700), (860, 800)]
    sheet.polygon(smooth(path), light.path)
    _draw_bench(sheet, light)
    for x in (chance.uniform(60, 170), chance.uniform(330, 430), chance.uniform(1130, 1260)):
        _draw_tree(sheet, light, chance, (x, chance.uniform(660, 730)), chance.uniform(1.0, 1.25))
    for _ in range(70):
        spot = chance.uniform(0, width), chance.uniform(610, height)
        sheet.ellipse(spot, chance.uniform(3, 7), chance.uniform(2, 4), chance.choice(light.leaves))
    return sheet.finish().convert("RGB")


# -- a character ---------------------------------------------------------------------------------------------------


def _draw_back_hair(sheet: Sheet, look: Look) -> None:
    half = ([(416, 142), (262, 182), (196, 360), (184, 600), (196, 820), (262, 930), (330, 880)] if look.is_long
            else [(416, 150), (272, 188), (222, 300), (226, 400), (262, 486), (330, 500)])  # fmt: skip
    sheet.blob(_mirrored(half), darker(look.hair, 0.8))


def _draw_body(sheet: Sheet, look: Look, chance: random.Random) -> None:
    outline = darker(look.jacket, 0.7)
    half = [(416, 640), (350, 648), (250, 690), (206, 780), (184, 960), (174, 1130), (176, 1260), (300, 1290)]
    sheet.blob(_mirrored(half), look.jacket)
    for side in (-1, 1):
        sheet.line(_beside(side, [(158, 840), (150, 1040), (160, 1230)]), outline, 5)
    sheet.polygon([(352, 640), (416, 850), (480, 640)], _WHITE)
    sheet.blob([(372, 540), (368, 640), (416, 700), (464, 640), (460, 540)], darker(look.skin, 0.9))
    for side in (-1, 1):
        sheet.polygon(_beside(side, [(84, 640), (110, 760), (4, 900), (58, 650)]), outline)
        sheet.polygon(_beside(side, [(70, 626), (100, 700), (14, 730), (52, 640)]), _WHITE)
    accent = _tinted(look.accent, chance)
    if look.is_long:
        for side in (-1, 1):
            sheet.blob(_beside(side, [(0, 740), (58, 704), (74, 750), (58, 796)]), accent)
            sheet.polygon(_beside(side, [(2, 752), (40, 860), (12, 848)]), darker(accent, 0.85))
        sheet.ellipse((416, 750), 18, 20, darker(accent, 0.8))
    else:
        sheet.polygon([(396, 716), (436, 716), (444, 880), (416, 916), (388, 880)], accent)
        sheet.polygon([(392, 712), (440, 712), (430, 752), (402, 752)], darker(accent, 0.85))
    for y in (960, 1060, 1160):
        sheet.ellipse((416, y), 9, 9, lighter(look.jacket, 0.45))
    sheet.ellipse((530, 850), 20, 20, accent)
    sheet.ellipse((530, 850), 11, 11, lighter(accent, 0.5))


def _draw_head(sheet: Sheet, look: Look) -> None:
    shade = darker(look.skin, 0.9)
    for side in (-1, 1):
        sheet.ellipse((416 + side * 170, 436), 26, 38, look.skin)
        sheet.ellipse((416 + side * 170, 438), 13, 22, shade)
    sheet.blob(
        _mirrored([(416, 206), (300, 240), (248, 360), (256, 470), (312, 556), (374, 602), (416, 612)]), look.skin
    )


def _draw_face(sheet: Sheet, look: Look, expression: str) -> None:
    brows = {"happy": (-88, -98, -84), "sad": (-98, -86, -66), "surprised": (-112, -124, -108)}[expression]
    for side in (-1, 1):
        _draw_eye(sheet, look, expression, side)
        lifted = [(x, 452 + y) for x, y in zip((46, 84, 120), brows, strict=True)]
        sheet.line(_beside(side, lifted), darker(look.hair, 0.65), 7)
        blush = 0.5 if expression == "happy" else 0.28
        sheet.soft_ellipse((416 + side * 92, 526), 26, 13, (240, 112, 112), blush)
    sheet.line([(412, 512), (418, 522), (412, 528)], darker(look.skin, 0.75), 4)
    _draw_mouth(sheet, expression)


def _draw_eye(sheet: Sheet, look: Look, expression: str, side: int) -> None:
    wide = 1.18 if expression == "surprised" else 1.0
    x, y = _MIDDLE + side * 80, 452
    sheet.ellipse((x, y), 39, 47 * wide, (255, 255, 255))
    iris = y + (10 if expression == "sad" else 2)
    sheet.ellipse((x, iris), 25 if expression == "surprised" else 29, 38, darker(look.eyes, 0.75))
    sheet.ellipse((x, iris + 9), 22, 25, lighter(look.eyes, 0.25))
    sheet.ellipse((x, iris), 13, 19, darker(look.eyes, 0.3))
    sheet.ellipse((x - 10, iris - 15), 10, 12, (255, 255, 255))
    sheet.ellipse((x + 11, iris + 14), 5, 6, (255, 255, 255))
    lash = [(44, y - 20 * wide), (80, y - 48 * wide), (116, y - 34 * wide), (130, y - 22 * wide)]
    if expression == "sad":
        lid = [(34, y - 60), (126, y - 60), (124, y - 14), (80, y - 30), (40, y - 36)]
        sheet.polygon(smooth(_beside(side, lid)), look.skin)
        lash = [(42, y - 30), (80, y - 32), (120, y - 18), (130, y - 4)]
    sheet.line(_beside(side, lash), darker(look.hair, 0.45), 9)


def _draw_mouth(sheet: Sheet, expression: str) -> None:
    lips = (150, 62, 66)
    if expression == "happy":
        sheet.polygon(smooth([(378, 552), (416, 558), (454, 552), (436, 580), (416, 586), (396, 580)]), lips)
        sheet.polygon(smooth([(398, 576), (416, 570), (434, 576), (416, 585)]), (236, 128, 128))
    elif expression == "sad":
        sheet.line([(392, 572), (416, 562), (440, 572)], lips, 6)
        sheet.ellipse((544, 508), 9, 14, (150, 206, 240))
        sheet.ellipse((541, 504), 3, 5, (240, 250, 255))
    else:
        sheet.ellipse((416, 568), 17, 22, lips)
        sheet.ellipse((416, 576), 11, 10, (236, 128, 128))


def _draw_fringe(sheet: Sheet, look: Look, chance: random.Random) -> None:
    hair = look.hair
    if look.is_long:
        for side in (-1, 1):
            lock = [(150, 300), (196, 420), (192, 620), (206, 800), (160, 860), (158, 640), (146, 480), (138, 380)]
            sheet.blob(_beside(side, lock), lighter(hair, 0.04))
    tips = []
    locks = 7
    for number in range(locks):
        x = 590 - (number + 0.5) * 348 / locks
        droop = 392 - 40 * math.cos((x - 416) / 174 * 2.4) + chance.uniform(-22, 26)
        tips.append((x + chance.uniform(-16, 16), droop))
        if number < locks - 1:
            tips.append((x - 174 / locks, 312 + chance.uniform(-14, 14)))
    top = [(226, 430), (216, 340), (236, 250), (300, 172), (416, 138), (532, 172), (596, 250), (616, 340), (606, 430)]
    sheet.polygon([*smooth(top, closed=False), (588, 372), *tips, (244, 372)], hair)
    shine = [(280, 256), (340, 226), (416, 216), (492, 226), (552, 256), (492, 246), (416, 238), (340, 248)]
    sheet.polygon(smooth(shine), lighter(hair, 0.3))
    if look.is_long:
        pin = _tinted(look.accent, chance)
        side = chance.choice((-1, 1))
        for turn in range(5):
            angle = math.tau * turn / 5 + chance.uniform(0, 0.3)
            sheet.ellipse((416 + side * 150 + 17 * math.cos(angle), 284 + 17 * math.sin(angle)), 14, 14, pin)
        sheet.ellipse((416 + side * 150, 284), 10, 10, (255, 236, 170))
    else:
        sway = chance.choice((-1, 1)) * chance.uniform(24, 48)
        tuft = [(392, 158), (402 + sway / 2, 112), (430 + sway * 1.4, 88), (424 + sway * 0.9, 116), (440, 156)]
        sheet.polygon(smooth(tuft), hair)


# -- the park ------------------------------------------------------------------------------------------------------


def _draw_sky(sheet: Sheet, light: Light, chance: random.Random) -> None:
    spot = chance.uniform(880, 1120), chance.uniform(110, 190)
    sheet.soft_ellipse(spot, 190, 190, light.disc, 0.4)
    sheet.ellipse(spot, 54, 54, light.disc)
    for _ in range(6):
        x, y = chance.uniform(-60, BACKGROUND_SIZE[0]), chance.uniform(60, 300)
        for _ in range(6):
            puff = x + chance.uniform(-110, 110), y + chance.uniform(-16, 10)
            sheet.soft_ellipse(puff, chance.uniform(50, 90), chance.uniform(16, 30), light.cloud, 0.5)


def _draw_tree(sheet: Sheet, light: Light, chance: random.Random, foot: Point, size: float) -> None:
    x, y = foot
    trunk = [(-13, 0), (-8, -120), (-34, -190), (-6, -160), (0, -220), (8, -160), (30, -196), (9, -120), (15, 0)]
    sheet.polygon([(x + size * dx, y + size * dy) for dx, dy in trunk], light.trunk)
    for tone in sorted(light.leaves, key=sum):
        for _ in range(7):
            dx, dy = chance.uniform(-76, 76), chance.uniform(-66, 56) - sum(tone) / 16
            radius = size * chance.uniform(30, 52)
            sheet.ellipse((x + size * dx, y + size * (dy - 200)), radius, radius * 0.86, tone)


def _draw_bench(sheet: Sheet, light: Light) -> None:
    wood = lighter(light.trunk, 0.25)
    for x in (900, 1064):
        sheet.line([(x, 690), (x, 636), (x + 6, 586)], darker(light.trunk, 0.7), 9)
    for y in (590, 610, 642):
        sheet.line([(884, y), (1086, y)], wood, 12)


def _tinted(colour: Colour, chance: random.Random) -> Colour:
    """Gives a colour near another one."""
    other = chance.choice(((246, 196, 72), (88, 152, 214), (164, 104, 196), (96, 176, 128)))
    return mixed(colour, other, chance.uniform(0.0, 0.7))


def _mirrored(half: Sequence[Point]) -> list[Point]:
    """Gives a shape that is the same on both sides of a sprite's middle, from its left half."""
    return [*half, *((2 * _MIDDLE - x, y) for x, y in reversed(half) if x != _MIDDLE)]


def _beside(side: int, points: Sequence[Point]) -> list[Point]:
    """Gives points whose x counts from a sprite's middle, to the left for a `side` of -1, to the right for 1."""
    return [(_MIDDLE + side * x, y) for x, y in points]
