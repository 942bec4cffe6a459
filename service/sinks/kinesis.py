"""The kinesis sink: one event, one record of a Kinesis data stream (PutRecords)."""

import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from service.aws.advice import advice
from service.aws.arn import Arn, is_arn
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.results import by_index
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.event import Event
from service.outcome import Outcome
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.units import ByteSize

log = logging.getLogger(__name__)

RECORDS = 500
"""Most records of one PutRecords (Kinesis API reference)."""
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_KEY_UNITS = 256
"""Most characters of a partition key. Counted as UTF-16 units here, which no way of counting exceeds."""
_ID_BYTES = 64
"""Ids up to here are partition keys as they are; longer ones become as long by hashing."""


class Kinesis:
    """Writes each event as one record; its partition key decides the shard.

    The partition key is the event's key. One of more than 256 characters is replaced by its SHA-256 in hex (the
    same key, the same shard still). An event without a key is spread by its id.

    Needs kinesis:PutRecords and kinesis:DescribeStreamSummary (for `probe`); with a key of your own,
    kms:GenerateDataKey.
    """

    class Config(SinkConfig, AwsConfig):
        """Settings of a kinesis sink."""

        stream: str = Field(description="Name or ARN of the data stream.")
        request_bytes: ByteSize = Field(
            default=5 * 2**20,
            ge=2**20,
            le=10 * 2**20,
            description="Most bytes of one call: data and partition keys.",
        )
        max_record: ByteSize | None = Field(
            default=None,
            ge=1024,
            le=10 * 2**20,
            description="Most bytes of one record, data and partition key. 1MiB, unless the stream allows more "
            "(its MaxRecordSizeInKiB) and it is said here.",
        )

        @field_validator("stream")
        @classmethod
        def _check_stream(cls, value: str) -> str:
            if is_arn(value):
                Arn.parse(value, "kinesis", "stream/")
            elif not _NAME.fullmatch(value):
                raise ValueError("a stream has 1 to 128 characters of letters, digits and _.-; or give its ARN")
            return value

        @model_validator(mode="after")
        def _a_record_fits_a_call(self) -> Self:
            if self.max_record is not None and self.max_record > self.request_bytes:
                raise ValueError("`max_record` is above `request_bytes`: no call could hold such a record")
            return self

    carries_attributes: ClassVar[bool] = False

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        if is_arn(config.stream):
            arn = Arn.parse(config.stream, "kinesis", "stream/")
            config = config.model_copy(update={"region": arn.region})
            self._target = {"StreamARN": arn.text}
        else:
            self._target = {"StreamName": config.stream}
        self.limits = Limits(
            batch_events=RECORDS,
            batch_bytes=config.request_bytes,
            event_bytes=config.max_record or 2**20,
            # the key is counted by the lane; without one the id stands in for it
            overhead_bytes=_ID_BYTES,
        )
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One PutRecords; one outcome per event, from the result with the same index."""
        records = [{"Data": event.body, "PartitionKey": partition_key(event)} for event in batch.events]
        try:
            answer = await self._client.put_records(Records=records, **self._target)
        except AWS_ERRORS as error:
            return [retry_for(error)] * len(batch)
        return by_index(
            answer, results="Records", failed="FailedRecordCount", receipt="SequenceNumber", sent=len(batch)
        )

    async def probe(self) -> None:
        """Ask for the stream's summary. Warns if it takes smaller records than `max_record` promises."""
        what = f"stream {self._config.stream!r}"
        region = self._client.meta.region_name
        try:
            answer = await self._client.describe_stream_summary(**self._target)
        except AWS_ERRORS as error:
            raise ProbeError(advice(retry_for(error), what, "kinesis:DescribeStreamSummary", region)) from error
        summary = answer.get("StreamDescriptionSummary", {})
        status = summary.get("StreamStatus", "ACTIVE")
        if status not in ("ACTIVE", "UPDATING"):
            raise ProbeError(f"{what} in {region} is {status}: it takes no records until it is ACTIVE")
        allowed = summary.get("MaxRecordSizeInKiB", 1024) * 1024
        if allowed < self.limits.event_bytes:
            log.warning(
                "the stream takes smaller records than `max_record` says; lower it, or raise the stream's limit",
                extra={"sink": self.name, "max_record": self.limits.event_bytes, "allowed": allowed},
            )

    async def __aenter__(self) -> Self:
        settings = self._config
        self._client = await self._exit.enter_async_context(
            client("kinesis", settings, concurrency=settings.concurrency, call_timeout=settings.call_timeout)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exit.aclose()


def partition_key(event: Event) -> str:
    """Between 1 and 256 characters: the event's key, else its id; the SHA-256 in hex of one that is too long."""
    key = event.key
    if not key:
        return event.id if len(event.id.encode()) <= _ID_BYTES else _hashed(event.id)
    if len(key) * 2 > _KEY_UNITS and len(key.encode("utf-16-le")) > _KEY_UNITS * 2:
        return _hashed(key)
    return key


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
