"""A small file of each format, with as much in it as it can carry; what needs ffmpeg is left out where that is not here."""

import functools
import io
import json
import shutil
import struct

from PIL import Image, PngImagePlugin

from tests import media, sounds
from tests.carriers import CARRIERS, PACKET, carried, comment_exif, movie, picture, xmp_psd


def _exif() -> bytes:
    exif = comment_exif("a cat\nNegative prompt: bad\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Version: v1.9")
    exif[0x013B], exif[0x0131] = "Ada", "Paint"
    return exif.tobytes()


def _png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", json.dumps({"sui_image_params": {"prompt": "x", "seed": 5, "loras": ["a"]}}), zip=True)
    info.add_itxt("XML:com.adobe.xmp", PACKET, zip=True)
    info.add_text("chara", "eyJkYXRhIjp7Im5hbWUiOiJNaXJhIn19")
    info.add_text("invokeai_metadata", json.dumps({"positive_prompt": "x", "seed": 5}))
    return picture("PNG", pnginfo=info, exif=_exif())


def _animated_gif() -> bytes:
    frames = [Image.new("P", (8, 8), number) for number in range(3)]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=100, comment=b"a comment")
    return target.getvalue()


def _wav() -> bytes:
    text = b"Hill\0\0"
    info = b"LIST" + struct.pack("<I", 4 + 8 + len(text)) + b"INFOINAM" + struct.pack("<I", len(text)) + text
    data = media.wav(0.01) + info
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def _signed() -> dict[str, bytes]:
    try:
        import c2pa  # noqa: F401
    except ImportError:
        return {}
    from tests.credentials import signed

    return {"signed png": signed(picture("PNG"), "image/png"), "signed jpeg": signed(picture("JPEG"), "image/jpeg")}


@functools.cache
def seeds() -> dict[str, bytes]:
    """The files by name."""
    found = {
        "png": _png(),
        "jpeg": picture("JPEG", exif=_exif(), xmp=PACKET.encode()),
        "webp": picture("WEBP", exif=_exif(), xmp=PACKET.encode()),
        "avif": picture("AVIF", exif=_exif(), xmp=PACKET.encode()),
        "tiff": picture("TIFF", exif=Image.Exif()),
        "gif": _animated_gif(),
        "psd": xmp_psd(),
        "wav": _wav(),
        "exif": _exif(),
        "xmp": PACKET.encode(),
        **_signed(),
    }
    has_ffmpeg = shutil.which("ffmpeg") is not None
    for name, (_, needs_ffmpeg, _) in CARRIERS.items():
        if has_ffmpeg or not needs_ffmpeg:
            found[name] = carried(name)
    if has_ffmpeg:
        for kind in ("mp3", "ogg", "opus", "flac", "oga"):
            found[f"{kind} tags"] = sounds.sound(kind, seconds=0.05, title="Tür", artist="Ada")
        found["mp4 sound"] = movie("mp4", sound=True, title="Hill")
        found["webm sound"] = movie("webm", "-c:v", "libvpx-vp9", "-c:a", "libopus", sound=True, title="Hill")
        found["mp3 without a count"] = sounds.sound("mp3", "-write_xing", "0", seconds=0.1)
    return found
