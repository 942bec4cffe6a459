"""The breaker of one destination: closed while it works, open after sustained failure, half open while it is tried.

A destination that fails is called once at a time, after a back-off; one that has failed for OPENS_AFTER_SECONDS is
open. It is then tried with one call at most 2 s after the last one (back-off), and closes when that works.
Trouble is said once when it begins and once when it ends.
"""

import logging
import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from service.delivery.backoff import delay
from service.outcome import Reason, Retry

log = logging.getLogger(__name__)

OPENS_AFTER_SECONDS: Final = 5.0
OPENS_AFTER_CALLS: Final = 3

IDLE_SECONDS: Final = 4.0
"""The same, about, while no event waits: a question costs the destination something too (DescribeStreamSummary is
limited to 20 a second per account)."""
QUIET_SECONDS: Final = 2.0
"""How long nothing must have been diverted before an open breaker closes because the destination says it works: it may
say so, and take no event."""


class State(StrEnum):
    """Where a breaker is. Closed set: a metric and a word in /status."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """What the last calls said of one destination. Times are loop time in seconds."""

    def __init__(self, sink: str, rng: random.Random) -> None:
        self.state = State.CLOSED
        self.failures = 0
        """Calls in a row in which every event failed."""
        self.reason: Reason | None = None
        """Why the last of them failed; None if the destination works."""
        self.resumes_at = 0.0
        """Nothing is sent before."""
        self._asks_at = 0.0
        self._sink = sink
        self._rng = rng
        self.since = 0.0
        """When it began to fail, while it does."""

    @property
    def diverts(self) -> bool:
        """Whether what waits may go to a fallback."""
        return self.state is not State.CLOSED

    def may_call(self, in_flight: int, limit: int, now: float) -> bool:
        """Whether one more call may begin beside those in flight."""
        return now >= self.resumes_at and in_flight < (1 if self.failures else limit)

    def resumes(self, idle: bool) -> float:
        """The loop time before which nothing is sent, or (`idle`) the destination is not asked for want of events."""
        return max(self.resumes_at, self._asks_at) if idle else self.resumes_at

    def diverted(self, now: float) -> None:
        """Events went to the fallback: the next of them tells more than an answer to the question does."""
        self._asks_at = now + QUIET_SECONDS

    def tries(self) -> None:
        """A call begins."""
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN

    def note(self, events: int, failed: Sequence[Retry], now: float) -> None:
        """A call with `events` has ended, with these failures (without those that are about a partition)."""
        if failed and len(failed) == events:
            self.fail(failed[0], now)
        else:
            self.recover()

    def fail(self, retry: Retry, now: float, idle: bool = False) -> None:
        """The destination gave nothing but trouble. `idle`: it was only asked, for no event waits."""
        if not self.failures:
            self.since = now
            fields = {"sink": self._sink, "reason": retry.reason.value, "detail": retry.detail}
            log.warning("the destination fails", extra=fields)
        self.failures += 1
        self.reason = retry.reason
        pause = delay(self.failures, retry.after, self._rng)
        self.resumes_at = now + (max(pause, IDLE_SECONDS * self._rng.uniform(0.5, 1.0)) if idle else pause)
        sustained = self.failures >= OPENS_AFTER_CALLS and now - self.since >= OPENS_AFTER_SECONDS
        if self.state is State.CLOSED and sustained:
            log.warning("the breaker opens", extra={"sink": self._sink, "reason": retry.reason.value})
        if sustained:
            self.state = State.OPEN

    def recover(self) -> None:
        """The destination took something, or said that it would."""
        if self.failures:
            log.info("the destination works again", extra={"sink": self._sink, "failed_calls": self.failures})
        self.state = State.CLOSED
        self.failures = 0
        self.reason = None
        self.resumes_at = self._asks_at = 0.0
