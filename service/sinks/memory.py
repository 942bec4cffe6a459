"""The memory sink: keeps events in the process, up to a bound of bytes. For tests and for trying things out."""

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field

from service.event import Event
from service.outcome import DELIVERED, Outcome, Reason, Retry
from service.sinks.contract import Batch, Limits, SinkConfig
from service.units import ByteSize

FULL = Retry(Reason.UNAVAILABLE, detail="the memory sink is full; raise `capacity`, or drain it")


class Memory:
    """Keeps what it took in `events`, in order; says `Retry` for what would exceed `capacity`."""

    class Config(SinkConfig):
        """Settings of a memory sink."""

        capacity: ByteSize = Field(
            default=64 * 2**20, ge=1, description="Most bytes of events it keeps; beyond, it takes nothing."
        )

    carries_attributes: ClassVar[bool] = True
    limits = Limits(batch_events=10_000, batch_bytes=8 * 2**20, event_bytes=8 * 2**20)

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.events: list[Event] = []
        self._capacity = config.capacity
        self._held = 0

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Keep the batch; one outcome per event."""
        outcomes: list[Outcome] = []
        for event in batch.events:
            if self._held + event.charge > self._capacity:
                # once one is refused none after it is taken: the order of what is kept stays the order given
                outcomes.extend([FULL] * (len(batch) - len(outcomes)))
                break
            self._held += event.charge
            self.events.append(event)
            outcomes.append(DELIVERED)
        return outcomes

    def take(self) -> list[Event]:
        """All events kept so far, which are then forgotten: makes room."""
        events, self.events, self._held = self.events, [], 0
        return events

    async def probe(self) -> None:
        """Always usable."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Keeps its events: tests read them after the service has stopped."""
