"""The firehose sink: events packed as lines into records of a Firehose delivery stream (PutRecordBatch)."""

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from service.aws.advice import advice
from service.aws.arn import Arn, is_arn
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.results import by_index
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.codecs.media import is_json
from service.event import Event
from service.outcome import Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.units import ByteSize, Duration

RECORDS = 500
"""Most records of one PutRecordBatch (Firehose API reference)."""
RECORD_BYTES = 1_024_000
"""Most bytes of one record."""
REQUEST_BYTES = 4 * 2**20
"""Most bytes of one PutRecordBatch."""
PACKED_EVENTS = 10_000
"""Most events of one packed write: small ones fill 4 MiB before, tiny ones are not worth a longer pause."""

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_NO_ROOM = Retry(Reason.NO_ROOM, after=0)
_BREAKS_LINES = Rejected(
    Reason.REFUSED_CONTENT,
    "a body with a line break, which is not JSON, cannot be one line of a record: use `pack: none`",
)


class Firehose:
    """Writes events as lines, many to a record (`pack: ndjson`), or one event to a record (`pack: none`).

    Firehose bills each record rounded up to 5 KiB, so packing small events costs up to that factor less. The
    service adds no newline; packed, each event ends with exactly one. Line breaks inside a JSON body (always
    white space: a string has them escaped) become spaces. The outcome of a record is that of all its events.

    Needs firehose:PutRecordBatch and firehose:DescribeDeliveryStream (for `probe`).
    """

    class Config(SinkConfig, AwsConfig):
        """Settings of a firehose sink."""

        delivery_stream: str = Field(description="Name or ARN of the delivery stream (Direct PUT).")
        pack: Literal["ndjson", "none"] = Field(
            default="ndjson", description="`ndjson`: many events to a record, a line each. `none`: one to a record."
        )
        record_bytes: ByteSize = Field(
            default=RECORD_BYTES, ge=1024, le=RECORD_BYTES, description="Most bytes of one record."
        )
        newline: bool = Field(
            default=True, description="With `pack: none`: end each record with a newline; Firehose adds none."
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
            if isinstance(settings, dict) and settings.get("pack") == "none":
                return {"linger": 0.0} | settings
            return settings

        @field_validator("delivery_stream")
        @classmethod
        def _check_stream(cls, value: str) -> str:
            if is_arn(value):
                Arn.parse(value, "firehose", "deliverystream/")
            elif not _NAME.fullmatch(value):
                raise ValueError("a delivery stream has 1 to 64 characters of letters, digits and _.-; or give its ARN")
            return value

    carries_attributes: ClassVar[bool] = False

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._stream = config.delivery_stream
        if is_arn(config.delivery_stream):
            arn = Arn.parse(config.delivery_stream, "firehose", "deliverystream/")
            config = config.model_copy(update={"region": arn.region})
            self._stream = arn.name
        self._packs = config.pack == "ndjson"
        self.limits = Limits(
            batch_events=PACKED_EVENTS if self._packs else RECORDS,
            batch_bytes=REQUEST_BYTES,
            event_bytes=config.record_bytes,
            overhead_bytes=1 if self._packs or config.newline else 0,
        )
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One PutRecordBatch; `Retry(NO_ROOM)` for events beyond its 500th record."""
        lines = [self._line(event) for event in batch.events]
        records, places = _packed(lines, self._config.record_bytes if self._packs else 0)
        if not records:
            return [_BREAKS_LINES] * len(lines)
        try:
            answer = await self._client.put_record_batch(
                DeliveryStreamName=self._stream, Records=[{"Data": b"".join(record)} for record in records]
            )
        except AWS_ERRORS as error:
            told: list[Outcome] = [retry_for(error)] * len(records)
        else:
            told = by_index(
                answer,
                results="RequestResponses",
                failed="FailedPutCount",
                receipt="RecordId",
                sent=len(records),
            )
        outcomes: list[Outcome] = []
        for line, place in zip(lines, places, strict=True):
            if line is None:
                outcomes.append(_BREAKS_LINES)
            else:
                outcomes.append(told[place] if place < len(told) else _NO_ROOM)
        return outcomes

    def _line(self, event: Event) -> bytes | None:
        """The event as it stands in its record; None if it cannot be a line."""
        body = event.body
        if not self._packs and not self._config.newline:
            return body
        line = body if body.endswith(b"\n") else body + b"\n"
        if not self._packs or (line.find(b"\n") == len(line) - 1 and b"\r" not in line):
            return line
        return line[:-1].translate(_LINE_BREAKS) + b"\n" if is_json(event.content_type) else None

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

    async def __aenter__(self) -> Self:
        settings = self._config
        self._client = await self._exit.enter_async_context(
            client("firehose", settings, concurrency=settings.concurrency, call_timeout=settings.call_timeout)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


def _packed(lines: Sequence[bytes | None], record_bytes: int) -> tuple[list[list[bytes]], list[int]]:
    """The records, in order and at most 500, and for each line the index of its record (500 and up: no room).

    A record takes lines while they fit in `record_bytes`; 0 gives each its own. A None goes into no record.
    """
    records: list[list[bytes]] = []
    places: list[int] = []
    last = -1
    space = 0
    for line in lines:
        if line is None:
            places.append(last)
            continue
        if last < 0 or len(line) > space or not record_bytes:
            last += 1
            space = record_bytes
            if last < RECORDS:
                records.append([])
        space -= len(line)
        if last < RECORDS:
            records[last].append(line)
        places.append(last)
    return records, places
