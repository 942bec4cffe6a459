"""The short way with a span for each request that is recorded: of another class, so that without tracing it costs
nothing.
"""

from typing import Any

from service.delivery.spans import RequestSpan
from service.http.answer import Answer
from service.http.direct import DirectProtocol
from service.http.exchange import Exchange
from service.http.exchanges import Exchanges
from service.http.head import Head
from service.http.reading import Request
from service.http.room import Hold
from service.http.wire import Wire


def exchange(wire: Wire, exchanges: Exchanges, head: Head, hold: Hold, address: str, keep_alive: bool) -> Exchange:
    """The exchange of a request, which is a span if it is recorded."""
    spans = exchanges.admission.spans
    span = spans.request(head.trace) if spans is not None else None
    if span is None:
        return Exchange(wire, exchanges, head, hold, address, keep_alive)
    return TracedExchange(span, wire, exchanges, head, hold, address, keep_alive)


class TracedExchange(Exchange):
    """An exchange that is a span."""

    __slots__ = ("_span",)

    def __init__(self, span: RequestSpan, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._span: RequestSpan | None = span

    def _request(self) -> Request:
        request = super()._request()
        if self._span is not None:
            request.trace = self._span.trace
        return request

    def _write(self, found: Answer) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.end("POST", f"/v1/{self.head.route}", found.status, self._identity)
        super()._write(found)


class TracedProtocol(DirectProtocol):
    """A connection whose plain requests are spans."""

    exchange = staticmethod(exchange)
