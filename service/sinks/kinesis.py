"""The kinesis sink: events as records of a Kinesis data stream (PutRecords), one each or aggregated as the KPL does."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from service.aws.advice import advice
from service.aws.arn import Arn, is_arn, name_or_arn
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.permission import Key, Permission, Resource
from service.aws.requests import Operation, body_of
from service.aws.results import by_index
from service.aws.session import client, proxied
from service.aws.settings import AwsConfig
from service.aws.shardmap import ShardMap, Unknown, hash_key
from service.errors import ConfigError
from service.event import Event
from service.finding import Finding
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Limits, Pace, ProbeError, SinkConfig
from service.sinks.kinesis_examination import AUTOMATIC, examined
from service.sinks.kinesis_records import (
    ID_BYTES,
    RECORDS,
    Answer,
    Bill,
    Overhead,
    Packing,
    Put,
    aggregated,
    hash_of,
    one_each,
    partition_key,
    written,
)
from service.sinks.packing import with_linger
from service.units import ByteSize

log = logging.getLogger(__name__)

AGGREGATED_EVENTS = 10_000
"""Most events of one write when aggregating: what fills a call at 500 B; more are not worth a longer pause."""
ASKED_SECONDS = 2.0
"""How long the start waits for the stream to say how it spreads records."""
REQUEST_FACTOR = 1.9
"""What a request takes of memory for each byte of its events: 4/3 in base64, and what of it the system holds until the
network has taken it (measured: `tests/flow/test_memory.py`)."""
PROXIED_REQUEST_FACTOR = 2.7
"""The same by way of a proxy."""
REQUEST_OVERHEAD_BYTES = 230
"""And for each event: the rest of its record in JSON, in both places, and what is known of it until the answer."""
_MIB = 2**20
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")


class Kinesis:
    """Writes each event as one record, or many of one shard as one (`aggregate: kpl`).

    A record's partition key decides its shard. It is the event's key; one of more than 256 characters is replaced by
    its SHA-256 in hex (the same key, the same shard still), and an event without a key is spread by its id.

    The stream's shards are learnt in the background. Until they are known every event goes as its own record, at no
    rate of ours; an answer from another shard than expected makes the sink look again, and is delivered.
    """

    class Config(SinkConfig, AwsConfig):
        """Settings of a kinesis sink."""

        stream: str = Field(description="Name or ARN of the data stream.")
        request_bytes: ByteSize = Field(
            default=5 * _MIB,
            ge=_MIB,
            le=10 * _MIB,
            description="Most bytes of one call: data and partition keys.",
        )
        max_record: ByteSize | None = Field(
            default=None,
            ge=1024,
            le=10 * _MIB,
            description="Most bytes of one record, data and partition key. 1MiB, unless the stream allows more "
            "(its MaxRecordSizeInKiB) and it is said here.",
        )
        aggregate: Literal["none", "kpl"] = Field(
            default="none",
            description="`none`: one event to a record. `kpl`: many, in the format of the Kinesis Producer Library, "
            "which every consumer must read; `linger` is then 100ms unless set.",
        )
        aggregate_bytes: ByteSize = Field(
            default=51_200, ge=1024, le=10 * _MIB, description="Most bytes of an aggregated record."
        )
        aggregate_count: int = Field(
            default=500,
            ge=2,
            le=AGGREGATED_EVENTS,
            description="Most events of an aggregated record. A Firehose that reads the stream takes 500.",
        )
        shard_events_per_second: float = Field(
            default=1000.0,
            ge=0,
            description="Most records a second to one shard, by this service, whose workers divide it; 0 for no bound. "
            "With N replicas: 1/N of what a shard takes. Not used with `aggregate: kpl`, whose records are few.",
        )
        shard_bytes_per_second: ByteSize = Field(
            default=10**6,
            ge=0,
            description="Most bytes a second to one shard, by this service, whose workers divide it; 0 for no bound.",
        )

        @model_validator(mode="before")
        @classmethod
        def _aggregated_events_wait(cls, settings: Any) -> Any:
            return with_linger(settings, "aggregate", default="none")

        @field_validator("stream")
        @classmethod
        def _check_stream(cls, value: str) -> str:
            return name_or_arn(value, "kinesis", "stream/", _NAME, "a stream has 1 to 128 characters")

        @model_validator(mode="after")
        def _a_record_fits_a_call(self) -> Self:
            if self.max_record is not None and self.max_record > self.request_bytes:
                raise ValueError("`max_record` is above `request_bytes`: no call could hold such a record")
            if self.aggregate == "kpl" and self.aggregate_bytes > (self.max_record or _MIB):
                raise ValueError(
                    "`aggregate_bytes` is above `max_record` (1MiB unless set): an aggregate is one record"
                )
            return self

        def named_region(self) -> str | None:
            """As for every sink of AWS; that of an ARN wins."""
            return Arn.parse(self.stream, "kinesis", "stream/").region if is_arn(self.stream) else self.region

        def permissions(self) -> Sequence[Permission]:
            """See `SinkConfig`."""
            actions = ("kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecords")
            stream = self.permission(Resource.named(self.stream, "kinesis", "stream/"), *actions)
            return (stream, self.permission(Key("kinesis"), "kms:GenerateDataKey"))

        def share(self, workers: int) -> Self:
            """A part of each shard's rate too; what has no bound has none in parts."""
            size = self.shard_bytes_per_second
            rates = {"shard_events_per_second": self.shard_events_per_second / workers}
            rates["shard_bytes_per_second"] = max(1, size // workers) if size else 0
            return super().share(workers).model_copy(update=rates)

    carries_attributes: ClassVar[bool] = False

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._target = {"StreamARN" if is_arn(config.stream) else "StreamName": config.stream}
        self._aggregates = config.aggregate == "kpl"
        self.limits = Limits(
            batch_events=AGGREGATED_EVENTS if self._aggregates else RECORDS,
            batch_bytes=config.request_bytes,
            event_bytes=config.max_record or _MIB,
            # the key is counted by the lane; without one the id stands in for it
            overhead_bytes=ID_BYTES,
            request_factor=PROXIED_REQUEST_FACTOR if proxied("kinesis", config) else REQUEST_FACTOR,
            request_overhead_bytes=REQUEST_OVERHEAD_BYTES,
        )
        self.shards = ShardMap(name, self._target, self._remapped, describes=self._aggregates)
        self.pace = Pace(events=0, bytes=0)
        """Without bounds until the shards are known: then nobody can say what one of them gets."""
        self.generation = 0
        self._packing = Packing(config.aggregate_bytes, config.aggregate_count, config.request_bytes)
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()
        self._bill = Bill()
        self._overhead = Overhead()

    def _remapped(self) -> None:
        settings = self._config
        events = 0 if self._aggregates else settings.shard_events_per_second
        self.pace = Pace(events=events, bytes=settings.shard_bytes_per_second)
        self.generation = self.shards.generation

    def partition(self, event: Event) -> int:
        """The number of the shard to which `event` would go; 0 while the shards are not known."""
        return self.shards.number(hash_key(partition_key(event))) if self.shards.known else 0

    def cost(self, event: Event) -> int:
        """Bytes of `event` in its shard: the body, and what the events of the last calls took beside theirs.

        An aggregate holds each key once: what one event takes of it is not known before it is made.
        """
        return len(event.body) + self._overhead.bytes

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One PutRecords; for each event the outcome of its record, `Retry(NO_ROOM)` for what did not fit."""
        if not self._aggregates:
            put = one_each(batch.events)
        elif self.shards.automatic:
            self.shards.doubt()
            return [Retry(Reason.MISCONFIGURED, detail=AUTOMATIC)] * len(batch)
        elif self.shards.known and self.shards.automatic is not None:
            put = aggregated(batch.events, self.shards, self._packing)
        else:
            # on a stream that spreads records itself consumers drop aggregates: first it must be known that it does not
            put = one_each(batch.events)
        self._overhead.add(put, batch.events)
        try:
            answer = await self._put_records(body_of(self._target, map(written, put.records)), **self._target)
        except AWS_ERRORS as error:
            return put.outcomes([retry_for(error)] * len(put.records))
        told = by_index(
            answer, results="Records", failed="FailedRecordCount", receipt="SequenceNumber", sent=len(put.records)
        )
        self._bill.add(put, told)
        self._compare(put, told, answer.get("Records") or ())
        return put.outcomes(told)

    def _compare(self, put: Put, told: Sequence[Outcome], results: Iterable[Mapping[str, Any]]) -> None:
        """Doubt the map if a shard in the answer is not the expected one: one record of each shard tells."""
        if not self.shards.known:
            return
        seen = set()
        for record, outcome, result in zip(put.records, told, results, strict=False):
            shard = result.get("ShardId")
            if outcome is DELIVERED and shard and shard not in seen:
                seen.add(shard)
                if not self.shards.predicts(hash_of(record), shard):
                    self.shards.doubt()
                    return

    def bill(self) -> Mapping[str, int]:
        """PUT payload units, records and the events in them that the stream has acknowledged."""
        return self._bill.counts()

    async def probe(self) -> None:
        """Ask for the stream's summary and its shards. Warns of what is less than promised, but usable."""
        what, region = f"stream {self._config.stream!r}", self._client.meta.region_name
        try:
            answer = await self._client.describe_stream_summary(**self._target)
        except AWS_ERRORS as error:
            raise ProbeError(advice(retry_for(error), what, "kinesis:DescribeStreamSummary", region)) from error
        summary = answer.get("StreamDescriptionSummary", {})
        self.shards.learn_strategy(summary)
        if self._aggregates and self.shards.automatic:
            raise ProbeError(f"{what} in {region} cannot be aggregated to: {AUTOMATIC}")
        if (status := summary.get("StreamStatus", "ACTIVE")) not in ("ACTIVE", "UPDATING"):
            raise ProbeError(f"{what} in {region} is {status}: it takes no records until it is ACTIVE")
        allowed = summary.get("MaxRecordSizeInKiB", 1024) * 1024
        if allowed < self.limits.event_bytes:
            log.warning(
                "the stream takes smaller records than `max_record` says; lower it, or raise the stream's limit",
                extra={"sink": self.name, "max_record": self.limits.event_bytes, "allowed": allowed},
            )
        await self._probe_shards(what, region)

    def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        known = self._config.stream, self._target, self.shards
        return examined(self._client, *known, self.limits.event_bytes, self._aggregates)

    async def _probe_shards(self, what: str, region: str) -> None:
        try:
            await self.shards.look_up()
        except Unknown as unknown:
            told = advice(unknown.retry, what, unknown.action, region)
            if self._aggregates:
                raise ProbeError(f"nothing is aggregated until the shards are known: {told}") from unknown
            log.warning(
                "no shard has a rate of its own until they are known", extra={"sink": self.name, "detail": told}
            )

    async def __aenter__(self) -> Self:
        settings = self._config
        self._client = await self._exit.enter_async_context(
            client("kinesis", settings, concurrency=settings.concurrency, call_timeout=settings.call_timeout)
        )
        self._put_records = Operation(self._client, "kinesis", "PutRecords", "put_records", Answer)
        if self._aggregates:
            await self._refuse_automatic()
        self.shards.start(self._client)
        self._exit.push_async_callback(self.shards.stop)
        return self

    async def _refuse_automatic(self) -> None:
        """Raise ConfigError if the stream says that it cannot be aggregated to; if it says nothing, start all the same:
        nothing is aggregated until it has."""
        try:
            async with asyncio.timeout(ASKED_SECONDS):
                answer = await self._client.describe_stream_summary(**self._target)
        except (*AWS_ERRORS, TimeoutError):
            return  # the probe says what is wrong
        self.shards.learn_strategy(answer.get("StreamDescriptionSummary", {}))
        if self.shards.automatic:
            await self._exit.aclose()
            raise ConfigError([f"sinks.{self.name}.aggregate: {AUTOMATIC}"])

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()
