"""What a kafka source with `dedupe` passes over, under a simulated clock."""

import asyncio

from service.receiving.dedupe import Dedupe
from tests.flow.receiving import TOPIC, Receiving
from tests.flow.simulated import simulated


def same(_: int) -> bytes:
    """One event, whatever the message."""
    return b'{"id": "same"}'


@simulated
async def test_a_duplicate_of_an_event_under_way_joins_it_and_one_of_an_event_that_was_settled_is_passed_over() -> None:
    receiving = Receiving(dedupe=Dedupe())
    await receiving.assigned(0, 1)
    await receiving.received(0, [0, 1], same)
    await receiving.received(1, [0], same)
    assert list(receiving.out.calls_of) == ["orders/0/0"]
    assert receiving.commits() == {}
    assert receiving.meter.source_deduplicated["source", "r"] == 2
    await receiving.answered(0, 0)
    assert receiving.commits() == {0: 2, 1: 1}
    await receiving.received(1, [1], same)
    assert receiving.commits() == {1: 2}
    assert len(receiving.out.bodies) == 1


@simulated
async def test_what_was_settled_of_a_partition_that_went_is_known_no_more() -> None:
    receiving = Receiving(dedupe=Dedupe())
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, [0], same)
    await asyncio.wrap_future(receiving.revoking(0))
    await receiving.assigned(0)
    await receiving.received(0, [1], same)
    assert len(receiving.out.bodies) == 2


@simulated
async def test_a_duplicate_of_what_went_with_its_partition_is_read_again() -> None:
    receiving = Receiving(dedupe=Dedupe(), window_messages=8)
    await receiving.assigned(0, 1)
    await receiving.received(0, [5], same)
    await receiving.received(1, [6, 7, 8, 9, 10, 11], same)
    await asyncio.sleep(1)
    assert receiving.asked.paused == {(TOPIC, 1)}
    await receiving.gone(0)
    await receiving.ended(1, 12)
    await asyncio.sleep(90)
    assert receiving.asked.rewound == [((TOPIC, 1), 6)] * 2, "until the thread has done it"
    assert receiving.commits() == {}
    receiving.assignment.restarted((TOPIC, 1))
    assert receiving.asked.paused == set()
    await receiving.received(1, [6], same)
    assert list(receiving.out.calls_of) == ["orders/0/5", "orders/1/6"]
    await receiving.answered(1, 6)
    assert receiving.commits() == {1: 7}
    await asyncio.sleep(90)
    assert len(receiving.asked.rewound) == 2
