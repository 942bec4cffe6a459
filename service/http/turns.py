"""Who goes on when: what takes long is done piece by piece, so that a small request waits for one piece at most."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from math import inf
from time import perf_counter
from typing import Final, TypeVar

T = TypeVar("T")

PIECE_SECONDS: Final = 0.002
"""After so long a piece of work ends, and others may run."""
ALONE_SECONDS: Final = 0.005
"""The same where no small request has come lately."""
LATELY_SECONDS: Final = 1.0
PAUSE_TURNS: Final = 8
"""Turns of the loop between two pieces, whosever they are: as many as a small request takes from its first byte to its
answer, so that it waits for one piece, and not in each of its turns for another one."""


def advance(work: Generator[None, None, T]) -> T | None:
    """Do the next piece of `work`, which yields where it may be interrupted. What it returns, once it does; until then
    None, and others may run."""
    began = perf_counter()
    try:
        while perf_counter() - began < PIECE_SECONDS:
            next(work)
    except StopIteration as done:
        found: T = done.value
        return found
    return None


def whole(work: Generator[None, None, T]) -> T:
    """What `work` returns, all of it done at once."""
    while (found := advance(work)) is None:
        pass
    return found


class Pieces:
    """The long work of a process: one piece of all of it, then others for PAUSE_TURNS turns of the loop."""

    def __init__(self) -> None:
        self.small_at = -inf
        """When a small request last came (`perf_counter`). Without any lately nobody is to be let through: pieces are
        longer, and follow each other. Batches to Kafka cost a quarter less CPU then (`python -m bench --only
        batch_kafka`): each turn of the loop has its price, and brings the producer's thread fewer of them at a time.
        """
        self._waiting: deque[Callable[[], object]] = deque()
        self._pausing = False

    @property
    def seconds(self) -> float:
        """After which a piece ends."""
        return ALONE_SECONDS if self._alone else PIECE_SECONDS

    @property
    def _alone(self) -> bool:
        return perf_counter() - self.small_at > LATELY_SECONDS

    def soon(self, go_on: Callable[[], object]) -> None:
        """Call `go_on`, which may not raise, when it is its turn: at once if no piece was just done."""
        if self._pausing:
            self._waiting.append(go_on)
        else:
            if not self._alone:
                self._pause()
            go_on()

    def later(self, go_on: Callable[[], object]) -> None:
        """The same of whoever has just done a piece: others run before the next."""
        if not self._pausing:
            self._pause()
        self._waiting.append(go_on)

    async def pause(self) -> None:
        """Return when it is the caller's turn for its next piece."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if not turn.done():
                turn.set_result(None)

        self.later(go_on)
        await turn

    def _pause(self) -> None:
        self._pausing = True
        # without a loop the process is at its end, and clears up what was never read
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(self._count, 1 if self._alone else PAUSE_TURNS)

    def _count(self, turns: int) -> None:
        if turns > 1:
            asyncio.get_running_loop().call_soon(self._count, turns - 1)
        elif self._waiting:
            self._pause()
            self._waiting.popleft()()
        else:
            self._pausing = False


class Turns:
    """Lets a few large bodies be read at a time, the others in the order in which they came."""

    def __init__(self, at_once: int, pieces: Pieces) -> None:
        self._free = at_once
        self._pieces = pieces
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, begin: Callable[[], object]) -> None:
        """Call `begin` when it is its turn, maybe at once. Whoever was called calls `leave`."""
        if self._free:
            self._free -= 1
            self._pieces.soon(begin)
        else:
            self._waiting.append(begin)

    def leave(self) -> None:
        """The turn is over."""
        if self._waiting:
            # without a loop the process is at its end, and clears up what was never read
            with suppress(RuntimeError):
                asyncio.get_running_loop().call_soon(self._pieces.soon, self._waiting.popleft())
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
