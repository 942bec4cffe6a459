"""The wire: uvicorn's httptools protocol with bounds on what a client may take before it is known, and after.

Everything here is about one connection; what all of a port may take together is in `connections`.
"""

import asyncio
import logging
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.errors import Busy, Code, Defect, IngestError, Unreadable
from service.event import uuid7
from service.http import answer
from service.http.connections import Connections
from service.http.pipelining import RETRY_SECONDS, PipeliningProtocol
from service.http.unread import LINGER_SECONDS

log = logging.getLogger(__name__)

MOST_HEAD_BYTES: Final = 32 * 1024
"""Most bytes of a request's target and headers, beside the slice in which they begin; and of its trailers."""
MOST_HEADERS: Final = 100
"""Most headers of a request: each takes over a hundred bytes of memory, however short it is."""
UNSENT_BYTES: Final = 16 * 1024
"""How much of an answer one connection may hold unsent before its writer waits."""

SUBJECT: Final = "penstock.subject"
"""Where it stands in the `state` of a scope."""


class OutOfBoundsError(Exception):
    """Raised out of a callback of the parser, which gives it back as the context of its own error."""


class BoundedProtocol(PipeliningProtocol):
    """One connection. Beyond uvicorn's own:

    - A head is bounded in bytes and headers, and must be complete within the keep-alive time. All heads that are not
      have a share of memory, and one that needs more is refused; a head that comes in one read needs none.
    - What comes of a chunked body beside its bytes, up to its trailers, is held to the same; trailers are not kept.
    - A request has one Host (in HTTP/1.0 it may have none), and no transfer coding but chunked (RFC 9112 sections 3.2
      and 6.1). So HTTP/0.9, which has no headers, is no request.
    - What is no HTTP gets a problem document, after the answers to the requests before it.
    - The keep-alive time also runs after an answer that came before the end of its request's body.
    - An answer that its client does not read holds little memory, and not for long.
    """

    subject: str | None = None
    """Whom the client's verified certificate names (`tls.subject`); set before the connection is made."""

    def __init__(self, port: Connections, *args: Any, **named: Any) -> None:
        super().__init__(port, *args, **named)
        self._broken_identity = ""
        """The id of the request that could not be read, where it has one before its answer."""
        self._in_head = False
        self._head_bytes = 0
        self._hosts = 0
        self._chunked = False
        """Whether a chunked body is on its way."""
        self._body_came = False
        """Whether the last piece had bytes of it."""
        self._timer: asyncio.TimerHandle | None = None
        """Ends the connection: its head takes too long, or its last answer has been there long enough."""
        self._answer_timer: asyncio.TimerHandle | None = None
        self._active: RequestResponseCycle | None = None
        """What was last on the long way; `cycle` may be on another."""

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self.subject is not None:
            self.app_state = {**self.app_state, SUBJECT: self.subject}
        transport.set_write_buffer_limits(UNSENT_BYTES)
        if self._port.enter():
            self._await_head()
        elif self._port.crowded:
            transport.abort()
        else:
            self._break(Busy(f"{self._port.most} connections are open, as many as may be", RETRY_SECONDS))

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.leave()
        self._forget_head()
        self._forget_answer()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active = cycle
        if self._port.leaving:
            self.loop.call_soon(self._let_go, cycle)  # once it is known what came in the same read, before it answers
        super()._start_asgi_task(cycle, app)

    def _let_go(self, cycle: RequestResponseCycle) -> None:
        if self.to_leave:
            cycle.keep_alive = False

    def end(self) -> None:
        """The server is at its end, and waits for nothing more. Here its tasks are cancelled, which says all."""

    # --- what comes

    def _feed(self, data: bytes | memoryview) -> None:
        began = self.headers if self._in_head else None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)
        except httptools.HttpParserUpgrade:
            return  # the application refuses it
        else:
            if self._in_head:
                if self.headers is began:
                    self._grow_head(len(data))
                if self._timer is None:
                    self._await_head()
            elif self._chunked:
                if not self._body_came:
                    self._grow_head(len(data))
                elif self._head_bytes:
                    self._forget_head()
                self._body_came = False

    def _fail(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, OutOfBoundsError):
            self._break_unreadable(str(cause))
        elif cause is None or isinstance(cause, httptools.HttpParserError | UnicodeError):
            self._break_unreadable("this is no HTTP/1.1 request")
        else:
            # a defect of ours, in a callback of the parser: never a 4xx
            identity = uuid7()
            log.error("a request could not be read", exc_info=cause, extra={"request_id": identity})
            self._break(Defect(), identity)

    def _grow_head(self, size: int) -> None:
        if self._head_bytes + size > MOST_HEAD_BYTES:
            what = "trailers, or what stands between chunks," if self._chunked else "target and headers"
            self._break_unreadable(f"the request's {what} take more than {MOST_HEAD_BYTES} bytes")
        elif not self._port.hold_head(size):
            self._break(Busy("no memory for more unfinished requests now", RETRY_SECONDS))
        else:
            self._head_bytes += size

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: it may be dropped (RFC 9110 section 6.5.1), and must not pass for a header
        if len(self.headers) >= MOST_HEADERS:
            raise OutOfBoundsError(f"the request has more than {MOST_HEADERS} headers")
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            raise OutOfBoundsError("Transfer-Encoding: only chunked is taken; name a compression in Content-Encoding")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._complete_head()
        if not self.url.startswith(b"/"):
            self.url = _with_path(self.url)
        super().on_headers_complete()
        if any(name == b"transfer-encoding" for name, _ in self.headers):
            # this piece was the head's
            self._chunked = self._body_came = True

    def on_body(self, body: bytes) -> None:
        self._body_came = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._chunked = False
        if self._head_bytes:
            self._forget_head()
        if self.cycle.response_complete:
            # it was answered before its end
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _begin_head(self) -> None:
        """A request begins. What comes between two is none, and ends no time-out."""
        self._unset_keepalive_if_required()
        self._in_head = True
        self._hosts = 0

    def _complete_head(self) -> None:
        """The head is there. Raises OutOfBoundsError if it may not be believed."""
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() != "1.0"):
            raise OutOfBoundsError(f"Host: stands there {self._hosts} times; HTTP/1.1 demands it once")
        self._in_head = False
        if self._timer is not None:
            self._forget_head()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _forget_head(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._head_bytes:
            self._port.drop_head(self._head_bytes)
            self._head_bytes = 0

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # close() would wait for a client that does not read
        else:
            super().timeout_keep_alive_handler()

    # --- what goes

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.flow.write_paused:
            self._forget_answer()
        if self._broken is not None and self.cycle.response_complete and not self.transport.is_closing():
            self._write_broken(self._broken)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._answer_timer is None:
            self._answer_timer = self.loop.call_later(self._port.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        # an answer that is still being written keeps its time: a client that sips is as slow as one that does not read
        if self._port.endless or not self._answering():
            self._forget_answer()

    def _answering(self) -> bool:
        """Whether an answer has been begun and not ended."""
        return self._active is not None and self._active.response_started and not self._active.response_complete

    def _forget_answer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    # --- what cannot be read

    def _break_unreadable(self, why: str) -> None:
        self._break(Unreadable(Code.MALFORMED_HEADER, why))

    def _break(self, error: IngestError, identity: str = "") -> None:
        """Read no more. Answer now, or once what came before is answered; `identity`: the request's."""
        if self._broken is not None:
            return
        self._broken = error
        self._broken_identity = identity
        self._drop_ahead()
        if self.cycle is None or self.cycle.response_complete:
            self._write_broken(error)
        elif self.cycle.more_body:
            # its body is what cannot be read: nobody will see the end of it
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._write_broken(error)

    def _write_broken(self, error: IngestError) -> None:
        identity = self._broken_identity or uuid7()
        self.transport.write(answer.alone(answer.of_error(error, identity), identity))
        self._part()

    def _part(self) -> None:
        """The last answer is written: what still comes is read and dropped a while, so that it is seen (`unread`)."""
        self._forget_head()
        self._unset_keepalive_if_required()
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def _with_path(target: bytes) -> bytes:
    """A target in absolute form (`http://host`) with the path that it leaves out (RFC 9112 sections 3.2.1 and 3.2.2).

    Raises httptools.HttpParserInvalidURLError for what is no target.
    """
    parsed = httptools.parse_url(target)
    if parsed.path is not None:
        return target
    return b"/" if parsed.query is None else b"/?" + parsed.query
