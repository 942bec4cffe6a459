"""What a lane puts into a batch, and when it leaves."""

import asyncio
import random

import pytest

from service.outcome import Reason
from service.sinks.contract import Limits
from service.telemetry.meter import Meter
from tests.flow.scripted import (
    Faults,
    ScriptedSink,
    all_settled,
    lane,
)
from tests.flow.simulated import run
from tests.flow.test_lane import put, sink


def test_an_idle_lane_sends_at_once_and_what_arrives_meanwhile_forms_the_next_batch() -> None:
    async def main() -> None:
        destination = sink()
        target = lane(destination, Meter(), concurrency=1)
        start = asyncio.get_running_loop().time()
        first = put(target, 1)
        await asyncio.sleep(0.001)
        rest = [put(target, 1, first=1 + i) for i in range(5)]
        for receipt in (first, *rest):
            await all_settled(receipt)
        assert [ids for _, ids in destination.calls] == [["e0"], ["e1", "e2", "e3", "e4", "e5"]]
        assert destination.calls[0][0] == start

    run(main())


def test_with_linger_a_batch_leaves_when_it_is_full_or_its_oldest_event_has_waited() -> None:
    async def main() -> None:
        destination = sink()
        target = lane(destination, Meter(), linger="100ms")
        start = asyncio.get_running_loop().time()
        slow = put(target, 3)
        await all_settled(slow)
        full = put(target, 10, first=3)
        at = asyncio.get_running_loop().time()
        await all_settled(full)
        assert [len(ids) for _, ids in destination.calls] == [3, 10]
        assert destination.calls[0][0] == pytest.approx(start + 0.1)
        assert destination.calls[1][0] == at

    run(main())


def test_a_flush_ends_the_linger() -> None:
    async def main() -> None:
        destination = sink()
        target = lane(destination, Meter(), linger="60s")
        start = asyncio.get_running_loop().time()
        receipt = put(target, 3)
        target.flush()
        await all_settled(receipt)
        assert destination.calls[0][0] == start

    run(main())


def test_a_packing_sink_that_had_no_room_gets_the_rest_at_once_without_an_attempt() -> None:
    class Packing(ScriptedSink):
        async def write(self, batch):  # type: ignore[no-untyped-def]
            from service.outcome import DELIVERED, Retry

            self.calls.append((asyncio.get_running_loop().time(), [e.id for e in batch.events]))
            taken = batch.events[:2]
            self.taken.update(e.id for e in taken)
            return [DELIVERED] * len(taken) + [Retry(Reason.NO_ROOM, 0)] * (len(batch) - len(taken))

    async def main() -> None:
        destination = Packing(Faults(), random.Random(1))
        meter = Meter()
        target = lane(destination, meter)
        start = asyncio.get_running_loop().time()
        receipt = put(target, 7)
        await all_settled(receipt)
        assert receipt.all_delivered
        assert asyncio.get_running_loop().time() == start
        assert not meter.lane_retries
        assert not target.breaker.failures

    run(main())


def test_a_batch_never_exceeds_the_limits_in_bytes() -> None:
    async def main() -> None:
        destination = sink()
        destination.limits = Limits(batch_events=100, batch_bytes=1000, event_bytes=1000)
        target = lane(destination, Meter())
        receipt = put(target, 40, size=300)
        await all_settled(receipt)
        assert max(len(ids) for _, ids in destination.calls) == 3

    run(main())


def test_a_lane_whose_memory_fills_before_a_batch_does_lingers_no_more() -> None:
    async def main() -> None:
        destination = sink()
        destination.limits = Limits(batch_events=10_000, batch_bytes=4 * 2**20, event_bytes=10_000)
        target = lane(destination, Meter(), memory="1MiB", linger="10s")
        start = asyncio.get_running_loop().time()
        receipt = put(target, 200, size=1000)
        await all_settled(receipt)
        assert asyncio.get_running_loop().time() < start + 1

    run(main())
