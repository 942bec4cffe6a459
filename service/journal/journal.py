"""The journal of one process: the events of all routes with `ack: stored`, from their acceptance to their delivery.

It refuses, and says why, while it could not keep what it takes: full, a disk that fails, one that is too slow.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from service.config import Config
from service.config.settings import JournalConfig
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.pipeline import NOT_STORED_SECONDS
from service.delivery.route import Leg, Route
from service.errors import Busy, Code, TooLarge
from service.journal.feeder import Feeder
from service.journal.opening import FILE, opened
from service.journal.reader import Reader, Row
from service.journal.store import Store
from service.journal.stream import Storing, Stream
from service.journal.volume import Lock
from service.journal.writer import Committed, Request, Usage, Writer
from service.telemetry.journal import JournalGauges
from service.telemetry.meter import Meter
from service.threads import off_loop

log = logging.getLogger(__name__)

SLOW_SECONDS: Final = 1.0
"""What a producer is told to wait while the disk is behind."""
STALLED_SECONDS: Final = 5.0
"""A commit that takes so long is told, and nothing is taken meanwhile."""
QUEUE_SHARE: Final = 16
"""Part of `server.memory` for events that wait to be committed: one in so many."""
OPTIONAL_SHARE: Final = 0.2
"""Part of the journal that may wait for best-effort sinks alone."""


class Journal:
    """Open from `open` to `close`."""

    def __init__(
        self, folder: Path, config: JournalConfig, memory: int, lock: Lock, store: Store, usage: Usage, meter: Meter
    ) -> None:
        """`memory`: bytes for what waits to be committed. `usage`: what `store` is like now."""
        self.folder = folder
        self.max_age = config.max_age
        self._config = config
        self._memory = memory
        self._lock = lock
        self._meter = meter
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._streams: dict[str, Stream] = {}
        self._by_leg: dict[int, tuple[str, str]] = {}
        self._queued = 0
        self._requests: list[Request] = []
        self._settled: dict[int, list[tuple[int, int]]] = {}
        self._flushing = False
        self._failing: str | None = None
        self._refuses: str | None = None
        self._usage = usage
        self._orphans: list[tuple[Feeder, int]] = []
        """Of sinks that are no more, and the last position of each."""
        self._reader = Reader(folder / FILE)
        self._writer: Writer | None = None

    @classmethod
    async def open(
        cls, folder: Path, config: Config, routes: Mapping[str, Route], meter: Meter, heir: DeadLetters | None = None
    ) -> Self:
        """The journal in `folder`: for all routes that store, and for what others have stored there. What it holds for
        routes and sinks that are no more goes to `heir`; without one that is a mistake.

        Raises ConfigError with what is in the way.
        """
        storing = {name for name, route in config.routes.items() if route.ack == "stored"}
        sinks = {name: _sinks(route) for name, route in routes.items()}
        lock, store, usage = await off_loop(opened, folder, config.journal, sinks, storing, heir is not None)
        made = cls(folder, config.journal, config.server.memory // QUEUE_SHARE, lock, store, usage, meter)
        for name in store.streams:
            if name in routes:
                made._streams[name] = made._stream(routes[name])
        if heir is not None:
            made._bequeath(sinks, heir)
        return made

    def _bequeath(self, wanted: Mapping[str, Mapping[str, bool]], heir: DeadLetters) -> None:
        for route, sink in self._store.orphans(wanted):
            stream = self._store.streams[route]
            leg = stream.legs[sink]
            terms = Terms(route, required=True, patient=True, graveyard=heir)
            way = Route(route, (Leg(heir.lane, terms, "original"),), dead_letters=heir)
            feeder = Feeder(self, way, way.legs[0], stream.id, leg.id, leg.settled.copy(), gone=sink)
            self._orphans.append((feeder, stream.last))
            self._by_leg[leg.id] = sink, route

    def _stream(self, route: Route) -> Stream:
        made = Stream(self, route, self._store.streams[route.name], self._put, self.demand_room)
        self._by_leg |= {id_: (feeder.lane.name, route.name) for id_, feeder in made.feeders.items()}
        return made

    def keeper(self, route: str) -> Stream:
        """Where events of `route` are stored."""
        return self._streams[route]

    @property
    def empty(self) -> bool:
        """Whether nothing waits in it, as far as is known."""
        return not any(self._usage.waiting.values())

    def begin(self) -> None:
        """Store from now on, and deliver what was stored before."""
        self._judge()
        self._writer = Writer(self.folder / FILE, self._store, self._loop, self._committed, self._looked)
        for stream in self._streams.values():
            stream.begin()
        for feeder, last in self._orphans:
            feeder.begin(last)

    def stop_feeding(self) -> None:
        """Hand nothing over any more: what is stored stays."""
        for feeder in self._feeders():
            feeder.stop()

    async def close(self) -> None:
        """Commit what was settled, and end. What is not settled is there at the next start."""
        self.stop_feeding()
        self._flush()
        with suppress(sqlite3.Error):
            self._reader.close()  # before the other, which then clears its log away
        if self._writer is not None:
            await off_loop(self._writer.close)
        else:
            self._store.close()
        self._lock.release()

    # --- admission

    @property
    def trouble(self) -> str | None:
        """Why it takes nothing now, in words; None if it does."""
        refusal = self._refusal
        return refusal if refusal is None or self._failing is None else f"{refusal} ({self._failing})"

    @property
    def _refusal(self) -> str | None:
        """The same in words for producers, who need not know where our files are."""
        if self._writer is not None and (seconds := self._writer.busy_seconds) >= STALLED_SECONDS:
            return f"the disk has not answered for {seconds:.0f} seconds"
        return self._refuses

    def demand_room(self, size: int) -> None:
        """Raise Busy if `size` more bytes of events cannot be stored now, TooLarge if they never can."""
        if (refusal := self._refusal) is not None:
            raise Busy(f"the journal takes nothing now: {refusal}", NOT_STORED_SECONDS)
        if size > self._memory:
            detail = f"together the events take {size} bytes of the journal's memory, which has {self._memory}"
            raise TooLarge(Code.BATCH_TOO_LARGE, f"{detail}; send fewer at once", limit=self._memory, actual=size)
        if self._queued + size > self._memory:
            raise Busy("the journal's disk is behind", SLOW_SECONDS)

    def _put(self, request: Request) -> None:
        assert isinstance(request, Storing)
        self._queued += request.size
        self._meter.journal_queued[request.stream_of.route] += len(request.events)
        self._requests.append(request)
        self._flush_soon()

    # --- to the thread, and from it

    def settled(self, leg: int, first: int, last: int) -> None:
        """See `books.Books`."""
        ranges = self._settled.setdefault(leg, [])
        if ranges and ranges[-1][1] == first - 1:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
        self._flush_soon()

    def _flush_soon(self) -> None:
        """All of a turn of the loop goes to the thread at once."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._writer is None:
            return
        if self._settled:
            settled, self._settled = self._settled, {}
            self._writer.settle(settled)
        if self._requests:
            requests, self._requests = self._requests, []
            self._writer.put(requests)

    def _committed(self, done: Committed) -> None:
        events = 0
        ended = self._meter.journal_stored if done.error is None else self._meter.journal_failed
        for request in done.requests:
            assert isinstance(request, Storing)
            route, count = request.stream_of.route, len(request.events)
            self._queued -= request.size
            self._meter.journal_queued[route] -= count
            ended[route] += count
            events += count
            if done.error is None:
                request.stream_of.committed(request)
            else:
                request.stream_of.failed(request)
        if done.error is None:
            self._meter.journal_commit_seconds.observe(done.seconds)
            if events:
                self._meter.journal_commit_events.observe(events)
        else:
            self._meter.journal_failures += 1
        self._note(done.error)

    def _note(self, failing: str | None) -> None:
        if failing != self._failing:
            if failing is not None:
                log.error("the journal cannot be written; it is tried again", extra={"detail": failing})
            else:
                log.info("the journal is written again")
        self._failing = failing
        self._judge()

    def _looked(self, usage: Usage) -> None:
        self._usage = usage
        sheds = usage.optional_share > OPTIONAL_SHARE and usage.used_bytes > OPTIONAL_SHARE * self._config.max_bytes
        for feeder in self._feeders():
            feeder.sheds = sheds and not feeder.required
            feeder.wake()
        self._judge()

    def _judge(self) -> None:
        usage, config = self._usage, self._config
        if self._failing is not None:
            self._refuses = "the disk fails"
        elif usage.used_bytes >= config.max_bytes:
            self._refuses = f"it has {usage.used_bytes} of journal.max_bytes = {config.max_bytes}"
        elif usage.free_bytes < config.min_free:
            needed = f"less than journal.min_free = {config.min_free}"
            self._refuses = f"the disk has {usage.free_bytes} bytes free, {needed}"
        else:
            self._refuses = None

    # --- reading

    async def rows(self, stream: int, position: int, most: int) -> list[Row]:
        """See `books.Books`."""
        return await off_loop(self._reader.rows, stream, position, most)

    def damaged(self, route: str, row: Row, why: str) -> None:
        """See `books.Books`."""
        self._meter.journal_damaged += row.events
        log.critical(
            "stored events cannot be read; they stay in the journal, see `penstock journal verify`",
            extra={"route": route, "position": row.first, "events": row.events, "detail": why},
        )

    # --- what it is like

    def _feeders(self) -> Iterator[Feeder]:
        for stream in self._streams.values():
            yield from stream.feeders.values()
        for feeder, _ in self._orphans:
            yield feeder

    @property
    def unreadable(self) -> int:
        """Events that wait, as `state` counts them, and will not go: they cannot be read."""
        return sum(feeder.unreadable for feeder in self._feeders())

    @property
    def state(self) -> JournalGauges:
        """What it is like now."""
        return JournalGauges(
            used_bytes=self._usage.used_bytes,
            max_bytes=self._config.max_bytes,
            free_bytes=self._usage.free_bytes,
            queued_bytes=self._queued,
            oldest_seconds=self._usage.oldest_seconds,
            waiting={self._by_leg[leg]: count for leg, count in self._usage.waiting.items() if leg in self._by_leg},
            trouble=self.trouble,
        )


def _sinks(route: Route) -> dict[str, bool]:
    return {leg.lane.name: leg.terms.required for leg in route.legs}
