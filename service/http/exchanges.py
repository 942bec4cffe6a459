"""What the requests on the short way share: one port's."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.http.admission import Admission
from service.http.heads import Heads

MOST_SUBJECTS: Final = 256
"""Subjects of clients' certificates whose heads are known at once; those of others are parsed each time."""
MOST_OF_SUBJECT: Final = 32
"""Heads that are known of each."""


class Waiting(Protocol):
    """An exchange whose events are on their way."""

    def respond(self) -> None:
        """Answer from what is settled by now."""


class Exchanges:
    """What the exchanges of a port share."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.ingest = admission.ingest
        self.proxies = ProxyHeadersMiddleware(_nothing, list(admission.server.trusted_proxies)).trusted_hosts
        self._seconds = admission.server.request_timeout
        self._waiting: OrderedDict[Waiting, float] = OrderedDict()
        """Exchanges that wait for their events, and until when (loop time): all have the same time, so in order."""
        self._timer: asyncio.TimerHandle | None = None
        self._settled: list[Waiting] = []
        """Exchanges to be answered in the next turn of the loop."""
        self.heads = Heads()
        """Those known of clients without a certificate."""
        self._heads_of: WeakValueDictionary[str, Heads] = WeakValueDictionary()
        """By the subject of a client's certificate, while there are connections with it."""
        admission.authenticator.on_change(self._forget_heads)
        self._common: tuple[object, bytes] = (None, b"")

    def _forget_heads(self) -> None:
        for heads in (self.heads, *self._heads_of.values()):
            heads.forget()

    def heads_of(self, subject: str | None) -> Heads:
        """The heads that are known of clients with this subject: the same bytes mean something else of another one."""
        if subject is None:
            return self.heads
        heads = self._heads_of.get(subject)
        if heads is None:
            heads = Heads(MOST_OF_SUBJECT if len(self._heads_of) < MOST_SUBJECTS else 0)
            if heads.most:
                self._heads_of[subject] = heads
        return heads

    # --- answers

    def common(self, headers: Collection[tuple[bytes, bytes]]) -> bytes:
        """The lines of the headers that all answers have: others every second, for the date is one of them."""
        if self._common[0] is not headers:
            self._common = headers, b"".join([b"%b: %b\r\n" % each for each in headers])
        return self._common[1]

    def settled(self, exchange: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        """Answer `exchange` in the next turn of the loop, with all that are settled in this one.

        Called in the midst of a lane's work, which must not fail for what is wrong with an answer.
        """
        if not self._settled:
            loop.call_soon(self._respond)
        self._settled.append(exchange)

    def _respond(self) -> None:
        settled, self._settled = self._settled, []
        for exchange in settled:
            exchange.respond()

    # --- patience

    def await_settlement(self, exchange: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        """Call `exchange.respond()` after `request_timeout`, unless it is forgotten before."""
        self._waiting[exchange] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._ring, loop)

    def forget(self, exchange: Waiting) -> None:
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
            exchange.respond()


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never called."""
    del scope, receive, send
