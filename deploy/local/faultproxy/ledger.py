"""The ledger of one target: how often each event was sent to it, and how often it was taken.

Events are known by a number: their bodies hold `"id":"e17"`. So an event is found wherever a sink puts it (a record,
an aggregate, a line of many, a dead letter), and a million of them are two megabytes.
"""

import re
from array import array

from msgspec import Struct

_ID = re.compile(rb'"id": ?"e(\d+)"')


def ids_in(data: bytes) -> list[int]:
    """The numbers of the events in what a sink sent."""
    return [int(found) for found in _ID.findall(data)]


class Take(Struct):
    """What one call left behind. Moments are of the system's monotonic clock, in seconds."""

    events: "array[int]"
    """In the order of the call."""
    taken: float
    answered: float = 0.0
    """When the answer was ready to go; 0 while it is not."""


class Ledger:
    """Counts by event number; each count stops at 255."""

    def __init__(self) -> None:
        self.attempts = bytearray()
        self.taken = bytearray()
        self.takes: list[Take] = []
        """Calls that left something, in the order in which they were taken."""
        self.sent_again = 0
        """Times that an event was sent which had been taken already."""

    def note(self, events: list[int], taken: bool) -> None:
        """These events were in one record, which was taken or not."""
        for event in events:
            if event >= len(self.attempts):
                more = bytes(max(event + 1 - len(self.attempts), 4096))
                self.attempts += more
                self.taken += more
            self.attempts[event] = min(255, self.attempts[event] + 1)
            if self.taken[event]:
                self.sent_again += 1
            if taken:
                self.taken[event] = min(255, self.taken[event] + 1)

    def times_taken(self, event: int) -> int:
        """How often the event was taken."""
        return self.taken[event] if event < len(self.taken) else 0

    def times_sent(self, event: int) -> int:
        """How often the event was sent."""
        return self.attempts[event] if event < len(self.attempts) else 0
