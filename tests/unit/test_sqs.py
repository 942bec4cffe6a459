"""The sqs sink: what a message may hold, FIFO identities, results by Id, and finding the queue."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, ProbeError
from service.sinks.sqs import Sqs
from service.sinks.sqs_message import unfit
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import event

ARN = "arn:aws:sqs:eu-central-1:123456789012:orders"


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.queues |= {"orders": [], "orders.fifo": []}
        yield fake


def sink(aws: FakeAws, **settings: Any) -> Sqs:
    config = {"queue": "orders", "region": "eu-west-1", "endpoint_url": aws.url, **settings}
    return Sqs("orders", Sqs.Config(type="sqs", **config))


async def one(to: Sqs, body: bytes = b"{}") -> Outcome:
    [outcome] = await to.write(Batch([event(0, body)]))
    return outcome


def operations(aws: FakeAws) -> list[str]:
    return [call.operation for call in aws.calls]


@pytest.mark.parametrize(
    "body",
    ["\t\n\r ~\x7f\x85", "\ud7ff\ue000\ufffd", "\U00010000\U0001fffe\U0010ffff"],
    ids=ascii,
)
async def test_all_characters_that_sqs_allows_are_sent(aws: FakeAws, body: str) -> None:
    async with sink(aws) as made:
        assert await one(made, body.encode()) is DELIVERED
    assert [message["MessageBody"] for message in aws.queues["orders"]] == [body]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a\x00", "U+0000, at character 1"),
        (b"\x0b", "U+000B"),
        (b"\x1f", "U+001F"),
        ("ü\ufffe".encode(), "U+FFFE, at character 1"),
        ("\uffff".encode(), "U+FFFF"),
        (b"ab\xff", "not UTF-8 at byte 2"),
        (b"\xed\xa0\x80", "not UTF-8 at byte 0"),
        (b"", "no empty message"),
    ],
)
async def test_what_sqs_cannot_hold_is_rejected_before_it_is_sent(aws: FakeAws, body: bytes, told: str) -> None:
    async with sink(aws) as made:
        outcome = await one(made, body)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.REFUSED_CONTENT
    assert told in outcome.detail
    assert aws.calls == []


def test_of_the_ascii_characters_only_the_named_controls_are_unfit() -> None:
    allowed = {0x9, 0xA, 0xD, *range(0x20, 0x80)}  # SQS API reference, SendMessage
    for around in ("", "x", "ü"):  # with others than ASCII it is another check that says so
        fit = {code for code in range(128) if unfit(f"{around}{chr(code)}".encode(), empty_is=True) is None}
        assert fit == allowed


async def test_a_fifo_message_has_its_key_as_group_and_its_identity_once(aws: FakeAws) -> None:
    made = event(0)
    async with sink(aws, queue="orders.fifo") as fifo:
        for _ in range(2):
            assert list(await fifo.write(Batch([made]))) == [DELIVERED]
    [message] = aws.queues["orders.fifo"]
    assert message["MessageGroupId"] == "key-0"
    identity = f"{made.attributes['source']}\0{made.id}".encode()
    assert message["MessageDeduplicationId"] == hashlib.sha256(identity).hexdigest()


@pytest.mark.parametrize("key", ["k" * 129, "with space", "ü"])
async def test_a_key_that_is_no_group_is_hashed(aws: FakeAws, key: str) -> None:
    async with sink(aws, queue="orders.fifo") as fifo:
        assert list(await fifo.write(Batch([event(0, key=key)]))) == [DELIVERED]
    assert aws.queues["orders.fifo"][0]["MessageGroupId"] == hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.parametrize("key", [None, ""])
async def test_without_a_key_the_id_is_the_group(aws: FakeAws, key: str | None) -> None:
    async with sink(aws, queue="orders.fifo") as fifo:
        assert list(await fifo.write(Batch([event(3, key=key)]))) == [DELIVERED]
    assert aws.queues["orders.fifo"][0]["MessageGroupId"] == "id-3"


async def test_a_standard_queue_gets_no_group(aws: FakeAws) -> None:
    async with sink(aws) as made:
        assert await one(made) is DELIVERED
    assert aws.queues["orders"][0].keys() == {"Id", "MessageBody"}


@pytest.mark.parametrize(
    ("code", "sender_fault", "outcome"),
    [
        ("InternalError", False, Retry(Reason.INTERNAL, detail="InternalError")),
        ("NeverSeenBefore", False, Retry(Reason.INTERNAL, detail="NeverSeenBefore")),
        ("InvalidMessageContents", False, Retry(Reason.MISCONFIGURED, detail="InvalidMessageContents")),
        ("KmsAccessDenied", True, Retry(Reason.ENCRYPTION, detail="KmsAccessDenied")),
        ("AccessDenied", True, Retry(Reason.ACCESS_DENIED, detail="AccessDenied")),
        ("NeverSeenBefore", True, Retry(Reason.MISCONFIGURED, detail="NeverSeenBefore")),
        (
            "InvalidMessageContents",
            True,
            Rejected(Reason.REFUSED_CONTENT, "SQS refused the message: InvalidMessageContents"),
        ),
        (
            "InvalidParameterValue",
            True,
            Rejected(Reason.REFUSED_CONTENT, "SQS refused the message: InvalidParameterValue"),
        ),
    ],
)
async def test_a_failed_entry_is_rejected_only_for_what_is_in_the_message(
    aws: FakeAws, code: str, sender_fault: bool, outcome: Outcome
) -> None:
    aws.record_code, aws.sender_fault = code, sender_fault
    aws.fail({1})
    async with sink(aws) as made:
        outcomes = await made.write(Batch([event(n) for n in range(3)]))
    assert list(outcomes) == [DELIVERED, outcome, DELIVERED]


async def test_outcomes_stay_with_their_events_when_some_were_never_sent(aws: FakeAws) -> None:
    aws.fail({1})  # of the entries that are sent: the fourth event
    async with sink(aws) as made:
        events = [event(0, b"\x00"), event(1), event(2, b"\x00"), event(3)]
        outcomes = await made.write(Batch(events))
    assert [type(outcome) for outcome in outcomes] == [Rejected, type(DELIVERED), Rejected, Retry]


async def test_the_queue_is_looked_up_once_and_by_its_name(aws: FakeAws) -> None:
    async with sink(aws) as made:
        assert [await one(made), await one(made)] == [DELIVERED, DELIVERED]
    assert operations(aws) == ["GetQueueUrl", "SendMessageBatch", "SendMessageBatch"]


async def test_a_queue_created_after_the_start_is_found_without_a_restart(aws: FakeAws) -> None:
    async with sink(aws, queue="later") as made:
        missing = await one(made)
        aws.queues["later"] = []
        assert await one(made) is DELIVERED
    assert isinstance(missing, Retry)
    assert missing.reason is Reason.NOT_FOUND


async def test_a_queue_that_was_deleted_is_looked_up_again(aws: FakeAws) -> None:
    async with sink(aws) as made:
        assert await one(made) is DELIVERED
        del aws.queues["orders"]
        gone = await one(made)
        aws.queues["orders"] = []
        assert await one(made) is DELIVERED
    assert isinstance(gone, Retry)
    assert operations(aws)[-2:] == ["GetQueueUrl", "SendMessageBatch"]


async def test_a_queue_given_by_url_is_not_looked_up(aws: FakeAws) -> None:
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"
    async with sink(aws, queue=url) as made:
        assert await one(made) is DELIVERED
    [call] = aws.calls
    assert (call.params["QueueUrl"], call.region) == (url, "eu-central-1")


async def test_a_queue_given_by_arn_is_looked_up_at_its_owner_in_its_region(aws: FakeAws) -> None:
    async with sink(aws, queue=ARN) as made:
        assert await one(made) is DELIVERED
    assert aws.calls[0].params == {"QueueName": "orders", "QueueOwnerAWSAccountId": "123456789012"}
    assert aws.calls[0].region == "eu-central-1"


@pytest.mark.parametrize("queue", ["orders", f"{ARN}.fifo"])
def test_limits_are_those_of_the_service_or_lower(aws: FakeAws, queue: str) -> None:
    limits = sink(aws, queue=queue, max_message="256KiB").limits
    assert (limits.batch_events, limits.batch_bytes, limits.event_bytes) == (10, 2**20, 256 * 1024)


async def test_a_probe_warns_of_a_queue_that_takes_smaller_messages(
    aws: FakeAws, caplog: pytest.LogCaptureFixture
) -> None:
    async with sink(aws) as made:
        await made.probe()
        assert not caplog.records
        aws.described["MaximumMessageSize"] = "262144"
        await made.probe()
    assert "takes smaller messages" in caplog.text


async def test_a_probe_that_is_denied_names_the_permission(aws: FakeAws) -> None:
    aws.refusal = Refusal("AccessDenied", 403)
    async with sink(aws) as made:
        with pytest.raises(ProbeError, match="allow sqs:GetQueueUrl on it"):
            await made.probe()


@pytest.mark.parametrize(
    "queue", ["", "or ders", "a" * 81, "orders.fifo.fifo", "https://sqs.eu-west-1.amazonaws.com/", "arn:aws:sqs:x"]
)
def test_what_is_no_queue_is_refused(queue: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Sqs.Config(type="sqs", queue=queue)


@pytest.mark.parametrize(
    "successful",
    [
        [{"Id": "0"}],
        [{"Id": "0"}, {"Id": "0"}],
        [{"Id": "0"}, {"Id": "2"}],
        [{"Id": "0"}, {"Id": "1"}, {"Id": "1"}],
        [],
    ],
    ids=str,
)
async def test_an_answer_that_does_not_name_each_entry_once_delivers_nothing(
    aws: FakeAws, successful: list[dict[str, str]]
) -> None:
    aws.refusal = Refusal("", 200, raw=json.dumps({"Successful": successful, "Failed": []}).encode())
    async with sink(aws, queue=f"{aws.url}/123456789012/orders") as made:
        outcomes = await made.write(Batch([event(0), event(1)]))
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Retry)] == [Reason.BAD_ANSWER] * 2
