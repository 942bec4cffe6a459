"""Watches the service for the console: a snapshot a second, whoever looks; a picture of it only while somebody does."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

import msgspec

from service.admin.drawing import SHARE_SECONDS, draw
from service.admin.history import History
from service.admin.interval import Window
from service.admin.moment import Moment, moment
from service.admin.subject import Subject
from service.admin.topology import Topology
from service.config.settings import RouteConfig
from service.tasks import ended

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0
MOST_VIEWERS: Final = 8
HEARTBEAT_SECONDS: Final = 5.0
"""A stream that has said nothing for so long says that it is there."""
PIECE_BYTES: Final = 8 * 1024
"""What is written at once of the history: a client must take that much within `answer_seconds` of its port."""


class Watch:
    """The last seconds and minutes of a service, and those who look at them. Runs inside `async with`."""

    def __init__(
        self, subject: Subject, topology: Topology, routes: Mapping[str, RouteConfig], details: bool = False
    ) -> None:
        """`routes`: what the books are held to. `details`: words that quote events are shown."""
        self.viewers = 0
        self.pictures = 0
        """How many were made."""
        self._subject = subject
        self._topology = topology
        self._routes = routes
        self._details = details
        self._window = Window(SHARE_SECONDS)
        self._history = History()
        self._drawn: tuple[Moment, bytes] | None = None
        self._blind = False
        self._ended = False
        self._next: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch(), name="console")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        if self._watching is not None:
            await ended(self._watching)

    def end(self) -> None:
        """All streams end, and no more begin."""
        self._ended = True
        if not self._next.done():
            self._next.set_result(b"")

    @property
    def has_room(self) -> bool:
        """Whether one more may look."""
        return self.viewers < MOST_VIEWERS and not self._ended

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """Count a viewer."""
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events for one viewer: `history` first, then a `picture` a second, and each new `point`."""
        first = _event("history", msgspec.json.encode(self._history.shown()))
        for start in range(0, len(first), PIECE_BYTES):
            yield first[start : start + PIECE_BYTES]
        if self._window.moments:
            yield self._picture()
        while not self._ended:
            # the next one only: what a slow viewer misses is over
            events = b": nothing new\n\n"
            with suppress(TimeoutError):  # nothing new came meanwhile
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    events = await asyncio.shield(self._next)
            if events:
                yield events

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                await self._look()
                self._blind = False
            except Exception:
                # a snapshot asks foreign sinks for their bills: whatever they raise, it looks again, and says so once
                if not self._blind:
                    log.exception("the console cannot see the service")
                self._blind = True
            due = max(due + EVERY_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _look(self) -> None:
        found = await self._subject.snapshot()
        now = moment(found, time.monotonic(), time.time())
        self._window.add(now)
        new_point = self._history.add(now)
        if self.viewers:
            point = _event("point", msgspec.json.encode(self._history.shown(1))) if new_point else b""
            self._tell(self._picture() + point)

    def _tell(self, events: bytes) -> None:
        told, self._next = self._next, asyncio.get_running_loop().create_future()
        if not told.done():
            told.set_result(events)

    def _picture(self) -> bytes:
        """The event, drawn once for all viewers."""
        newest = self._window.moments[-1]
        if self._drawn is None or self._drawn[0] is not newest:
            self.pictures += 1
            workers = self._subject.workers()
            seen = draw(
                self._window,
                self._topology,
                self._routes,
                details=self._details,
                workers=workers,
            )
            self._drawn = newest, _event("picture", msgspec.json.encode(seen))
        return self._drawn[1]


def _event(name: str, data: bytes) -> bytes:
    """One server-sent event (HTML Living Standard, section 9.2); JSON as msgspec writes it has no line breaks."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
