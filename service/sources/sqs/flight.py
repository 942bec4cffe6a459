"""The messages that are in flight: SQS keeps them from others for as long as we say so in time."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from service.delivery.backoff import delay
from service.sources.sqs.calls import Calls, Failed, tens

LOOKS: Final = 10
"""How often, in the time of `visibility`, what is due is looked for."""
AT_ONCE: Final = 4
"""Calls that give messages back at the same time."""
ATTEMPTS: Final = 3
"""To give a message back. It comes back by itself, later."""


class InFlight(Struct, eq=False):
    """One message that was received, and is neither deleted nor given back."""

    id: str
    handle: str
    """Of the last time that it was received."""
    receives: int
    until: float
    """When it becomes visible again, in the loop's time, as far as we know."""
    number: int = 0
    """In its flow."""
    lapsed: bool = False
    """Whether it has, or may have, become visible again."""
    lost: bool = False
    """Whether its handle is good for nothing any more."""


class Flight:
    """All of one source. Each is kept invisible until it has left."""

    def __init__(self, calls: Calls, visibility: int, lapsed: Callable[[], None]) -> None:
        """`visibility`: seconds. `lapsed` is told of each message that may come twice."""
        self._calls = calls
        self._visibility = visibility
        self._lapsed = lapsed
        self._rng = random.Random()
        self._held: dict[str, InFlight] = {}
        self._loop = asyncio.get_running_loop()
        self._order = asyncio.Lock()
        """An extension must not overtake what gives a message back."""
        self._leaving: dict[int, list[str]] = {}
        """Handles of what is given back, by the seconds that it is to stay away."""
        self._returning: set[asyncio.Task[None]] = set()
        self.gave_back = False
        """Whether anything ever was."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def messages(self) -> list[InFlight]:
        """All of them."""
        return list(self._held.values())

    def enter(self, id: str, handle: str, receives: int) -> InFlight | None:
        """A message that has just been received; None if it is here already: then its newer handle is the one that is
        used."""
        until = self._loop.time() + self._visibility
        known = self._held.get(id)
        if known is None:
            made = self._held[id] = InFlight(id, handle, receives, until)
            return made
        self._lapse(known)
        known.handle, known.until, known.lapsed, known.lost = handle, until, False, False
        return None

    def leave(self, message: InFlight) -> None:
        """It is deleted."""
        if self._held.get(message.id) is message:
            del self._held[message.id]

    def expired(self, message: InFlight) -> None:
        """Its handle is refused: somebody else has it, or will."""
        self._lapse(message)
        message.lost = True

    def _lapse(self, message: InFlight) -> None:
        if not message.lapsed:
            message.lapsed = True
            self._lapsed()

    async def keep(self) -> None:
        """Extend the time of all, at half of it, for ever."""
        while True:
            await asyncio.sleep(self._visibility / LOOKS)
            await self.extend()

    async def extend(self) -> None:
        """Extend the time of those that have half of it left, or less."""
        soon = self._loop.time() + self._visibility / 2
        due = [each for each in self._held.values() if each.until <= soon and not each.lost]
        for batch in tens(due):
            async with self._order:
                works = await self._extend([each for each in batch if self._held.get(each.id) is each])
            if not works:
                break
        now = self._loop.time()
        for each in due:
            if each.until <= now:
                self._lapse(each)

    async def _extend(self, batch: Sequence[InFlight]) -> bool:
        """Whether the call worked; what it refused is another thing."""
        if not batch:
            return True
        handles = [each.handle for each in batch]
        asked_at = self._loop.time()
        try:
            results = await self._calls.hide(handles, self._visibility)
        except Failed:
            return False
        for message, handle, refused in zip(batch, handles, results, strict=True):
            if message.handle != handle:
                continue  # received again meanwhile
            if refused is None:
                message.until, message.lapsed = asked_at + self._visibility, False
            elif refused.final:
                self.expired(message)
        return True

    def give_back(self, messages: Iterable[InFlight], seconds: int) -> None:
        """Have these handed out again, to anybody, after so many seconds. They are not ours any more."""
        left = list(messages)
        for message in left:
            self.leave(message)
        if not left:
            return
        self.gave_back = True
        handles = [each.handle for each in left]
        if seconds in self._leaving:
            self._leaving[seconds] += handles
            return
        self._leaving[seconds] = handles
        task = self._loop.create_task(self._return(seconds), name="give back")
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _return(self, seconds: int) -> None:
        """Give back what leaves in this turn of the loop."""
        handles: Sequence[str] = self._leaving.pop(seconds)
        for attempt in range(1, ATTEMPTS + 1):
            async with self._order:
                left: list[str] = []
                batches = tens(handles)
                while batches:
                    some, batches = batches[:AT_ONCE], batches[AT_ONCE:]
                    for part in await asyncio.gather(*(self._show(batch, seconds) for batch in some)):
                        left += part
            if not left:
                return
            handles = left
            await asyncio.sleep(delay(attempt, None, self._rng))

    async def _show(self, handles: Sequence[str], seconds: int) -> list[str]:
        """Those for which it is to be tried again."""
        try:
            results = await self._calls.hide(handles, seconds)
        except Failed:
            return list(handles)
        return [
            handle
            for handle, refused in zip(handles, results, strict=True)
            if refused is not None and not refused.final
        ]

    async def returned(self) -> None:
        """Return once all that was given back is. Cancelling it gives up what is not."""
        while self._returning:
            await asyncio.gather(*self._returning, return_exceptions=True)

    async def end(self) -> None:
        """Give back nothing more."""
        for task in self._returning:
            task.cancel()
        await asyncio.gather(*self._returning, return_exceptions=True)
