"""One timer: it rings at the moment it was last set to, and at no other."""

import asyncio
from collections.abc import Callable
from math import inf


class Alarm:
    """Calls `ring` on the running loop."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, moment: float) -> None:
        """Ring at loop time `moment`, and not before; inf: not at all."""
        if self._timer is not None:
            if self._timer.when() == moment:
                return
            self._timer.cancel()
            self._timer = None
        if moment < inf:
            self._timer = self._loop.call_at(moment, self._rings)

    def _rings(self) -> None:
        self._timer = None
        self._ring()
