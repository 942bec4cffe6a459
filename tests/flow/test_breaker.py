"""A destination that stays broken: the breaker opens, its events go to the fallback, and it comes back by itself."""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from service.delivery.breaker import Breaker, State
from service.delivery.entry import Entry
from service.delivery.fallback import FallbackLane
from service.delivery.lane import Lane
from service.outcome import Outcome, Reason, Retry
from service.receipt import Receipt
from service.sinks.contract import Batch, ProbeError
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, assert_conserved, event, lane
from tests.flow.simulated import run


class Destination(ScriptedSink):
    """Says when asked whether it works."""

    def __init__(self) -> None:
        super().__init__(Faults(), random.Random(1))
        self.probes: list[float] = []
        self.answers = False
        """Whether it says that it works although it is dead."""

    async def probe(self) -> None:
        self.probes.append(asyncio.get_running_loop().time())
        if self.dead and not self.answers:
            raise ProbeError("it is dead")


def put(target: Lane, count: int, first: int = 0) -> Receipt:
    receipt = Receipt([(target.name,)] * count)
    entries = []
    for index in range(count):
        one = event(first + index)
        entries.append(Entry(one, one, target.size(one), one.charge, REQUIRED, target.name, receipt, index))
    target.put(entries)
    return receipt


def test_after_sustained_failure_the_breaker_opens_and_a_success_closes_it() -> None:
    async def main() -> None:
        sink = Destination()
        sink.dead = True
        target = lane(sink, Meter(), patience="60s")
        receipt = put(target, 20)
        await asyncio.sleep(1)
        assert target.breaker.state is State.CLOSED, "a moment's trouble opens nothing"
        await asyncio.sleep(9)
        assert target.breaker.state is not State.CLOSED
        calls = [at for at, _ in sink.calls]
        await asyncio.sleep(10)
        later = [at for at, _ in sink.calls][len(calls) :]
        assert later, "it is tried"
        assert max(b - a for a, b in pairwise(later)) <= 2.2
        sink.dead = False
        await all_settled(receipt)
        assert receipt.all_delivered
        assert target.breaker.state is State.CLOSED

    run(main())


def test_a_broken_destination_is_asked_and_comes_back_though_no_event_waits() -> None:
    async def main() -> None:
        sink = Destination()
        sink.dead = True
        target = lane(sink, Meter(), patience="20s")
        await all_settled(put(target, 3))
        assert target.held_events == 0
        await asyncio.sleep(20)
        assert target.breaker.failures
        assert 6 <= len(sink.probes) <= 20
        sink.dead = False
        await asyncio.sleep(5)
        assert target.breaker.state is State.CLOSED
        assert not target.breaker.failures
        asked = len(sink.probes)
        await asyncio.sleep(60)
        assert len(sink.probes) == asked, "one that works is left alone"
        await target.abandon()

    run(main())


def world(**fallback: object) -> tuple[Meter, Destination, Destination, Lane, Lane]:
    meter = Meter()
    broken, spare = Destination(), Destination()
    broken.dead = True
    first = lane(broken, meter, "s", patience="20s")
    second = lane(spare, meter, "f", **fallback)  # type: ignore[arg-type]
    first.fallback = FallbackLane(second, "original")
    return meter, broken, spare, first, second


def test_while_the_breaker_is_open_events_go_to_the_fallback_and_are_answered_for() -> None:
    async def main() -> None:
        meter, broken, spare, first, second = world()
        opening = put(first, 5)
        await all_settled(opening)
        assert opening.all_delivered, "once it opened, what had failed went to the fallback before its deadline"
        loop = asyncio.get_running_loop()
        start = loop.time()
        receipt = put(first, 50, first=100)
        await all_settled(receipt)
        assert receipt.all_delivered
        assert loop.time() < start + 3
        assert sum(spare.taken.values()) == 55
        diverted = {key: n for key, n in meter.lane_settled.items() if key[2] == "diverted"}
        assert sum(diverted.values()) == 55
        assert {key[0] for key in diverted} == {"s"}
        broken.dead = False
        await asyncio.sleep(5)
        assert first.breaker.state is State.CLOSED
        await all_settled(put(first, 10, first=200))
        assert sum(broken.taken.values()) >= 10, "back at its own destination"
        for each in (first, second):
            assert each.held_events == 0
        assert_conserved(meter, [first, second])

    run(main())


def test_a_destination_that_says_it_works_and_takes_nothing_stays_open_while_events_are_diverted() -> None:
    async def main() -> None:
        _, broken, _, first, second = world()
        broken.answers = True
        loop = asyncio.get_running_loop()
        await all_settled(put(first, 5))
        waits: list[float] = []
        states: set[State] = set()

        def ended(start: float) -> None:
            waits.append(loop.time() - start)

        for number in range(280):
            start = loop.time()
            receipt = put(first, 1, first=100 + number)
            receipt.on_done(partial(ended, start))
            await asyncio.sleep(1 / 7)
            states.add(first.breaker.state)
        await asyncio.sleep(20)
        assert State.CLOSED not in states
        assert len(waits) == 280
        assert sum(wait > 1 for wait in waits) <= 30, "one at a time tries the destination"
        await first.abandon()
        await second.abandon()

    run(main())


def test_a_fallback_without_room_leaves_events_where_they_are_within_their_patience() -> None:
    async def main() -> None:
        meter, _, spare, first, second = world(memory="64KiB")
        spare.dead = True
        await all_settled(put(first, 5))
        receipt = put(first, 400, first=100)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await all_settled(receipt)
        assert loop.time() <= start + 20
        assert not any(not receipt.failures(index) for index in range(400)), "nobody took anything"
        assert_conserved(meter, [first, second])
        await first.abandon()
        await second.abandon()

    run(main())


def test_a_drain_waits_for_what_was_diverted_meanwhile() -> None:
    async def main() -> None:
        _, _, spare, first, second = world()
        await all_settled(put(first, 5))
        receipt = put(first, 50, first=100)
        first.flush()
        second.flush()
        while first.held_events or second.held_events:
            await first.books.emptied()
            await second.books.emptied()
        assert receipt.all_delivered
        assert sum(spare.taken.values()) >= 50

    run(main())


def test_a_packing_sink_whose_calls_all_fail_is_a_broken_destination_though_it_had_no_room_for_some() -> None:
    class Packing(Destination):
        async def write(self, batch: Batch) -> Sequence[Outcome]:
            outcomes = await super().write(batch)
            return [*outcomes[:2], *[Retry(Reason.NO_ROOM, 0)] * (len(batch) - 2)]

    async def main() -> None:
        sink = Packing()
        sink.dead = True
        target = lane(sink, Meter(), patience="60s")
        receipt = put(target, 8)
        await asyncio.sleep(15)
        assert target.breaker.failures > 3
        assert target.breaker.diverts
        sink.dead = False
        await all_settled(receipt)
        assert receipt.all_delivered

    run(main())


def test_a_breaker_is_half_open_only_once_a_call_begins() -> None:
    breaker = Breaker("s", random.Random(1))
    for now in (0.0, 3.0, 6.0):
        breaker.fail(Retry(Reason.UNAVAILABLE), now)
    assert breaker.may_call(0, 1, 100.0)
    states = [breaker.state]
    breaker.tries()
    states.append(breaker.state)
    assert states == [State.OPEN, State.HALF_OPEN]


def test_the_oldest_event_of_a_call_need_not_be_its_first() -> None:
    async def main() -> None:
        sink = Destination()
        sink.faults.seconds = 4.0
        target = lane(sink, Meter(), concurrency=1)
        put(target, 1)
        await asyncio.sleep(0.1)
        put(target, 1, first=1)
        await asyncio.sleep(1)
        one = event(2)
        diverted = Entry(one, one, target.size(one), one.charge, REQUIRED, "s", Receipt([("s",)]), 0)
        diverted.deadline = asyncio.get_running_loop().time() + 15
        target.adopt(diverted)
        while len(sink.calls) < 2:
            await asyncio.sleep(0.1)
        assert sink.calls[1][1] == ["e2", "e1"]
        assert target.oldest_age() > sink.calls[1][0] - sink.calls[0][0] - 0.2
        await target.abandon()

    run(main())
