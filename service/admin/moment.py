"""What a snapshot says that two moments are compared by: copies, for the meter of a snapshot goes on counting."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from service.outcome import Reason
from service.receipt import Fate
from service.telemetry.histogram import Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Last
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges

REFUSALS = frozenset({Reason.TOO_LARGE.value, Reason.REFUSED_CONTENT.value})
"""What a destination says of an event that it will never take."""


class Moment(Struct, frozen=True):
    """One snapshot. Counters have the keys that they have in the meter."""

    at: float
    """Seconds of a clock that only goes forward."""
    clock: float
    """Seconds since the epoch."""
    phase: str
    edge_received: Mapping[tuple[str, str], int]
    edge_rejected: Mapping[tuple[str, str, str], int]
    lane_received: Mapping[tuple[str, str], int]
    lane_settled: Mapping[tuple[str, str, str, str], int]
    lane_held: Mapping[tuple[str, str], int]
    lane_retries: Mapping[tuple[str, str], int]
    journal_taken: Mapping[str, int]
    """Events that were stored, failed to be, or wait for it, by route."""
    delivery_seconds: Mapping[str, Histogram]
    """By sink."""
    bills: Mapping[str, Mapping[str, int]]
    last: Mapping[tuple[str, str, str, str], Last]
    lanes: Mapping[str, LaneGauges]
    sources: Mapping[str, SourceGauges]
    journal: JournalGauges | None
    troubles: list[dict[str, Any]]


def moment(found: Snapshot, at: float, clock: float) -> Moment:
    """The moment of a snapshot that was taken just now."""
    meter = found.meter
    return Moment(
        at=at,
        clock=clock,
        phase=found.phase,
        edge_received=dict(meter.edge_received),
        edge_rejected=dict(meter.edge_rejected),
        lane_received=dict(meter.lane_received),
        lane_settled=dict(meter.lane_settled),
        lane_held=dict(meter.lane_held),
        lane_retries=dict(meter.lane_retries),
        journal_taken=meter.journal_taken,
        delivery_seconds={sink: times.delivery_seconds.since(None) for sink, times in meter.lanes.items()},
        bills={sink: dict(bill) for sink, bill in found.bills.items()},
        last=dict(meter.last),
        lanes={lane.sink: lane for lane in found.lanes},
        sources={source.source: source for source in found.sources},
        journal=found.journal,
        troubles=found.troubles,
    )


class Tries(Struct):
    """What became of attempts to deliver events, in one lane or in all."""

    delivered: int = 0
    retried: int = 0
    throttled: int = 0
    """Of those retried."""
    refused: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.delivered + self.retried + self.refused

    def add(self, other: "Tries") -> None:
        """Count those of another lane too."""
        self.delivered += other.delivered
        self.retried += other.retried
        self.throttled += other.throttled
        self.refused += other.refused


class Span(Struct, frozen=True):
    """The time between two moments."""

    before: Moment
    now: Moment

    @property
    def seconds(self) -> float:
        """Its length, which is never 0: what is divided by it is 0 then."""
        return max(self.now.at - self.before.at, 1e-3)

    def tries(self) -> dict[str, Tries]:
        """By sink; every lane is there."""
        found = {sink: Tries() for sink in self.now.lanes}
        for (sink, _route, fate, reason), count in grown(self.now.lane_settled, self.before.lane_settled).items():
            if fate == Fate.DELIVERED.value:
                found.setdefault(sink, Tries()).delivered += count
            elif reason in REFUSALS:
                found.setdefault(sink, Tries()).refused += count
        for (sink, reason), count in grown(self.now.lane_retries, self.before.lane_retries).items():
            tries = found.setdefault(sink, Tries())
            tries.retried += count
            if reason == Reason.THROTTLED.value:
                tries.throttled += count
        return found

    def delivery_seconds(self, sink: str) -> Histogram | None:
        """Of the events that the lane delivered meanwhile; None where it has never been."""
        now = self.now.delivery_seconds.get(sink)
        return now.since(self.before.delivery_seconds.get(sink)) if now is not None else None


def grown(now: Mapping[Any, int], before: Mapping[Any, int]) -> dict[Any, int]:
    """What was counted meanwhile, where anything was. What a worker counted in its last second may be gone."""
    return {key: count - before.get(key, 0) for key, count in now.items() if count > before.get(key, 0)}


class Window:
    """The moments of the last `seconds`, the newest last, and one before them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.moments: deque[Moment] = deque()

    def add(self, moment: Moment) -> None:
        """The newest; those that are too old are forgotten."""
        self.moments.append(moment)
        while len(self.moments) > 2 and self.moments[1].at <= moment.at - self._seconds:
            self.moments.popleft()

    def span(self, seconds: float) -> Span:
        """From the last moment that is so long ago, or the first there is, to the newest. One must be there."""
        now = self.moments[-1]
        before = self.moments[0]
        for each in self.moments:
            if each.at > now.at - seconds:
                break
            before = each
        return Span(before, now)
