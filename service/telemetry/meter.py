"""The meter: plain integers, updated once per batch by those who do the work and read by everything else.

Single-threaded by contract: only the event loop's thread touches it, so any one read is a consistent snapshot.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

REQUEST_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
)
"""Upper bounds of the request duration histogram, in seconds."""


class Histogram:
    """Counts per fixed bucket, and the sum; the last bucket has no upper bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Meter:
    """Every counter of the process. Keys are label values, from closed sets only."""

    edge_received: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events found in readable bodies, by (source, route)."""
    edge_rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Events refused before any lane took them, by (source, route, error code)."""
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
    connections_open: Counter[str] = field(default_factory=Counter)
    """TCP connections now, by port (server, admin)."""
    connections_refused: Counter[str] = field(default_factory=Counter)
    """TCP connections that were one too many, by port."""
    requests_open: int = 0
    """HTTP requests whose answer is not sent yet."""
    body_bytes: int = 0
    """Memory of HTTP bodies that are being read, and of answers that are being sent, now."""
    request_seconds: dict[tuple[str, int], Histogram] = field(default_factory=dict)
    """Duration of HTTP requests from the end of the head to the answer, by (route, status)."""

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is a configured name, or empty for everything else."""
        histogram = self.request_seconds.get((route, status))
        if histogram is None:
            histogram = self.request_seconds[route, status] = Histogram(REQUEST_SECONDS)
        histogram.observe(seconds)
