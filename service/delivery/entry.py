"""One event in one lane, and the leg of its route that brought it there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import Protocol

from msgspec import Struct

from service.event import Event
from service.outcome import Reason
from service.receipt import Settlement


class Settles(Protocol):
    """Whoever must hear how an entry ended: a `Receipt`, or a burial."""

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """Called exactly once per (index, lane), except for what `settle_delivered` tells."""

    def settle_delivered(self, entries: "Sequence[Entry]") -> None:
        """These were delivered: one call for all of a run that has this owner."""


class Graveyard(Protocol):
    """Where a lane puts what it gives up: the dead letters of a route (`deadletter.DeadLetters`)."""

    def bury(
        self, entry: "Entry", sink: str, reason: Reason, detail: str, done: Callable[[bool], None]
    ) -> Callable[[], object]:
        """Write a dead letter when there is room; `done(True)` once its sink has acknowledged it.

        Calling the result withdraws it if it still waits for room.
        """

    def bury_at_once(
        self, entry: "Entry", sink: str, reason: Reason, detail: str, done: Callable[[bool], None]
    ) -> bool:
        """The same, but False, having done nothing, if there is no room now."""


class Taken(Enum):
    """What a fallback says to an event. Closed set."""

    TAKEN = auto()
    REFUSED = auto()
    """Not this one: it is too large there, or its partition has no room. Another one may do."""
    FULL = auto()
    """None at all now."""


class Fallback(Protocol):
    """Where a lane's events go while its breaker is open (`fallback.FallbackLane`)."""

    def take(self, entry: "Entry") -> Taken:
        """Take responsibility for `entry`, until its deadline; having done nothing unless it says TAKEN."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a lane holds events for one route: fixed when the service starts."""

    route: str
    required: bool
    """False: best effort. Nobody waits for it; what cannot be kept goes to the dead letters, else is dropped."""
    patient: bool
    """True: nobody waits, so no deadline but one that it comes with (dead letters, what is stored)."""
    graveyard: Graveyard | None = None
    last_resort: bool = False
    """True for dead letters themselves: a refusal is tried again, for there is nowhere else to go."""
    stored: bool = False
    """Whether the journal, or the source that the event came from, still has it: what a lane gives back is not lost."""


class Entry(Struct, eq=False, gc=False):
    """One event in one lane: what it needs until it is settled. Sorted by deadline, then by arrival.

    Nothing that it holds leads back to it, so the collector need not know of it.
    """

    event: Event
    """As this lane's sink sends it."""
    original: Event
    """As it came, if it may go to the dead letters or to a fallback."""
    size: int
    """Bytes against the sink's limits."""
    charge: int
    """Bytes against the lane's memory."""
    terms: Terms
    lane: str
    """The lane whose answer this is to its owner: not the one that holds it, if that is a fallback."""
    owner: Settles | None = None
    index: int = 0
    """Which of its owner's events it is."""
    partition: int = 0
    """The partition of the destination that it goes to."""
    attempts: int = 0
    may_duplicate: bool = False
    paid: int = 0
    """Bytes that its partition's bucket was charged for it when it last left."""
    behind: bool = False
    """Whether it waits behind another entry of its key."""
    holds_key: bool = False
    """Whether it is the one of its key that is on its way."""
    deadline: float = inf
    queued_at: float = 0.0
    sequence: int = 0
    settled: bool = False
    """Whether its end is in the books."""

    def __repr__(self) -> str:
        # of what producers send nothing belongs into a log
        return f"<entry of {self.lane}>"

    def __lt__(self, other: "Entry") -> bool:
        return (self.deadline, self.sequence) < (other.deadline, other.sequence)
