"""The stored events of one route: each gets a position, is stored, and then goes to the lane of each leg."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec

from service.delivery.entry import Settles
from service.delivery.route import JOURNAL, Kept, Route
from service.journal.books import Books
from service.journal.feeder import Feeder
from service.journal.state import Stream as Stored
from service.journal.writer import Request
from service.outcome import Reason
from service.receipt import Fate, Settlement

log = logging.getLogger(__name__)

P = ParamSpec("P")


class Storing(Request):
    """A request whose events are being stored."""

    stream_of: "Stream"
    kept: Sequence[Kept]
    owner: Settles


class Stream:
    """One route's."""

    def __init__(
        self, books: Books, route: Route, stored: Stored, put: Callable[[Request], None], demand: Callable[[int], None]
    ) -> None:
        self.route = route.name
        self._id = stored.id
        self._last = stored.last
        self._put = put
        self.demand_room = demand
        legs = stored.legs
        self.feeders: Mapping[int, Feeder] = {
            legs[leg.lane.name].id: Feeder(
                books, route, leg, stored.id, legs[leg.lane.name].id, legs[leg.lane.name].settled.copy()
            )
            for leg in route.legs
        }

    def begin(self) -> None:
        """Hand over what was stored before."""
        for feeder in self.feeders.values():
            feeder.begin(self._last)

    def store(self, kept: Sequence[Kept], owner: Settles) -> None:
        """Store these events. `owner` hears by their indexes; the caller has asked `demand_room`."""
        first = self._last + 1
        self._last += len(kept)
        size = sum([each.event.charge for each in kept])
        self._put(Storing(self._id, first, [each.event for each in kept], size, self, kept, owner))

    def committed(self, storing: Storing) -> None:
        """These are on the disk."""
        self._tell(storing.owner.settle_delivered, [each.entries[0][1] for each in storing.kept])
        for at, feeder in enumerate(self.feeders.values()):
            entries = [each.entries[at][1] for each in storing.kept]
            feeder.offer(storing.first, entries, sum([entry.charge for entry in entries]))

    def failed(self, storing: Storing) -> None:
        """These may be on the disk, and are not delivered from there."""
        settlement = Settlement(Fate.EXPIRED, Reason.NOT_STORED, "the disk failed", may_duplicate=True)
        for each in storing.kept:
            self._tell(storing.owner.settle, each.index, JOURNAL, settlement)
        for feeder in self.feeders.values():
            feeder.skip(storing.first, storing.first + len(storing.kept) - 1)

    def _tell(self, hears: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hears(*args, **kwargs)
        except Exception:
            # Whoever waits for an event runs code of its own; no other event may be stranded by it.
            log.critical("the end of an event could not be told", extra={"route": self.route}, exc_info=True)

    def stop(self) -> None:
        """Hand nothing over any more."""
        for feeder in self.feeders.values():
            feeder.stop()
