"""A quota's bucket: how much of something may be taken now, and else in how many seconds.

GCRA, the generic cell rate algorithm (ITU-T I.371, annex A): a token bucket that is one number, the moment at which it
will be full. So the wait is told by arithmetic, and a bucket that nobody has used is like a new one.
"""

from typing import Final

EVENTS: Final = "events"
BYTES: Final = "bytes"
"""What is counted."""
_ROUNDING_SECONDS: Final = 1e-6
"""A wait that is shorter is none: moments are floating-point numbers."""


class Bucket:
    """One rate of one who is held to it. Times are monotonic, in seconds.

    In any window of `t` seconds it gives at most `rate` times `t + burst`. What is more than the burst is given once
    the bucket is full, and leaves a debt: it would never pass otherwise, and the rate holds in the long run.
    """

    __slots__ = ("burst", "full_at", "name", "rate", "unit")

    def __init__(self, name: str, unit: str, rate: float, burst: float) -> None:
        """`name`: the quota's. `unit`: events or bytes. `rate` a second; `burst` in seconds of it."""
        self.name = name
        self.unit = unit
        self.rate = rate
        self.burst = burst
        self.full_at = 0.0
        """When it will be full."""

    def wait(self, amount: float, now: float, paid: float = 0.0) -> float:
        """Seconds until `amount` may be taken; 0 if it may now. `paid`: what of it was taken already."""
        missing = self.full_at - now
        if paid:
            missing -= paid / self.rate
        if missing <= 0.0:
            return 0.0
        seconds = missing - max(0.0, self.burst - amount / self.rate)
        return seconds if seconds > _ROUNDING_SECONDS else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take `amount`, whether or not it is there."""
        self.full_at = max(self.full_at, now) + amount / self.rate

    def give_back(self, amount: float) -> None:
        """What was taken was not used. It is never fuller than full: that is a moment that is over."""
        self.full_at -= amount / self.rate
