"""A destination with shards, each with a token bucket as Kinesis has them, under the simulated clock."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Self

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Limits, Pace, SinkConfig


class Shards:
    """Takes `rate` events a second in each shard, kept for `burst` seconds at most; throttles the rest one by one."""

    Config: ClassVar[type[SinkConfig]] = SinkConfig
    carries_attributes: ClassVar[bool] = True

    def __init__(self, shards: int, rate: float, pace: Pace | None = None, seed: int = 0, burst: float = 1.0) -> None:
        self.shards = shards
        self.rate = rate
        self.burst = burst
        self.pace = pace or Pace(events=rate, bytes=0)
        self.generation = 1
        self.limits = Limits(batch_events=500, batch_bytes=5 * 2**20, event_bytes=2**20)
        self.seconds = 0.03
        self.taken: Counter[str] = Counter()
        self.order: list[str] = []
        self.throttled = 0
        self.calls: list[float] = []
        self._rng = random.Random(seed)
        self._tokens: dict[int, tuple[float, float]] = {}

    def partition(self, event: Event) -> int:
        return int(event.key or "0") % self.shards

    def cost(self, event: Event) -> int:
        return len(event.body)

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        now = asyncio.get_running_loop().time()
        self.calls.append(now)
        await asyncio.sleep(self.seconds * self._rng.uniform(0.8, 1.2))
        return [self._one(event, now) for event in batch.events]

    def _one(self, event: Event, now: float) -> Outcome:
        shard = self.partition(event)
        tokens, at = self._tokens.get(shard, (self.rate * self.burst, now))
        tokens = min(self.rate * self.burst, tokens + (now - at) * self.rate)
        if tokens < 1:
            self._tokens[shard] = (tokens, now)
            self.throttled += 1
            return Retry(Reason.THROTTLED)
        self._tokens[shard] = (tokens - 1, now)
        self.taken[event.id] += 1
        self.order.append(event.id)
        return DELIVERED

    async def probe(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
