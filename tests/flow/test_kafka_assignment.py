"""What a kafka source commits, holds back and lets go, told by a scripted thread under a simulated clock."""

import asyncio
from typing import Any

from tests.flow.receiving import TOPIC, Receiving, settle
from tests.flow.simulated import simulated


@simulated
async def test_what_is_committed_is_the_settled_prefix_in_the_order_of_delivery_whatever_the_offsets() -> None:
    receiving = Receiving()
    await receiving.assigned(0)
    await receiving.received(0, [3, 7, 8, 20])
    await receiving.answered(0, 7, 8)
    assert receiving.commits() == {}
    await receiving.answered(0, 3)
    assert receiving.commits() == {0: 9}
    assert receiving.commits() == {}, "once"
    await receiving.ended(0, 25)
    assert receiving.commits() == {}, "20 is not settled"
    await receiving.answered(0, 20)
    assert receiving.commits() == {0: 25}


@simulated
async def test_a_partition_that_began_at_its_end_is_committed_there_before_anything_is_settled() -> None:
    receiving = Receiving(start="latest")
    await receiving.assigned(0)
    await receiving.received(0, [7, 8])
    assert receiving.commits() == {0: 7}, "without an offset the next to read it would begin at the end again"
    await receiving.answered(0, 7)
    assert receiving.commits() == {0: 8}


@simulated
async def test_an_end_that_is_older_than_what_came_takes_nothing_back() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, range(10))
    await receiving.ended(0, 8)
    assert receiving.commits() == {0: 10}


@simulated
async def test_what_could_not_be_committed_is_committed_again() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, range(10))
    assert receiving.commits() == {0: 10}
    receiving.assignment.uncommitted([(TOPIC, 0)])
    assert receiving.commits() == {0: 10}


@simulated
async def test_after_the_stop_nothing_more_is_taken_and_no_end_is_committed_beyond_it() -> None:
    receiving = Receiving()
    await receiving.assigned(0)
    await receiving.received(0, range(3))
    receiving.handover.stop()
    receiving.assignment.stop()
    await receiving.received(0, range(3, 6))
    await receiving.ended(0, 6)
    receiving.out.answer_all()
    await settle()
    assert receiving.commits() == {0: 3}
    assert receiving.asked.paused == {(TOPIC, 0)}
    await receiving.assigned(1)
    await receiving.received(1, range(3))
    await receiving.ended(1, 3)
    assert receiving.commits() == {}
    assert receiving.assignment.gauges.waiting_messages == 0


@simulated
async def test_settlements_of_an_earlier_assignment_are_ignored() -> None:
    receiving = Receiving()
    await receiving.assigned(0)
    await receiving.received(0, range(5))
    earlier = dict(receiving.out.calls_of)
    await receiving.gone(0)
    await receiving.assigned(0)
    await receiving.received(0, range(5))
    for call in earlier.values():
        call.set_result(None)
    await settle()
    assert receiving.commits() == {}
    receiving.out.answer_all()
    await settle()
    assert receiving.commits() == {0: 5}


@simulated
async def test_a_revoked_partition_goes_once_what_is_under_way_is_settled() -> None:
    receiving = Receiving()
    await receiving.assigned(0)
    await receiving.received(0, range(3))
    result = receiving.revoking(0)
    await settle()
    assert not result.done()
    await receiving.answered(0, 0, 1, 2)
    await asyncio.sleep(0.2)
    assert result.result(0) == {(TOPIC, 0): 3}
    assert receiving.assignment.gauges.partitions == 0


@simulated
async def test_a_revoked_partition_is_waited_for_only_so_long_and_what_is_settled_of_it_is_committed() -> None:
    receiving = Receiving(revoke_timeout="5s")
    await receiving.assigned(0, 1)
    await receiving.received(0, range(3))
    await receiving.answered(0, 0, 2)
    began = asyncio.get_running_loop().time()
    result = receiving.revoking(0, 1)
    await asyncio.wrap_future(result)
    assert 5 <= asyncio.get_running_loop().time() - began < 6
    assert result.result() == {(TOPIC, 0): 1}


@simulated
async def test_a_revoked_partition_is_committed_once_more_for_an_earlier_commit_may_have_failed() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, range(3))
    assert receiving.commits() == {0: 3}
    assert await asyncio.wrap_future(receiving.revoking(0)) == {(TOPIC, 0): 3}


@simulated
async def test_of_a_lost_partition_nothing_is_committed() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, range(3))
    await receiving.gone(0)
    assert receiving.commits() == {}


@simulated
async def test_only_the_partition_that_is_too_far_ahead_is_paused_and_it_goes_on_at_half() -> None:
    receiving = Receiving(window_messages=80)
    await receiving.assigned(0, 1)
    await receiving.received(1, range(5))
    for first in range(0, 80, 10):
        await receiving.received(0, range(first, first + 10))
        if receiving.asked.taken_batches < first // 10 + 2:
            break  # from here on the thread waits
    await asyncio.sleep(1)
    assert receiving.asked.paused == {(TOPIC, 0)}
    assert receiving.assignment.gauges.paused == 1
    assert first + 10 + 2 * 10 <= 80, "what may come before the pause is within the window too"
    await receiving.answered(0, *range(first))
    assert receiving.asked.paused == set()


@simulated
async def test_a_message_of_many_bytes_is_too_far_ahead_too() -> None:
    receiving = Receiving(window_bytes="10KiB")
    await receiving.assigned(0, 1)
    await receiving.received(0, [0], lambda n: b'{"x":"%s"}' % (b"x" * 20_000))
    await receiving.received(1, [0])
    await asyncio.sleep(1)
    assert receiving.asked.paused == {(TOPIC, 0)}


@simulated
async def test_what_waits_for_room_is_bounded_and_so_is_what_waits_for_dead_letters() -> None:
    receiving = Receiving(memory="1MiB")
    await receiving.assigned(*range(8))
    for number in range(8):
        # no JSON: each waits for the dead letters' sink, whose memory is soon full
        await receiving.received(number, range(100), lambda n: b"x" * 30_000)
        await asyncio.sleep(1)
    gauges = receiving.assignment.gauges
    assert gauges.waiting_bytes > 2**20
    assert receiving.asked.paused, "though every message was read"
    paused = len(receiving.asked.paused)
    receiving.dead.answer_all()
    await asyncio.sleep(1)
    receiving.assignment.commit()
    assert len(receiving.asked.paused) < paused
    assert receiving.assignment.gauges.waiting_bytes == 0


@simulated
async def test_a_message_that_is_no_event_is_settled_by_its_dead_letter_and_not_before() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, range(3), lambda n: b"rubbish" if n == 1 else b"{}")
    assert receiving.commits() == {0: 1}
    receiving.dead.answer_all()
    await settle()
    assert receiving.commits() == {0: 3}
    assert b'"request_id":"orders/0/1"' in receiving.dead.bodies[0]


class Unreadable:
    """A message with a header whose name is no UTF-8, as confluent-kafka 2.16 has it."""

    def __init__(self, offset: int, error: Exception | None = None) -> None:
        self._offset = offset
        self._error = error or SystemError("returned a result with an exception set")

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"\xff"

    def value(self) -> bytes:
        return b"{}"

    def headers(self) -> None:
        raise self._error


@simulated
async def test_headers_that_confluent_kafka_cannot_read_lose_no_message() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0)
    messages: Any = [Unreadable(0), Unreadable(1)]
    receiving.assignment.received(messages)
    await settle()
    await receiving.ended(0, 2)
    assert receiving.out.bodies == [b"{}", b"{}"]
    assert receiving.commits() == {0: 2}


@simulated
async def test_nothing_is_committed_beyond_messages_that_could_not_be_read_at_all() -> None:
    receiving = Receiving()
    receiving.out.open = True
    await receiving.assigned(0, 1)
    await receiving.received(0, range(3))
    messages: Any = [Unreadable(3), Unreadable(4, MemoryError("scripted"))]
    receiving.assignment.received(messages)
    await receiving.received(0, range(5, 7))
    await receiving.received(1, range(5))
    await receiving.ended(0, 7)
    assert receiving.commits() == {0: 3, 1: 5}
    assert receiving.asked.taken_batches == 4
    assert "orders/0 stands still" in (receiving.assignment.gauges.trouble or "")


@simulated
async def test_a_message_that_nothing_takes_stands_in_the_way_and_says_so() -> None:
    receiving = Receiving(letters_limit=20_000)
    receiving.out.open = True
    await receiving.assigned(0)
    await receiving.received(0, range(3), lambda n: b"x" * 30_000 if n == 1 else b"{}")
    assert receiving.commits() == {0: 1}
    assert "orders/0" in (receiving.assignment.gauges.trouble or "")
    await receiving.gone(0)
    assert receiving.assignment.gauges.trouble is None


@simulated
async def test_a_topic_without_a_route_is_told_and_keeps_no_other_from_being_received() -> None:
    receiving = Receiving()
    receiving.out.open = True
    receiving.unrouted.add("other")
    receiving.assignment.assigned([("other", 0), (TOPIC, 0)])
    await receiving.received(0, range(3))
    assert receiving.commits() == {0: 3}
    assert "no route" in (receiving.assignment.gauges.trouble or "")
    receiving.assignment.gone([("other", 0)])
    assert receiving.assignment.gauges.trouble is None
