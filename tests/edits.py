"""What becomes of pictures on their way through chats, editors and screenshots: one function for each kind, from a picture and
a source of chance to a picture."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Edit = Callable[[Image.Image, random.Random], Image.Image]


def opaque(picture: Image.Image, ground: str = "white") -> Image.Image:
    """The picture as RGB, on a ground where it is transparent."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    below = Image.new("RGBA", picture.size, ground)
    below.alpha_composite(picture.convert("RGBA"))
    return below.convert("RGB")


def resized(by: float) -> Edit:
    def edit(picture: Image.Image, _: random.Random) -> Image.Image:
        size = max(1, round(picture.width * by)), max(1, round(picture.height * by))
        return picture.resize(size, Image.Resampling.BICUBIC)

    return edit


def encoded(kind: str, **settings: object) -> Edit:
    def edit(picture: Image.Image, _: random.Random) -> Image.Image:
        data = io.BytesIO()
        opaque(picture).save(data, kind, **settings)
        found = Image.open(io.BytesIO(data.getvalue()))
        found.load()
        return found

    return edit


def cropped(away: float) -> Edit:
    """So much of the area is cut away, not evenly from all sides."""

    def edit(picture: Image.Image, source: random.Random) -> Image.Image:
        across = min(1.0, max(1 - away, (1 - away) ** 0.5 * source.uniform(0.92, 1.08)))
        width, height = int(picture.width * across), int(picture.height * (1 - away) / across)
        x, y = source.randint(0, picture.width - width), source.randint(0, picture.height - height)
        return picture.crop((x, y, x + width, y + height))

    return edit


def painted(share: float) -> Edit:
    """Ellipses of loud colours over so much of the area."""

    def edit(picture: Image.Image, source: random.Random) -> Image.Image:
        picture = opaque(picture)
        draw, (width, height), done = ImageDraw.Draw(picture), picture.size, 0.0
        while done < share * width * height:
            across, down = source.uniform(0.08, 0.25) * width, source.uniform(0.08, 0.25) * height
            x, y = source.uniform(0, width - across), source.uniform(0, height - down)
            draw.ellipse((x, y, x + across, y + down), fill=tuple(source.randbytes(3)))
            done += across * down * 0.785
        return picture

    return edit


def spoken(picture: Image.Image, _: random.Random) -> Image.Image:
    """A box with text over the lower fifth."""
    picture = opaque(picture)
    draw, (width, height) = ImageDraw.Draw(picture), picture.size
    draw.rectangle((0, round(height * 0.8), width, height), fill=(20, 20, 40))
    for row in range(3):
        at = (round(width * 0.06), round(height * (0.82 + 0.05 * row)))
        draw.text(at, "I never said that it was me. " * 3, fill="white", font_size=max(8, height // 28))
    return picture


def shot(picture: Image.Image, source: random.Random) -> Image.Image:
    """A screenshot: scaled, with a border on each side and a line of text, as JPEG."""
    picture = resized(source.uniform(0.4, 0.9))(opaque(picture), source)
    width, height = picture.size
    left, right, above, below = (source.uniform(0.01, 0.1) for _ in range(4))
    size = round(width * (1 + left + right)), round(height * (1 + above + below))
    whole = Image.new("RGB", size, source.choice(["#202225", "white", "black"]))
    whole.paste(picture, (round(width * left), round(height * above)))
    ImageDraw.Draw(whole).text((4, 2), "mika, today at 14:02", fill="grey")
    return encoded("JPEG", quality=80)(whole, source)


def graded(picture: Image.Image, source: random.Random) -> Image.Image:
    """Brightness, contrast, saturation, and a tint."""
    picture = opaque(picture)
    for how, least, most in (
        (ImageEnhance.Brightness, 0.75, 1.3),
        (ImageEnhance.Contrast, 0.8, 1.25),
        (ImageEnhance.Color, 0.4, 1.6),
    ):
        picture = how(picture).enhance(source.uniform(least, most))
    return Image.blend(picture, Image.new("RGB", picture.size, tuple(source.randbytes(3))), 0.12)


def mirrored(picture: Image.Image, _: random.Random) -> Image.Image:
    return ImageOps.mirror(picture)


def several(*edits: Edit) -> Edit:
    def edit(picture: Image.Image, source: random.Random) -> Image.Image:
        for each in edits:
            picture = each(picture, source)
        return picture

    return edit


EDITS: Mapping[str, Edit] = {
    "resized to 25 %": resized(0.25),
    "resized to 50 %": resized(0.5),
    "resized to 200 %": resized(2.0),
    "JPEG, quality 80": encoded("JPEG", quality=80),
    "JPEG, quality 30": encoded("JPEG", quality=30),
    "WebP, quality 50": encoded("WEBP", quality=50),
    "GIF, 256 colours": encoded("GIF"),
    "screenshot": shot,
    "cropped by 5 %": cropped(0.05),
    "cropped by 15 %": cropped(0.15),
    "cropped by 30 %": cropped(0.3),
    "cropped by 50 %": cropped(0.5),
    "painted on a tenth": painted(0.1),
    "painted on a fifth": painted(0.2),
    "a box with text below": spoken,
    "colours graded": graded,
    "mirrored": mirrored,
    "cropped by 30 %, halved, JPEG 50": several(cropped(0.3), resized(0.5), encoded("JPEG", quality=50)),
    "screenshot, painted on a tenth": several(painted(0.1), shot),
}
