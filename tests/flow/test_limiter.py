"""The limit of calls in flight against a destination that serves so many at once and lets the others wait."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.entry import Entry
from service.delivery.lane import Lane
from service.delivery.limiter import Limiter
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.receipt import Receipt
from service.sinks.contract import Batch, Limits, SinkConfig
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, event
from tests.flow.simulated import run


class Servers:
    """`servers` calls are served at once, each in `seconds()`; the others queue."""

    Config: ClassVar[type[SinkConfig]] = SinkConfig
    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=1, batch_bytes=10_000, event_bytes=10_000)

    def __init__(self, servers: int, seconds: Callable[[], float], seed: int) -> None:
        self._slots = asyncio.Semaphore(servers)
        self._seconds = seconds
        self._rng = random.Random(seed)
        self.ended: list[float] = []
        self.in_flight = 0
        self.crowd: list[tuple[float, int]] = []
        self.broken = False

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        loop = asyncio.get_running_loop()
        self.in_flight += 1
        self.crowd.append((loop.time(), self.in_flight))
        try:
            async with self._slots:
                await asyncio.sleep(self._seconds() * self._rng.uniform(0.9, 1.1))
        finally:
            self.in_flight -= 1
        if self.broken:
            return [Retry(Reason.UNAVAILABLE)] * len(batch)
        self.ended.append(loop.time())
        return [DELIVERED] * len(batch)

    async def probe(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def saturate(target: Lane, seconds: float) -> None:
    """Keep the lane full."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        missing = 400 - target.held_events
        if missing > 0:
            one = event(1)
            receipt = Receipt([("s",)] * missing)
            size = target.size(one)
            target.put([Entry(one, one, size, one.charge, REQUIRED, "s", receipt, i) for i in range(missing)])
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(2))
def test_a_destination_that_slows_down_and_recovers_is_used_to_90_percent_and_never_crowded(seed: int) -> None:
    async def main() -> None:
        seconds = 0.05
        sink = Servers(32, lambda: seconds, seed)
        config = SinkConfig.model_validate({"type": "servers", "patience": "600s", "concurrency": 256})
        target = Lane("s", sink, config, Meter(), random.Random(seed))
        loop = asyncio.get_running_loop()
        for seconds, length in ((0.05, 20), (2.0, 60), (0.05, 40)):
            start = loop.time()
            await saturate(target, length)
            done = sum(at >= start for at in sink.ended)
            assert done >= 0.9 * length * 32 / seconds
            settled = start + 10 * 2 * seconds
            assert max(crowd for at, crowd in sink.crowd if at >= settled) <= 3 * 32
        await target.abandon()

    run(main())


def test_the_limit_falls_to_its_floor_while_every_call_fails_and_returns() -> None:
    async def main() -> None:
        sink = Servers(8, lambda: 0.02, 1)
        config = SinkConfig.model_validate({"type": "servers", "patience": "600s", "concurrency_floor": 2})
        target = Lane("s", sink, config, Meter(), random.Random(1))
        await saturate(target, 10)
        assert target.limiter.limit >= 8
        sink.broken = True
        await saturate(target, 40)
        assert target.limiter.limit == 2
        sink.broken = False
        await saturate(target, 20)
        assert target.limiter.limit >= 8
        await target.abandon()

    run(main())


def test_a_fixed_limit_never_moves() -> None:
    async def main() -> None:
        sink = Servers(2, lambda: 0.5, 1)
        settings = {"type": "servers", "patience": "600s", "concurrency": 16, "concurrency_floor": 16}
        target = Lane("s", sink, SinkConfig.model_validate(settings), Meter(), random.Random(1))
        await saturate(target, 10)
        assert target.limiter.limit == 16
        assert max(crowd for _, crowd in sink.crowd) == 16
        await target.abandon()

    run(main())


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.05, 3.0]), st.booleans(), st.integers(0, 64)), max_size=400))
def test_whatever_round_trips_are_measured_the_limit_stays_between_its_bounds(
    calls: list[tuple[float, bool, int]],
) -> None:
    limiter = Limiter(1, 64)
    for seconds, failed, in_flight in calls:
        limiter.began(in_flight + 1)
        limiter.ended(seconds, failed, in_flight)
        assert 1 <= limiter.limit <= 64


def test_a_clock_that_does_not_move_harms_nothing() -> None:
    limiter = Limiter(1, 64)
    for seconds in (0.05, 0.0, 0.0, 0.0, 0.0, 0.0):
        limiter.began(limiter.limit)
        limiter.ended(seconds, False, 0)
    assert limiter.limit >= 1
