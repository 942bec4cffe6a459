"""The kinesis sink: partition keys, limits, results by index, and the stream by name or ARN."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outcome import DELIVERED, Reason, Retry
from service.sinks.contract import Batch, ProbeError
from service.sinks.kinesis import Kinesis
from service.sinks.kinesis_records import partition_key
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import event, sized

ARN = "arn:aws:kinesis:eu-central-1:123456789012:stream/orders"


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.streams["orders"] = []
        yield fake


def sink(aws: FakeAws, **settings: Any) -> Kinesis:
    config = {"stream": "orders", "region": "eu-west-1", "endpoint_url": aws.url, **settings}
    return Kinesis("orders", Kinesis.Config(type="kinesis", **config))


def test_the_partition_key_is_the_events_key() -> None:
    assert partition_key(event(0, key="customer-1")) == "customer-1"


@pytest.mark.parametrize("key", ["k" * 256, "ü" * 256, "\N{PILE OF POO}" * 128])
def test_a_key_of_256_characters_is_kept(key: str) -> None:
    assert partition_key(event(0, key=key)) == key


@pytest.mark.parametrize("key", ["k" * 257, "\N{PILE OF POO}" * 129])
def test_a_longer_key_is_hashed_so_that_it_has_one_shard_still(key: str) -> None:
    assert partition_key(event(0, key=key)) == hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.parametrize("key", [None, ""])
def test_events_without_a_key_are_spread_by_their_ids(key: str | None) -> None:
    assert partition_key(event(7, key=key)) == "id-7"
    long = "i" * 65
    assert partition_key(event(7, key=key, id=long)) == hashlib.sha256(long.encode()).hexdigest()


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(key=st.none() | _text, id_=_text.filter(bool))
def test_a_partition_key_never_exceeds_what_the_limits_count(key: str | None, id_: str) -> None:
    made = event(0, key=key, id=id_)
    partition = partition_key(made)
    assert 1 <= len(partition) <= 256
    overhead = Kinesis("s", Kinesis.Config(type="kinesis", stream="s")).limits.overhead_bytes
    assert len(partition.encode()) <= len((key or "").encode()) + overhead


async def test_a_record_carries_the_body_as_it_is(aws: FakeAws) -> None:
    body = bytes(range(256))
    async with sink(aws) as made:
        assert list(await made.write(Batch([event(0, body)]))) == [DELIVERED]
    assert aws.streams["orders"] == [("key-0", body)]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ProvisionedThroughputExceededException", Reason.THROTTLED),
        ("InternalFailure", Reason.INTERNAL),
        ("NeverSeenBefore", Reason.INTERNAL),
    ],
)
async def test_a_failed_record_is_a_retry_with_the_reason_of_its_code(aws: FakeAws, code: str, reason: Reason) -> None:
    aws.record_code = code
    aws.fail({1})
    async with sink(aws) as made:
        outcomes = await made.write(Batch([event(n) for n in range(3)]))
    assert list(outcomes) == [DELIVERED, Retry(reason, detail=code), DELIVERED]


async def test_an_answer_whose_count_of_failures_contradicts_its_results_delivers_nothing(aws: FakeAws) -> None:
    aws.contradiction = 1
    async with sink(aws) as made:
        [outcome] = await made.write(Batch([event(0)]))
    assert isinstance(outcome, Retry)
    assert outcome.reason is Reason.BAD_ANSWER


async def test_a_stream_given_by_arn_is_used_in_its_own_region(aws: FakeAws) -> None:
    async with sink(aws, stream=ARN, region="us-east-1") as made:
        assert list(await made.write(Batch([event(0)]))) == [DELIVERED]
        await made.probe()
    assert [call.params.get("StreamARN") for call in aws.calls[:3]] == [ARN, ARN, ARN]
    assert {call.region for call in aws.calls} == {"eu-central-1"}


def test_a_call_is_at_most_what_was_configured(aws: FakeAws) -> None:
    assert sink(aws).limits.batch_bytes == 5 * 2**20
    large = sink(aws, request_bytes="10MiB", max_record="10MiB").limits
    assert (large.batch_bytes, large.event_bytes, large.batch_events) == (10 * 2**20, 10 * 2**20, 500)


async def test_a_record_of_the_streams_own_larger_limit_is_taken(aws: FakeAws) -> None:
    aws.described["MaxRecordSizeInKiB"] = 10240
    async with sink(aws, request_bytes="10MiB", max_record="10MiB") as made:
        largest = sized(event(0, key=None), made.limits.event_bytes - made.limits.overhead_bytes)
        assert list(await made.write(Batch([largest]))) == [DELIVERED]


async def test_a_probe_warns_of_a_stream_that_takes_smaller_records(
    aws: FakeAws, caplog: pytest.LogCaptureFixture
) -> None:
    async with sink(aws, max_record="2MiB") as made:
        aws.described["MaxRecordSizeInKiB"] = 2048
        await made.probe()
        assert not caplog.records
        aws.described["MaxRecordSizeInKiB"] = 1024
        await made.probe()
    assert "takes smaller records" in caplog.text


async def test_a_probe_of_a_stream_that_is_being_deleted_says_so(aws: FakeAws) -> None:
    aws.described["StreamStatus"] = "DELETING"
    async with sink(aws) as made:
        with pytest.raises(ProbeError, match="stream 'orders' in eu-west-1 is DELETING"):
            await made.probe()


@pytest.mark.parametrize(
    "settings",
    [
        {"stream": ""},
        {"stream": "or ders"},
        {"stream": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/orders"},
        {"stream": "arn:aws:kinesis:eu-west-1:1:stream/orders"},
        {"stream": "orders", "request_bytes": "11MiB"},
        {"stream": "orders", "max_record": "6MiB"},
        {"stream": "orders", "external_id": "tenant-1"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Kinesis.Config(type="kinesis", **settings)
