"""The kafka sink: one idempotent librdkafka producer for one topic. Delivered means that the brokers acknowledged
with acks=all; CloudEvents attributes travel as headers (CloudEvents 1.0, Kafka protocol binding).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from confluent_kafka import KafkaError, KafkaException
from pydantic import Field, field_validator, model_validator

from service.aws.permission import OfCluster, Permission
from service.errors import ConfigError, SettingErrors
from service.event import Event
from service.finding import Finding
from service.kafka.errors import advice, reason_of
from service.kafka.properties import checked_topic
from service.kafka.settings import KafkaConfig
from service.kafka.trial import refusals
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.sinks.kafka_errors import ACCESS, UNCLEAR, refused, retry_for
from service.sinks.kafka_headers import headers
from service.sinks.kafka_producer import Client
from service.sinks.kafka_properties import (
    HEADROOM_BYTES,
    OWNED,
    OWNED_FAMILIES,
    WHY_OWNED,
    delivery_seconds,
    settings,
)
from service.threads import off_loop
from service.units import ByteSize, Duration

log = logging.getLogger(__name__)

_QUEUE_FULL = Retry(Reason.UNAVAILABLE, detail="librdkafka's queue is full: the brokers do not keep up")
_REBUILDING = Retry(Reason.UNAVAILABLE, detail="the Kafka producer failed for good and is being built anew")


class Kafka:
    """Produces to one topic. The key is the event's, or null; librdkafka does what retrying it can in one call."""

    class Config(KafkaConfig, SinkConfig):
        """Settings of a kafka sink."""

        concurrency: int = Field(
            default=16, ge=1, le=1024, description="Most writes in flight; what bounds them is `memory`, in bytes."
        )
        concurrency_floor: int = Field(
            default=16, ge=1, le=1024, description="As for every sink; here the number does not change by itself."
        )
        topic: str = Field(description="Name of the topic; it must exist.")
        linger: Duration = Field(
            default=0.0,
            ge=0,
            le=60,
            description="How long an event may wait for its batch to fill, and then 5ms at most in librdkafka; 0 "
            "sends at once. Where nobody waits for an answer, `5ms` saves CPU.",
        )
        compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
            default="none", description="Codec of the batches on the wire and on the brokers' disks."
        )
        max_message: ByteSize = Field(
            default=1_000_000,
            ge=1024,
            le=100 * 2**20,
            description="Largest event (body and key). The topic's max.message.bytes must be 48,000 B larger.",
        )
        owned: ClassVar[frozenset[str]] = OWNED
        owned_families: ClassVar[tuple[str, ...]] = OWNED_FAMILIES
        why_owned: ClassVar[str] = WHY_OWNED

        @field_validator("topic")
        @classmethod
        def _check_topic(cls, value: str) -> str:
            return checked_topic(value)

        def permissions(self) -> Sequence[Permission]:
            """See `SinkConfig`: of an idempotent producer (MSK developer guide, "Common use cases")."""
            if self.auth is None or self.auth.iam is None:
                return ()
            permission, topic = self.auth.iam.permission, OfCluster("topic", self.topic)
            return (
                permission(OfCluster("cluster"), "kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"),
                permission(topic, "kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"),
                permission(topic, "kafka-cluster:DescribeTopicDynamicConfiguration", doctor=True),
            )

        @model_validator(mode="after")
        def _librdkafka_takes_them(self) -> Self:
            if (refused := refusals(self, lambda: settings(self))) is not None:
                raise refused
            return self

    carries_attributes: ClassVar[bool] = True

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._config = config
        self._client: Client | None = None
        self._without = _REBUILDING
        self._rebuilding: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[Client] | None = None
        self.limits = Limits(
            # `produce` costs about 4 us per event on the loop, so a write holds it for some 4 ms
            batch_events=1000,
            batch_bytes=max(4 * 2**20, config.max_message),
            event_bytes=config.max_message,
            # librdkafka copies what it queues, and keeps a message, its headers and our callback beside it
            # (measured: tests/flow/test_memory.py)
            request_factor=1.0,
            request_overhead_bytes=900,
        )

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Produce the batch and return once each event is acknowledged or given up."""
        client = self._client
        if client is None or client.broken:
            self._rebuild(client)
            return [self._without] * len(batch)
        outcomes = await self._produce(client, batch.events)
        unclear = [position for position, outcome in enumerate(outcomes) if outcome is UNCLEAR]
        if unclear:
            # None of these was written. Tried again as they are, one bad record would hold them all for ever.
            judge = await self._judge()
            verdicts = await self._produce(judge, [batch.events[position] for position in unclear], alone=True)
            for position, verdict in zip(unclear, verdicts, strict=True):
                outcomes[position] = verdict
        return outcomes

    async def _produce(self, client: Client, events: Sequence[Event], alone: bool = False) -> list[Outcome]:
        """One outcome per event. `alone`: the client puts each event into a message set of its own."""
        outcomes: list[Outcome] = [DELIVERED] * len(events)
        locked_out = client.locked_out
        write = client.begin()
        produce, topic, report = client.producer.produce, self._config.topic, write.report
        taken = 0
        for position, event in enumerate(events):
            key = event.key
            try:
                # topic, value, key, partition, on_delivery, timestamp, headers: by position, which costs less; a binary
                # event without data is a message without value, a tombstone (binding 3.2.2)
                produce(
                    topic,
                    event.body or None,
                    None if key is None else key.encode(),
                    -1,
                    partial(report, position),
                    headers=headers(event),
                )
                taken += 1
            except BufferError:
                # what follows waits too, or it would overtake
                outcomes[position:] = [_QUEUE_FULL] * (len(events) - position)
                break
            except KafkaException as refusal:
                outcomes[position] = self._not_taken(refusal.args[0])
            except UnicodeEncodeError:
                outcomes[position] = Rejected(Reason.REFUSED_CONTENT, "its key or an attribute is not valid Unicode")
        await write.settled(taken)
        for position, error in write.failed:
            outcomes[position] = self._explained(refused(error, alone), client, locked_out)
        if taken > len(write.failed):
            client.delivered()
        return outcomes

    async def _judge(self) -> Client:
        """The client that sends message by message; built when it is first needed, which is hardly ever."""
        old = self._judging
        if old is None or (old.done() and (old.exception() is not None or old.result().broken)):
            self._judging = asyncio.get_running_loop().create_task(self._appoint(old))
        assert self._judging is not None
        return await asyncio.shield(self._judging)  # a write that is given up leaves it to the next

    async def _appoint(self, old: "asyncio.Task[Client] | None") -> Client:
        if old is not None and old.exception() is None:
            await old.result().close()
        return await self._build({"batch.num.messages": 1})

    def _not_taken(self, error: KafkaError) -> Outcome:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            room = self._config.max_message + HEADROOM_BYTES
            return Rejected(Reason.TOO_LARGE, f"with its headers it is larger than {room} B")
        return retry_for(error)

    def _explained(self, outcome: Outcome, client: Client, locked_out: bool) -> Outcome:
        """A time-out says little; what librdkafka complained of meanwhile says why.

        It may have been written, but not if brokers refused the client before and after: `locked_out` when it began.
        """
        trouble = client.trouble
        if trouble is None or not isinstance(outcome, Retry) or outcome.reason is not Reason.TIMEOUT:
            return outcome
        if locked_out and reason_of(trouble) is Reason.CREDENTIALS:
            return retry_for(trouble)
        return Retry(Reason.TIMEOUT, detail=f"not acknowledged in time; last trouble: {trouble.str()}")

    async def probe(self) -> None:
        """Ask for the topic's metadata. Raises ProbeError saying what is missing, unreachable or refused."""
        client = self._client
        if client is None or client.broken:
            raise ProbeError(f"{self._place()}: {self._without.detail}; try again in a moment")
        ask = partial(client.producer.list_topics, self._config.topic, timeout=delivery_seconds(self._config))
        try:
            metadata = await off_loop(ask)
        except KafkaException as refusal:
            # a time-out or a transport error; librdkafka's own complaint is nearer to the cause
            cause = client.trouble or refusal.args[0]
            reason = reason_of(cause)
            hint = advice(Reason.CREDENTIALS if reason is Reason.CREDENTIALS else Reason.UNREACHABLE, ACCESS)
            raise ProbeError(f"{self._place()}: no broker answered ({cause.str()}); {hint}") from refusal
        error = metadata.topics[self._config.topic].error
        if error is not None:
            reason = reason_of(error)
            hint = advice(reason, ACCESS) or "try again once the brokers are healthy"
            raise ProbeError(f"{self._place()}: {error.str()}; {hint}")

    def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        from service.sinks.kafka_examination import examined  # the admin client, which the service does not need

        config = self._config
        return examined(config, config.topic, config.max_message + HEADROOM_BYTES, ACCESS)

    def _place(self) -> str:
        return f"topic {self._config.topic!r} at {self._config.brokers}"

    async def __aenter__(self) -> Self:
        """Build the producer; it connects on its own. Raises ConfigError if librdkafka refuses a property.

        Whoever gives out tokens may be away, as brokers may: then the writes say so, and each tries again.
        """
        try:
            self._client = await self._build()
        except SettingErrors as wrong:
            places = [(".".join(place), mistake) for place, mistake in wrong.mistakes.items()]
            raise ConfigError([f"sinks.{self.name}.{place}: {mistake}" for place, mistake in places]) from wrong
        except KafkaException as refusal:
            error = refusal.args[0]
            if reason_of(error) is not Reason.CREDENTIALS:
                raise ConfigError([f"sinks.{self.name}.properties: {error.str()}"]) from refusal
            self._not_built(error)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._rebuilding is not None:
            await asyncio.gather(self._rebuilding, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        judging, self._judging = self._judging, None
        if judging is not None:
            await asyncio.wait({judging})
            if judging.exception() is None:
                await judging.result().close()

    async def _build(self, changes: Mapping[str, Any] = MappingProxyType({})) -> Client:
        loop = asyncio.get_running_loop()
        # reads files, and waits for a token
        return await off_loop(lambda: Client(self.name, {**settings(self._config), **changes}, loop, self._failed))

    def _not_built(self, error: KafkaError) -> None:
        self._without = retry_for(error)
        log.warning("no Kafka producer could be built", extra={"sink": self.name, "detail": self._without.detail})

    def _failed(self, client: Client, error: KafkaError) -> None:
        """librdkafka cannot go on: the order of what it sent is in doubt. What was outstanding is reported as such."""
        log.warning("the Kafka producer failed for good", extra={"sink": self.name, "detail": error.str()})
        self._rebuild(client)

    def _rebuild(self, old: Client | None) -> None:
        if old is self._client and (self._rebuilding is None or self._rebuilding.done()):
            self._rebuilding = asyncio.get_running_loop().create_task(self._replace(old))

    async def _replace(self, old: Client | None) -> None:
        if old is not None:
            await old.close()
        self._client = None
        try:
            self._client = await self._build()
        except KafkaException as refusal:
            # the next write tries again
            self._not_built(refusal.args[0])
        except SettingErrors as unreadable:
            self._without = Retry(Reason.CREDENTIALS, detail=str(unreadable))
            log.warning("no Kafka producer could be built", extra={"sink": self.name, "detail": str(unreadable)})
        else:
            self._without = _REBUILDING
            log.info("the Kafka producer was built anew", extra={"sink": self.name})
