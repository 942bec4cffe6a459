"""When what failed is tried again: an event after its own back-off, a partition's events when the partition opens."""

import random
from collections.abc import Sequence
from math import ceil
from typing import Final

from service.delivery.backoff import delay
from service.delivery.books import Books
from service.delivery.breaker import Breaker
from service.delivery.bucket import QUANTUM_SECONDS
from service.delivery.digest import Digest
from service.delivery.entry import Entry
from service.delivery.lanequeue import LaneQueue
from service.outcome import Retry
from service.telemetry.meter import Meter

TOGETHER_SECONDS: Final = 0.1
"""Partitions that took nothing open again at multiples of this, so that a lane with many makes no more calls."""


class Retries:
    """The waiting of one lane's failed entries. `call_timeout` in seconds."""

    def __init__(self, sink: str, meter: Meter, call_timeout: float, rng: random.Random) -> None:
        self._sink = sink
        self._meter = meter
        self._call_timeout = call_timeout
        self._rng = rng

    def of_events(
        self, failed: Sequence[tuple[Entry, Retry]], queue: LaneQueue, breaker: Breaker, books: Books, now: float
    ) -> list[Entry]:
        """Queue what failed for another attempt, or give it up if that could outlive its deadline: those are returned.

        One delay per number of attempts, so that what failed together leaves together. While the destination
        fails as a whole nothing leaves before the breaker lets it.
        """
        delays: dict[int, float] = {}
        for entry, retry in failed:
            entry.attempts += 1
            entry.may_duplicate = entry.may_duplicate or retry.reason.may_have_written
            before = delays.get(entry.attempts)
            if before is None:
                delays[entry.attempts] = delay(entry.attempts, retry.after, self._rng)
            elif retry.after:
                delays[entry.attempts] = max(before, retry.after)
            self._meter.lane_retries[self._sink, retry.reason.value] += 1
        groups: dict[int, list[Entry]] = {}
        given_up: list[Entry] = []
        for entry, retry in failed:
            moment = max(now + delays[entry.attempts], breaker.resumes_at)
            if moment + self._call_timeout > entry.deadline:
                books.give_up(entry, retry.reason, retry.detail)
                given_up.append(entry)
            else:
                groups.setdefault(entry.attempts, []).append(entry)
        for attempts, group in groups.items():
            queue.put_later(group, now + delays[attempts])
        return given_up

    def of_partitions(self, digest: Digest, queue: LaneQueue, now: float, moved: bool) -> None:
        """Let each partition's rate and back-off follow what it took; throttled entries wait for it to open.

        `moved`: the partitions have changed since the call began, so that it says nothing of those of now.
        """
        delivered: dict[int, list[int]] = {}
        for entry in digest.delivered:
            delivered.setdefault(entry.partition, []).append(entry.paid)
        # first, because a rate that follows throttling leaves no tokens
        if not moved:
            queue.refund([*digest.unplaced, *(entry for entry, _ in digest.throttled)], now)
        throttled: dict[int, list[Entry]] = {}
        for entry, retry in digest.throttled:
            entry.attempts += 1
            throttled.setdefault(entry.partition, []).append(entry)
            self._meter.lane_retries[self._sink, retry.reason.value] += 1
        for number in delivered.keys() | throttled.keys():
            sizes, back = delivered.get(number, ()), throttled.get(number, ())
            partition = queue.partitions.get(number)
            if partition is not None and not moved:
                if partition.bucket is not None:
                    partition.bucket.note(len(sizes), sum(sizes), bool(back), now)
                if sizes:
                    partition.failures = 0
                if back:
                    pause = QUANTUM_SECONDS
                    if not sizes:
                        partition.failures += 1
                        pause = max(pause, delay(partition.failures, None, self._rng))
                        # however many partitions back off, they share calls
                        pause = ceil((now + pause) / TOGETHER_SECONDS) * TOGETHER_SECONDS - now
                    queue.close(partition, now + pause)
            queue.put_back(back, now)
