"""UUID version 7 (RFC 9562, section 5.7): time-ordered ids, so that sorting by id is sorting by age."""

from __future__ import annotations

import os
import time

_last = 0


def uuid7(now_ms: int | None = None, random: bytes | None = None) -> str:
    """Gives a new UUIDv7 in its text form; ids made by one process always ascend.

    `now_ms` is the time in milliseconds since 1970, `random` ten random bytes. Within one millisecond the 12 bits of
    `rand_a` and then the clock itself are counted up (RFC 9562, section 6.2, method 1 and 3).
    """
    global _last
    noise = int.from_bytes(random or os.urandom(10), "big")
    # 48 bits of time and 12 bits that count within the millisecond, seeded low so that there is room to count.
    stamp = ((now_ms if now_ms is not None else time.time_ns() // 1_000_000) << 12) | ((noise >> 62) & 0x3FF)
    if now_ms is None:
        stamp = max(stamp, _last + 1)
        _last = stamp
    value = ((stamp >> 12) << 80) | (0x7 << 76) | ((stamp & 0xFFF) << 64) | (0b10 << 62) | (noise & ((1 << 62) - 1))
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
