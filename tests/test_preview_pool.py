"""The processes that decode: one that dies, hangs or eats memory takes its own file with it and nothing else."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from comfyvn_store.errors import MachineError
from comfyvn_store.previews import pool
from tests.media import png, wav
from tests.moving import SOUNDS, animation, film, flac, psd, sound
from tests.test_previews import module

posix_only = pytest.mark.skipif(os.name != "posix", reason="the system bounds no process")

# A decoder that does what the first bytes of the file say.
UNRULY = """
import ctypes, os, time

SoundFileError = RuntimeError

class SoundFile:
    def __init__(self, source):
        with open(source, "rb") as file:
            word = file.read(8)
        if word == b"segfault":
            ctypes.string_at(8)
        if word == b"spinning":
            while True:
                pass
        if word == b"sleeping":
            time.sleep(600)
        if word == b"devourer":
            hoard = []
            while True:
                hoard.append(bytearray(1 << 24))
        if word == b"printing":
            print("{" * 100_000, flush=True)
            os.write(1, b"nonsense\\n")
        if word == b"leaving!":
            os._exit(0)
        if word == b"obedient":
            os.kill(os.getpid(), 15)
        if word == b"surprise":
            raise LookupError("an error that nobody knows")
        raise RuntimeError("damaged")
"""


def tasks(folder: Path, *files: tuple[str, bytes]) -> list[pool.Task]:
    found = []
    for number, (mime, content) in enumerate(files):
        place = folder / f"object{number}"
        place.write_bytes(content)
        found.append(pool.Task(str(number), mime, str(place), str(folder / f"made{number}")))
    return found


def by_number(outcomes: Iterator[pool.Outcome]) -> dict[int, pool.Outcome]:
    return {int(outcome.task.hash): outcome for outcome in outcomes}


def children() -> list[str]:
    """The decoding processes of this one."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [line.split()[0] for line in listed.stdout.splitlines() if "previews.child" in line]


@pytest.fixture
def unruly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(module(tmp_path, "soundfile", UNRULY)))


@pytest.mark.parametrize("jobs", [1, 3])
def test_all_kinds_are_made(jobs: int, tmp_path: Path) -> None:
    files = [
        ("image/png", png()),
        ("image/gif", animation("GIF", 3)),
        ("image/vnd.adobe.photoshop", psd([b"\0" * 100] * 3, (10, 10))),
        ("audio/wav", wav()),
        ("audio/flac", flac()),
        ("audio/opus", sound(*SOUNDS["audio/opus"])),
        ("video/mp4", film()),
    ]
    found = by_number(pool.run(tasks(tmp_path, *files), jobs))
    waves = (".webp", ".waveform.json")
    expected = [(".webp",), (".filmstrip.webp", ".webp"), (".webp",), waves, waves, waves, (".webp",)]
    assert [found[number].made for number in range(7)] == expected
    for number, endings in enumerate(expected):
        assert all((tmp_path / f"made{number}{ending}").stat().st_size for ending in endings)
    assert children() == []


@posix_only
def test_a_decoder_that_crashes_takes_its_own_file_along(tmp_path: Path, unruly: None) -> None:
    files = [
        ("image/png", png(seed=1)),
        ("audio/flac", b"segfault"),
        ("image/png", png(seed=2)),
        ("audio/flac", b"leaving!"),
        ("audio/flac", b"surprise"),
        ("image/png", png(seed=3)),
    ]
    found = by_number(pool.run(tasks(tmp_path, *files), 1))
    assert [found[number].made for number in (0, 2, 5)] == [(".webp",)] * 3
    assert found[1].reason == "the decoder crashed (SIGSEGV)"
    assert found[3].reason == "the decoder crashed (exit status 0)"
    assert found[4].reason == "the decoder failed (LookupError: an error that nobody knows)"


@posix_only
def test_one_that_computes_for_too_long_is_ended(tmp_path: Path, unruly: None) -> None:
    files = [("audio/flac", b"spinning"), ("image/png", png())]
    found = by_number(pool.run(tasks(tmp_path, *files), 1, pool.Limits(seconds=1)))
    assert found[0].reason == "took more than 1 s of computing" and found[1].made


def test_one_that_hangs_is_ended(tmp_path: Path, unruly: None) -> None:
    files = [("audio/flac", b"sleeping"), ("image/png", png())]
    begun = time.monotonic()
    found = by_number(pool.run(tasks(tmp_path, *files), 1, pool.Limits(patience=3.0)))
    assert found[0].reason == "took longer than 3 s" and found[1].made
    assert time.monotonic() - begun < 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds to RLIMIT_AS")
def test_one_that_eats_memory_is_stopped(tmp_path: Path, unruly: None) -> None:
    files = [("audio/flac", b"devourer"), ("image/png", png())]
    limits = pool.Limits(memory=1 << 29, room=3 << 28)
    found = by_number(pool.run(tasks(tmp_path, *files), 2, limits))
    assert found[0].reason and "memory" in found[0].reason and found[1].made


def test_what_a_library_prints_spoils_nothing(tmp_path: Path, unruly: None) -> None:
    found = by_number(pool.run(tasks(tmp_path, ("audio/flac", b"printing"), ("image/png", png())), 1))
    assert found[0].reason == "damaged or unsupported sound: damaged" and found[1].made


@posix_only
def test_one_that_is_ended_from_outside_is_no_fault_of_its_file(tmp_path: Path, unruly: None) -> None:
    found = by_number(pool.run(tasks(tmp_path, ("audio/flac", b"obedient"), ("image/png", png())), 1))
    assert found[0] == pool.Outcome(found[0].task) and found[1].made


def large_png(width: int, height: int) -> bytes:
    target = io.BytesIO()
    Image.new("L", (width, height), 90).save(target, "PNG", compress_level=1)
    return target.getvalue()


def test_what_is_large_is_made_at_the_end(tmp_path: Path) -> None:
    files = [("image/png", large_png(8000, 7000)), ("image/png", png(seed=1)), ("image/png", png(seed=2))]
    order = [int(outcome.task.hash) for outcome in pool.run(tasks(tmp_path, *files), 1) if outcome.made]
    assert order == [1, 2, 0]


def test_a_gigapixel_is_refused_with_a_reason(tmp_path: Path) -> None:
    head = png(8, 8)
    bomb = head[:16] + (40_000).to_bytes(4, "big") * 2 + head[24:]
    begun = time.monotonic()
    found = by_number(pool.run(tasks(tmp_path, ("image/png", bomb)), 1))
    assert found[0].reason and not found[0].made and time.monotonic() - begun < 20


def test_what_the_system_refuses_is_no_fault_of_the_file(tmp_path: Path) -> None:
    (task,) = tasks(tmp_path, ("image/png", png()))
    gone = task._replace(place=str(tmp_path / "nowhere" / "made"))
    (outcome,) = pool.run([gone], 1)
    assert isinstance(outcome.error, FileNotFoundError) and outcome.reason is None
    (tmp_path / "made0.webp").write_bytes(b"")
    (outcome,) = pool.run([task], 1)
    assert isinstance(outcome.error, FileExistsError)


def test_a_process_that_cannot_start_is_no_fault_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(MachineError, match="cannot start"):
        list(pool.run(tasks(tmp_path, ("image/png", png())), 1))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MachineError, match="did not start"):
        list(pool.run(tasks(tmp_path, ("image/png", png())), 2))


def test_whoever_stops_listening_ends_the_processes(tmp_path: Path) -> None:
    outcomes = pool.run(tasks(tmp_path, *[("image/png", png(seed=seed)) for seed in range(500)]), 2)
    next(outcomes)
    assert children()
    outcomes.close()
    assert children() == []


@posix_only
def test_a_process_yields_to_everything_else(tmp_path: Path) -> None:
    with contextlib.closing(
        pool.run(tasks(tmp_path, *[("image/png", png(seed=seed)) for seed in range(500)]), 1)
    ) as outcomes:
        next(outcomes)
        (child,) = children()
        assert os.getpriority(os.PRIO_PROCESS, int(child)) >= 10


ENDLESS = """
import sys
from comfyvn_store.previews import pool
task = pool.Task("0", "audio/flac", sys.argv[1], sys.argv[1] + ".made")
print("ready", flush=True)
list(pool.run([task], 1))
"""


@posix_only
def test_a_process_ends_with_its_parent(tmp_path: Path, unruly: None) -> None:
    source = tmp_path / "sleeper"
    source.write_bytes(b"sleeping")
    parent = subprocess.Popen([sys.executable, "-c", ENDLESS, str(source)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline() == "ready\n"

    def running() -> list[str]:
        listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout
        return [line.split()[0] for line in listed.splitlines() if line.split()[1] == str(parent.pid)]

    deadline = time.monotonic() + 20
    while not (found := running()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found
    time.sleep(1.0)  # it is at its file by now
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    while os.path.exists(f"/proc/{found[0]}") and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int(found[0]), 0)
