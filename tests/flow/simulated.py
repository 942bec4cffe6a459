"""An event loop under a simulated clock: timers fire at once, in order, and nothing real is waited for.

Whole hours of back-off and time-outs run in milliseconds, the same way each time.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(AssertionError):
    """Nothing is ready and no timer is set: the program under test waits for ever."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A selector loop whose `time()` jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0

    def time(self) -> float:
        """Simulated seconds."""
        return self._now

    def _run_once(self) -> None:
        # asyncio has no public hook between "what is ready" and "sleep until the next timer".
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not self._ready:  # type: ignore[attr-defined]
            if not scheduled:
                raise Stuck("nothing is ready and no timer is set")
            self._now = max(self._now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` under a simulated clock; leftovers are cancelled as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


def simulated(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """The test under a simulated clock."""

    @wraps(test)
    def runs() -> None:
        run(test())

    del runs.__wrapped__  # pytest would take it for a coroutine
    return runs
