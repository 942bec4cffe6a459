"""The kafka sink against a broker that is another program: real Apache Kafka where Java and Maven are, else
librdkafka's mock cluster, whose brokers can drop everybody but keep what they were given.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.apache_kafka import ApacheKafka
from deploy.local.child import Child, ChildError
from deploy.local.mock_cluster import MockCluster
from service.outcome import Delivered, Rejected, Retry
from service.sinks.contract import Batch
from service.sinks.kafka import Kafka
from service.sinks.kafka_headers import headers
from tests.contract.harness import event, sized
from tests.contract.mock_kafka import headers as headers_of
from tests.contract.mock_kafka import messages, murmur2
from tests.integration.real_kafka import REAL

TOPIC = "events"
PARTITIONS = 4


@dataclass
class Broker:
    """A broker that can be made to fail suddenly."""

    bootstrap: str
    crash: Callable[[], None]
    revive: Callable[[], None]


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """A broker of the test's own. Real Kafka is killed with SIGKILL and started again on its data."""
    if REAL:
        kafka = await asyncio.to_thread(ApacheKafka([TOPIC], PARTITIONS).__enter__)
        yield Broker(kafka.bootstrap, kafka.kill, kafka.start)
        await asyncio.to_thread(kafka.__exit__)
    else:
        with MockCluster([TOPIC], PARTITIONS) as mock:
            yield Broker(mock.bootstrap, mock.down, mock.up)


@pytest.fixture
def bootstrap(request: pytest.FixtureRequest) -> str:
    """The session's broker, a process of its own."""
    found: str = request.getfixturevalue("real_kafka" if REAL else "mock_cluster")
    return found


def sink(bootstrap: str, compression: str = "none", call_timeout: float = 8.0, topic: str = TOPIC) -> Kafka:
    settings = {"type": "kafka", "brokers": bootstrap, "topic": topic}
    return Kafka(
        "kafka", Kafka.Config.model_validate({**settings, "compression": compression, "call_timeout": call_timeout})
    )


@pytest.mark.real_kafka
@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_another_client_reads_back_what_kafka_was_given(bootstrap: str, compression: str) -> None:
    sent = {f"{compression}-{n}": event(n, key=f"{compression}-{n}") for n in range(100)}
    async with sink(bootstrap, compression) as kafka:
        await kafka.probe()
        outcomes = await kafka.write(Batch(list(sent.values())))
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    found = 0
    for message in await _read(bootstrap):
        key = message.key()
        assert isinstance(key, bytes)
        if key.decode() in sent:
            found += 1
            original = sent[key.decode()]
            assert message.value() == original.body
            assert [(name, _text(value)) for name, value in headers_of(message)] == headers(original)
            assert message.partition() == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS, "not where Java would put it"
    assert found == len(sent)


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.real_kafka
async def test_all_that_kafka_acknowledged_is_there_after_a_crash_and_delivery_resumes(broker: Broker) -> None:
    delivered: set[int] = set()
    in_doubt: set[int] = set()
    numbers = iter(range(10**6))
    stop = asyncio.Event()
    failing = asyncio.Event()

    async def keep_writing(kafka: Kafka) -> None:
        left: list[int] = []
        while not stop.is_set():
            left += [next(numbers) for _ in range(20 - len(left))]
            outcomes = await kafka.write(Batch([event(n) for n in left]))
            failed = [n for n, outcome in zip(left, outcomes, strict=True) if isinstance(outcome, Retry)]
            delivered.update(set(left) - set(failed))
            in_doubt.update(failed)
            left = failed
            if failed:
                failing.set()
            # the mock cluster keeps little: write steadily, not at full speed
            await asyncio.sleep(0.01)

    async def at_least(count: int) -> None:
        while len(delivered) < count:
            await asyncio.sleep(0.01)

    async with sink(broker.bootstrap, call_timeout=2.0) as kafka, asyncio.timeout(60):
        writers = [asyncio.ensure_future(keep_writing(kafka)) for _ in range(3)]
        await at_least(300)
        await asyncio.to_thread(broker.crash)
        await failing.wait()
        before = len(delivered)
        await asyncio.to_thread(broker.revive)
        await at_least(before + 300)
        stop.set()
        await asyncio.gather(*writers)
    found = Counter(json.loads(message.value() or b"")["number"] for message in await _read(broker.bootstrap))
    assert set(found) >= delivered
    assert {n for n, times in found.items() if times > 1} <= in_doubt, "twice, though never told Retry"


async def _read(bootstrap: str) -> list[Message]:
    return await asyncio.to_thread(lambda: list(messages(bootstrap, TOPIC)))


@pytest.mark.real_kafka
async def test_a_real_broker_condemns_only_the_events_it_means(real_kafka: str) -> None:
    """What the mock cluster cannot show: a broker judges whole message sets, and names the records it refuses."""
    admin = AdminClient({"bootstrap.servers": real_kafka})
    new = [
        NewTopic("small", num_partitions=1, replication_factor=1, config={"max.message.bytes": "300000"}),
        NewTopic("compacted", num_partitions=1, replication_factor=1, config={"cleanup.policy": "compact"}),
    ]
    for created in admin.create_topics(new).values():
        await asyncio.to_thread(created.result, 30)
    async with sink(real_kafka, topic="small") as kafka:
        events = [sized(event(n), 400_000 if n == 30 else 10_000) for n in range(60)]
        small = await kafka.write(Batch(events))
    async with sink(real_kafka, topic="compacted") as kafka:
        events = [event(n, key=None if n == 3 else f"key-{n}") for n in range(8)]
        compacted = await kafka.write(Batch(events))
    assert [n for n, outcome in enumerate(small) if isinstance(outcome, Rejected)] == [30]
    assert sum(isinstance(outcome, Delivered) for outcome in small) == 59
    assert [n for n, outcome in enumerate(compacted) if isinstance(outcome, Rejected)] == [3]
    assert sum(isinstance(outcome, Delivered) for outcome in compacted) == 7


def test_the_local_kafka_program_ends_when_its_starter_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.mock_cluster", "--topics", "a,b", "--partitions", "2"]
    with Child("mock_cluster", command, tmp_path / "log", announces=True) as child:
        assert child.announcement()["bootstrap"].count("127.0.0.1:") == 3
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(10) == 0


def test_without_java_apache_kafka_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChildError, match=r"Apache Kafka needs java and mvn on the PATH .*mock_cluster"):
        ApacheKafka().__enter__()
