"""Requests written here: what arrives is what was meant, and an answer of another shape delivers nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.aws import connection, session
from service.aws.connections import Connections, Endpoint
from service.aws.pattern import Pattern
from service.aws.requests import Operation
from service.aws.settings import AwsConfig
from service.errors import ConfigError
from service.outcome import DELIVERED, Reason, Retry
from service.sinks.contract import Batch
from service.sinks.firehose import Firehose
from service.sinks.kinesis import Kinesis
from service.sinks.kinesis_records import Answer
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


@asynccontextmanager
async def put_records(**settings: Any) -> AsyncIterator[Any]:
    """The operation, of a client of its own."""
    config = AwsConfig(region="eu-west-1", **settings)
    async with session.client("kinesis", config, concurrency=4, call_timeout=5.0) as client:
        yield Operation(client, "kinesis", "PutRecords", "put_records", Answer)


async def test_each_target_is_asked_where_the_sdk_would_ask_it(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def post(_: object, endpoint: Endpoint, head: bytes, body: bytes) -> connection.Answer:
        asked.append(endpoint.url)
        assert f"Host: {endpoint.host}\r\n".encode() in head
        return connection.Answer(200, [], b"{}")

    monkeypatch.setattr(Connections, "post", post)
    async with put_records() as call:
        for account in (1, 1, 2):
            await call(b"{}", StreamARN=f"arn:aws:kinesis:eu-west-1:{account:012}:stream/orders")
        await call(b"{}", StreamName="orders")
    assert asked == [
        "https://000000000001.data-kinesis.eu-west-1.amazonaws.com/",
        "https://000000000001.data-kinesis.eu-west-1.amazonaws.com/",
        "https://000000000002.data-kinesis.eu-west-1.amazonaws.com/",
        "https://kinesis.eu-west-1.amazonaws.com/",
    ]


async def test_where_the_sdk_signs_otherwise_it_makes_the_calls_and_one_line_says_so(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Pattern, "authorization", lambda *_: "another")
    async with kinesis(aws) as sink:
        assert [list(await sink.write(Batch([event(n)]))) for n in range(2)] == [[DELIVERED]] * 2
        assert list(await sink.write(Batch([event(3)]))) == [DELIVERED]
    assert len(aws.streams["orders"]) == 3
    assert [record.levelname for record in caplog.records if "signs requests in another way" in record.message] == [
        "WARNING"
    ]


async def test_learning_how_to_ask_asks_nothing(aws: FakeAws) -> None:
    async with kinesis(aws) as sink:
        await sink.shards.stop()
        assert list(await sink.write(Batch([event(1)]))) == [DELIVERED]
    assert [call.operation for call in aws.calls if call.operation == "PutRecords"] == ["PutRecords"]


async def test_nothing_that_is_kept_shows_a_secret(aws: FakeAws) -> None:
    async with kinesis(aws) as sink:
        assert list(await sink.write(Batch([event(1)]))) == [DELIVERED]
        way = sink._put_records._way
    assert way is not None
    assert way.credentials.secret_key == "fake-secret"
    shown = f"{way!r} {way.pattern!r} {way.connections!r} {way.signer!r} {sink._put_records!r}"
    assert "fake-secret" not in shown


async def test_an_operation_that_is_not_what_is_written_here_is_refused_at_the_start() -> None:
    config = AwsConfig(region="eu-west-1")
    async with session.client("sts", config, concurrency=1, call_timeout=5.0) as sts:
        with pytest.raises(ConfigError, match="GetCallerIdentity is not the JSON that Penstock writes"):
            Operation(sts, "sts", "GetCallerIdentity", "get_caller_identity", Answer)
