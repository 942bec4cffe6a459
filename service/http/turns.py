"""Turns: a few at a time, the others in the order in which they came; and pauses in what takes long."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PAUSE_TURNS: Final = 8
"""Turns of the loop between two pieces of what takes long: as many as a small request takes from its first byte to its
answer, so that it waits for one piece, and not in each of its turns for another one."""


async def pause() -> None:
    """Let others run, until whoever came meanwhile is done."""
    for _ in range(PAUSE_TURNS):
        await asyncio.sleep(0)


class Turns:
    """Lets a few large bodies be read at a time, the others in the order in which they came."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, begin: Callable[[], object]) -> None:
        """Call `begin` when it is its turn, maybe at once. Whoever was called calls `leave`."""
        if self._free:
            self._free -= 1
            begin()
        else:
            self._waiting.append(begin)

    def leave(self) -> None:
        """The turn is over."""
        if self._waiting:
            # without a loop the process is at its end, and clears up what was never read
            with suppress(RuntimeError):
                asyncio.get_running_loop().call_soon(self._waiting.popleft())
        else:
            self._free += 1

    async def wait(self) -> None:
        """Return when it is the caller's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> None:
            if turn.done():
                self.leave()
            else:
                turn.set_result(None)

        self.take(begin)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()
            raise
