"""How long the event loop lets wait, and whether it was stuck so lately that requests had better go elsewhere."""

from collections import deque
from time import time
from typing import Final

from msgspec import Struct

from service.telemetry.meter import Meter

MINUTE_SECONDS: Final = 60.0
STEP_SECONDS: Final = 5.0
"""The worst lags of a minute are kept by as much."""
STUCK_SECONDS: Final = 5.0
"""A lag from here on makes the loop one that was stuck. Half of what is told as such at once: a probe's time-out is
over long before."""
WELL_SECONDS: Final = 1.0
STUCK_FOR_SECONDS: Final = 30.0
"""It stays so until no lag was WELL_SECONDS or more for so long: readiness must not come and go."""


class LoopGauges(Struct, frozen=True):
    """What the loop of one process is like, or the worst of several."""

    worst_seconds: float = 0.0
    """Its longest lag in the last minute."""
    stuck_since: float | None = None
    """Unix time; None unless it was stuck a moment ago, and may be again."""


def worst(parts: list[LoopGauges]) -> LoopGauges:
    """Of several loops."""
    stuck = [part.stuck_since for part in parts if part.stuck_since is not None]
    return LoopGauges(max((part.worst_seconds for part in parts), default=0.0), min(stuck, default=None))


class Lag:
    """The lags of one loop. Times are monotonic, in seconds."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._worst: deque[tuple[float, float]] = deque()
        """By the moment from which they are: the worst in STEP_SECONDS."""
        self._stuck_since: float | None = None
        self._unwell_at = 0.0

    def note(self, lag: float, now: float) -> None:
        """The loop has answered after so long."""
        self._meter.loop_lag_seconds.observe(lag)
        if self._worst and now < self._worst[-1][0] + STEP_SECONDS:
            since, before = self._worst[-1]
            self._worst[-1] = since, max(before, lag)
        else:
            self._worst.append((now, lag))
        while self._worst[0][0] <= now - MINUTE_SECONDS:
            self._worst.popleft()
        if lag >= STUCK_SECONDS:
            self._stuck_since = self._stuck_since or time() - lag
        if lag >= WELL_SECONDS:
            self._unwell_at = now
        elif now >= self._unwell_at + STUCK_FOR_SECONDS:
            self._stuck_since = None

    @property
    def gauges(self) -> LoopGauges:
        """What it is like now."""
        return LoopGauges(max((lag for _, lag in self._worst), default=0.0), self._stuck_since)
