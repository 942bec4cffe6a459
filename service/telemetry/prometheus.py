"""The meter in Prometheus form. Reads plain integers when scraped; costs nothing in between."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from platform import python_version
from typing import Any

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from service import __version__
from service.telemetry import journal, source
from service.telemetry.histogram import EVENTS, LANE_SECONDS, LANE_SECONDS_SHOWN, RETRIES, Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.source import SourceGauges


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


Lanes = Callable[[], Iterable[LaneGauges]]
BREAKER_STATES = ("closed", "half_open", "open")
Bills = Callable[[], Iterable[tuple[str, Mapping[str, int]]]]
"""Per sink whose destination bills by something else than events: its name, and counts by the name of a counter."""


_LANE_GAUGES: tuple[tuple[str, str, Callable[[LaneGauges], float]], ...] = (
    ("penstock_lane_held_bytes", "Bytes a lane holds.", attrgetter("held_bytes")),
    ("penstock_lane_capacity_bytes", "Bytes a lane may hold.", attrgetter("capacity_bytes")),
    ("penstock_lane_calls_in_flight", "Calls in flight.", attrgetter("calls_in_flight")),
    ("penstock_lane_calls_limit", "Calls that may be in flight.", attrgetter("calls_limit")),
    ("penstock_lane_request_bytes", "Bytes of requests in flight.", attrgetter("request_bytes")),
    ("penstock_lane_request_capacity_bytes", "Bytes they may take.", attrgetter("request_capacity_bytes")),
    ("penstock_lane_base_seconds", "Round trip of a call without a queue of ours.", attrgetter("base_seconds")),
    ("penstock_lane_oldest_seconds", "Age of the oldest event held.", attrgetter("oldest_seconds")),
)


_LANE_HISTOGRAMS: tuple[tuple[str, str, Callable[[LaneTimes], Histogram]], ...] = (
    ("penstock_lane_call_duration_seconds", "Duration of calls.", attrgetter("call_seconds")),
    ("penstock_lane_call_events", "Events in one call.", attrgetter("call_events")),
    ("penstock_lane_buffering_seconds", "Of events: until their call began.", attrgetter("buffering_seconds")),
    ("penstock_lane_delivery_seconds", "Of events: until they were delivered.", attrgetter("delivery_seconds")),
    ("penstock_lane_event_retries", "Of events: attempts that failed before.", attrgetter("event_retries")),
)
_SHOWN = {LANE_SECONDS: LANE_SECONDS_SHOWN, EVENTS: EVENTS, RETRIES: RETRIES}


class MeterCollector(Collector):
    """Turns one snapshot of the meter into metric families."""

    def __init__(
        self,
        meter: Meter,
        lanes: Lanes,
        bills: Bills = tuple,
        stored: JournalGauges | None = None,
        sources: Sequence[SourceGauges] = (),
    ) -> None:
        self._meter = meter
        self._stored = stored
        self._sources = sources
        self._lanes = lanes
        self._bills = bills

    def collect(self) -> Iterable[Metric]:
        """Every family of `docs/metrics.md`, in one consistent snapshot."""
        meter = self._meter
        build = GaugeMetricFamily("penstock_build_info", "Version.", labels=["version", "python"])
        build.add_metric([__version__, python_version()], 1)
        yield build
        yield _counter(
            "penstock_events_received",
            "Events found in readable requests.",
            "source route",
            meter.edge_received,
        )
        yield _counter(
            "penstock_events_rejected",
            "Events refused before a lane took them.",
            "source route reason",
            meter.edge_rejected,
        )
        yield _counter(
            "penstock_lane_events_received",
            "Events a lane took.",
            "sink route",
            meter.lane_received,
        )
        yield _counter(
            "penstock_lane_events_settled",
            "Events a lane is done with.",
            "sink route outcome reason",
            meter.lane_settled,
        )
        held = GaugeMetricFamily("penstock_lane_events_held", "Events in a lane now.", labels=["sink", "route"])
        for labels, value in meter.lane_held.items():
            held.add_metric(labels, value)
        yield held
        yield _counter("penstock_lane_calls", "Calls to a destination.", "sink result", meter.lane_attempts)
        yield _counter(
            "penstock_lane_events_retried",
            "Events queued again.",
            "sink reason",
            meter.lane_retries,
        )
        yield from self._times()
        yield from self._gauges()
        yield from self._billed()
        yield from journal.families(meter, self._stored)
        yield from source.families(meter, self._sources)
        connections = GaugeMetricFamily("penstock_http_connections_open", "Connections now.", labels=["port"])
        for port, value in meter.connections_open.items():
            connections.add_metric([port], value)
        yield connections
        refused = CounterMetricFamily(
            "penstock_http_connections_refused", "Connections that were one too many.", labels=["port"]
        )
        for port in meter.connections_open:
            refused.add_metric([port], meter.connections_refused[port])
        yield refused
        yield _gauge("penstock_http_requests_open", "Requests that are being answered.", meter.requests_open)
        yield _gauge("penstock_http_body_bytes", "Memory of bodies and answers on the wire.", meter.body_bytes)
        lag = HistogramMetricFamily("penstock_loop_lag_seconds", "How long the event loop lets wait.")
        lag.add_metric([], meter.loop_lag_seconds.cumulated(), meter.loop_lag_seconds.total)
        yield lag
        yield self._requests()
        yield CounterMetricFamily(
            "penstock_cloudwatch_datums_published", "Datums that CloudWatch took.", value=meter.cloudwatch_published
        )
        yield CounterMetricFamily(
            "penstock_cloudwatch_datums_dropped", "Datums that were given up.", value=meter.cloudwatch_dropped
        )
        yield CounterMetricFamily(
            "penstock_spans_dropped", "Spans of traces that no collector took.", value=meter.spans_dropped
        )

    def _times(self) -> Iterable[Metric]:
        lanes = self._meter.lanes
        for name, text, histogram in _LANE_HISTOGRAMS:
            family = HistogramMetricFamily(name, text, labels=["sink"])
            for sink, times in lanes.items():
                found = histogram(times)
                family.add_metric([sink], found.cumulated(_SHOWN[found.bounds]), found.total)
            yield family
        delivered = CounterMetricFamily("penstock_lane_delivered_bytes", "Bytes of events delivered.", labels=["sink"])
        for sink, times in lanes.items():
            delivered.add_metric([sink], times.delivered_bytes)
        yield delivered

    def _gauges(self) -> Iterable[Metric]:
        lanes = list(self._lanes())
        for name, text, value in _LANE_GAUGES:
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

    def _billed(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily] = {}
        for sink, bill in self._bills():
            for name, count in bill.items():
                family = families.get(name)
                if family is None:
                    text = f"Billed by the destination: {name.replace('_', ' ')}."
                    family = families[name] = CounterMetricFamily(f"penstock_{name}", text, labels=["sink"])
                family.add_metric([sink], count)
        return families.values()

    def _requests(self) -> Metric:
        family = HistogramMetricFamily(
            "penstock_http_request_duration_seconds",
            "From the head of a request to its answer.",
            labels=["route", "status"],
        )
        for (route, status), histogram in self._meter.request_seconds.items():
            family.add_metric([route, str(status)], histogram.cumulated(), histogram.total)
        return family


def _gauge(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, labels: str, counts: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels.split())
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def registry(
    meter: Meter,
    lanes: Lanes,
    bills: Bills = tuple,
    stored: JournalGauges | None = None,
    sources: Sequence[SourceGauges] = (),
) -> CollectorRegistry:
    """A registry of its own, so that nothing else in the process leaks into the page."""
    result = CollectorRegistry(auto_describe=False)
    result.register(MeterCollector(meter, lanes, bills, stored, sources))
    return result
