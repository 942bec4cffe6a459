"""Dead letters in an SQS queue. Messages are borrowed: made visible again at the end, deleted once settled."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack
from itertools import islice
from typing import Any, Self

from service.aws.queue import Queue
from service.aws.session import client
from service.dlq.asking import CALL_SECONDS, ask
from service.dlq.reader import Stored, StoreError
from service.dlq.settled import Settled
from service.errors import IngestError
from service.sinks.sqs import Sqs
from service.sinks.unpacking import inflated, unpack

VISIBILITY_SECONDS = 30
"""How long a run that was killed hides what it had borrowed. While it runs the time is extended."""
_EXTEND_SECONDS = VISIBILITY_SECONDS / 3
_WAITS = (0, 1)
"""Seconds that each answer is waited for since there was anything new; after the last one it is the end. With a wait
all of the queue's servers are asked (SQS Developer Guide, short and long polling)."""
_BATCH = 10
_AT_ONCE = 8
"""Calls that extend: all that is borrowed has to be reached within a third of its time."""


class _Message:
    """A message that is borrowed, and which of its records are still to be settled."""

    __slots__ = ("handle", "left", "positions")

    def __init__(self, handle: str, positions: list[str]) -> None:
        self.handle = handle
        self.positions = positions
        self.left = set(positions)


class SqsReader:
    """Needs sqs:ReceiveMessage and sqs:ChangeMessageVisibility, sqs:GetQueueUrl unless the queue is a URL, and to
    remove sqs:DeleteMessage; with a key of one's own kms:Decrypt.
    """

    deletes = True

    def __init__(self, name: str, config: Sqs.Config, settled: Settled) -> None:
        self._queue = Queue.parse(config.queue)
        self.place = f"queue {config.queue!r}"
        self.notes: list[str] = []
        self._config = config
        self._settled = settled
        self._held: dict[str, _Message] = {}
        self._deleted: set[str] = set()
        self._url = ""
        self._client: Any = None
        self._extending: asyncio.Task[None] | None = None
        self._exit = AsyncExitStack()

    async def letters(self) -> AsyncGenerator[Stored, None]:
        """Receives until nothing new comes. A message that is delivered twice is one."""
        quiet = again = 0
        while quiet < len(_WAITS):
            answer = await self._ask(
                "ReceiveMessage",
                self._client.receive_message,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=VISIBILITY_SECONDS,
                WaitTimeSeconds=_WAITS[quiet],
            )
            messages = answer.get("Messages") or ()
            again += len(messages)
            # what comes again says nothing of what else is there, unless all that is known has come since the last new
            if not messages or again > len(self._held) + len(self._deleted):
                quiet += 1
            for message in messages:
                id, handle = message["MessageId"], message["ReceiptHandle"]
                if id in self._held:
                    self._held[id].handle = handle
                elif id in self._deleted:
                    await self._delete(handle)
                else:
                    quiet = again = 0
                    pieces = self._pieces(message["Body"].encode())
                    stored = [Stored(f"{id}/{index}", piece) for index, piece in enumerate(pieces)]
                    self._held[id] = _Message(handle, [each.position for each in stored])
                    for each in stored:
                        yield each

    async def remove(self, stored: Stored) -> None:
        """Delete the message once all of its letters are settled."""
        id = stored.position.rpartition("/")[0]
        message = self._held[id]
        message.left.discard(stored.position)
        if message.left:
            return
        await self._delete(message.handle)
        del self._held[id]
        self._deleted.add(id)
        self._settled.forget(message.positions)

    def _pieces(self, body: bytes) -> list[bytes]:
        settings = self._config
        try:
            text = settings.compress != "none" or settings.pack == "length_prefixed"
            return unpack(inflated(body, settings.compress, text), settings.pack) or [body]
        except (ValueError, IngestError):
            # written under other settings, or by somebody else: then it is one letter, or none
            return [body]

    async def _delete(self, handle: str) -> None:
        await self._ask("DeleteMessage", self._client.delete_message, ReceiptHandle=handle)

    async def _ask(self, operation: str, method: Any, **arguments: Any) -> Any:
        region = self._client.meta.region_name
        return await ask(lambda: method(QueueUrl=self._url, **arguments), self.place, f"sqs:{operation}", region)

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(_EXTEND_SECONDS)
            await self._show_after(VISIBILITY_SECONDS)

    async def _show_after(self, seconds: int) -> None:
        """Make all that is borrowed visible in so many seconds. An entry that fails stays hidden a little longer."""
        handles = iter([message.handle for message in self._held.values()])

        async def work() -> None:
            while chunk := list(islice(handles, _BATCH)):
                entries = [
                    {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                    for index, handle in enumerate(chunk)
                ]
                call = self._client.change_message_visibility_batch
                await self._ask("ChangeMessageVisibility", call, Entries=entries)

        # one that fails keeps the others from nothing
        for ended in await asyncio.gather(*(work() for _ in range(_AT_ONCE)), return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._client = await stack.enter_async_context(
                client("sqs", self._config, concurrency=2 * _AT_ONCE, call_timeout=CALL_SECONDS)
            )
            region = self._client.meta.region_name
            self._url = await ask(lambda: self._queue.find(self._client), self.place, "sqs:GetQueueUrl", region)
            self._exit = stack.pop_all()
        if self._queue.fifo:
            self.notes.append("of each message group of a FIFO queue only the first few messages can be seen at once")
        self._extending = asyncio.create_task(self._extend(), name="visibility")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._extending is not None
        self._extending.cancel()
        ended = await asyncio.gather(self._extending, return_exceptions=True)
        self.notes += _sentences(ended)
        try:
            await self._show_after(0)
        except StoreError as error:
            self.notes.append(f"what was read is hidden for up to {VISIBILITY_SECONDS} s more: {error}")
        finally:
            await self._exit.aclose()


def _sentences(ended: Iterable[object]) -> list[str]:
    return [
        f"messages may have been seen by others meanwhile: {error}" for error in ended if isinstance(error, StoreError)
    ]
