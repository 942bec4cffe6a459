"""What the journal knows of its streams: which sinks they go to, and what is settled there."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from service.journal.ranges import Ranges
from service.journal.reader import Row


class Leg(Struct):
    """A sink of a stream, and what it has settled."""

    id: int
    sink: str
    required: bool
    settled: Ranges


class Stream(Struct):
    """The stored events of a route."""

    id: int
    route: str
    legs: dict[str, Leg]
    done: Ranges
    """What all legs have settled."""
    last: int
    """The last position that was given to an event; 0 if none was."""

    @property
    def waiting(self) -> int:
        """Events that not all legs have settled."""
        return self.last - self.done.count(self.last)

    def waiting_for_optional(self) -> int:
        """Events that every required leg has settled, and a best-effort one has not."""
        required = [leg.settled for leg in self.legs.values() if leg.required]
        if len(required) == len(self.legs):
            return 0
        if not required:
            return self.waiting
        return common(required).count(self.last) - self.done.count(self.last)

    def waiting_at(self, leg: Leg) -> int:
        """Events that a leg has not settled."""
        return self.last - leg.settled.count(self.last)


class Append(Struct):
    """A row to be stored."""

    stream: int
    row: Row


Settled = Mapping[int, Sequence[tuple[int, int]]]
"""Ranges of positions, by the id of a leg."""


def common(sets: Sequence[Ranges]) -> Ranges:
    """What is in all of them."""
    if not sets:
        return Ranges()
    parts = list(sets[0])
    for other in sets[1:]:
        parts = [each for part in parts for each in other.within(*part)]
    return Ranges(parts)
