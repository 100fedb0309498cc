"""Several decoding processes side by side: objects go in, what became of each comes out, as it comes.

A process that dies takes only the object with it that it was at; the next object gets a new process. What an ordinary process
has not the memory for is made at the end, in one process with more.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, NamedTuple

from comfyvn_store.errors import MachineError
from comfyvn_store.previews.making import PREVIEW

# BELOW_NORMAL_PRIORITY_CLASS, CREATE_NO_WINDOW
_WINDOWS_FLAGS = 0x4000 | 0x08000000 if os.name == "nt" else 0


class Limits(NamedTuple):
    """What one object may take: `seconds` of computing, `patience` seconds altogether, and bytes of memory."""

    seconds: int = 120
    patience: float = 600.0
    memory: int = 1 << 30
    room: int = 3 << 30  # for what does not fit into `memory`, one at a time


class Task(NamedTuple):
    """A file of which something is to be made at `place`, plus an ending for each: what it `wants` (see `making`).

    `hash` is the object's, or any name for the file.
    """

    hash: str
    mime: str
    source: str
    place: str
    wants: tuple[str, ...] = (PREVIEW,)


class Outcome(NamedTuple):
    """What became of a task: the endings that were made, or why none were (`reason`), or what the system refused.

    None of the three: the process was ended from outside, which is no fault of the file.
    """

    task: Task
    made: tuple[str, ...] = ()
    reason: str | None = None
    error: OSError | None = None
    needs_room: bool = False


def run(tasks: Iterable[Task], jobs: int, limits: Limits = Limits()) -> Generator[Outcome, None, None]:  # noqa: B008
    """Gives the outcome of each task, in the order in which they end; closing the iterator ends the processes.

    `tasks` is asked for the next one only when a process is free. Raises MachineError if no process can be started.
    """
    large: list[Task] = []
    with contextlib.closing(_run(tasks, jobs, limits, has_room=False)) as outcomes:
        for outcome in outcomes:
            if outcome.needs_room:
                large.append(outcome.task)
            else:
                yield outcome
    with contextlib.closing(_run(large, 1, limits, has_room=True)) as outcomes:
        yield from outcomes


def _run(tasks: Iterable[Task], jobs: int, limits: Limits, *, has_room: bool) -> Generator[Outcome, None, None]:
    crew = _Crew(tasks, limits, has_room)
    try:
        yield from crew.outcomes(jobs)
    finally:
        crew.stop()


class _Crew:
    """Threads, each with a process of its own, that take tasks from one queue."""

    def __init__(self, tasks: Iterable[Task], limits: Limits, has_room: bool) -> None:
        self._tasks = iter(tasks)
        self._limits = limits
        self._has_room = has_room
        self._lock = threading.Lock()
        self._children: list[_Child] = []
        self._stopped = False
        self._found: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def outcomes(self, jobs: int) -> Iterator[Outcome]:
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()
        running = len(self._threads)
        while running:
            found = self._found.get()
            if found is None:
                running -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            children = list(self._children)
        for child in children:
            child.kill()
        for thread in self._threads:
            thread.join()

    def _next(self) -> Task | None:
        with self._lock:
            return None if self._stopped else next(self._tasks, None)

    def _serve(self) -> None:
        child: _Child | None = None
        try:
            while (task := self._next()) is not None:
                if child is None or child.is_gone:
                    child = self._start()
                self._found.put(child.ask(task))
        except BaseException as error:
            self._found.put(error)
        finally:
            if child is not None:
                child.close()
            self._found.put(None)

    def _start(self) -> _Child:
        child = _Child(self._limits, self._has_room)
        with self._lock:
            self._children = [other for other in self._children if not other.is_gone] + [child]
            if self._stopped:
                child.kill()
        child.greet()
        return child


class _Child:
    """A decoding process."""

    def __init__(self, limits: Limits, has_room: bool) -> None:
        self._limits = limits
        self._has_room = has_room
        self._is_late = False
        words = (str(limits.seconds), str(limits.room if has_room else limits.memory), "1" if has_room else "0")
        code = f"from comfyvn_store.previews.child import run; run{words!r}"
        # Libraries for numbers start a thread for each core, which takes address space and is of no use here.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-X", "utf8", "-c", code],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                creationflags=_WINDOWS_FLAGS,
            )
        except OSError as error:
            raise MachineError(f"cannot start a process that makes previews: {error.strerror}") from error

    @property
    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def greet(self) -> None:
        """Waits until it is ready. Raises MachineError if it is not, which is no fault of any file."""
        if not self._answer():
            status = self._process.wait()
            raise MachineError(f"a process that makes previews did not start (exit status {status})")

    def ask(self, task: Task) -> Outcome:
        """Has it make one object's previews, and waits."""
        assert self._process.stdin is not None
        order = {"mime": task.mime, "source": task.source, "place": task.place, "wants": task.wants}
        try:
            self._process.stdin.write(json.dumps(order).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except OSError:
            return self._death(task)
        answer = self._answer()
        if answer is None:
            return self._death(task)
        if "errno" in answer:
            error = OSError(answer["errno"], answer["text"], answer["file"])
            return Outcome(task, error=error)
        needs_room = bool(answer.get("needs_room")) and not self._has_room
        return Outcome(task, tuple(answer.get("made", ())), answer.get("reason"), None, needs_room)

    def close(self) -> None:
        """Lets it end, and waits for that."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._process.stdout.close()

    def kill(self) -> None:
        """Ends it at once."""
        try:
            self._process.kill()
        except OSError:
            pass

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        timer = threading.Timer(self._limits.patience, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        try:
            answer = json.loads(line)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None

    def _give_up(self) -> None:
        self._is_late = True
        self.kill()

    def _death(self, task: Task) -> Outcome:
        """Says what its end means for the file it was at."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
            return Outcome(task, reason="the decoder stopped answering")
        if self._is_late:
            return Outcome(task, reason=f"took longer than {self._limits.patience:.0f} s")
        name = _signal_name(-status)
        if name == "SIGXCPU":
            return Outcome(task, reason=f"took more than {self._limits.seconds} s of computing")
        if name == "SIGKILL":
            # Where the process was not ended by a person, the system ran out of memory.
            return Outcome(
                task, reason="ended by the system, perhaps for want of memory", needs_room=not self._has_room
            )
        if name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"):
            return Outcome(task)
        return Outcome(task, reason=f"the decoder crashed ({name or f'exit status {status}'})")


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
