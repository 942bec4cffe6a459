"""What a journal is like at one moment, in plain values, and its metrics in Prometheus form."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from service.telemetry.histogram import Histogram
from service.telemetry.meter import Meter

Waiting = dict[tuple[str, str], int]
"""Events that are not settled, by (sink, route)."""


class JournalGauges(Struct, frozen=True):
    """What the journal of one process is like now, or those of several are together."""

    used_bytes: int
    """Of the disk: rows, and the log."""
    max_bytes: int
    free_bytes: int
    """Of the disk that it is on."""
    queued_bytes: int
    """Of memory, for what waits to be committed."""
    oldest_seconds: float
    """Since the oldest row that is left was stored; 0 if there is none."""
    waiting: Waiting
    trouble: str | None
    """Why it takes nothing now, in words; None if it does."""


_GAUGES: Final = (
    ("used_bytes", "Bytes of the disk that are used."),
    ("max_bytes", "Bytes of the disk that may be used."),
    ("free_bytes", "Bytes of the disk that are free."),
    ("queued_bytes", "Bytes of memory for what waits to be committed."),
    ("oldest_seconds", "Age of the oldest row that is left."),
)


def summed(parts: Sequence[JournalGauges]) -> JournalGauges | None:
    """The journals of several processes as one; None if there is none. They share a disk, as far as is known."""
    if not parts:
        return None
    waiting: Waiting = {}
    for part in parts:
        for which, count in part.waiting.items():
            waiting[which] = waiting.get(which, 0) + count
    return JournalGauges(
        used_bytes=sum(part.used_bytes for part in parts),
        max_bytes=sum(part.max_bytes for part in parts),
        free_bytes=min(part.free_bytes for part in parts),
        queued_bytes=sum(part.queued_bytes for part in parts),
        oldest_seconds=max(part.oldest_seconds for part in parts),
        waiting=waiting,
        trouble=next((part.trouble for part in parts if part.trouble is not None), None),
    )


def families(meter: Meter, gauges: JournalGauges | None) -> Iterable[Metric]:
    """The journal's metrics; none where nothing is stored."""
    if gauges is None and not meter.journal_stored:
        return
    yield _by_route("penstock_journal_events_stored", "Events that are on the disk.", meter.journal_stored)
    yield _by_route("penstock_journal_events_failed", "Events whose commit failed.", meter.journal_failed)
    queued = GaugeMetricFamily("penstock_journal_events_queued", "Events that wait to be committed.", labels=["route"])
    for route, count in meter.journal_queued.items():
        queued.add_metric([route], count)
    yield queued
    yield CounterMetricFamily(
        "penstock_journal_events_damaged", "Stored events that could not be read.", value=meter.journal_damaged
    )
    yield CounterMetricFamily("penstock_journal_commit_failures", "Commits that failed.", value=meter.journal_failures)
    yield _histogram("commit_seconds", "Duration of commits.", meter.journal_commit_seconds)
    yield _histogram("commit_events", "Events stored by one commit.", meter.journal_commit_events)
    if gauges is None:
        return
    for name, text in _GAUGES:
        yield GaugeMetricFamily(f"penstock_journal_{name}", text, value=attrgetter(name)(gauges))
    waiting = GaugeMetricFamily("penstock_journal_events_waiting", "Events not settled.", labels=["sink", "route"])
    for which, count in gauges.waiting.items():
        waiting.add_metric(which, count)
    yield waiting
    yield GaugeMetricFamily("penstock_journal_trouble", "1 while nothing is stored.", value=gauges.trouble is not None)


def _by_route(name: str, text: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["route"])
    for route, count in counts.items():
        family.add_metric([route], count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(f"penstock_journal_{name}", text)
    family.add_metric([], histogram.cumulated(), histogram.total)
    return family
