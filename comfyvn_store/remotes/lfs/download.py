"""The body of a download: where it begins, where it has to end, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from comfyvn_store.errors import ObjectMissing, RemoteUnreachable
from comfyvn_store.remotes.lfs import failures
from comfyvn_store.remotes.lfs.http import Answer

# What a server says of an object that it does not have.
GONE = (404, 410)
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\Z")


def blocks(
    answer: Answer, name: str, hash_: str, start: int, size: int | None, *, wall: Callable[[], float]
) -> Iterator[bytes]:
    """Gives the bytes of an answer from the object's offset `start` on, and no more than the object's `size`.

    Raises ObjectMissing, RemoteUnreachable, RemoteDenied.
    """
    if answer.status in GONE:
        answer.close()
        raise missing(name, hash_)
    if answer.status == 416 and start:
        answer.close()
        if size is not None and start < size:
            raise _senseless(name, answer)
        return
    if answer.status not in (200, 206):
        raise failures.of_answer(answer, name, f"does not give object {hash_[:16]}", wall=wall)
    begin = _begin(answer)
    size = size if size is not None else _end(answer, begin)
    if size is None or begin is None or begin not in (0, start):
        answer.close()
        raise _senseless(name, answer)
    came, skip = begin, start - begin
    for block in answer.blocks():
        came += len(block)
        if came > size:
            answer.close()
            raise RemoteUnreachable(f"remote '{name}' sends more for object {hash_[:16]} than its {size} bytes")
        if len(block) > skip:
            yield block[skip:] if skip else block
        skip = max(0, skip - len(block))
    if came < size:
        raise RemoteUnreachable(
            f"remote '{name}' sent {came} of the {size} bytes of object {hash_[:16]}",
            hint="run the command again",
            is_passing=True,
        )


def missing(name: str, hash_: str) -> ObjectMissing:
    """Gives the error for an object that a remote does not hold."""
    return ObjectMissing(f"remote '{name}' does not hold object {hash_[:16]}")


def _begin(answer: Answer) -> int | None:
    """Gives the offset at which the bytes of an answer begin, None where it makes no sense."""
    if answer.status == 200:
        return 0
    match = _RANGE.match(answer.headers.get("Content-Range", "").strip())
    return int(match[1]) if match else None


def _end(answer: Answer, begin: int | None) -> int | None:
    """Gives where they end, for an object whose size nobody knew before; None where the answer does not tell."""
    length = answer.headers.get("Content-Length", "")
    return begin + int(length) if begin is not None and re.fullmatch(r"[0-9]{1,18}", length) else None


def _senseless(name: str, answer: Answer) -> RemoteUnreachable:
    return RemoteUnreachable(f"remote '{name}': what {answer.host} answers makes no sense")
