"""The sqs sink: one event, one message of an SQS queue, standard or FIFO (SendMessageBatch)."""

import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from service.aws.advice import advice
from service.aws.codes import reason_of
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.queue import Queue
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig
from service.units import ByteSize

log = logging.getLogger(__name__)

ENTRIES = 10
"""Most entries of one SendMessageBatch (SQS API reference)."""
MESSAGE_BYTES = 2**20
"""Most bytes of one message, and of all the messages of a batch."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_GROUP = re.compile(r"[!-~]{1,128}")
"""MessageGroupId: letters, digits and ASCII punctuation."""
_ABOUT_THE_MESSAGE = {
    "InvalidMessageContents": Reason.REFUSED_CONTENT,
    "MessageTooLong": Reason.TOO_LARGE,
    "InvalidParameterValue": Reason.REFUSED_CONTENT,
}
"""Codes of a single entry that no other attempt mends."""


class Sqs:
    """Sends each event as one message. A queue whose name ends in `.fifo` is a FIFO queue.

    FIFO: the message group is the event's key, else its id; one of more than 128 characters, or of others than
    ASCII letters, digits and punctuation, is replaced by its SHA-256 in hex. The deduplication id is the SHA-256 of
    source and id, so a repeated event is held once within the queue's five minutes. Standard queues get no group.

    Needs sqs:SendMessage and sqs:GetQueueUrl; for `probe` sqs:GetQueueAttributes; with a key of your own,
    kms:GenerateDataKey and kms:Decrypt.
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

        @field_validator("queue")
        @classmethod
        def _check_queue(cls, value: str) -> str:
            Queue.parse(value)
            return value

    carries_attributes: ClassVar[bool] = False

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self._queue = Queue.parse(config.queue)
        if self._queue.region is not None:
            config = config.model_copy(update={"region": self._queue.region})
        self.limits = Limits(batch_events=ENTRIES, batch_bytes=MESSAGE_BYTES, event_bytes=config.max_message)
        self._url = self._queue.url
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One SendMessageBatch; one outcome per event, from the result with its entry's Id."""
        outcomes: list[Outcome | None] = [None] * len(batch)
        entries: list[dict[str, str]] = []
        for index, event in enumerate(batch.events):
            text = _text(event.body)
            if isinstance(text, Rejected):
                outcomes[index] = text
            else:
                entries.append({"Id": str(index), "MessageBody": text} | (_fifo(event) if self._queue.fifo else {}))
        told = await self._send(entries) if entries else {}
        return [told[str(index)] if outcome is None else outcome for index, outcome in enumerate(outcomes)]

    async def _send(self, entries: list[dict[str, str]]) -> dict[str, Outcome]:
        """The outcome of each entry by its Id."""
        try:
            answer = await self._client.send_message_batch(QueueUrl=await self._find(), Entries=entries)
        except AWS_ERRORS as error:
            retry = retry_for(error)
            if retry.reason is Reason.NOT_FOUND:
                # deleted, or made anew elsewhere: a queue that comes back may have another URL
                self._url = self._queue.url
            return {entry["Id"]: retry for entry in entries}
        results = [(str(each.get("Id")), DELIVERED) for each in answer.get("Successful") or ()]
        failures = [(str(each.get("Id")), _failed(each)) for each in answer.get("Failed") or ()]
        told: dict[str, Outcome] = dict([*results, *failures])
        if len(results) + len(failures) != len(entries) or told.keys() != {entry["Id"] for entry in entries}:
            detail = f"{len(results) + len(failures)} results for {len(entries)} entries, or for others"
            return {entry["Id"]: Retry(Reason.BAD_ANSWER, detail=detail) for entry in entries}
        return told

    async def _find(self) -> str:
        """The queue's URL, looked up until it is found: the queue may be created after the start."""
        if self._url is None:
            owner = {"QueueOwnerAWSAccountId": self._queue.account} if self._queue.account else {}
            self._url = str((await self._client.get_queue_url(QueueName=self._queue.name, **owner))["QueueUrl"])
        return self._url

    async def probe(self) -> None:
        """Find the queue and ask for its attributes. Warns if it takes smaller messages than `max_message` says."""
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
        if allowed < self.limits.event_bytes:
            log.warning(
                "the queue takes smaller messages than `max_message` says; lower it, or raise the queue's limit",
                extra={"sink": self.name, "max_message": self.limits.event_bytes, "allowed": allowed},
            )

    async def __aenter__(self) -> Self:
        settings = self._config
        self._client = await self._exit.enter_async_context(
            client("sqs", settings, concurrency=settings.concurrency, call_timeout=settings.call_timeout)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


def _text(body: bytes) -> str | Rejected:
    """The body as SQS can hold it, or why it cannot (SQS API reference, SendMessage: allowed characters)."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return Rejected(Reason.REFUSED_CONTENT, f"SQS holds text only: the body is not UTF-8 at byte {error.start}")
    if not text:
        return Rejected(Reason.REFUSED_CONTENT, "SQS holds no empty message")
    if forbidden := _FORBIDDEN.search(text):
        code = ord(forbidden[0])
        return Rejected(Reason.REFUSED_CONTENT, f"SQS does not allow U+{code:04X}, at character {forbidden.start()}")
    return text


def _fifo(event: Event) -> dict[str, str]:
    group = event.key or event.id
    return {
        "MessageGroupId": group if _GROUP.fullmatch(group) else _hashed(group),
        "MessageDeduplicationId": _hashed(f"{event.attributes.get('source', '')}\0{event.id}"),
    }


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _failed(entry: dict[str, Any]) -> Outcome:
    code = str(entry.get("Code"))
    about_the_message = _ABOUT_THE_MESSAGE.get(code.removeprefix("AWS.SimpleQueueService."))
    if entry.get("SenderFault") and about_the_message is not None:
        return Rejected(about_the_message, f"SQS refused the message: {code}")
    return Retry(reason_of(code, 400 if entry.get("SenderFault") else 200), detail=code)
