"""A lane before a destination with shards: each shard has its own rate, and a hot one slows only its own events."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from functools import partial

import pytest

from service.delivery.entry import Entry, Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.outcome import Outcome, Reason, Retry
from service.receipt import Receipt
from service.sinks.contract import Batch, Limits, Pace, SinkConfig
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, all_settled, assert_conserved, event, intake
from tests.flow.shards import Shards
from tests.flow.simulated import run


def before(sink: Shards, meter: Meter | None = None, **settings: object) -> Lane:
    config = SinkConfig.model_validate({"type": "shards", **settings})
    return Lane("s", sink, config, meter or Meter(), random.Random(3))


def put(lane: Lane, numbers: Iterable[int], key: int | None = None, size: int = 100) -> Receipt:
    """Events by number; their key is the number too, unless it is given."""
    numbers = list(numbers)
    receipt = Receipt([("s",)] * len(numbers))
    entries = []
    for index, number in enumerate(numbers):
        one = event(number, size, key=str(number if key is None else key))
        entry = Entry(one, one, lane.size(one), one.charge, REQUIRED, "s", receipt, index)
        entry.partition = lane.partition(one)
        entries.append(entry)
    lane.put(entries)
    return receipt


async def feed(lane: Lane, seconds: float, per_second: int, key: int | None = None, first: int = 0) -> list[float]:
    """Put events evenly; returns how long each tenth of a second's worth took to be settled."""
    loop = asyncio.get_running_loop()
    took: list[float] = []

    def settled(receipt: Receipt, at: float) -> None:
        receipt.on_done(lambda: took.append(loop.time() - at))

    for step in range(round(seconds * 10)):
        begin = first + step * per_second // 10
        settled(put(lane, range(begin, begin + per_second // 10), key), loop.time())
        await asyncio.sleep(0.1)
    await lane.books.emptied()
    return took


def test_a_saturated_destination_is_used_to_95_percent_and_nothing_is_sent_twice_in_vain() -> None:
    async def main() -> None:
        sink = Shards(shards=4, rate=1000)
        meter = Meter()
        lane = before(sink, meter, patience="60s")
        loop, number = asyncio.get_running_loop(), 0
        start = loop.time()
        while loop.time() < start + 60:
            if lane.held_events < 4000:
                put(lane, range(number, number + 400))
                number += 400
            await asyncio.sleep(0.02)
        capacity = 4 * 1000 * 60
        assert sum(sink.taken.values()) >= 0.95 * capacity
        assert max(sink.taken.values()) == 1
        assert sink.throttled <= 0.1 * capacity
        await lane.books.emptied()
        assert_conserved(meter, [lane])

    run(main())


@pytest.mark.parametrize("real", [300, 700])
def test_where_others_use_the_shards_too_the_rate_finds_what_is_left(real: int) -> None:
    async def main() -> None:
        sink = Shards(shards=2, rate=real, pace=Pace(events=1000, bytes=0))
        lane = before(sink, patience="60s")
        loop, number = asyncio.get_running_loop(), 0
        start = loop.time()
        while loop.time() < start + 60:
            if lane.held_events < 2000:
                put(lane, range(number, number + 200))
                number += 200
            await asyncio.sleep(0.02)
        assert sum(sink.taken.values()) >= 0.9 * 2 * real * 60
        assert sink.throttled <= 0.15 * sum(sink.taken.values())
        await lane.abandon()

    run(main())


@pytest.mark.parametrize("real", [1000, 600])
def test_a_hot_key_slows_only_its_own_shard_whose_throttling_is_no_trouble_of_the_destination(real: int) -> None:
    async def elsewhere(hot: int) -> tuple[list[float], int, int]:
        """Sorted seconds of requests with keys of other shards; records throttled; the last limit of calls."""
        sink = Shards(shards=4, rate=real, pace=Pace(events=1000, bytes=0))
        lane = before(sink, patience="60s")
        heating = asyncio.create_task(feed(lane, 20, hot, key=4, first=10**6)) if hot else None
        loop = asyncio.get_running_loop()
        took: list[float] = []
        for first in range(0, 14 * 2250, 14):
            cool = [number for number in range(first, first + 14) if number % 4][:10]
            put(lane, cool).on_done(partial(lambda at: took.append(loop.time() - at), loop.time()))
            await asyncio.sleep(20 / 2250)
        limit = lane.limiter.limit
        if heating is not None:
            await heating
        await lane.books.emptied()
        return sorted(took), sink.throttled, limit

    alone, none, before_heat = run(elsewhere(0))
    beside, throttled, limit = run(elsewhere(1500))
    assert none == 0
    assert throttled or real == 1000
    assert beside[len(beside) * 99 // 100] <= 1.5 * alone[len(alone) * 99 // 100]
    assert limit >= before_heat


@pytest.mark.parametrize("shards", [4, 64, 256])
def test_shards_that_are_throttled_for_ever_are_asked_seldom_however_many(shards: int) -> None:
    async def main() -> None:
        sink = Shards(shards=shards, rate=0.0, pace=Pace(events=1000, bytes=10**6))
        lane = before(sink, patience="60s")
        put(lane, range(2000))
        await asyncio.sleep(30)
        assert len(sink.calls) <= 30 * (5 if shards == 4 else 11)
        assert lane.breaker.failures == 0, "throttled shards are not a broken destination"
        await lane.abandon()

    run(main())


def test_what_is_never_taken_is_given_back_in_time_as_throttled_before_or_not() -> None:
    async def main() -> None:
        sink = Shards(shards=2, rate=0.0, pace=Pace(events=1000, bytes=0))
        lane = before(sink, patience="20s")
        loop = asyncio.get_running_loop()
        start = loop.time()
        receipt = put(lane, range(100))
        await all_settled(receipt)
        assert loop.time() <= start + 20
        assert {receipt.failures(i)["s"].reason for i in range(100)} == {Reason.PATIENCE_OVER}
        assert not any(receipt.failures(i)["s"].may_duplicate for i in range(100))
        assert max(sink.calls) + 8 <= start + 20

    run(main())


def test_a_partition_holds_at_most_a_quarter_of_a_lane_that_has_several() -> None:
    async def main() -> None:
        sink = Shards(shards=4, rate=0.0)
        lane = before(sink, memory="400KiB")
        put(lane, [1], size=1000)
        assert lane.partition_has_room(1, 300 * 1024), "the only partition seen may have the whole lane"
        put(lane, [2], size=1000)
        await asyncio.sleep(0.1)
        assert not lane.partition_has_room(1, 100 * 1024)
        assert lane.partition_has_room(1, 90 * 1024)
        assert lane.partition_has_room(3, 300 * 1024), "an empty partition takes what the lane takes"
        await lane.abandon()

    run(main())


def test_after_a_reshard_what_waits_is_sorted_anew_and_the_books_follow() -> None:
    async def main() -> None:
        sink = Shards(shards=2, rate=50)
        meter = Meter()
        lane = before(sink, meter, patience="60s")
        receipt = put(lane, range(400))
        await asyncio.sleep(1)
        sink.shards, sink.generation = 8, 2
        put(lane, range(1000, 1001))
        await all_settled(receipt)
        assert receipt.all_delivered
        assert set(lane.books.partition_bytes) <= set(range(8))
        await lane.books.emptied()
        assert lane.books.partition_bytes == {}
        assert_conserved(meter, [lane])

    run(main())


def test_a_partition_is_paced_by_what_its_events_cost_and_not_by_what_the_limits_reserve() -> None:
    async def main() -> None:
        sink = Shards(shards=1, rate=10**9, pace=Pace(events=0, bytes=50_000))
        sink.limits = Limits(batch_events=500, batch_bytes=5 * 2**20, event_bytes=2**20, overhead_bytes=64)
        lane = before(sink, patience="60s")
        put(lane, range(20_000), size=50)
        await asyncio.sleep(10)
        assert 0.95 <= sum(sink.taken.values()) * 50 / (10 * 50_000) <= 1.05
        await lane.abandon()

    run(main())


def test_what_a_call_had_no_room_for_is_not_paid_for() -> None:
    class Narrow(Shards):
        async def write(self, batch: Batch) -> Sequence[Outcome]:
            told = list(await super().write(Batch(batch.events[:40])))
            return told + [Retry(Reason.NO_ROOM, after=0)] * (len(batch) - len(told))

    async def main() -> None:
        sink = Narrow(shards=1, rate=10**9, pace=Pace(events=1000, bytes=0))
        lane = before(sink, patience="60s")
        put(lane, range(20_000))
        await asyncio.sleep(10)
        assert 0.95 <= sum(sink.taken.values()) / (10 * 1000) <= 1.05
        await lane.abandon()

    run(main())


def test_after_a_merge_nothing_goes_by_the_old_shards_be_it_in_a_call_or_backing_off_or_behind_its_key() -> None:
    async def main() -> None:
        sink = Shards(shards=2, rate=50)
        lane = before(sink, patience="60s", order="key", memory="400KiB")
        receipts = [put(lane, range(100), key=key) for key in range(4)]
        receipts.append(put(lane, range(1000, 1200)))
        await asyncio.sleep(0.5)
        while not lane.calls:
            await asyncio.sleep(0.001)
        sink.shards, sink.generation = 1, 2
        receipts.append(put(lane, [2000]))
        await asyncio.sleep(3)
        assert set(lane.books.partition_bytes) == {0}
        assert lane.partition_has_room(0, 100 * 1024), "the only shard may have the whole lane"
        for receipt in receipts:
            await all_settled(receipt)
            assert receipt.all_delivered

    run(main())


def test_a_best_effort_lane_takes_of_one_request_no_more_than_a_partition_may_hold() -> None:
    async def main() -> None:
        meter = Meter()
        sink = Shards(shards=4, rate=1)
        target = before(sink, meter, memory="1MiB")
        leg = Leg(target, Terms("r", required=False, patient=False), "original")
        pipeline = Pipeline({"r": Route("r", (leg,))}, {"s": target})
        put(target, range(100))
        pipeline.accept(intake(pipeline.routes["r"], [event(n, 10_000, key="7") for n in range(80)]))
        assert max(target.books.partition_bytes.values()) <= 2**20 // 4
        assert 0 < meter.lane_settled["s", "r", "dropped", "lane_full"] < 80
        await target.abandon()
        assert_conserved(meter, [target])

    run(main())
