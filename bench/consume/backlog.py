"""The backlog: a topic of a real broker that is full before anything is measured, and that each run reads whole."""

import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition
from msgspec import Struct

from bench import bodies
from bench.consume.ways import TOPIC

PARTITIONS: Final = 4
KINDS: Final = 1000
"""Messages that differ, in id and key: they take turns."""
HEADERS: Final = {"content-type": b"application/cloudevents+json; charset=UTF-8"}
"""Of each: structured CloudEvents (CloudEvents 1.0, Kafka protocol binding)."""
COMMIT_SECONDS: Final = 10.0


class Backlog(Struct, frozen=True):
    """Messages that wait, for whichever group comes."""

    brokers: str
    messages: int

    def uncommitted(self, group: str) -> int:
        """Messages past what the group has committed: none, if it has ended well; after COMMIT_SECONDS at most."""
        settings = {"bootstrap.servers": self.brokers, "group.id": group, "enable.auto.commit": False}
        deadline = time.monotonic() + COMMIT_SECONDS
        consumer = Consumer(settings)
        try:
            while (left := self._left(consumer)) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            consumer.close()
        return left

    def _left(self, consumer: Consumer) -> int:
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        committed = consumer.committed(partitions, timeout=10)
        ends = [consumer.get_watermark_offsets(each, timeout=10)[1] for each in partitions]
        return sum(end - max(0, each.offset) for end, each in zip(ends, committed, strict=True))


def filled(brokers: str, messages: int) -> Backlog:
    """So many messages, in the topic. Raises RuntimeError if one was not acknowledged."""
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 50, "batch.size": 2**20})
    events = [(bodies.event(number), f"order-{number:03d}") for number in range(KINDS)]
    failures: list[Any] = []

    def delivered(error: Any, _: object) -> None:
        if error is not None:
            failures.append(error)

    headers: Mapping[str, Any] = HEADERS
    for number in range(messages):
        body, key = events[number % KINDS]
        while True:
            try:
                producer.produce(TOPIC, body, key, headers=list(headers.items()), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        if number % KINDS == 0:
            producer.poll(0)
    if producer.flush(60) or failures:
        raise RuntimeError(f"the backlog could not be produced: {failures[:1]}")
    return Backlog(brokers, messages)
