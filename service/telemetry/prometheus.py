"""A snapshot in Prometheus form."""

from collections.abc import Iterable
from platform import python_version

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from service import __version__
from service.telemetry import auth, journal, lane, source
from service.telemetry.families import counter
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot


class SnapshotCollector(Collector):
    """Turns one snapshot into metric families."""

    def __init__(self, found: Snapshot) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """Every family of `docs/metrics.md`, in one consistent snapshot."""
        meter = self._found.meter
        build = GaugeMetricFamily("penstock_build_info", "Version.", labels=["version", "python"])
        build.add_metric([__version__, python_version()], 1)
        yield build
        yield counter(
            "penstock_events_received",
            "Events found in readable requests.",
            "source route",
            meter.edge_received,
        )
        yield counter(
            "penstock_events_rejected",
            "Events refused before a lane took them.",
            "source route reason",
            meter.edge_rejected,
        )
        yield from lane.families(meter, self._found.lanes)
        yield from self._billed()
        yield from journal.families(meter, self._found.journal)
        yield from source.families(meter, self._found.sources)
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
        yield from auth.families(meter)
        yield from _tls(meter)
        yield counter(
            "penstock_quota_refusals",
            "Requests that were more than a quota allows.",
            "principal route quota",
            meter.quota_refusals,
        )
        yield counter(
            "penstock_share_refusals",
            "Requests of producers that hold more than their share of what is scarce.",
            "resource sink",
            meter.share_refusals,
        )
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

    def _billed(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily] = {}
        for sink, bill in self._found.bills.items():
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
        for (route, status), histogram in self._found.meter.request_seconds.items():
            family.add_metric([route, str(status)], histogram.cumulated(), histogram.total)
        return family


def _tls(meter: Meter) -> Iterable[Metric]:
    expiry = GaugeMetricFamily(
        "penstock_tls_certificate_expiry_timestamp_seconds", "End of the certificate's validity.", labels=["port"]
    )
    for port, moment in meter.tls_expiry.items():
        expiry.add_metric([port], moment)
    yield expiry
    yield counter(
        "penstock_tls_certificate_renewals", "Changes of the certificate's files.", "port result", meter.tls_renewals
    )
    yield counter("penstock_tls_handshakes_failed", "Handshakes that failed.", "port reason", meter.tls_failures)


def _gauge(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def registry(found: Snapshot) -> CollectorRegistry:
    """A registry of its own, so that nothing else in the process leaks into the page."""
    result = CollectorRegistry(auto_describe=False)
    result.register(SnapshotCollector(found))
    return result
