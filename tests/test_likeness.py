"""What fingerprints find: every kind of edit leads back to its picture, and to no other one; samples, too."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from comfyvn_store.index.prints import Prints
from comfyvn_store.previews.likeness import SEEN, pixels_of, print_from, sight, sighted
from comfyvn_store.previews.nearness import NEAR, sheet_of
from comfyvn_store.previews.pictures import presentable
from comfyvn_store.previews.seeking import apart, seek
from tests.benchmarks.whence import made, sampled
from tests.edits import EDITS
from tests.samples import SAMPLES, needs_samples


def shown(picture: Image.Image) -> Image.Image:
    return presentable(picture.copy(), SEEN)


@pytest.fixture(scope="module")
def prints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prints]:
    with Prints(str(tmp_path_factory.mktemp("prints") / "prints.db")) as found:
        found.add([(str(number), print_from(shown(made(number)), pixels_of(made(number)))) for number in range(8)])
        yield found


@pytest.mark.parametrize("kind", EDITS)
def test_every_kind_of_edit_leads_back(prints: Prints, kind: str) -> None:
    for number in (1, 5):
        found = seek(prints, shown(EDITS[kind](made(number), random.Random(number))))
        assert [each.hash for each in found] == [str(number)]
        assert found[0].distance <= NEAR and found[0].flipped == (kind == "mirrored")


def test_other_pictures_are_none_of_them(prints: Prints) -> None:
    plain = [Image.new("RGB", (300, 300), "white"), Image.new("RGBA", (9, 9)), Image.linear_gradient("L")]
    for picture in (made(1000), made(1001), made(1, batch=1), *plain):
        assert seek(prints, shown(picture)) == []


@needs_samples
@pytest.mark.parametrize("kind", ["screenshot", "cropped by 30 %", "JPEG, quality 30", "painted on a tenth"])
def test_the_samples_lead_back(tmp_path: Path, kind: str) -> None:
    pictures = {
        name: picture for name, picture in sampled(SAMPLES).items() if "gui" not in name and "sylvie" not in name
    }
    with Prints(str(tmp_path / "prints.db")) as prints:
        prints.add([(name, print_from(shown(picture), None)) for name, picture in pictures.items()])
        for name in list(pictures)[::4]:
            found = seek(prints, shown(EDITS[kind](pictures[name], random.Random(1))))
            assert [each.hash for each in found[:1]] == [name]


def test_two_objects_are_compared_once(prints: Prints, monkeypatch: pytest.MonkeyPatch) -> None:
    prints.add([("cropped", print_from(shown(EDITS["cropped by 30 %"](made(2), random.Random(1))), None))])
    distance = apart(prints, "cropped", "2")
    assert distance is not None and 0 < distance < NEAR
    assert apart(prints, "cropped", "3") is None or (apart(prints, "cropped", "3") or 0) > NEAR
    assert apart(prints, "cropped", "nothing") is None
    monkeypatch.setattr("comfyvn_store.previews.nearness.apart", lambda *_: pytest.fail("compared again"))
    assert apart(prints, "cropped", "2") == distance


def test_slim_and_tiny_pictures_have_prints(tmp_path: Path) -> None:
    for size in ((1, 1), (1, 4000), (4000, 1), (3, 2)):
        for mode in ("L", "RGB", "RGBA"):
            print_ = print_from(presentable(Image.new(mode, size), SEEN), None)
            assert sheet_of(print_.small) is not None
            with Prints(str(tmp_path / f"{size}{mode}.db")) as prints:
                prints.add([("a", print_)])
                assert seek(prints, Image.new(mode, size)) == []


@pytest.mark.parametrize("data", [b"", b"RIFF", b"x" * 999])
def test_a_small_picture_that_is_rubbish_is_none(data: bytes) -> None:
    assert sheet_of(data) is None


def test_what_is_looked_at_survives_its_way() -> None:
    picture = shown(made(1))
    assert sighted(sight(picture)).tobytes() == picture.tobytes()
    for rubbish in (b"", b"P 1 1\n0", b"RGB 9 9\n12", b"RGB x y\n"):
        with pytest.raises(ValueError):
            sighted(rubbish)
