"""One connection to a service of AWS: HTTP/1.1, one request at a time. It knows nothing of what is asked.

Why not aiohttp's client: a request costs it twice what a whole call costs with this (docs/decisions/022).
"""

import asyncio
from typing import cast

import aiohttp
import httptools
from msgspec import Struct

ANSWER_BYTES = 16 * 2**20
"""Most memory of an answer. Five hundred results take less than a quarter of a MiB."""
_PER_HEADER_BYTES = 200
"""What a header takes beside its bytes (a tuple, two objects)."""
_JOINED_BYTES = 64 * 1024
"""Up to here a copy of the body is cheaper than writing in two pieces."""
_FRAMED = frozenset({b"content-length", b"transfer-encoding"})


class Answer(Struct, frozen=True):
    """An answer of HTTP, as it came."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Connection(asyncio.Protocol):
    """A connection. Who asks and gets an exception, or is cancelled, leaves it aborted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since = 0.0
        """When its last answer was complete, on the clock of the loop."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._asked: asyncio.Future[Answer] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._in_body = False
        self._kept = True
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, head: bytes, body: bytes, seconds: float) -> Answer:
        """The answer to a request, whose `head` ends with the empty line.

        Raises TimeoutError if it is not complete after `seconds`; aiohttp.ServerDisconnectedError or ClientPayloadError
        if the connection was closed before or within it; OSError if it broke; httptools.HttpParserError if it is not
        HTTP.
        """
        if self._transport is None or self.ended.done():
            raise aiohttp.ServerDisconnectedError
        asked: asyncio.Future[Answer] = self._loop.create_future()
        self._asked = asked
        self._due = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._look)
        try:
            if len(body) <= _JOINED_BYTES:
                self._transport.write(head + body)
            else:
                self._transport.writelines((head, body))
            return await asked
        except BaseException:
            # a cancellation too: what comes of this answer must not be taken for the next one's
            self.abort()
            raise

    def _look(self) -> None:
        """One timer for many requests, where each would set and cancel one of its own (6 us)."""
        self._timer = None
        if self._asked is not None:
            left = self._due - self._loop.time()
            if left > 0:
                self._timer = self._loop.call_later(left, self._look)
            else:
                self._fail(TimeoutError())

    @property
    def usable(self) -> bool:
        """Whether it may be asked again."""
        return self._kept and self._asked is None and not self.ended.done()

    def abort(self) -> None:
        """End it now. What was not sent is dropped: a close would wait for the other side to take it."""
        self._kept = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._asked is None:
            self.abort()  # an answer to nothing
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._kept = False
        if self._timer is not None:
            self._timer.cancel()
        if not self.ended.done():
            self.ended.set_result(None)
        if self._in_body and exc is None and not any(name.lower() in _FRAMED for name, _ in self._headers):
            self._answered()  # an answer may end with its connection (RFC 9112 section 6.3)
        elif self._in_body and exc is None:
            self._fail(aiohttp.ClientPayloadError("the connection was closed within an answer"))
        else:
            self._fail(exc or aiohttp.ServerDisconnectedError())

    def on_message_begin(self) -> None:
        """Called by the parser, as the others below."""
        if self._asked is None:
            self.abort()  # a second answer behind the first
        self._headers = []
        self._parts = []
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._grow(_PER_HEADER_BYTES + len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_body = self._parser.get_status_code() >= 200

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._grow(len(data))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > ANSWER_BYTES:
            self._fail(aiohttp.ClientPayloadError("an answer without end"))

    def on_message_complete(self) -> None:
        if self._in_body:  # not one that only says that the answer is to come
            self._kept = self._kept and self._parser.should_keep_alive() and self._all_sent()
            self._answered()

    def _all_sent(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def _answered(self) -> None:
        self._in_body = False
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            self.idle_since = self._loop.time()
            asked.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._parts)))

    def _fail(self, error: Exception) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_exception(error)
