"""One stream, delivery stream or queue behind the proxy: its behaviour, its shards, its servers and its books."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from deploy.local.faultproxy.behaviour import Behaviour, Script
from deploy.local.faultproxy.ledger import Ledger, Take, ids_in
from deploy.local.faultproxy.shards import Shards
from deploy.local.faultproxy.wire import KINESIS, PUTS, data_of


class Counts(Struct):
    """What has happened at a target since it was first named. Calls are those that put records."""

    calls: int
    other_calls: int
    records_taken: int
    records_refused: int
    events_taken: int
    events_twice: int
    """Events that were taken more than once."""
    sent_again: int
    """Times that an event was sent which had been taken already."""
    in_flight: int
    most_in_flight: int
    """Since the counts were last read."""
    occupied_seconds: float
    """Seconds of servers that had a call, in sum."""
    shards_taken: list[int]
    shards_throttled: list[int]


class Target:
    """Everything the proxy knows of one name."""

    def __init__(self, name: str, seed: int) -> None:
        self.behaviour = Behaviour()
        self.script = Script(f"{seed}/{name}")
        self.ledger = Ledger()
        self.calls = self.other_calls = 0
        self.records_taken = self.records_refused = 0
        self.in_flight = self.most_in_flight = 0
        self._clock = asyncio.get_running_loop().time
        self._shards = Shards(self.behaviour, self._clock())
        self._servers: asyncio.Semaphore | None = None
        self._occupied = 0
        self._occupied_seconds = 0.0
        self._counted_at = self._clock()

    def follow(self, behaviour: Behaviour) -> None:
        """Behave so from now on. Calls that are being served end as they began."""
        before, self.behaviour = self.behaviour, behaviour
        self.script.follow(behaviour)
        if _shape(before) != _shape(behaviour):
            self._shards = Shards(behaviour, self._clock())
        if before.servers != behaviour.servers:
            self._servers = asyncio.Semaphore(behaviour.servers) if behaviour.servers else None

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Wait in line for a server, then for the time that a call takes; the block ends the call."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        servers = self._servers
        try:
            if servers is None:
                await self._work()
            else:
                async with servers:
                    await self._work()
            yield
        finally:
            self.in_flight -= 1

    async def _work(self) -> None:
        self._count_occupied(+1)
        try:
            if self.behaviour.delay:
                await asyncio.sleep(self.behaviour.delay)
        finally:
            self._count_occupied(-1)

    def _count_occupied(self, change: int) -> None:
        now = self._clock()
        self._occupied_seconds += self._occupied * (now - self._counted_at)
        self._counted_at = now
        self._occupied += change

    def judge(self, operation: str, records: Sequence[Mapping[str, Any]]) -> tuple[dict[int, str], list[list[int]]]:
        """Codes of the records that fail, by position, and the events in each record."""
        put, now = PUTS[operation], self._clock()
        failing, refused = self.script.failing(len(records)), frozenset(self.behaviour.refused)
        code = self.behaviour.record_code or put.internal
        codes: dict[int, str] = {}
        events = []
        for index, record in enumerate(records):
            data = data_of(record)
            events.append(ids_in(data))
            if index in failing or not refused.isdisjoint(events[-1]):
                codes[index] = code
            elif operation == KINESIS:
                size = len(data) + len(record["PartitionKey"].encode())
                if not self._shards.take(self.place(record), size, now):
                    codes[index] = put.throttled
        return codes, events

    def place(self, record: Mapping[str, Any]) -> int:
        """The shard of a record; 0 if it goes to no stream."""
        key = record.get("PartitionKey")
        return 0 if key is None else self._shards.place(key, record.get("ExplicitHashKey"))

    def note(self, events: Sequence[list[int]], failed: Mapping[int, str]) -> Take:
        """Write down what became of a call's records. Returns what is to be told once the call is answered."""
        take = Take(array("I"), time.monotonic())
        for index, each in enumerate(events):
            self.ledger.note(each, index not in failed)
            if index not in failed:
                take.events.extend(each)
        if take.events:
            self.ledger.takes.append(take)
        self.records_refused += len(failed)
        self.records_taken += len(events) - len(failed)
        return take

    def shards(self) -> list[dict[str, Any]]:
        """As ListShards tells them."""
        return self._shards.told()

    def counts(self) -> Counts:
        """The books now."""
        self._count_occupied(0)
        peak, self.most_in_flight = self.most_in_flight, self.in_flight
        taken = self.ledger.taken
        return Counts(
            self.calls,
            self.other_calls,
            self.records_taken,
            self.records_refused,
            len(taken) - taken.count(0),
            len(taken) - taken.count(0) - taken.count(1),
            self.ledger.sent_again,
            self.in_flight,
            peak,
            self._occupied_seconds,
            list(self._shards.taken),
            list(self._shards.throttled),
        )


def _shape(behaviour: Behaviour) -> tuple[float, ...]:
    return behaviour.shards, behaviour.records_per_second, behaviour.bytes_per_second
