"""CloudWatch away, slow or throttling, under a simulated clock: no event waits, memory is bounded, one line says so."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from service.cloudwatch import publisher as published_by
from service.cloudwatch.datum import Datum
from service.cloudwatch.publisher import PENDING, PENDING_BYTES, Publisher
from service.cloudwatch.way import Packed, Unsent
from service.config.cloudwatch import FLUSH_SECONDS
from service.delivery.entry import Terms
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot
from tests.flow.published import Cloud, at_once, publisher, snapshot
from tests.flow.scripted import Faults, ScriptedSink, assert_conserved, event, intake, lane
from tests.flow.simulated import run, simulated

HOUR = 3600.0
GONE = Unsent("unreachable", "EndpointConnectionError")

TROUBLES: dict[str, Callable[[], Cloud]] = {
    "unreachable": lambda: Cloud(trouble=GONE),
    "throttling": lambda: Cloud(trouble=Unsent("throttled", "ThrottlingException", 5.0)),
    "slow": lambda: Cloud(seconds=10.0, trouble=Unsent("timeout", "no answer")),
    "silent": lambda: Cloud(hangs=True),
}


class Life:
    """One hour of events through one lane, seeded: what became of each, and when."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.sink = ScriptedSink(Faults(throttled=0.1, call_fails=0.05), random.Random(1))

    async def hour(self) -> None:
        one = lane(self.sink, self.meter, "lake", 1)
        self.lanes = [one]
        route = Route("orders", (Leg(one, Terms("orders", True, patient=False), "original"),))
        pipeline = Pipeline({"orders": route}, {"lake": one})
        loop, rng = asyncio.get_running_loop(), random.Random(2)
        end, number = loop.time() + HOUR, 0
        while loop.time() < end:
            self.meter.edge_received["http", "orders"] += 1
            pipeline.accept(intake(route, [event(number, route="orders")]))
            number += 1
            await asyncio.sleep(rng.uniform(0, 2))
        await asyncio.sleep(60)
        assert_conserved(self.meter, self.lanes)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == published_by.__name__]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_an_hour_of_trouble_has_no_effect_on_events_and_takes_bounded_memory(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    alone, watched = Life(), Life()
    run(alone.hour())

    async def main() -> None:
        cloud = TROUBLES[trouble]()
        living = asyncio.create_task(watched.hour())
        await asyncio.sleep(0)
        most = 0
        async with publisher(cloud, watched.meter, 10.0, watched.lanes) as publishing:
            while not living.done():
                await asyncio.sleep(1)
                most = max(most, len(publishing._pending))
                assert publishing.pending_bytes <= PENDING_BYTES
            await living
            assert cloud.taken == []
            assert most == PENDING, "what is newest is kept"
            assert watched.meter.cloudwatch_published == 0
            assert watched.meter.cloudwatch_dropped > 0
            assert warnings(caplog) == ["metrics cannot be published; events are not affected"]
            assert cloud.asked <= 2 * HOUR / 10

    run(main())
    assert watched.sink.calls == alone.sink.calls, "each event left in the same call, at the same moment"
    assert watched.meter.lane_settled == alone.meter.lane_settled


async def _works_again(cloud: Cloud, meter: Meter) -> None:
    async with publisher(cloud, meter, 10.0) as publishing:
        for _ in range(300):
            meter.edge_received["http", "orders"] += 1
            await asyncio.sleep(1)
        cloud.trouble, cloud.seconds = None, 0.02
        async with asyncio.timeout(120):
            while publishing._pending or publishing._in_flight:
                await asyncio.sleep(1)


@pytest.mark.parametrize("trouble", sorted(TROUBLES.keys() - {"silent"}))
def test_what_was_kept_arrives_when_it_works_again_and_one_line_says_so(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cloud, meter = TROUBLES[trouble](), Meter()
    run(_works_again(cloud, meter))
    assert cloud.sum("EventsReceived") == 300
    assert warnings(caplog) == [
        "metrics cannot be published; events are not affected",
        "metrics are published again",
    ]
    assert meter.cloudwatch_dropped == 0
    assert meter.cloudwatch_published == len(cloud.taken)


def test_what_was_given_up_is_told_in_cloudwatch_too() -> None:
    cloud, meter = Cloud(trouble=GONE), Meter()

    async def main() -> None:
        async with publisher(cloud, meter, 10.0):
            await asyncio.sleep(HOUR)
            cloud.trouble = None
            await asyncio.sleep(300)

    run(main())
    assert 0 < cloud.sum("DatumsDropped") <= meter.cloudwatch_dropped, "what told of it may be given up too"


@simulated
async def test_few_large_requests_are_bounded_in_bytes() -> None:
    class Large(Cloud):
        def packed(self, data: Sequence[Datum], moment: float) -> list[Packed]:
            del data, moment
            return [Packed(b"x" * 10**6, 1)]

    async with publisher(Large(trouble=GONE), Meter(), 10.0) as publishing:
        await asyncio.sleep(600)
        assert PENDING_BYTES - 10**6 < publishing.pending_bytes <= PENDING_BYTES


@simulated
async def test_a_request_that_is_refused_as_it_is_holds_up_no_other() -> None:
    cloud, meter = Cloud(trouble=Unsent("misconfigured", "InvalidParameterValue", hopeless=True)), Meter()
    async with publisher(cloud, meter, 10.0):
        await asyncio.sleep(35)
        assert cloud.asked in (3, 4), "each interval's once"
        assert meter.cloudwatch_dropped >= cloud.asked
        cloud.trouble = None
        meter.edge_received["http", "orders"] += 1
        await asyncio.sleep(10)
    assert cloud.sum("EventsReceived") == 1


@simulated
async def test_a_defect_of_the_way_ends_nothing() -> None:
    class Broken(Cloud):
        async def send(self, packed: Packed) -> None:
            if self.asked == 0:
                self.asked += 1
                raise ZeroDivisionError
            await super().send(packed)

    cloud, meter = Broken(), Meter()
    async with publisher(cloud, meter, 10.0):
        await asyncio.sleep(25)
        meter.edge_received["http", "orders"] += 1
    assert cloud.sum("EventsReceived") == 1


@simulated
async def test_what_cannot_be_taken_now_is_taken_at_the_next_interval() -> None:
    cloud, meter = Cloud(), Meter()
    fails = iter([True, True])

    async def taken() -> Snapshot:
        if next(fails, False):
            raise OSError("no worker answers")
        return snapshot(meter)

    async with Publisher(cloud, taken, meter, 10.0, apart=at_once):
        meter.edge_received["http", "orders"] += 5
        await asyncio.sleep(35)
    assert cloud.sum("EventsReceived") == 5


@simulated
async def test_each_interval_has_one_flush_also_if_snapshots_are_slow() -> None:
    loop = asyncio.get_running_loop()
    cloud, meter, moments = Cloud(), Meter(), list[float]()

    async def taken() -> Snapshot:
        moments.append(loop.time())
        await asyncio.sleep(0.4)
        return snapshot(meter)

    async with Publisher(cloud, taken, meter, 10.0, apart=at_once):
        await asyncio.sleep(1000)
        assert len(moments) == 100
        assert {round(later - earlier, 6) for earlier, later in pairwise(moments)} == {10.0}


@simulated
async def test_the_end_tells_what_is_left() -> None:
    cloud, meter = Cloud(), Meter()
    async with publisher(cloud, meter, 60.0):
        await asyncio.sleep(0)
        meter.edge_received["http", "orders"] += 7
    assert cloud.sum("EventsReceived") == 7


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_end_is_bounded_and_what_is_lost_then_is_counted(trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        cloud, meter = TROUBLES[trouble](), Meter()
        async with publisher(cloud, meter, 10.0):
            await asyncio.sleep(25)
            meter.edge_received["http", "orders"] += 7
            began = loop.time()
        assert loop.time() - began <= FLUSH_SECONDS
        assert meter.cloudwatch_dropped >= 2
        assert meter.cloudwatch_published == 0
        assert len(asyncio.all_tasks()) == 1, "nothing goes on"

    run(main())
    assert warnings(caplog)[-1] == "the last metrics were not published"


@simulated
async def test_the_end_waits_for_nothing_when_it_must_be_now() -> None:
    loop, now = asyncio.get_running_loop(), asyncio.Event()

    async def taken() -> Snapshot:
        return snapshot(Meter())

    async with Publisher(Cloud(hangs=True), taken, Meter(), 10.0, now=now, apart=at_once):
        await asyncio.sleep(25)
        began = loop.time()
        loop.call_later(0.5, now.set)
    assert loop.time() - began == 0.5


@simulated
async def test_the_end_is_bounded_also_if_no_snapshot_comes() -> None:
    async def taken() -> Snapshot:
        await asyncio.sleep(1e9)
        raise AssertionError

    loop = asyncio.get_running_loop()
    async with Publisher(Cloud(), taken, Meter(), 10.0, apart=at_once):
        await asyncio.sleep(25)
        began = loop.time()
    assert loop.time() - began <= FLUSH_SECONDS
