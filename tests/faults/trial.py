"""One verb under every fault: counted once, then tried from the same state for each point."""

import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults import injection, invariants
from tests.faults.injection import Fault, Tracer
from tests.faults.likeness import Likeness
from tests.faults.worlds import Verb, World
from tests.gitrepo import Result

KINDS = ("KILL", "ENOSPC", "EIO")
# Without FAULTS so many faults of each verb are tried, of any kind: others at each run, unless FAULTS_SEED says which.
SAMPLE = 1
SEED = os.environ.get("FAULTS_SEED") or str(random.SystemRandom().randrange(1_000_000))
_CALLS = {
    # The files may be others than at the call before; locks change none, and end with their process.
    "KILL": set(injection.CHANGING) - set(injection.LOCKING),
    "ENOSPC": {*injection.CREATING, *injection.WRITING, *injection.NAMING, *injection.SYNCING},
    "EIO": set(injection.CHANGING) - set(injection.LOCKING),
}
# What mostly SQLite calls, which has tests of its own; a sample leaves it out.
_OF_SQLITE = ("pwrite64", "fdatasync")


class Trial:
    """A world, its tracer, and the points of the verb's good run."""

    def __init__(self, folder: Path, verb: Verb) -> None:
        self.verb = verb
        self.world = World(folder, verb)
        self.world.make()
        self._tracer = Tracer(folder, self.world.folder, verb.role)
        if verb.role:
            self._tracer.install(self.world.repo.path)
        self.world.keep()
        self._damaged = invariants.wrong(self.world.stores)
        self._likeness = Likeness(self.world)
        self.passed: set[str] = set()
        self.missed = 0
        self.points = self._tracer.points(verb.words(), self.world.repo.path, verb.good)
        assert self.points, verb.name

    def faults(self, kind: str) -> list[Fault]:
        """The points at which a call can end like that."""
        return [Fault(point, kind) for point in self.points if point.call in _CALLS[kind]]

    def run(self, fault: Fault, *, is_alone: bool = False) -> None:
        """Tries the verb with one fault, checks what must hold then, and that it can be completed after all.

        A state that another fault had led to is not looked at again, unless a fault `is_alone`; a call that failed and was
        another one than meant is not looked at either.
        """
        self.world.reset()
        done = self._tracer.inject(self.verb.words(), self.world.repo.path, fault)
        if not fault.is_kill and not self._tracer.has_landed():
            self.missed += 1
            return
        if not fault.is_kill:
            self._check_said(done, fault)
        state = "" if is_alone else self._likeness.of()
        if state in self.passed:
            return
        invariants.check(self.world, self._damaged)
        self.world.complete(sys.executable)
        invariants.check(self.world)
        self.world.end()
        self.passed.add(state)

    def _check_said(self, done: Result, fault: Fault) -> None:
        if self.verb.role:
            assert "Traceback" not in done.err and "this is a bug" not in done.err, done.err
            return
        assert done.code in (*self.verb.good, *self.verb.codes), (done.code, done.err)
        if done.code and not done.err and fault.point.call == "write":
            return  # each thread's N-th write fails, and one of them was to say so
        invariants.check_said(done.err, fails=done.code not in (0, 1))


def run_all(folder: Path, verb: Verb) -> None:
    """Tries a verb under faults of all kinds. Fails with every fault that broke it.

    A line that says how many there were goes to the file that FAULTS_TABLE names.
    """
    started = time.monotonic()
    trial = Trial(folder, verb)
    faults = sample(verb, [fault for kind in KINDS for fault in trial.faults(kind)])
    broken = []
    for fault in faults:
        try:
            trial.run(fault, is_alone=len(faults) == 1)
        except AssertionError as error:
            broken.append(f"{verb.name} {fault}: {str(error)[:1500]}")
    said = ", ".join(f"{sum(fault.kind == kind for fault in faults)} {kind}" for kind in KINDS)
    states, seconds = len(trial.passed), time.monotonic() - started
    line = f"{verb.name}: {said}, {trial.missed} missed, {states} states, {len(broken)} broken, {seconds:.0f} s"
    table = os.environ.get("FAULTS_TABLE")
    if table:
        with open(table, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    assert not broken, f"{line} (FAULTS_SEED={SEED})\n\n" + "\n\n".join(broken)


def sample(verb: Verb, faults: Sequence[Fault]) -> list[Fault]:
    """All, with FAULTS=all; else some (FAULTS=N: so many)."""
    said = os.environ.get("FAULTS", "")
    if said == "all":
        return list(faults)
    chosen = [fault for fault in faults if fault.point.call not in _OF_SQLITE] or list(faults)
    return random.Random(f"{SEED} {verb.name}").sample(chosen, min(int(said or SAMPLE), len(chosen)))
