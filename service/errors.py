"""The edge's trouble: errors that know their HTTP status, their stable code and whether a retry can help."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

DRAINING_RETRY_SECONDS = 2.0
"""What a producer is told to wait when this replica is going away: a moment, for another takes over."""


class Code(StrEnum):
    """Stable error codes. Closed: `docs/errors.md` lists each one, and a test compares."""

    # a request that cannot be read, or is not for us
    MALFORMED_BODY = "malformed_body"
    MALFORMED_HEADER = "malformed_header"
    EMPTY_BODY = "empty_body"
    INVALID_ENCODING = "invalid_encoding"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNKNOWN_ROUTE = "unknown_route"
    UNKNOWN_PATH = "unknown_path"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    BATCH_TOO_LARGE = "batch_too_large"
    UNAUTHENTICATED = "unauthenticated"
    AUTH_UNAVAILABLE = "auth_unavailable"
    FORBIDDEN_ROUTE = "forbidden_route"
    # one event that is not acceptable
    MALFORMED_EVENT = "malformed_event"
    INVALID_CLOUDEVENT = "invalid_cloudevent"
    SCHEMA_VIOLATION = "schema_violation"
    NESTED_TOO_DEEP = "nested_too_deep"
    EVENT_TOO_LARGE = "event_too_large"
    NO_ROUTE_FOR_TYPE = "no_route_for_type"
    INVALID_KEY = "invalid_key"
    # what became of an event that was taken
    REJECTED_BY_SINK = "rejected_by_sink"
    NOT_DELIVERED = "not_delivered"
    DELIVERY_UNKNOWN = "delivery_unknown"
    # too much of it
    OVER_QUOTA = "over_quota"
    OVER_SHARE = "over_share"
    # our own trouble
    BUSY = "busy"
    STRICT_REFUSED = "strict_refused"
    DRAINING = "draining"
    CLIENT_TIMEOUT = "client_timeout"
    INTERNAL = "internal"


class IngestError(Exception):
    """A refusal at the edge. `detail` says what was wrong, where, what is allowed and what to try."""

    __slots__ = ("code", "detail", "members")  # a body may have thousands, through which the collector would look

    status: ClassVar[int]
    retryable: ClassVar[bool] = False

    def __init__(self, code: Code, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.members = members
        """Further members of the answer, such as `limit` and `actual`."""


class Unreadable(IngestError):
    """400: the request cannot be read."""

    status = 400


class Unauthenticated(IngestError):
    """401: no or wrong credentials."""

    status = 401
    given: bool = False
    """Whether there were some, which are wrong (RFC 6750 section 3.1)."""


class Forbidden(IngestError):
    """403: known, but not for this route."""

    status = 403


class NotFound(IngestError):
    """404: no such route, or none for this type."""

    status = 404


class TooLarge(IngestError):
    """413: above a limit, which `members` names (`limit`, `actual`); no retry of the same helps."""

    status = 413


class Unsupported(IngestError):
    """415: a media type or content encoding that is not taken."""

    status = 415


class InvalidEvent(IngestError):
    """422: this event, as it is, will never be taken. `members["errors"]` may list violations."""

    status = 422


class StrictlyRefused(IngestError):
    """422: a valid event of a request that asked for all or nothing, and has an invalid one."""

    status = 422
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            Code.STRICT_REFUSED, "not taken, because another event of the request is invalid; send it without that one"
        )


class SlowClient(IngestError):
    """408: the body did not arrive in time."""

    status = 408
    retryable = True


class TooMany(IngestError):
    """429: the producer's own doing. Nothing of the request was taken; a retry after `retry_after` seconds helps."""

    status = 429
    retryable = True

    def __init__(
        self, code: Code, detail: str, retry_after: float, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        """`headers`: those of the answer, beside Retry-After."""
        super().__init__(code, detail, **members)
        self.retry_after = retry_after
        self.headers = headers or {}


class Unavailable(IngestError):
    """503: our own trouble. Nothing of the request was taken; a retry after `retry_after` seconds helps."""

    status = 503
    retryable = True

    def __init__(self, code: Code, detail: str, retry_after: float, **members: Any) -> None:
        super().__init__(code, detail, **members)
        self.retry_after = retry_after


class Busy(Unavailable):
    """503: a required lane, or the memory for bodies, is full."""

    def __init__(self, detail: str, retry_after: float, **members: Any) -> None:
        super().__init__(Code.BUSY, detail, retry_after, **members)


class Draining(Unavailable):
    """503: this replica is going away; another takes over."""

    def __init__(self, detail: str = "this replica is shutting down") -> None:
        super().__init__(Code.DRAINING, detail, DRAINING_RETRY_SECONDS)


class Defect(IngestError):
    """500: we failed at the request. Events may have been taken, so a retry may duplicate."""

    status = 500
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            Code.INTERNAL, "a defect of the service; what became of the events is not known", may_duplicate=True
        )


class SettingErrors(ValueError):
    """What a validator found wrong below the setting that it validates: a sentence by path, each told at its own."""

    def __init__(self, mistakes: Mapping[tuple[str, ...], str]) -> None:
        super().__init__("; ".join(f"{'.'.join(path)!r}: {sentence}" for path, sentence in mistakes.items()))
        self.mistakes = mistakes


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes` lists all of them, each with its place."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class StartError(Exception):
    """A process of the service ended before it served, and has not told why but in its log. The message says which."""
