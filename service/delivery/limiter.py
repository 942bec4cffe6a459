"""How many calls a lane may have in flight: found by measuring, not guessed.

A round is as many ended calls as the limit allows. In slow start the limit doubles per round until the first sign of
congestion. From then on it grows by one per round, while it is used up and round trips stay below TOLERANCE times the
base. At a sign of congestion the limit is halved, round by round, until the round trip no longer falls: a queue of
ours has then drained, and what remains is the destination's own time, the new base. So a destination which has become
slower is told from one which we have overloaded. What it can have in flight is rate times base (Little's law); the
limit becomes HEADROOM times that. Calls that fail as a whole cut the limit, once a round.

A permit is held during a call alone, never while backing off. Reasons: docs/decisions, "Adaptive concurrency".
"""

from enum import Enum, auto

TOLERANCE = 1.75
"""Above this multiple of the base a round trip is mostly waiting in the destination's queue."""
EARLY_TOLERANCE = 1.3
"""The same in slow start, where half of a round's calls began under half of the limit."""
HEADROOM = 1.25
"""How much more than its capacity a destination is offered, so that a higher capacity can show."""
DRAINING = 0.75
"""A halved limit that brings the round trip below this share of what it was shows that there still was a queue."""
CUT = 0.7
"""What remains of the limit after a round with failed calls."""
GRACE_SECONDS = 0.002
"""Differences below this are the machine's noise, not the destination's queue."""


class Phase(Enum):
    """What the limiter is doing."""

    SLOW_START = auto()
    AVOIDANCE = auto()
    PROBING = auto()
    """Limit halved, to measure the base."""


class Limiter:
    """The limit of one lane, between `floor` and `ceiling` calls. Equal ones never move."""

    def __init__(self, floor: int, ceiling: int) -> None:
        self.phase = Phase.SLOW_START
        self.base = 0.0
        """Mean round trip, in seconds, when the destination had no queue of ours; 0 until known."""
        self._floor = float(floor)
        self._ceiling = float(ceiling)
        self._limit = float(floor)
        self._before_probe = (0.0, 0.0)
        """Limit and mean round trip that led to the probe."""
        self._last_probe = 0.0
        self._stale = 0
        """Calls that began before the probe: their round trips say nothing of it."""
        self._begin_round()

    def _begin_round(self) -> None:
        self._ended = 0
        self._seconds = 0.0
        self._failed = False
        self._filled = False

    @property
    def limit(self) -> int:
        """Calls that may be in flight."""
        return int(self._limit)

    def began(self, in_flight: int) -> None:
        """A call has begun; `in_flight` counts it."""
        if in_flight >= self.limit:
            self._filled = True

    def ended(self, seconds: float, failed: bool, in_flight: int) -> None:
        """A call has ended after `seconds`; `in_flight` counts those that remain.

        `failed`: the destination gave nothing but trouble. A call that only found a partition throttled has not.
        """
        if self._stale:
            self._stale -= 1
            return
        self._ended += 1
        self._seconds += seconds
        self._failed |= failed
        if self._ended >= self.limit:
            self._end_round(in_flight)
            self._begin_round()

    def _end_round(self, in_flight: int) -> None:
        mean = self._seconds / self._ended
        if self._failed:
            self._settle(self._limit * CUT)
            return
        tolerance = EARLY_TOLERANCE if self.phase is Phase.SLOW_START else TOLERANCE
        crowded = mean > (self.base or mean) * tolerance + GRACE_SECONDS
        faster = mean * TOLERANCE + GRACE_SECONDS < self.base
        if self.phase is Phase.PROBING:
            if crowded and mean < self._last_probe * DRAINING and self.limit > self._floor:
                self._halve(mean, in_flight)
                return
            self.base = mean if crowded else min(self.base, mean)
            limit, before = self._before_probe
            # uvloop's clock counts milliseconds: a round trip may have taken none
            shorter = min(1.0, self.base / before) if before else 1.0
            self._settle(limit * shorter * HEADROOM)
            return
        self.base = min(self.base or mean, mean)
        if crowded or faster:
            self._before_probe = (self._limit, mean)
            self.phase = Phase.PROBING
            self._halve(mean, in_flight)
        elif self._filled:
            self._limit = min(self._ceiling, self._limit * 2 if self.phase is Phase.SLOW_START else self._limit + 1)

    def _halve(self, mean: float, in_flight: int) -> None:
        self._last_probe = mean
        self._limit = max(self._floor, self._limit / 2)
        self._stale = in_flight

    def _settle(self, limit: float) -> None:
        self._limit = min(self._ceiling, max(self._floor, limit))
        self.phase = Phase.AVOIDANCE
