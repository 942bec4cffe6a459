"""`order: key`: of each key one event at a time, in the order of arrival, through failures and back-off."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from service.delivery.entry import Entry, Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.errors import InvalidEvent
from service.event import Event
from service.outcome import Outcome, Reason, Retry
from service.receipt import Receipt
from service.sinks.contract import Batch, Pace, SinkConfig
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, assert_conserved, event, intake, lane
from tests.flow.shards import Shards
from tests.flow.simulated import run


class Recording(ScriptedSink):
    """Notes in which order what was taken; fails the first attempts at the events in `failing`."""

    def __init__(self, failing: dict[str, int] | None = None, **faults: float) -> None:
        super().__init__(Faults(**faults), random.Random(1))
        self.failing = failing or {}
        self.order: list[str] = []

    def _one(self, event: Event) -> Outcome:
        if self.failing.get(event.id, 0):
            self.failing[event.id] -= 1
            return Retry(Reason.INTERNAL)
        before = self.taken[event.id]
        outcome = super()._one(event)
        if not before and self.taken[event.id]:
            self.order.append(event.id)
        return outcome

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        keys = [each.key for each in batch.events]
        assert len(set(keys)) == len(keys), "a call carries at most one event per key"
        return await super().write(batch)


def put(target: Lane, events: Sequence[Event], terms: Terms = REQUIRED) -> Receipt:
    receipt = Receipt([("s",)] * len(events))
    target.put(
        [Entry(one, one, target.size(one), one.charge, terms, "s", receipt, index) for index, one in enumerate(events)]
    )
    return receipt


def test_while_the_first_event_of_a_key_fails_the_second_waits_and_other_keys_go_on() -> None:
    async def main() -> None:
        sink = Recording(failing={"e0": 3})
        target = lane(sink, Meter(), order="key")
        events = [event(0, key="a"), event(1, key="a"), event(2, key="b")]
        receipt = put(target, events)
        await all_settled(receipt)
        assert receipt.all_delivered
        assert sink.order == ["e2", "e0", "e1"]

    run(main())


@pytest.mark.parametrize("seed", range(10))
def test_first_occurrences_of_each_key_are_in_order_whatever_fails(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        meter = Meter()
        sink = Recording(throttled=0.3, call_fails=0.2, raises=0.1, wrong_length=0.1)
        sink.rng = random.Random(seed)
        target = lane(sink, meter, order="key", patience="600s", concurrency=8)
        events = [event(n, key=rng.choice("abcde")) for n in range(200)]
        receipts = [put(target, events[start : start + 10]) for start in range(0, 200, 10)]
        for receipt in receipts:
            await all_settled(receipt)
        for key in "abcde":
            wanted = [each.id for each in events if each.key == key]
            assert [name for name in sink.order if name in set(wanted)] == wanted
        assert_conserved(meter, [target])

    run(main())


def test_after_a_rejected_event_its_key_goes_on() -> None:
    async def main() -> None:
        sink = Recording(rejected=0.5)
        target = lane(sink, Meter(), order="key")
        receipt = put(target, [event(n, key="a") for n in range(30)])
        await all_settled(receipt)
        assert sink.order == [f"e{n}" for n in range(30) if f"e{n}" in sink.taken]
        assert 0 < len(sink.order) < 30

    run(main())


def test_what_waits_behind_its_key_is_given_back_in_time() -> None:
    async def main() -> None:
        meter = Meter()
        sink = Recording(failing={"e0": 10**6})
        target = lane(sink, meter, order="key", patience="20s")
        loop = asyncio.get_running_loop()
        start = loop.time()
        receipt = put(target, [event(n, key="a") for n in range(10)])
        await all_settled(receipt)
        assert loop.time() <= start + 20
        assert target.held_events == 0
        assert_conserved(meter, [target])
        assert await _delivered(target, event(99, key="a")), "the key is free again"

    run(main())


async def _delivered(target: Lane, one: Event) -> bool:
    receipt = put(target, [one])
    await all_settled(receipt)
    return receipt.all_delivered


def test_abandoning_gives_back_what_waits_behind_its_key() -> None:
    async def main() -> None:
        meter = Meter()
        target = lane(Recording(hangs=1.0), meter, order="key")
        receipt = put(target, [event(n, key="a") for n in range(10)])
        await asyncio.sleep(0.1)
        await target.abandon()
        assert receipt.done
        assert target.held_events == 0
        assert_conserved(meter, [target])

    run(main())


def test_an_event_without_a_key_is_refused_where_order_is_kept() -> None:
    async def main() -> None:
        target = lane(Recording(), Meter(), order="key")
        route = Route("r", (Leg(target, REQUIRED, "original"),))
        pipeline = Pipeline({"r": route}, {"s": target})
        with pytest.raises(InvalidEvent, match="no key"):
            pipeline.accept(intake(route, [event(1)]))

    run(main())


def test_keys_stay_in_order_through_a_reshard_with_calls_in_flight_and_throttling() -> None:
    async def main() -> None:
        sink = Shards(shards=2, rate=6, pace=Pace(events=1000, bytes=0))
        sink.seconds = 0.5
        meter = Meter()
        settings = SinkConfig.model_validate({"type": "shards", "order": "key", "patience": "200s"})
        target = Lane("s", sink, settings, meter, random.Random(3))
        receipt = Receipt([("s",)] * 300)
        entries = []
        for number in range(300):
            one = event(number, key=str(number % 10))
            entry = Entry(one, one, target.size(one), one.charge, REQUIRED, "s", receipt, number)
            entry.partition = target.partition(one)
            entries.append(entry)
        target.put(entries)
        await asyncio.sleep(1.2)
        assert target.calls, "some are on their way to the shards that were"
        for shards in (7, 3):
            sink.shards, sink.generation = shards, sink.generation + 1
            await asyncio.sleep(2.2)
        await all_settled(receipt)
        assert receipt.all_delivered
        for key in range(10):
            numbers = [int(name[1:]) for name in sink.order if int(name[1:]) % 10 == key]
            assert numbers == list(range(key, 300, 10))
        assert sink.throttled
        assert_conserved(meter, [target])

    run(main())
