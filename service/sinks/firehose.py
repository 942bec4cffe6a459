"""The firehose sink: events packed into records of a Firehose delivery stream (PutRecordBatch)."""

import re
from binascii import b2a_base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Self, TypedDict

from pydantic import Field, field_validator, model_validator

from service.aws.advice import advice
from service.aws.arn import Arn, is_arn, name_or_arn
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.permission import Permission, Resource
from service.aws.requests import Operation, body_of
from service.aws.results import by_index
from service.aws.session import client, proxied
from service.aws.settings import AwsConfig
from service.finding import Finding
from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.sinks.firehose_examination import examined
from service.sinks.packing import Compression, Form, Packing, packed, with_linger
from service.units import ByteSize, Duration

RECORDS = 500
"""Most records of one PutRecordBatch (Firehose API reference)."""
RECORD_BYTES = 1_024_000
"""Most bytes of one record."""
REQUEST_BYTES = 4 * 2**20
"""Most bytes of one PutRecordBatch."""
BILLED_BYTES = 5 * 1024
"""Each record is billed rounded up to a multiple of 5 KB (5,120 bytes, says the Firehose pricing page)."""
PACKED_EVENTS = 10_000
"""Most events of one packed write: small ones fill 4 MiB before, tiny ones are not worth a longer pause."""
REQUEST_FACTOR = 3.1
"""What a request takes of memory for each byte of its events: the records, 4/3 in base64, and what of it the system
holds until the network has taken it (measured: `tests/flow/test_memory.py`)."""
PROXIED_REQUEST_FACTOR = 3.7
"""The same by way of a proxy."""

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


class Result(TypedDict, total=False):
    """What became of one record."""

    RecordId: str | None
    ErrorCode: str | None


class Answer(TypedDict, total=False):
    """Of PutRecordBatch."""

    FailedPutCount: int
    RequestResponses: list[Result]


class Firehose:
    """Writes many events to a record (`pack`: lines, an array, or length-prefixed), or one (`pack: none`).

    Firehose bills each record rounded up to 5 KB, so packing small events costs up to that factor less. The service
    adds no newline; each event that is a line ends with exactly one. Line breaks inside a JSON body (always white
    space: a string has them escaped) become spaces where a line or an array is made. The outcome of a record is that
    of all its events; Firehose refuses none for its content.
    """

    class Config(SinkConfig, AwsConfig):
        """Settings of a firehose sink."""

        delivery_stream: str = Field(description="Name or ARN of the delivery stream (Direct PUT).")
        pack: Form = Field(
            default="ndjson",
            description="Many events to a record: a line each, in one JSON array, or each after its length (4 bytes, "
            "big-endian). `none`: one to a record.",
        )
        pack_events: int = Field(
            default=PACKED_EVENTS,
            ge=1,
            le=PACKED_EVENTS,
            description="Most events of one record. A stream that takes records apart (multi-record deaggregation) "
            "takes 500.",
        )
        compress: Compression = Field(
            default="none",
            description="Each record for itself. Who reads it must inflate it: Firehose does not; see destinations.md.",
        )
        record_bytes: ByteSize = Field(
            default=RECORD_BYTES, ge=1024, le=RECORD_BYTES, description="Most bytes of one record."
        )
        newline: bool = Field(
            default=True,
            description="With `pack: none` or `json_array`: end each record with a newline; Firehose adds none.",
        )
        linger: Duration = Field(
            default=0.1,
            ge=0,
            le=60,
            description="How long an event may wait for its batch to fill; with `pack: none` 0 unless set.",
        )

        @model_validator(mode="before")
        @classmethod
        def _unpacked_events_do_not_wait(cls, settings: Any) -> Any:
            return with_linger(settings, "pack", default="ndjson")

        @field_validator("delivery_stream")
        @classmethod
        def _check_stream(cls, value: str) -> str:
            return name_or_arn(value, "firehose", "deliverystream/", _NAME, "a delivery stream has 1 to 64 characters")

        def named_region(self) -> str | None:
            """As for every sink of AWS; that of an ARN wins."""
            if is_arn(self.delivery_stream):
                return Arn.parse(self.delivery_stream, "firehose", "deliverystream/").region
            return self.region

        def permissions(self) -> Sequence[Permission]:
            """See `SinkConfig`. A stream with a key of the customer's uses it by a grant of its own."""
            stream = Resource.named(self.delivery_stream, "firehose", "deliverystream/")
            return (self.permission(stream, "firehose:DescribeDeliveryStream", "firehose:PutRecordBatch"),)

    carries_attributes: ClassVar[bool] = False

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._stream = config.delivery_stream
        if is_arn(config.delivery_stream):
            self._stream = Arn.parse(config.delivery_stream, "firehose", "deliverystream/").name
        packs = config.pack != "none"
        self._packing = Packing(
            form=config.pack,
            compress=config.compress,
            record_bytes=config.record_bytes,
            record_events=config.pack_events,
            records=RECORDS,
            call_bytes=REQUEST_BYTES,
            newline=config.newline,
        )
        self.limits = Limits(
            batch_events=PACKED_EVENTS if packs else RECORDS,
            batch_bytes=REQUEST_BYTES,
            event_bytes=self._packing.event_bytes,
            overhead_bytes=self._packing.overhead_bytes,
            request_factor=PROXIED_REQUEST_FACTOR if proxied("firehose", config) else REQUEST_FACTOR,
        )
        self._records = self._billed_bytes = 0
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One PutRecordBatch; `Retry(NO_ROOM)` for events beyond what it holds."""
        pieces = [self._packing.piece(event) for event in batch.events]
        call = await packed(pieces, self._packing)
        if not call.records:
            return call.outcomes(pieces, ())
        target = {"DeliveryStreamName": self._stream}
        try:
            answer = await self._put_record_batch(body_of(target, map(written, call.records)), **target)
        except AWS_ERRORS as error:
            return call.outcomes(pieces, [retry_for(error)] * len(call.records))
        told = by_index(
            answer,
            results="RequestResponses",
            failed="FailedPutCount",
            receipt="RecordId",
            sent=len(call.records),
        )
        for record, outcome in zip(call.records, told, strict=True):
            if outcome is DELIVERED:
                self._records += 1
                self._billed_bytes += max(1, -(-len(record) // BILLED_BYTES)) * BILLED_BYTES
        return call.outcomes(pieces, told)

    def bill(self) -> Mapping[str, int]:
        """Bytes as Firehose bills them, and records, that it has acknowledged. A call without an answer may be billed
        too, and is not here."""
        return {"firehose_billed_bytes": self._billed_bytes, "firehose_records": self._records}

    async def probe(self) -> None:
        """Ask for the delivery stream's description: it must be active, and take records from producers."""
        what = f"delivery stream {self._config.delivery_stream!r}"
        region = self._client.meta.region_name
        try:
            answer = await self._client.describe_delivery_stream(DeliveryStreamName=self._stream)
        except AWS_ERRORS as error:
            raise ProbeError(advice(retry_for(error), what, "firehose:DescribeDeliveryStream", region)) from error
        described = answer.get("DeliveryStreamDescription", {})
        status = described.get("DeliveryStreamStatus", "ACTIVE")
        if status != "ACTIVE":
            raise ProbeError(f"{what} in {region} is {status}: it takes no records until it is ACTIVE")
        source = described.get("DeliveryStreamType", "DirectPut")
        if source != "DirectPut":
            raise ProbeError(
                f"{what} in {region} reads from another source ({source}): only a Direct PUT stream is put to"
            )

    def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        return examined(self._client, self._config.delivery_stream, self._stream)

    async def __aenter__(self) -> Self:
        settings = self._config
        self._client = await self._exit.enter_async_context(
            client("firehose", settings, concurrency=settings.concurrency, call_timeout=settings.call_timeout)
        )
        self._put_record_batch = Operation(self._client, "firehose", "PutRecordBatch", "put_record_batch", Answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


def written(record: bytes) -> bytes:
    """The record in the JSON of PutRecordBatch."""
    return b'{"Data":"%b"}' % b2a_base64(record, newline=False)
