"""What a snapshot holds of CloudWatch's metrics, as totals since the start of the process.

A copy, which shares nothing with the meter that goes on counting, and no larger than the configuration is.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from service.errors import Code
from service.outcome import Reason
from service.receipt import Fate
from service.telemetry.conservation import unbalanced
from service.telemetry.histogram import Histogram
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.snapshot import Snapshot

Series = tuple[str, str]
"""A metric's name, and the value of its dimension beside `Service`; empty where it has none."""

NO_ROUTE = "(none)"
"""The route of what found none: no route has such a name, and the value of a dimension must not be empty."""

_FATES = {
    Fate.DELIVERED: "UserRecordsPut",
    Fate.REJECTED: "EventsRejectedBySink",
    Fate.EXPIRED: "EventsGivenBack",
    Fate.DEAD_LETTERED: "EventsDeadLettered",
    Fate.DIVERTED: "EventsDiverted",
    Fate.DROPPED: "EventsDropped",
}


class Totals(Struct):
    """All of one moment."""

    counts: dict[Series, int]
    spreads: dict[Series, Histogram]
    """In the units that they were measured in: seconds, not milliseconds."""
    levels: dict[Series, float]
    packed: dict[str, int]
    """By sink of Kinesis: the user records in the Kinesis records that were put."""


def read(snapshot: Snapshot, moment: float) -> Totals:
    """The totals of `snapshot` at `moment`, in Unix seconds. Where it holds a live meter: only on the event loop."""
    totals = Totals({}, {}, {}, {})
    meter = snapshot.meter
    _edge(meter, totals)
    _lanes(meter, totals)
    for sink, bill in snapshot.bills.items():
        if "kinesis_records" in bill:
            totals.counts["KinesisRecordsPut", sink] = bill["kinesis_records"]
            totals.packed[sink] = bill["kinesis_user_records"]
    for lane in snapshot.lanes:
        _lane(lane, totals)
    for source in snapshot.sources:
        if source.lag is not None:
            totals.levels["ConsumerLag", source.source] = source.lag
    if (journal := snapshot.journal) is not None:
        totals.levels["JournalFullness", ""] = 100 * journal.used_bytes / journal.max_bytes
        totals.levels["JournalOldestAge", ""] = journal.oldest_seconds
    if meter.tls_expiry:
        totals.levels["CertificateTimeLeft", ""] = max(0.0, min(meter.tls_expiry.values()) - moment)
    totals.counts["AuthRefreshFailures", ""] = meter.auth_refresh_failures.total()
    totals.levels["EventsUnaccounted", ""] = unaccounted(meter)
    totals.counts["DatumsDropped", ""] = meter.cloudwatch_dropped
    return totals


def unaccounted(meter: Meter) -> int:
    """By how many events the books of lanes and of the journal are out: 0, or there is a defect."""
    return sum(abs(off.events) for off in unbalanced(meter))


def _edge(meter: Meter, totals: Totals) -> None:
    for (_, route), count in meter.edge_received.items():
        _count(totals, "EventsReceived", route or NO_ROUTE, count)
    for (_, route, reason), count in meter.edge_rejected.items():
        name = "EventsRefusedBusy" if reason == Code.BUSY else "EventsRejected"
        _count(totals, name, route or NO_ROUTE, count)
    for (route, _), answers in meter.request_seconds.items():
        if route:  # of other paths, such as health checks, nobody asks
            totals.spreads.setdefault(("AnswerTime", route), Histogram(answers.bounds)).add(answers)


def _lanes(meter: Meter, totals: Totals) -> None:
    _by_sink(totals, "UserRecordsReceived", meter.lane_received.items())
    for (sink, _, fate, _), count in meter.lane_settled.items():
        _count(totals, _FATES[Fate(fate)], sink, count)
    for (sink, reason), count in meter.lane_retries.items():
        _count(totals, "AllErrors", sink, count)
        if reason == Reason.THROTTLED:
            _count(totals, "ThrottledRecords", sink, count)
    for (sink, _), held in meter.lane_held.items():
        totals.levels["UserRecordsPending", sink] = totals.levels.get(("UserRecordsPending", sink), 0) + held
    for sink, times in meter.lanes.items():
        totals.counts["UserRecordsDataPut", sink] = times.delivered_bytes
        for name, histogram in _spreads(times).items():
            totals.spreads[name, sink] = histogram.since(None)


def _spreads(times: LaneTimes) -> Mapping[str, Histogram]:
    return {
        "UserRecordsPerCall": times.call_events,
        "RetriesPerRecord": times.event_retries,
        "BufferingTime": times.buffering_seconds,
        "RequestTime": times.call_seconds,
        "DeliveryTime": times.delivery_seconds,
    }


def _lane(lane: LaneGauges, totals: Totals) -> None:
    levels = totals.levels
    levels.setdefault(("UserRecordsPending", lane.sink), 0)
    levels["OldestEventAge", lane.sink] = lane.oldest_seconds
    levels["LaneFullness", lane.sink] = 100 * lane.held_bytes / lane.capacity_bytes
    levels["BreakerOpen", lane.sink] = float(lane.breaker != "closed")


def _by_sink(totals: Totals, name: str, counts: Iterable[tuple[tuple[str, str], int]]) -> None:
    for (sink, _), count in counts:
        _count(totals, name, sink, count)


def _count(totals: Totals, name: str, of: str, count: int) -> None:
    totals.counts[name, of] = totals.counts.get((name, of), 0) + count
