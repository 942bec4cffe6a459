"""The handover: turns over flows, shares of lanes, an end."""

import json

import pytest

from service.codecs.draft import Draft
from service.delivery.pipeline import Pipeline
from service.errors import NotFound
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.telemetry.meter import Meter
from tests.contract.plain_codec import BROKEN
from tests.flow.simulated import run
from tests.unit.receiving_world import ReceivingWorld, message, numbers, raw

KIB = 2**10


def test_flows_take_turns_so_that_a_long_one_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=1, largest=16 * KIB)
        long, short = world.flow("long"), world.flow("short")
        long.offer([message(n, size=4 * KIB) for n in range(100)])
        short.offer([message(1000, size=4 * KIB)])
        await world.until(lambda: long.settled_before == 100)
        taken = numbers(world.good)
        assert taken.index(1000) < 10
        taken.remove(1000)
        assert taken == list(range(100))

    run(main())


def test_a_flow_that_was_blocked_goes_on_although_nothing_said_that_there_is_room() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=1, largest=16 * KIB)
        world.good.hold()
        flow = world.flow()
        flow.offer([message(n, size=4 * KIB) for n in range(20)])
        await world.until(lambda: flow.blocked)
        world.lane.books.released.clear()
        world.good.deliver()
        await world.until(lambda: flow.settled_before == 20)

    run(main())


def test_nothing_is_handed_over_after_the_end() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        flow = world.flow()
        flow.offer([message(0)])
        world.handover.stop()
        await world.idle()
        assert world.good.calls == 0
        assert flow.halt() == [0]

    run(main())


def test_what_has_no_route_is_refused_into_the_dead_letters_of_its_source_or_fails() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        flow = Flow("any", None, world.handover, world.ear)
        flow.offer([raw(BROKEN), message(0)])
        await world.until(lambda: len(world.ear.failures) == 2)
        assert world.meter.edge_rejected == {
            ("incoming", "", "malformed_event"): 1,
            ("incoming", "", "no_route_for_type"): 1,
        }
        with_grave = Handover(
            "incoming", world.pipeline, world.handover._codec, world.meter, dead_letters=world.route.dead_letters
        )
        flow = Flow("any", None, with_grave, world.ear)
        flow.offer([raw(BROKEN), message(0)])
        await world.until(lambda: flow.settled_before == 2)
        reasons = {json.loads(event.body)["route"] for event in world.dead.taken}
        assert reasons == {""}

    run(main())


def test_a_type_that_no_route_takes_is_told_apart_from_none() -> None:
    async def main() -> None:
        handover = ReceivingWorld().handover
        with pytest.raises(NotFound, match="has none"):
            handover.routed(Draft(b"", "", {}, None))
        with pytest.raises(NotFound, match="'other'"):
            handover.routed(Draft(b"", "", {"type": "other"}, None))

    run(main())


def test_a_pipeline_that_drains_takes_nothing_and_the_flow_waits() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        world.pipeline.draining = True
        flow = world.flow()
        flow.offer([message(0)])
        await world.until(lambda: flow.blocked)
        assert flow.waiting_messages == 1
        assert flow.halt() == [0]

    run(main())


def test_events_are_counted_where_they_are_read_and_where_they_are_refused() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        flow = world.flow()
        flow.offer([message(0), raw(BROKEN), raw(b'[{"number":1},{"number":2}]')])
        await world.until(lambda: flow.settled_before == 3)
        assert world.meter.edge_received == {("incoming", "orders"): 4}
        assert world.meter.edge_rejected == {("incoming", "orders", "malformed_event"): 1}

    run(main())


def test_a_handover_needs_no_route() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        handover = Handover("incoming", Pipeline({}, {}), world.handover._codec, Meter())
        assert handover.chunk_bytes > 0

    run(main())
