"""A flow: settled in any order, blocked and woken, split, halted."""

import json
from dataclasses import replace

from service.event import Event
from service.outcome import Reason
from service.receipt import Fate
from service.receiving.flow import Flow
from tests.contract.plain_codec import BROKEN, TEST
from tests.flow.simulated import run
from tests.unit.receiving_world import ReceivingWorld, message, numbers, raw

KIB = 2**10


def _number(event: Event) -> int:
    return int(json.loads(event.body)["number"])


def test_messages_are_delivered_in_their_order_and_told_as_settled() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        flow = world.flow()
        assert flow.offer([message(n) for n in range(3)]) == 0
        assert flow.offer([message(n) for n in range(3, 5)]) == 3
        await world.until(lambda: len(world.ear.numbers) == 5)
        assert numbers(world.good) == [0, 1, 2, 3, 4]
        assert (flow.settled_before, flow.unsettled, flow.under_way, flow.waiting_bytes) == (5, 0, 0, 0)

    run(main())


def test_the_settled_prefix_grows_only_as_far_as_everything_before_is_settled() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        world.good.retry(when=lambda event: _number(event) in (1, 3))
        flow = world.flow()
        flow.offer([message(n) for n in range(5)])
        await world.until(lambda: len(world.ear.numbers) == 3)
        assert sorted(world.ear.numbers) == [0, 2, 4]
        assert (flow.settled_before, flow.unsettled, flow.under_way) == (1, 2, 2)
        world.good.retry(when=lambda event: _number(event) == 3)
        await world.until(lambda: len(world.ear.numbers) == 4)
        assert flow.settled_before == 3
        world.good.deliver()
        await world.until(lambda: flow.settled_before == 5)

    run(main())


def test_what_finds_no_room_waits_counted_and_goes_on_when_there_is_some() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=1, largest=16 * KIB)
        world.good.hold()
        flow = world.flow()
        flow.offer([message(n, size=4 * KIB) for n in range(40)])
        await world.until(lambda: flow.blocked)
        await world.idle()
        held = world.lane.held_events
        assert 0 < world.lane.held_bytes <= 32 * KIB, "sources hold half of a lane"
        assert flow.waiting_messages + held == 40
        assert flow.waiting_bytes >= 4 * KIB * (40 - held)
        world.good.deliver()
        await world.until(lambda: flow.settled_before == 40)
        assert numbers(world.good) == list(range(40))
        assert (flow.waiting_messages, flow.waiting_bytes) == (0, 0)

    run(main())


def test_a_message_larger_than_the_share_of_sources_comes_in_beside_requests() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=1, largest=60 * KIB)
        world.good.hold()
        from_http = world.pipeline.routes["orders"]
        world.pipeline.accept_one(from_http, _event(), _Nobody())
        flow = world.flow()
        flow.offer([message(0, size=40 * KIB)])
        await world.until(lambda: world.lane.held_events == 2)
        world.good.deliver()
        await world.until(lambda: flow.settled_before == 1)

    run(main())


def test_a_chunk_that_no_lane_could_ever_hold_is_handed_over_message_by_message() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=10, largest=40 * KIB)
        flow = world.flow()
        # below the eighth of a lane that is composed at once, then above all of it
        flow.offer([message(0, size=7 * KIB), message(1, size=39 * KIB), message(2, size=39 * KIB)])
        await world.until(lambda: flow.settled_before == 3)
        assert numbers(world.good) == [0, 1, 2]

    run(main())


def test_a_message_whose_events_no_lane_could_hold_together_is_a_dead_letter_whole() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=10, largest=40 * KIB)
        flow = world.flow()
        many = json.dumps([{"number": n, "pad": "x" * 30 * KIB} for n in range(3)]).encode()
        flow.offer([raw(many), message(7)])
        await world.until(lambda: flow.settled_before == 2)
        assert numbers(world.good) == [7]
        [letter] = [json.loads(event.body) for event in world.dead.taken]
        assert letter["body"].encode() == many
        assert "together the events take" in letter["detail"]

    run(main())


def test_a_message_without_events_is_settled_and_counted() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        flow = world.flow()
        flow.offer([raw(TEST), raw(b"[]"), message(0)])
        await world.until(lambda: flow.settled_before == 3)
        assert world.meter.source_skipped == {("incoming", "test"): 1}

    run(main())


def test_a_defect_while_messages_are_handed_over_fails_them_and_stops_no_other_flow() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        route = replace(world.handover.routes["orders"], keeper=_Defective())
        broken, sound = Flow("broken", route, world.handover, world.ear), world.flow()
        broken.offer([message(0)])
        sound.offer([message(1)])
        await world.until(lambda: sound.settled_before == 1)
        ((number, why),) = world.ear.failures
        assert (number, why.fate, broken.settled_before, broken.under_way) == (0, Fate.EXPIRED, 0, 0)

    run(main())


def test_what_is_given_back_fails_once() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        world.good.hang()
        flow = world.flow()
        flow.offer([raw(b'[{"number":0},{"number":1}]')])
        await world.good.called()
        await world.lane.abandon()
        [(number, why)] = world.ear.failures
        assert (number, why.fate, why.reason) == (0, Fate.EXPIRED, Reason.SHUTDOWN)
        assert flow.under_way == 0

    run(main())


def test_a_halted_flow_says_what_it_had_not_handed_over_and_hears_of_the_rest() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=1, largest=16 * KIB)
        world.good.hold()
        flow = world.flow()
        flow.offer([message(n, size=4 * KIB) for n in range(40)])
        await world.until(lambda: flow.blocked)
        held = world.lane.held_events
        assert flow.halt() == list(range(held, 40))
        assert (flow.waiting_messages, flow.waiting_bytes, flow.under_way) == (0, 0, held)
        world.good.deliver()
        await world.until(lambda: len(world.ear.numbers) == held)
        await world.idle()
        assert world.ear.failures == []
        assert flow.settled_before == held

    run(main())


def test_a_flow_may_be_halted_again_by_what_it_tells_while_it_is_halted() -> None:
    async def main() -> None:
        world = ReceivingWorld(memory=64 * KIB, batch=1, largest=16 * KIB, dedupe=True)
        world.good.hold()
        flow = world.flow()
        flow.offer([message(n, id=f"e{n}", size=4 * KIB) for n in range(20)])
        await world.until(lambda: flow.blocked)
        # a duplicate of one that is read, and that no lane has: it fails while that one is withdrawn
        first = world.lane.held_events
        other = world.flow("other")
        other.offer([message(50, id=f"e{first}", size=4 * KIB)])
        await world.until(lambda: other.under_way == 1)
        world.ear.on_failure = lambda _: flow.halt()
        assert flow.halt() == list(range(first, 20))
        assert [number for number, _ in world.ear.failures] == [0]
        assert flow.under_way == first

    run(main())


def test_a_closed_flow_hears_nothing_more() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        world.good.hold()
        world.dead.hold()
        flow = world.flow()
        flow.offer([message(0), raw(BROKEN)])
        await world.good.called()
        await world.dead.called()
        flow.close()
        world.good.deliver()
        world.dead.deliver()
        await world.until(lambda: len(world.good.taken) == 1 and len(world.dead.taken) == 1)
        await world.idle()
        assert (world.ear.numbers, world.ear.failures) == ([], [])

    run(main())


class _Defective:
    def demand_room(self, size: int) -> None:
        """Has a defect."""
        raise ZeroDivisionError

    def store(self, kept: object, owner: object) -> None:
        """Is never asked."""


class _Nobody:
    def settle(self, index: int, lane: str, settlement: object) -> None:
        """Nobody waits."""

    def settle_delivered(self, entries: object) -> None:
        """Nobody waits."""


def _event() -> Event:
    from tests.contract.harness import event

    return event(0)
