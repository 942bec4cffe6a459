"""The calls that an SQS source makes, each once. What goes wrong is told to its `Condition`, and raised as `Failed`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict, TypeVar

from msgspec import Struct

from service.aws.advice import advice
from service.aws.codes import reason_of
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.queue import Queue
from service.aws.requests import Operation, encode
from service.outcome import Reason, Retry
from service.sources.sqs.condition import DELETING, HIDING, RECEIVING, Condition
from service.sources.sqs.message import SqsMessage

ENTRIES: Final = 10
"""Most messages of one call (SQS API reference: ReceiveMessage, DeleteMessageBatch, ChangeMessageVisibilityBatch)."""
T = TypeVar("T")

CALL_SECONDS: Final = 10.0
"""How long a call may take, beside what a long poll waits."""
_ACTIONS: Final = {
    RECEIVING: "sqs:ReceiveMessage",
    DELETING: "sqs:DeleteMessage",
    HIDING: "sqs:ChangeMessageVisibility",
}


def tens(items: Sequence[T]) -> list[Sequence[T]]:
    """The same in as few calls as there can be."""
    return [items[at : at + ENTRIES] for at in range(0, len(items), ENTRIES)]


class Messages(TypedDict, total=False):
    """Of ReceiveMessage."""

    Messages: list[SqsMessage] | None


class Entry(TypedDict, total=False):
    """What became of one entry of a batch."""

    Id: str
    Code: str | None
    SenderFault: bool | None


class Results(TypedDict, total=False):
    """Of DeleteMessageBatch and ChangeMessageVisibilityBatch."""

    Successful: list[Entry] | None
    Failed: list[Entry] | None


class Failed(Exception):
    """A call that failed as a whole. Nothing is known of its entries."""

    def __init__(self, retry: Retry) -> None:
        super().__init__(retry.detail)
        self.retry = retry


class Refused(Struct, frozen=True):
    """One entry of a batch that failed."""

    code: str
    final: bool
    """It is the handle that is wrong, or has expired: no other attempt helps."""


class Calls:
    """One queue, through one client."""

    def __init__(self, client: Any, queue: Queue, named: str, condition: Condition) -> None:
        """`named`: the queue as the setting names it."""
        self._client = client
        self._queue = queue
        self._named = named
        self._condition = condition
        self._url = queue.url
        self._receive = Operation(client, "sqs", "ReceiveMessage", "receive_message", Messages)
        self._delete = Operation(client, "sqs", "DeleteMessageBatch", "delete_message_batch", Results)
        self._change = Operation(
            client, "sqs", "ChangeMessageVisibilityBatch", "change_message_visibility_batch", Results
        )

    async def url(self) -> str:
        """The queue's URL, looked up until it is found. Raises what the client raises."""
        if self._url is None:
            self._url = await self._queue.find(self._client)
        return self._url

    async def receive(self, most: int, visibility: int, wait: int) -> Sequence[SqsMessage]:
        """At most `most` messages, for which the queue waits at most `wait` seconds. Raises Failed."""
        asked = {
            "MaxNumberOfMessages": most,
            "VisibilityTimeout": visibility,
            "WaitTimeSeconds": wait,
            "AttributeNames": ["ApproximateReceiveCount", "MessageGroupId", "AWSTraceHeader"],
            "MessageAttributeNames": ["All"],
        }
        answer = await self._ask(self._receive, RECEIVING, asked, wait + CALL_SECONDS)
        return answer.get("Messages") or ()

    async def delete(self, handles: Sequence[str]) -> Sequence[Refused | None]:
        """Why each of at most ten messages was not deleted; None if it was. Raises Failed."""
        return await self._batch(self._delete, DELETING, [{"ReceiptHandle": handle} for handle in handles])

    async def hide(self, handles: Sequence[str], seconds: int) -> Sequence[Refused | None]:
        """The same of keeping each invisible for so long from now on; 0: show it at once. Raises Failed."""
        entries = [{"ReceiptHandle": handle, "VisibilityTimeout": seconds} for handle in handles]
        return await self._batch(self._change, HIDING, entries)

    async def _batch(
        self, operation: Operation, asked: str, entries: Sequence[Mapping[str, Any]]
    ) -> Sequence[Refused | None]:
        named = [{"Id": str(index), **entry} for index, entry in enumerate(entries)]
        answer = await self._ask(operation, asked, {"Entries": named}, CALL_SECONDS)
        told: dict[str, Refused | None] = {str(each.get("Id")): None for each in answer.get("Successful") or ()}
        for each in answer.get("Failed") or ():
            told[str(each.get("Id"))] = _refused(each)
        unknown = Refused("no result", final=False)
        return [told.get(entry["Id"], unknown) for entry in named]

    async def _ask(
        self, operation: Operation, asked: str, what: Mapping[str, Any], seconds: float
    ) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                url = await self.url()
                answer = await operation(encode({"QueueUrl": url, **what}), QueueUrl=url)
        except AWS_ERRORS as error:
            retry = retry_for(error)
            if retry.reason is Reason.NOT_FOUND:
                # deleted, or made anew elsewhere: a queue that comes back may have another URL
                self._url = self._queue.url
            self._condition.fails(asked, self.advice(retry, _ACTIONS[asked]))
            raise Failed(retry) from error
        self._condition.works(asked)
        return answer

    async def length(self) -> int:
        """Messages that wait in the queue, about. Raises what the client raises."""
        async with asyncio.timeout(CALL_SECONDS):
            url = await self.url()
            answer = await self._client.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        return int(answer.get("Attributes", {}).get("ApproximateNumberOfMessages", 0))

    def advice(self, retry: Retry, action: str) -> str:
        """What is wrong and what to do, in a sentence."""
        return advice(retry, f"queue {self._named!r}", action, self._client.meta.region_name)


def _refused(entry: Entry) -> Refused:
    code = str(entry.get("Code"))
    reason = reason_of(code, 400 if entry.get("SenderFault") else 200)
    return Refused(code, final=bool(entry.get("SenderFault")) and reason is not Reason.THROTTLED)
