"""What one call adds to the times of its lane: a few sums for each call, whatever it carried."""

from collections.abc import Sequence

from service.delivery.entry import Entry
from service.telemetry.meter import LaneTimes


def measure(times: LaneTimes, delivered: Sequence[Entry], events: int, started: float, ended: float) -> None:
    """Count a call with so many events, from loop time `started` to `ended`, and those of its entries that it
    delivered."""
    took = ended - started
    times.call_seconds.observe(took)
    times.call_events.observe(events)
    if not delivered:
        return
    if len(delivered) == 1:
        entry = delivered[0]
        waited = max(started - entry.queued_at, 0.0)
        times.buffering_seconds.observe(waited)
        times.delivery_seconds.observe(waited + took)
        times.event_retries.observe(entry.attempts)
        times.delivered_bytes += entry.size
        return
    events = len(delivered)
    moments = [entry.queued_at for entry in delivered]
    first, last = min(moments), max(moments)
    if first == last:  # those of one request, as they mostly are
        waited = max(started - first, 0.0)
        times.buffering_seconds.observe(waited, events)
        times.delivery_seconds.observe(waited + took, events)
    else:
        waits = sorted([max(started - moment, 0.0) for moment in moments])
        times.buffering_seconds.observe_sorted(waits)
        times.delivery_seconds.observe_sorted([wait + took for wait in waits])
    retries = [entry.attempts for entry in delivered]
    if any(retries):
        retries.sort()
    times.event_retries.observe_sorted(retries)
    times.delivered_bytes += sum([entry.size for entry in delivered])
