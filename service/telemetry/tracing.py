"""What records spans of a distributed trace, if anything does: with tracing off there is no tracer at all, and nothing
of OpenTelemetry is loaded. `service.otlp` is the one there is.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol

MOST_LINKS: Final = 128
"""Of one span, as many as OpenTelemetry's own limit (OTEL_SPAN_LINK_COUNT_LIMIT): the others are left out."""

CLOSE_SECONDS: Final = 2.0
"""How long the end of the service waits for the last spans."""

Attributes = Mapping[str, str | int]


class Kind(StrEnum):
    """What a span is of. Closed: the kinds of OpenTelemetry that we have."""

    SERVER = "server"
    """A request that is answered."""
    CONSUMER = "consumer"
    """Messages that are taken from somewhere."""
    CLIENT = "client"
    """A call to a destination."""


class Span(Protocol):
    """What is recorded of one piece of work. It is sent once it has ended."""

    @property
    def traceparent(self) -> str:
        """Its place in its trace (W3C Trace Context)."""

    def link(self, traceparent: str, tracestate: str) -> None:
        """It has to do with this span too. For MOST_LINKS at most."""

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        """It ends now. `error`: why it failed, as one of few words; empty if it did not."""


class Tracer(Protocol):
    """Makes spans. Only the event loop's thread calls it."""

    def begin(self, kind: Kind, traceparent: str = "", tracestate: str = "") -> Span:
        """A span that begins now: below that one, or without one the first of a new trace. It is always recorded."""

    async def close(self) -> None:
        """Send what has ended, for CLOSE_SECONDS at most, and no more after it. Never raises."""
