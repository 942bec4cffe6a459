"""What the admin port shows: one process, or a supervisor's workers together. Here is the first of the two."""

from typing import Any, Protocol

from service.delivery.health import Health
from service.delivery.pipeline import Pipeline
from service.sinks.contract import Billed
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot

Answer = tuple[int, dict[str, Any]]
"""Status and body."""


class Subject(Protocol):
    """What is shown."""

    async def snapshot(self) -> Snapshot:
        """All that is counted, and what lanes are like now."""

    def livez(self) -> Answer:
        """Whether it lives."""

    def readyz(self) -> Answer:
        """Whether it should get requests, and why not."""

    def workers(self) -> list[dict[str, Any]]:
        """What each worker is like; nothing where there is but one process."""


class Process:
    """This process."""

    def __init__(self, pipeline: Pipeline, meter: Meter, health: Health) -> None:
        self._pipeline = pipeline
        self.meter = meter
        self._health = health
        self.livez = health.livez
        self.readyz = health.readyz

    def taken(self) -> Snapshot:
        """The snapshot of now. It holds the meter itself, which goes on counting."""
        lanes = self._pipeline.lanes.values()
        troubles = self._health.troubles()  # first, for it looks how lanes stand
        return Snapshot(
            phase=self._health.phase.value,
            meter=self.meter,
            lanes=[
                LaneGauges(
                    sink=lane.name,
                    held_bytes=lane.held_bytes,
                    capacity_bytes=lane.capacity,
                    calls_in_flight=len(lane.calls),
                    calls_limit=lane.limiter.limit,
                    request_bytes=round(lane.calls.taken),
                    request_capacity_bytes=lane.calls.capacity,
                    base_seconds=lane.limiter.base,
                    oldest_seconds=lane.oldest_age(),
                    breaker=lane.breaker.state.value,
                    held_events=lane.held_events,
                    failures=lane.breaker.failures,
                    last_failure=lane.breaker.reason.value if lane.breaker.reason else None,
                    fallback=lane.settings.fallback,
                    standing=self._health.standing(lane.name),
                )
                for lane in lanes
            ],
            bills={
                lane.name: {counter: int(count) for counter, count in lane.sink.bill().items()}
                for lane in lanes
                if isinstance(lane.sink, Billed)
            },
            troubles=troubles,
            sources=[source.gauges for source in self._health.sources.values()],
            loop=self._health.loop,
            recent=self._health.recent,
            journal=stored.state if (stored := self._pipeline.stored) is not None else None,
        )

    async def snapshot(self) -> Snapshot:
        """As `taken`."""
        return self.taken()

    def workers(self) -> list[dict[str, Any]]:
        """None."""
        return []
