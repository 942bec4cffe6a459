"""Dead letters in a Kafka topic: the group's offset never passes a letter that is not settled."""

import asyncio
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local.mock_cluster import MockCluster
from service.dlq.kafka import KafkaReader, settings
from service.dlq.reader import Stored, StoreError
from service.dlq.settled import Settled
from service.sinks.kafka import Kafka

TOPIC = "dead"


def config(brokers: str, topic: str = TOPIC) -> Kafka.Config:
    return Kafka.Config(type="kafka", brokers=brokers, topic=topic)


def produce(brokers: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": brokers})
    for number in range(count):
        producer.produce(TOPIC, str(number).encode())
    assert producer.flush(10) == 0


def committed(brokers: str) -> int:
    consumer = Consumer(settings(config(brokers)))
    (found,) = consumer.committed([TopicPartition(TOPIC, 0)], timeout=10)
    consumer.close()
    return int(found.offset)


async def run(brokers: str, folder: Path, remove: set[bytes]) -> list[bytes]:
    """What one run reads, having settled some of it in another order than it was read in."""
    with Settled(folder / "dead.settled", writing=True) as settled:
        async with KafkaReader("dead", config(brokers), settled) as reader:
            found: list[Stored] = [stored async for stored in reader.letters()]
            for stored in reversed(found):
                if stored.raw in remove:
                    settled.add(stored.position)
                    await reader.remove(stored)
    return [stored.raw for stored in found]


async def test_the_group_holds_the_end_of_the_settled_prefix(tmp_path: Path) -> None:
    with MockCluster([TOPIC], 1, 1) as cluster:
        brokers = cluster.bootstrap
        await asyncio.to_thread(produce, brokers, 6)
        assert await run(brokers, tmp_path, {b"0", b"1", b"4"}) == [b"0", b"1", b"2", b"3", b"4", b"5"]
        assert await asyncio.to_thread(committed, brokers) == 2
        assert await run(brokers, tmp_path, set()) == [b"2", b"3", b"4", b"5"], "from the group's offset on"
        with Settled(tmp_path / "dead.settled", writing=False) as settled:
            assert len(settled) == 3, "what lies behind the prefix is on the list"
        await run(brokers, tmp_path, {b"2", b"3", b"4", b"5"})
        assert await asyncio.to_thread(committed, brokers) == 6
        assert await run(brokers, tmp_path, set()) == []


async def test_a_topic_that_is_not_there_is_told(tmp_path: Path) -> None:
    with MockCluster([TOPIC], 1, 1) as cluster, Settled(tmp_path / "a.settled", writing=False) as settled:
        reader = KafkaReader("dead", config(cluster.bootstrap, "none"), settled)
        with pytest.raises(StoreError, match=r"topic 'none' at .*Unknown topic"):
            await reader.__aenter__()
