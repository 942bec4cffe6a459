"""One event in one lane, and the leg of its route that brought it there."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from service.event import Event
from service.outcome import Reason
from service.receipt import Settlement


class Settles(Protocol):
    """Whoever must hear how an entry ended: a `Receipt`, or a burial."""

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """Called exactly once per (index, lane)."""


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
    """True: no deadline (dead letters, sources that nobody waits at)."""
    graveyard: Graveyard | None = None
    last_resort: bool = False
    """True for dead letters themselves: a refusal is tried again, for there is nowhere else to go."""


class Entry:
    """One event in one lane: what it needs until it is settled. Sorted by deadline, then by arrival."""

    __slots__ = (
        "attempts",
        "behind",
        "charge",
        "deadline",
        "event",
        "holds_key",
        "index",
        "lane",
        "may_duplicate",
        "original",
        "owner",
        "paid",
        "partition",
        "queued_at",
        "sequence",
        "settled",
        "size",
        "terms",
    )

    def __init__(
        self,
        event: Event,
        original: Event,
        size: int,
        charge: int,
        terms: Terms,
        lane: str,
        owner: Settles | None,
        index: int,
    ) -> None:
        self.event = event
        """As this lane's sink sends it."""
        self.original = original
        """As it came, if it may go to the dead letters or to a fallback."""
        self.size = size
        """Bytes against the sink's limits."""
        self.charge = charge
        """Bytes against the lane's memory."""
        self.terms = terms
        self.lane = lane
        """The lane whose answer this is to its owner: not the one that holds it, if that is a fallback."""
        self.owner = owner
        self.index = index
        self.attempts = 0
        self.may_duplicate = False
        self.partition = 0
        """The partition of the destination that it goes to."""
        self.paid = 0
        """Bytes that its partition's bucket was charged for it when it last left."""
        self.behind = False
        """Whether it waits behind another entry of its key."""
        self.holds_key = False
        """Whether it is the one of its key that is on its way."""
        self.deadline = 0.0
        self.queued_at = 0.0
        self.sequence = 0
        self.settled = False
        """Whether its end is in the books."""

    def __lt__(self, other: "Entry") -> bool:
        return (self.deadline, self.sequence) < (other.deadline, other.sequence)
