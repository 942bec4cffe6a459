"""The wire: uvicorn's httptools protocol with bounds on a request's head, and answers in order to what is no HTTP."""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.delivery.route import uuid7
from service.errors import Code
from service.sources import answer
from service.sources.unread import LINGER_SECONDS

MOST_HEAD_BYTES = 64 * 1024
"""Most bytes of a request's target and headers, beside the reads in which they begin and end. httptools counts nothing,
and keeps a header to itself until it has the whole of it."""

_NO_HTTP = "this is no HTTP/1.1 request"


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Beyond uvicorn's own:

    - A head is bounded in bytes, and must be complete within the keep-alive time.
    - What is no HTTP gets a problem document, after the answers to the requests before it.
    - The keep-alive time also runs after an answer that came before the end of its request's body.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._broken: str | None = None
        """Why nothing more is read from this connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._broken is not None:
            return
        self._unset_keepalive_if_required()
        began = self.headers if self._in_head else None
        try:
            self.parser.feed_data(data)
            if self._in_head and self.headers is began:
                self._head_bytes += len(data)
                if self._head_bytes > MOST_HEAD_BYTES:
                    self._break(f"the request's target and headers take more than {MOST_HEAD_BYTES} bytes")
        except httptools.HttpParserError:
            self._break(_NO_HTTP)
        except httptools.HttpParserUpgrade:
            return  # the application refuses it

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_complete()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete and self.timeout_keep_alive_task is None and not self.pipeline:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._broken is not None and self.cycle.response_complete and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._write_broken()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _head_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _break(self, why: str) -> None:
        """Read no more. Answer now, or once what came before is answered."""
        if self._broken is not None:
            return
        self._broken = why
        if self.cycle is None or self.cycle.response_complete:
            self._write_broken()
        elif self.cycle.more_body:
            # its body is what cannot be read: nobody will see the end of it
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._write_broken()

    def _write_broken(self) -> None:
        found = answer.problem(400, Code.MALFORMED_HEADER, str(self._broken), uuid7(), retryable=False)
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {found.media_type}\r\ncontent-length: {len(found.body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + found.body)
        # What still comes is read and dropped for a while, so that the answer is seen: see `unread`.
        self.transport.write_eof()
        self.flow.resume_reading()
        self._head_complete()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
