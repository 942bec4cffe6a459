"""What a lane is like at one moment, in plain values, and the metrics of lanes in Prometheus form."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from service.telemetry import standing
from service.telemetry.families import counter
from service.telemetry.histogram import EVENTS, LANE_SECONDS, LANE_SECONDS_SHOWN, RETRIES, Histogram
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.standing import Standing

BREAKER_STATES: Final = ("closed", "half_open", "open")
"""From good to bad."""


class LaneGauges(Struct, frozen=True):
    """What one lane is like now."""

    sink: str
    held_bytes: int
    capacity_bytes: int
    calls_in_flight: int
    calls_limit: int
    """Calls that may be in flight, as the lane has found out."""
    request_bytes: int
    """What the requests of the calls in flight take of memory."""
    request_capacity_bytes: int
    base_seconds: float
    """Mean round trip of a call without a queue of ours; 0 until known."""
    oldest_seconds: float
    breaker: str
    """`closed`, `half_open` or `open`."""
    held_events: int = 0
    failures: int = 0
    """Calls in a row that failed."""
    last_failure: str | None = None
    fallback: str | None = None
    standing: Standing = Standing()


_GAUGES: tuple[tuple[str, str, Callable[[LaneGauges], float]], ...] = (
    ("penstock_lane_held_bytes", "Bytes a lane holds.", attrgetter("held_bytes")),
    ("penstock_lane_capacity_bytes", "Bytes a lane may hold.", attrgetter("capacity_bytes")),
    ("penstock_lane_calls_in_flight", "Calls in flight.", attrgetter("calls_in_flight")),
    ("penstock_lane_calls_limit", "Calls that may be in flight.", attrgetter("calls_limit")),
    ("penstock_lane_request_bytes", "Bytes of requests in flight.", attrgetter("request_bytes")),
    ("penstock_lane_request_capacity_bytes", "Bytes they may take.", attrgetter("request_capacity_bytes")),
    ("penstock_lane_base_seconds", "Round trip of a call without a queue of ours.", attrgetter("base_seconds")),
    ("penstock_lane_oldest_seconds", "Age of the oldest event held.", attrgetter("oldest_seconds")),
)


_HISTOGRAMS: tuple[tuple[str, str, Callable[[LaneTimes], Histogram]], ...] = (
    ("penstock_lane_call_duration_seconds", "Duration of calls.", attrgetter("call_seconds")),
    ("penstock_lane_call_events", "Events in one call.", attrgetter("call_events")),
    ("penstock_lane_buffering_seconds", "Of events: until their call began.", attrgetter("buffering_seconds")),
    ("penstock_lane_delivery_seconds", "Of events: until they were delivered.", attrgetter("delivery_seconds")),
    ("penstock_lane_event_retries", "Of events: attempts that failed before.", attrgetter("event_retries")),
)
_SHOWN = {LANE_SECONDS: LANE_SECONDS_SHOWN, EVENTS: EVENTS, RETRIES: RETRIES}


def summed(parts: Sequence[LaneGauges]) -> LaneGauges:
    """One lane of all processes: what is held is summed, of states the worst one is told."""
    first = parts[0]
    bases = [part.base_seconds for part in parts if part.base_seconds]
    worst = max(parts, key=lambda part: part.failures)
    return LaneGauges(
        sink=first.sink,
        held_bytes=sum(part.held_bytes for part in parts),
        capacity_bytes=sum(part.capacity_bytes for part in parts),
        calls_in_flight=sum(part.calls_in_flight for part in parts),
        calls_limit=sum(part.calls_limit for part in parts),
        request_bytes=sum(part.request_bytes for part in parts),
        request_capacity_bytes=sum(part.request_capacity_bytes for part in parts),
        base_seconds=sum(bases) / len(bases) if bases else 0.0,
        oldest_seconds=max(part.oldest_seconds for part in parts),
        breaker=max((part.breaker for part in parts), key=BREAKER_STATES.index),
        held_events=sum(part.held_events for part in parts),
        failures=worst.failures,
        last_failure=worst.last_failure,
        fallback=first.fallback,
        standing=standing.worst([part.standing for part in parts]),
    )


def families(meter: Meter, lanes: Sequence[LaneGauges]) -> Iterable[Metric]:
    """The metrics of all lanes."""
    yield counter(
        "penstock_lane_events_received",
        "Events a lane took.",
        "sink route",
        meter.lane_received,
    )
    yield counter(
        "penstock_lane_events_settled",
        "Events a lane is done with.",
        "sink route outcome reason",
        meter.lane_settled,
    )
    held = GaugeMetricFamily("penstock_lane_events_held", "Events in a lane now.", labels=["sink", "route"])
    for labels, value in meter.lane_held.items():
        held.add_metric(labels, value)
    yield held
    yield counter("penstock_lane_calls", "Calls to a destination.", "sink result", meter.lane_attempts)
    yield counter(
        "penstock_lane_events_retried",
        "Events queued again.",
        "sink reason",
        meter.lane_retries,
    )
    yield from _times(meter.lanes)
    yield from _gauges(lanes)


def _times(lanes: Mapping[str, LaneTimes]) -> Iterable[Metric]:
    for name, text, histogram in _HISTOGRAMS:
        family = HistogramMetricFamily(name, text, labels=["sink"])
        for sink, times in lanes.items():
            found = histogram(times)
            family.add_metric([sink], found.cumulated(_SHOWN[found.bounds]), found.total)
        yield family
    delivered = CounterMetricFamily("penstock_lane_delivered_bytes", "Bytes of events delivered.", labels=["sink"])
    for sink, times in lanes.items():
        delivered.add_metric([sink], times.delivered_bytes)
    yield delivered


def _gauges(lanes: Sequence[LaneGauges]) -> Iterable[Metric]:
    for name, text, value in _GAUGES:
        family = GaugeMetricFamily(name, text, labels=["sink"])
        for lane in lanes:
            family.add_metric([lane.sink], value(lane))
        yield family
    breaker = GaugeMetricFamily(
        "penstock_lane_breaker_state", "1 for the state the breaker is in.", labels=["sink", "state"]
    )
    for lane in lanes:
        for state in BREAKER_STATES:
            breaker.add_metric([lane.sink, state], state == lane.breaker)
    yield breaker
