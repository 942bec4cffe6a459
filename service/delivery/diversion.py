"""Diversion: what is ready at a lane whose destination is broken goes to the fallback, as far as that takes it.

Promises: one event that the fallback cannot take holds back no other; a full fallback costs one look; nothing is
taken out of the queue before the fallback has taken responsibility.
"""

import logging
from typing import Final, assert_never

from service.delivery.books import Books
from service.delivery.breaker import Breaker
from service.delivery.entry import Entry, Fallback, Taken
from service.delivery.lanequeue import LaneQueue
from service.outcome import Reason

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 500
"""Events after which others run first: shaping one takes some 10 us."""
PAUSE_SECONDS: Final = 0.05
"""Between passes that met what the fallback does not take: a queue full of such costs a tenth of the time."""
FULL_SECONDS: Final = 0.25
"""After which a full fallback is asked again: nothing says when it has room."""
REFUSED_SECONDS: Final = 1.0
"""After which an event that the fallback did not take is ready again, for either destination."""


def divert(queue: LaneQueue, fallback: Fallback, books: Books, breaker: Breaker, now: float) -> float:
    """Hand what is ready to the fallback. Returns the loop time before which another pass would be in vain."""
    refused: list[Entry] = []
    reason = breaker.reason or Reason.UNAVAILABLE
    try:
        for _ in range(MOST_AT_ONCE):
            entry = queue.first_ready()
            if entry is None:
                return now
            match _offered(entry, fallback, quiet=bool(refused)):
                case Taken.TAKEN:
                    queue.pop_ready()
                    books.divert(entry, reason)
                    breaker.diverted(now)
                    queue.finish([entry], now)
                case Taken.REFUSED:
                    refused.append(queue.pop_ready())
                case Taken.FULL:
                    return now + FULL_SECONDS
                case unknown:
                    assert_never(unknown)
        return now + PAUSE_SECONDS if refused else now
    finally:
        queue.put_aside(refused, now + REFUSED_SECONDS)


def _offered(entry: Entry, fallback: Fallback, quiet: bool) -> Taken:
    try:
        return fallback.take(entry)
    except Exception:
        # A foreign sink finds the partition, and an encoder meets any body: the other events must not wait for it.
        if not quiet:
            log.exception("an event could not be shaped for the fallback", extra={"sink": entry.lane})
        return Taken.REFUSED
