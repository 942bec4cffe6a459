"""Requests written here: what arrives is what was meant, and an answer of another shape delivers nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.outcome import DELIVERED, Reason, Retry
from service.sinks.contract import Batch
from service.sinks.firehose import Firehose
from service.sinks.kinesis import Kinesis
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import event

KEYS = ['a"b\\c', "\x01\t\n", "é", "\u2028", "😀" * 64, "x" * 256, '"},{"Data":"', " ", "a" * 300]


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.streams |= {"orders": [], "others": []}
        fake.delivery_streams["lake"] = []
        yield fake


def kinesis(aws: FakeAws, stream: str = "orders", **settings: Any) -> Kinesis:
    where = {"stream": stream, "region": "eu-west-1", "endpoint_url": aws.url}
    return Kinesis(stream, Kinesis.Config(type="kinesis", **(where | settings)))


async def test_keys_and_bodies_arrive_as_they_are(aws: FakeAws) -> None:
    events = [event(n, bytes(range(256)) * n, key=key) for n, key in enumerate(KEYS, 1)]
    async with kinesis(aws) as sink:
        assert list(await sink.write(Batch(events))) == [DELIVERED] * len(events)
    taken = aws.streams["orders"]
    assert [body for _, body in taken] == [each.body for each in events]
    assert [key for key, _ in taken][:-1] == KEYS[:-1]
    assert len(taken[-1][0]) == 64, "one that is too long is hashed"


async def test_each_call_sends_its_own_body_to_its_own_stream(aws: FakeAws) -> None:
    packed = Firehose.Config(type="firehose", delivery_stream="lake", region="eu-west-1", endpoint_url=aws.url)
    async with kinesis(aws) as one, kinesis(aws, "others") as other, Firehose("lake", packed) as lake:
        sinks = (one, other, lake)
        writes = [sinks[n % 3].write(Batch([event(n, b"%d-%d" % (n % 3, n))])) for n in range(90)]
        assert all(list(found) == [DELIVERED] for found in await asyncio.gather(*writes))
    found = [[body for _, body in aws.streams["orders"]], [body for _, body in aws.streams["others"]]]
    found.append(b"".join(aws.delivery_streams["lake"]).split())
    assert [sorted(each) for each in found] == [
        sorted(b"%d-%d" % (which, n) for n in range(which, 90, 3)) for which in range(3)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"null",
        b'{"Records":5}',
        b'{"Records":[5]}',
        b'{"Records":[{"SequenceNumber":5}]}',
        b'{"Records":[{"SequenceNumber":"1"}],"FailedRecordCount":"no"}',
        b'{"Records":[{"SequenceNumber":"1"}]',
    ],
)
async def test_an_answer_of_another_shape_delivers_nothing(aws: FakeAws, answer: bytes) -> None:
    async with kinesis(aws) as sink:
        await sink.shards.look_up()
        aws.refusal = Refusal("", 200, raw=answer)
        [outcome] = await sink.write(Batch([event(1)]))
    assert isinstance(outcome, Retry)
    assert outcome.reason is Reason.BAD_ANSWER


async def test_a_call_that_is_not_written_here_is_the_sdks(aws: FakeAws) -> None:
    async with kinesis(aws) as sink:
        answer = await sink._client.put_records(StreamName="orders", Records=[{"Data": b"x", "PartitionKey": "k"}])
    assert aws.streams["orders"] == [("k", b"x")]
    assert [each["ShardId"] for each in answer["Records"]]
