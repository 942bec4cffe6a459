"""What goes to the fallback: everything that it can take, whatever else stands before it in the queue."""

import asyncio
import random
from collections.abc import Sequence

from service.delivery.entry import Entry, Taken
from service.delivery.fallback import FallbackLane
from service.delivery.lane import Lane
from service.event import Event
from service.outcome import Reason
from service.receipt import Receipt
from service.sinks.contract import Limits, ProbeError
from service.telemetry.meter import Meter
from tests.flow.scripted import REQUIRED, Faults, ScriptedSink, all_settled, assert_conserved, event, lane
from tests.flow.simulated import run

MOST = 2000


def put(target: Lane, events: Sequence[Event]) -> Receipt:
    receipt = Receipt([(target.name,)] * len(events))
    target.put(
        [
            Entry(one, one, target.size(one), one.charge, REQUIRED, target.name, receipt, index)
            for index, one in enumerate(events)
        ]
    )
    return receipt


class Broken(ScriptedSink):
    """Says when asked whether it works."""

    async def probe(self) -> None:
        if self.dead:
            raise ProbeError("it is dead")


class World:
    """A lane whose breaker is open, and its fallback."""

    def __init__(self, spare: ScriptedSink | None = None, order: str = "none", **fallback: object) -> None:
        self.meter = Meter()
        self.broken = Broken(Faults(), random.Random(1))
        self.broken.dead = True
        self.spare = spare or ScriptedSink(Faults(), random.Random(1))
        self.first = lane(self.broken, self.meter, "s", patience="20s", order=order)
        self.second = lane(self.spare, self.meter, "f", **fallback)  # type: ignore[arg-type]

    async def open(self) -> "World":
        await all_settled(put(self.first, [event(0, key="first")]))
        await asyncio.sleep(4)
        assert self.first.breaker.diverts
        self.first.fallback = FallbackLane(self.second, "original")
        return self


def test_all_events_of_a_key_are_diverted_at_once_and_in_order() -> None:
    async def main() -> None:
        world = await World(order="key").open()
        start = asyncio.get_running_loop().time()
        receipt = put(world.first, [event(number, key="a") for number in range(1, 51)])
        await all_settled(receipt)
        assert receipt.all_delivered
        assert asyncio.get_running_loop().time() < start + 4
        sent = [name for _, names in world.spare.calls for name in names]
        own = [name for _, names in world.broken.calls for name in names]
        diverted = [f"e{number}" for number in range(1, 51) if f"e{number}" not in own]
        assert [name for name in sent if name in set(diverted)] == diverted
        assert_conserved(world.meter, [world.first, world.second])

    run(main())


def test_an_event_that_is_too_large_for_the_fallback_holds_back_no_other_and_is_answered_in_time() -> None:
    async def main() -> None:
        small = ScriptedSink(Faults(), random.Random(1), limits=Limits(10, 10_000, 200))
        world = await World(small).open()
        loop = asyncio.get_running_loop()
        start = loop.time()
        large = put(world.first, [event(number, size=1000) for number in range(1, 1000)])
        others = put(world.first, [event(number) for number in range(1000, 1050)])
        await all_settled(others)
        assert others.all_delivered
        assert loop.time() < start + 4
        await all_settled(large)
        assert loop.time() <= start + 20
        assert large.failures(998)["s"].reason is Reason.UNAVAILABLE
        assert_conserved(world.meter, [world.first, world.second])

    run(main())


def test_an_event_that_was_not_diverted_is_delivered_once_its_destination_is_back() -> None:
    async def main() -> None:
        small = ScriptedSink(Faults(), random.Random(1), limits=Limits(10, 10_000, 200))
        world = await World(small).open()
        large = put(world.first, [event(1, size=1000)])
        await asyncio.sleep(3)
        world.broken.dead = False
        await all_settled(large)
        assert large.all_delivered

    run(main())


def test_while_the_fallback_is_full_it_is_asked_seldom_and_gets_the_rest_when_it_has_room() -> None:
    class Asking(FallbackLane):
        asked = 0

        def take(self, entry: Entry) -> Taken:
            Asking.asked += 1
            return super().take(entry)

    async def main() -> None:
        world = await World(memory="64KiB").open()
        world.first.fallback = Asking(world.second, "original")
        world.spare.faults = Faults(seconds=2.0)
        receipt = put(world.first, [event(number) for number in range(1, MOST)])
        await asyncio.sleep(3)
        taken = sum(world.spare.taken.values())
        assert Asking.asked - world.second.held_events - taken < 100, "not everything is offered again and again"
        world.spare.faults = Faults(seconds=0.01)
        await all_settled(receipt)
        assert receipt.all_delivered

    run(main())


def test_an_event_that_cannot_be_shaped_for_the_fallback_holds_back_no_other() -> None:
    class Poisoned(FallbackLane):
        def take(self, entry: Entry) -> Taken:
            if entry.event.id == "e1":
                raise ValueError("scripted")
            return super().take(entry)

    async def main() -> None:
        world = await World().open()
        world.first.fallback = Poisoned(world.second, "original")
        poisoned = put(world.first, [event(1)])
        others = put(world.first, [event(number) for number in range(2, 52)])
        await all_settled(others)
        assert others.all_delivered
        await all_settled(poisoned)
        assert not poisoned.all_delivered
        assert world.first.held_events == 0

    run(main())
