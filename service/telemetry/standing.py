"""How a lane stands, in one word, with all that is behind it: plain values, for they are sent."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """A word for a lane, the worst that holds. Closed set, from good to bad."""

    HEALTHY = "healthy"
    THROTTLED = "throttled"
    """The destination asks for less than is there."""
    SLOW = "slow"
    """An event has waited so long that what waits is given back soon."""
    FAILING = "failing"
    """Calls fail as a whole, or more events fail than are delivered."""
    OPEN = "open"
    """The breaker is: nothing but failures for 5 s."""
    FULL = "full"
    """More than nine tenths of its memory is taken: producers are refused next, or are already."""


_BADNESS = {state: rank for rank, state in enumerate(State)}


class Standing(Struct, frozen=True):
    """How one lane stands, or one lane of all processes."""

    state: State = State.HEALTHY
    since: float = 0.0
    """Seconds since the epoch."""
    reason: str | None = None
    """What is at the bottom of it, of `outcome.Reason`; None if that is only that too much comes."""
    words: list[str] = []
    """Of each state that holds but `healthy`, the worst first."""


def worst(standings: Sequence[Standing]) -> Standing:
    """One of several processes: the worst, and of those that stand alike the one that has for longest."""
    return min(standings, key=lambda each: (-_BADNESS[each.state], each.since))
