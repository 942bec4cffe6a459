"""The meter: plain integers, updated once per batch by those who do the work and read by everything else.

Single-threaded by contract: only the event loop's thread touches it, so any one read is a consistent snapshot.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import time

from msgspec import Struct
from msgspec import field as part

from service.telemetry.histogram import (
    COMMIT_SECONDS,
    EVENTS,
    LANE_SECONDS,
    LOOP_SECONDS,
    REQUEST_SECONDS,
    RETRIES,
    Histogram,
)

REFUSED = "refused"
"""The outcome of what no lane took, beside those of `receipt.Fate`."""
_ID_CHARACTERS = 64
_DETAIL_CHARACTERS = 256


class LaneTimes(Struct):
    """How long things take in one lane, and how much of what: updated once for each call."""

    call_seconds: Histogram = part(default_factory=lambda: Histogram(LANE_SECONDS))
    """Duration of calls, whatever became of them."""
    call_events: Histogram = part(default_factory=lambda: Histogram(EVENTS))
    """Events in one call."""
    buffering_seconds: Histogram = part(default_factory=lambda: Histogram(LANE_SECONDS))
    """Of events that were delivered: from their coming into the lane to the start of the call that delivered them."""
    delivery_seconds: Histogram = part(default_factory=lambda: Histogram(LANE_SECONDS))
    """The same, to the end of that call."""
    event_retries: Histogram = part(default_factory=lambda: Histogram(RETRIES))
    """Attempts that failed before an event was delivered."""
    delivered_bytes: int = 0
    """Of events that were delivered: their bodies and keys, as the sink's limits count them."""

    def add(self, other: "LaneTimes") -> None:
        """Count what another lane of the same sink has counted."""
        self.call_seconds.add(other.call_seconds)
        self.call_events.add(other.call_events)
        self.buffering_seconds.add(other.buffering_seconds)
        self.delivery_seconds.add(other.delivery_seconds)
        self.event_retries.add(other.event_retries)
        self.delivered_bytes += other.delivered_bytes


class Last(Struct, frozen=True):
    """The last event that ended in one way other than well."""

    at: float
    """Seconds since the epoch."""
    id: str
    """The event's, cut to 64 characters; empty where it has none."""
    detail: str
    """What its destination said, or why it is none: cut to 256 characters. May quote the event."""


Loss = Callable[[str, str], tuple[str, str]]
"""The fate and the reason of what a sink held of a route when its process died."""


@dataclass(slots=True)
class Meter:
    """Every counter of the process. Keys are label values, from closed sets only."""

    edge_received: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events found in readable bodies, by (source, route)."""
    edge_rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Events refused before any lane took them, by (source, route, error code)."""
    source_skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Messages that hold no event and are none that went wrong, by (source, why)."""
    source_deduplicated: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events that were delivered before, and passed over, by (source, route)."""
    source_lapsed: Counter[str] = field(default_factory=Counter)
    """Messages that a queue may hand out again although they are held here, by source."""
    lane_received: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events a lane became responsible for, by (sink, route)."""
    lane_settled: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Events whose lane is done with them, by (sink, route, fate, reason); reason is empty when delivered."""
    lane_held: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events in a lane now, by (sink, route)."""
    lane_attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls that ended, by (sink, result): `delivered`, or the reason of the first failure in it."""
    lane_retries: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events queued for another attempt, by (sink, reason)."""
    lanes: dict[str, LaneTimes] = field(default_factory=dict)
    """By sink."""
    last: dict[tuple[str, str, str, str], Last] = field(default_factory=dict)
    """By (where, route, outcome, reason): where is a source for what was refused at the edge, else a sink."""
    connections_open: Counter[str] = field(default_factory=Counter)
    """TCP connections now, by port (server, admin)."""
    connections_refused: Counter[str] = field(default_factory=Counter)
    """TCP connections that were one too many, by port."""
    auth_refused: Counter[str] = field(default_factory=Counter)
    """Requests whose credentials were refused, by `auth.refusal.Why`."""
    auth_refresh_failures: Counter[str] = field(default_factory=Counter)
    """Times that what credentials are checked with could not be read again, by `keys` or `jwt`."""
    auth_refreshed: dict[str, float] = field(default_factory=dict)
    """When it was last read, in Unix seconds, by the same."""
    tls_failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """TLS handshakes that failed, by (port, why)."""
    tls_renewals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Changes of a certificate's files, by (port, result): `renewed`, or `failed` when the old one was kept."""
    tls_expiry: dict[str, float] = field(default_factory=dict)
    """When a port's certificate is out of date, in Unix seconds, by port."""
    requests_open: int = 0
    """HTTP requests whose answer is not sent yet."""
    body_bytes: int = 0
    """Memory of HTTP bodies that are being read, and of answers that are being sent, now."""
    quota_refusals: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Requests that were more than a quota allows, by (principal that the quotas name, or `other`; route; quota)."""
    share_refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests of producers that hold more than their share of what is scarce, by (resource, sink)."""
    loop_lag_seconds: Histogram = field(default_factory=lambda: Histogram(LOOP_SECONDS))
    """How long the event loop took to answer the watchdog, which asks four times a second."""
    request_seconds: dict[tuple[str, int], Histogram] = field(default_factory=dict)
    """Duration of HTTP requests from the end of the head to the answer, by (route, status)."""

    journal_stored: Counter[str] = field(default_factory=Counter)
    """Events that were stored, by route."""
    journal_failed: Counter[str] = field(default_factory=Counter)
    """Events whose commit failed, by route: they may be on the disk, and are not delivered from there."""
    journal_queued: Counter[str] = field(default_factory=Counter)
    """Events that wait to be committed now, by route."""
    journal_damaged: int = 0
    """Stored events that could not be read."""
    journal_failures: int = 0
    """Commits that failed."""
    journal_commit_seconds: Histogram = field(default_factory=lambda: Histogram(COMMIT_SECONDS))
    """Duration of commits, the sync of the disk among it."""
    journal_commit_events: Histogram = field(default_factory=lambda: Histogram(EVENTS))
    """Events stored by one commit."""

    cloudwatch_published: int = 0
    """Datums that CloudWatch took, or standard output."""
    cloudwatch_dropped: int = 0
    """Datums that neither took, given up."""
    spans_dropped: int = 0
    """Spans of traces that no collector took."""

    @property
    def journal_taken(self) -> Counter[str]:
        """Events that were stored, failed to be, or wait for it, by route; a new object."""
        taken = self.journal_stored + self.journal_failed
        taken.update(self.journal_queued)
        return taken

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is a configured name, or empty for everything else."""
        histogram = self.request_seconds.get((route, status))
        if histogram is None:
            histogram = self.request_seconds[route, status] = Histogram(REQUEST_SECONDS)
        histogram.observe(seconds)

    def note_last(self, where: str, route: str, outcome: str, reason: str, event: str, detail: str) -> None:
        """Remember an event (its id) that ended in this way; the one before is forgotten."""
        self.last[where, route, outcome, reason] = Last(time(), event[:_ID_CHARACTERS], detail[:_DETAIL_CHARACTERS])

    def add(self, other: "Meter") -> None:
        """Count what another process has counted, and what it has open."""
        self.edge_received.update(other.edge_received)
        self.edge_rejected.update(other.edge_rejected)
        self.source_skipped.update(other.source_skipped)
        self.source_deduplicated.update(other.source_deduplicated)
        self.source_lapsed.update(other.source_lapsed)
        self.lane_received.update(other.lane_received)
        self.lane_settled.update(other.lane_settled)
        self.lane_held.update(other.lane_held)
        self.lane_attempts.update(other.lane_attempts)
        self.lane_retries.update(other.lane_retries)
        self.connections_open.update(other.connections_open)
        self.connections_refused.update(other.connections_refused)
        self.auth_refused.update(other.auth_refused)
        self.auth_refresh_failures.update(other.auth_refresh_failures)
        for what, moment in other.auth_refreshed.items():
            self.auth_refreshed[what] = min(moment, self.auth_refreshed.get(what, moment))
        self.tls_failures.update(other.tls_failures)
        self.tls_renewals.update(other.tls_renewals)
        for port, expiry in other.tls_expiry.items():
            self.tls_expiry[port] = min(expiry, self.tls_expiry.get(port, expiry))
        self.quota_refusals.update(other.quota_refusals)
        self.share_refusals.update(other.share_refusals)
        self.requests_open += other.requests_open
        self.body_bytes += other.body_bytes
        self.loop_lag_seconds.add(other.loop_lag_seconds)
        self.journal_stored.update(other.journal_stored)
        self.journal_failed.update(other.journal_failed)
        self.journal_queued.update(other.journal_queued)
        self.journal_damaged += other.journal_damaged
        self.journal_failures += other.journal_failures
        self.spans_dropped += other.spans_dropped
        self.journal_commit_seconds.add(other.journal_commit_seconds)
        self.journal_commit_events.add(other.journal_commit_events)
        self.cloudwatch_published += other.cloudwatch_published
        self.cloudwatch_dropped += other.cloudwatch_dropped
        for sink, times in other.lanes.items():
            self.lanes.setdefault(sink, LaneTimes()).add(times)
        for ended, last in other.last.items():
            if ended not in self.last or self.last[ended].at < last.at:
                self.last[ended] = last
        for labels, histogram in other.request_seconds.items():
            self.request_seconds.setdefault(labels, Histogram(histogram.bounds)).add(histogram)

    def close(self, loss: Loss) -> None:
        """The process that counted this is gone: nothing is open any more, and what it held is settled as `loss` says.

        So the books of all processes together balance as before.
        """
        for (sink, route), count in self.lane_held.items():
            if count:
                self.lane_settled[sink, route, *loss(sink, route)] += count
            self.lane_held[sink, route] = 0
        for route, count in self.journal_queued.items():
            self.journal_failed[route] += count
            self.journal_queued[route] = 0
        self.connections_open = Counter(dict.fromkeys(self.connections_open, 0))
        self.auth_refreshed = {}
        self.tls_expiry = {}
        self.requests_open = self.body_bytes = 0
