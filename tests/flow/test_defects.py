"""What a lane does when something breaks that never should: a sink, whoever waits, or the lane itself."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from service.delivery.entry import Entry, Graveyard, Terms
from service.delivery.lane import Lane
from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.receipt import Receipt
from service.sinks.contract import Batch
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, assert_conserved, event, lane
from tests.flow.shards import Shards
from tests.flow.simulated import run
from tests.flow.test_partitions import before


def put(target: Lane, numbers: Sequence[int], key: str | None = None, terms: Terms = REQUIRED) -> Receipt:
    receipt = Receipt([(target.name,)] * len(numbers))
    entries = []
    for index, number in enumerate(numbers):
        one = event(number, key=key)
        entries.append(Entry(one, one, target.size(one), one.charge, terms, target.name, receipt, index))
        entries[-1].partition = target.partition(one)
    target.put(entries)
    return receipt


class Leaking(ScriptedSink):
    """Lets a CancelledError out of its first call, and out of its first question."""

    def __init__(self) -> None:
        super().__init__(Faults(), random.Random(1))
        self.leaks = True
        self.questions = 0

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        if self.leaks:
            self.leaks = False
            raise asyncio.CancelledError
        return await super().write(batch)

    async def probe(self) -> None:
        self.questions += 1
        if self.questions == 1:
            raise asyncio.CancelledError


def test_a_cancellation_that_a_sink_leaks_is_a_failed_attempt_and_its_key_goes_on() -> None:
    async def main() -> None:
        meter = Meter()
        target = lane(Leaking(), meter, order="key")
        receipt = put(target, [1, 2, 3], key="a")
        await all_settled(receipt)
        assert receipt.all_delivered
        assert meter.lane_retries["s", Reason.SINK_ERROR.value] == 1
        assert_conserved(meter, [target])

    run(main())


def test_a_cancellation_that_a_probe_leaks_is_an_answer_and_no_reason_to_ask_at_once() -> None:
    async def main() -> None:
        sink = Leaking()
        sink.leaks = False
        sink.dead = True
        target = lane(sink, Meter())
        await all_settled(put(target, [1]))
        await asyncio.sleep(3)
        assert sink.questions == 1
        await asyncio.sleep(10)
        assert sink.questions == 2
        assert not target.breaker.failures

    run(main())


def test_a_call_that_cannot_be_settled_gives_back_its_events_and_their_keys_go_on() -> None:
    class Nonsense(ScriptedSink):
        async def write(self, batch: Batch) -> Sequence[Outcome]:
            if any(each.id == "e1" for each in batch.events):
                soon = Retry(Reason.UNAVAILABLE, after="soon")  # type: ignore[arg-type]  # somebody else's sink
                return [DELIVERED if each.id == "e0" else soon for each in batch.events]
            return await super().write(batch)

    async def main() -> None:
        meter = Meter()
        target = lane(Nonsense(Faults(), random.Random(1)), meter, order="key")
        first, other = put(target, [1], key="a"), put(target, [0], key="b")
        later, same = put(target, [2], key="a"), put(target, [3], key="b")
        await all_settled(first)
        settlement = first.failures(0)["s"]
        assert settlement.reason is Reason.SINK_ERROR
        assert settlement.may_duplicate
        for receipt in (other, later, same):
            await all_settled(receipt)
            assert receipt.all_delivered
        assert target.held_events == 0
        assert_conserved(meter, [target])

    run(main())


def test_a_call_that_has_only_begun_when_the_lane_is_abandoned_gives_back_its_events() -> None:
    async def main() -> None:
        meter = Meter()
        target = lane(ScriptedSink(Faults(), random.Random(1)), meter)
        receipt = put(target, [1, 2])
        while not target.calls:
            await asyncio.sleep(0)
        await target.abandon()
        assert receipt.done
        assert receipt.failures(0)["s"].reason is Reason.SHUTDOWN
        assert_conserved(meter, [target])

    run(main())


def test_a_lane_that_was_abandoned_asks_nothing_and_gives_back_what_still_comes() -> None:
    class Closed(ScriptedSink):
        questions = 0

        async def probe(self) -> None:
            self.questions += 1
            raise RuntimeError("closed")

    async def main() -> None:
        meter = Meter()
        sink = Closed(Faults(seconds=1), random.Random(1))
        sink.dead = True
        target = lane(sink, meter, patience="60s")
        put(target, [1])
        await asyncio.sleep(3.3)
        while not target.calls:
            await asyncio.sleep(0.01)
        await target.abandon()
        late = put(target, [2])
        assert late.failures(0)["s"].reason is Reason.SHUTDOWN
        calls = len(sink.calls)
        await asyncio.sleep(60)
        assert sink.questions == 0
        assert len(sink.calls) == calls
        assert not target.calls
        assert_conserved(meter, [target])

    run(main())


@pytest.mark.parametrize("dead", [False, True])
def test_a_waiter_that_raises_strands_no_other_event(dead: bool) -> None:
    def raises() -> None:
        raise ValueError("scripted")

    async def main() -> None:
        meter = Meter()
        sink = ScriptedSink(Faults(), random.Random(1))
        sink.dead = dead
        target = lane(sink, meter, patience="20s")
        receipts = [put(target, [number]) for number in range(30)]
        receipts[0].on_done(raises)
        for receipt in receipts[1:]:
            await all_settled(receipt)
            assert receipt.all_delivered is not dead
        assert target.held_events == 0
        assert_conserved(meter, [target])

    run(main())


@pytest.mark.parametrize("required", [False, True])
def test_a_dead_letter_that_cannot_be_written_strands_no_other_event(required: bool) -> None:
    class Broken(Graveyard):
        def bury(
            self, entry: Entry, sink: str, reason: Reason, detail: str, done: Callable[[bool], None]
        ) -> Callable[[], object]:
            raise ValueError("scripted")

        def bury_at_once(
            self, entry: Entry, sink: str, reason: Reason, detail: str, done: Callable[[bool], None]
        ) -> bool:
            raise ValueError("scripted")

    async def main() -> None:
        meter = Meter()
        terms = Terms("r", required=required, patient=False, graveyard=Broken())
        target = lane(ScriptedSink(Faults(rejected=0.5), random.Random(1)), meter)
        receipt = put(target, range(50), terms=terms)
        await all_settled(receipt)
        assert target.held_events == 0
        assert_conserved(meter, [target])

    run(main())


class Moody(Shards):
    """Raises when asked for a partition, as long as `moods` says."""

    moods = 0

    def partition(self, event: Event) -> int:
        if self.moods:
            self.moods -= 1
            raise KeyError("scripted")
        return super().partition(event)


def test_a_sink_that_cannot_say_where_events_go_after_a_reshard_strands_none() -> None:
    async def main() -> None:
        sink = Moody(shards=2, rate=50)
        meter = Meter()
        target = before(sink, meter, patience="60s")
        receipts = [put(target, range(number, number + 100), key=str(number)) for number in range(0, 400, 100)]
        await asyncio.sleep(0.5)
        sink.shards, sink.generation, sink.moods = 8, 2, 10
        for receipt in receipts:
            await all_settled(receipt)
            assert receipt.all_delivered
        assert_conserved(meter, [target])

    run(main())


def test_a_defect_of_the_pump_is_survived() -> None:
    class Priceless(Shards):
        raises = True

        def cost(self, event: Event) -> int:
            if self.raises:
                raise ValueError("scripted")
            return super().cost(event)

    async def main() -> None:
        sink = Priceless(shards=1, rate=1000)
        meter = Meter()
        target = before(sink, meter, patience="20s")
        receipt = put(target, [1, 2, 3])
        await asyncio.sleep(5)
        sink.raises = False
        await all_settled(receipt)
        assert receipt.all_delivered
        assert_conserved(meter, [target])

    run(main())
