"""What is measured of authentication."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.telemetry.meter import Meter


def families(meter: Meter) -> Iterator[Metric]:
    """Those of `docs/metrics.md`."""
    refused = CounterMetricFamily(
        "penstock_auth_refused", "Requests whose credentials were refused.", labels=["reason"]
    )
    for reason, count in meter.auth_refused.items():
        refused.add_metric([reason], count)
    yield refused
    failures = CounterMetricFamily(
        "penstock_auth_refresh_failures", "Times that keys could not be read again.", labels=["what"]
    )
    refreshed = GaugeMetricFamily(
        "penstock_auth_refreshed_timestamp_seconds", "When keys were last read; Unix time.", labels=["what"]
    )
    for what in sorted({*meter.auth_refreshed, *meter.auth_refresh_failures}):
        failures.add_metric([what], meter.auth_refresh_failures[what])
    for what, moment in meter.auth_refreshed.items():
        refreshed.add_metric([what], moment)
    yield failures
    yield refreshed
