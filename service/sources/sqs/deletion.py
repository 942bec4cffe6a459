"""Deletes what is settled: ten messages to a call, or as many as there are after a fifth of a second."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from service.delivery.backoff import delay
from service.sources.sqs.calls import ENTRIES, Calls, Failed
from service.sources.sqs.flight import Flight, InFlight

LINGER_SECONDS: Final = 0.2
FIFO_LINGER_SECONDS: Final = 0.01
"""SQS hands out no more of a message group before what is settled of it is deleted."""


class Deletion:
    """The messages that are settled, until they are deleted. Until then they are in flight, and kept invisible."""

    def __init__(
        self, calls: Calls, flight: Flight, concurrency: int, deleted: Callable[[], object], *, fifo: bool = False
    ) -> None:
        """At most `concurrency` calls at once; `deleted` is called after each that deleted something."""
        self._calls = calls
        self._flight = flight
        self._concurrency = concurrency
        self._deleted = deleted
        self._linger = FIFO_LINGER_SECONDS if fifo else LINGER_SECONDS
        self._rng = random.Random()
        self._waiting: deque[InFlight] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.TimerHandle] = set()
        """Until messages that failed are tried again."""
        self._pause: asyncio.TimerHandle | None = None
        """Until calls are tried again."""
        self._failures = 0
        """Calls in a row that failed."""
        self._due: asyncio.TimerHandle | None = None
        self._hurries = self._ended = False
        self._loop = asyncio.get_running_loop()
        self._left = 0
        self._emptied = asyncio.Event()
        self._emptied.set()

    def add(self, messages: Sequence[InFlight]) -> None:
        """Delete these."""
        if self._ended or not messages:
            return
        self._left += len(messages)
        self._emptied.clear()
        self._queue(messages)

    def _queue(self, messages: Sequence[InFlight]) -> None:
        self._waiting.extend(messages)
        self._begin()
        if self._waiting and self._due is None:
            self._due = self._loop.call_later(self._linger, self._lingered)

    def _lingered(self) -> None:
        self._due = None
        self._begin(all_of_it=True)

    def _begin(self, all_of_it: bool = False) -> None:
        waiting, least = self._waiting, 1 if all_of_it or self._hurries else ENTRIES
        while self._pause is None and len(waiting) >= least and len(self._tasks) < self._concurrency:
            batch = [waiting.popleft() for _ in range(min(ENTRIES, len(waiting)))]
            task = self._loop.create_task(self._delete(batch), name="delete messages")
            self._tasks.add(task)
            task.add_done_callback(self._ended_one)

    def _ended_one(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._ended:
            # what had to wait for this call has lingered long enough
            self._begin(all_of_it=self._due is None)

    async def _delete(self, batch: Sequence[InFlight]) -> None:
        handles = [message.handle for message in batch]
        try:
            results = await self._calls.delete(handles)
        except Failed as error:
            self._failures += 1
            self._waiting.extendleft(reversed(batch))
            if self._pause is None:
                seconds = delay(self._failures, error.retry.after, self._rng)
                self._pause = self._loop.call_later(seconds, self._go_on)
            return
        again: list[InFlight] = []
        for message, handle, refused in zip(batch, handles, results, strict=True):
            if message.handle != handle or (refused is not None and not refused.final):
                # of a message that came again only the newest handle is good
                again.append(message)
                continue
            if refused is not None:
                # somebody else has it now, and it is delivered twice
                self._flight.expired(message)
            self._flight.leave(message)
            self._left -= 1
        self._failures = 0
        if again:
            self._again(again)
        if not self._left:
            self._emptied.set()
        self._deleted()

    def _go_on(self) -> None:
        self._pause = None
        self._begin(all_of_it=True)

    def _again(self, messages: Sequence[InFlight]) -> None:
        def now() -> None:
            self._later.discard(handle)
            self._queue(messages)

        handle = self._loop.call_later(self._rng.uniform(0.1, 1.0), now)
        self._later.add(handle)

    async def emptied(self) -> None:
        """Delete without delay from now on. Returns once all is deleted."""
        self._hurries = True
        self._begin()
        await self._emptied.wait()

    async def end(self) -> None:
        """Delete nothing more."""
        self._ended = True
        for timer in (*self._later, *filter(None, [self._due, self._pause])):
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
