"""Independent clients of a Kafka topic: what is in it, what a group has committed; keys for a chosen partition."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from deploy.local.mock_cluster import MockCluster
from tests.contract.harness import Received


def received(bootstrap: str, topic: str) -> list[Received]:
    """All that the topic holds now, partition by partition. Blocks."""
    return [
        Received(message.value() or b"", text(message.key()), {name: text(v) or "" for name, v in headers(message)})
        for message in messages(bootstrap, topic)
    ]


def headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    """The headers of a message in their order."""
    return list(message.headers() or ())  # type: ignore[arg-type]  # the stub also allows the form given to `produce`


def text(value: str | bytes | None) -> str | None:
    """UTF-8 as text."""
    return value.decode() if isinstance(value, bytes) else value


def messages(bootstrap: str, topic: str) -> Iterator[Message]:
    """The messages of the topic up to its end as it is found. Blocks. Raises RuntimeError on any error."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "reader",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 10,
    }
    consumer = Consumer(settings)
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        left = set(partitions)
        while left:
            for message in consumer.consume(1000, 0.05):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                elif not error.retriable():
                    raise RuntimeError(error.str())
    finally:
        consumer.close()


def produce(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    """Write messages into partition 0, in this order. Blocks."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(10) == 0


def committed(bootstrap: str, topic: str, group: str) -> int:
    """The offset at which a group goes on in partition 0; 0 if it has committed none. Blocks."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        [found] = consumer.committed([TopicPartition(topic, 0)], 10)
    finally:
        consumer.close()
    return max(0, found.offset)


async def asked(cluster: MockCluster, api: int) -> None:
    """Return once a request of this API key has arrived since `track_requests`."""
    while api not in cluster.requests():
        await asyncio.sleep(0.005)


def key_for(number: int, partitions: int) -> str:
    """A key, different for each number, that Java's default partitioner puts into partition `number % partitions`."""
    for attempt in count():
        key = f"key-{number}-{attempt}"
        if (murmur2(key.encode()) & 0x7FFFFFFF) % partitions == number % partitions:
            return key
    raise AssertionError


def murmur2(data: bytes) -> int:
    """The unsigned 32-bit hash of `org.apache.kafka.common.utils.Utils.murmur2` (MurmurHash2, seed 0x9747b28c)."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
