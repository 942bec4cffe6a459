"""The short way of a plain POST: from the parser to the ingest endpoint and back, without a task or a scope.

What a request under ASGI costs beside its events (a task, a scope, an event, several awaits) is more than all the
rest of a small one. So a request that is as most are (`POST /v1/ROUTE` with a Content-Length of at most MOST_BYTES, no
coding, no Origin, nothing before it on its connection that is unanswered) is taken here. Everything else, and whatever
would be refused from its head alone, goes through FastAPI, where the same ingest endpoint answers.
"""

import asyncio
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.delivery.shares import of_address
from service.errors import Draining, IngestError
from service.http.admission import ENDED
from service.http.connections import Connections
from service.http.exchange import Exchange
from service.http.exchanges import Exchanges
from service.http.head import Head, header_map
from service.http.protocol import MOST_HEADERS, UNSENT_BYTES, BoundedProtocol
from service.http.room import Hold
from service.http.wire import Wire

MOST_BYTES: Final = 256 * 1024
"""Larger bodies take time enough that a task costs nothing beside them."""

_LONG_WAY: Final = frozenset({b"expect", b"origin", b"content-encoding", b"transfer-encoding", b"upgrade"})
"""Headers of requests that are not taken here."""
_COUNTED: Final = frozenset({b"host"})
"""Headers of which the long way's protocol keeps count, on both ways."""


class DirectProtocol(BoundedProtocol):
    """A connection whose plain requests are taken the short way."""

    exchange: "ClassVar[staticmethod[[Wire, Exchanges, Head, Hold, str, bool], Exchange]]" = staticmethod(Exchange)
    """Makes what each of them is."""

    def __init__(self, exchanges: Exchanges, port: Connections, *args: Any, **named: Any) -> None:
        super().__init__(port, *args, **named)
        self._exchanges = exchanges
        self._exchange: Exchange | None = None
        """The request that is on the short way now."""
        self._plain = False
        """Whether nothing in the head so far asks for the long way."""
        self._pieces = False
        """Whether an answer is written piece by piece."""
        self._idle_until = inf
        """The loop time at which the connection has been idle for too long; inf while it is not."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._between = False
        """Whether the last request was on the short way, and nothing of it is to come or to go, nor of another one."""
        self._whole: bytes | None = None
        """What has just come, if it begins with a head that has not ended before."""
        most = min(MOST_BYTES, exchanges.admission.server.max_body, exchanges.admission.capacity)
        self._most = most
        """Bytes of a body that is taken here."""
        self._heads = exchanges.heads
        """Those that are known of this client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        self._heads = self._exchanges.heads_of(self.subject)
        super().connection_made(transport)

    # --- a request whose head is known

    def data_received(self, data: bytes) -> None:
        if self._between and self._broken is None:
            known = self._heads.find(data)
            if known is not None and self._take(*known):
                return
        ended = self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)
        self._whole = data if ended and not self._in_head else None
        super().data_received(data)
        self._whole = None

    def _take(self, head: Head, body: bytes) -> bool:
        """Take a request that came at once, and whose head was parsed before. False if it is for the long way."""
        if len(body) > self._most:
            return False
        address = self._address(head.headers)
        try:
            hold = self._exchanges.admission.enter(len(body), head.sender or of_address(address))
        except IngestError:
            return False  # the long way refuses it the same
        self._between = False
        self._idle_until = inf
        exchange = self.exchange(self, self._exchanges, head, hold, address, True)
        self._begin(exchange)
        exchange.take(body)
        return True

    def _begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.cycle = exchange  # type: ignore[assignment]  # it is to uvicorn what a cycle of its own would be

    # --- the head

    def on_message_begin(self) -> None:
        # the scope, which the long way needs, is made when that is taken
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._plain = True
        self._between = False
        self._idle_until = inf
        self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return
        name = name.lower()
        headers = self.headers
        if name in _COUNTED or name in _LONG_WAY or len(headers) >= MOST_HEADERS:
            self._plain = self._plain and name in _COUNTED
            super().on_header(name, value)
        else:
            headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._plain:
            self._complete_head()
            exchange = self._begun()
            if exchange is not None:
                self._begin(exchange)
                return
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expect
        self._whole = None
        self.headers += headers
        super().on_headers_complete()

    def _begun(self) -> Exchange | None:
        """The exchange of the request whose head is complete; None if it is not for the short way."""
        parser = self.parser
        route = self._exchanges.admission.targets.get(self.url)
        if route is None or parser.get_method() != b"POST":
            return None
        headers = header_map(self.headers)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > self._most:
            return None
        try:
            head = self._exchanges.admission.head(route, headers, self.headers, self.subject)
            address = self._address(headers)
            hold = self._exchanges.admission.enter(int(length), head.sender or of_address(address))
        except IngestError:
            return None  # the long way refuses it the same
        self._framing.body = int(length)
        keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        if not keep_alive:
            self._whole = None
        return self.exchange(self, self._exchanges, head, hold, address, keep_alive)

    def _address(self, headers: Mapping[str, str]) -> str:
        """The producer's address: what a trusted proxy says it is, else the other end of the connection."""
        near = self.client[0] if self.client else ""
        forwarded = headers.get("x-forwarded-for")
        if forwarded is None or near not in self._exchanges.proxies:
            return near
        return self._exchanges.proxies.get_trusted_client_address(forwarded)[0] or near

    # --- the body

    def _read(self, data: bytes, start: int) -> int:
        reached = super()._read(data, start)
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.await_body()
        return reached

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.feed(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._exchange is not None and self._exchange.more_body:
            if self._whole is not None:
                self._heads.learn(self._whole, self._exchange.head, self._exchange.body)
                self._whole = None
            self._exchange.complete()
        else:
            super().on_message_complete()

    # --- the answer: what an exchange asks of its connection

    def write(self, status: bytes, head: bytes, body: bytes, written: Callable[[], None]) -> None:
        """Write an answer, with the headers that all have, as its client reads it; then call `written`."""
        common = self._exchanges.common(self.server_state.default_headers)
        if len(body) <= UNSENT_BYTES and not self.flow.write_paused:
            self.transport.write(b"".join((status, common, head, body)))
            written()
            return
        self._pieces = True
        task = self.loop.create_task(self._in_pieces(b"".join((status, common, head)), body, written))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _in_pieces(self, head: bytes, body: bytes, written: Callable[[], None]) -> None:
        try:
            await self.flow.drain()
            self.transport.write(head)
            for start in range(0, len(body), UNSENT_BYTES):
                await self.flow.drain()
                if self.transport.is_closing():
                    return
                self.transport.write(body[start : start + UNSENT_BYTES])
            await self.flow.drain()
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        finally:
            self._pieces = False
            written()

    def _answering(self) -> bool:
        return self._pieces or super()._answering()

    def answered(self, keep_alive: bool) -> None:
        """The exchange has written its answer, or nobody is left to read it: the next request may begin."""
        self._exchange = None
        if not keep_alive:
            self.transport.close()
        if (
            self._ahead is not None
            or self._broken is not None
            or self.flow.read_paused
            or self._answer_timer is not None
        ):
            self.on_response_complete()
            return
        self._between = keep_alive
        self.server_state.total_requests += 1
        # one timer for the life of the connection, not one for each answer
        self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self._idle_timer is None and not self.transport.is_closing():
            self._idle_timer = self.loop.call_at(self._idle_until, self._look_idle)

    def _look_idle(self) -> None:
        self._idle_timer = None
        if self._idle_until <= self.loop.time():
            self.timeout_keep_alive_handler()
        elif self._idle_until < inf:
            self._idle_timer = self.loop.call_at(self._idle_until, self._look_idle)

    def part(self) -> None:
        """Nothing more is read: the answer came before the end of a body."""
        self._exchange = None
        self._broken = _PARTED
        self._part()

    # --- the end

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._exchange is not None:
            self._exchange.lose()
        super().connection_lost(exc)

    def end(self) -> None:
        """See `Exchange.end`."""
        if self._exchange is not None:
            self._exchange.end()


_PARTED: Final = Draining(ENDED)
"""Why nothing more is read of a body that was answered before its end. Nobody is told."""
