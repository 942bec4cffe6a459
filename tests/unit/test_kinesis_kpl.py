"""The kinesis sink when it aggregates: records by shard, within their limits, and safe when shards split or merge."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Billed, Pace, Partitioned
from service.sinks.kinesis import Kinesis
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.fake_shards import FakeShard, md5_of
from tests.contract.harness import Received, event, sized
from tests.contract.kpl_consumer import consumed, filtered, message


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.streams["orders"] = []
        yield fake


def sink(aws: FakeAws | None, **settings: Any) -> Kinesis:
    where = {"stream": "orders", "region": "eu-west-1", "endpoint_url": aws.url if aws else None}
    return Kinesis("orders", Kinesis.Config(type="kinesis", **({"aggregate": "kpl"} | where | settings)))


def puts(aws: FakeAws) -> list[list[dict[str, Any]]]:
    """The records of each PutRecords."""
    return [call.params["Records"] for call in aws.calls if call.operation == "PutRecords"]


def held(shards: Sequence[FakeShard]) -> list[bytes]:
    """What applications of the KCL get from these shards."""
    return sorted(each.body for shard in shards for each in filtered(shard))


def bodies(events: Sequence[Event]) -> list[bytes]:
    return sorted(each.body for each in events)


async def test_the_events_of_a_shard_are_one_record_of_its_first_events_hash_key(aws: FakeAws) -> None:
    aws.shards.split(into=4)
    events = [event(n) for n in range(100)]
    async with sink(aws) as made:
        await made.shards.look_up()
        assert list(await made.write(Batch(events))) == [DELIVERED] * 100
    [records] = puts(aws)
    assert len(records) == 4
    for shard in aws.shards.open:
        own = [each for each in events if shard.first <= md5_of(each.key or "") <= shard.last]
        assert consumed(shard.records) == [Received(each.body, each.key) for each in own]
        [record] = [each for each in records if shard.first <= int(each["ExplicitHashKey"]) <= shard.last]
        assert int(record["ExplicitHashKey"]) == md5_of(own[0].key or "")
        [(key, data)] = shard.records
        assert key == "a"
        assert list(message(data).explicit_hash_key_table) == [record["ExplicitHashKey"]]


async def test_a_lonely_event_is_sent_as_it_is(aws: FakeAws) -> None:
    async with sink(aws) as made:
        await made.shards.look_up()
        assert list(await made.write(Batch([event(0)]))) == [DELIVERED]
    assert aws.streams["orders"] == [("key-0", event(0).body)]
    assert "ExplicitHashKey" not in puts(aws)[0][0]


async def test_an_event_too_large_to_share_is_sent_as_it_is(aws: FakeAws) -> None:
    events = [event(0), sized(event(1), 60_000), event(2)]
    async with sink(aws) as made:
        await made.shards.look_up()
        assert list(await made.write(Batch(events))) == [DELIVERED] * 3
    assert [key for key, _ in aws.streams["orders"]] == ["a", "key-1"]
    assert consumed(aws.streams["orders"]) == [
        Received(each.body, each.key) for each in (events[0], events[2], events[1])
    ]


@pytest.mark.parametrize("change", ["split", "merge"])
async def test_no_consumer_drops_anything_when_the_shards_change_before_the_sink_knows(
    aws: FakeAws, change: str
) -> None:
    aws.shards.split(into=3)
    events = [event(n) for n in range(60)]
    async with sink(aws) as made:
        await made.shards.look_up()
        assert list(await made.write(Batch(events))) == [DELIVERED] * 60
        assert held(aws.shards.every) == bodies(events)
        getattr(aws.shards, change)()
        assert list(await made.write(Batch(events))) == [DELIVERED] * 60
        assert held(aws.shards.open) == bodies(events)
        await made.shards.look_up()
        assert list(await made.write(Batch(events))) == [DELIVERED] * 60
    assert held(aws.shards.every) == sorted(bodies(events) * 3)


async def test_the_filter_would_drop_aggregates_without_a_shared_hash_key(aws: FakeAws) -> None:
    """Guards the test above: what it rules out does happen to the aggregates that it rules out."""
    aws.shards.split()
    events = [event(n) for n in range(60)]
    async with sink(aws) as made:
        await made.shards.look_up()
        aws.shards.split()
        await made.write(Batch(events))
    shards = [shard for shard in aws.shards.open if shard.records]
    for shard in shards:
        [(key, data)] = shard.records
        naive = message(data)
        for each in naive.records:
            each.ClearField("explicit_hash_key_index")
        told = naive.SerializeToString()
        shard.records = [(key, data[:4] + told + hashlib.md5(told).digest())]
    assert len(shards) == 2
    assert held(shards) == []


async def test_a_wrong_shard_is_delivered_and_makes_the_sink_look_again(aws: FakeAws) -> None:
    async with sink(aws) as made:
        await made.shards.look_up()
        before = made.generation
        await made.write(Batch([event(n) for n in range(10)]))
        assert not made.shards.doubted
        aws.shards.split()
        assert list(await made.write(Batch([event(n) for n in range(10)]))) == [DELIVERED] * 10
        assert made.shards.doubted
        await made.shards.look_up()
        assert made.generation == before + 1
        await made.write(Batch([event(n) for n in range(10)]))
        assert not made.shards.doubted


async def test_a_wrong_shard_is_noticed_without_aggregation_too(aws: FakeAws) -> None:
    aws.shards.split(into=4)
    async with sink(aws, aggregate="none") as made:
        await made.shards.look_up()
        await made.write(Batch([event(n) for n in range(50)]))
        assert not made.shards.doubted
        aws.shards.merge()
        await made.write(Batch([event(n) for n in range(50)]))
        assert made.shards.doubted


async def test_nothing_is_aggregated_before_the_shards_are_known(aws: FakeAws) -> None:
    async with sink(aws) as made:
        await made.shards.stop()
        assert list(await made.write(Batch([event(n) for n in range(3)]))) == [DELIVERED] * 3
        outcomes = await made.write(Batch([event(n) for n in range(600)]))
    assert [key for key, _ in aws.streams["orders"][:3]] == ["key-0", "key-1", "key-2"]
    assert list(outcomes) == [DELIVERED] * 500 + [Retry(Reason.NO_ROOM, after=0)] * 100


async def test_a_failed_record_fails_all_its_events_and_no_others(aws: FakeAws) -> None:
    aws.shards.split(into=2)
    events = [event(n) for n in range(20)]
    async with sink(aws) as made:
        await made.shards.look_up()
        aws.fail({0})
        outcomes = await made.write(Batch(events))
        failed = [each for each, outcome in zip(events, outcomes, strict=True) if isinstance(outcome, Retry)]
        assert {outcome.reason for outcome in outcomes if isinstance(outcome, Retry)} == {Reason.THROTTLED}
        assert {made.partition(each) for each in failed} == {made.partition(events[0])}
    assert 0 < len(failed) < 20
    assert held(aws.shards.open) == bodies([each for each in events if each not in failed])


async def test_a_failed_call_says_nothing_of_events_that_were_not_in_it(aws: FakeAws) -> None:
    async with sink(aws, aggregate_count=2) as made:
        await made.shards.look_up()
        aws.refusal = Refusal("InternalFailure", 500)
        outcomes: Sequence[Outcome] = await made.write(Batch([event(n) for n in range(1001)]))
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Retry)]
    assert reasons == [Reason.INTERNAL] * 1000 + [Reason.NO_ROOM]


async def test_a_write_fills_many_aggregates(aws: FakeAws) -> None:
    events = [event(n, b"x" * 500) for n in range(9_000)]
    async with sink(aws) as made:
        assert made.limits.batch_events >= len(events)
        await made.shards.look_up()
        assert list(await made.write(Batch(events))) == [DELIVERED] * len(events)
    [records] = puts(aws)
    assert len(records) == -(-9_000 // 98)


# --- partitions and costs


async def test_events_have_the_partition_of_their_shard_and_its_pace(aws: FakeAws) -> None:
    aws.shards.split(into=3)
    async with sink(aws, shard_bytes_per_second="500KB") as made:
        assert isinstance(made, Partitioned)
        assert {made.partition(event(n)) for n in range(50)} == {0}
        assert (made.generation, made.pace) == (0, Pace(events=0, bytes=0))
        await made.shards.look_up()
        assert {made.partition(event(n)) for n in range(50)} == {1, 2, 3}
        assert (made.generation, made.pace) == (1, Pace(events=0, bytes=500_000))
        for each in (event(1), event(2, key=None)):
            [shard] = [s for s in aws.shards.open if s.first <= md5_of(each.key or each.id) <= s.last]
            assert made.partition(each) == shard.number


async def test_without_aggregation_a_shard_takes_so_many_events_a_second(aws: FakeAws) -> None:
    async with sink(aws, aggregate="none", shard_events_per_second=250) as made:
        await made.shards.look_up()
        assert made.pace == Pace(events=250, bytes=10**6)


async def test_the_bill_counts_units_of_25_kb_for_each_record_that_was_taken(aws: FakeAws) -> None:
    async with sink(aws, aggregate="none") as made:
        assert isinstance(made, Billed)
        sizes = [1, 25_600 - len("key-1"), 25_601 - len("key-2"), 200_000, 300_000]
        aws.fail({4})
        await made.write(Batch([event(n, b"x" * size) for n, size in enumerate(sizes)]))
        assert made.bill() == {
            "kinesis_put_payload_units": 1 + 1 + 2 + 8,
            "kinesis_records": 4,
            "kinesis_user_records": 4,
        }


async def test_the_bill_of_aggregated_events_is_that_of_their_records(aws: FakeAws) -> None:
    async with sink(aws) as made:
        await made.shards.look_up()
        await made.write(Batch([event(n, b"x" * 300) for n in range(1000)]))
        bill = made.bill()
    assert bill == {"kinesis_put_payload_units": 6 * 2 + 1, "kinesis_records": 7, "kinesis_user_records": 1000}


# --- settings


def test_aggregated_events_wait_a_moment_unless_told_otherwise() -> None:
    assert sink(None)._config.linger == 0.1
    assert sink(None, linger="20ms")._config.linger == 0.02
    assert sink(None, aggregate="none")._config.linger == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"aggregate": "ndjson"},
        {"aggregate": "kpl", "aggregate_bytes": "2MiB"},
        {"aggregate": "kpl", "max_record": "32KiB"},
        {"aggregate": "kpl", "aggregate_count": 1},
        {"shard_events_per_second": -1},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Kinesis.Config(type="kinesis", stream="orders", **settings)


def test_a_small_record_limit_is_no_mistake_without_aggregation() -> None:
    assert Kinesis.Config(type="kinesis", stream="orders", max_record="4KiB").max_record == 4096


@pytest.mark.parametrize("aggregate", ["kpl", "none"])
@pytest.mark.parametrize("size", [50, 300, 1000])
@pytest.mark.parametrize("keys", [0, 7, 500])
async def test_what_events_cost_is_what_they_take_of_their_shards(
    aws: FakeAws, aggregate: str, size: int, keys: int
) -> None:
    events = [sized(event(n, key=f"customer-{n % keys}" if keys else None), size) for n in range(500)]
    async with sink(aws, aggregate=aggregate) as made:
        await made.shards.look_up()
        for _ in range(2):
            await made.write(Batch(events))
        cost = sum(made.cost(each) for each in events)
    wire = sum(len(each["Data"]) * 3 // 4 + len(each["PartitionKey"]) for each in puts(aws)[-1])
    assert 0.95 <= wire / cost <= 1.05
