"""A topic of librdkafka's mock cluster, read all along into a ledger: the cluster forgets what is some megabytes old.

Its brokers answer at once. They give a reader one message set of a partition at a time: one that waited 20 ms for each
answer fell seconds behind.
"""

import asyncio
import threading
from typing import Final, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from deploy.local.faultproxy.ledger import Ledger, ids_in
from deploy.local.mock_cluster import MockCluster

PARTITIONS: Final = 4


class Topic:
    """The topic `name` and its brokers, inside `with`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cluster = MockCluster([name], PARTITIONS)
        self._ledger = Ledger()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"reader of topic {name}")

    def __enter__(self) -> Self:
        self._cluster.__enter__()
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._reader.join()
        self._cluster.__exit__()

    @property
    def brokers(self) -> str:
        """Bootstrap servers."""
        return self._cluster.bootstrap

    async def events(self) -> int:
        """Events that it has, as far as they are read."""
        return len(self._ledger.taken) - self._ledger.taken.count(0)

    async def taken(self) -> bytes:
        """How often it has each event, by event number; up to the last one."""
        return bytes(self._ledger.taken)

    async def die(self) -> None:
        """The brokers drop every connection and take none."""
        await asyncio.to_thread(self._cluster.down)

    async def revive(self) -> None:
        """They serve again, and have what they had."""
        await asyncio.to_thread(self._cluster.up)

    def _read(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self.brokers,
                "group.id": "ledger",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(self.name, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        while not self._ended.is_set():
            for message in consumer.consume(1000, 0.05):
                if message.error() is None:
                    self._ledger.note(ids_in(message.value() or b""), taken=True)
        consumer.close()
