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
READ_SECONDS: Final = 30.0


class Topic:
    """The topic `name` and its brokers, inside `with`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cluster = MockCluster([name], PARTITIONS)
        self._ledger = Ledger()
        self._read_up_to = dict.fromkeys(range(PARTITIONS), 0)
        """By partition, the offset after the last message in the ledger."""
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
        """How often it has each event, by event number; up to the last one. All that the brokers have now is read.

        Raises TimeoutError if that takes longer than READ_SECONDS.
        """
        ends = await asyncio.to_thread(self._ends)
        async with asyncio.timeout(READ_SECONDS):
            while any(self._read_up_to[number] < end for number, end in ends.items()):
                await asyncio.sleep(0.01)
        return bytes(self._ledger.taken)

    async def die(self) -> None:
        """The brokers drop every connection and take none."""
        await asyncio.to_thread(self._cluster.down)

    async def revive(self) -> None:
        """They serve again, and have what they had."""
        await asyncio.to_thread(self._cluster.up)

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.brokers,
                "group.id": "ledger",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            }
        )

    def _ends(self) -> dict[int, int]:
        """By partition, the offset after the last message that the brokers have."""
        consumer = self._consumer()
        try:
            places = [TopicPartition(self.name, number) for number in range(PARTITIONS)]
            return {each.partition: consumer.get_watermark_offsets(each, READ_SECONDS)[1] for each in places}
        finally:
            consumer.close()

    def _read(self) -> None:
        consumer = self._consumer()
        consumer.assign([TopicPartition(self.name, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        while not self._ended.is_set():
            for message in consumer.consume(1000, 0.05):
                number, offset = message.partition(), message.offset()
                if message.error() is None and number is not None and offset is not None:
                    self._ledger.note(ids_in(message.value() or b""), taken=True)
                    self._read_up_to[number] = offset + 1
        consumer.close()
