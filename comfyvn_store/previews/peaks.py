"""Finds the loudest of many samples. Standard library only; it reads no file."""

import math
import struct
from collections.abc import Iterable
from enum import Enum
from typing import Final


class Encoding(Enum):
    """How a sample is written, lowest byte first."""

    UNSIGNED = "unsigned"  # 8 bits, silence at 128
    SIGNED = "signed"
    FLOAT = "float"


# A loop over samples makes a Python object of each (measured: 45 MB/s for 16 bits). A block is split into
# planes instead, one for each byte of a sample, and the loudest sample is found from its highest byte down:
# bytes.translate finds the greatest byte of a plane and marks where it stands, and planes are combined as
# huge integers (90 MB/s for 8 bits of noise, 140 to 280 for the others).

_ALL_BYTES: Final = bytes(range(256))
# The high byte of |x| in one's complement (-1 gives 0), so that 128 steps fit on both sides of silence.
_SIGNED_SIZE: Final = bytes(min(high, 255 - high) for high in range(256))
_SIGNED_BELOW: Final = bytes(0xFF if high >= 128 else 0 for high in range(256))
_UNSIGNED_SIZE: Final = bytes(max(high, 255 - high) - 128 for high in range(256))
_UNSIGNED_BELOW: Final = bytes(0xFF if high < 128 else 0 for high in range(256))
_FLOAT_SIZE: Final = bytes(high & 0x7F for high in range(256))


def block_peak(block: bytes, encoding: Encoding, width: int) -> float:
    """Returns the greatest |sample| of a block of whole samples, 0 to 1."""
    top, *lower = (block[byte::width] for byte in reversed(range(width)))
    if encoding is Encoding.FLOAT:
        return _float_peak(block, top, lower)
    unsigned = encoding is Encoding.UNSIGNED
    below = int.from_bytes(top.translate(_UNSIGNED_BELOW if unsigned else _SIGNED_BELOW), "little")
    size, places = _greatest(
        top.translate(_UNSIGNED_SIZE if unsigned else _SIGNED_SIZE),
        (int.from_bytes(plane, "little") ^ below for plane in lower),
    )
    return (size + bool(places & below)) / (1 << (8 * width - 1))


def _float_peak(block: bytes, top: bytes, lower: list[bytes]) -> float:
    # Without the sign bit, IEEE floats are in the order of their bits as integers, NaN above infinity.
    size, _ = _greatest(top.translate(_FLOAT_SIZE), (int.from_bytes(plane, "little") for plane in lower))
    width, letter = (4, "f") if len(lower) == 3 else (8, "d")
    (loudest,) = struct.unpack(f">{letter}", size.to_bytes(width, "big"))
    if math.isnan(loudest):
        samples = (abs(sample) for (sample,) in struct.iter_unpack(f"<{letter}", block))
        loudest = max((sample for sample in samples if not math.isnan(sample)), default=0.0)
    return min(float(loudest), 1.0)


def _greatest(top: bytes, lower: Iterable[int]) -> tuple[int, int]:
    """Returns the greatest number that stands in the planes, and where it stands.

    The planes come highest first: the top one as bytes, the lower ones as little-endian integers. The places
    are such an integer too, with all bits of a byte set for each place.
    """
    number = _greatest_byte(top)
    places = _places(top, number)
    for plane in lower:
        rivals = (plane & places).to_bytes(len(top), "little")
        byte = _greatest_byte(rivals)
        number = number << 8 | byte
        places &= _places(rivals, byte)
    return number, places


def _greatest_byte(plane: bytes) -> int:
    low, high = 0, 255
    while low < high:
        middle = (low + high + 1) // 2
        above = plane.translate(None, _ALL_BYTES[:middle])
        if above:
            plane, low = above, middle
        else:
            high = middle - 1
    return low


def _places(plane: bytes, byte: int) -> int:
    return int.from_bytes(plane.translate(bytes(byte) + b"\xff" + bytes(255 - byte)), "little")
