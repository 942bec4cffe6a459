"""The sqs sink when it packs: what a message holds, what becomes of those who share one, and what SQS bills."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.event import Event
from service.outcome import DELIVERED, Outcome, Rejected, Retry
from service.sinks.contract import Batch, Billed
from service.sinks.packing import NO_ROOM
from service.sinks.sqs import SUSPECTS, Sqs
from service.sinks.unpacking import inflated, unpack
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import event, sized


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.queues |= {"orders": [], "orders.fifo": []}
        yield fake


def sink(aws: FakeAws, **settings: Any) -> Sqs:
    config = {"queue": "orders", "region": "eu-west-1", "endpoint_url": aws.url, "pack": "ndjson", **settings}
    return Sqs("orders", Sqs.Config(type="sqs", **config))


def messages(aws: FakeAws) -> list[str]:
    return [message["MessageBody"] for message in aws.queues["orders"]]


async def write(to: Sqs, *events: Event) -> list[Outcome]:
    return list(await to.write(Batch(events)))


async def test_many_events_are_one_message(aws: FakeAws) -> None:
    async with sink(aws) as made:
        assert await write(made, event(0), event(1)) == [DELIVERED] * 2
    assert messages(aws) == ['{"number":0}\n{"number":1}\n']


@pytest.mark.parametrize("settings", [{"compress": "gzip"}, {"compress": "zstd"}, {"pack": "length_prefixed"}], ids=str)
async def test_what_is_no_text_travels_as_base64(aws: FakeAws, settings: dict[str, Any]) -> None:
    bodies = [b"\x00\xff%d" % n for n in range(3)]
    async with sink(aws, **settings) as made:
        assert set(await write(made, *map(event, range(3), bodies))) == {DELIVERED}
    [message] = messages(aws)
    record = inflated(message.encode(), settings.get("compress", "none"), base64=True)
    assert unpack(record, settings.get("pack", "ndjson")) == bodies


async def test_a_message_holds_what_fits_and_the_eleventh_has_no_room(aws: FakeAws) -> None:
    events = [sized(event(n), 511) for n in range(23)]
    async with sink(aws, max_message=1024) as made:
        outcomes = await write(made, *events)
    assert outcomes == [DELIVERED] * 20 + [NO_ROOM] * 3
    assert [len(message) for message in messages(aws)] == [1024] * 10


async def test_a_batch_that_travels_as_base64_fits_a_call(aws: FakeAws) -> None:
    async with sink(aws, pack="length_prefixed") as made:
        limits = made.limits
        count = limits.batch_bytes // (1000 + limits.overhead_bytes)
        assert set(await write(made, *(sized(event(n), 1000) for n in range(count)))) == {DELIVERED}
    assert 2**20 - sum(map(len, messages(aws))) < 2000, "and fills it"


async def test_a_message_holds_no_more_events_than_told(aws: FakeAws) -> None:
    async with sink(aws, pack_events=3) as made:
        await write(made, *map(event, range(7)))
    assert [message.count("\n") for message in messages(aws)] == [3, 3, 1]


@pytest.mark.parametrize("pack", ["ndjson", "json_array"])
async def test_one_unfit_event_is_refused_before_it_is_among_others(aws: FakeAws, pack: str) -> None:
    async with sink(aws, pack=pack) as made:
        outcomes = await write(made, event(0), event(1, b'"\x00"'), event(2))
    assert [type(outcome) for outcome in outcomes] == [type(DELIVERED), Rejected, type(DELIVERED)]
    assert unpack(messages(aws)[0].encode(), pack) == [event(0).body, event(2).body]  # type: ignore[arg-type]


async def test_nobody_is_rejected_for_another_s_sake(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    events = [event(n) for n in range(3)]
    aws.record_code, aws.sender_fault = "InvalidMessageContents", True
    async with sink(aws) as made:
        aws.fail({0})
        together = await write(made, *events)
        assert {type(outcome) for outcome in together} == {Retry}
        assert "3 events; each goes alone now" in together[0].detail  # type: ignore[union-attr]
        aws.fail({1})
        alone = await write(made, *events, event(3), event(4))
        assert [type(outcome) for outcome in alone] == [type(DELIVERED), Rejected, *[type(DELIVERED)] * 3]
        assert [message.count("\n") for message in messages(aws)] == [1, 1, 2]
        aws.recover()
        aws.queues["orders"].clear()
        assert set(await write(made, *events)) == {DELIVERED}
    assert [message.count("\n") for message in messages(aws)] == [3], "what has ended is not suspected any more"
    assert [record.message for record in caplog.records] == ["the queue refused a packed message"]


async def test_an_event_stays_alone_until_it_is_settled(aws: FakeAws) -> None:
    aws.record_code, aws.sender_fault = "InvalidParameterValue", True
    events = [event(n) for n in range(12)]
    async with sink(aws) as made:
        aws.fail({0})
        await write(made, *events)
        aws.record_code, aws.sender_fault = "InternalError", False
        outcomes = await write(made, *events)
        assert isinstance(outcomes[0], Retry)
        assert outcomes[1:] == [DELIVERED] * 9 + [NO_ROOM] * 2
        aws.recover()
        aws.queues["orders"].clear()
        await write(made, events[0], *events[10:], event(20), event(21))
    assert [message.count("\n") for message in messages(aws)] == [1, 1, 1, 2]


async def test_suspects_are_bounded(aws: FakeAws) -> None:
    aws.record_code, aws.sender_fault = "InvalidParameterValue", True
    aws.fail({0})
    async with sink(aws) as made:
        for start in (0, 6000):
            await write(made, *(event(start + n, b"1") for n in range(6000)))
        assert len(made._suspects) == SUSPECTS
        assert "id-11999" in made._suspects


async def test_a_probe_that_finds_a_smaller_queue_packs_smaller_messages(aws: FakeAws) -> None:
    aws.described = {"MaximumMessageSize": "1024"}
    async with sink(aws) as made:
        await made.probe()
        await write(made, *(sized(event(n), 511) for n in range(4)))
    assert [len(message) for message in messages(aws)] == [1024, 1024]


async def test_a_call_is_billed_by_64_kibibytes_of_all_its_messages(aws: FakeAws) -> None:
    async with sink(aws, pack="none") as made:
        assert isinstance(made, Billed)
        await write(made, *(sized(event(n), 16384) for n in range(4)))
        assert made.bill() == {"sqs_billed_requests": 1}
        await write(made, *(sized(event(n), 16385) for n in range(4)))
        assert made.bill() == {"sqs_billed_requests": 3}
        await write(made, event(0))
        assert made.bill() == {"sqs_billed_requests": 4}


async def test_a_call_that_was_not_answered_is_not_on_the_bill(aws: FakeAws) -> None:
    async with sink(aws) as made:
        aws.refusal = Refusal("InternalFailure", 500)
        await write(made, event(0))
        assert made.bill() == {"sqs_billed_requests": 0}


def test_packing_waits_for_a_message_to_fill_unless_told_otherwise(aws: FakeAws) -> None:
    assert sink(aws)._config.linger == 0.1
    assert sink(aws, pack="none")._config.linger == 0.0
    assert sink(aws, linger="2s")._config.linger == 2.0


@pytest.mark.parametrize("queue", ["orders.fifo", "arn:aws:sqs:eu-central-1:123456789012:orders.fifo"])
def test_a_fifo_queue_is_not_packed(queue: str) -> None:
    with pytest.raises(ValueError, match="`pack` does not go with a FIFO queue"):
        Sqs.Config(type="sqs", queue=queue, pack="ndjson")
    assert Sqs.Config(type="sqs", queue=queue, pack="none", compress="gzip").linger == 0
