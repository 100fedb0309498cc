"""One verb under every fault: counted once, then tried from the same state for each point."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from tests import oracle
from tests.faults import injection, invariants
from tests.faults.injection import Fault, Tracer
from tests.faults.worlds import Verb, World
from tests.gitrepo import Result

# Without FAULTS so many points of each verb are tried for each kind of fault.
SAMPLE = 3
_ERRORS = {
    "ENOSPC": (*injection.CREATING, *injection.WRITING, *injection.NAMING, *injection.SYNCING),
    "EIO": injection.CHANGING,
}

# What mostly SQLite calls, which has tests of its own; a sample leaves it out.
_OF_SQLITE = (*injection.LOCKING, "pwrite64", "fdatasync")


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
        self.points = self._tracer.points(verb.words(), self.world.repo.path)
        assert self.points, verb.name

    def kills(self) -> list[Fault]:
        return sample([Fault(point, "KILL") for point in self.points])

    def errors(self, kind: str) -> list[Fault]:
        """The points at which a call can fail like that; locks are no bytes."""
        calls = set(_ERRORS[kind]) - set(injection.LOCKING)
        return sample([Fault(point, kind) for point in self.points if point.call in calls])

    def run(self, fault: Fault) -> Result:
        """Tries the verb with one fault, checks what must hold then, and that it can be completed after all."""
        self.world.reset()
        done = self._tracer.inject(self.verb.words(), self.world.repo.path, fault)
        mine = self.verb.mine
        invariants.check(self.world.repo, mine, self.world.stores, self._damaged)
        if not fault.is_kill:
            self._check_said(done, fault)
        self.verb.complete(self.world.repo)
        invariants.check(self.world.repo, mine, self.world.stores)
        if self.verb.name == "drop":
            self.world.repo.tool("pull")
        if self.verb.name == "switch":
            self.world.repo.tool("status")
        oracle.check_all(self.world.repo)
        return done

    def _check_said(self, done: Result, fault: Fault) -> None:
        if self.verb.role:
            assert "Traceback" not in done.err and "this is a bug" not in done.err, done.err
            return
        assert done.code in (0, *self.verb.codes), (done.code, done.err)
        if done.code and not done.err and fault.point.call == "write":
            return  # each thread's N-th write fails, and one of them was to say so
        invariants.check_said(done.err, fails=done.code not in (0, 1))


def run_all(folder: Path, verb: Verb, kinds: Sequence[str]) -> None:
    """Tries a verb under all faults of some kinds. Fails with every fault that broke it.

    A line that says how many there were goes to the file that FAULTS_TABLE names.
    """
    started = time.monotonic()
    trial = Trial(folder, verb)
    broken, count = [], {}
    for kind in kinds:
        faults = trial.kills() if kind == "KILL" else trial.errors(kind)
        count[kind] = len(faults)
        for fault in faults:
            try:
                trial.run(fault)
            except AssertionError as error:
                broken.append(f"{verb.name} {fault}: {str(error)[:1500]}")
    said = ", ".join(f"{number} of {kind}" for kind, number in count.items())
    line = f"{verb.name}: {len(trial.points)} points, {said}, {len(broken)} broken, {time.monotonic() - started:.0f} s"
    table = os.environ.get("FAULTS_TABLE")
    if table:
        with open(table, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    assert not broken, line + "\n\n" + "\n\n".join(broken)


def sample(faults: Sequence[Fault]) -> list[Fault]:
    """All, with FAULTS=all; else some (FAULTS=N: so many) of all kinds of calls, the same at each run."""
    said = os.environ.get("FAULTS", "")
    if said == "all":
        return list(faults)
    wanted = int(said or SAMPLE)
    ordered = sorted(fault for fault in faults if fault.point.call not in _OF_SQLITE) or sorted(faults)
    if len(ordered) <= wanted:
        return ordered
    step = len(ordered) / wanted
    return [ordered[int(step * (number + 0.5))] for number in range(wanted)]
