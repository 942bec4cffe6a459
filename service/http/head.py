"""What the head of a request says: found once, for it may come again on thousands of requests."""

from collections.abc import Iterable, Mapping
from math import inf

from msgspec import Struct

from service.auth.principal import Principal
from service.codecs.body import Reader
from service.delivery.route import Route
from service.event import Trace
from service.http.preferences import Preferences
from service.quotas.quotas import Gate


class Head(Struct, frozen=True):
    """A request's target and headers, understood and allowed. Until `until` nothing in it depends on when it came."""

    route: str
    """A route's name, or `events` to route by type."""
    target: Route | None
    """None: the route is found by each event's type."""
    principal: Principal
    """Who sends."""
    headers: Mapping[str, str]
    """Lower-cased names."""
    read: Reader
    """Finds the events in a body."""
    prefer: Preferences
    key: str | None
    """The Idempotency-Key: the identity of an event that brings none."""
    request_id: str | None
    """The producer's own X-Request-Id, if it is a plain one."""
    trace: Trace | None = None
    """Its `traceparent` and `tracestate`, if they are sound."""
    gate: Gate | None = None
    """Where it pays, if there are quotas that it is held to."""
    sender: str = ""
    """Whose share of what is scarce it takes; empty if that is the address's."""
    until: float = inf
    """Unix seconds at which its credentials end."""


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by name; values of a repeated one are joined (RFC 9110 section 5.3). Octets are Latin-1.

    The names in `raw` are in lower case.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
