"""The meter in Prometheus form. Reads plain integers when scraped; costs nothing in between."""

from collections.abc import Callable, Iterable, Mapping
from platform import python_version
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from service import __version__
from service.telemetry.meter import Meter

LaneGauges = Callable[[], Iterable[tuple[str, int, int, int, float]]]
"""Per lane: sink, bytes held, bytes it may hold, calls in flight, seconds since its oldest event was put."""
Bills = Callable[[], Iterable[tuple[str, Mapping[str, int]]]]
"""Per sink whose destination bills by something else than events: its name, and counts by the name of a counter."""


class MeterCollector(Collector):
    """Turns one snapshot of the meter into metric families."""

    def __init__(self, meter: Meter, lanes: LaneGauges, bills: Bills = tuple) -> None:
        self._meter = meter
        self._lanes = lanes
        self._bills = bills

    def collect(self) -> Iterable[Metric]:
        """Every family of `docs/operate.md`, in one consistent snapshot."""
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
        yield from self._gauges()
        yield from self._billed()
        yield _gauge("penstock_http_requests_open", "Requests that are being answered.", meter.requests_open)
        yield _gauge("penstock_http_body_bytes", "Memory of bodies that are being read.", meter.body_bytes)
        yield self._requests()

    def _gauges(self) -> Iterable[Metric]:
        held = GaugeMetricFamily("penstock_lane_held_bytes", "Bytes a lane holds.", labels=["sink"])
        capacity = GaugeMetricFamily("penstock_lane_capacity_bytes", "Bytes a lane may hold.", labels=["sink"])
        calls = GaugeMetricFamily("penstock_lane_calls_in_flight", "Calls in flight.", labels=["sink"])
        age = GaugeMetricFamily("penstock_lane_oldest_seconds", "Age of the oldest event held.", labels=["sink"])
        for sink, held_bytes, may_hold, in_flight, oldest in self._lanes():
            held.add_metric([sink], held_bytes)
            capacity.add_metric([sink], may_hold)
            calls.add_metric([sink], in_flight)
            age.add_metric([sink], oldest)
        return held, capacity, calls, age

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
            count, buckets = 0, []
            for bound, value in zip((*histogram.bounds, "+Inf"), histogram.counts, strict=True):
                count += value
                buckets.append((str(bound), count))
            family.add_metric([route, str(status)], buckets, histogram.total)
        return family


def _gauge(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, labels: str, counts: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels.split())
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def registry(meter: Meter, lanes: LaneGauges, bills: Bills = tuple) -> CollectorRegistry:
    """A registry of its own, so that nothing else in the process leaks into the page."""
    result = CollectorRegistry(auto_describe=False)
    result.register(MeterCollector(meter, lanes, bills))
    return result
