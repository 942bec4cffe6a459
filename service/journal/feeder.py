"""One sink's way through the stored events of one route.

A lane that keeps up gets its events from memory, as they are committed. One that does not gets them from the disk, in
order, whenever it has room: so its memory is bounded however long its destination is away. What comes back from a lane
undelivered is still stored, and handed over again.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time
from typing import Final, Protocol

from service.delivery.entry import Entry, Terms
from service.delivery.intake import shaped
from service.delivery.lane import Lane
from service.delivery.route import Leg, Route
from service.errors import IngestError
from service.event import Event
from service.journal import record
from service.journal.ranges import Ranges
from service.journal.reader import Row
from service.outcome import Reason
from service.receipt import Fate, Settlement

log = logging.getLogger(__name__)

LANE_SHARE: Final = 2
"""Stored events fill a lane up to this part of its memory, a half: the rest is for routes that are answered later."""
READ_BYTES: Final = 1024 * 1024
"""Most that is read from the disk at once."""
AGAIN_SECONDS: Final = 1.0
"""After which an event that came back is handed over again, and what could not be read is read again."""
MOST_BURIALS: Final = 100
"""Dead letters under way at once, of events that grew too old."""


class Books(Protocol):
    """What a feeder needs of its journal."""

    max_age: float
    """Seconds after which a stored event goes to the dead letters."""

    async def rows(self, stream: int, position: int, most: int) -> list[Row]:
        """Rows that hold `position` or what comes after, of `most` bytes together, but one if there is any."""

    def settled(self, leg: int, first: int, last: int) -> None:
        """These positions are settled at a leg."""

    def damaged(self, route: str, row: Row, why: str) -> None:
        """A row cannot be read. It stays where it is."""


class Feeder:
    """The owner of all entries of one leg."""

    def __init__(
        self, books: Books, route: Route, leg: Leg, stream: int, id: int, settled: Ranges, gone: str | None = None
    ) -> None:
        """`id`: the leg's in the journal. `settled`: what it had settled before. `gone`: a sink that is no more, all
        of whose events go to the dead letters; the leg is then the one of these."""
        self.lane: Lane = leg.lane
        self.required = leg.terms.required
        self.sheds = False
        """Whether what is read now goes to the dead letters: a best-effort leg that holds too much."""
        self.unreadable = 0
        """Events that are not settled, and cannot be read."""
        self._gone = gone
        self._unread = False
        """Whether the disk refused to be read, and it was said."""
        self._books = books
        self._route = replace(route, legs=(leg,))
        self._stream = stream
        self._id = id
        self._settled = settled
        self._terms = Terms(route.name, required=True, patient=True, graveyard=leg.terms.graveyard, stored=True)
        self._next = settled.first_missing()
        self._stored = 0
        self._again: dict[int, None] = {}
        self._burying = 0
        self._feeding: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._loop = asyncio.get_running_loop()
        self.lane.books.released.append(self.wake)

    # --- to the lane

    def begin(self, last: int) -> None:
        """Hand over what was stored before, up to `last`."""
        self._stored = last
        self.wake()

    def offer(self, first: int, entries: Sequence[Entry], charge: int) -> None:
        """Events were committed at `first` and what follows it. They are taken from here, or from the disk later."""
        last = first + len(entries) - 1
        self._stored = last
        follows = self._next == first and self._feeding is None and not self._again
        fit = self.required or all(self.lane.fits(entry.size) for entry in entries)
        if follows and fit and not self._stopped and not self.sheds and self._room() >= charge:
            deadline = self._loop.time() + self._books.max_age
            position = first
            for entry in entries:
                entry.index = position
                self._own(entry, deadline)
                position += 1
            self._next = last + 1
            self.lane.put(entries)
        else:
            self.wake()

    def skip(self, first: int, last: int) -> None:
        """Nothing is stored at these positions."""
        self._stored = last
        self._settled.add(first, last)
        if self._next == first:
            self._next = last + 1
        self._books.settled(self._id, first, last)

    def wake(self) -> None:
        """Go on if there is something to hand over, and room for it."""
        if self._next > self._stored and not self._again:
            return  # what is asked at each release of a lane
        idle = self._feeding is None and self._timer is None and not self._stopped
        if idle and self._room() > 0 and self._burying < MOST_BURIALS:
            self._feeding = self._loop.create_task(self._feed(), name=f"journal {self._route.name}")
            self._feeding.add_done_callback(self._fed)

    def stop(self) -> None:
        """Hand nothing over any more. What comes back stays stored."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _room(self) -> int:
        """Bytes that may be taken now; what goes to the dead letters takes none of the lane's."""
        if self.sheds:
            return READ_BYTES
        return self.lane.capacity // LANE_SHARE - self.lane.held_bytes

    def _fed(self, task: asyncio.Task[None]) -> None:
        self._feeding = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            of = {"sink": self.lane.name, "route": self._route.name}
            if not isinstance(error, sqlite3.Error):
                log.critical("stored events could not be handed over", extra=of, exc_info=error)
            elif not self._unread and not self._stopped:
                log.error("stored events cannot be read; it is tried again", extra={**of, "detail": str(error)})
            self._unread = isinstance(error, sqlite3.Error)
            self._wake_later()
        else:
            self._unread = False
            self.wake()

    def _wake_later(self) -> None:
        def ring() -> None:
            self._timer = None
            self.wake()

        if self._timer is None and not self._stopped:
            self._timer = self._loop.call_later(AGAIN_SECONDS, ring)

    async def _feed(self) -> None:
        for position in list(self._again):
            rows = await self._books.rows(self._stream, position, 1)
            if self._stopped:
                return
            del self._again[position]
            for row in rows:
                if row.first <= position <= row.last:
                    self._take(row, position, position)
        while not self._stopped and self._burying < MOST_BURIALS and (room := self._room()) > 0:
            stored = self._stored
            rows = await self._books.rows(self._stream, self._next, min(room, READ_BYTES))
            if not rows:
                self._next = max(self._next, stored + 1)
            for row in rows:
                if self._stopped or self._room() <= 0 or self._burying >= MOST_BURIALS:
                    return
                self._next = self._take(row, self._next, row.last)
                if self._next <= row.last:
                    break  # the rest is read again
            if self._next > self._stored:
                return

    def _take(self, row: Row, first: int, last: int) -> int:
        """Hand over what of a row is at `first` to `last`, but for what was settled before, as far as there is room and
        one event in any case. Returns the position to go on with."""
        if not row.sound:
            self._damaged(row, first, last, "its checksum does not hold")
            return last + 1
        try:
            events = record.decode(row.body, self._route.name)
        except record.Damaged as error:
            self._damaged(row, first, last, str(error))
            return last + 1
        age = time() - row.stored_at
        deadline = self._loop.time() + self._books.max_age - age
        entries: list[Entry] = []
        room, most = max(1, self._room()), max(self._burying + 1, MOST_BURIALS)
        for position, event in enumerate(events, row.first):
            if not first <= position <= last or position in self._settled:
                continue
            if room <= 0 or self._burying >= most:
                last = position - 1
                break
            if age >= self._books.max_age or self.sheds or self._gone is not None:
                self._bury(event, position)
                continue
            try:
                entry = shaped(self._route, event, self, position)[0][1]
            except IngestError:
                self._bury(event, position, Reason.TOO_LARGE)
                continue
            self._own(entry, deadline)
            if self.lane.fits(entry.size):
                entries.append(entry)
                room -= entry.charge
            else:
                self._bury(event, position, Reason.TOO_LARGE)
        if entries:
            self.lane.put(entries)
        return last + 1

    def _damaged(self, row: Row, first: int, last: int, why: str) -> None:
        lost = sum(position not in self._settled for position in range(max(first, row.first), last + 1))
        self.unreadable += lost
        self._books.damaged(self._route.name, row, why)

    def _own(self, entry: Entry, deadline: float) -> None:
        entry.owner = self
        entry.terms = self._terms
        entry.deadline = deadline

    # --- what became of them

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """See `Settles`."""
        del lane
        if settlement.fate in _KEPT:
            self._come_back(index)
        else:
            self._books.settled(self._id, index, index)

    def settle_delivered(self, entries: Sequence[Entry]) -> None:
        """See `Settles`."""
        first = last = entries[0].index
        for entry in entries:
            if entry.index > last + 1 or entry.index < first:
                self._books.settled(self._id, first, last)
                first = entry.index
            last = entry.index
        self._books.settled(self._id, first, last)

    def _come_back(self, position: int) -> None:
        if not self._stopped:
            self._again[position] = None
            self._wake_later()

    def _bury(self, event: Event, position: int, reason: Reason = Reason.TOO_OLD) -> None:
        """Write a dead letter of what is too old, or for which a best-effort sink has no place."""
        letters = self._route.dead_letters
        sink = self._gone or self.lane.name
        entry = Entry(event, event, 0, 0, self._terms, sink, self, position)
        self._burying += 1
        detail = "stored for longer than journal.max_age" if reason is Reason.TOO_OLD else "too large for this sink"
        if self.sheds:
            reason, detail = Reason.LANE_FULL, "best-effort sinks hold their share of the journal"
        if self._gone is not None:
            reason, detail = Reason.ORPHANED, "the configuration does not have this sink for this route any more"
        done = self._buried(position, reason)
        if letters is None:
            done(False)
        else:
            letters.bury(entry, sink, reason, detail, done)

    def _buried(self, position: int, reason: Reason) -> Callable[[bool], None]:
        def done(kept: bool) -> None:
            self._burying -= 1
            if kept or (not self.required and not self._stopped):
                if self._gone is None:
                    fate = Fate.DEAD_LETTERED if kept else Fate.DROPPED
                    self.lane.books.pass_through(self._route.name, fate, reason)
                self._books.settled(self._id, position, position)
            else:
                self._come_back(position)
            self.wake()

        return done


_KEPT: Final = frozenset({Fate.EXPIRED, Fate.REJECTED})
"""Given back, or refused without a dead letter: stored, still."""
