"""The kafka source against real Apache Kafka: what librdkafka's mock cluster does not know."""

import asyncio
import random
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.contract.mock_kafka import messages
from tests.integration.consuming import (
    Consuming,
    all_committed,
    consuming,
    create,
    numbered,
    offsets,
    produce,
    producer,
    unique,
)

pytestmark = pytest.mark.real_kafka
PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])
MIB = 2**20


async def test_whatever_is_in_a_topic_is_among_the_dead_letters_with_its_place_and_the_partition_moves_on(
    real_kafka: str, tmp_path: Path
) -> None:
    topic, rng = unique("fuzzed"), random.Random(1)
    create(real_kafka, topic, max_message_bytes=str(10 * MIB))
    values: list[bytes | None] = [rng.randbytes(rng.randrange(1000)) for _ in range(200)]
    values += [b"", None, rng.randbytes(8 * MIB), b"[" * 100_000, b"\xff" * 1000, b'{"a":NaN}']
    produce(real_kafka, topic, values, key=rng.randbytes(30))
    odd = [("a" * 5000, b"x"), ("content-type", b"\xff\xfe"), ("content-type", None), ("ce_id", b"\x00"), ("", b"")]
    produce(real_kafka, topic, [b"rubbish"], headers=odd)
    produce(real_kafka, topic, numbered([7]))
    async with consuming(tmp_path, real_kafka, topic, {"type": "file"}, max_message="8MiB") as running:
        await running.delivered(1)
        await running.until(lambda: all_committed(real_kafka, topic))
        assert running.gauges.lag == 0
        places = sorted(int(letter["request_id"].removeprefix(f"{topic}/0/")) for letter in running.letters())
        assert places == list(range(len(values) + 1))


async def test_a_compacted_topic_is_committed_to_its_end_in_spite_of_its_holes(real_kafka: str, tmp_path: Path) -> None:
    topic = unique("compacted")
    create(
        real_kafka,
        topic,
        cleanup_policy="compact",
        segment_ms="100",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="100",
    )
    made = producer(real_kafka)

    def holes() -> int:
        # each round of these makes a new segment, so that the one before may be compacted
        for number in range(10):
            made.produce(topic, b'{"n":%d}' % number, key=str(number % 3))
        made.flush()
        found = [message.offset() or 0 for message in messages(real_kafka, topic)]
        return found[-1] + 1 - len(found)

    async with asyncio.timeout(30):
        while await asyncio.to_thread(holes) < 10:
            await asyncio.sleep(0.05)
    there = len(list(messages(real_kafka, topic)))
    async with consuming(tmp_path, real_kafka, topic) as running:
        await running.until(lambda: all_committed(real_kafka, topic))
        assert running.gauges.lag == 0
        assert 0 < len(running.lines()) <= there
        assert set(numbered([7, 8, 9])) <= set(running.lines()), "the last of each key"


@pytest.mark.parametrize(("isolation", "seen"), [("read_committed", 20), ("read_uncommitted", 30)])
async def test_a_transactional_topic_is_committed_beyond_its_markers_and_what_was_aborted_is_not_seen(
    real_kafka: str, tmp_path: Path, isolation: str, seen: int
) -> None:
    topic = unique("transactional")
    create(real_kafka, topic)
    made = producer(real_kafka, transactional_id=topic)
    made.init_transactions(30)
    for number, end in enumerate([made.commit_transaction, made.abort_transaction, made.commit_transaction]):
        made.begin_transaction()
        for value in numbered(range(10 * number, 10 * number + 10)):
            made.produce(topic, value)
        made.flush()
        end(30)
    async with consuming(tmp_path, real_kafka, topic, isolation=isolation) as running:
        await running.until(lambda: all_committed(real_kafka, topic))
        assert offsets(real_kafka, topic, topic) == [(33, 33)]
        assert running.gauges.lag == 0
        assert len(running.lines()) == seen


@PROTOCOLS
async def test_a_static_member_that_comes_back_in_time_takes_its_partitions_without_a_rebalance(
    real_kafka: str, tmp_path: Path, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = unique("static")
    create(real_kafka, topic, 4)

    def member(name: str) -> AbstractAsyncContextManager[Consuming]:
        settings: dict[str, Any] = {"instance_id": name, "protocol": protocol, "session_timeout": "6s"}
        return consuming(tmp_path / name, real_kafka, topic, **settings)

    async with member("a") as a:
        async with member("b") as b:
            await a.until(lambda: a.gauges.partitions == b.gauges.partitions == 2)
        caplog.clear()
        with caplog.at_level("INFO"):
            async with member("b") as b:
                await b.assigned(2)
                produce(real_kafka, topic, numbered(range(4)), partition=0)
                produce(real_kafka, topic, numbered(range(4)), partition=3)
                await a.until(lambda: len(a.lines()) + len(b.lines()) >= 8)
                told = [record for record in caplog.records if record.message.startswith("partitions ")]
                assert [record.source for record in told] == ["b"]  # type: ignore[attr-defined]


async def test_where_a_partition_begins_of_which_nothing_is_committed(real_kafka: str, tmp_path: Path) -> None:
    topic = unique("start")
    create(real_kafka, topic)
    now = time.time()
    produce(real_kafka, topic, numbered(range(3)), timestamp=int(now - 7200) * 1000)
    produce(real_kafka, topic, numbered(range(3, 5)), timestamp=int(now) * 1000)
    moment = datetime.fromtimestamp(now - 3600, UTC).isoformat()
    later = datetime.fromtimestamp(now + 3600, UTC).isoformat()
    found: dict[str, list[bytes]] = {}
    for name, start in (("earliest", "earliest"), ("latest", "latest"), ("time", moment), ("later", later)):
        group = f"{topic}-{name}"
        async with consuming(tmp_path / name, real_kafka, topic, start=start, group=group) as running:
            await running.until(lambda group=group: offsets(real_kafka, group, topic)[0][0] == 5)  # type: ignore[misc]
            found[name] = running.lines()
    assert found == {"earliest": numbered(range(5)), "latest": [], "time": numbered([3, 4]), "later": []}


@PROTOCOLS
async def test_a_pattern_is_of_how_names_begin_whoever_reads_it(real_kafka: str, tmp_path: Path, protocol: str) -> None:
    name = unique("pattern")
    for number, topic in enumerate((name, f"{name}-more", f"{name}-other")):
        create(real_kafka, topic)
        produce(real_kafka, topic, numbered([number]))
    patterns = [f"^{name}$", f"^{name}-m"]
    async with consuming(tmp_path / "member", real_kafka, patterns, protocol=protocol, group=name) as running:
        await running.delivered(2)
        assert running.gauges.partitions == 2
        assert set(running.lines()) == set(numbered([0, 1]))


@PROTOCOLS
async def test_a_topic_that_is_missing_is_trouble_until_it_is_made(
    real_kafka: str, tmp_path: Path, protocol: str
) -> None:
    topic = unique("missing")
    async with consuming(tmp_path, real_kafka, topic, protocol=protocol) as running:
        await running.until(lambda: f"there is no topic {topic!r}" in (running.gauges.trouble or ""))
        create(real_kafka, topic)
        produce(real_kafka, topic, numbered(range(3)))
        await running.delivered(3)
        await running.until(lambda: running.gauges.trouble is None)


async def test_a_sink_that_is_away_for_longer_than_a_poll_may_take_costs_no_membership(
    real_kafka: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def outage(protocol: str) -> None:
        topic = unique("patient")
        create(real_kafka, topic)
        times = {"session_timeout": "3s", "max_poll_interval": "3s", "revoke_timeout": "2s"}
        settings: dict[str, Any] = {**times, "window_messages": 80, "protocol": protocol}
        async with consuming(tmp_path / protocol, real_kafka, topic, **settings) as running:
            await running.assigned(1)
            running.close("out")
            produce(real_kafka, topic, numbered(range(300)))
            await running.until(lambda: running.gauges.paused == 1)
            over = time.monotonic() + 7
            await running.until(lambda: time.monotonic() > over)
            assert offsets(real_kafka, topic, topic)[0][0] <= 0
            told = {record.message for record in caplog.records if record.message.startswith("partitions ")}
            assert told <= {"partitions assigned"}
            running.open("out")
            await running.until(lambda: all_committed(real_kafka, topic))
            assert sorted(running.lines()) == sorted(numbered(range(300)))

    with caplog.at_level("INFO"):
        async with asyncio.TaskGroup() as both:
            both.create_task(outage("classic"))
            both.create_task(outage("consumer"))
