"""What lanes have done in the last minute: their histograms of now, less those of a minute ago."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from service.telemetry.histogram import Histogram
from service.telemetry.meter import Meter

MINUTE_SECONDS: Final = 60.0
STEP_SECONDS: Final = 10.0


class Minute:
    """Copies of the lanes' delivery times, one each STEP_SECONDS: 60 numbers a lane. Times are monotonic."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._copies: deque[tuple[float, Mapping[str, Histogram]]] = deque()

    def look(self, now: float) -> None:
        """Copy, if it is time to."""
        if self._copies and now < self._copies[-1][0] + STEP_SECONDS:
            return
        copies = {sink: times.delivery_seconds.since(None) for sink, times in self._meter.lanes.items()}
        self._copies.append((now, copies))
        while len(self._copies) > 1 and self._copies[1][0] <= now - MINUTE_SECONDS:
            self._copies.popleft()

    def lanes(self) -> dict[str, Histogram]:
        """Delivery times by sink, of the last 60 to 70 s, or since the start."""
        before = self._copies[0][1] if self._copies else {}
        return {sink: times.delivery_seconds.since(before.get(sink)) for sink, times in self._meter.lanes.items()}
