"""What a snapshot says that two moments are compared by: copies, for the meter of a snapshot goes on counting."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from service.telemetry.histogram import Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Last
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges


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
