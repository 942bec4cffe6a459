"""The sqs sink: events as messages of an SQS queue, standard or FIFO, one each or packed (SendMessageBatch)."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Self, TypedDict

from msgspec.structs import replace
from pydantic import Field, field_validator, model_validator

from service.aws.advice import advice
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.permission import Key, Permission
from service.aws.queue import Queue
from service.aws.requests import Operation, encode
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.event import Event
from service.finding import Finding
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.sinks.packing import Compression, Form, Packing, packed, with_linger
from service.sinks.sqs_examination import examined
from service.sinks.sqs_message import attributes, failed, identity, unfit
from service.units import ByteSize, Duration

log = logging.getLogger(__name__)

ENTRIES = 10
"""Most entries of one SendMessageBatch (SQS API reference)."""
MESSAGE_BYTES = 2**20
"""Most bytes of one message, and of all the messages of a batch."""
PACKED_EVENTS = 10_000
"""Most events of one packed write: small ones fill 1 MiB before, tiny ones are not worth a longer pause."""
COMPRESSED_BATCH_BYTES = 4 * MESSAGE_BYTES
"""Of one write before compression: JSON shrinks to a quarter or less, and base64 adds a third."""
BILLED_BYTES = 64 * 1024
"""Each 64 KB chunk of a call's payload is billed as one request (SQS pricing page)."""
REQUEST_FACTOR = 3.2
"""What a request takes of memory for each byte of its events: as text, as JSON, and as much again until the network has
taken it (measured: `tests/flow/test_memory.py`)."""
PACKED_REQUEST_FACTOR = REQUEST_FACTOR + 1
"""The messages in addition."""
SUSPECTS = 10_000
"""Most events remembered as having been in a packed message that the queue refused; the oldest are forgotten."""


class Entry(TypedDict, total=False):
    """What became of one message."""

    Id: str
    MessageId: str | None
    Code: str | None
    SenderFault: bool | None


class Answer(TypedDict, total=False):
    """Of SendMessageBatch."""

    Successful: list[Entry] | None
    Failed: list[Entry] | None


class Sqs:
    """Sends each event as one message, or many as one (`pack`). A queue whose name ends in `.fifo` is a FIFO queue.

    FIFO: the message group is the event's key, else its id; one of more than 128 characters, or of others than
    ASCII letters, digits and punctuation, is replaced by its SHA-256 in hex. The deduplication id is the SHA-256 of
    source and id, so a repeated event is held once within the queue's five minutes. Standard queues get no group.

    A message of one event has its `traceparent` and `tracestate` as attributes, unless it is full to the brim.

    A message is text: what is compressed or length-prefixed travels as base64, and nothing in the message says so. No
    event is rejected for another's sake: those of a packed message that the queue refuses go alone the next time.
    """

    class Config(SinkConfig, AwsConfig):
        """Settings of an sqs sink."""

        queue: str = Field(description="Name, URL or ARN of the queue; `.fifo` at its end means a FIFO queue.")
        max_message: ByteSize = Field(
            default=MESSAGE_BYTES,
            ge=1024,
            le=MESSAGE_BYTES,
            description="Most bytes of one message; no more than the queue's own MaximumMessageSize.",
        )

        pack: Form = Field(
            default="none",
            description="Many events to a message: a line each, in one JSON array, or each after its length (4 bytes, "
            "big-endian; as base64). `none`: one to a message. Not on a FIFO queue.",
        )
        pack_events: int = Field(
            default=PACKED_EVENTS, ge=1, le=PACKED_EVENTS, description="Most events of one packed message."
        )
        compress: Compression = Field(
            default="none",
            description="Each message for itself, as base64. Consumers must know: the message does not say it.",
        )
        linger: Duration = Field(
            default=0.0,
            ge=0,
            le=60,
            description="How long an event may wait for its batch to fill; with `pack` 100ms unless set.",
        )

        @model_validator(mode="before")
        @classmethod
        def _packed_events_wait(cls, settings: Any) -> Any:
            return with_linger(settings, "pack", default="none")

        @model_validator(mode="after")
        def _a_fifo_queue_is_not_packed(self) -> Self:
            if self.pack != "none" and Queue.parse(self.queue).fifo:
                raise ValueError(
                    "`pack` does not go with a FIFO queue: a message has one group and one deduplication id, which are "
                    "its event's. Use `pack: none`, or a standard queue"
                )
            return self

        @field_validator("queue")
        @classmethod
        def _check_queue(cls, value: str) -> str:
            Queue.parse(value)
            return value

        def named_region(self) -> str | None:
            """As for every sink of AWS; that of an ARN or of an URL wins."""
            return Queue.parse(self.queue).region or self.region

        def permissions(self) -> Sequence[Permission]:
            """See `SinkConfig`."""
            queue = Queue.parse(self.queue)
            return (
                self.permission(queue.resource, *queue.finding, "sqs:GetQueueAttributes", "sqs:SendMessage"),
                self.permission(Key("sqs"), "kms:Decrypt", "kms:GenerateDataKey"),
            )

    carries_attributes: ClassVar[bool] = False

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._queue = Queue.parse(config.queue)
        packs, compresses = config.pack != "none", config.compress != "none"
        self._packing = Packing(
            form=config.pack,
            compress=config.compress,
            record_bytes=config.max_message,
            record_events=config.pack_events,
            records=ENTRIES,
            call_bytes=MESSAGE_BYTES,
            base64=compresses or config.pack == "length_prefixed",
        )
        self.limits = Limits(
            batch_events=PACKED_EVENTS if packs else ENTRIES,
            batch_bytes=COMPRESSED_BATCH_BYTES if compresses else self._packing.batch_bytes,
            event_bytes=self._packing.event_bytes,
            overhead_bytes=self._packing.overhead_bytes,
            request_factor=PACKED_REQUEST_FACTOR if packs else REQUEST_FACTOR,
        )
        self._suspects: dict[str, None] = {}
        """Ids of events that go alone."""
        self._billed_requests = 0
        self._url = self._queue.url
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One SendMessageBatch; for each event the outcome of its message, `Retry(NO_ROOM)` for what did not fit."""
        events = batch.events
        pieces = [self._piece(event) for event in events]
        suspects = self._suspects
        alone = {position for position, event in enumerate(events) if event.id in suspects} if suspects else ()
        call = await packed(pieces, self._packing, alone)
        if not call.records:
            return call.outcomes(pieces, ())
        groups = [[events[position] for position in group] for group in call.groups]
        entries: list[dict[str, Any]] = []
        size = sum(map(len, call.records))
        for index, (record, group) in enumerate(zip(call.records, groups, strict=True)):
            entry = {"Id": str(index), "MessageBody": record.decode()}
            if len(group) == 1:
                room = min(MESSAGE_BYTES - size, self._packing.record_bytes - len(record))
                beside, added = attributes(group[0], room)
                entry |= beside
                size += added
            entries.append(entry | identity(group[0]) if self._queue.fifo else entry)
        told = await self._send(entries, size)
        return call.outcomes(pieces, [self._judged(told[str(index)], group) for index, group in enumerate(groups)])

    def _piece(self, event: Event) -> bytes | Rejected:
        """The event as it stands in its message, or why it cannot: checked one by one, before it is among others."""
        if not self._packing.base64:
            refusal = unfit(event.body, empty_is=self._packing.form == "none")
            if refusal is not None:
                return refusal
        return self._packing.piece(event)

    def _judged(self, outcome: Outcome, events: list[Event]) -> Outcome:
        """The outcome for each of a message's events. Of several that are refused nobody knows which is the cause."""
        if isinstance(outcome, Rejected) and len(events) > 1:
            log.warning("the queue refused a packed message", extra={"sink": self.name, "detail": outcome.detail})
            self._suspects |= dict.fromkeys(event.id for event in events)
            while len(self._suspects) > SUSPECTS:
                del self._suspects[next(iter(self._suspects))]
            return Retry(Reason.MISCONFIGURED, detail=f"{outcome.detail}, of {len(events)} events; each goes alone now")
        if self._suspects and not isinstance(outcome, Retry):
            for event in events:
                self._suspects.pop(event.id, None)
        return outcome

    async def _send(self, entries: list[dict[str, Any]], size: int) -> dict[str, Outcome]:
        """The outcome of each entry by its Id. `size`: bytes of all the bodies and attributes."""
        try:
            url = await self._find()
            body = encode({"QueueUrl": url, "Entries": entries})
            answer = await self._send_message_batch(body, QueueUrl=url)
        except AWS_ERRORS as error:
            retry = retry_for(error)
            if retry.reason is Reason.NOT_FOUND:
                # deleted, or made anew elsewhere: a queue that comes back may have another URL
                self._url = self._queue.url
            return {entry["Id"]: retry for entry in entries}
        self._billed_requests += -(-size // BILLED_BYTES)
        results = [(str(each.get("Id")), DELIVERED) for each in answer.get("Successful") or ()]
        failures = [(str(each.get("Id")), failed(each)) for each in answer.get("Failed") or ()]
        told: dict[str, Outcome] = dict([*results, *failures])
        if len(results) + len(failures) != len(entries) or told.keys() != {entry["Id"] for entry in entries}:
            detail = f"{len(results) + len(failures)} results for {len(entries)} entries, or for others"
            return {entry["Id"]: Retry(Reason.BAD_ANSWER, detail=detail) for entry in entries}
        return told

    def bill(self) -> Mapping[str, int]:
        """Requests as SQS bills them, of the calls that it has answered. One without an answer may be billed too, and
        is not here; nor are those of consumers."""
        return {"sqs_billed_requests": self._billed_requests}

    async def _find(self) -> str:
        """The queue's URL, looked up until it is found: the queue may be created after the start."""
        if self._url is None:
            self._url = await self._queue.find(self._client)
        return self._url

    async def probe(self) -> None:
        """Find the queue and ask for its attributes. If it takes smaller messages than `max_message` says, warns, and
        packs no more than it takes."""
        what = f"queue {self._config.queue!r}"
        region = self._client.meta.region_name
        action = "sqs:GetQueueUrl"
        try:
            url = await self._find()
            action = "sqs:GetQueueAttributes"
            answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])
        except AWS_ERRORS as error:
            raise ProbeError(advice(retry_for(error), what, action, region)) from error
        allowed = int(answer.get("Attributes", {}).get("MaximumMessageSize", MESSAGE_BYTES))
        if allowed < self._config.max_message:
            if self._packing.form != "none":
                self._packing = replace(self._packing, record_bytes=allowed)
            log.warning(
                "the queue takes smaller messages than `max_message` says; lower it, or raise the queue's limit",
                extra={"sink": self.name, "max_message": self._config.max_message, "allowed": allowed},
            )

    def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        config = self._config
        ordered = config.order == "key"
        return examined(self._client, self._find(), config.queue, message_bytes=config.max_message, ordered=ordered)

    async def __aenter__(self) -> Self:
        settings = self._config
        self._client = await self._exit.enter_async_context(
            client("sqs", settings, concurrency=settings.concurrency, call_timeout=settings.call_timeout)
        )
        self._send_message_batch = Operation(self._client, "sqs", "SendMessageBatch", "send_message_batch", Answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()
