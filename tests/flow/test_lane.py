"""One lane under a scripted destination and a simulated clock."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest

from service.delivery.entry import Entry, Terms
from service.delivery.lane import Lane
from service.outcome import Outcome, Reason
from service.receipt import Fate, Receipt
from service.sinks.contract import Batch
from service.telemetry.meter import Meter
from tests.flow.scripted import (
    REQUIRED,
    Faults,
    ScriptedSink,
    all_settled,
    assert_conserved,
    event,
    lane,
)
from tests.flow.simulated import run


def put(target: Lane, count: int, size: int = 100, terms: Terms = REQUIRED, first: int = 0) -> Receipt:
    receipt = Receipt([(target.name,)] * count)
    entries = []
    for index in range(count):
        one = event(first + index, size)
        entries.append(Entry(one, one, target.size(one), one.charge, terms, target.name, receipt, index))
    target.put(entries)
    return receipt


def sink(**faults: float) -> ScriptedSink:
    return ScriptedSink(Faults(**faults), random.Random(1))


def test_only_the_failed_events_are_sent_again() -> None:
    async def main() -> None:
        destination = sink(throttled=0.5)
        meter = Meter()
        target = lane(destination, meter)
        receipt = put(target, 200)
        await all_settled(receipt)
        assert receipt.all_delivered
        assert set(destination.taken.values()) == {1}
        assert len(destination.taken) == 200
        assert sum(meter.lane_retries.values()) > 50
        assert_conserved(meter, [target])

    run(main())


def test_calls_in_flight_stay_within_the_concurrency() -> None:
    async def main() -> None:
        destination = sink()
        target = lane(destination, Meter(), concurrency=3)
        await all_settled(put(target, 200))
        assert destination.most_running == 3

    run(main())


def test_an_event_that_was_rejected_is_not_sent_again() -> None:
    async def main() -> None:
        destination = sink(rejected=0.5)
        target = lane(destination, Meter())
        receipt = put(target, 50)
        await all_settled(receipt)
        sent = [identity for _, ids in destination.calls for identity in ids]
        assert len(sent) == len(set(sent)) == 50
        fates = {receipt.failures(i)["s"].fate for i in range(50) if receipt.failures(i)}
        assert fates == {Fate.REJECTED}

    run(main())


def test_no_call_starts_that_could_outlive_its_deadline_and_the_answer_comes_within_the_patience() -> None:
    async def main() -> None:
        destination = sink(call_fails=1.0)
        target = lane(destination, Meter(), patience="20s", call_timeout="8s")
        start = asyncio.get_running_loop().time()
        receipt = put(target, 30)
        await all_settled(receipt)
        assert asyncio.get_running_loop().time() <= start + 20
        assert max(at for at, _ in destination.calls) + 8 <= start + 20
        settlement = receipt.failures(0)["s"]
        assert settlement.fate is Fate.EXPIRED
        assert settlement.reason is Reason.UNAVAILABLE
        assert not settlement.may_duplicate

    run(main())


def test_what_waits_behind_hanging_calls_is_given_back_in_time() -> None:
    async def main() -> None:
        destination = sink(hangs=1.0)
        target = lane(destination, Meter(), patience="20s", call_timeout="8s", concurrency=1)
        start = asyncio.get_running_loop().time()
        receipt = put(target, 100)
        await all_settled(receipt)
        assert asyncio.get_running_loop().time() <= start + 20
        assert receipt.failures(0)["s"].may_duplicate
        assert receipt.failures(0)["s"].reason is Reason.TIMEOUT
        assert not receipt.failures(99)["s"].may_duplicate

    run(main())


@pytest.mark.parametrize(("fault", "reason"), [("wrong_length", Reason.BAD_ANSWER), ("raises", Reason.SINK_ERROR)])
def test_nonsense_from_a_sink_is_never_a_delivery(fault: str, reason: Reason) -> None:
    async def main() -> None:
        destination = sink(**{fault: 1.0})
        target = lane(destination, Meter())
        receipt = put(target, 5)
        await all_settled(receipt)
        for index in range(5):
            settlement = receipt.failures(index)["s"]
            assert settlement.fate is Fate.EXPIRED
            assert settlement.reason is reason
            assert settlement.may_duplicate

    run(main())


def test_a_sink_that_answers_nothing_at_all_has_delivered_nothing_and_no_event_is_held_for_ever() -> None:
    class Forgetful(ScriptedSink):
        async def write(self, batch: Batch) -> Sequence[Outcome]:
            return None  # type: ignore[return-value]  # a sink that somebody else wrote

    async def main() -> None:
        meter = Meter()
        target = lane(Forgetful(Faults(), random.Random(1)), meter)
        receipt = put(target, 5)
        await asyncio.wait_for(all_settled(receipt), 60)
        assert {receipt.failures(index)["s"].reason for index in range(5)} == {Reason.BAD_ANSWER}
        assert target.held_events == 0
        assert_conserved(meter, [target])

    run(main())


def test_a_destination_that_comes_back_gets_the_backlog_without_a_restart() -> None:
    async def main() -> None:
        destination = sink()
        destination.dead = True
        target = lane(destination, Meter(), patience="60s")
        receipt = put(target, 300)
        await asyncio.sleep(20)
        assert destination.most_running <= 8
        assert len(destination.calls) < 60, "a dead destination is not hammered"
        destination.dead = False
        back = asyncio.get_running_loop().time()
        await all_settled(receipt)
        assert receipt.all_delivered
        assert asyncio.get_running_loop().time() < back + 5

    run(main())


def test_a_drain_flushes_and_abandon_gives_the_rest_back() -> None:
    async def main() -> None:
        destination = sink(hangs=0.5)
        meter = Meter()
        target = lane(destination, meter, concurrency=2)
        receipt = put(target, 100)
        await asyncio.sleep(0.2)
        await target.abandon()
        assert receipt.done
        reasons = {receipt.failures(i)["s"].reason for i in range(100) if receipt.failures(i)}
        assert reasons == {Reason.SHUTDOWN}
        assert not target.calls
        assert_conserved(meter, [target])
        assert target.held_events == 0

    run(main())


def test_patient_entries_never_expire() -> None:
    async def main() -> None:
        destination = sink()
        destination.dead = True
        target = lane(destination, Meter())
        receipt = put(target, 3, terms=Terms("r", required=True, patient=True))
        await asyncio.sleep(3600)
        assert not receipt.done
        destination.dead = False
        await all_settled(receipt)
        assert receipt.all_delivered

    run(main())


def test_the_retry_after_follows_the_backlog() -> None:
    async def main() -> None:
        destination = sink(seconds=1.0)
        target = lane(destination, Meter(), concurrency=1, patience="1000s")
        await all_settled(put(target, 50))
        few = put(target, 50)
        short = target.retry_after()
        put(target, 150, first=1000)
        assert 2.0 < short < target.retry_after() / 2 <= 30.0
        await all_settled(few)
        await target.abandon()

    run(main())


def test_the_deadline_is_infinite_only_for_patient_terms() -> None:
    async def main() -> None:
        target = lane(sink(), Meter(), patience="20s")
        one = event(1)
        patient = replace(REQUIRED, patient=True)
        entries = [Entry(one, one, 100, 356, terms, "s", Receipt([("s",)])) for terms in (REQUIRED, patient)]
        target.put(entries)
        assert entries[0].deadline < inf
        assert entries[1].deadline == inf
        await target.abandon()

    run(main())


def test_giving_up_is_no_progress_that_a_retry_after_could_rest_on() -> None:
    async def main() -> None:
        destination = sink(call_fails=1.0)
        target = lane(destination, Meter())
        await all_settled(put(target, 300))
        assert target.held_events == 0
        assert target.retry_after() >= 5.0

    run(main())


def test_the_oldest_event_may_be_in_a_call() -> None:
    async def main() -> None:
        target = lane(sink(hangs=1.0), Meter(), call_timeout="8s")
        put(target, 1)
        await asyncio.sleep(3)
        assert target.oldest_age() == pytest.approx(3)
        await target.abandon()
        assert target.oldest_age() == 0

    run(main())


def test_a_sink_that_answers_with_something_else_than_outcomes_has_delivered_nothing() -> None:
    class Careless(ScriptedSink):
        async def write(self, batch):  # type: ignore[no-untyped-def]
            rest = batch.events[1:]
            return [None, *(await super().write(Batch(rest)) if rest else ())]

    async def main() -> None:
        target = lane(Careless(Faults(), random.Random(1)), Meter())
        receipt = put(target, 3)
        await all_settled(receipt)
        assert receipt.failures(0)["s"].reason is Reason.BAD_ANSWER
        assert receipt.failures(0)["s"].may_duplicate
        assert not receipt.failures(1)
        assert target.held_events == 0

    run(main())


def test_while_the_destination_fails_a_retry_after_does_not_grow_with_the_backlog() -> None:
    async def main() -> None:
        destination = sink()
        target = lane(destination, Meter(), patience="60s")
        await all_settled(put(target, 50))
        destination.dead = True
        put(target, 3000, first=100)
        await asyncio.sleep(15)
        assert target.breaker.failures
        assert target.retry_after() <= 7.5
        await target.abandon()

    run(main())
