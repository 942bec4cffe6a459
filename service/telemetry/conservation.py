"""Whether the books balance: every event that was received is settled or held, exactly once.

`docs/metrics.md` has the equations; what is told of them, by whomever, is computed here.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Books(Protocol):
    """Counters of one moment: a meter's, or a copy of them. Keys as in `Meter`."""

    @property
    def edge_received(self) -> Mapping[tuple[str, str], int]:
        """See `Meter`."""

    @property
    def edge_rejected(self) -> Mapping[tuple[str, str, str], int]:
        """See `Meter`."""

    @property
    def lane_received(self) -> Mapping[tuple[str, str], int]:
        """See `Meter`."""

    @property
    def lane_settled(self) -> Mapping[tuple[str, str, str, str], int]:
        """See `Meter`."""

    @property
    def lane_held(self) -> Mapping[tuple[str, str], int]:
        """See `Meter`."""

    @property
    def journal_taken(self) -> Mapping[str, int]:
        """See `Meter`."""


class Off(Struct):
    """Books that do not balance."""

    where: str
    """A sink, or `journal`."""
    route: str
    events: int
    """Received, less those that are settled or held."""


def unbalanced(books: Books) -> list[Off]:
    """Where events were received that are neither settled nor held; or, of a route that stores, neither refused nor
    stored."""
    lanes: dict[tuple[str, str], int] = defaultdict(int, books.lane_received)
    for (sink, route, _fate, _reason), count in books.lane_settled.items():
        lanes[sink, route] -= count
    for key, count in books.lane_held.items():
        lanes[key] -= count
    stored = {route: -count for route, count in books.journal_taken.items()}
    for (_source, route), count in books.edge_received.items():
        if route in stored:
            stored[route] += count
    for (_source, route, _code), count in books.edge_rejected.items():
        if route in stored:
            stored[route] -= count
    found = [Off(sink, route, events) for (sink, route), events in sorted(lanes.items()) if events]
    return found + [Off("journal", route, events) for route, events in sorted(stored.items()) if events]
