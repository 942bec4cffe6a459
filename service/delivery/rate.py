"""How fast something went lately."""

import math

WINDOW_SECONDS = 5.0


class Rate:
    """An exponentially decaying rate of amounts per second over about the last WINDOW_SECONDS."""

    __slots__ = ("_amount", "_at")

    def __init__(self) -> None:
        self._amount = 0.0
        self._at = 0.0

    def add(self, amount: float, now: float) -> None:
        """Count `amount` at loop time `now` (seconds)."""
        self._decay(now)
        self._amount += amount

    def per_second(self, now: float) -> float:
        """The rate at loop time `now`; 0 if nothing was counted lately."""
        self._decay(now)
        return self._amount / WINDOW_SECONDS

    def _decay(self, now: float) -> None:
        self._amount *= math.exp((self._at - now) / WINDOW_SECONDS)
        self._at = now
