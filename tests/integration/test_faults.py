"""The service as a child process, before destinations that fail in part, break off, lie or answer too late."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from bench.scenarios.producers import HEADERS, ROUTE, Producers, line, missing
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour, Fault
from deploy.local.faultproxy.ledger import ids_in
from examples.quickstart.resources import Clients
from tests.conservation import assert_conserved, samples

THROTTLED = "ProvisionedThroughputExceededException"
SHORT = {"patience": "1500ms", "call_timeout": "700ms"}
LONGER = {"patience": "6s", "call_timeout": "3s"}
"""What is answered at once is not late on a slow machine either."""


def one_route_each(sinks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A route to each sink, by its name."""
    return {"sinks": dict(sinks), "routes": {name: {**ROUTE, "to": [name]} for name in sinks}}


def kinesis(stream: str, **more: Any) -> dict[str, Any]:
    return {"type": "kinesis", "stream": stream, **more}


async def once(running: World, route: str, numbers: list[int]) -> tuple[int, list[dict[str, Any]]]:
    """Send these events once. Returns the status and the result of each."""
    body = b"\n".join([line(number, str(number)) for number in numbers])
    headers = {"Content-Type": HEADERS["Content-Type"]}
    async with running.session.post(f"{running.url}/v1/{route}", data=body, headers=headers) as answer:
        results: list[dict[str, Any]] = orjson.loads(await answer.read())["results"]
        return answer.status, results


async def held(aws: Clients, stream: str) -> list[int]:
    """The events in every shard of a stream of the emulator."""
    found: list[int] = []
    for shard in (await aws.kinesis.list_shards(StreamName=stream))["Shards"]:
        iterator = (
            await aws.kinesis.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
        )["ShardIterator"]
        while (answer := await aws.kinesis.get_records(ShardIterator=iterator))["Records"]:
            found += [number for record in answer["Records"] for number in ids_in(record["Data"])]
            iterator = answer["NextShardIterator"]
    return found


async def test_only_failed_records_are_sent_again_and_no_answered_event_is_missing(
    tmp_path: Path, emulator: str
) -> None:
    stream = "faults-partial"
    behaviour = Behaviour(shards=4, records_per_second=200, record_failures=0.3)
    async with Clients(emulator) as aws:
        await aws.kinesis.create_stream(StreamName=stream, ShardCount=4)
        await aws.kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
        configuration = one_route_each({"orders": kinesis(stream)})
        async with world(configuration, {stream: behaviour}, tmp_path, emulator) as running:
            producers = Producers(running.session, running.url)
            async with asyncio.timeout(60):
                while True:
                    await producers.closed_loop("orders", 40, 25, asyncio.get_running_loop().time() + 2.5)
                    acknowledged, counts = producers.acknowledged["orders"], await running.counts(stream)
                    if sum(acknowledged) > 1000 and counts.records_refused > 300 and any(counts.shards_throttled):
                        break
            taken = await running.taken(stream)
            assert missing(acknowledged, taken) == 0
            assert counts.sent_again == counts.events_twice == 0
            assert_conserved(samples(await running.metrics()))
        there = await held(aws, stream)
    assert len(there) == len(set(there)) == counts.events_taken, "the proxy's books are the emulator's"
    assert {number for number, promised in enumerate(acknowledged) if promised} <= set(there)


async def test_queues_and_delivery_streams_get_again_only_what_failed(tmp_path: Path) -> None:
    sinks = {
        "work": {"type": "sqs", "queue": "work"},
        "lake": {"type": "firehose", "delivery_stream": "lake", "pack": "none"},
    }
    # one position of each full call, and others by chance
    behaviour = Behaviour(record_failures=0.2, failing=(8,), delay=0.01)
    async with world(one_route_each(sinks), dict.fromkeys(sinks, behaviour), tmp_path) as running:
        producers = Producers(running.session, running.url)
        async with asyncio.timeout(60):
            while any([(await running.counts(sink)).records_refused <= 20 for sink in sinks]):
                until = asyncio.get_running_loop().time() + 1.5
                async with asyncio.TaskGroup() as group:
                    for route in sinks:
                        group.create_task(producers.closed_loop(route, 10, 20, until))
        for sink in sinks:
            counts, taken = await running.counts(sink), await running.taken(sink)
            assert missing(producers.acknowledged[sink], taken) == 0, sink
            assert counts.sent_again == counts.events_twice == 0, sink
        assert_conserved(samples(await running.metrics()))


TAKEN_ALL_THE_SAME = (Fault.RESET_ANSWER, Fault.LATE, Fault.GARBAGE, Fault.HALF, Fault.MISCOUNTED)
SAID_CLEARLY = (Fault.THROTTLED, Fault.UNAVAILABLE)


async def test_an_answer_that_says_nothing_is_told_as_perhaps_delivered(tmp_path: Path) -> None:
    faults = (*TAKEN_ALL_THE_SAME, *SAID_CLEARLY)
    sinks = {fault.value: kinesis(fault.value, **(SHORT if fault is Fault.LATE else LONGER)) for fault in faults}
    behaviours = {fault.value: Behaviour(shares={fault: 1.0}, late=2.0) for fault in faults}
    async with world(one_route_each(sinks), behaviours, tmp_path) as running:
        answers = await asyncio.gather(*(once(running, fault.value, [1, 2, 3]) for fault in faults))
        for fault, (status, results) in zip(faults, answers, strict=True):
            assert status == 503, fault
            assert all(result["retryable"] for result in results), fault
            unclear = fault in TAKEN_ALL_THE_SAME
            assert [result.get("may_duplicate", False) for result in results] == [unclear] * 3, fault
            assert ((await running.counts(fault.value)).events_taken == 3) is unclear, fault
        for fault in faults:
            await running.behave(fault.value, Behaviour())
        async with asyncio.timeout(30):
            for fault in faults:
                while (await once(running, fault.value, [4]))[0] != 200:
                    await asyncio.sleep(0.05)
        assert_conserved(samples(await running.metrics()))


async def test_under_faults_of_every_kind_nothing_answered_is_missing(tmp_path: Path) -> None:
    kinds = [fault for fault in Fault if fault is not Fault.NONE]
    behaviour = Behaviour(delay=0.01, shards=4, record_failures=0.1, shares=dict.fromkeys(kinds, 0.03), late=1.5)
    sinks = {
        "orders": kinesis("orders", call_timeout="1s", patience="10s"),
        "packed": kinesis("packed", call_timeout="1s", patience="10s", aggregate="kpl", linger="20ms"),
    }
    async with world(one_route_each(sinks), dict.fromkeys(sinks, behaviour), tmp_path) as running:
        producers = Producers(running.session, running.url)
        until = asyncio.get_running_loop().time() + 3
        async with asyncio.TaskGroup() as group:
            for route in sinks:
                group.create_task(producers.closed_loop(route, 20, 10, until))
        for sink in sinks:
            acknowledged = producers.acknowledged[sink]
            assert sum(acknowledged) > 100, sink  # how many depends on the machine
            assert missing(acknowledged, await running.taken(sink)) == 0, sink
            counts = await running.counts(sink)
            assert counts.sent_again > 0, "an unclear answer is followed by another attempt"
        assert_conserved(samples(await running.metrics()))
