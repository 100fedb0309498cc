"""What the rules of the state machine share: how a step is told, and what must hold after each (`world.py`).

Rules end where git refuses: what git would not do without us either is no fault. `settle` is what a person does who wants
everything to be in order again: hooks on, conflicts away, one more commit of art.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests import media
from tests.histories.world import World

PATHS = ("assets/a/one.png", "assets/a/two.wav", "assets/b/deep/three.wav", "assets/four.png", "assets/a/ö 5.png")
MOVES = ("assets/a/moved.png", "assets/c/x/y/moved.png", "assets/moved.wav", "assets/z", "assets/k/l")
BRANCHES = ("main", "left", "right")
seeds = st.integers(0, 3)
which = st.integers(0, 5)


def at_peace(machine: "Machine") -> bool:
    """Nothing is in conflict and no verb of git's waits for us."""
    return not machine.is_open


def amid(machine: "Machine") -> bool:
    """Something is in conflict, or a verb of git's waits for us."""
    return machine.is_open


def any_time(machine: "Machine") -> bool:
    return True


def step(when: Callable[["Machine"], bool] = at_peace, **draws: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """A rule; whatever goes wrong in it tells the commands that led there."""

    def decorate(function: Any) -> Any:
        @wraps(function)
        def telling(self: "Machine", *words: Any, **named: Any) -> None:
            with self.told():
                function(self, *words, **named)

        return precondition(when)(rule(**draws)(telling))

    return decorate


class Machine(RuleBasedStateMachine):
    """git commands in any order, over real git and real files."""

    template: ClassVar[Path]
    views: ClassVar[type[World]] = World

    @initialize()
    def begin(self) -> None:
        self.world = self.views(self.template)
        self.git, self.tool = self.world.git, self.world.tool
        self.is_open = False
        self.number = 0
        self.aside: set[str] = set()
        self.has_failed = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Adds the commands so far to whatever goes wrong."""
        try:
            yield
        except Exception as error:
            if self.has_failed:
                raise
            self.has_failed = True
            error.add_note("\n".join(["", f"in {self.world.repo.path}:", *self.world.log]))
            raise

    @invariant()
    def holds(self) -> None:
        with self.told():
            self.world.check()
            self.is_open = self.world.is_open()

    def teardown(self) -> None:
        if hasattr(self, "world") and not self.has_failed:
            with self.told():
                self.settle()
            shutil.rmtree(self.world.folder)

    # -- what rules are made of ------------------------------------------------------------------------------------

    def asset(self, number: int) -> str | None:
        known = self.world.assets()
        return known[number % len(known)] if known else None

    def staged(self) -> set[str]:
        return {path for path, letters in self.world.status().items() if letters[0] not in " ?"}

    def changed(self, old: str, new: str) -> set[str]:
        return set(self.git("diff", "--name-only", "--no-renames", "-z", old, new, "--", "assets").out.split("\0")) - {
            ""
        }

    def revision(self, number: int) -> str:
        return f"HEAD~{min(number, self.world.commits() - 1)}"

    @contextmanager
    def stages_nothing(self) -> Iterator[None]:
        """For verbs after which git's index is HEAD's, but for what was staged before."""
        before = self.staged()
        yield
        if not self.world.is_open():
            assert self.staged() <= before, f"staged by nobody: {self.staged() - before}"

    def settle(self) -> None:
        """Brings everything in order; the whole oracle must agree then."""
        self.hooks(on=True)
        self.give_up()
        self.git("add", "-A")
        self.world.told()
        self.world.write("assets/last.wav", media.wav(0.02, frequency=50.0 + self.number))
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "the last")
        self.world.check()
        self.check_committed({})
        self.world.check_all()
        self.world.check_index()

    def give_up(self) -> None:
        """Aborts what git stopped amid; a pick of several that was refused at once can only be quit."""
        for how in ("--abort", "--quit"):
            if verb := self.world.sequence():
                self.git(verb, how, check=False)
        assert self.world.sequence() is None
