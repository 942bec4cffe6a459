"""Counts per fixed bucket: what is measured is kept as whole numbers, and can be summed and subtracted."""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from math import inf
from typing import Final

from msgspec import Struct

REQUEST_SECONDS: Final = (
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
"""Upper bounds for the duration of HTTP requests, in seconds."""

COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""For the journal's commits, in seconds."""
LOOP_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""For how long the event loop lets wait, in seconds."""
EVENTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""For events in one of something."""
RETRIES: Final = (0, 1, 2, 3, 4, 5, 10, 20, 50)
"""For attempts after the first one."""

_STEPS: Final = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
"""Ten to a decade, each about a quarter above the one before: preferred numbers (ISO 3, R10, rounded)."""

LANE_SECONDS: Final = tuple(round(step * 10.0**power, 6) for power in range(-4, 3) for step in _STEPS)[3:61]
"""For what a lane and its destination take, in seconds: 0.2 ms to 100 s. A percentile is told within a quarter."""


LANE_SECONDS_SHOWN: Final = frozenset(LANE_SECONDS) & {
    round(step * 10.0**power, 6) for power in range(-4, 3) for step in (1.0, 2.5, 5.0)
}
"""Of those, what Prometheus gets: three to a decade, for each is a series."""


class Histogram(Struct):
    """Counts per fixed bucket, and the sum; the last bucket has no upper bound."""

    bounds: tuple[float, ...]
    counts: list[int] = []
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    @property
    def count(self) -> int:
        """Values that were counted."""
        return sum(self.counts)

    def observe(self, value: float, times: int = 1) -> None:
        """Count one value, or the same one so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def observe_sorted(self, values: Sequence[float]) -> None:
        """Count many, the least of them first: once for each bucket, not for each value."""
        if not values:
            return
        if values[0] == values[-1]:
            self.observe(values[0], len(values))
            return
        self.total += sum(values)
        bucket = bisect_left(self.bounds, values[0])
        last = bisect_left(self.bounds, values[-1], bucket)
        at = 0
        while bucket < last:
            after = bisect_right(values, self.bounds[bucket], at)
            self.counts[bucket] += after - at
            at, bucket = after, bucket + 1
        self.counts[last] += len(values) - at

    def cumulated(self, shown: Container[float] | None = None) -> list[tuple[str, int]]:
        """By upper bound, as Prometheus writes it: how many values are not above it. `shown`: only these bounds."""
        count, buckets = 0, []
        for bound, value in zip((*self.bounds, inf), self.counts, strict=True):
            count += value
            if shown is None or bound in shown or bound == inf:
                buckets.append(("+Inf" if bound == inf else str(bound), count))
        return buckets

    def quantile(self, share: float) -> float | None:
        """The value that `share` (0 to 1) of those counted do not exceed, as the bound of its bucket; None if none was.

        Of the last bucket, which has no bound, the greatest bound there is.
        """
        wanted = share * self.count
        if not wanted:
            return None
        for bound, count in zip(self.bounds, self.counts, strict=False):
            wanted -= count
            if wanted <= 0:
                return bound
        return self.bounds[-1]

    def since(self, before: "Histogram | None") -> "Histogram":
        """What was counted after `before`, an earlier copy of this one."""
        if before is None:
            return Histogram(self.bounds, list(self.counts), self.total)
        counts = [now - then for now, then in zip(self.counts, before.counts, strict=True)]
        return Histogram(self.bounds, counts, self.total - before.total)

    def add(self, other: "Histogram") -> None:
        """Count what another one with the same bounds has counted."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
