"""One sink's way through the stored events of one route.

A lane that keeps up gets its events from memory, as they are committed. One that does not gets them from the disk, in
order, whenever it has room: so its memory is bounded however long its destination is away. What comes back from a lane
undelivered is still stored, and handed over again.
"""

import asyncio
import logging
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from time import time
from typing import Final

from service.delivery.entry import Entry, Terms
from service.delivery.intake import shaped
from service.delivery.lane import Lane
from service.delivery.route import Leg, Route
from service.errors import IngestError, TooLarge
from service.journal import record
from service.journal.books import Books
from service.journal.burials import Burials
from service.journal.ranges import Ranges
from service.journal.reader import Row
from service.journal.share import Share
from service.outcome import Reason
from service.receipt import Fate, Settlement

log = logging.getLogger(__name__)

READ_BYTES: Final = 1024 * 1024
"""Most that is read from the disk at once."""
AGAIN_SECONDS: Final = 1.0
"""After which an event that came back is handed over again, and what could not be read is read again."""


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
        self._ordered = leg.ordered
        self._failed = False
        """Whether the last attempt to hand something over failed."""
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
        self._share = Share(leg.lane)
        self._again: dict[int, None] = {}
        """Positions that came back."""
        self._burials = Burials(route.dead_letters, gone or leg.lane.name, self._terms, self, self._buried)
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
        follows = self._next == first and self._feeding is None and not (self._again and self._ordered)
        fit = self.required or all(self.lane.fits(entry.size) for entry in entries)
        if follows and fit and not self._stopped and not self.sheds and self._room() >= charge:
            deadline = self._deadline(0.0)
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
        rest = self._next <= self._stored
        if not rest and not self._again:
            return  # what is asked at each release of a lane
        waits = self._timer is not None and (self._failed or self._ordered or not rest)
        if self._feeding is None and not waits and self._may_take():
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
        return self._share.room()

    def _may_take(self) -> bool:
        return not self._stopped and self._burials.has_room(self.sheds) and self._room() > 0

    def _deadline(self, age: float) -> float:
        """Of an event that was stored so many seconds ago: the last call begins before it is too old. One that is given
        up is too old then, and does not come to the lane again."""
        return self._loop.time() + self._books.max_age - age + self.lane.settings.call_timeout

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
            self._unread, self._failed = isinstance(error, sqlite3.Error), True
            self._wake_later()
        else:
            self._unread = False
            self.wake()

    def _wake_later(self) -> None:
        def ring() -> None:
            self._timer, self._failed = None, False
            self.wake()

        if self._timer is None and not self._stopped:
            self._timer = self._loop.call_later(AGAIN_SECONDS, ring)

    async def _feed(self) -> None:
        if self._timer is None:
            await self._feed_again()
        while self._may_take():
            stored = self._stored
            rows = await self._books.rows(self._stream, self._next, min(max(1, self._room()), READ_BYTES))
            if not rows:
                self._next = max(self._next, stored + 1)
            for row in rows:
                if not self._may_take():
                    return
                self._next = self._take(row, range(max(self._next, row.first), row.last + 1))
                if self._next <= row.last:
                    break  # the rest is read again
            if self._next > self._stored:
                return

    async def _feed_again(self) -> None:
        """Hand over what came back, row by row, as far as there is room."""
        positions = sorted(self._again)
        while positions and self._may_take():
            rows = await self._books.rows(self._stream, positions[0], 1)
            if not self._may_take():
                return
            row = rows[0] if rows and rows[0].first <= positions[0] else None
            end = bisect_right(positions, row.last) if row is not None else 1
            some, positions = positions[:end], positions[end:]
            for position in some:
                del self._again[position]
            if row is not None:
                following = self._take(row, some)
                self._again |= dict.fromkeys(position for position in some if position >= following)

    def _take(self, row: Row, wanted: Sequence[int]) -> int:
        """Hand over what of a row is at the `wanted` positions, in order, but for what was settled before, as far as
        there is room and one event in any case. Returns the position to go on with."""
        after = wanted[-1] + 1
        try:
            if not row.sound:
                raise record.Damaged("its checksum does not hold")
            events = record.decode(row.body, self._route.name, row.events)
        except record.Damaged as error:
            self.unreadable += sum(position not in self._settled for position in wanted)
            self._books.damaged(self._route.name, row, str(error))
            return after
        age = time() - row.stored_at
        deadline = self._deadline(age)
        entries: list[Entry] = []
        room = max(1, self._room())
        for position in wanted:
            if position in self._settled:
                continue
            if room <= 0 or not self._burials.has_room(self.sheds):
                after = position
                break
            event = events[position - row.first]
            if (reason := self._ends(age)) is not None:
                self._burials.bury(event, position, reason)
                continue
            try:
                entry = shaped(self._route, event, self, position)[0][1]
            except IngestError as error:
                reason = Reason.TOO_LARGE if isinstance(error, TooLarge) else Reason.REFUSED_CONTENT
                self._burials.bury(event, position, reason, error.detail)
                continue
            if self.lane.fits(entry.size):
                self._own(entry, deadline)
                entries.append(entry)
                room -= entry.charge
            else:
                self._burials.bury(event, position, Reason.TOO_LARGE)
        if entries:
            self.lane.put(entries)
        return after

    def _ends(self, age: float) -> Reason | None:
        """Why events of this age go to no lane; None if they do."""
        if self._gone is not None:
            return Reason.ORPHANED
        if self.sheds:
            return Reason.LANE_FULL
        return Reason.TOO_OLD if age >= self._books.max_age else None

    def _own(self, entry: Entry, deadline: float) -> None:
        entry.owner = self
        entry.terms = self._terms
        entry.deadline = deadline
        self._share.held += 1

    # --- what became of them

    def settle(self, index: int, lane: str, settlement: Settlement) -> None:
        """See `Settles`."""
        del lane
        if settlement.fate in _KEPT:
            self._come_back(index)
        else:
            self._books.settled(self._id, index, index)
        self._release(1)

    def settle_delivered(self, entries: Sequence[Entry]) -> None:
        """See `Settles`."""
        first = last = entries[0].index
        for entry in entries:
            if entry.index > last + 1 or entry.index < first:
                self._books.settled(self._id, first, last)
                first = entry.index
            last = entry.index
        self._books.settled(self._id, first, last)
        self._release(len(entries))

    def _release(self, events: int) -> None:
        self._share.held -= events
        if not self._share.held:
            self.wake()

    def _come_back(self, position: int) -> None:
        if not self._stopped:
            self._again[position] = None
            self._wake_later()

    def _buried(self, position: int, reason: Reason, safe: bool) -> None:
        if safe or (not self.required and not self._stopped):
            if self._gone is None:
                fate = Fate.DEAD_LETTERED if safe else Fate.DROPPED
                self.lane.books.pass_through(self._route.name, fate, reason)
            self._books.settled(self._id, position, position)
        else:
            self._come_back(position)
        self.wake()


_KEPT: Final = frozenset({Fate.EXPIRED, Fate.REJECTED})
"""Given back, or refused without a dead letter: stored, still."""
