"""The sqs source: what SQS asks of a consumer beside what every source promises."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from service.delivery.pipeline import Pipeline
from service.receiving.handover import Handover
from service.sources.sqs.groups import Group
from service.sources.sqs.source import Sqs
from service.telemetry.meter import Meter
from tests.contract.fake_aws import Refusal
from tests.contract.fake_sqs import FakeSqs
from tests.contract.plain_codec import BROKEN, Plain
from tests.contract.test_sources import World, configuration
from tests.http.running import Metrics, running
from tests.unit.receiving_world import ReceivingWorld

KIB = 2**10


@asynccontextmanager
async def receiving(
    sqs: FakeSqs,
    *,
    good: Mapping[str, Any] | None = None,
    dead: Mapping[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """The service with a source of the fake's queue. The world's harness is not one of the suite's."""
    own = {
        "type": "sqs",
        "queue": sqs.name,
        "region": "eu-west-1",
        "endpoint_url": sqs.url,
        "route": "orders",
        "wait": "1s",
        "receivers": 2,
    }
    async with running(configuration(own | settings, good, dead)) as service:
        yield World(service, None)  # type: ignore[arg-type]  # nothing here asks for it


def unentered(sqs: FakeSqs, **settings: Any) -> Sqs:
    """A source of the fake's queue that does not receive."""
    given = {"type": "sqs", "queue": sqs.name, "route": "orders", "region": "eu-west-1", "endpoint_url": sqs.url}
    config = Sqs.Config(**(given | settings))
    return Sqs("incoming", config, Handover("incoming", Pipeline({}, {}), Plain(None, None), Meter()))  # type: ignore[arg-type]


def total(metrics: Metrics, name: str) -> int:
    return metrics.total(f"penstock_source_{name}", source="incoming")


def bodies(*numbers: int) -> list[bytes]:
    return [b'{"number":%d}' % number for number in numbers]


async def test_attributes_are_headers_and_those_of_cloudevents_have_one_name() -> None:
    Plain.seen.clear()
    given: dict[str, str | bytes] = {"Content-Type": "application/json", "ce-id": "1", "ce_type": "t", "raw": b"\xff"}
    async with FakeSqs() as sqs, receiving(sqs):
        await sqs.send(bodies(1), attributes=given)
        await sqs.until(lambda: sqs.deleted)
    [message] = Plain.seen
    assert message.headers == {"content-type": b"application/json", "ce_id": b"1", "ce_type": b"t", "raw": b"\xff"}
    assert message.key is None


async def test_a_message_is_named_by_its_id_however_often_it_comes() -> None:
    async with FakeSqs() as sqs, receiving(sqs) as it:
        await sqs.send(bodies(1))
        await it.delivered(1)
        [event] = it.good.taken
        assert event.id == "m-1"
        assert event.origin.request_id == "m-1"


async def test_a_fifo_queue_gives_the_group_as_key_and_keeps_its_order() -> None:
    async with FakeSqs("incoming.fifo") as sqs, receiving(sqs) as it:
        for number in range(30):
            await sqs.send(bodies(number), group=f"g{number % 3}")
        await sqs.until(lambda: len(sqs.deleted) == 30)
        for group in range(3):
            own = [json.loads(event.body)["number"] for event in it.good.taken if event.key == f"g{group}"]
            assert own == list(range(group, 30, 3))


async def test_what_is_held_is_kept_invisible_for_as_long_as_it_takes() -> None:
    async with FakeSqs() as sqs, receiving(sqs, visibility="6s") as it:
        it.good.hold()
        await sqs.send(bodies(*range(25)))
        await sqs.until(lambda: len(sqs.invisible) == 25)
        extended = "ChangeMessageVisibilityBatch"
        await sqs.until(lambda: len(sqs.asked(extended)) >= 6)
        entries = [entry for call in sqs.asked(extended) for entry in call["Entries"]]
        assert {entry["VisibilityTimeout"] for entry in entries} == {6}
        assert max(each.receives for each in sqs.messages) == 1
        it.good.deliver()
        await sqs.until(lambda: len(sqs.deleted) == 25)
        assert total(await it.service.metrics(), "messages_lapsed_total") == 0


async def test_a_message_that_comes_again_while_it_is_held_is_counted_and_not_handed_over_again() -> None:
    async with FakeSqs() as sqs, receiving(sqs) as it:
        it.good.hold()
        await sqs.send(bodies(1))
        await it.good.called()
        sqs.show_all()
        await sqs.change()
        await sqs.until(lambda: sqs.messages[0].receives == 2)
        await it.service.until(lambda metrics: total(metrics, "messages_lapsed_total") == 1)
        it.good.deliver()
        await sqs.until(lambda: sqs.deleted)
        assert len(it.good.taken) == 1
        assert sqs.asked("DeleteMessageBatch")[-1]["Entries"][0]["ReceiptHandle"] == "m-1#2"


async def test_an_extension_that_is_refused_for_good_is_counted_once() -> None:
    async with FakeSqs() as sqs, receiving(sqs, visibility="2s") as it:
        it.good.hold()
        await sqs.send(bodies(1))
        await it.good.called()
        sqs.failing, sqs.sender_fault = frozenset({0}), True
        await it.service.until(lambda metrics: total(metrics, "messages_lapsed_total") == 1)
        sqs.failing = frozenset()
        it.good.deliver()
        await sqs.until(lambda: sqs.deleted)
        assert total(await it.service.metrics(), "messages_lapsed_total") == 1


async def test_entries_that_were_not_deleted_are_deleted_again_and_only_they() -> None:
    async with FakeSqs() as sqs, receiving(sqs) as it:
        sqs.failing = frozenset({1, 3})
        await sqs.send(bodies(*range(10)))
        await sqs.until(lambda: len(sqs.asked("DeleteMessageBatch")) >= 2)
        sqs.failing = frozenset()
        await sqs.until(lambda: len(sqs.deleted) == 10)
        assert len(it.good.taken) == 10
        assert not sqs.messages


async def test_deletion_that_fails_is_trouble_and_goes_on_when_it_may() -> None:
    async with FakeSqs() as sqs, receiving(sqs) as it:
        sqs.refusals["DeleteMessageBatch"] = Refusal("AccessDeniedException")
        await sqs.send(bodies(*range(12)))
        await it.service.until(lambda metrics: total(metrics, "trouble") == 1)
        assert not sqs.deleted
        sqs.refusals.clear()
        await sqs.until(lambda: len(sqs.deleted) == 12)
        await it.service.until(lambda metrics: total(metrics, "trouble") == 0)
        assert len(it.good.taken) == 12


async def test_deletions_are_grouped() -> None:
    async with FakeSqs() as sqs, receiving(sqs, good={"batch": 1}):
        await sqs.send(bodies(*range(8)))
        await sqs.until(lambda: len(sqs.deleted) == 8)
        assert len(sqs.asked("DeleteMessageBatch")) <= 2, "each was settled by a call of its own"


async def test_a_message_that_was_received_too_often_is_a_dead_letter_with_that_reason() -> None:
    async with FakeSqs() as sqs, receiving(sqs, max_receives=3) as it:
        await sqs.send(bodies(1, 2))
        sqs.messages[0].receives = 3
        await sqs.until(lambda: len(sqs.deleted) == 2)
        [letter] = await it.letters(1)
        assert letter["reason"] == "received_too_often"
        assert "received" in str(letter["detail"])
        assert await it.delivered(1)


HUGE = BROKEN + b"x" * 100 * KIB
SMALL: dict[str, Any] = {"dead": {"largest": "32KiB"}, "max_message": "1KiB"}


async def test_what_can_be_neither_delivered_nor_buried_comes_again_later_and_is_trouble() -> None:
    async with FakeSqs() as sqs, receiving(sqs, **SMALL) as it:
        await sqs.send([HUGE, *bodies(1, 2)])
        await sqs.until(lambda: len(sqs.deleted) == 2)
        await sqs.until(lambda: sqs.messages[0].receives >= 2)
        hidden = [e for call in sqs.asked("ChangeMessageVisibilityBatch") for e in call["Entries"]]
        assert all(entry["VisibilityTimeout"] >= 1 for entry in hidden)
        await it.service.until(lambda metrics: total(metrics, "trouble") == 1)


async def test_in_a_message_group_what_comes_after_a_failure_comes_again_with_it() -> None:
    async with FakeSqs("incoming.fifo") as sqs, receiving(sqs, **SMALL):
        await sqs.send([*bodies(1), HUGE, *bodies(2, 3)], group="g")
        await sqs.send(bodies(4), group="other")
        await sqs.until(lambda: len(sqs.deleted) == 2)
        await sqs.until(lambda: sqs.messages[0].receives >= 2)
        assert sorted(sqs.deleted) == ['{"number":1}', '{"number":4}']
        call = sqs.asked("ChangeMessageVisibilityBatch")[0]
        assert [entry["ReceiptHandle"] for entry in call["Entries"]] == ["m-2#1", "m-3#1", "m-4#1"]


async def test_the_bytes_that_wait_are_bounded_by_memory() -> None:
    small: dict[str, Any] = {"memory": "1MiB", "max_message": "256KiB", "window": 1000}
    async with FakeSqs() as sqs, receiving(sqs, good={"memory": "1MiB", "batch": 1}, **small) as it:
        it.good.hold()
        await sqs.send([b'{"number":%d,"pad":"%s"}' % (n, b"x" * 200 * KIB) for n in range(40)])
        await it.service.until(lambda metrics: total(metrics, "waiting_bytes") >= 600 * KIB)
        # two in the lane, of which sources hold half; and as many as could still be asked for
        assert sqs.most_invisible <= 2 + 5
        it.good.deliver()
        await sqs.until(lambda: len(sqs.deleted) == 40)


async def test_the_lag_is_what_waits_in_the_queue() -> None:
    async with FakeSqs() as sqs:
        await sqs.send(bodies(*range(30)))
        async with receiving(sqs, window=10, lag_interval="50ms") as it:
            it.good.hold()
            await it.service.until(lambda metrics: total(metrics, "lag_messages") == 20)
            it.good.deliver()
            await it.service.until(lambda metrics: total(metrics, "lag_messages") == 0)


async def test_a_queue_that_is_made_later_is_found() -> None:
    async with FakeSqs() as sqs:
        sqs.exists = False
        async with receiving(sqs) as it:
            await it.service.until(lambda metrics: total(metrics, "trouble") == 1)
            sqs.exists = True
            await sqs.send(bodies(1))
            await sqs.until(lambda: sqs.deleted)


async def test_a_queue_that_is_made_anew_elsewhere_is_found() -> None:
    async with FakeSqs() as sqs, receiving(sqs):
        await sqs.send(bodies(1))
        await sqs.until(lambda: len(sqs.deleted) == 1)
        sqs.account = "210987654321"
        await sqs.send(bodies(2))
        await sqs.until(lambda: len(sqs.deleted) == 2)


async def test_what_no_lane_has_is_there_for_others_as_soon_as_it_stops() -> None:
    small: dict[str, Any] = {"max_message": "256KiB", "window": 20}
    async with FakeSqs() as sqs, receiving(sqs, good={"memory": "1MiB", "batch": 1}, **small) as it:
        it.good.hold()
        await sqs.send([b'{"number":%d,"pad":"%s"}' % (n, b"x" * 200 * KIB) for n in range(20)])
        await it.service.until(lambda metrics: total(metrics, "messages_unsettled") == 20)
        await it.good.called()
        it.service.stop.set()
        # two are in the lane, of which sources hold half
        await sqs.until(lambda: len(sqs.invisible) == 2)
        assert not it.service.running.done()
        it.good.deliver()
        await it.service.running
        assert len(sqs.deleted) == 2
        assert len(sqs.messages) == 18


async def test_a_source_that_is_left_gives_back_whatever_nobody_has_settled() -> None:
    async with FakeSqs() as sqs:
        world = ReceivingWorld()
        world.good.hold()
        source = unentered(sqs, wait="1s", receivers=1)
        async with Sqs("incoming", source._config, world.handover):
            await sqs.send(bodies(1, 2))
            await world.good.called()
        assert [each.visible_at for each in sqs.messages] == [0.0, 0.0]
        world.good.deliver()
        await world.lane.abandon()


async def test_a_group_is_kept_only_while_it_has_something() -> None:
    async with FakeSqs("incoming.fifo") as sqs, receiving(sqs) as it:
        for number in range(40):
            await sqs.send(bodies(number), group=f"g{number}")
        await sqs.until(lambda: len(sqs.deleted) == 40)
        await it.delivered(40)
        gc.collect()
        assert [each for each in gc.get_objects() if isinstance(each, Group)] == []


async def test_open_polls_that_bring_something_after_the_end_give_it_back() -> None:
    async with FakeSqs() as sqs, receiving(sqs) as it:
        await sqs.until(lambda: sqs.polls == 2)
        it.service.sinks["good"].hold()
        it.service.stop.set()
        await asyncio.sleep(0)
        await sqs.send(bodies(1))
        await it.service.running
        assert sqs.deleted == []
        assert it.good.taken == []
