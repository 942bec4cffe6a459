"""How fast one partition may be sent to: a token bucket whose rate follows what throttling says.

It starts at the partition's nominal pace and never exceeds it. A throttled write says that the capacity is what was
delivered in the last second (others may use the rest): the rate goes just below that, and grows again, slowly at
first. What is sent may leave a debt, so that one large event can pass a small bucket.
"""

from service.sinks.contract import Pace

BURST_SECONDS = 0.25
"""How much unused pace is kept."""
QUANTUM_SECONDS = 0.05
"""An empty bucket is worth a call again once it holds this much pace: at most 20 calls a second per partition."""
BACK_TO = 0.98
"""Share of what was delivered in the last second that a throttled partition is sent."""
LOOK_AGAIN_SECONDS = 1.0
"""A bucket stays closed no longer without a new look: its rate may grow faster than it was when it closed."""
LEAST = 0.01
"""Share of the nominal pace below which the rate never falls: back-off does the rest."""
GROWTH = 0.01
"""Share of the nominal pace that the rate gains in the first second without throttling; it doubles each second."""
FASTEST_GROWTH = 0.25
_WINDOW_SECONDS = 1.0


class Bucket:
    """Tokens of one partition. Times are loop time in seconds."""

    __slots__ = ("_at", "_bytes", "_delivered", "_events", "_growth", "_pace", "_since", "share")

    def __init__(self, pace: Pace, now: float) -> None:
        self.share = 1.0
        """The present rate, as a share of the nominal pace."""
        self._pace = pace
        self._events = pace.events * BURST_SECONDS
        self._bytes = pace.bytes * BURST_SECONDS
        self._at = now
        self._since = now
        self._delivered = (0.0, 0.0)
        self._growth = GROWTH

    def open(self, now: float) -> bool:
        """Whether anything may be sent now."""
        self._fill(now)
        return (self._events > 0 or not self._pace.events) and (self._bytes > 0 or not self._pace.bytes)

    def take(self, size: int) -> bool:
        """Pay for one event that costs `size` bytes. False once nothing is left for another one."""
        self._events -= 1
        self._bytes -= size
        # what has no pace has no bound: said in one line, because each event asks
        return (self._events > 0 or not self._pace.events) and (self._bytes > 0 or not self._pace.bytes)

    def refund(self, events: int, size: int) -> None:
        """Give back what was paid for events that took nothing of the partition: throttled, or never sent."""
        self._events += events
        self._bytes += size

    def opens_at(self, now: float) -> float:
        """When a closed bucket holds a quantum again at its present rate, or it is to be looked at again."""
        return now + min(
            LOOK_AGAIN_SECONDS,
            max(
                self._seconds_until(self._events, self._pace.events), self._seconds_until(self._bytes, self._pace.bytes)
            ),
        )

    def _seconds_until(self, tokens: float, pace: float) -> float:
        if not pace:
            return 0.0
        rate = pace * self.share
        return max(0.0, (rate * QUANTUM_SECONDS - tokens) / rate)

    def note(self, delivered: int, size: int, throttled: bool, now: float) -> None:
        """A call has ended, in which the partition took `delivered` events that cost `size` bytes in sum."""
        self._fill(now)
        elapsed = now - self._since
        kept = max(0.0, 1.0 - elapsed / _WINDOW_SECONDS)
        self._delivered = (self._delivered[0] * kept + delivered, self._delivered[1] * kept + size)
        self._since = now
        if throttled:
            self.share = min(self.share, max(LEAST, self._used() * BACK_TO))
            self._growth = GROWTH
            self._events = min(self._events, 0.0)
            self._bytes = min(self._bytes, 0.0)

    def _used(self) -> float:
        """What was delivered in about the last second, as a share of the nominal pace."""
        shares = [
            delivered / (pace * _WINDOW_SECONDS)
            for delivered, pace in zip(self._delivered, (self._pace.events, self._pace.bytes), strict=True)
            if pace
        ]
        return max(shares, default=1.0)

    def _fill(self, now: float) -> None:
        seconds = now - self._at
        if seconds <= 0:
            return
        self._at = now
        if self.share < 1.0:
            self.share = min(1.0, self.share + self._growth * seconds)
            self._growth = min(FASTEST_GROWTH, self._growth * 2.0 ** min(seconds, 8.0))
        events, size = self._pace.events * self.share, self._pace.bytes * self.share
        self._events = min(events * BURST_SECONDS, self._events + events * seconds)
        self._bytes = min(size * BURST_SECONDS, self._bytes + size * seconds)
