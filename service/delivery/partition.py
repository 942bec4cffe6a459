"""The waiting entries of one partition, in the order in which they should leave and in which they expire.

Two rooms: `again` (tried before; by deadline) and `fresh` (never tried; the senders in turns, each one's by arrival,
which is by deadline, because a lane has one patience; of what nobody waits for, what has a deadline at all is due in
about this order).
"""

import heapq
from collections.abc import Iterator
from math import inf

from service.delivery.bucket import Bucket
from service.delivery.entry import Entry
from service.delivery.senders import Senders


class Partition:
    """One partition of a lane; a lane whose sink has none has one. `bucket` is None where no pace is known."""

    __slots__ = ("_again", "_fresh", "bucket", "bytes", "failures", "opens_at")

    def __init__(self, bucket: Bucket | None) -> None:
        self._again: list[Entry] = []
        self._fresh = Senders()
        self.bucket = bucket
        self.bytes = 0
        """What waits here, against the sink's limits."""
        self.failures = 0
        """Calls in a row in which the partition was throttled and took nothing."""
        self.opens_at = 0.0
        """Loop time until which nothing is sent: backing off, or out of tokens."""

    def __len__(self) -> int:
        return len(self._again) + len(self._fresh)

    def put(self, entry: Entry) -> None:
        """Append a new entry."""
        self.bytes += entry.size
        self._fresh.append(entry)

    def put_back(self, entry: Entry) -> None:
        """Return an entry that was tried before, or that comes with the deadline of another lane."""
        self.bytes += entry.size
        heapq.heappush(self._again, entry)

    def first(self) -> Entry | None:
        """The entry that leaves next."""
        return self._again[0] if self._again else self._fresh.first()

    def pop(self) -> Entry:
        """Remove and return the entry that leaves next."""
        entry = heapq.heappop(self._again) if self._again else self._fresh.pop()
        self.bytes -= entry.size
        return entry

    def fits(self, events: int, size: float) -> bool:
        """Whether all that is here is fresh, and is at most so many events of so many bytes together."""
        return self.bytes <= size and len(self._fresh) <= events and not self._again

    def give(self, batch: list[Entry]) -> int:
        """Move what is fresh into `batch`, all at once. Returns its bytes; only after `fits`."""
        given, self.bytes = self.bytes, 0
        self._fresh.give(batch)
        return given

    def overdue(self, latest: float) -> Iterator[Entry]:
        """Remove and yield the entries whose deadline is before `latest`."""
        while self._again and self._again[0].deadline < latest:
            entry = heapq.heappop(self._again)
            self.bytes -= entry.size
            yield entry
        for entry in self._fresh.overdue(latest):
            self.bytes -= entry.size
            yield entry

    def next_deadline(self) -> float:
        """The earliest deadline of what waits; inf if there is none."""
        return min(self._again[0].deadline if self._again else inf, self._fresh.next_deadline())

    def oldest(self) -> float:
        """When the longest-waiting entry was put (loop time); inf if nothing waits."""
        return min(self._again[0].queued_at if self._again else inf, self._fresh.oldest())

    def entries(self) -> Iterator[Entry]:
        """Everything that waits here, in no order."""
        yield from self._again
        yield from self._fresh

    def clear(self) -> list[Entry]:
        """Remove and return everything, in the order in which it would leave."""
        everything = sorted(self._again)
        self._again.clear()
        self._fresh.give(everything)
        self.bytes = 0
        return everything
