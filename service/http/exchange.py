"""One request on the short way, from its head to its answer."""

import asyncio
import logging
from collections.abc import Callable, Generator
from functools import partial
from time import perf_counter

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.errors import Busy, Code, Defect, Draining, IngestError, TooMany
from service.event import uuid7
from service.http import answer
from service.http.admission import ENDED
from service.http.answer import Answer
from service.http.arrival import late
from service.http.exchanges import Exchanges
from service.http.head import Head
from service.http.ingest import is_large, is_short
from service.http.pending import Pending, PendingOne
from service.http.reading import Request
from service.http.room import Hold
from service.http.turns import advance, whole
from service.http.unread import LINGER_SECONDS
from service.http.wire import NOBODY_WAITS, Wire
from service.quotas.quotas import Toll

log = logging.getLogger(__name__)


class Exchange:
    """One request on the short way. To uvicorn's protocol it is the cycle of the connection."""

    __slots__ = (
        "_address",
        "_answered",
        "_began",
        "_exchanges",
        "_hold",
        "_identity",
        "_making",
        "_pending",
        "_refusal",
        "_timer",
        "_toll",
        "_wire",
        "_written",
        "body",
        "disconnected",
        "head",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    )

    def __init__(
        self, wire: Wire, exchanges: Exchanges, head: Head, hold: Hold, address: str, keep_alive: bool
    ) -> None:
        """`address`: the producer's. `hold` ends when the answer is sent, or nobody is left to read it."""
        self._began = perf_counter()
        self._wire = wire
        self._exchanges = exchanges
        self.head = head
        self._hold = hold
        self._address = address
        self._identity = head.request_id or uuid7()
        self.body: bytes | bytearray = b""
        self._timer: asyncio.TimerHandle | None = None
        self._pending: Pending | PendingOne | None = None
        self._answered = self._written = False
        self._making: Generator[None, None, Answer] | None = None
        """The long answer that is being made."""
        self._refusal: Busy | TooMany | None = None
        """Why the body is not read; it is dropped as it comes."""
        self._toll: Toll | None = None
        if head.gate is not None:
            try:
                self._toll = head.gate.enter(hold.reserved)
            except TooMany as refusal:
                self._refusal = refusal
        # what uvicorn's protocol reads and sets of its own cycles
        self.disconnected = False
        self.keep_alive = keep_alive
        self.message_event = NOBODY_WAITS
        self.more_body = True
        self.response_complete = False

    # --- the body

    def feed(self, piece: bytes) -> None:
        """A piece of the body."""
        if self._refusal is not None:
            return
        if not self.body:
            self.body = piece
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += piece

    def await_body(self) -> None:
        """The body did not come with the head: it has `body_timeout` from now on. One that is not read has less, and
        its answer goes before it."""
        if self._timer is not None:
            return
        if self._refusal is None:
            self._refusal = self._exchanges.admission.refusal(self.head.target, self._hold)
        if self._refusal is not None:
            self.refuse(self._refusal)
        seconds = self._exchanges.admission.server.body_timeout if self._refusal is None else LINGER_SECONDS
        self._timer = self._wire.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self._answered:
            self.response_complete = True
            self._wire.part()
        else:
            self.refuse(late(self._exchanges.admission.server.body_timeout))

    def take(self, body: bytes) -> None:
        """The whole body came with the head."""
        self.body = body
        self.complete()

    def complete(self) -> None:
        """The body is there."""
        self._forget_timer()
        self.more_body = False
        if self._answered:
            if self._written:
                self._make_way()
        elif self._refusal is not None:
            self.refuse(self._refusal)
        elif is_short(self.body):
            self._exchanges.ingest.pieces.small_at = perf_counter()
            self._go_on(partial(self._exchanges.ingest.take_at_once, self._request()))
        elif is_large(self.body):
            self._exchanges.ingest.large.take(self._begin_large)
        else:
            self._go_on(partial(advance, self._exchanges.ingest.take(self._request())))

    def _request(self) -> Request:
        body, self.body = bytes(self.body), b""
        head, hold = self.head, self._hold
        return Request(head, body, self._identity, self._address, hold.demand, head.trace, hold.sender, self._toll)

    def _begin_large(self) -> None:
        if self._answered:
            self._exchanges.ingest.large.leave()
        else:
            self._go_on(partial(advance, self._large()))

    def _large(self) -> Generator[None, None, Pending]:
        ingest = self._exchanges.ingest
        try:
            return (yield from ingest.take(self._request()))
        finally:
            ingest.large.leave()

    def _go_on(self, take: Callable[[], Pending | PendingOne | None]) -> None:
        """Read on until the events are accepted, letting others run whenever `take` has nothing yet."""
        try:
            pending = take()
        except IngestError as error:
            self.refuse(error)
        except Exception:
            # Ours: above is the parser, which would make a 400 of it.
            log.exception("a request could not be read", extra=self._fields)
            self.refuse(Defect())
        else:
            if pending is None:
                self._exchanges.ingest.pieces.later(partial(self._go_on, take))
            else:
                self._accepted(pending)

    @property
    def _fields(self) -> dict[str, str]:
        """What a line about this request names it by."""
        return {"request_id": self._identity, "route": self.head.route}

    def _accepted(self, pending: Pending | PendingOne) -> None:
        self._pending = pending
        self._exchanges.await_settlement(self, self._wire.loop)
        pending.on_settled(self._settled)

    # --- the answer

    def _settled(self) -> None:
        self._exchanges.settled(self, self._wire.loop)

    def respond(self) -> None:
        """Answer from what is settled by now."""
        pending = self._pending
        if pending is None:
            return  # it was answered when its time was over
        self._pending = None
        self._exchanges.forget(self)
        pending.forget()
        if isinstance(pending, Pending) and pending.is_long:
            self._making = pending.answering()
            self._exchanges.ingest.pieces.soon(self._make)
        else:
            self._say(pending.answer)

    def _make(self) -> None:
        if self._making is not None:  # the port may have come to its end meanwhile
            self._say(partial(advance, self._making))

    def _say(self, make: Callable[[], Answer | None]) -> None:
        """Write the answer, letting others run whenever `make` has nothing yet."""
        try:
            found = make()
        except Exception:
            # Ours: its events have ended, and nobody else would tell the producer.
            log.exception("a request could not be answered", extra=self._fields)
            self._making = None
            self.refuse(Defect())
        else:
            if found is None:
                self._exchanges.ingest.pieces.later(self._make)
            else:
                self._making = None
                self._hold.charge(len(found.body))
                self._write(found)

    def refuse(self, error: IngestError) -> None:
        """Answer with trouble outside events."""
        if (self.more_body and self._refusal is None) or error.code is Code.DRAINING:
            # what comes of a body after its answer has no meaning
            self.keep_alive = False
        if self._toll is not None:
            self._toll.refuse(error, len(self.body) if self.more_body else None)
            self._toll = None
        self._hold.charge(0)
        self._write(answer.of_error(error, self._identity))

    def _write(self, found: Answer) -> None:
        if self._answered:
            return
        self._answered = True
        self._forget_timer()
        self._exchanges.admission.observe(self.head.route, found.status, perf_counter() - self._began)
        if self.disconnected:
            self._end()
            return
        target = self.head.target
        headers = {**found.headers, "Vary": "Origin"} if target is not None and target.origins else found.headers
        extra = "".join([f"{name.lower()}: {value}\r\n" for name, value in headers.items()]) if headers else ""
        if self._wire.to_leave:
            self.keep_alive = False
        if not self.keep_alive:
            extra += "connection: close\r\n"
        head = (
            f"content-length: {len(found.body)}\r\ncontent-type: {found.media_type}\r\n"
            f"x-request-id: {self._identity}\r\n{extra}\r\n"
        )
        self._wire.write(STATUS_LINE[found.status], head.encode(), found.body, self._end)

    def _end(self) -> None:
        """The answer is written, or nobody is left to read it."""
        self._written = True
        self._hold.end()
        if not self.more_body or self.disconnected:
            self._make_way()
        elif self._refusal is None:
            self.response_complete = True
            self._wire.part()

    def _make_way(self) -> None:
        """Nothing of this request is to come or to go any more."""
        self.response_complete = True
        self._wire.answered(self.keep_alive or self.disconnected)

    def lose(self) -> None:
        """The connection is gone. What was accepted is delivered all the same."""
        self.disconnected = True
        self._forget_timer()
        if self.more_body or self.body:
            # as FastAPI's way has it: nobody is left to read an answer, and nothing was taken
            if self._toll is not None:
                self._toll.end(len(self.body))
            self.body = b""
            self._write(answer.GONE)

    def end(self) -> None:
        """The port is at its end: answer what does not have its body yet, or what is being answered."""
        if self.more_body:
            self.refuse(Draining(ENDED))
        elif self._making is not None:
            self._say(partial(whole, self._making))

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
