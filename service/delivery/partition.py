"""The waiting entries of one partition, in the order in which they should leave and in which they expire.

Three rooms: `again` (tried before; by deadline), `fresh` (never tried, with a deadline; by arrival, which is by
deadline, because a lane has one patience) and `patient` (never tried, nobody waits; by arrival, and what has a deadline
at all is due in about this order).
"""

import heapq
from collections import deque
from collections.abc import Iterator
from math import inf

from service.delivery.bucket import Bucket
from service.delivery.entry import Entry


class Partition:
    """One partition of a lane; a lane whose sink has none has one. `bucket` is None where no pace is known."""

    __slots__ = ("_again", "_fresh", "_patient", "bucket", "bytes", "failures", "opens_at")

    def __init__(self, bucket: Bucket | None) -> None:
        self._again: list[Entry] = []
        self._fresh: deque[Entry] = deque()
        self._patient: deque[Entry] = deque()
        self.bucket = bucket
        self.bytes = 0
        """What waits here, against the sink's limits."""
        self.failures = 0
        """Calls in a row in which the partition was throttled and took nothing."""
        self.opens_at = 0.0
        """Loop time until which nothing is sent: backing off, or out of tokens."""

    def __len__(self) -> int:
        return len(self._again) + len(self._fresh) + len(self._patient)

    def put(self, entry: Entry) -> None:
        """Append a new entry."""
        self.bytes += entry.size
        (self._patient if entry.terms.patient else self._fresh).append(entry)

    def put_back(self, entry: Entry) -> None:
        """Return an entry that was tried before, or that comes with the deadline of another lane."""
        self.bytes += entry.size
        heapq.heappush(self._again, entry)

    def first(self) -> Entry | None:
        """The entry that leaves next."""
        room = self._room()
        return room[0] if room else None

    def pop(self) -> Entry:
        """Remove and return the entry that leaves next."""
        room = self._room()
        entry = room.popleft() if isinstance(room, deque) else heapq.heappop(room)
        self.bytes -= entry.size
        return entry

    def fits(self, events: int, size: float) -> bool:
        """Whether all that is here is fresh, and is at most so many events of so many bytes together."""
        fresh = self._fresh
        return self.bytes <= size and len(fresh) <= events and not self._again and not self._patient

    def give(self, batch: list[Entry]) -> int:
        """Move what is fresh into `batch`, all at once. Returns its bytes; only after `fits`."""
        given, self.bytes = self.bytes, 0
        batch.extend(self._fresh)
        self._fresh.clear()
        return given

    def _room(self) -> list[Entry] | deque[Entry]:
        """The room whose first entry leaves next; empty only if all are."""
        if self._again:
            return self._again
        if not self._patient:
            return self._fresh
        if not self._fresh or self._patient[0].sequence < self._fresh[0].sequence:
            return self._patient
        return self._fresh

    def overdue(self, latest: float) -> Iterator[Entry]:
        """Remove and yield the entries whose deadline is before `latest`."""
        while self._again and self._again[0].deadline < latest:
            entry = heapq.heappop(self._again)
            self.bytes -= entry.size
            yield entry
        while self._fresh and self._fresh[0].deadline < latest:
            entry = self._fresh.popleft()
            self.bytes -= entry.size
            yield entry
        while self._patient and self._patient[0].deadline < latest:
            entry = self._patient.popleft()
            self.bytes -= entry.size
            yield entry

    def next_deadline(self) -> float:
        """The earliest deadline of what waits; inf if there is none."""
        return min(
            self._again[0].deadline if self._again else inf,
            self._fresh[0].deadline if self._fresh else inf,
            self._patient[0].deadline if self._patient else inf,
        )

    def oldest(self) -> float:
        """When the longest-waiting entry was put (loop time); inf if nothing waits."""
        rooms = (self._again, self._fresh, self._patient)
        return min((room[0].queued_at for room in rooms if room), default=inf)

    def entries(self) -> Iterator[Entry]:
        """Everything that waits here, in no order."""
        yield from self._again
        yield from self._fresh
        yield from self._patient

    def clear(self) -> list[Entry]:
        """Remove and return everything, in the order in which it would leave."""
        everything = [*sorted(self._again), *self._fresh, *self._patient]
        self._again.clear()
        self._fresh.clear()
        self._patient.clear()
        self.bytes = 0
        return everything
