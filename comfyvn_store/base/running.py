"""Runs a program to its end, as `subprocess.run` does: importing that takes 4 ms, which every hook and answer would pay.

Other than there, a file that whoever started us left open for children is open for these, too.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO, NamedTuple

_BLOCK = 1 << 18
# SIGPIPE and SIGXFSZ, which Python ignores and programs do not expect to be; `signal` takes half a millisecond to import.
_AS_USUAL = (13, 25)
_KILL = 9
# Seconds that a program has to tidy up when the person at the terminal interrupts it together with us.
_GRACE = 0.25


class Done(NamedTuple):
    """What became of a program; a negative status is the signal that ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Running:
    """A program that has begun, whose output is read when its `end` is awaited. Raises FileNotFoundError where there is none,
    OSError."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], data: bytes | None = None) -> None:
        self._out, to_out = os.pipe()
        ours, theirs = [self._out], [to_out]
        try:
            self._err, to_err = os.pipe()
            ours.append(self._err)
            theirs.append(to_err)
            actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
                (os.POSIX_SPAWN_DUP2, to_out, 1),
                (os.POSIX_SPAWN_DUP2, to_err, 2),
            ]
            self._feed, self._data = None, data or b""
            if data is None:
                actions.insert(0, (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
            else:
                source, self._feed = os.pipe()
                ours.append(self._feed)
                theirs.append(source)
                os.set_blocking(self._feed, False)
                actions.insert(0, (os.POSIX_SPAWN_DUP2, source, 0))
            self._pid = _start(words, environment, actions)
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)

    def end(self) -> Done:
        """Hands over the input and waits for the end; once only."""
        try:
            said = _converse(self._out, self._err, self._feed, self._data)
            return Done(_status(self._pid), *said)
        except BaseException as error:
            _end(self._pid, _GRACE if isinstance(error, KeyboardInterrupt) else 0.0)
            raise


def run(words: Sequence[str], environment: Mapping[str, str], data: bytes | None = None) -> Done:
    """Runs a program that is looked for on the environment's PATH, with `data` (None: nothing) as its input.

    Raises FileNotFoundError where there is none, OSError.
    """
    return Running(words, environment, data).end()


class Answering:
    """A program that answers what is asked of it and waits for more, until this process ends. Raises as `run`."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        source, self._feed = os.pipe()
        ours, theirs = [self._feed], [source]
        try:
            out, to_out = os.pipe()
            ours.append(out)
            theirs.append(to_out)
            _start(words, environment, [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, to_out, 1)])
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)
        self._answers = open(out, "rb")  # noqa: SIM115 - it lasts as long as this process

    def ask(self, data: bytes) -> BinaryIO:
        """Hands data over, no more than the smallest pipe holds (4 KiB), and gives where the answer can be read, all of which
        the caller does. Raises OSError; a program that has ended may also give no answer."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._feed, view) :]
        return self._answers


def _start(words: Sequence[str], environment: Mapping[str, str], actions: Sequence[tuple[object, ...]]) -> int:
    refused: OSError = FileNotFoundError(2, os.strerror(2), words[0])
    for folder in os.get_exec_path(environment):
        place = os.path.join(folder, words[0])
        try:
            os.stat(place)  # a child that finds no program costs a hundred times as much
            return os.posix_spawn(place, list(words), environment, file_actions=actions, setsigdef=_AS_USUAL)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:  # a folder that one may not look into, or a file that is no program
            refused = error
    raise refused


def _converse(out: int, err: int, feed: int | None, data: bytes) -> tuple[bytes, bytes]:
    """Hands over the input and gives the output and the messages; closes all three."""
    poll = select.poll()
    said: dict[int, list[bytes]] = {out: [], err: []}
    left = {out, err} if feed is None else {out, err, feed}
    view = memoryview(data)
    try:
        for fd in left:
            poll.register(fd, select.POLLOUT if fd == feed else select.POLLIN)
        while left:
            for fd, _ in poll.poll():
                if fd == feed:
                    view = view[_write(fd, view) :]
                    is_over = not view
                else:
                    block = os.read(fd, _BLOCK)
                    said[fd].append(block)
                    is_over = not block
                if is_over:
                    poll.unregister(fd)
                    left.discard(fd)
                    os.close(fd)
    finally:
        _close(left)
    return b"".join(said[out]), b"".join(said[err])


def _write(fd: int, view: memoryview) -> int:
    """Gives how much was taken: all, where the program wants no more."""
    try:
        return os.write(fd, view) if view else 0
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(view)


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _status(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # whoever started us ignores SIGCHLD; how it ended cannot be known
        return 0


def _end(pid: int, grace: float) -> None:
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.01)
        os.kill(pid, _KILL)
        os.waitpid(pid, 0)
