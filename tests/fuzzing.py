"""Files of every format, broken at random, through everything that reads them.

`python -m tests.fuzzing SECONDS [SEED]` goes on for so long and says what it did; a failure names the seed and the file it was
made of, and leaves the bytes. tests/test_readers_hostile.py does a little of it each time.
"""

import io
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator

from comfyvn_store.asset import readers
from comfyvn_store.asset.readers.collecting import _COLLECTORS, collect
from comfyvn_store.base import media

LONGEST_TIME = 2.0  # seconds for one file of some kilobytes, on a machine that does other things as well
_WORDS = (
    *(b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\xff\xff\xff\xfe", b"\x80\0\0\0"),
    *(b"[" * 64, b'{"a":' * 20, b"\xed\xa0\x80", b"\\ud800", b"NaN", b"9" * 30),
)


def read_all(data: bytes) -> None:
    """Reads a file in every way that we have; checks what is said, and that it does not take long."""
    start = time.process_time()
    stream = io.BytesIO(data)
    described = media.describe(stream)
    check_facts(described)
    for mime in {described.mime, *((_MIMES[data[:4]],) if data[:4] in _MIMES else ())}:
        entries = collect(stream, mime)
        for reader in readers.built_in(entries):  # asked here, because `read_entries` lets none fail
            reader(entries)
        check(readers.read_entries(entries))
    taken = time.process_time() - start
    assert taken < LONGEST_TIME, f"took {taken:.1f} s"


_MIMES = {b"\x89PNG": "image/png", b"RIFF": "image/webp", b"OggS": "audio/ogg", b"fLaC": "audio/flac"}


def check_facts(described: media.Media) -> None:
    for value in described[1:5]:
        assert value is None or (type(value) is int and 0 < value < 1 << 32), described
    assert described.duration is None or 0 < described.duration <= 1e9, described


def check(found: readers.Reading | None) -> None:
    """What is said can stand in a sidecar."""
    import json

    if found is None:
        return
    text = json.dumps([found.source, found.workflow_hash, found.inputs, dict(found.embedded)], allow_nan=False)
    text.encode()
    json.dumps([found.inputs, dict(found.embedded)], ensure_ascii=False).encode("utf-8")
    assert len(text) < 4 * 1024 * 1024
    assert (found.source is None) == (found.inputs == {})


def mutations(seed: bytes, source: random.Random) -> bytes:
    """A file that was broken in a few places."""
    data = bytearray(seed)
    for _ in range(source.randint(1, 6)):
        if not data:
            break
        at = source.randrange(len(data))
        kind = source.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at] ^= 1 << source.randrange(8)
        elif kind == 2:
            word = source.choice(_WORDS)
            data[at : at + len(word)] = word
        elif kind == 3:
            data[at:at] = source.choice(_WORDS)
        elif kind == 4:
            del data[at : at + source.randint(1, 64)]
        elif kind == 5:
            end = at + source.randint(1, 200)
            data[end:end] = data[at:end] * source.randint(1, 3)
        elif kind == 6:
            data[at : at + 2] = source.randbytes(2)
        else:
            data[at : at + source.randint(1, 8)] = source.randbytes(source.randint(0, 8))
    return bytes(data)


def parsers() -> Iterator[tuple[str, Callable[[bytes], object]]]:
    """Everything that takes bytes, by name."""
    from comfyvn_store.base.containers import boxes, cbor, certificate, ebml, gif, jumbf, psd, tiff, xmp

    def decode(data: bytes) -> None:
        try:
            cbor.decode(data)
        except cbor.BrokenCbor:
            pass

    yield "cbor", decode
    yield "certificate", certificate.read
    yield "jumbf", jumbf.read
    yield "tiff", tiff.read
    yield "tiff.blob", lambda data: tiff.blob(data, tiff.C2PA)
    yield "xmp", xmp.read
    for name, module in (("boxes", boxes), ("ebml", ebml), ("gif", gif), ("psd", psd)):
        yield name, lambda data, module=module: module.read(io.BytesIO(data))
    for mime in _COLLECTORS:
        yield f"collect {mime}", lambda data, mime=mime: check(readers.read_stream(io.BytesIO(data), mime))


def main() -> None:
    from tests.seeds import seeds

    seconds = float(sys.argv[1])
    number = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    source = random.Random(number)
    files = dict(seeds())
    each = dict(parsers())
    print(f"seed {number}, {len(files)} files, {len(each)} parsers", flush=True)
    start, count, slowest = time.monotonic(), 0, (0.0, "")
    while time.monotonic() - start < seconds:
        name = source.choice(list(files))
        data = mutations(files[name], source)
        before = time.process_time()
        try:
            read_all(data)
            parser = source.choice(list(each))
            each[parser](data)
        except BaseException:
            with open("/tmp/fuzz-failure.bin", "wb") as stream:
                stream.write(data)
            print(f"seed {number}, file {count} of {name}: /tmp/fuzz-failure.bin", flush=True)
            raise
        slowest = max(slowest, (time.process_time() - before, name))
        count += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count} files in {seconds:.0f} s, the slowest {slowest[0]:.3f} s ({slowest[1]}), memory at most {peak} MiB")


if __name__ == "__main__":
    main()
