"""Dead letters of stored events that no lane gets: too old, too large, shed, or of a sink that is no more."""

from collections.abc import Callable
from functools import partial
from typing import Final

from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Entry, Settles, Terms
from service.event import Event
from service.outcome import Reason

MOST: Final = 100
"""Under way at once, of one leg."""

_DETAILS: Final = {
    Reason.TOO_OLD: "stored for longer than journal.max_age",
    Reason.TOO_LARGE: "too large for this sink",
    Reason.LANE_FULL: "best-effort sinks hold their share of the journal",
    Reason.ORPHANED: "the configuration does not have this sink for this route any more",
}
Ended = Callable[[int, Reason, bool], object]
"""Hears of a position, why its event is no lane's, and whether the dead letter is safe."""


class Burials:
    """Those of one leg."""

    def __init__(self, letters: DeadLetters | None, sink: str, terms: Terms, owner: Settles, ended: Ended) -> None:
        """`sink`: in whose name they are written. `letters`: None where there is no place for any."""
        self._letters = letters
        self._sink = sink
        self._terms = terms
        self._owner = owner
        self._ended = ended
        self._under_way = 0

    def has_room(self, sheds: bool) -> bool:
        """Whether one more may begin. What is shed waits for no dead letters that cannot be written: a best-effort sink
        would fill the journal meanwhile."""
        return self._under_way < MOST or (sheds and self._fails())

    def _fails(self) -> bool:
        return self._letters is None or self._letters.lane.breaker.failures > 0

    def bury(self, event: Event, position: int, reason: Reason, detail: str | None = None) -> None:
        """Write a dead letter, if `has_room`. `detail`: absent where the reason says all."""
        full = self._under_way >= MOST
        self._under_way += 1
        done = partial(self._done, position, reason)
        if full or self._letters is None:
            done(False)
        else:
            entry = Entry(event, event, 0, 0, self._terms, self._sink, self._owner, position)
            self._letters.bury(entry, self._sink, reason, detail or _DETAILS[reason], done)

    def _done(self, position: int, reason: Reason, safe: bool) -> None:
        self._under_way -= 1
        self._ended(position, reason, safe)
