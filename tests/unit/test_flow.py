"""A flow: settled in any order, blocked and woken, split, refused, halted."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from service.event import Event
from service.outcome import Reason
from service.receipt import Fate
from service.receiving.flow import Flow
from service.receiving.received import Received
from service.schemas.contract import Violation
from tests.contract.plain_codec import ALIEN, BROKEN, RAISES, TEST
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


def test_a_codec_or_a_schema_that_raises_makes_a_dead_letter_and_stops_nothing() -> None:
    class Raising:
        def violations(self, data: Any) -> Sequence[Violation]:
            if data.get("number") == 1:
                raise ZeroDivisionError
            return []

    async def main() -> None:
        world = ReceivingWorld(schema=Raising())  # type: ignore[arg-type]  # as far as it goes
        flow = world.flow()
        flow.offer([message(0), message(1), raw(RAISES), message(2)])
        await world.until(lambda: flow.settled_before == 4)
        assert numbers(world.good) == [0, 2]
        assert [json.loads(event.body)["detail"] for event in world.dead.taken] == [
            "it could not be read: ZeroDivisionError",
            "the codec failed: RuntimeError",
        ]

    run(main())


def test_refused_messages_wait_for_room_among_the_dead_letters_and_are_counted_until_then() -> None:
    async def main() -> None:
        world = ReceivingWorld(dead_memory=64 * KIB, dead_largest=60 * KIB)
        world.dead.hold()
        flow = world.flow()
        flow.offer([raw(BROKEN + b"x" * 20 * KIB) for _ in range(10)])
        await world.until(lambda: flow.under_way == 10)
        await world.idle()
        assert world.ear.numbers == []
        assert flow.waiting_bytes >= 10 * 20 * KIB, "they are in memory, wherever they wait"
        world.dead.deliver()
        await world.until(lambda: flow.settled_before == 10)
        assert flow.waiting_bytes == 0

    run(main())


def test_what_is_refused_of_one_message_has_a_letter_of_its_own_name_each() -> None:
    async def main() -> None:
        world = ReceivingWorld(schema=_Refusing())  # type: ignore[arg-type]  # as far as it goes
        flow = world.flow()
        # an array: two items that are none, and one that the schema refuses
        flow.offer([raw(b'["bad", {"number": 1}, "bad"]', place="orders/0/7")])
        await world.until(lambda: flow.settled_before == 1)
        ids = [event.id for event in world.dead.taken]
        assert len(ids) == len(set(ids)) == 3, ids

    run(main())


def test_what_a_codec_finds_that_is_no_event_is_a_dead_letter() -> None:
    async def main() -> None:
        world = ReceivingWorld()
        flow = world.flow()
        flow.offer([raw(ALIEN), message(1)])
        await world.until(lambda: flow.settled_before == 2)
        assert numbers(world.good) == [1]
        assert [json.loads(event.body)["detail"] for event in world.dead.taken] == ["it could not be read: TypeError"]

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


def test_letters_without_room_are_withdrawn_with_their_flow_for_their_messages_come_again() -> None:
    async def main() -> None:
        world = ReceivingWorld(dead_memory=64 * KIB, dead_largest=60 * KIB)
        world.dead.hold()
        for ends in ("halt", "close"):
            flow = world.flow(ends)
            flow.offer([raw(BROKEN + b"x" * 20 * KIB) for _ in range(10)])
            await world.until(lambda flow=flow: flow.under_way == 10)  # type: ignore[misc]
            held = world.dead_lane.held_events
            if ends == "halt":
                assert flow.halt() == list(range(held, 10))
                assert flow.under_way == held
                assert flow.waiting_bytes < (held + 1) * 21 * KIB
            else:
                flow.close()
        world.dead.deliver()
        await world.until(lambda: not world.dead_lane.held_events)
        await world.idle()
        assert len(world.dead.taken) == held, "the letters of ten messages that came twice have not piled up"
        assert world.ear.failures == []

    run(main())


def test_a_message_that_can_be_neither_delivered_nor_buried_fails() -> None:
    async def main() -> None:
        world = ReceivingWorld(dead_largest=32 * KIB)
        flow = world.flow()
        flow.offer([raw(BROKEN + b"x" * 40 * KIB), message(1)])
        await world.until(lambda: world.ear.numbers == [1])
        [(number, why)] = world.ear.failures
        assert (number, why.fate) == (0, Fate.REJECTED)
        assert (flow.settled_before, flow.under_way, flow.unsettled) == (0, 0, 1)

    run(main())


def test_a_message_that_its_source_gives_up_is_a_dead_letter_with_that_reason() -> None:
    from service.errors import Code, Unavailable

    async def main() -> None:
        world = ReceivingWorld()
        flow = world.flow()
        given = message(0)
        error = Unavailable(Code.NOT_DELIVERED, "received 4 times", 0.0)
        flow.offer([Received(given.message, given.place, given.size, error, Reason.RECEIVED_TOO_OFTEN)])
        await world.until(lambda: flow.settled_before == 1)
        [letter] = [json.loads(event.body) for event in world.dead.taken]
        assert (letter["reason"], letter["detail"]) == ("received_too_often", "received 4 times")
        assert world.good.taken == []

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


class _Refusing:
    def violations(self, data: Any) -> list[Violation]:
        """Nothing conforms."""
        del data
        return [Violation("#/", "scripted", "scripted")]


class _Nobody:
    def settle(self, index: int, lane: str, settlement: object) -> None:
        """Nobody waits."""

    def settle_delivered(self, entries: object) -> None:
        """Nobody waits."""


def _event() -> Event:
    from tests.contract.harness import event

    return event(0)
