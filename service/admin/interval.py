"""The time between two moments, and what was counted in it; the moments of the last seconds."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from service.admin.moment import Moment
from service.outcome import Reason
from service.receipt import Fate
from service.telemetry.histogram import Histogram

REFUSALS = frozenset({Reason.TOO_LARGE.value, Reason.REFUSED_CONTENT.value})
"""What a destination says of an event that it will never take."""


class Tries(Struct):
    """What became of attempts to deliver events, in one lane or in all."""

    delivered: int = 0
    retried: int = 0
    throttled: int = 0
    """Of those retried."""
    refused: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.delivered + self.retried + self.refused

    def add(self, other: "Tries") -> None:
        """Count those of another lane too."""
        self.delivered += other.delivered
        self.retried += other.retried
        self.throttled += other.throttled
        self.refused += other.refused


class Interval(Struct, frozen=True):
    """The time between two moments."""

    before: Moment
    now: Moment

    @property
    def seconds(self) -> float:
        """Its length, which is never 0: what is divided by it is 0 then."""
        return max(self.now.at - self.before.at, 1e-3)

    def tries(self) -> dict[str, Tries]:
        """By sink; every lane is there."""
        found = {sink: Tries() for sink in self.now.lanes}
        for (sink, _route, fate, reason), count in grown(self.now.lane_settled, self.before.lane_settled).items():
            if fate == Fate.DELIVERED.value:
                found.setdefault(sink, Tries()).delivered += count
            elif reason in REFUSALS:
                found.setdefault(sink, Tries()).refused += count
        for (sink, reason), count in grown(self.now.lane_retries, self.before.lane_retries).items():
            tries = found.setdefault(sink, Tries())
            tries.retried += count
            if reason == Reason.THROTTLED.value:
                tries.throttled += count
        return found

    def delivery_seconds(self, sink: str) -> Histogram | None:
        """Of the events that the lane delivered meanwhile; None where it has never been."""
        now = self.now.delivery_seconds.get(sink)
        return now.since(self.before.delivery_seconds.get(sink)) if now is not None else None


def grown(now: Mapping[Any, int], before: Mapping[Any, int]) -> dict[Any, int]:
    """What was counted meanwhile, where anything was. What a worker counted in its last second may be gone."""
    return {key: count - before.get(key, 0) for key, count in now.items() if count > before.get(key, 0)}


class Window:
    """The moments of the last `seconds`, the newest last, and one before them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.moments: deque[Moment] = deque()

    def add(self, moment: Moment) -> None:
        """The newest; those that are too old are forgotten."""
        self.moments.append(moment)
        while len(self.moments) > 2 and self.moments[1].at <= moment.at - self._seconds:
            self.moments.popleft()

    def last(self, seconds: float) -> Interval:
        """From the last moment that is so long ago, or the first there is, to the newest. One must be there."""
        now = self.moments[-1]
        before = self.moments[0]
        for each in self.moments:
            if each.at > now.at - seconds:
                break
            before = each
        return Interval(before, now)
