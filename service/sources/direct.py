"""The short way of a plain POST: from the parser to the ingest endpoint and back, without a task or a scope.

What a request under ASGI costs beside its events (a task, a scope, an event, several awaits) is more than all the
rest of a small one. So a request that is as most are (`POST /v1/ROUTE` with a Content-Length of at most MOST_BYTES, no
coding, no Origin, nothing before it on its connection that is unanswered) is taken here. Everything else, and whatever
would be refused from its head alone, goes through FastAPI, where the same ingest endpoint answers.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

from service.errors import IngestError
from service.sources.admission import draining, header_map
from service.sources.connections import UNSENT_BYTES, Connections
from service.sources.exchange import Direct, Exchange
from service.sources.protocol import BoundedProtocol

MOST_BYTES: Final = 256 * 1024
"""Larger bodies take turns, and time enough that a task costs nothing beside them."""

_LONG_WAY: Final = frozenset({b"expect", b"origin", b"content-encoding", b"transfer-encoding", b"upgrade"})
"""Headers of requests that are not taken here."""
_PREFIX: Final = b"/v1/"
_PARTED = draining("this connection is at its end")
"""Why nothing more is read of a body that was answered before its end. Nobody is told."""


class DirectProtocol(BoundedProtocol):
    """A connection whose plain requests are taken the short way."""

    def __init__(self, direct: Direct, connections: Connections, *args: Any, **named: Any) -> None:
        super().__init__(connections, *args, **named)
        self._direct = direct
        self._exchange: Exchange | None = None
        """The request that is on the short way now."""
        self._plain = False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._plain = True

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if self._plain and self.headers[-1][0] in _LONG_WAY:
            self._plain = False

    def on_headers_complete(self) -> None:
        if self._plain and self.url.startswith(_PREFIX) and (self.cycle is None or self.cycle.response_complete):
            self._head_is_whole()
            exchange = self._begun()
            if exchange is not None:
                self._exchange = exchange
                self.cycle = exchange  # type: ignore[assignment]  # it is to uvicorn what a cycle of its own would be
                return
        super().on_headers_complete()

    def _begun(self) -> "Exchange | None":
        """The exchange of the request whose head is complete; None if it is not for the short way."""
        parser = self.parser
        if parser.get_method() != b"POST":
            return None
        route = self.url[len(_PREFIX) :]
        if not route.isalnum() and not route.replace(b"_", b"").isalnum():
            return None
        headers = header_map(self.headers)
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return None
        held = ExitStack()
        try:
            admitted = self._direct.admission.admit(route.decode(), headers, self.headers, held)
        except IngestError:
            held.close()
            return None  # the long way refuses it the same, and knows how to answer before the body
        keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        return Exchange(self, self._direct, admitted, headers, self._address(headers), held, keep_alive)

    def _feed(self, data: bytes | memoryview) -> None:
        super()._feed(data)
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.await_body()

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.feed(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.complete()
        else:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is not None:
            self._exchange.lose()
        super().connection_lost(exc)

    def answered(self) -> None:
        """The exchange has written its answer: the next request may begin."""
        self._exchange = None
        self.on_response_complete()

    def write(self, head: list[bytes], body: bytes, written: Callable[[], None]) -> None:
        """Write an answer behind the headers that all have, as its client reads it; then call `written`."""
        lines = [head[0]]
        for name, value in self.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        lines += head[1:]
        if len(body) <= UNSENT_BYTES and not self.flow.write_paused:
            lines.append(body)
            self.transport.write(b"".join(lines))
            written()
            return
        task = self.loop.create_task(self._in_pieces(b"".join(lines), body, written))
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
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        finally:
            written()

    def close(self) -> None:
        """Close the connection once what was written is sent."""
        self.transport.close()

    def part(self) -> None:
        """Nothing more is read: the answer came before the end of a body."""
        self._broken = _PARTED
        self._exchange = None
        self._part()

    def _break(self, error: IngestError) -> None:
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.lose()
        super()._break(error)

    def end(self) -> None:
        """The server is at its end: answer what does not have its body yet."""
        if self._exchange is not None and self._exchange.more_body:
            self._exchange.refuse(draining("this replica ended before the request had arrived; nothing was taken"))

    def _address(self, headers: Mapping[str, str]) -> str:
        """The producer's address: what a trusted proxy says it is, else the other end of the connection."""
        near = self.client[0] if self.client else ""
        forwarded = headers.get("x-forwarded-for")
        if forwarded is None or near not in self._direct.proxies:
            return near
        return self._direct.proxies.get_trusted_client_address(forwarded)[0] or near
