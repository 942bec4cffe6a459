"""What a lane measures of its calls and of what they deliver, under a simulated clock."""

import random

from service.delivery.entry import Entry
from service.receipt import Receipt
from service.telemetry.meter import LaneTimes, Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, event, lane
from tests.flow.simulated import run

EVENTS = 500


def measured(faults: Faults, events: int = EVENTS) -> tuple[LaneTimes, ScriptedSink]:
    """The times of a lane that has delivered so many events of 100 bytes."""
    sink = ScriptedSink(faults, random.Random(1))
    meter = Meter()

    async def main() -> None:
        target = lane(sink, meter, patience="1000s")
        receipt = Receipt([(target.name,)] * events)
        entries = [event(number) for number in range(events)]
        target.put(
            [
                Entry(one, one, target.size(one), one.charge, REQUIRED, target.name, receipt, index)
                for index, one in enumerate(entries)
            ]
        )
        await all_settled(receipt)
        assert receipt.all_delivered

    run(main())
    return meter.lanes["s"], sink


def test_every_event_and_every_call_is_measured_once() -> None:
    times, sink = measured(Faults())
    assert times.call_seconds.count == times.call_events.count == len(sink.calls)
    assert times.call_events.total == EVENTS
    assert times.buffering_seconds.count == times.delivery_seconds.count == times.event_retries.count == EVENTS
    assert times.event_retries.total == 0
    assert times.delivered_bytes == EVENTS * 100
    assert times.delivery_seconds.total > times.buffering_seconds.total > 0


def test_an_event_that_needed_more_attempts_is_counted_with_them_and_with_its_whole_wait() -> None:
    times, sink = measured(Faults(throttled=0.5))
    attempts = sum(len(events) for _, events in sink.calls)
    assert times.event_retries.count == EVENTS
    assert times.event_retries.total == attempts - EVENTS > 0
    calm, _ = measured(Faults())
    assert times.delivery_seconds.total > calm.delivery_seconds.total


def test_a_single_event_is_measured_as_one_of_many() -> None:
    times, _ = measured(Faults(), events=1)
    assert times.delivery_seconds.count == times.event_retries.count == times.buffering_seconds.count == 1
    assert 0.02 < times.delivery_seconds.total < 0.08
    assert times.delivered_bytes == 100
