"""One request on the short way, from its head to its answer, and what all of them share."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import ExitStack
from time import perf_counter
from typing import Any, Final, Protocol

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.errors import Code, IngestError
from service.sources import answer
from service.sources.admission import Admission, Admitted
from service.sources.answer import Answer
from service.sources.arrival import late
from service.sources.observed import given_id
from service.sources.pending import Pending

log = logging.getLogger(__name__)

_CLOSE: Final = "connection: close\r\n"


class Wire(Protocol):
    """The connection that an exchange came on."""

    loop: asyncio.AbstractEventLoop

    def write(self, head: list[bytes], body: bytes, written: Callable[[], None]) -> None:
        """Write an answer behind the headers that all have, as its client reads it; then call `written`."""

    def close(self) -> None:
        """Close it once what was written is sent."""

    def part(self) -> None:
        """Read nothing more: the answer came before the end of a body."""

    def answered(self) -> None:
        """The next request may begin."""


class _NobodyWaits(asyncio.Event):
    """Stands for the event by which uvicorn wakes the task of a request: here is none."""

    def set(self) -> None:
        return


_NOBODY_WAITS: Final = _NobodyWaits()


class Direct:
    """What the exchanges of a port share."""

    def __init__(self, admission: Admission, labels: Collection[str]) -> None:
        """`labels`: the routes that may become a label of a metric."""
        self.admission = admission
        self.labels = labels
        self.proxies = ProxyHeadersMiddleware(_nothing, list(admission.server.trusted_proxies)).trusted_hosts
        self._seconds = admission.server.request_timeout
        self._waiting: OrderedDict[Exchange, float] = OrderedDict()
        """Exchanges that wait for their events, and until when (loop time): all have the same time, so in order."""
        self._timer: asyncio.TimerHandle | None = None

    def await_settlement(self, exchange: "Exchange", loop: asyncio.AbstractEventLoop) -> None:
        """Call `exchange.answer()` after `request_timeout`, unless it is forgotten before."""
        self._waiting[exchange] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._ring, loop)

    def forget(self, exchange: "Exchange") -> None:
        """The exchange waits no more."""
        self._waiting.pop(exchange, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._waiting:
            exchange, moment = next(iter(self._waiting.items()))
            if moment > now:
                self._timer = loop.call_at(moment, self._ring, loop)
                return
            exchange.answer()


class Exchange:
    """One request on the short way. To uvicorn's protocol it is the cycle of the connection."""

    __slots__ = (
        "_address",
        "_admitted",
        "_began",
        "_body",
        "_direct",
        "_headers",
        "_held",
        "_identity",
        "_pending",
        "_timer",
        "_wire",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    )

    def __init__(
        self,
        wire: Wire,
        direct: Direct,
        admitted: Admitted,
        headers: Mapping[str, str],
        address: str,
        held: ExitStack,
        keep_alive: bool,
    ) -> None:
        """`address`: the producer's. `held` is closed when the answer is sent, or nobody is left to read it."""
        self._began = perf_counter()
        self._wire = wire
        self._direct = direct
        self._admitted = admitted
        self._headers = headers
        self._address = address
        self._held = held
        self._identity = given_id(headers.get("x-request-id"))
        self._body: bytes | bytearray = b""
        self._timer: asyncio.TimerHandle | None = None
        self._pending: Pending | None = None
        # what uvicorn's protocol reads and sets of its own cycles
        self.disconnected = False
        self.keep_alive = keep_alive
        self.message_event = _NOBODY_WAITS
        self.more_body = True
        self.response_complete = False

    # --- the body

    def feed(self, piece: bytes) -> None:
        """A piece of the body."""
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece

    def await_body(self) -> None:
        """The body did not come with the head: it has `body_timeout` from now on."""
        if self._timer is None:
            self._timer = self._wire.loop.call_later(self._direct.admission.server.body_timeout, self._late)

    def _late(self) -> None:
        self.refuse(late(self._direct.admission.server.body_timeout))

    def complete(self) -> None:
        """The body is there."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.more_body = False
        body, self._body = bytes(self._body), b""
        request = self._admitted.request(self._headers, body, self._identity, self._address)
        self._step(self._direct.admission.ingest.take(request))

    def _step(self, taking: Generator[None, None, Pending]) -> None:
        """Read on until the events are accepted, letting others run whenever it yields."""
        try:
            next(taking)
        except StopIteration as done:
            pending: Pending = done.value
            self._pending = pending
            self._direct.await_settlement(self, self._wire.loop)
            pending.on_settled(self._settled)
        except IngestError as error:
            self.refuse(error)
        except Exception:
            # a defect of ours: never a 4xx
            log.exception("a request could not be read")
            self._write(answer.defect(self._identity), closing=True)
        else:
            self._wire.loop.call_soon(self._step, taking)

    # --- the answer

    def _settled(self) -> None:
        """Called in the midst of a lane's work, which must not fail for what is wrong here."""
        self._wire.loop.call_soon(self.answer)

    def answer(self) -> None:
        """Answer from what is settled by now."""
        if self._pending is None:
            return  # it was answered when its time was over
        self._direct.forget(self)
        pending, self._pending = self._pending, None
        try:
            found = pending.answer()
        except Exception:
            # a defect of ours, of which nobody else would hear
            log.exception("a request could not be answered")
            found = answer.defect(self._identity)
        self._admitted.arrival.hold(len(found.body))
        self._write(found)

    def refuse(self, error: IngestError) -> None:
        """Answer that nothing was taken."""
        self._admitted.arrival.hold(0)
        # what comes of a body after its answer has no meaning
        self._write(answer.of_error(error, self._identity), closing=self.more_body or error.code is Code.DRAINING)

    def _write(self, found: Answer, closing: bool = False) -> None:
        self._direct.admission.meter.observe_request(self._label(), found.status, perf_counter() - self._began)
        if self.disconnected:
            self._end()
            return
        if closing:
            self.keep_alive = False
        extra = "".join([f"{name.lower()}: {value}\r\n" for name, value in found.headers.items()])
        head = (
            f"content-length: {len(found.body)}\r\ncontent-type: {found.media_type}\r\n"
            f"x-request-id: {self._identity}\r\n{extra}{'' if self.keep_alive else _CLOSE}\r\n"
        )
        self._wire.write([STATUS_LINE[found.status], head.encode()], found.body, self._end)

    def _label(self) -> str:
        return self._admitted.route if self._admitted.route in self._direct.labels else ""

    def _end(self) -> None:
        """The answer is written, or nobody is left to read it."""
        if self.response_complete:
            return
        self.response_complete = True
        self._held.close()
        if self.more_body and not self.disconnected:
            self._wire.part()
            return
        if not self.keep_alive and not self.disconnected:
            self._wire.close()
        self._wire.answered()

    def lose(self) -> None:
        """The connection is gone. What was accepted is delivered all the same."""
        self.disconnected = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.more_body:
            self._end()


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never called."""
    del scope, receive, send
