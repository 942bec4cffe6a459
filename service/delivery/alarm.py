"""One timer: it rings at the moment it was last set to, and at no other."""

import asyncio
from collections.abc import Callable
from math import inf


class Alarm:
    """Calls `ring` on the running loop."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._moment = inf
        """Loop time to which it is set. uvloop's handle of a moment that has passed has no `when()`
        (https://github.com/MagicStack/uvloop/issues/482)."""

    def set(self, moment: float) -> None:
        """Ring at loop time `moment`, and not before; inf: not at all."""
        if moment == self._moment:
            return
        self._moment = moment
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if moment < inf:
            self._timer = self._loop.call_at(moment, self._rings)

    def _rings(self) -> None:
        self._timer = None
        self._moment = inf
        self._ring()
