"""Which lanes' destinations ask for less than there is: throttled events among those tried in the last seconds."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from service.outcome import Reason
from service.telemetry.meter import Meter

WINDOW_SECONDS: Final = 10.0
STEP_SECONDS: Final = 1.0
SHARE: Final = 0.01
"""Of the events tried. Below, a limit is only touched now and then, as it should be."""

_Counts = tuple[int, int]
"""Events throttled and delivered, since the start."""


class Throttling:
    """Counts by sink, one look a second. Times are monotonic."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._looks: deque[tuple[float, Mapping[str, _Counts]]] = deque()

    def look(self, now: float) -> None:
        """Count, if it is time to."""
        if self._looks and now < self._looks[-1][0] + STEP_SECONDS:
            return
        self._looks.append((now, {sink: self._counts(sink) for sink in self._meter.lanes}))
        while len(self._looks) > 1 and self._looks[1][0] <= now - WINDOW_SECONDS:
            self._looks.popleft()

    def holds(self, sink: str) -> bool:
        """Whether it was throttled more than now and then in the last WINDOW_SECONDS."""
        if not self._looks:
            return False
        before = self._looks[0][1].get(sink, (0, 0))
        now = self._counts(sink)
        throttled, delivered = now[0] - before[0], now[1] - before[1]
        return throttled > 0 and throttled >= SHARE * (throttled + delivered)

    def _counts(self, sink: str) -> _Counts:
        times = self._meter.lanes.get(sink)
        delivered = times.event_retries.count if times is not None else 0
        return self._meter.lane_retries[sink, Reason.THROTTLED.value], delivered
