"""The records of one PutRecords: limits that they keep, whatever the events are."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.aws.shardmap import ShardMap
from service.sinks.kinesis_records import Packing, aggregated, hash_of
from tests.contract.fake_shards import FakeShards, md5_of
from tests.contract.harness import event
from tests.contract.kpl_consumer import consumed

_events = st.lists(
    st.tuples(st.none() | st.sampled_from(["one", "two"]) | st.text("abü", max_size=20), st.integers(0, 3000)),
    min_size=1,
    max_size=80,
)


class _Shards(FakeShards):
    """The one call of AWS's client that is needed here."""

    async def list_shards(self, **params: Any) -> dict[str, Any]:
        return self.listed(params)


def _mapped(into: int) -> ShardMap:
    async def learn() -> ShardMap:
        fake = _Shards()
        fake.split(into=into)
        shards = ShardMap("orders", {"StreamName": "orders"}, lambda: None)
        shards.start(fake)
        await shards.look_up()
        await shards.stop()
        return shards

    return asyncio.run(learn())


_THREE = _mapped(3)


@given(
    made=_events,
    record_bytes=st.integers(1024, 4096),
    record_events=st.integers(2, 20),
    request_bytes=st.integers(4096, 40_000),
)
def test_records_and_calls_keep_their_limits_and_every_event_has_its_place(
    made: list[tuple[str | None, int]], record_bytes: int, record_events: int, request_bytes: int
) -> None:
    events = [event(n, b"%d " % n + b"x" * size, key=key) for n, (key, size) in enumerate(made)]
    put = aggregated(events, _THREE, Packing(record_bytes, record_events, request_bytes))
    assert len(put.places) == len(events)
    assert put.places[0] == 0, "a call that takes nothing"
    sizes = [len(each.data) + len(each.key.encode()) for each in put.records]
    assert sum(sizes) <= request_bytes
    assert set(put.places) - {-1} == set(range(len(put.records)))
    for index, record in enumerate(put.records):
        own = [each for each, place in zip(events, put.places, strict=True) if place == index]
        assert [each.body for each in consumed([(record.key, record.data)])] == [e.body for e in own]
        assert len({_THREE.number(md5_of(each.key or each.id)) for each in own}) == 1
        assert _THREE.number(hash_of(record)) == _THREE.number(md5_of(own[0].key or own[0].id))
        if len(own) > 1:
            assert sizes[index] <= record_bytes
            assert len(own) <= record_events


def test_a_call_has_500_records() -> None:
    events = [event(n) for n in range(1002)]
    put = aggregated(events, _THREE, Packing(51_200, 2, 5 * 2**20))
    assert len(put.records) == 500
    assert all(place >= 0 for place in put.places[: put.places.index(-1)])
