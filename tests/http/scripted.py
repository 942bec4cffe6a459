"""A destination that does what a test tells it, as a plugin: `type: tests.http.scripted:Scripted`.

It remembers what it took, so that a test can compare what was answered with what arrived.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Self

from pydantic import Field

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, Limits, SinkConfig
from service.units import ByteSize

When = Callable[[Event], bool]

entered: "dict[str, Scripted]" = {}
"""The sinks of the service that starts, by name; whoever starts it takes them out."""


def every(event: Event) -> bool:
    """Holds for all events."""
    del event
    return True


class Scripted:
    """Delivers, until it is told otherwise. What it is told holds for the calls that begin afterwards."""

    class Config(SinkConfig):
        """Settings of a scripted sink."""

        largest: ByteSize = Field(default=2**20, description="Most bytes of one event.")
        batch: int = Field(default=500, description="Most events in one call.")

    carries_attributes: ClassVar[bool] = True

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.limits = Limits(batch_events=config.batch, batch_bytes=4 * config.largest, event_bytes=config.largest)
        self.taken: list[Event] = []
        """What it acknowledged, in order."""
        self.calls = 0
        self.left = False
        """Whether the service has let go of it."""
        self._called = asyncio.Condition()
        self._act: Callable[[Batch], Awaitable[Sequence[Outcome]]] = self._deliver
        self._released = asyncio.Event()
        self._steps = asyncio.Semaphore(0)

    def deliver(self) -> None:
        """Take everything from now on, also what is held."""
        self._act = self._deliver
        self._released.set()

    def reject(self, when: When = every) -> None:
        """Refuse the events for which `when` holds, and take the rest."""
        self._judge(when, Rejected(Reason.REFUSED_CONTENT, "scripted"))

    def retry(self, reason: Reason = Reason.UNAVAILABLE, after: float | None = None, when: When = every) -> None:
        """Say `Retry` of the events for which `when` holds, and take the rest."""
        self._judge(when, Retry(reason, after, "scripted"))

    def hang(self) -> None:
        """Never answer."""
        self._act = self._hang

    def fail(self, error: Exception) -> None:
        """Raise `error`."""

        async def act(batch: Batch) -> Sequence[Outcome]:
            raise error

        self._act = act

    def hold(self) -> None:
        """Take everything, but answer only after `deliver`."""
        self._released.clear()
        self._act = self._hold

    def step(self) -> None:
        """Take everything, but answer one call for each `release`."""
        self._act = self._step

    def release(self) -> None:
        """Let one call be answered, one that waits or the next."""
        self._steps.release()

    async def called(self, times: int = 1) -> None:
        """Return once it has been called so often in all."""
        async with self._called:
            await self._called.wait_for(lambda: self.calls >= times)

    def forget(self) -> None:
        """Behave as at the beginning."""
        self.deliver()
        self.taken.clear()
        self.calls = 0

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """One outcome per event, as told."""
        async with self._called:
            self.calls += 1
            self._called.notify_all()
        return await self._act(batch)

    def _judge(self, when: When, otherwise: Outcome) -> None:
        async def act(batch: Batch) -> Sequence[Outcome]:
            outcomes = [otherwise if when(event) else DELIVERED for event in batch.events]
            self.taken += [event for event, one in zip(batch.events, outcomes, strict=True) if one is DELIVERED]
            return outcomes

        self._act = act

    async def _deliver(self, batch: Batch) -> Sequence[Outcome]:
        self.taken += batch.events
        return [DELIVERED] * len(batch)

    async def _hang(self, batch: Batch) -> Sequence[Outcome]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    async def _hold(self, batch: Batch) -> Sequence[Outcome]:
        await self._released.wait()
        return await self._deliver(batch)

    async def _step(self, batch: Batch) -> Sequence[Outcome]:
        await self._steps.acquire()
        return await self._deliver(batch)

    async def probe(self) -> None:
        """Always usable."""

    async def __aenter__(self) -> Self:
        entered[self.name] = self
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left = True
