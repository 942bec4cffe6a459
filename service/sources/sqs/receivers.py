"""The receivers of an SQS source: each asks for messages by long polling, as long as there is room for what comes."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from service.delivery.backoff import delay
from service.sources.sqs.calls import ENTRIES, Calls, Failed
from service.sources.sqs.message import SqsMessage

log = logging.getLogger(__name__)

EMPTY_SECONDS: Final = 0.2
"""A poll that ends empty sooner than this was no long poll: the next one waits as long."""


class Room(Struct, frozen=True):
    """How much may be held, of polls that have not ended too."""

    messages: int
    bytes: int
    message_bytes: int
    """Of the largest message that is expected."""


class Receivers:
    """Polls at the same time. What they ask for is reserved, so that not one message more comes than can be held."""

    def __init__(
        self,
        calls: Calls,
        room: Room,
        held: Callable[[], tuple[int, int]],
        take: Callable[[Sequence[SqsMessage]], None],
    ) -> None:
        """`held`: messages that are held, and the bytes of those that wait. `take` gets what came."""
        self._calls = calls
        self._room = room
        self._held = held
        self._take = take
        self._rng = random.Random()
        self._asked = 0
        """Messages that polls may bring."""
        self._changed = asyncio.Event()
        self._stopped = False
        self._brought = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, receivers: int, visibility: int, wait: int) -> None:
        """So many, each of whose polls waits at most `wait` seconds."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._poll(visibility, wait), name="receive") for _ in range(receivers)]

    def changed(self) -> None:
        """There may be more room."""
        self._changed.set()

    def stop(self) -> None:
        """Begin no poll any more. Those that wait go on: what SQS gives to a connection that is gone stays hidden."""
        self._stopped = True
        self._changed.set()

    async def bring(self, seconds: float) -> bool:
        """Whether one of the polls that still wait brings something soon."""
        self._brought.clear()
        waits = asyncio.create_task(self._brought.wait())
        either: set[asyncio.Future[Any]] = {waits, asyncio.gather(*self._tasks, return_exceptions=True)}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        return self._brought.is_set()

    async def end(self) -> None:
        """End the polls that still wait."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def most(self) -> int:
        """Messages for which there is room now, at most ten."""
        room, (messages, waiting_bytes) = self._room, self._held()
        bytes_left = room.bytes - waiting_bytes - self._asked * room.message_bytes
        found = min(ENTRIES, room.messages - messages - self._asked, bytes_left // room.message_bytes)
        if found < 1 and not messages and not self._asked:
            return 1  # whatever is configured, one at a time comes through
        return max(0, found)

    async def _reserve(self) -> int:
        """Wait for room. Returns for how many messages; 0 at the end."""
        while not self._stopped:
            most = self.most
            # a call for a few costs as much as one for ten: it is made if no other is
            if most >= min(ENTRIES, self._room.messages) or (most and not self._asked):
                self._asked += most
                return most
            self._changed.clear()
            await self._changed.wait()
        return 0

    async def _poll(self, visibility: int, wait: int) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while most := await self._reserve():
            began, after, messages = loop.time(), None, list[SqsMessage]()
            try:
                messages += await self._calls.receive(most, visibility, wait)
                self._take(messages)
                if messages:
                    self._brought.set()
                failures = 0
            except Failed as error:
                failures, after = failures + 1, error.retry.after
            except Exception:
                # a defect of ours, or of an answer: the messages come again
                failures += 1
                log.critical("messages could not be taken", exc_info=True)
            finally:
                self._asked -= most
                self._changed.set()
            if failures:
                await asyncio.sleep(delay(failures, after, self._rng))
            elif not messages and loop.time() < began + EMPTY_SECONDS:
                await asyncio.sleep(EMPTY_SECONDS)
