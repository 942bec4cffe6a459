"""What a source is like at one moment, and what sources have counted."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.telemetry.meter import Meter


class SourceGauges(Struct):
    """One source of one process, or of several that are summed."""

    source: str
    trouble: str | None = None
    """What is wrong, in words; None if all is well."""
    lag: int | None = None
    """Messages that are there and not acknowledged, as far as is known; None where that is never known."""
    waiting_messages: int = 0
    """Received, and not handed over yet: the lanes have no room."""
    waiting_bytes: int = 0
    unsettled_messages: int = 0
    """Received, and not settled: those that wait among them."""
    partitions: int = 0
    """Partitions that it reads, where it has any."""
    paused: int = 0
    """Of them, those that it does not read now: they are too far ahead of what is settled."""


def summed(parts: Sequence[SourceGauges]) -> SourceGauges:
    """One source of all processes."""
    lags = [part.lag for part in parts if part.lag is not None]
    return SourceGauges(
        source=parts[0].source,
        trouble=next((part.trouble for part in parts if part.trouble), None),
        lag=sum(lags) if lags else None,
        waiting_messages=sum(part.waiting_messages for part in parts),
        waiting_bytes=sum(part.waiting_bytes for part in parts),
        unsettled_messages=sum(part.unsettled_messages for part in parts),
        partitions=sum(part.partitions for part in parts),
        paused=sum(part.paused for part in parts),
    )


_GAUGES: tuple[tuple[str, str, Callable[[SourceGauges], int]], ...] = (
    ("penstock_source_messages_waiting", "Received, and without room in the lanes.", attrgetter("waiting_messages")),
    ("penstock_source_waiting_bytes", "Bytes of them.", attrgetter("waiting_bytes")),
    ("penstock_source_messages_unsettled", "Received, and not settled.", attrgetter("unsettled_messages")),
    ("penstock_source_partitions", "Partitions that are read.", attrgetter("partitions")),
    ("penstock_source_partitions_paused", "Of them, too far ahead of what is settled.", attrgetter("paused")),
)


def families(meter: Meter, sources: Sequence[SourceGauges]) -> Iterable[Metric]:
    """Those of `docs/sources.md`; none where there is no source."""
    if not sources:
        return
    skipped = CounterMetricFamily("penstock_source_messages_skipped", "Held no event.", labels=["source", "why"])
    for labels, count in meter.source_skipped.items():
        skipped.add_metric(labels, count)
    yield skipped
    known = CounterMetricFamily("penstock_source_events_deduplicated", "Delivered before.", labels=["source", "route"])
    for labels, count in meter.source_deduplicated.items():
        known.add_metric(labels, count)
    yield known
    lapsed = CounterMetricFamily("penstock_source_messages_lapsed", "Held, and handed out again.", labels=["source"])
    for source, count in meter.source_lapsed.items():
        lapsed.add_metric([source], count)
    yield lapsed
    for name, text, value in _GAUGES:
        family = GaugeMetricFamily(name, text, labels=["source"])
        for each in sources:
            family.add_metric([each.source], value(each))
        yield family
    trouble = GaugeMetricFamily("penstock_source_trouble", "1 while it cannot receive.", labels=["source"])
    lag = GaugeMetricFamily("penstock_source_lag_messages", "There, and not acknowledged.", labels=["source"])
    for each in sources:
        trouble.add_metric([each.source], each.trouble is not None)
        if each.lag is not None:
            lag.add_metric([each.source], each.lag)
    yield trouble
    yield lag
