"""Whether a file was cut off, by its own structure: every whole file is whole, and no cut is called whole."""

import io
import struct
import zipfile

import pytest
from PIL import Image

from comfyvn_store.base.ending import is_cut
from tests import media


def drawn(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture = Image.effect_noise((60, 40), 90).convert("RGB")
    picture.save(out, form, **options)
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("mimetype", "application/x-krita")
        target.writestr("layer", bytes(range(256)) * 9)
    return out.getvalue()


def movie() -> bytes:
    parts = ((b"ftyp", b"isom\0\0\0\0isom"), (b"moov", bytes(40)), (b"mdat", bytes(900)))
    return b"".join(struct.pack(">I4s", 8 + len(data), kind) + data for kind, data in parts)


WHOLE = {
    "png": media.png(seed=3),
    "comfy": media.comfy_png(4),
    "wav": media.wav(),
    "jpeg": drawn("JPEG", quality=80),
    "progressive": drawn("JPEG", progressive=True),
    "gif": drawn("GIF"),
    "webp": drawn("WEBP"),
    "zip": zipped(),
    "mp4": movie(),
}


@pytest.mark.parametrize("form", list(WHOLE))
def test_a_whole_file_is_not_cut_and_a_shorter_one_is(form: str) -> None:
    data = WHOLE[form]
    assert is_cut(io.BytesIO(data)) is False
    for length in (40, len(data) // 3, len(data) // 2, len(data) - 9, len(data) - 2):
        # Behind a whole box the next may be missing, which the boxes before it do not say.
        if form == "mp4" and length == 40:
            continue
        assert is_cut(io.BytesIO(data[:length])) is True, length


@pytest.mark.parametrize("data", [b"words\n" * 99, b"fLaC" + bytes(500), b"RIFF\xff\xff\xff\xffWAVE" + bytes(90)])
def test_what_does_not_say_how_long_it_is_is_unknown(data: bytes) -> None:
    assert is_cut(io.BytesIO(data)) is None


def test_nothing_at_all_is_cut_and_a_zeroed_tail_is_not() -> None:
    assert is_cut(io.BytesIO(b"")) is True
    data = WHOLE["png"]
    assert is_cut(io.BytesIO(data[: len(data) // 2] + bytes(len(data)))) is not True
