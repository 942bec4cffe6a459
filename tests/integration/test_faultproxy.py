"""The fault proxy keeps to its script, to the rates of shards and to the truth in its books."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from deploy.local.faultproxy.behaviour import Behaviour, Fault, Script
from deploy.local.faultproxy.ledger import ids_in
from deploy.local.faultproxy.server import FaultProxy
from deploy.local.faultproxy.shards import Shards
from service.codecs.kpl import Aggregate
from tests.contract.fake_shards import FakeShards, md5_of

Answer = dict[str, Any]


class Caller:
    """Calls the proxy as a sink does, without an SDK."""

    def __init__(self, session: aiohttp.ClientSession, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self._session = session

    async def call(self, target: str, params: Answer, timeout: float = 10) -> tuple[int, bytes]:
        """Status and body of the answer. Raises aiohttp.ClientError, or TimeoutError."""
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        data = orjson.dumps(params)
        async with asyncio.timeout(timeout), self._session.post(self.proxy.url, data=data, headers=headers) as answer:
            return answer.status, await answer.read()

    async def put(self, *events: int, timeout: float = 10) -> Answer:
        """PutRecords of these events to `orders`."""
        records = [record(f"key-{event}", b'{"id":"e%d"}' % event) for event in events]
        _, body = await self.call("K.PutRecords", {"StreamName": "orders", "Records": records}, timeout)
        found: Answer = orjson.loads(body)
        return found


def record(key: str, data: bytes) -> Answer:
    return {"PartitionKey": key, "Data": base64.b64encode(data).decode()}


def failed(answer: Answer) -> list[int]:
    return [index for index, result in enumerate(answer["Records"]) if "ErrorCode" in result]


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with FaultProxy(seed=7) as proxy, aiohttp.ClientSession() as session:
        yield Caller(session, proxy)


async def test_records_fail_by_position_and_what_is_taken_is_written_down(caller: Caller) -> None:
    orders = caller.proxy.target("orders")
    orders.follow(Behaviour(failing=(1, 3), record_code="InternalFailure"))
    answer = await caller.put(0, 1, 2, 3, 4)
    assert failed(answer) == [1, 3]
    assert answer["FailedRecordCount"] == 2
    orders.follow(Behaviour())
    assert failed(await caller.put(1, 2)) == []
    assert [orders.ledger.times_taken(event) for event in range(6)] == [1, 1, 2, 0, 1, 0]
    assert [orders.ledger.times_sent(event) for event in range(6)] == [1, 2, 2, 1, 1, 0]
    counts = orders.counts()
    assert (counts.calls, counts.records_taken, counts.records_refused) == (2, 5, 2)
    assert (counts.events_taken, counts.events_twice, counts.sent_again) == (4, 1, 1)


async def test_an_event_that_is_refused_is_never_taken(caller: Caller) -> None:
    orders = caller.proxy.target("orders")
    orders.follow(Behaviour(refused=(2,)))
    assert failed(await caller.put(1, 2, 3)) == [1]
    assert failed(await caller.put(2, 3)) == [0]
    assert [orders.ledger.times_taken(event) for event in (1, 2, 3)] == [1, 0, 2]


async def test_each_call_that_took_something_is_kept_with_its_moments(caller: Caller) -> None:
    orders = caller.proxy.target("orders")
    orders.follow(Behaviour(failing=(1,), script=(Fault.NONE, Fault.THROTTLED, Fault.LATE), late=30))
    began = time.monotonic()
    await caller.put(5, 4, 3)
    await caller.put(6)
    with pytest.raises(TimeoutError):
        await caller.put(7, timeout=2)
    async with aiohttp.ClientSession() as session, session.get(f"{caller.proxy.url}/_takes/orders") as answer:
        [first, second] = await answer.json()
    assert [first[0], second[0]] == [[5, 3], [7]]
    assert began < first[1] <= first[2] < second[1]
    assert second[2] == 0, "not answered yet"


async def test_the_books_can_be_read_and_the_behaviour_be_set_over_http(caller: Caller) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{caller.proxy.url}/_behaviour/orders", data=b'{"failing":[0]}') as answer:
            assert answer.status == 204
        await caller.put(0, 1)
        async with session.get(f"{caller.proxy.url}/_ledger/orders/taken") as answer:
            assert (await answer.read())[:3] == b"\x00\x01\x00"
        async with session.get(f"{caller.proxy.url}/_counts/orders") as answer:
            assert (await answer.json())["records_refused"] == 1


async def test_faults_of_a_call_come_in_the_order_of_the_script(caller: Caller) -> None:
    orders = caller.proxy.target("orders")
    faults = (Fault.THROTTLED, Fault.FAILED, Fault.UNAVAILABLE, Fault.RESET, Fault.GARBAGE, Fault.HALF)
    orders.follow(Behaviour(script=(*faults, Fault.RESET_ANSWER, Fault.MISCOUNTED, Fault.LATE), late=30))
    params = {"StreamName": "orders", "Records": [record("k", b'{"id":"e1"}'), record("k", b'{"id":"e2"}')]}
    for status in (400, 500, 503):
        assert (await caller.call("K.PutRecords", params))[0] == status
    with pytest.raises(aiohttp.ClientError):
        await caller.call("K.PutRecords", params)
    assert orders.counts().records_taken == 0, "these take nothing"
    assert (await caller.call("K.PutRecords", params))[1].startswith(b"<html>")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads((await caller.call("K.PutRecords", params))[1])
    with pytest.raises(aiohttp.ClientError):
        await caller.call("K.PutRecords", params)
    assert len(orjson.loads((await caller.call("K.PutRecords", params))[1])["Records"]) == 1
    with pytest.raises(TimeoutError):
        await caller.put(1, 2, timeout=2)
    assert orders.ledger.times_taken(1) == 5, "these take all"
    assert failed(await caller.put(3)) == [], "the script is over"


def test_chance_is_the_same_for_the_same_seed() -> None:
    behaviour = Behaviour(record_failures=0.3, shares={Fault.RESET: 0.2, Fault.LATE: 0.3})

    def decisions(seed: str) -> list[tuple[Fault, frozenset[int]]]:
        script = Script(seed)
        script.follow(behaviour)
        return [(script.fault(), script.failing(20)) for _ in range(200)]

    found = decisions("1/orders")
    assert found == decisions("1/orders")
    assert found != decisions("2/orders")
    assert 20 < sum(fault is Fault.RESET for fault, _ in found) < 60
    assert 40 < sum(fault is Fault.LATE for fault, _ in found) < 80
    assert 1000 < sum(len(failing) for _, failing in found) < 1400


def test_a_shard_takes_its_records_and_bytes_a_second_and_no_more() -> None:
    shards = Shards(Behaviour(shards=2, records_per_second=10, bytes_per_second=1000), now=0.0)
    assert [shards.take(0, 1, 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [shards.take(1, 400, 0.0) for _ in range(3)] == [True, True, False], "another shard, by bytes"
    assert [shards.take(0, 1, 0.2) for _ in range(3)] == [True, True, False], "a fifth of a second later"
    assert (shards.taken, shards.throttled) == ([12, 2], [3, 1])


def test_shards_are_those_of_the_hash_of_the_key() -> None:
    shards, fake = Shards(Behaviour(shards=4), now=0.0), FakeShards()
    fake.split(into=4)
    ranges = [
        (each["HashKeyRange"]["StartingHashKey"], each["HashKeyRange"]["EndingHashKey"]) for each in shards.told()
    ]
    assert ranges == [(str(shard.first), str(shard.last)) for shard in fake.open]
    for key in ("a", "customer-7", "ä" * 100):
        [shard] = [index for index, each in enumerate(fake.open) if each.first <= md5_of(key) <= each.last]
        assert shards.place(key, None) == shard
    assert shards.place("a", str(2**128 - 1)) == 3


def test_events_are_found_in_whatever_holds_them() -> None:
    one, two = b'{"id":"e1","key":"k"}', b'{"key":"k","id": "e22"}'
    aggregate = Aggregate("0")
    assert aggregate.add("k", one, 10_000)
    assert aggregate.add("k", two, 10_000)
    assert ids_in(aggregate.encode()) == ids_in(one + b"\n" + two) == [1, 22]
    assert ids_in(b'{"id":"e1/orders","body":"{\\"id\\":\\"e2\\"}"}') == [], "the identity of a letter, and its quote"


async def test_a_queue_of_calls_forms_before_few_servers(caller: Caller) -> None:
    orders = caller.proxy.target("orders")
    orders.follow(Behaviour(servers=2, delay=0.5))
    began = time.monotonic()
    await asyncio.gather(*(caller.put(event) for event in range(6)))
    counts = orders.counts()
    assert counts.most_in_flight == 6
    assert 0.95 * 6 * 0.5 <= counts.occupied_seconds <= 2 * (time.monotonic() - began)


async def test_sqs_and_firehose_tell_failures_in_their_own_way(caller: Caller) -> None:
    for name in ("work", "lake"):
        caller.proxy.target(name).follow(Behaviour(failing=(1,)))
    entries = [{"Id": str(number), "MessageBody": f'{{"id":"e{number}"}}'} for number in range(3)]
    _, body = await caller.call("S.SendMessageBatch", {"QueueUrl": "http://x/0/work", "Entries": entries})
    answer = orjson.loads(body)
    assert [each["Id"] for each in answer["Successful"]] == ["0", "2"]
    assert [(each["Id"], each["SenderFault"], each["Code"]) for each in answer["Failed"]] == [
        ("1", False, "InternalError")
    ]
    records = [{"Data": base64.b64encode(b'{"id":"e%d"}' % number).decode()} for number in range(3)]
    _, body = await caller.call("F.PutRecordBatch", {"DeliveryStreamName": "lake", "Records": records})
    answer = orjson.loads(body)
    assert answer["FailedPutCount"] == 1
    assert ["ErrorCode" in each for each in answer["RequestResponses"]] == [False, True, False]


async def test_a_dead_target_breaks_connections_until_it_is_told_otherwise(caller: Caller) -> None:
    caller.proxy.target("orders").follow(Behaviour(dead=True))
    with pytest.raises(aiohttp.ClientError):
        await caller.put(1)
    with pytest.raises(aiohttp.ClientError):
        await caller.call("K.ListShards", {"StreamName": "orders"})
    caller.proxy.target("orders").follow(Behaviour())
    assert failed(await caller.put(1)) == []
