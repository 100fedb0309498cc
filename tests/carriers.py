"""ComfyUI's graphs in every container, written as ComfyUI's own nodes and the usual node packs write them."""

import functools
import io
import json
import struct
from collections.abc import Callable
from typing import Any

from PIL import Image, PngImagePlugin

from tests import media, sounds

MODEL, MAKE = 0x0110, 0x010F
USER_COMMENT, EXIF_DIRECTORY = 0x9286, 0x8769

Graph = dict[str, Any]


def picture(kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image = Image.new("RGB", (32, 24), (200, 30, 60))
    image.putpixel((3, 4), (0, 255, 0))
    image.save(target, kind, **options)
    return target.getvalue()


def camera_exif(prompt: Graph, workflow: Graph) -> Image.Exif:
    """As SaveAnimatedWEBP has it: the prompt in the camera's model, what else there is below it."""
    exif = Image.Exif()
    exif[MODEL] = f"prompt:{json.dumps(prompt)}"
    exif[MAKE] = f"workflow:{json.dumps(workflow)}"
    return exif


def comment_exif(text: str, encoding: str = "utf-16-be") -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = b"UNICODE\0" + text.encode(encoding)
    return exif


def _texts(prompt: Graph, workflow: Graph) -> dict[str, str]:
    return {"prompt": json.dumps(prompt), "workflow": json.dumps(workflow)}


def _png(prompt: Graph, workflow: Graph) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in _texts(prompt, workflow).items():
        info.add_text(name, text)
    return picture("PNG", pnginfo=info)


def _animated_png(prompt: Graph, workflow: Graph) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in _texts(prompt, workflow).items():
        info.add(b"comf", name.encode("latin-1") + b"\0" + text.encode("latin-1"), after_idat=True)
    frames = [Image.new("RGB", (32, 24), (number * 60, 0, 0)) for number in range(3)]
    target = io.BytesIO()
    frames[0].save(target, "PNG", save_all=True, append_images=frames[1:], duration=200, pnginfo=info)
    return target.getvalue()


def _animated_webp(prompt: Graph, workflow: Graph) -> bytes:
    frames = [Image.new("RGB", (32, 24), (number * 60, 0, 0)) for number in range(3)]
    target = io.BytesIO()
    exif = camera_exif(prompt, workflow)
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:], duration=200, exif=exif)
    return target.getvalue()


def _object_exif(kind: str) -> Callable[[Graph, Graph], bytes]:
    def make(prompt: Graph, workflow: Graph) -> bytes:
        text = json.dumps({"prompt": prompt, "workflow": workflow})
        return picture(kind, exif=comment_exif(text).tobytes())

    return make


def _sound(kind: str) -> Callable[[Graph, Graph], bytes]:
    return lambda prompt, workflow: sounds.sound(kind, seconds=0.2, **_texts(prompt, workflow))


def _movie(kind: str, *options: str, comment: bool = False) -> Callable[[Graph, Graph], bytes]:
    def make(prompt: Graph, workflow: Graph) -> bytes:
        texts = _texts(prompt, workflow)
        if comment:  # VideoCombine: one object, the prompt a text within it
            texts = {"comment": json.dumps({"prompt": texts["prompt"], "workflow": workflow})}
        return movie(kind, *options, **texts)

    return make


@functools.cache
def movie(kind: str, *options: str, sound: bool = False, **tags: str) -> bytes:
    words = ["-f", "lavfi", "-i", "testsrc=duration=0.5:size=32x24:rate=8"]
    words += ["-f", "lavfi", "-i", "sine=duration=0.5:sample_rate=48000"] if sound else []
    for name, text in tags.items():
        words += ["-metadata", f"{name}={text}"]
    return sounds.converted(kind, *words, *options)


# what writes it → its media type, whether ffmpeg is needed, how
CARRIERS: dict[str, tuple[str, bool, Callable[[Graph, Graph], bytes]]] = {
    "SaveImage": ("image/png", False, _png),
    "SaveAnimatedPNG": ("image/png", False, _animated_png),
    "SaveAnimatedWEBP": ("image/webp", False, _animated_webp),
    "WebP": ("image/webp", False, lambda p, w: picture("WEBP", exif=camera_exif(p, w))),
    "JPEG, camera's tags": ("image/jpeg", False, lambda p, w: picture("JPEG", exif=camera_exif(p, w))),
    "JPEG, user comment": ("image/jpeg", False, _object_exif("JPEG")),
    "AVIF, user comment": ("image/avif", False, _object_exif("AVIF")),
    "SaveAudio": ("audio/flac", True, _sound("flac")),
    "SaveAudioMP3": ("audio/mpeg", True, _sound("mp3")),
    "SaveAudioOpus": ("audio/opus", True, _sound("opus")),
    "Vorbis": ("audio/ogg", True, _sound("ogg")),
    "SaveVideo": ("video/mp4", True, _movie("mp4", "-movflags", "use_metadata_tags")),
    "SaveWEBM": ("video/webm", True, _movie("webm", "-c:v", "libvpx-vp9")),
    "VideoCombine, MP4": ("video/mp4", True, _movie("mp4", comment=True)),
    "VideoCombine, WebM": ("video/webm", True, _movie("webm", "-c:v", "libvpx-vp9", comment=True)),
    "VideoCombine, MOV": ("video/quicktime", True, _movie("mov", comment=True)),
}


def carried(name: str, seed: int = 2**63 + 1) -> bytes:
    """A file with ComfyUI's graphs, as the named node writes it."""
    prompt = media.comfy_prompt(seed)
    return CARRIERS[name][2](prompt, media.comfy_workflow(prompt))


# what pictures state of themselves

PACKET = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:cc="http://creativecommons.org/ns#" xmp:CreatorTool="Krita 5" xmp:CreateDate="2026-01-31T12:00:00Z">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Hügel &amp; Tal</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>
<dc:subject><rdf:Bag><rdf:li>hill</rdf:li><rdf:li>evening</rdf:li></rdf:Bag></dc:subject>
<cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/"/>
<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><dc:title>not this</dc:title></rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def xmp_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET)
    return picture("PNG", pnginfo=info)


def xmp_psd() -> bytes:
    resource = b"8BIM" + struct.pack(">H", 1060) + b"\0\0" + struct.pack(">I", len(PACKET.encode())) + PACKET.encode()
    resource += b"\0" * (len(PACKET.encode()) % 2)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 24, 32, 8, 3)
    return head + struct.pack(">I", 0) + struct.pack(">I", len(resource)) + resource + struct.pack(">I", 0) + bytes(2)
