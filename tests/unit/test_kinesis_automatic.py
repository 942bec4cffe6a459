"""Aggregation on a stream that spreads records itself (RecordDistributionStrategy AUTO), or says nothing of it."""

from collections.abc import AsyncIterator

import pytest

from service.errors import ConfigError
from service.outcome import DELIVERED, Reason, Retry
from service.sinks.contract import Batch, ProbeError
from tests.contract.fake_aws import FakeAws
from tests.contract.harness import event
from tests.unit.test_kinesis_kpl import puts, sink


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.streams["orders"] = []
        yield fake


async def test_a_stream_that_spreads_records_itself_is_refused_at_start(aws: FakeAws) -> None:
    aws.described["RecordDistributionStrategy"] = "AUTO"
    with pytest.raises(ConfigError, match=r"sinks\.orders\.aggregate: .*AUTO.*aggregate: none"):
        async with sink(aws):
            pass
    async with sink(aws, aggregate="none") as made:
        await made.probe()


async def test_what_a_stream_does_not_say_at_start_holds_nothing_up(aws: FakeAws) -> None:
    aws.denied = {"DescribeStreamSummary"}
    async with sink(aws) as made:
        assert made.shards.automatic is None
    aws.denied = set()
    aws.hang()
    async with sink(aws, call_timeout="100ms") as made:
        assert made.shards.automatic is None


async def test_a_stream_that_spreads_records_itself_later_gets_none(aws: FakeAws) -> None:
    async with sink(aws) as made:
        aws.described["RecordDistributionStrategy"] = "AUTO"
        await made.shards.look_up()
        await made.shards.look_up()
        with pytest.raises(ProbeError, match=r"stream 'orders' in eu-west-1 cannot be aggregated to: .* AUTO"):
            await made.probe()
        [outcome] = await made.write(Batch([event(0)]))
        assert isinstance(outcome, Retry)
        assert outcome.reason is Reason.MISCONFIGURED
        assert "aggregate: none" in outcome.detail
        assert puts(aws) == []
        aws.described["RecordDistributionStrategy"] = "USER_PARTITION_KEY"
        await made.shards.look_up()
        assert list(await made.write(Batch([event(0)]))) == [DELIVERED]


async def test_a_probe_without_the_right_to_list_shards_says_so(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    aws.denied = {"ListShards"}
    async with sink(aws, aggregate="none") as made:
        await made.probe()
        assert "no shard has a rate" in caplog.text
    async with sink(aws) as made:
        with pytest.raises(ProbeError, match=r"nothing is aggregated .* allow kinesis:ListShards"):
            await made.probe()
