"""`order: key` where entries expire, are adopted, or have no deadline: the key stays locked, and nothing is kept on."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from service.delivery.entry import Entry, Terms
from service.delivery.fallback import FallbackLane
from service.delivery.keyorder import KeyOrder
from service.delivery.lane import Lane
from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Rejected
from service.receipt import Fate, Receipt
from service.sinks.contract import Batch
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, assert_conserved, event, lane
from tests.flow.simulated import run

LETTER = Terms("letters", required=True, patient=True, last_resort=True)


class Watching(ScriptedSink):
    """Notes how many calls at once held an event of the same key, and in which order events were taken."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Faults(seconds=seconds), random.Random(1))
        self.keys: Counter[str | None] = Counter()
        self.most_of_a_key = 0
        self.order: list[int] = []

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        keys = Counter(each.key for each in batch.events)
        self.keys += keys
        self.most_of_a_key = max(self.most_of_a_key, *self.keys.values())
        try:
            outcomes = await super().write(batch)
        finally:
            self.keys -= keys
        pairs = zip(batch.events, outcomes, strict=True)
        self.order += [int(each.id[1:]) for each, outcome in pairs if outcome is DELIVERED]
        return outcomes


def put(target: Lane, events: Sequence[Event], terms: Terms = REQUIRED) -> Receipt:
    receipt = Receipt([(target.name,)] * len(events))
    target.put([entry(target, one, receipt, index, terms) for index, one in enumerate(events)])
    return receipt


def entry(target: Lane, one: Event, receipt: Receipt, index: int = 0, terms: Terms = REQUIRED) -> Entry:
    return Entry(one, one, target.size(one), one.charge, terms, target.name, receipt, index)


def test_a_key_that_gets_more_than_it_can_send_stays_in_order_while_its_waiters_expire() -> None:
    async def main() -> None:
        meter = Meter()
        sink = Watching(0.1)
        target = lane(sink, meter, order="key", patience="20s", concurrency_floor=4)
        receipts = []
        for number in range(1200):
            receipts.append(put(target, [event(number, key="a")]))
            await asyncio.sleep(0.05)
        for receipt in receipts:
            await all_settled(receipt)
        expired = sum(not receipt.all_delivered for receipt in receipts)
        assert expired > 50, "else nothing was tried here"
        assert sink.most_of_a_key == 1
        assert sink.order == sorted(sink.order)
        assert len(sink.order) + expired == 1200
        assert_conserved(meter, [target])

    run(main())


def test_an_adopted_event_waits_behind_its_key() -> None:
    async def main() -> None:
        sink = Watching(1.0)
        target = lane(sink, Meter(), "f", order="key", concurrency_floor=8)
        first = put(target, [event(number, key="a") for number in range(3)])
        await asyncio.sleep(0.3)
        adopted = Receipt([("f",)])
        diverted = entry(target, event(100, key="a"), adopted)
        diverted.deadline = asyncio.get_running_loop().time() + 19
        assert FallbackLane(target, "original").take(diverted)
        later = put(target, [event(101, key="a")])
        for receipt in (first, adopted, later):
            await all_settled(receipt)
            assert receipt.all_delivered
        assert sink.most_of_a_key == 1
        assert sink.order == [0, 1, 2, 100, 101]

    run(main())


def test_an_adopted_event_expires_behind_its_key_at_its_own_deadline() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        target = lane(Watching(7.0), Meter(), "f", order="key", patience="60s", call_timeout="8s")
        put(target, [event(number, key="a") for number in range(5)])
        await asyncio.sleep(0.3)
        adopted = Receipt([("f",)])
        diverted = entry(target, event(100, key="a"), adopted)
        diverted.deadline = loop.time() + 12
        assert FallbackLane(target, "original").take(diverted)
        await all_settled(adopted)
        assert loop.time() <= diverted.deadline
        assert adopted.failures(0)["f"].reason is Reason.PATIENCE_OVER
        await target.abandon()

    run(main())


def test_what_waits_behind_a_dead_letter_of_its_key_expires_in_time() -> None:
    class Refusing(Watching):
        def _one(self, event: Event) -> Outcome:
            return Rejected(Reason.REFUSED_CONTENT) if event.route == "letters" else super()._one(event)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        target = lane(Refusing(0.05), Meter(), order="key", patience="20s")
        put(target, [event(number, key="a", route="letters") for number in range(2)], LETTER)
        start = loop.time()
        receipt = put(target, [event(2, key="a")])
        await all_settled(receipt)
        assert loop.time() <= start + 20
        assert receipt.failures(0)["s"].fate is Fate.EXPIRED
        await target.abandon()

    run(main())


def test_what_was_released_leaves_before_younger_events_and_expires_in_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sink = Watching(1.0)
        target = lane(sink, Meter(), order="key", concurrency=1)
        first = put(target, [event(0, key="a"), event(1, key="a")])
        await asyncio.sleep(0.1)
        younger = put(target, [event(number, key=f"k{number}") for number in range(2, 40)])
        start = loop.time()
        await all_settled(first)
        assert sink.order.index(1) <= 10, "in the next call"
        assert loop.time() <= start + 4
        await all_settled(younger)

    run(main())


def _waiting(key: str, deadline: float) -> Entry:
    one = event(1, key=key)
    made = Entry(one, one, 1, 1, REQUIRED, "s", None, 0)
    made.deadline = deadline
    return made


def test_what_no_longer_waits_is_not_kept_though_an_older_one_still_waits() -> None:
    order = KeyOrder()
    order.admit(_waiting("stuck", 9e9))
    order.admit(_waiting("stuck", 1e9))
    for _ in range(10_000):
        first, second = _waiting("busy", 9e9), _waiting("busy", 9e9)
        assert order.admit(first)
        assert not order.admit(second)
        assert order.finish(first) is second
        assert order.finish(second) is None
    assert order.waiting == 1
    assert len(order._deadlines) < 100


def test_what_expired_behind_a_key_that_stays_locked_is_not_kept() -> None:
    order = KeyOrder()
    order.admit(_waiting("stuck", 9e9))
    for number in range(10_000):
        order.admit(_waiting("stuck", number))
        assert len(list(order.overdue(number + 0.5))) == 1
    assert not order.waiting
    assert list(order.entries()) == []
    assert len(order._deadlines) < 100
