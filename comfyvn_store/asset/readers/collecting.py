"""Out of a file its entries: one function for each family of containers, which loads that container's module alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

from comfyvn_store.asset.readers.entries import Entries, named

if TYPE_CHECKING:
    from comfyvn_store.base.containers.riff import Chunk

_LONGEST_BLOB = 16 * 1024 * 1024
_MOST_LISTS = 16  # of a WAV; who writes one has one

# ID3's frames and RIFF's INFO, as far as they say what an entry's name means.
_FRAMES = {
    "TIT2": "title",
    "TPE1": "artist",
    "TCOM": "composer",
    "TALB": "album",
    "TCOP": "copyright",
    "TCON": "genre",
    "TDRC": "date",
    "TYER": "date",
    "TSSE": "encoder",
    "TENC": "encoded-by",
    "COMM": "comment",
}
_URLS = {"WCOP": "license", "WCP": "license", "WOAF": "url", "WAF": "url"}
_INFO = {
    "INAM": "title",
    "IART": "artist",
    "ICMT": "comment",
    "ICOP": "copyright",
    "ICRD": "date",
    "IGNR": "genre",
    "IKEY": "keywords",
    "ISFT": "software",
    "ISBJ": "description",
}
_C2PA_KINDS = (b"application/x-c2pa-manifest-store", b"application/c2pa")


def collect(stream: BinaryIO, mime: str) -> Entries:
    """Gives what a seekable file carries, by its media type. Raises only what the stream itself raises."""
    collector = _COLLECTORS.get(mime)
    return collector(stream, mime) if collector else Entries(mime)


def collect_png(stream: BinaryIO, mime: str) -> Entries:
    """PNG: text chunks, ComfyUI's own chunks, eXIf, XMP in its iTXt, C2PA."""
    from comfyvn_store.base import png

    stream.seek(0)
    scanner = png.PngScanner(extras=True)
    scanner.scan(stream)
    return of_png(mime, scanner.texts, scanner.exif, scanner.c2pa)


def of_png(mime: str, texts: Mapping[str, str], exif: bytes | None, c2pa: bytes | None) -> Entries:
    """Gives the entries of a PNG that was scanned already."""
    packet = texts.get("XML:com.adobe.xmp")
    return Entries(
        mime,
        named((name, text) for name, text in texts.items() if name != "XML:com.adobe.xmp"),
        _exif(exif),
        packet.encode("utf-8", "replace") if packet else None,
        c2pa,
    )


def _collect_jpeg(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import jpeg

    store = next((box for box in jpeg.jumbf(stream) if b"c2pa" in box[:80]), None)
    packet = jpeg.xmp(stream)
    return Entries(mime, named(jpeg.texts(stream).items()), _exif(jpeg.exif(stream)), packet, store)


def _collect_riff(stream: BinaryIO, mime: str) -> Entries:
    """WebP and WAV: EXIF, XMP, C2PA, INFO, and in WAV an ID3 tag."""
    from comfyvn_store.base.containers import riff
    from comfyvn_store.base.containers.reading import read_at

    blobs: dict[bytes, bytes] = {}
    lists: list[Chunk] = []
    tag: Chunk | None = None
    for chunk in riff.chunks(stream):
        if chunk.kind in (b"EXIF", b"XMP ", b"_PMX", b"C2PA") and 0 < chunk.size <= _LONGEST_BLOB:
            if chunk.kind not in blobs:
                blobs[chunk.kind] = read_at(stream, chunk.data_at, chunk.size)
        elif chunk.kind == b"LIST" and len(lists) < _MOST_LISTS:
            lists.append(chunk)
        elif chunk.kind.lower() == b"id3 " and tag is None:
            tag = chunk
            lists.append(chunk)
    return Entries(
        mime,
        named(pair for chunk in lists for pair in _riff_texts(stream, chunk)),
        _exif(blobs.get(b"EXIF")),
        blobs.get(b"XMP ") or blobs.get(b"_PMX"),
        blobs.get(b"C2PA"),
    )


def _riff_texts(stream: BinaryIO, chunk: Chunk) -> Iterator[tuple[str, str]]:
    """The texts of an INFO list, or of a tag, which ends with its chunk."""
    from comfyvn_store.base.containers import riff

    if chunk.kind != b"LIST":
        return _id3(stream, chunk.data_at, chunk.data_at + chunk.size)
    return ((_INFO.get(name, name), text) for name, text in riff.info(stream, chunk).items())


def _collect_id3(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import id3

    old = ((_FRAMES.get(name, name), text) for name, text in id3.texts_of_1(stream).items())
    return Entries(mime, named((*_id3(stream, 0), *old)), c2pa=_c2pa_of_id3(stream))


def _collect_flac(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import flac, id3

    tag = id3.tag_at(stream, 0)  # some programs put one before it
    start = tag.end if tag else 0
    texts = (*flac.texts(stream, start).items(), *(_id3(stream, 0) if tag else ()))
    return Entries(mime, named(texts), c2pa=_c2pa_of_id3(stream) if tag else None)


def _collect_ogg(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import ogg

    return Entries(mime, named(ogg.texts(stream).items()))


def _collect_boxes(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import boxes

    movie = boxes.read(stream)
    return Entries(mime, named(movie.texts), _exif(movie.exif), movie.xmp, movie.c2pa)


def _collect_ebml(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import ebml

    return Entries(mime, named(ebml.read(stream).texts))


def _collect_tiff(stream: BinaryIO, mime: str) -> Entries:
    """TIFF is EXIF's own form; only a file that is small enough to be held is read."""
    stream.seek(0)
    data = stream.read(4 * _LONGEST_BLOB + 1) or b""
    if len(data) > 4 * _LONGEST_BLOB:
        return Entries(mime)
    from comfyvn_store.base.containers import tiff

    return Entries(mime, exif=tiff.read(data), xmp=tiff.blob(data, tiff.XMP), c2pa=tiff.blob(data, tiff.C2PA))


def _collect_gif(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import gif

    found = gif.read(stream)
    return Entries(mime, named(("comment", text) for text in found.comments), xmp=found.xmp, c2pa=found.c2pa)


def _collect_psd(stream: BinaryIO, mime: str) -> Entries:
    from comfyvn_store.base.containers import psd

    found = psd.read(stream)
    return Entries(mime, exif=_exif(found.exif), xmp=found.xmp)


def _exif(data: bytes | None) -> Mapping[int, str | int]:
    if not data:
        return {}
    from comfyvn_store.base.containers import tiff

    return tiff.read(data)


def _id3(stream: BinaryIO, at: int, end: int | None = None) -> Iterator[tuple[str, str]]:
    from comfyvn_store.base.containers import id3

    for keyword, text in id3.texts(stream, at, end).items():
        yield _FRAMES.get(keyword, keyword.removeprefix("COMM:")), text
    tag = id3.tag_at(stream, at, end)
    for frame in id3.frames(stream, tag, _URLS.__contains__) if tag else ():
        if frame.data and len(frame.data) <= 2000:
            yield _URLS[frame.kind], frame.data.partition(b"\0")[0].decode("latin-1")


def _c2pa_of_id3(stream: BinaryIO) -> bytes | None:
    """The manifest store in a frame for whole files: encoding, media type, name, description, data."""
    from comfyvn_store.base.containers import id3

    tag = id3.tag_at(stream, 0)
    for frame in id3.frames(stream, tag, lambda kind: kind == "GEOB") if tag else ():
        kind, _, rest = (frame.data or b"")[1:].partition(b"\0")
        if kind in _C2PA_KINDS:
            at = rest.find(b"jumb") - 4
            return rest[at:] if at >= 0 else None
    return None


_COLLECTORS: Mapping[str, Callable[[BinaryIO, str], Entries]] = {
    "image/png": collect_png,
    "image/jpeg": _collect_jpeg,
    "image/webp": _collect_riff,
    "audio/wav": _collect_riff,
    "audio/mpeg": _collect_id3,
    "audio/flac": _collect_flac,
    "audio/ogg": _collect_ogg,
    "audio/opus": _collect_ogg,
    "video/ogg": _collect_ogg,
    "image/avif": _collect_boxes,
    "image/heic": _collect_boxes,
    "audio/mp4": _collect_boxes,
    "video/mp4": _collect_boxes,
    "video/quicktime": _collect_boxes,
    "video/webm": _collect_ebml,
    "video/x-matroska": _collect_ebml,
    "image/tiff": _collect_tiff,
    "image/gif": _collect_gif,
    "image/vnd.adobe.photoshop": _collect_psd,
}
