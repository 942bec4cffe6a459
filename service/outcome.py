"""What became of one event at one sink, in one attempt. Imports nothing of ours."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Reason(StrEnum):
    """Why an attempt did not deliver. Closed: it is a metric label."""

    # the destination: another attempt may help
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """The destination said it cannot serve now, without having taken the event."""
    UNREACHABLE = "unreachable"
    """No connection could be made; nothing was sent."""
    INTERNAL = "internal"
    """The destination failed inside; the event may have been written."""
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    BAD_ANSWER = "bad_answer"
    """An answer that cannot be read, or has the wrong number of results."""
    ACCESS_DENIED = "access_denied"
    CREDENTIALS = "credentials"
    NOT_FOUND = "not_found"
    ENCRYPTION = "encryption"
    """The destination's key (KMS) refused."""
    MISCONFIGURED = "misconfigured"
    """The destination refuses the request as a whole: our settings and its own disagree."""
    SINK_ERROR = "sink_error"
    """The sink itself raised: a defect; the event may have been written."""
    NO_ROOM = "no_room"
    """A packing sink could not fit the event into this write: neither an attempt nor a failure."""
    SHUTDOWN = "shutdown"
    # the event: no attempt will help
    TOO_LARGE = "too_large"
    REFUSED_CONTENT = "refused_content"
    """The destination, or its protocol, cannot hold this content."""
    # the lane: given up, or never taken
    PATIENCE_OVER = "patience_over"
    LANE_FULL = "lane_full"
    TOO_OLD = "too_old"
    """Stored for longer than the journal keeps events: only ever on a dead letter."""
    ORPHANED = "orphaned"
    """Stored for a route or sink that the configuration no longer has: only ever on a dead letter."""
    NOT_STORED = "not_stored"
    """The journal's disk failed: only ever in an answer."""
    INVALID = "invalid"
    """Refused by the route's schema or envelope rules: only ever on a dead letter."""
    RECEIVED_TOO_OFTEN = "received_too_often"
    """A queue has handed the message out again and again: only ever on a dead letter."""
    # the process: only ever in the books of its supervisor
    WORKER_LOST = "worker_lost"
    """The worker that held the event died; the event may have been written."""

    @property
    def may_have_written(self) -> bool:
        """True if the event may be at the destination although the attempt failed."""
        return self in _MAY_HAVE_WRITTEN


_MAY_HAVE_WRITTEN: Final = frozenset(
    {
        Reason.INTERNAL,
        Reason.TIMEOUT,
        Reason.CONNECTION_LOST,
        Reason.BAD_ANSWER,
        Reason.SINK_ERROR,
        Reason.WORKER_LOST,
    }
)


class Delivered(Struct, frozen=True, gc=False):
    """The destination has acknowledged the event."""


class Retry(Struct, frozen=True, gc=False):
    """The destination did not take the event now; the same event may be taken later."""

    reason: Reason
    after: float | None = None
    """Seconds the destination asked to wait, None if it did not say."""
    detail: str = ""


class Rejected(Struct, frozen=True, gc=False):
    """The destination will never take *this event*. Never said of trouble with the destination itself."""

    reason: Reason
    detail: str = ""


Outcome = Delivered | Retry | Rejected

DELIVERED: Final = Delivered()
"""The one instance sinks return; `outcome is DELIVERED` and `isinstance` agree."""
