"""A flow's dead letters: what is refused, what waits for room, and what never finds any."""

import json
from collections.abc import Sequence
from typing import Any

from service.outcome import Reason
from service.receipt import Fate
from service.receiving.received import Received
from service.schemas.contract import Violation
from tests.contract.plain_codec import ALIEN, BROKEN, RAISES
from tests.flow.simulated import run
from tests.unit.receiving_world import ReceivingWorld, message, numbers, raw

KIB = 2**10


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


class _Refusing:
    def violations(self, data: Any) -> list[Violation]:
        """Nothing conforms."""
        del data
        return [Violation("#/", "scripted", "scripted")]
