"""The calls of one lane that are in flight: since when their events wait, and what their requests take of memory.

A request is made from its events, and is held beside them until its call ends: it may be as large as they are. So
calls have a bound in bytes of their own, beside that of the events.
"""

import asyncio
from collections.abc import Sequence
from math import inf

from msgspec import Struct

from service.delivery.entry import Entry
from service.sinks.contract import Limits

SHARE = 2
"""The requests of a lane may take this part of what its events may: half as much."""
SIDE_BY_SIDE = 4
"""A call takes at most this part, a quarter, of what all of them may, so that one that hangs does not hold up the lane;
and it begins when there is so much, for a remainder makes calls that cost as much as full ones and carry little."""


class Call(Struct, gc=False):
    """One of them."""

    since: float
    """When the longest-waiting entry in it was put (loop time)."""
    taken: float
    """Bytes of its request."""


class Calls:
    """What is in flight. `memory` (bytes) is what the events of the lane may take."""

    def __init__(self, limits: Limits, memory: int) -> None:
        self.tasks: dict[asyncio.Task[None], Call] = {}
        self.taken = 0.0
        """Bytes of requests in flight."""
        self._factor = limits.request_factor
        self._overhead = limits.request_overhead_bytes
        self.capacity = memory // SHARE
        """Bytes that they may take."""

    def __len__(self) -> int:
        return len(self.tasks)

    def begin(self, task: asyncio.Task[None], batch: Sequence[Entry], now: float) -> None:
        """A call with `batch`, or without events, has begun."""
        taken = 0.0
        if self._factor:
            taken = sum([entry.size for entry in batch]) * self._factor + len(batch) * self._overhead
        self.taken += taken
        self.tasks[task] = Call(min([entry.queued_at for entry in batch], default=now), taken)

    def end(self, task: asyncio.Task[None]) -> None:
        """The call has ended. Its time-out or a cancellation ends it too."""
        if (call := self.tasks.pop(task, None)) is not None:
            self.taken -= call.taken

    def room(self) -> float:
        """Bytes of events that a call may carry now; 0 if it has to wait until another one ends.

        It carries one event at least, and how many they are is known afterwards: by one request of one event, and by
        what each adds, a call may take more than there was.
        """
        if not self._factor:
            return inf
        share = self.capacity / SIDE_BY_SIDE
        if self.tasks and self.capacity - self.taken < share:
            return 0.0
        return share / self._factor

    def oldest(self) -> float:
        """When the longest-waiting entry in any of them was put (loop time); inf if there is none."""
        return min([call.since for call in self.tasks.values()], default=inf)
