"""What a row is: its name, and what its median may be at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks.measuring import Spent

OURS = "comfyvn-store"
Medians = Mapping[str, Spent]  # by tool, or by what else is measured beside it


@dataclass(frozen=True)
class Target:
    """What comfyvn-store's median may be at most, computed from what was measured beside it in the same run."""

    text: str
    limit: Callable[[Medians], float]
    of: str = "seconds"

    def share(self, medians: Medians) -> float | None:
        """Gives how much of what is allowed was used, 1.0 being all; None where what it is compared with is not here.

        `medians` may as well be what one round found.
        """
        try:
            most = self.limit(medians)
            return float(getattr(medians[OURS], self.of)) / most
        except KeyError:
            return None


def times(most: float, other: str) -> Target:
    """At most so many times what another one takes."""
    return Target(f"{most:g} × {other}", lambda medians: most * medians[other].seconds)


def plus(other: str, milliseconds: float) -> Target:
    """At most so many milliseconds more than another one."""
    return Target(f"{other} + {milliseconds:g} ms", lambda medians: medians[other].seconds + milliseconds / 1000)


def slower_of(most: float, *others: str) -> Target:
    """At most so many times what the slower one of several takes."""
    text = f"{most:g} × the slower of: {', '.join(others)}"
    return Target(text, lambda medians: most * max(medians[other].seconds for other in others))


def rate(per_second: float, count: int, what: str) -> Target:
    """At least so many of them a second."""
    return Target(f"{per_second:,.0f} {what} a second", lambda medians: count / per_second)


def memory(mebibytes: float) -> Target:
    """At most so much memory in one process."""
    return Target(f"{mebibytes:g} MiB in one process", lambda medians: mebibytes * (1 << 20), "memory")


@dataclass(frozen=True)
class Row:
    """One kind of work. `key` chooses it on the command line; `beside` says what its other columns are, if not tools."""

    key: str
    title: str
    targets: tuple[Target, ...] = ()
    beside: bool = False
