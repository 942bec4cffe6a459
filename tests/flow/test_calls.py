"""What the requests of a lane may take of memory while they are in flight."""

import asyncio
import random
from collections.abc import Sequence
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from service.delivery.entry import Entry
from service.outcome import Outcome
from service.receipt import Receipt
from service.sinks.contract import Batch, Limits, SinkConfig
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, assert_conserved, event, lane
from tests.flow.simulated import run

FACTOR = 2.0
EACH = 50


class Copying(ScriptedSink):
    """Keeps books of what its requests would take."""

    Config: ClassVar[type[SinkConfig]] = SinkConfig
    copied = 0.0
    most_copied = 0.0
    largest = 0.0
    hangs = False
    """Whether the next call does."""

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        own = sum(len(each.body) for each in batch.events) * FACTOR + len(batch) * EACH
        self.copied += own
        self.most_copied = max(self.most_copied, self.copied)
        self.largest = max(self.largest, own)
        hangs, self.hangs = self.hangs, False
        try:
            if hangs:
                self.calls.append((asyncio.get_running_loop().time(), [each.id for each in batch.events]))
                await asyncio.sleep(3600)
            return await super().write(batch)
        finally:
            self.copied -= own


def delivered(
    sizes: Sequence[int], memory: str, factor: float = FACTOR, first_hangs: bool = False, **faults: float
) -> Copying:
    """The sink once a lane with `memory` has delivered events of these sizes to it."""
    limits = Limits(100, 400_000, 200_000, request_factor=factor, request_overhead_bytes=EACH)
    sink = Copying(Faults(**faults), random.Random(1), limits=limits)
    sink.hangs = first_hangs

    async def main() -> None:
        meter = Meter()
        target = lane(sink, meter, memory=memory, concurrency=64, concurrency_floor=64, patience="1000s")
        receipt = Receipt([(target.name,)] * len(sizes))
        for index, size in enumerate(sizes):
            one = event(index, size)
            target.put([Entry(one, one, target.size(one), one.charge, REQUIRED, target.name, receipt, index)])
            if index % 10 == 9:
                await asyncio.sleep(0)
        await all_settled(receipt)
        assert receipt.all_delivered
        while target.calls:
            await asyncio.sleep(0)
        assert not target.calls.taken
        assert_conserved(meter, [target])

    run(main())
    return sink


def test_requests_in_flight_take_half_of_what_events_may() -> None:
    sink = delivered([1000] * 2000, "1MiB")
    assert sink.most_copied <= 2**20 / 2 + 100 * EACH
    assert sink.most_running >= 4, "small calls go side by side"


def test_a_sink_that_copies_nothing_is_not_held_back() -> None:
    assert delivered([1000] * 2000, "1MiB", factor=0).most_running > 15


def test_an_event_whose_request_is_above_the_bound_goes_alone() -> None:
    sink = delivered([150_000, 100, 150_000], "256KiB")
    assert sink.largest >= 300_000
    assert sink.most_copied <= sink.largest + 2**17


def test_a_call_that_hangs_holds_up_no_other() -> None:
    sink = delivered([20_000] * 100, "1MiB", first_hangs=True)
    (_, hung), *others = sink.calls
    in_time = {name for at, names in others for name in names if at < sink.calls[0][0] + 4}
    assert len(in_time | set(hung)) == 100, "all but what hangs is tried before that is given up"


@settings(max_examples=30)
@given(st.lists(st.integers(10, 60_000), min_size=1, max_size=200), st.sampled_from([0.0, 0.2]))
def test_whatever_the_sizes_all_is_delivered_within_the_bound(sizes: list[int], fails: float) -> None:
    sink = delivered(sizes, "256KiB", call_fails=fails, hangs=fails / 10)
    assert sink.most_copied <= 2**17 + max(sizes) * FACTOR + 100 * EACH
