"""What a lane holds that is not in a call: partitions that are open, partitions that wait, and entries backing off.

Nothing here is done per partition on the way of an event: open partitions stand in a ring, the others in a heap of
the moments at which they open. A deadline can only be missed by what waits, so one bound, the soonest deadline, says
when to look.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from math import inf

from service.delivery.bucket import Bucket
from service.delivery.entry import Entry
from service.delivery.keyorder import KeyOrder
from service.delivery.partition import Partition
from service.sinks.contract import Limits, Partitioned

_ROUNDING_SECONDS = 0.001
"""A timer may ring this early."""


class LaneQueue:
    """The waiting entries of one lane. `call_timeout` (seconds) is what a call needs before a deadline."""

    def __init__(self, call_timeout: float, partitioned: Partitioned | None = None, ordered: bool = False) -> None:
        self.partitions: dict[int, Partition] = {}
        self._call_timeout = call_timeout
        self._partitioned = partitioned
        self._order = KeyOrder() if ordered else None
        self._open: dict[Partition, None] = {}
        """Partitions that have something and may send it, as a ring."""
        self._opening: list[tuple[float, int, Partition]] = []
        """Partitions that have something and wait until a moment."""
        self._later: list[tuple[float, int, list[Entry]]] = []
        """Entries that back off, in groups."""
        self._sequence = 0
        self._soonest = inf
        """No waiting entry has an earlier deadline."""

    def __bool__(self) -> bool:
        """Whether anything is ready to be sent."""
        return bool(self._open)

    @property
    def idle(self) -> bool:
        """Whether nothing waits here to be sent, now or later. What waits behind its key waits for such a one."""
        return not self._later and not any(map(len, self.partitions.values()))

    # --- in

    def put(self, entries: Iterable[Entry], now: float, deadline: float) -> None:
        """Append new entries, which get `deadline` unless they are patient: those have their own, if any."""
        sequence, soonest, order = self._sequence, self._soonest, self._order
        filled: dict[Partition, None] = {}
        partition, number = None, 0
        for entry in entries:
            sequence += 1
            entry.sequence = sequence
            entry.queued_at = now
            if not entry.terms.patient:
                entry.deadline = deadline
            if entry.deadline < soonest:
                soonest = entry.deadline
            if order is None or order.admit(entry):
                if partition is None or entry.partition != number:
                    number = entry.partition
                    partition = self._partition(entry, now)
                    filled[partition] = None
                partition.put(entry)
        self._sequence, self._soonest = sequence, soonest
        for partition in filled:
            self._offer(partition, now)

    def adopt(self, entry: Entry, now: float) -> None:
        """Add an entry of another lane, with the deadline it has: before those that were never tried, or behind
        its key."""
        self._sequence += 1
        entry.sequence = self._sequence
        self._soonest = min(self._soonest, entry.deadline)
        if self._order is None or self._order.admit(entry):
            self.put_back([entry], now)

    def put_back(self, entries: Iterable[Entry], now: float) -> None:
        """Return entries that are ready now, before those that were never tried."""
        for entry in entries:
            self._soonest = min(self._soonest, entry.deadline)
            partition = self._partition(entry, now)
            partition.put_back(entry)
            self._offer(partition, now)

    def put_later(self, entries: list[Entry], moment: float) -> None:
        """Keep a group until loop time `moment`."""
        if entries:
            self._sequence += 1
            heapq.heappush(self._later, (moment, self._sequence, entries))

    def put_aside(self, entries: Iterable[Entry], moment: float) -> None:
        """Keep each entry until loop time `moment`, or until it is overdue."""
        for entry in entries:
            self.put_later([entry], min(moment, entry.deadline - self._call_timeout))

    def finish(self, entries: Iterable[Entry], now: float) -> None:
        """These entries have ended: the next ones of their keys may go. They came before what was never tried."""
        if self._order is not None:
            following = map(self._order.finish, entries)
            self.put_back([entry for entry in following if entry is not None], now)

    def _partition(self, entry: Entry, now: float) -> Partition:
        partition = self.partitions.get(entry.partition)
        if partition is None:
            bucket = Bucket(self._partitioned.pace, now) if self._partitioned is not None else None
            partition = self.partitions[entry.partition] = Partition(bucket)
        return partition

    def _offer(self, partition: Partition, now: float) -> None:
        """Let a partition that has something send it, now or when it opens."""
        if partition in self._open or partition.opens_at > now:
            # one that waits is in the heap already: it is put there when it closes
            return
        self._open[partition] = None

    def close(self, partition: Partition, until: float) -> None:
        """Send nothing of `partition` until loop time `until`."""
        partition.opens_at = until
        self._open.pop(partition, None)
        self._sequence += 1
        heapq.heappush(self._opening, (until, self._sequence, partition))

    # --- time

    def promote(self, now: float) -> None:
        """Make ready what has waited or backed off long enough."""
        while self._opening and self._opening[0][0] <= now:
            partition = heapq.heappop(self._opening)[2]
            if len(partition) and partition.opens_at <= now:
                self._open[partition] = None
        while self._later and self._later[0][0] <= now:
            self.put_back(heapq.heappop(self._later)[2], now)

    def next_promotion(self) -> float:
        """The loop time of the next `promote` that moves something; inf if none."""
        return min(
            self._later[0][0] if self._later else inf,
            self._opening[0][0] if self._opening else inf,
        )

    def overdue(self, now: float) -> Iterator[Entry]:
        """Remove and yield what could not be called any more without outliving its deadline."""
        latest = now + self._call_timeout
        if self._soonest >= latest:
            return
        for partition in self.partitions.values():
            yield from partition.overdue(latest)
            if not len(partition):
                self._open.pop(partition, None)
        if self._order is not None:
            yield from self._order.overdue(latest)
        self._soonest = min((partition.next_deadline() for partition in self.partitions.values()), default=inf)
        if self._order is not None:
            self._soonest = min(self._soonest, self._order.next_deadline())

    def next_overdue(self) -> float:
        """The loop time just after which something may be overdue; inf if nothing can."""
        return self._soonest - self._call_timeout + _ROUNDING_SECONDS

    def oldest(self) -> float:
        """When the longest-waiting entry was put (loop time); inf if nothing waits."""
        moments = [partition.oldest() for partition in self.partitions.values()]
        moments += [entry.queued_at for _, _, group in self._later for entry in group]
        return min(moments, default=inf)

    # --- out

    def oldest_ready(self) -> float:
        """When the first entry that is ready was put (loop time). Something must be ready."""
        return min(partition.oldest() for partition in self._open)

    def fills(self, limits: Limits) -> bool:
        """Whether what is ready fills a batch."""
        return (
            sum(map(len, self._open)) >= limits.batch_events
            or sum(partition.bytes for partition in self._open) >= limits.batch_bytes
        )

    def compose(self, limits: Limits, now: float, most: float = inf) -> list[Entry]:
        """Remove and return the next batch within `limits` and of at most `most` bytes, one event at least; empty if
        no partition may send after all.

        Each open partition gives its share before any gives more, the one that has waited longest first.
        """
        batch: list[Entry] = []
        space = min(limits.batch_bytes, most)
        try:
            while self._open and len(batch) < limits.batch_events:
                share = max(1, (limits.batch_events - len(batch)) // len(self._open))
                taken = len(batch)
                for partition in tuple(self._open):
                    space = self._give(partition, batch, min(share, limits.batch_events - len(batch)), space, now)
                if len(batch) == taken:
                    break
        except Exception:
            # what an event costs is said by the sink, which may be somebody else's
            self.put_back(batch, now)
            raise
        return batch

    def _give(self, partition: Partition, batch: list[Entry], most: int, space: float, now: float) -> float:
        """Move up to `most` entries of `partition` into `batch`. Returns the bytes that are left of `space`."""
        bucket = partition.bucket
        if bucket is not None and not bucket.open(now):
            self.close(partition, bucket.opens_at(now))
            return space
        if bucket is None and partition.fits(most, space):
            space -= partition.give(batch)
        for _ in range(min(most, len(partition))):
            first = partition.first()
            if first is None or (batch and first.size > space):
                break
            batch.append(partition.pop())
            space -= first.size
            if bucket is not None and self._partitioned is not None:
                first.paid = self._partitioned.cost(first.event)
                if not bucket.take(first.paid):
                    self.close(partition, bucket.opens_at(now))
                    break
        if partition in self._open:
            # to the end of the ring
            del self._open[partition]
            if len(partition):
                self._open[partition] = None
        return space

    def refund(self, entries: Iterable[Entry], now: float) -> None:
        """Give back what was paid for entries that took nothing of their partitions.

        Those that had closed for want of it open again; one that backs off does not.
        """
        partitions: dict[Partition, None] = {}
        for entry in entries:
            partition = self.partitions.get(entry.partition)
            if partition is not None and partition.bucket is not None:
                partition.bucket.refund(1, entry.paid)
                partitions[partition] = None
        for partition in partitions:
            waits = len(partition) and not partition.failures
            if waits and partition.bucket is not None and partition.bucket.open(now):
                partition.opens_at = now
                self._offer(partition, now)

    def first_ready(self) -> Entry | None:
        """An entry that is ready to be sent, which `pop_ready` would remove; None if there is none."""
        while self._open:
            partition = next(iter(self._open))
            if (entry := partition.first()) is not None:
                return entry
            del self._open[partition]
        return None

    def pop_ready(self) -> Entry:
        """Remove and return the entry that `first_ready` has shown."""
        return next(iter(self._open)).pop()

    def rearrange(self, renew: Callable[[Iterable[Entry]], None], now: float) -> None:
        """The destination's partitions have changed: `renew` what waits, be it for a moment or its key, and sort it
        anew. What is in a call is not here. The partitions to come have the pace that the sink has then."""
        waiting = self._take_all()
        renew((*waiting, *self.entries()))
        self.put_back(waiting, now)

    def _take_all(self) -> list[Entry]:
        """Remove and return what waits in partitions, which are forgotten."""
        everything = [entry for partition in self.partitions.values() for entry in partition.clear()]
        self.partitions.clear()
        self._open.clear()
        self._opening.clear()
        return everything

    def entries(self) -> Iterator[Entry]:
        """Everything that waits here, in no order."""
        for partition in self.partitions.values():
            yield from partition.entries()
        for _, _, group in self._later:
            yield from group
        if self._order is not None:
            yield from self._order.entries()

    def clear(self) -> list[Entry]:
        """Remove and return everything."""
        everything = self._take_all()
        everything += [entry for _, _, group in self._later for entry in group]
        self._later.clear()
        if self._order is not None:
            everything += self._order.clear()
        self._soonest = inf
        return everything
