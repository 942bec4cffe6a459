"""Dead letters in a Kafka topic, read to where it ended at the start. The consumer group `penstock-dlq` holds, for each
partition, the offset before which all is settled.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Self

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from service.dlq.reader import Stored, StoreError
from service.dlq.settled import Settled
from service.errors import SettingErrors
from service.kafka.connection import built, connection
from service.sinks.kafka import Kafka

GROUP = "penstock-dlq"
_ANSWER_SECONDS = 15.0
_POLL_SECONDS = 0.2
_MESSAGES = 500
_COMMIT_EVERY = 200
"""Removals; the list of settled ones knows of the others."""


class _Progress:
    """One partition: how far it was read, and which of that is not settled."""

    def __init__(self, start: int, end: int) -> None:
        self.next = start
        self.end = end
        self.committed = start
        self.open: dict[int, None] = {}
        """Offsets that were given out and are not settled, in order."""

    @property
    def settled_to(self) -> int:
        """The offset before which nothing is open."""
        return next(iter(self.open), self.next)


class KafkaReader:
    """Needs Read and Describe on the topic, and Read on the group `penstock-dlq`."""

    deletes = False

    def __init__(self, name: str, config: Kafka.Config, settled: Settled) -> None:
        self.place = f"topic {config.topic!r} at {config.brokers}"
        self.notes: list[str] = []
        self._config = config
        self._settled = settled
        self._partitions: dict[int, _Progress] = {}
        self._consumer: Any = None
        self._trouble: KafkaError | None = None
        self._removed = 0

    async def letters(self) -> AsyncGenerator[Stored, None]:
        """Every message from the group's offsets, or from the oldest one, to the end of each partition."""
        while any(progress.next < progress.end for progress in self._partitions.values()):
            for message in await self._call(self._consumer.consume, _MESSAGES, _POLL_SECONDS):
                error = message.error()
                if error is None:
                    stored = self._stored(message)
                    if stored is not None:
                        yield stored
                elif error.code() == KafkaError._PARTITION_EOF:
                    # transactions and compaction leave holes before the end
                    self._partitions[message.partition()].end = 0
                else:
                    raise StoreError(f"{self.place}: {error.str()}")
            if self._trouble is not None and self._trouble.code() == KafkaError._ALL_BROKERS_DOWN:
                raise StoreError(f"{self.place}: no broker answers: check the network and `brokers`")

    def _stored(self, message: Message) -> Stored | None:
        progress, offset = self._partitions[_number(message.partition())], _number(message.offset())
        if offset >= progress.end:
            progress.end = 0
            return None
        progress.next = offset + 1
        progress.open[offset] = None
        value = message.value()
        raw = value if isinstance(value, bytes) else b""
        # with its time, so that it is not taken for a message of a topic that was made anew under the same name
        return Stored(f"{message.partition()}:{offset}@{message.timestamp()[1]}", raw)

    async def remove(self, stored: Stored) -> None:
        """Commit the settled prefix, now and then."""
        partition, _, rest = stored.position.partition(":")
        self._partitions[int(partition)].open.pop(int(rest.partition("@")[0]), None)
        self._removed += 1
        if self._removed % _COMMIT_EVERY == 0:
            await self._commit()

    async def _commit(self) -> None:
        offsets = []
        for partition, progress in self._partitions.items():
            if progress.settled_to > progress.committed:
                progress.committed = progress.settled_to
                offsets.append(TopicPartition(self._config.topic, partition, progress.settled_to))
        if not offsets:
            return
        try:
            await asyncio.to_thread(self._consumer.commit, offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self.notes.append(
                f"the group {GROUP!r} was not moved ({error.args[0].str()}); {self._settled.path} knows what is settled"
            )

    async def _call(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """The result of a blocking call; cancelled, it waits for its end: a consumer in use cannot be closed."""
        call = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
        try:
            return await asyncio.shield(call)
        except KafkaException as error:
            cause = self._trouble or error.args[0]
            raise StoreError(
                f"{self.place}: {cause.str()}: check `brokers`, the network and the credentials"
            ) from error
        finally:
            await asyncio.wait([call])

    def _made(self) -> Consumer:
        return built(Consumer, {**settings(self._config), "error_cb": self._complain})

    def _start(self) -> None:
        consumer, topic = self._consumer, self._config.topic
        found = consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        asked = [TopicPartition(topic, partition) for partition in found.partitions]
        for held in consumer.committed(asked, timeout=_ANSWER_SECONDS):
            low, high = consumer.get_watermark_offsets(held, timeout=_ANSWER_SECONDS)
            start = low if held.offset in (OFFSET_INVALID, None) else max(low, held.offset)
            self._partitions[held.partition] = _Progress(start, high)
        consumer.assign([TopicPartition(topic, number, each.next) for number, each in self._partitions.items()])

    def _complain(self, error: KafkaError) -> None:
        self._trouble = error

    async def __aenter__(self) -> Self:
        try:
            self._consumer = await self._call(self._made)
        except SettingErrors as unreadable:
            raise StoreError(f"{self.place}: {unreadable}") from unreadable
        try:
            await self._call(self._start)
        except BaseException:
            await asyncio.to_thread(self._consumer.close)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._removed:
                await self._commit()
        finally:
            await asyncio.to_thread(self._consumer.close)


def settings(config: Kafka.Config) -> dict[str, Any]:
    """librdkafka's configuration for a consumer at the sink's brokers, with the sink's own properties."""
    return {
        # a producer's properties among them are only warned of
        "log_level": 3,
        **connection(config),
        "group.id": GROUP,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        # at a low rate a batch of messages takes long
        "max.poll.interval.ms": 86_400_000,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
    }


def _number(value: int | None) -> int:
    assert value is not None, "a message that was consumed has a place"
    return value
