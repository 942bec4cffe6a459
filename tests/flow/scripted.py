"""A destination that does what a seeded script says: throttles, fails parts, hangs, answers nonsense."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from service.delivery.entry import Terms
from service.delivery.intake import Intake
from service.delivery.lane import Lane
from service.delivery.route import Route
from service.event import NO_ATTRIBUTES, Event, Origin
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from service.receipt import Receipt
from service.sinks.contract import Batch, Limits, SinkConfig
from service.telemetry.meter import Meter

ORIGIN = Origin("test", 0.0, "127.0.0.1", "r1")


@dataclass
class Faults:
    """Shares, between 0 and 1, of what goes wrong."""

    throttled: float = 0.0
    """Of events."""
    rejected: float = 0.0
    """Of events: decided by the event, so that it is the same at each attempt."""
    call_fails: float = 0.0
    """Of calls: everything `Retry`."""
    raises: float = 0.0
    hangs: float = 0.0
    wrong_length: float = 0.0
    seconds: float = 0.05
    """Duration of a call."""


@dataclass
class ScriptedSink:
    """Keeps what it took, and checks what the lane promises about calls."""

    faults: Faults
    rng: random.Random
    limits: Limits = field(default_factory=lambda: Limits(10, 10_000, 5_000))
    taken: Counter[str] = field(default_factory=Counter)
    calls: list[tuple[float, list[str]]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    dead: bool = False
    Config: ClassVar[type[SinkConfig]] = SinkConfig
    carries_attributes: ClassVar[bool] = True

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        size = sum(len(e.body) + len((e.key or "").encode()) for e in batch.events)
        assert 1 <= len(batch) <= self.limits.batch_events
        assert size <= self.limits.batch_bytes
        faults, rng = self.faults, self.rng
        self.calls.append((asyncio.get_running_loop().time(), [e.id for e in batch.events]))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if rng.random() < faults.hangs:
                if rng.random() < 0.5:
                    self.taken.update(e.id for e in batch.events)
                await asyncio.sleep(3600)
            await asyncio.sleep(faults.seconds * rng.uniform(0.5, 1.5))
        finally:
            self.running -= 1
        if self.dead or rng.random() < faults.call_fails:
            return [Retry(Reason.UNAVAILABLE)] * len(batch)
        if rng.random() < faults.raises:
            raise ConnectionResetError("scripted")
        outcomes = [self._one(event) for event in batch.events]
        return outcomes[:-1] if rng.random() < faults.wrong_length else outcomes

    def _one(self, event: Event) -> Outcome:
        if random.Random(event.id).random() < self.faults.rejected:
            return Rejected(Reason.REFUSED_CONTENT, "scripted")
        if self.rng.random() < self.faults.throttled:
            return Retry(Reason.THROTTLED)
        self.taken[event.id] += 1
        return DELIVERED

    async def probe(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def event(number: int, size: int = 100, route: str = "r", key: str | None = None) -> Event:
    """An event with the id `e<number>` and a body of `size` bytes."""
    return Event(f"e{number}", route, key, b"x" * size, "application/octet-stream", NO_ATTRIBUTES, ORIGIN)


def lane(sink: ScriptedSink, meter: Meter, name: str = "s", seed: int = 0, **settings: object) -> Lane:
    """A lane before `sink`, in the running loop."""
    config = SinkConfig.model_validate({"type": "scripted", **settings})
    return Lane(name, sink, config, meter, random.Random(seed))


REQUIRED = Terms("r", required=True, patient=False)


def assert_conserved(meter: Meter, lanes: Sequence[Lane]) -> None:
    """received = settled + held, per lane and in total, and the lanes hold what the meter says."""
    for each in lanes:
        received = sum(n for (sink, _), n in meter.lane_received.items() if sink == each.name)
        settled = sum(n for (sink, *_), n in meter.lane_settled.items() if sink == each.name)
        held = sum(n for (sink, _), n in meter.lane_held.items() if sink == each.name)
        assert received == settled + held
        assert held == each.held_events
        assert each.held_bytes >= 0
        if not held:
            assert each.held_bytes == 0


def intake(route: Route, events: Iterable[Event]) -> Intake:
    """Events on their way into the lanes of `route`."""
    made = Intake()
    for each in events:
        made.add(route, each)
    return made


async def all_settled(receipt: Receipt) -> None:
    """Return once everything is settled. Cancelling the waiter cancels nothing else."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    receipt.on_done(lambda: None if waiter.done() else waiter.set_result(None))
    await waiter
