"""A producer of numbered events: each key goes to one partition, so that Kafka keeps the order of each."""

import json
import threading
from collections import Counter
from typing import Final, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

KEYS: Final = 10
"""Of each partition."""


class Load:
    """A thread that produces until it is told to stop. Events are `{"key": ..., "n": ...}`, numbered within the key."""

    def __init__(self, brokers: str, topic: str, partitions: int, per_second: int) -> None:
        self.partitions = partitions
        """May grow."""
        self.acknowledged: dict[tuple[str, int], tuple[int, int]] = {}
        """Partition and offset of each event."""
        self._topic = topic
        self._pause = 20 / per_second
        self._stopping = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "reconnect.backoff.max.ms": 500,
                "topic.metadata.refresh.interval.ms": 200,
                "log_level": 0,
                "error_cb": lambda error: None,
            }
        )
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def end(self) -> None:
        """Produce nothing more; returns once all is acknowledged."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        numbers = Counter[str]()
        turn = 0
        while not self._stopping.wait(self._pause):
            for _ in range(20):
                turn += 1
                partition = turn % self.partitions
                key = f"{partition}-{turn // self.partitions % KEYS}"
                body = json.dumps({"key": key, "n": numbers[key]}).encode()
                try:
                    self._producer.produce(self._topic, body, key, partition, on_delivery=self._acknowledge)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                        raise
                    continue  # it came a moment ago
                numbers[key] += 1
            self._producer.poll(0)
        self._producer.flush(60)

    def _acknowledge(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise RuntimeError(error.str())
        event = json.loads(message.value() or b"")
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self.acknowledged[event["key"], event["n"]] = partition, offset
