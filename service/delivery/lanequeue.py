"""What a lane holds that is not in a call, in the order in which it should leave and the order in which it expires.

Four rooms: `again` (tried before, ready now; by deadline), `fresh` (never tried, with a deadline; by arrival,
which is by deadline, because a lane has one patience), `patient` (never tried, no deadline; by arrival) and
`later` (backing off, in groups; by moment). What backs off would end its call before its deadline, so only
`again` and `fresh` can become overdue, and both know their first.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from math import inf

from service.delivery.entry import Entry
from service.sinks.contract import Limits


class LaneQueue:
    """The waiting entries of one lane. `call_timeout` (seconds) is what a call needs before a deadline."""

    def __init__(self, call_timeout: float) -> None:
        self._call_timeout = call_timeout
        self._again: list[Entry] = []
        self._fresh: deque[Entry] = deque()
        self._patient: deque[Entry] = deque()
        self._later: list[tuple[float, int, list[Entry]]] = []
        self._sequence = 0
        self._ready_bytes = 0

    def __bool__(self) -> bool:
        """Whether anything is ready to be sent."""
        return bool(self._again or self._fresh or self._patient)

    def put(self, entry: Entry) -> None:
        """Append a new entry."""
        self._sequence += 1
        entry.sequence = self._sequence
        self._ready_bytes += entry.size
        (self._patient if entry.deadline == inf else self._fresh).append(entry)

    def put_back(self, entries: list[Entry]) -> None:
        """Return entries that are ready now to the front."""
        for entry in entries:
            self._ready_bytes += entry.size
            heapq.heappush(self._again, entry)

    def put_later(self, entries: list[Entry], moment: float) -> None:
        """Keep a group until loop time `moment`."""
        if entries:
            self._sequence += 1
            heapq.heappush(self._later, (moment, self._sequence, entries))

    def promote(self, now: float) -> None:
        """Make ready what has backed off long enough."""
        while self._later and self._later[0][0] <= now:
            self.put_back(heapq.heappop(self._later)[2])

    def next_promotion(self) -> float:
        """The loop time of the next `promote` that moves something; inf if none."""
        return self._later[0][0] if self._later else inf

    def overdue(self, now: float) -> Iterator[Entry]:
        """Remove and yield what could not be called any more without outliving its deadline."""
        while self._again and self._again[0].deadline < now + self._call_timeout:
            entry = heapq.heappop(self._again)
            self._ready_bytes -= entry.size
            yield entry
        while self._fresh and self._fresh[0].deadline < now + self._call_timeout:
            entry = self._fresh.popleft()
            self._ready_bytes -= entry.size
            yield entry

    def next_overdue(self) -> float:
        """The loop time just after which something becomes overdue; inf if nothing can."""
        first = min(
            self._again[0].deadline if self._again else inf,
            self._fresh[0].deadline if self._fresh else inf,
        )
        return first - self._call_timeout + 0.001

    def oldest(self) -> float | None:
        """When the longest-waiting entry was put (loop time); None if nothing waits."""
        waiting = [entry.queued_at for _, _, group in self._later for entry in group[:1]]
        waiting += [queue[0].queued_at for queue in (self._again, self._fresh, self._patient) if queue]
        return min(waiting, default=None)

    def oldest_ready(self) -> float:
        """When the first entry that is ready was put (loop time). The queue must not be empty."""
        return min(queue[0].queued_at for queue in (self._again, self._fresh, self._patient) if queue)

    def fills(self, limits: Limits) -> bool:
        """Whether what is ready fills a batch."""
        count = len(self._again) + len(self._fresh) + len(self._patient)
        return count >= limits.batch_events or self._ready_bytes >= limits.batch_bytes

    def compose(self, limits: Limits) -> list[Entry]:
        """Remove and return the next batch within `limits`: at least one entry if any is ready."""
        batch: list[Entry] = []
        space = limits.batch_bytes
        while len(batch) < limits.batch_events:
            room = self._room()
            if not room or (batch and room[0].size > space):
                break
            entry = room.popleft() if isinstance(room, deque) else heapq.heappop(room)
            space -= entry.size
            self._ready_bytes -= entry.size
            batch.append(entry)
        return batch

    def _room(self) -> list[Entry] | deque[Entry]:
        """The room whose first entry leaves next; empty only if all are."""
        if self._again:
            return self._again
        if not self._patient:
            return self._fresh
        if not self._fresh or self._patient[0].sequence < self._fresh[0].sequence:
            return self._patient
        return self._fresh

    def clear(self) -> list[Entry]:
        """Remove and return everything."""
        everything = [*self._again, *self._fresh, *self._patient]
        everything += [entry for _, _, group in self._later for entry in group]
        self._again.clear()
        self._fresh.clear()
        self._patient.clear()
        self._later.clear()
        self._ready_bytes = 0
        return everything
